"""X12 for the mapping language: paths such as ``2110C(*)/EB-03(*)``, checked by the guide.

Satisfies ``mapper.format.Format`` structurally. A path is resolved once (`shapes`) into functions that walk a `View` (a
loop of a message with what was looked up in it), a list of components, or, when writing, a `Draft`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from canonical.findings import Rejection, Severity, declare, finding
from canonical.paths import PathError
from connectors.paths import numbered
from connectors.x12.drafted import Finisher, fixed
from connectors.x12.edi import Message, Segment, parse
from connectors.x12.guide import FORMAT_QUALIFIER, PERIOD, ElementSpec, Guide, SegmentSpec, dictionary
from connectors.x12.guide import base as base_of
from connectors.x12.guide import guide as guide_of
from connectors.x12.guide import names as guide_names
from connectors.x12.loops import places, walk
from connectors.x12.shapes import LoopShape, PartShape
from connectors.x12.values import COMPONENT, MARKS, REPETITION, SEPARATOR, Parts, normal, read_text, write_text
from connectors.x12.views import Draft, View

WRONG_SET: Final = declare(
    "x12.wrong_set", Severity.FATAL,
    "The message has no transaction set of the kind this table is for",
    "Check the channel's mapping: it is chosen by the message type (ST01, for a 278 with BHT02).")

_CLEAR: Final = "\ue000clear"
#: What is written by counting, not by rows, and read by nobody.
_COUNTED: Final = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA", "HL", "LS", "LE"})


class X12Format:
    """X12 as ``mapper.format.Format``. Structures are named as guides: ``271``, ``278-response``."""

    family: Final = "x12"
    absent: Final = ""
    clear: Final = _CLEAR
    can_clear: Final = False
    marks: Final = MARKS

    def message(self, name: str, declared: Mapping[str, Mapping[str, str]]) -> LoopShape:
        """See ``mapper.format.Format``."""
        found = _guide(name)
        return LoopShape(found, found.root, {segment: _declared(segment, cells) for segment, cells in declared.items()})

    def header(self, name: str) -> Mapping[str, Any]:
        """See ``mapper.format.Format``."""
        found = _guide(name)
        source = {"system": "ISA-06", "facility": "GS-02", "control_id": "ISA-13", "message_type": "ST-01",
                  "processing_id": "ISA-15"}
        return {"trigger": "BHT-02", "source": source} if any(
            each.id == "BHT" for each in found.root.segments()) else {"source": source}

    def datatype(self, wire_type: str) -> PartShape:
        """See ``mapper.format.Format``: a composite, ``C003``."""
        for segment in dictionary().segments():
            for spec in dictionary().segment(segment)[0]:
                if spec.reference == wire_type and spec.parts:
                    return PartShape(wire_type, spec.parts)
        raise PathError(f"there is no composite {wire_type}", hint="C003 procedure, C004 diagnosis pointer, C022 code")

    def text(self, wire_type: str) -> tuple[Callable[[str], str], Callable[[str], str]]:
        """See ``mapper.format.Format``. Blanks that pad a value mean nothing."""
        return read_text, write_text

    def marked(self, wire_type: str) -> Callable[[str], object] | None:
        """See ``mapper.format.Format``."""
        return SEPARATOR.search

    def number(self, wire_type: str) -> Callable[[int], str]:
        """See ``mapper.format.Format``."""
        return str

    def decode(self, raw: bytes) -> Message:
        """See ``mapper.format.Format``."""
        return parse(raw)

    def open(self, raw: str) -> Parts:
        """See ``mapper.format.Format``."""
        return raw.split(COMPONENT)

    def new(self, wire_type: str) -> Parts:
        """See ``mapper.format.Format``."""
        return [""]

    def close(self, node: Parts) -> str:
        """See ``mapper.format.Format``."""
        return COMPONENT.join(node).rstrip(COMPONENT)

    def root(self, wire: Message, name: str) -> View:
        """See ``mapper.format.Format``: the first set of that kind in the message."""
        found = _guide(name)
        each = next((each for each in wire.sets() if each.id == found.set), None)
        if each is None:
            raise Rejection(finding(WRONG_SET, at="ST-01", detail=f"no {found.set}"))
        tree = walk(normal(each), found)
        root = tree.root
        root.segments[:0] = [segment for segment in (each.interchange.header, each.group) if segment is not None]
        return View(root)

    def draft(self, name: str) -> Draft:
        """See ``mapper.format.Format``."""
        return Draft(_guide(name).root)

    def finish(self, node: Draft, name: str, set_ids: Sequence[str]) -> Message:
        """See ``mapper.format.Format``. HL, LS and LE, counts, codes without a choice and format qualifiers are
        written here; numbers and times of the envelope by ``build.seal`` when it is sent."""
        return Finisher(_guide(name)).message(node)

    def leaves(self, wire: Message, name: str) -> list[str]:
        """See ``mapper.format.Format``: everything but the envelope, HL, LS and LE, and what goes without saying
        (a code the guide leaves no choice for, the format qualifier of a period)."""
        root = self.root(wire, name).loop
        found = []
        for loop, at in places(root):
            specs = dict(zip(map(id, loop.segments[-len(loop.specs):] if loop.specs else ()), loop.specs, strict=False))
            for segment, place in numbered(loop.segments, at):
                if segment.id not in _COUNTED:
                    found += list(_leaves(segment, specs.get(id(segment)), place))
        return found


def _leaves(segment: Segment, spec: SegmentSpec | None, place: str) -> Iterator[str]:
    standard = spec.elements if spec is not None else dictionary().segment(segment.id)[0]
    for number, raw in enumerate(segment.elements[1:], 1):
        element = standard[number - 1] if number <= len(standard) else None
        if not raw or (element is not None and (fixed(element) == raw or element.reference == FORMAT_QUALIFIER)):
            continue
        for rep, each in enumerate(raw.split(REPETITION), 1):
            at = f"{place}-{number:02d}{f'({rep})' if rep > 1 else ''}"
            if element is not None and element.reference == PERIOD:
                yield from (f"{at}.{end}" for end in (1, 2)) if "-" in each else (at,)
            elif COMPONENT in each or (element is not None and element.parts):
                yield from (f"{at}.{comp}" for comp, part in enumerate(each.split(COMPONENT), 1) if part)
            elif each:
                yield at


def _guide(name: str) -> Guide:
    short, _, convention = name.partition("@")
    found = guide_of(short)
    if found is None or (convention and base_of(convention) != base_of(found.convention)):
        near = get_close_matches(short, guide_names(), n=1, cutoff=0.4)
        raise PathError(f"there is no guide {name}", hint=f"did you mean {near[0]}?" if near and near[0] != short
                        else f"known: {', '.join(guide_names())}")
    return found


def _declared(segment: str, cells: Mapping[str, str]) -> tuple[ElementSpec, ...]:
    """A segment of a payer's own, or elements that the standard's segment does not have."""
    specs = {spec.number: spec for spec in dictionary().segment(segment)[0]}
    for number, text in cells.items():
        kind, _, label = text.strip().partition(" ")
        if not number.isdecimal() or not int(number):
            raise PathError(f"{number} is not an element number")
        if kind.rstrip("*") not in ("AN", "ID", "R", "DT", "TM", "B") and not re.match(r"N\d\*?\Z", kind):
            raise PathError(f"segments: {segment}-{number} has the type {kind}, which X12 does not have",
                            hint="TYPE name: AN text, ID code, R decimal, N0 whole number, DT date, TM time")
        specs[int(number)] = ElementSpec(int(number), "", label.strip(), kind.rstrip("*"), 0, 999, repeats="*" in kind)
    return tuple(specs.get(number) or ElementSpec(number, "", "", "AN", 0, 999) for number in range(1, max(specs) + 1))


__all__ = ["Draft", "PathError", "View", "X12Format"]
