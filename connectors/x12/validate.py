"""A transaction set against its guide: loops, segments, elements, codes (X05, X19), as located problems."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from canonical.findings import Code
from connectors.x12 import guide_codes as codes
from connectors.x12.codes import CHARACTER, NOT_A_SEGMENT
from connectors.x12.edi import Segment, TransactionSet
from connectors.x12.elements import fits, is_date, is_integer, is_number, is_time, period
from connectors.x12.guide import PERIOD, ElementSpec, LoopSpec, SegmentSpec, guide, names
from connectors.x12.loops import Loop, Misfit, Tree, places
from connectors.x12.problem import Level, Problem, problem
from connectors.x12.profile import Profile

_MISFITS = {
    Misfit.UNKNOWN: codes.SEGMENT_UNKNOWN, Misfit.UNEXPECTED: codes.SEGMENT_UNEXPECTED,
    Misfit.SEQUENCE: codes.SEGMENT_SEQUENCE,
}


def validate(each: TransactionSet, tree: Tree, profile: Profile) -> list[Problem]:
    """What a guide says against a set, in wire order. `tree` is `walk(each, guide)`."""
    found = list(_Check(each, tree, profile).problems())
    found.sort(key=lambda each: each.position)
    traces = sorted(_traces(tree.root, ""))
    if len(traces) > 1:
        starts = [start for start, _ in traces]
        found = [msgspec.structs.replace(each, trace=traces[bisect_right(starts, each.position) - 1][1])
                 for each in found]
    return found


class _Check:
    def __init__(self, each: TransactionSet, tree: Tree, profile: Profile) -> None:
        self._tree = tree
        self._profile = profile
        self._delimiters = each.interchange.delimiters

    def problems(self) -> Iterator[Problem]:
        for stray in self._tree.strays:
            if stray.why is Misfit.PARENT:
                continue
            code = _MISFITS[stray.why]
            if not _is_name(stray.segment.id):
                code = NOT_A_SEGMENT
            yield self._segment(code, stray.loop.id, stray.segment.id, stray.number)
        yield from self._hierarchy()
        for loop, place in places(self._tree.root):
            if loop.spec is not None:
                yield from self._members(loop, loop.spec, place)
            for segment, spec, number in zip(loop.segments, loop.specs, loop.numbers, strict=True):
                if spec is not None:
                    yield from self._elements(segment, spec, number, loop.id)

    # -- loops and segments ---------------------------------------------------------------------------------

    def _segment(self, code: Code, loop: str, name: str, number: int, detail: str = "") -> Problem:
        at = f"{loop}/{name}" if loop else name
        return problem(code, Level.SEGMENT, codes.SEGMENT_NOTE[code.name], self._profile, at=f"{at} (segment {number})",
                       detail=detail, position=number, segment=name[:3], loop=loop)

    def _members(self, loop: Loop, spec: LoopSpec, place: str) -> Iterator[Problem]:
        """Segments and loops that are missing or too many."""
        counts: dict[int, int] = {}
        for number, member in zip(loop.numbers, loop.specs, strict=True):
            if member is not None:
                count = counts[id(member)] = counts.get(id(member), 0) + 1
                if member.most and count > member.most:
                    yield self._segment(codes.SEGMENT_REPEATS, loop.id, member.id, number, f"at most {member.most}")
        inner: dict[int, int] = {}
        for sub in loop.loops:
            if sub.spec is not None:
                count = inner[id(sub.spec)] = inner.get(id(sub.spec), 0) + 1
                if sub.spec.most and count > sub.spec.most:
                    yield self._segment(codes.LOOP_REPEATS, sub.id, sub.spec.opening.id, sub.numbers[0],
                                        f"at most {sub.spec.most}")
        since = loop.numbers[0] if loop.numbers else 0
        for item in spec.items:
            if isinstance(item, SegmentSpec):
                if id(item) in counts:
                    since = max(since, *(number for number, member in zip(loop.numbers, loop.specs, strict=True)
                                         if member is item))
                elif item.required and item.id != "SE":
                    yield self._segment(codes.SEGMENT_MISSING, loop.id, item.id, since + 1, item.name)
            elif id(item) in inner:
                since = max(since, *(sub.last_number for sub in loop.loops if sub.spec is item))
            elif item.required:
                yield self._segment(codes.LOOP_MISSING, item.id, item.opening.id, since + 1, item.name)

    def _hierarchy(self) -> Iterator[Problem]:
        """X19: HL01 from 1 in steps of 1, HL02 the level it stands in, HL04 whether there are levels inside."""
        for expected, (loop, parent) in enumerate(_levels(self._tree.root, None), 1):
            segment, number = loop.segments[0], loop.numbers[0]
            if segment.element(1).strip() != str(expected):
                yield self._level(loop, number, 1, "628", f"{expected} expected")
            wanted = parent.segments[0].element(1).strip() if parent is not None else ""
            if segment.element(2).strip() != wanted:
                yield self._level(loop, number, 2, "734", "not the level it stands in")
            children = any(sub.segments and sub.segments[0].id == "HL" for sub in loop.loops)
            if segment.element(4) and segment.element(4).strip() != ("1" if children else "0"):
                yield self._level(loop, number, 4, "736", "levels below: " + ("yes" if children else "no"))

    def _level(self, loop: Loop, number: int, element: int, reference: str, detail: str) -> Problem:
        return problem(codes.HIERARCHY, Level.ELEMENT, codes.ELEMENT_NOTE[codes.HIERARCHY.name], self._profile,
                       at=f"{loop.id}/HL-{element:02d} (segment {number})", detail=detail, position=number,
                       segment="HL", loop=loop.id, element=element, reference=reference)

    # -- elements -------------------------------------------------------------------------------------------

    def _element(self, code: Code, where: _Where, detail: str = "", note: str = "") -> Problem:
        component = f".{where.component}" if where.component else ""
        loop = f"{where.loop}/" if where.loop else ""
        return problem(code, Level.ELEMENT, note or codes.ELEMENT_NOTE[code.name], self._profile,
                       at=f"{loop}{where.segment}-{where.element:02d}{component} (segment {where.number})",
                       detail=detail, position=where.number, segment=where.segment, loop=where.loop,
                       element=where.element, component=where.component, repetition=where.repetition,
                       reference=where.reference if where.reference.isdecimal() else "")

    def _elements(self, segment: Segment, spec: SegmentSpec, number: int, loop: str) -> Iterator[Problem]:
        values = segment.elements
        specs = spec.elements
        for element in specs:
            value = values[element.number] if element.number < len(values) else ""
            if not value:
                if element.use == "R":
                    yield self._element(codes.ELEMENT_MISSING, _Where(segment.id, number, loop, element), element.name)
                continue
            where = _Where(segment.id, number, loop, element)
            if element.use == "N":
                yield self._element(codes.ELEMENT_NOT_USED, where, element.name)
                continue
            qualifier = values[element.number - 1] if element.reference == PERIOD else ""
            yield from self._repeated(value, element, where, qualifier)
        if len(values) - 1 > len(specs):
            where = _Where(segment.id, number, loop, None, len(specs) + 1)
            yield self._element(codes.ELEMENT_TOO_MANY, where, f"{len(specs)} elements at most")
        for note in spec.notes:
            yield from self._related(note, values, specs, _Where(segment.id, number, loop, None))

    def _repeated(self, value: str, element: ElementSpec, where: _Where, qualifier: str) -> Iterator[Problem]:
        mark = self._delimiters.repetition
        if not mark or mark not in value or element.reference == "I65":
            yield from self._value(value, element, where, qualifier)
            return
        if not element.repeats:
            yield self._element(codes.ELEMENT_REPETITIONS, where)
            return
        for number, each in enumerate(value.split(mark), 1):
            yield from self._value(each, element, where.repeated(number), qualifier)

    def _value(self, value: str, element: ElementSpec, where: _Where, qualifier: str) -> Iterator[Problem]:
        mark = self._delimiters.component
        if not element.parts:
            if mark and mark in value and element.reference != "I15":
                yield self._element(codes.ELEMENT_COMPONENTS, where, "not a composite")
                return
            yield from self._simple(value, element, where, qualifier)
            return
        values = ["", *(value.split(mark) if mark else [value])]
        for part in element.parts:
            inner = where.part(part)
            text = values[part.number] if part.number < len(values) else ""
            if not text:
                if part.use == "R":
                    yield self._element(codes.ELEMENT_MISSING, inner, part.name)
            elif part.use == "N":
                yield self._element(codes.ELEMENT_NOT_USED, inner, part.name)
            else:
                yield from self._simple(text, part, inner, values[part.number - 1] if part.reference == PERIOD else "")
        if len(values) - 1 > len(element.parts):
            yield self._element(codes.ELEMENT_COMPONENTS, where, f"{len(element.parts)} components at most")
        for note in element.notes:
            yield from self._related(note, values, element.parts, where, composite=True)

    def _simple(self, value: str, element: ElementSpec, where: _Where, qualifier: str) -> Iterator[Problem]:
        kind = element.type
        length = len(value)
        if kind == "R":
            if not is_number(value):
                yield self._element(codes.ELEMENT_NUMBER, where)
                return
            length = sum(char.isdecimal() for char in value)
        elif kind.startswith("N"):
            if not is_integer(value):
                yield self._element(codes.ELEMENT_NUMBER, where)
                return
            length = len(value.lstrip("-"))
        elif kind == "DT":
            if not is_date(value):
                yield self._element(codes.ELEMENT_DATE, where)
                return
        elif kind == "TM":
            if not is_time(value):
                yield self._element(codes.ELEMENT_TIME, where)
                return
        elif not fits(value, self._profile.characters):
            yield self._element(CHARACTER, where, self._profile.characters)
        if length < element.least:
            yield self._element(codes.ELEMENT_SHORT, where, f"{length} characters, at least {element.least}")
        if length > element.most:
            yield self._element(codes.ELEMENT_LONG, where, f"{length} characters, at most {element.most}")
        elif element.codes and value not in element.codes:
            known = value in _known(element.reference)
            yield self._element(codes.ELEMENT_CODE, where, element.name,
                                codes.CODE_OF_ANOTHER_GUIDE if known else "")
        if element.reference == PERIOD and qualifier and period(value, qualifier) is None:
            yield self._element(codes.ELEMENT_DATE, where, f"not a {qualifier}" if len(qualifier) <= 3 else "")

    def _related(self, note: str, values: list[str], specs: tuple[ElementSpec, ...], where: _Where, *,
                 composite: bool = False) -> Iterator[Problem]:
        """X12.6 §3.12: relational conditions."""
        numbers = [int(note[at:at + 2]) for at in range(1, len(note), 2)]
        there = [number for number in numbers if number < len(values) and values[number]]
        missing = [number for number in numbers if number not in there]
        kind = note[0]
        code = codes.ELEMENT_CONDITIONAL
        if kind == "E":
            wrong, code = there[1:] if len(there) > 1 else [], codes.ELEMENT_EXCLUDED
        elif kind == "P":
            wrong = missing if there else []
        elif kind == "R":
            wrong = numbers[:1] if not there else []
        elif kind == "C":
            wrong = missing if numbers[0] in there else []
        else:
            wrong = numbers[1:2] if numbers[0] in there and len(there) == 1 else []
        for number in wrong:
            spec = specs[number - 1]
            if spec.use == "R" and code is codes.ELEMENT_CONDITIONAL:
                continue  # told as missing already
            yield self._element(code, where.part(spec) if composite else where.at(spec), note)


class _Where:
    """The place of an element."""

    __slots__ = ("component", "element", "loop", "number", "reference", "repetition", "segment")

    def __init__(self, segment: str, number: int, loop: str, spec: ElementSpec | None, element: int = 0) -> None:
        self.segment, self.number, self.loop = segment, number, loop
        self.element = spec.number if spec is not None else element
        self.reference = spec.reference if spec is not None else ""
        self.component = self.repetition = 0

    def _copy(self) -> _Where:
        other = _Where(self.segment, self.number, self.loop, None, self.element)
        other.reference, other.component, other.repetition = self.reference, self.component, self.repetition
        return other

    def part(self, spec: ElementSpec) -> _Where:
        """A component of this element."""
        other = self._copy()
        other.component, other.reference = spec.number, spec.reference
        return other

    def at(self, spec: ElementSpec) -> _Where:
        """Another element of this segment."""
        other = self._copy()
        other.element, other.reference = spec.number, spec.reference
        return other

    def repeated(self, number: int) -> _Where:
        """A repetition of this element."""
        other = self._copy()
        other.repetition = number
        return other


def _traces(loop: Loop, trace: str) -> Iterator[tuple[int, str]]:
    """From which segment on which trace number (TRN02) stands for what is asked about."""
    own = next((segment.element(2) for segment in loop.segments if segment.id == "TRN"), trace)
    if loop.numbers:
        yield loop.numbers[0], own
    for inner in loop.loops:
        yield from _traces(inner, own)


def _levels(loop: Loop, parent: Loop | None) -> Iterator[tuple[Loop, Loop | None]]:
    for inner in loop.loops:
        if inner.segments and inner.segments[0].id == "HL":
            yield inner, parent
            yield from _levels(inner, inner)
        else:
            yield from _levels(inner, parent)


def _is_name(text: str) -> bool:
    return 2 <= len(text) <= 3 and text.isascii() and text.isalnum() and text[0].isalpha() and text.isupper()


@lru_cache(maxsize=512)
def _known(reference: str) -> frozenset[str]:
    """Every code that any of our guides has for a data element."""
    found: set[str] = set()
    for name in names():
        each = guide(name)
        assert each is not None
        for loop in (each.root, *(loop for _, loop in each.root.below())):
            for segment in loop.segments():
                for element in segment.elements:
                    for spec in (element, *element.parts):
                        if spec.reference == reference:
                            found |= spec.codes
    return frozenset(found)
