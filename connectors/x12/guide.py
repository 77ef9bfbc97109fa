"""Implementation guides, kept as data (``guides/*.yaml``): loops, segments, elements, codes.

Loaded once, when first asked for. `guides/README.md` explains the notation of the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

_FOLDER: Final = Path(__file__).with_name("guides")
_DICTIONARY: Final = "dictionary"
#: Data elements that say how the next one is to be read.
FORMAT_QUALIFIER: Final = "1250"
PERIOD: Final = "1251"


class ElementSpec(msgspec.Struct, frozen=True):
    """An element of a segment, or a component of a composite."""

    number: int
    """Position from 1."""
    reference: str
    """Data element number (``1035``) or composite (``C003``)."""
    name: str
    type: str
    """``AN ID R N0 N2 DT TM B``; empty for a composite."""
    least: int = 0
    most: int = 0
    use: str = "S"
    """``R``, ``S`` or ``N``."""
    repeats: bool = False
    codes: frozenset[str] = frozenset()
    """Empty: any."""
    parts: tuple[ElementSpec, ...] = ()
    notes: tuple[str, ...] = ()
    """Relational notes of a composite."""


class SegmentSpec(msgspec.Struct, frozen=True):
    """A segment at its place in a loop."""

    id: str
    use: str
    most: int
    """0: without limit."""
    name: str
    elements: tuple[ElementSpec, ...]
    notes: tuple[str, ...]
    key: tuple[int, int] = (0, 0)
    """Element and component that tell it from others; (0, 0): none."""
    keys: frozenset[str] = frozenset()
    """What the key may say; empty: anything."""

    @property
    def required(self) -> bool:
        """Whether it must be there."""
        return self.use == "R"

    def element(self, number: int) -> ElementSpec | None:
        """The element at a position."""
        return self.elements[number - 1] if 0 < number <= len(self.elements) else None


class LoopSpec(msgspec.Struct, frozen=True):
    """A loop. Its first segment opens it; the root is the transaction set."""

    id: str
    use: str
    most: int
    name: str
    items: tuple[SegmentSpec | LoopSpec, ...]

    @property
    def required(self) -> bool:
        """Whether it must be there."""
        return self.use == "R"

    @property
    def opening(self) -> SegmentSpec:
        """The segment that opens it."""
        first = self.items[0]
        assert isinstance(first, SegmentSpec)
        return first

    @property
    def level(self) -> str:
        """HL03 of a hierarchical level; empty for other loops."""
        opening = self.opening
        return next(iter(opening.keys), "") if opening.id == "HL" else ""

    def loops(self) -> Iterator[LoopSpec]:
        """The loops directly inside."""
        return (item for item in self.items if isinstance(item, LoopSpec))

    def segments(self) -> Iterator[SegmentSpec]:
        """The segments directly inside."""
        return (item for item in self.items if isinstance(item, SegmentSpec))

    def below(self) -> Iterator[tuple[tuple[str, ...], LoopSpec]]:
        """Every loop inside, at any depth, with the ids of the way there."""
        for loop in self.loops():
            yield (loop.id,), loop
            for way, inner in loop.below():
                yield (loop.id, *way), inner


class Guide(msgspec.Struct, frozen=True):
    """One implementation guide of one transaction set."""

    name: str
    """As in ``format: x12/270``."""
    set: str
    convention: str
    group: str
    """GS01."""
    title: str
    root: LoopSpec
    purposes: frozenset[str] = frozenset()
    """BHT02 where two guides share set and convention (278 request and response); empty: any."""


class Dictionary:
    """Segments, composites and data elements of the standard."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._segments: Mapping[str, str] = data["segments"]
        self._composites: Mapping[str, str] = data["composites"]
        self._elements: Mapping[str, str] = data["elements"]
        self.codes: Mapping[str, str] = data["codes"]
        self.keys: Mapping[str, tuple[int, int]] = {
            name: _position(text) for name, text in data["keys"].items()}

    def segments(self) -> Sequence[str]:
        """Names of all segments."""
        return list(self._segments)

    @lru_cache(maxsize=512)  # noqa: B019 - one dictionary for the life of the process
    def segment(self, name: str) -> tuple[tuple[ElementSpec, ...], tuple[str, ...]]:
        """Elements and relational notes of a segment, as the standard has it; empty for an unknown one."""
        text, _, notes = self._segments.get(name, "").partition(" / ")
        return tuple(self._member(number, word) for number, word in enumerate(text.split(), 1)), tuple(notes.split())

    def _member(self, number: int, word: str) -> ElementSpec:
        reference = word.rstrip("*")
        repeats = word.endswith("*")
        if reference in self._composites:
            text, _, notes = self._composites[reference].partition(" / ")
            parts = tuple(self._member(position, inner) for position, inner in enumerate(text.split(), 1))
            return ElementSpec(number, reference, f"composite {reference}", "", repeats=repeats, parts=parts,
                               notes=tuple(notes.split()))
        kind, lengths, name = self._elements[reference].split(" ", 2)
        least, _, most = lengths.partition("/")
        return ElementSpec(number, reference, name, kind, int(least), int(most), repeats=repeats)


