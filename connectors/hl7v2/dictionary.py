"""The dictionary of HL7 v2: structures, segments, fields and data types of each version.

The data are those of ``hl7apy``, loaded a version at a time when first asked for (0.1 to 0.4 s). Look-ups are
lenient across versions, because senders are: a field that a version withdrew (SCH-11 in 2.7) or does not have
yet (TQ1 in 2.3) is answered from the version that has it, and says so.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any, Final, Self

import msgspec

VERSIONS: Final = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
#: Prior results begin with their patient, though the standard lets him be left out: else nobody could tell the ORC of a
#: second order from that of a prior result (OMG, OML).
_BEGINS: Final = "_PATIENT_PRIOR"
_OTHERS: Final = ("2.5.1", "2.8.2", "2.3")
"""Where to look for what a version lacks: the version most sites speak, the newest, the oldest."""


class Field(msgspec.Struct, frozen=True):
    """A field of a segment, or a component of a data type."""

    number: int
    """From 1."""
    name: str
    """``patient_identifier_list``"""
    datatype: str
    """``CX``; ``varies`` where another field says (OBX-5)."""
    required: bool = False
    repeats: bool = False
    table: str = ""
    """``HL70278``; empty where the standard names none."""
    version: str = ""
    """The version that defines it, where it is not the one that was asked."""


class Node(msgspec.Struct, frozen=True):
    """A member of a message structure: a segment, or a group with its members."""

    name: str
    """``AIS``, ``SERVICE``: without the structure's own name before it."""
    required: bool
    repeats: bool
    children: tuple[Node, ...] = ()
    choice: bool = False
    """True where only one of the children may stand here."""

    @property
    def is_group(self) -> bool:
        """Whether it is a group."""
        return bool(self.children)


def normal_version(text: str) -> str:
    """The version that MSH-12 names: ``2.5.1^USA`` and ``2.5.1 `` are 2.5.1; an unknown one the nearest (P12).

    Empty or not a version: 2.5.1.
    """
    found = re.match(r"\s*(\d)\.(\d)(?:\.(\d))?", text)
    if found is None:
        return "2.5.1"
    wanted = found[0].strip()
    if wanted in VERSIONS:
        return wanted
    older = [version for version in VERSIONS if version <= wanted]  # one digit a part: text order is enough
    return older[-1] if older else VERSIONS[0]


class Dictionary:
    """One version, and a site's own segments. Immutable; get it from `dictionary`."""

    def __init__(self, version: str, local: Mapping[str, tuple[Field, ...]] | None = None) -> None:
        self.version = version
        self._local = dict(local or {})

    def extended(self, segments: Mapping[str, Mapping[int, tuple[str, str]]]) -> Self:
        """With segments (or fields of standard segments) a site declares: name → number → (data type, name)."""
        local = dict(self._local)
        for name, fields in segments.items():
            known = {field.number: field for field in self.segment(name)}
            known |= {number: Field(number, label, datatype, repeats=True)
                      for number, (datatype, label) in fields.items()}
            local[name] = tuple(known[number] for number in sorted(known))
        return type(self)(self.version, local)

    def segment(self, name: str) -> tuple[Field, ...]:
        """The fields of a segment by number; empty for an unknown segment."""
        if name in self._local:
            return self._local[name]
        own = _fields(self.version, name)
        known = {field.number: field for field in own}
        for other in _OTHERS:
            if own and other > self.version and other != "2.5.1":
                continue
            for field in _fields(other, name):
                known.setdefault(field.number, field if other == self.version
                                 else msgspec.structs.replace(field, version=other, required=False))
        return tuple(known[number] for number in sorted(known))

    def field(self, segment: str, number: int) -> Field | None:
        """Field `number` of a segment, from whichever version has it; None if none has."""
        for field in self.segment(segment):
            if field.number == number:
                return field
        for other in _OTHERS:
            for field in _fields(other, segment):
                if field.number == number:
                    return msgspec.structs.replace(field, version=other, required=False)
        return None

    def components(self, datatype: str) -> tuple[Field, ...]:
        """The components of a data type; empty for a primitive or unknown one."""
        return _components(self.version, datatype) or next(
            (found for other in _OTHERS if (found := _components(other, datatype))), ())

    def segments(self) -> frozenset[str]:
        """Names of all segments of this version and of the site."""
        return frozenset(_library(self.version).SEGMENTS) - {"ANYHL7SEGMENT"} | self._local.keys()

    def datatypes(self) -> frozenset[str]:
        """Names of all composite data types of this version."""
        return frozenset(name.removesuffix("_SIMPLE") for name in _library(self.version).DATATYPES_STRUCTS)

    def has_datatype(self, name: str) -> bool:
        """Whether any version has the data type, primitive or composite."""
        return name == "varies" or any(name in _library(version).BASE_DATATYPES for version in VERSIONS) \
            or bool(self.components(name))

    def table(self, name: str) -> frozenset[str]:
        """The codes of a table (``HL70278``) in this version; empty where it lists none."""
        found = getattr(_library(self.version), "TABLES", {}).get(name)
        return frozenset(code for code in found[1] if code) if found and found[1] else frozenset()

    def structures(self) -> frozenset[str]:
        """Names of all message structures of this version."""
        return frozenset(_library(self.version).MESSAGES)

    def structure(self, name: str) -> Node | None:
        """A message structure (``SIU_S12``); None where neither this version nor 2.5.1 and 2.8.2 have it."""
        return next((node for version in (self.version, *_OTHERS) if (node := _structure(version, name))), None)


@lru_cache(maxsize=len(VERSIONS))
def dictionary(version: str) -> Dictionary:
    """The dictionary of a version as MSH-12 writes it (see `normal_version`)."""
    normal = normal_version(version)
    return Dictionary(normal) if normal == version else dictionary(normal)


@lru_cache(maxsize=len(VERSIONS))
def _library(version: str) -> ModuleType:
    return importlib.import_module(f"hl7apy.v{version.replace('.', '_')}")


def _field(number: int, child: Any) -> Field | None:
    _, reference, (least, most), _ = child
    _, _, datatype, name, table, _ = reference
    if datatype is None or datatype.upper() == "WD" or most == 0:
        return None
    return Field(number, (name or "").lower(), datatype.removesuffix("_SIMPLE"), least > 0, most != 1,
                 table or "")


@lru_cache(maxsize=2048)
def _fields(version: str, segment: str) -> tuple[Field, ...]:
    entry = _library(version).SEGMENTS.get(segment)
    children = entry[1] if entry else ()
    return tuple(field for child in children if (field := _field(int(child[0].rpartition("_")[2]), child)))


@lru_cache(maxsize=1024)
def _components(version: str, datatype: str) -> tuple[Field, ...]:
    children = _library(version).DATATYPES_STRUCTS.get(datatype) or ()
    return tuple(field for child in children if (field := _field(int(child[0].rpartition("_")[2]), child)))


@lru_cache(maxsize=512)
def _structure(version: str, name: str) -> Node | None:
    entry = _library(version).MESSAGES.get(name)
    return None if entry is None else Node(name, required=True, repeats=False, children=_nodes(entry[1], name))


def _nodes(children: Any, structure: str) -> tuple[Node, ...]:
    nodes = []
    for name, reference, (least, most), kind in children:
        group = kind == "GRP"
        nodes.append(Node(name.removeprefix(f"{structure}_"), least > 0 or name.endswith(_BEGINS), most != 1,
                          _nodes(reference[1], structure) if group else (), group and reference[0] == "choice"))
    return tuple(nodes)