@lru_cache(maxsize=1)
def dictionary() -> Dictionary:
    """The dictionary of 005010."""
    return Dictionary(_read(_DICTIONARY))


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Names of all guides: ``270``, ``278-request`` …"""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml") if path.stem != _DICTIONARY))


@lru_cache(maxsize=32)
def guide(name: str) -> Guide | None:
    """A guide by its name; None where there is none."""
    if name not in names():
        return None
    data = _read(name)
    root = LoopSpec("", "R", 1, data["name"], tuple(_items(data["body"], dict(_bodies(data["body"])))))
    return Guide(data["guide"], data["set"], data["convention"], data["group"], data["name"], root,
                 frozenset(data.get("purpose", "").split()))


@lru_cache(maxsize=256)
def find(kind: str, convention: str = "", purpose: str = "") -> Guide | None:
    """The guide for ST01, ST03 (or GS08) and BHT02; None for a set that is known by its envelope only.

    The convention is compared without its addenda (``005010X279`` is ``005010X279A1``): the structure is the same.
    An empty one takes the guide of the set.
    """
    wanted = base(convention)
    found = [each for name in names() if (each := guide(name)) is not None and each.set == kind
             and (not wanted or base(each.convention) == wanted)]
    if len(found) > 1:
        found = [each for each in found if purpose in each.purposes] or found
    return found[0] if found else None


def base(convention: str) -> str:
    """A convention without its addenda: ``005010X279A1`` is ``005010X279``."""
    match = re.match(r"\d{6}X\d{3}", convention)
    return match[0] if match else convention


# -- reading the files --------------------------------------------------------------------------------------


def _read(name: str) -> Mapping[str, Any]:
    with (_FOLDER / f"{name}.yaml").open(encoding="utf-8") as file:
        data: Mapping[str, Any] = yaml.load(file, Loader=yaml.CBaseLoader)  # noqa: S506 - texts only, our own file
    return data


def _position(text: str) -> tuple[int, int]:
    element, _, component = text.partition(".")
    return int(element), int(component or 0)


def _bodies(body: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Every loop that has a body of its own, with it."""
    for entry in body:
        if not isinstance(entry, str) and "body" in entry:
            yield entry["loop"].split(" ", 1)[0], entry["body"]
            yield from _bodies(entry["body"])


def _items(body: Sequence[Any], known: Mapping[str, Sequence[Any]],
           letter: str = "") -> Iterator[SegmentSpec | LoopSpec]:
    for entry in body:
        if isinstance(entry, str):
            yield _segment(entry)
            continue
        name, use, most, title = entry["loop"].split(" ", 3)
        like = entry.get("like", name)
        inner_letter = letter if like == name else name[-1]
        if letter:
            name = name[:-1] + letter
        yield LoopSpec(name, use, _limit(most), title,
                       tuple(_items(entry["body"] if "body" in entry else known[like], known, inner_letter)))


def _limit(text: str) -> int:
    return 0 if text == "*" else int(text)


_ENTRY: Final = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+))?(?:\.(?P<component>\d+))?"
                           r"(?:=(?P<codes>.+)|\((?P<use>[RSN]+)\))\Z")


def _segment(line: str) -> SegmentSpec:
    head, _, rest = line.partition(" | ")
    uses, _, entries = rest.partition(" | ")
    name, use, most, title = head.split(" ", 3)
    standard, notes = dictionary().segment(name)
    codes: dict[tuple[int, int], frozenset[str]] = {}
    parts: dict[int, str] = {}
    for entry in filter(None, (each.strip() for each in entries.split(";"))):
        match = _ENTRY.match(entry)
        if match is None:
            raise ValueError(f"guide line not understood: {entry} in {line}")
        for number in range(int(match["first"]), int(match["last"] or match["first"]) + 1):
            if match["use"]:
                parts[number] = match["use"]
            else:
                codes[number, int(match["component"] or 0)] = _codes(match["codes"])
    elements = tuple(_used(spec, uses, codes, parts.get(spec.number, "")) for spec in standard)
    key = dictionary().keys.get(name, (0, 0))
    keys = codes.get(key, frozenset())
    return SegmentSpec(name, use, _limit(most), title, elements, notes, key if keys else (0, 0), keys)


def _codes(text: str) -> frozenset[str]:
    return frozenset(code for word in text.split()
                     for code in (dictionary().codes[word[1:]].split() if word.startswith("$") else (word,)))


def _used(spec: ElementSpec, uses: str, codes: Mapping[tuple[int, int], frozenset[str]], parts: str) -> ElementSpec:
    use = uses[spec.number - 1] if spec.number <= len(uses) else "N"
    inner = tuple(msgspec.structs.replace(
        part, use=(parts[part.number - 1] if part.number <= len(parts) else "N") if parts else part.use,
        codes=codes.get((spec.number, part.number), frozenset())) for part in spec.parts)
    return msgspec.structs.replace(spec, use=use, codes=codes.get((spec.number, 0), frozenset()), parts=inner)
