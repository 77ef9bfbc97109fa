"""X12 for the mapping language: paths such as ``2110C(*)/EB-03(*)``, checked by the guide.

Satisfies ``mapper.format.Format`` structurally. A path is resolved once into functions that walk a `View` (a loop
of a message with what was looked up in it), a list of components, or, when writing, a `Draft`.

X12 has no escapes. Inside the house a value may hold any character: where it holds one of our separators, that is
kept as a private character (`_IN`), and delimiters that do not occur in the data are chosen when a message is
finished (X08).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from canonical.findings import Rejection, Severity, declare, finding
from canonical.paths import Cells, PathError, Spot
from connectors.x12.build import Party, Stamp, gs, interchange, isa
from connectors.x12.delimiters import STANDARD, Delimiters, choose_delimiters
from connectors.x12.edi import Message, Segment, TransactionSet, parse
from connectors.x12.elements import qualifier_of
from connectors.x12.guide import FORMAT_QUALIFIER, PERIOD, ElementSpec, Guide, LoopSpec, SegmentSpec, dictionary
from connectors.x12.guide import base as base_of
from connectors.x12.guide import guide as guide_of
from connectors.x12.guide import names as guide_names
from connectors.x12.loops import Loop, places, walk

WRONG_SET: Final = declare(
    "x12.wrong_set", Severity.FATAL,
    "The message has no transaction set of the kind this table is for",
    "Check the channel's mapping: it is chosen by the message type (ST01, for a 278 with BHT02).")

Parts: TypeAlias = list[str]
_COMPONENT: Final = STANDARD.component
_REPETITION: Final = STANDARD.repetition
#: Our separators inside values, as private characters.
_IN: Final = {ord(mark): chr(0xE000 + ord(mark)) for mark in (_COMPONENT, _REPETITION)}
_OUT: Final = {0xE000 + ord(mark): mark for mark in (_COMPONENT, _REPETITION)}
_PRIVATE: Final = re.compile(f"[{''.join(map(chr, _OUT))}]")
_SEPARATOR: Final = re.compile(f"[{_COMPONENT}{_REPETITION}]")
_CLEAR: Final = "\ue000clear"
_ENVELOPE: Final = ("ISA", "GS")
#: What is written by counting, not by rows, and read by nobody.
_COUNTED: Final = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA", "HL", "LS", "LE"})
_BOUNDED: Final = {"LS": "LE"}

_STEP: Final = re.compile(r"(?P<loop>\d{4}[A-Z]{0,2})(?:\((?P<arg>[^()]*)\))?(?:/|\Z)")
_SEGMENT: Final = re.compile(r"(?P<name>[A-Z][A-Z0-9]{1,2})(?:\((?P<arg>[^()]*)\))?"
                             r"(?:-(?P<element>\d{1,2})(?:\((?P<rep>\d+|\*)\))?(?:\.(?P<comp>\d+))?)?\Z")
_RELATIVE: Final = re.compile(r"(?P<element>\d{1,2})(?:\((?P<rep>\d+|\*)\))?(?:\.(?P<comp>\d+))?\Z")
_CONDITION: Final = re.compile(r"(?:(?P<segment>[A-Z][A-Z0-9]{1,2})-)?(?P<element>\d{1,2})(?:\.(?P<comp>\d+))?"
                               r"\s*=\s*(?P<value>.*)\Z")


# -- nodes --------------------------------------------------------------------------------------------------


class View:
    """A loop (or one segment of it) that rows start from; remembers the segments looked up in it."""

    __slots__ = ("found", "loop", "only")

    def __init__(self, loop: Loop, only: Segment | None = None) -> None:
        self.loop = loop
        self.only = only
        """Where rows start from a segment: that one."""
        self.found: dict[str, Sequence[str]] = {}


class Draft:
    """A loop being written. `only` as in a view."""

    __slots__ = ("loops", "only", "segments", "spec")

    def __init__(self, spec: LoopSpec, only: Segment | None = None) -> None:
        self.spec = spec
        self.segments: list[Segment] = []
        self.loops: list[Draft] = []
        self.only = only


class _Pick(msgspec.Struct, frozen=True):
    """What stands in the brackets of a step: conditions, a position, ``*``."""

    conditions: tuple[tuple[str, int, int, str], ...] = ()
    """(segment or empty for the opening one, element, component, value)"""
    number: int = 0
    many: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is simply the first."""
        return not self.conditions and not self.many and self.number <= 1


_FIRST: Final = _Pick()


def _pick(text: str | None, column: int) -> _Pick:
    if text is None:
        return _FIRST
    many, number, conditions = False, 0, []
    for part in re.split(r"\s+&\s+", text.strip()):
        match = _CONDITION.match(part)
        if part == "*":
            many = True
        elif part.isdecimal() and int(part):
            number = int(part)
        elif match is not None:
            conditions.append((match["segment"] or "", int(match["element"]), int(match["comp"] or 0),
                               match["value"].strip()))
        else:
            raise PathError(f"({text}) is not a position, * or 01=VALUE", column=column,
                            hint="REF(01=SY)-02, 2110C(EB-01=B & *), EB(2)-03")
    return _Pick(tuple(conditions), number, many)


def _value(segment: Segment, element: int, component: int) -> str:
    raw = segment.element(element)
    if component:
        parts = raw.split(_COMPONENT)
        return parts[component - 1] if component <= len(parts) else ""
    return raw


def _put(segment: Segment, element: int, component: int, value: str) -> None:
    if component:
        parts = segment.element(element).split(_COMPONENT)
        _set_part(parts, component, value)
        value = _COMPONENT.join(parts)
    segment.set(element, value)


def _set_part(parts: Parts, component: int, value: str) -> None:
    if component > len(parts):
        parts.extend([""] * (component - len(parts)))
    parts[component - 1] = value


def _joined(at: str, name: str, number: int) -> str:
    text = f"{name}({number})" if number > 1 else name
    return f"{at}/{text}" if at else text


# -- the way to segments ------------------------------------------------------------------------------------


class _Step(msgspec.Struct, frozen=True):
    """One loop of a path. It is looked for at any depth; `chain` is how a draft gets there."""

    loop: str
    pick: _Pick
    chain: tuple[LoopSpec, ...]

    def loops(self, loop: Loop) -> list[Loop]:
        """The loops meant, below `loop`."""
        found = loop.find(self.loop)
        pick = self.pick
        if pick.conditions:
            found = [each for each in found if _matches(each.segments, pick)]
        if pick.many:
            return found
        return found[max(pick.number - 1, 0):][:1]

    def drafts(self, draft: Draft) -> list[Draft]:
        """The loops meant, in a draft: for conditions, which are tested against what is written already."""
        found = [draft]
        for spec in self.chain:
            found = [inner for outer in found for inner in outer.loops if inner.spec is spec]
        pick = self.pick
        if pick.conditions:
            found = [each for each in found if _matches(each.segments, pick)]
        return found if pick.many else found[max(pick.number - 1, 0):][:1]

    def located(self, loop: Loop, at: str) -> list[tuple[Loop, str]]:
        """The same, each with its place."""
        wanted = {id(each) for each in self.loops(loop)}
        return [(each, place) for each, place in places(loop, at) if id(each) in wanted and each is not loop]

    def open(self, draft: Draft, *, new: bool = False) -> Draft:
        """The loop meant in a draft, made where it is not there; `new`: another one."""
        for spec in self.chain[:-1]:
            there = next((each for each in draft.loops if each.spec is spec), None)
            if there is None:
                there = Draft(spec)
                draft.loops.append(there)
            draft = there
        spec, pick = self.chain[-1], self.pick
        found = [] if new else [each for each in draft.loops if each.spec is spec
                                and (not pick.conditions or _matches(each.segments, pick))]
        wanted = max(pick.number, 1)
        while len(found) < wanted:
            made = Draft(spec)
            _fulfil(made, spec.opening.id, pick)
            draft.loops.append(made)
            found.append(made)
        return found[wanted - 1]


def _matches(segments: Sequence[Segment], pick: _Pick) -> bool:
    return all(any(_value(segment, element, component) == value for segment in segments
                   if segment.id == (name or segments[0].id))
               for name, element, component, value in pick.conditions) if segments else False


def _fulfil(draft: Draft, opening: str, pick: _Pick) -> None:
    for name, element, component, value in pick.conditions:
        _put(_segment_of(draft, name or opening), element, component, value)


def _segment_of(draft: Draft, name: str) -> Segment:
    for segment in draft.segments:
        if segment.id == name:
            return segment
    made = new(name)
    draft.segments.append(made)
    return made


def new(name: str) -> Segment:
    """An empty segment."""
    return Segment(name, None, STANDARD.element, STANDARD.segment, [name])


class _Where:
    """The way to segments: loops, a segment name and which of them. An empty name means the loops themselves."""

    def __init__(self, steps: tuple[_Step, ...], name: str, pick: _Pick) -> None:
        self.steps, self.name, self.pick = steps, name, pick
        self.simple = pick.plain and all(step.pick.plain for step in steps)
        self.key = "/".join((*(step.loop for step in steps), name))

    def elements(self, view: View | Draft) -> Sequence[str]:
        """The elements of the first segment; for paths that mean one."""
        if isinstance(view, Draft):
            return next((segment.elements for segment in self.segments(view)), ())
        found = view.found.get(self.key)
        if found is None:
            segments = self.segments(view)
            found = view.found[self.key] = segments[0].elements if segments else ()
        return found

    def loops(self, view: View) -> list[Loop]:
        """The loops along the way."""
        found = [view.loop]
        for step in self.steps:
            found = [inner for loop in found for inner in step.loops(loop)]
        return found

    def segments(self, view: View | Draft) -> list[Segment]:
        """The segments meant."""
        if view.only is not None and not self.steps and view.only.id == self.name:
            return [view.only]
        if isinstance(view, Draft):
            drafts = [view]
            for step in self.steps:
                drafts = [inner for outer in drafts for inner in step.drafts(outer)]
            return [segment for draft in drafts for segment in self._of(draft)]
        found: list[Segment] = []
        for loop in self.loops(view):
            found += self._of(loop)
        return found

    def _of(self, loop: Loop | Draft) -> list[Segment]:
        name, pick = self.name, self.pick
        found = [segment for segment in loop.segments if segment.id == name]
        if pick.conditions:
            found = [segment for segment in found if _fits(segment, pick)]
        if pick.many:
            return found
        return found[max(pick.number - 1, 0):][:1]

    def located(self, view: View, at: str) -> list[tuple[Segment, str]]:
        """The segments meant, with their places."""
        if view.only is not None and not self.steps and view.only.id == self.name:
            return [(view.only, at or self.name)]
        loops = [(view.loop, at)]
        if view.only is not None:
            loops = [(view.loop, at.rpartition("/")[0])]
        for step in self.steps:
            loops = [inner for loop, place in loops for inner in step.located(loop, place)]
        found = []
        for loop, place in loops:
            wanted = {id(segment) for segment in self._of(loop)}
            found += [(segment, inner) for segment, inner in _numbered(loop, place) if id(segment) in wanted]
        return found

    def open(self, draft: Draft, *, added: bool = False) -> Segment:
        """The segment meant in a draft, made where it is not there. `added`: another one at the last ``*``."""
        if draft.only is not None and not self.steps and draft.only.id == self.name:
            return draft.only
        again = added and not self.pick.many
        last = max((number for number, step in enumerate(self.steps) if step.pick.many), default=-1) if again else -1
        for number, step in enumerate(self.steps):
            draft = step.open(draft, new=number == last)
        pick, name = self.pick, self.name
        found = [] if added and pick.many else [segment for segment in draft.segments if segment.id == name
                                                and (not pick.conditions or _fits(segment, pick))]
        wanted = max(pick.number, 1)
        while len(found) < wanted:
            made = new(name)
            for _, element, component, value in pick.conditions:
                _put(made, element, component, value)
            draft.segments.append(made)
            found.append(made)
        return found[wanted - 1]


def _fits(segment: Segment, pick: _Pick) -> bool:
    return all(_value(segment, element, component) == value for _, element, component, value in pick.conditions)


def _numbered(loop: Loop, at: str) -> Iterator[tuple[Segment, str]]:
    numbers: dict[str, int] = {}
    for segment in loop.segments:
        number = numbers[segment.id] = numbers.get(segment.id, 0) + 1
        yield segment, _joined(at, segment.id, number)


# -- paths --------------------------------------------------------------------------------------------------


class _Path:
    """What all paths have."""

    def __init__(self, text: str, wire_type: str, kind: str, *, repeats: bool) -> None:
        self.text = text
        self.wire_type = wire_type
        self.kind = kind
        self.repeats = repeats
        self.container = kind == "container"
        self.whole = False
        self.partial = False
        self.cells: Cells | None = None
        self.spot: Spot | None = None
        self.first: Callable[[Any], Any] = _unused
        self.every: Callable[[Any], Sequence[Any]] = _unused
        self.put: Callable[[Any, Any], None] = _unused
        self.add: Callable[[Any, Any], None] = _unused
        self.child: Callable[[Any], Any] = _unused

    def tested(self, node: Any, at: str) -> list[str]:
        """See ``mapper.format.Path``."""
        return []


def _unused(*_: Any) -> Any:
    raise TypeError("this kind of path cannot be used so")


class PartPath(_Path):
    """A component of a composite, in a data-type table: ``2``."""

    def __init__(self, text: str, spec: ElementSpec) -> None:
        super().__init__(text, spec.type, "leaf", repeats=False)
        self.partial = True
        self._number = number = spec.number
        index = number - 1
        self.first = lambda parts: parts[index] if index < len(parts) else ""
        self.every = lambda parts: [parts[index]] if index < len(parts) and parts[index] else []
        self.put = self.add = lambda parts, raw: _set_part(parts, number, raw) if raw else None
        self.cells = Cells("", None, index, None, "")

    def located(self, node: Parts, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        raw = self.first(node)
        return [(raw, f"{at}.{self._number}")] if raw else []

    def inside(self) -> PartShape:
        """See ``mapper.format.Path``."""
        return PartShape(self.wire_type, ())


class ElementPath(_Path):
    """An element, a component of one, or one end of a period."""

    def __init__(self, text: str, where: _Where, spec: ElementSpec, rep: str, comp: int) -> None:
        self._period = spec.reference == PERIOD
        inner = spec.parts[comp - 1] if comp and spec.parts else spec
        kind = "composite" if spec.parts and not comp else "leaf"
        wire_type = spec.reference if kind == "composite" else "DT" if self._period or inner.reference == PERIOD \
            else inner.type
        many = rep == "*" or where.pick.many or any(step.pick.many for step in where.steps)
        super().__init__(text, wire_type, kind, repeats=many)
        self._where, self._number, self._rep, self._comp = where, spec.number, rep, comp
        self._spec = spec
        self.whole = self._period and not comp
        self.partial = comp > 0
        cut = self._cutter(comp)
        self._cut = cut
        if where.simple and rep != "*":
            position = int(rep or 1)
            if position == 1 and not comp and not self._period:
                marks = _REPETITION if spec.repeats else ""
                self.cells = Cells(where.key, where.elements, spec.number,
                                   (lambda raw: raw[:raw.index(_REPETITION)]) if marks else None, marks)
            else:
                self.cells = Cells(where.key, where.elements, spec.number, lambda raw: cut(_rep(raw, position)), "")
        self.first = self._first
        self.every = self._every
        self.put, self.add = self._put, self._add

    def _cutter(self, comp: int) -> Callable[[str], str]:
        """From one repetition to the raw at this path."""
        if self._period:
            return _start if comp <= 1 else _end
        if not comp:
            return lambda raw: raw
        index = comp - 1

        def component(raw: str) -> str:
            parts = raw.split(_COMPONENT)
            return parts[index] if index < len(parts) else ""

        return component

    def _reps(self, raw: str) -> list[tuple[int, str]]:
        if not raw:
            return []
        if self._rep == "*":
            return [(number, each) for number, each in enumerate(raw.split(_REPETITION), 1) if each]
        number = int(self._rep or 1)
        return [(number, _rep(raw, number))]

    def _first(self, view: View | Draft) -> str:
        if self._where.simple:
            elements = self._where.elements(view)
            raw = elements[self._number] if self._number < len(elements) else ""
            return next((found for _, each in self._reps(raw) if (found := self._cut(each))), "")
        return next(iter(self._every(view)), "")

    def _every(self, view: View | Draft) -> list[str]:
        number, cut = self._number, self._cut
        return [found for segment in self._where.segments(view) for _, raw in self._reps(segment.element(number))
                if (found := cut(raw))]

    def located(self, node: View, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        found = []
        for segment, place in self._where.located(node, at):
            for rep, raw in self._reps(segment.element(self._number)):
                if each := self._cut(raw):
                    found.append((each, f"{place}-{self._number:02d}{self._suffix(raw, rep)}"))
        return found

    def _suffix(self, raw: str, rep: int) -> str:
        index = f"({rep})" if rep > 1 else ""
        if not self._comp or (self._period and "-" not in raw):
            return index
        return f"{index}.{self._comp}"

    def tested(self, node: View, at: str) -> list[str]:
        """See ``mapper.format.Path``: what the conditions look at."""
        conditions = self._where.pick.conditions
        if not conditions:
            return []
        return [f"{place}-{element:02d}{f'.{component}' if component else ''}"
                for segment, place in self._where.located(node, at) for _, element, component, _ in conditions]

    def inside(self) -> PartShape:
        """See ``mapper.format.Path``."""
        return PartShape(self._spec.reference, self._spec.parts)

    def _put(self, draft: Draft, raw: str) -> None:
        if raw:
            self._write(self._where.open(draft), raw, int(self._rep) if self._rep.isdecimal() else 1)

    def _add(self, draft: Draft, raw: str) -> None:
        if not raw:
            return
        if self._rep == "*":
            segment = self._where.open(draft)
            there = segment.element(self._number)
            self._write(segment, raw, there.count(_REPETITION) + 2 if there else 1)
        else:
            self._write(self._where.open(draft, added=True), raw, 1)

    def _write(self, segment: Segment, raw: str, rep: int) -> None:
        there = segment.element(self._number)
        if self._period:
            start, dash, end = there.partition("-")
            if self._comp == 1:
                raw = f"{raw}{dash}{end}"
            elif self._comp == 2:
                raw = f"{start}-{raw}"
            segment.set(self._number - 1, qualifier_of(raw))
        elif self._comp:
            parts = _rep(there, rep).split(_COMPONENT)
            _set_part(parts, self._comp, raw)
            raw = _COMPONENT.join(parts).rstrip(_COMPONENT)
        reps = there.split(_REPETITION) if there else [""]
        if rep > len(reps):
            reps.extend([""] * (rep - len(reps)))
        reps[rep - 1] = raw
        segment.set(self._number, _REPETITION.join(reps))


def _start(raw: str) -> str:
    return raw[:raw.index("-")] if "-" in raw else raw


def _end(raw: str) -> str:
    return raw[raw.index("-") + 1:] if "-" in raw else ""


def _rep(raw: str, number: int) -> str:
    if _REPETITION not in raw:
        return raw if number == 1 else ""
    reps = raw.split(_REPETITION)
    return reps[number - 1] if number <= len(reps) else ""


class ContainerPath(_Path):
    """Loops or segments that rows under ``each`` start from."""

    def __init__(self, text: str, where: _Where, shape: LoopShape) -> None:
        super().__init__(text, "", "container", repeats=True)
        self._where, self._shape = where, shape
        self.every = self._every
        self.first = lambda view: next(iter(self._every(view)), "")
        self.child = self._child

    def _every(self, view: View) -> list[View]:
        where = self._where
        if not where.name:
            return [View(loop) for loop in where.loops(view)]
        return [View(loop, segment) for loop in where.loops(view) for segment in where._of(loop)]

    def located(self, node: View, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        where = self._where
        loops = [(node.loop, at)]
        for step in where.steps:
            loops = [inner for loop, place in loops for inner in step.located(loop, place)]
        if not where.name:
            return [(View(loop), place) for loop, place in loops]
        found = []
        for loop, place in loops:
            wanted = {id(segment) for segment in where._of(loop)}
            found += [(View(loop, segment), inner) for segment, inner in _numbered(loop, place) if id(segment) in wanted]
        return found

    def tested(self, node: View, at: str) -> list[str]:
        """See ``mapper.format.Path``: what the conditions of the last step look at."""
        where = self._where
        pick = where.pick if where.name else where.steps[-1].pick
        found = []
        for view, place in self.located(node, at) if pick.conditions else ():
            for name, element, component, _ in pick.conditions:
                suffix = f"-{element:02d}{f'.{component}' if component else ''}"
                if where.name:
                    found.append(place + suffix)
                else:
                    found.append(f"{place}/{name or view.loop.segments[0].id}{suffix}")
        return found

    def inside(self) -> LoopShape:
        """See ``mapper.format.Path``."""
        return self._shape

    def _child(self, draft: Draft) -> Draft:
        where = self._where
        steps, name = where.steps, where.name
        for number, step in enumerate(steps):
            draft = step.open(draft, new=not name and number == len(steps) - 1)
        if not name:
            return draft
        segment = new(name)
        for _, element, component, value in where.pick.conditions:
            _put(segment, element, component, value)
        draft.segments.append(segment)
        inner = Draft(draft.spec, segment)
        inner.segments, inner.loops = draft.segments, draft.loops
        return inner


# -- shapes -------------------------------------------------------------------------------------------------


class PartShape:
    """Inside a composite: components by number."""

    def __init__(self, name: str, parts: tuple[ElementSpec, ...]) -> None:
        self._name, self._parts = name, parts

    def path(self, text: str) -> PartPath:
        """Resolve ``2``. Raises PathError."""
        if not text.isdecimal() or not 0 < int(text) <= len(self._parts):
            hint = f"components 1 to {len(self._parts)}" if self._parts else f"{self._name} is a plain value"
            raise PathError(f"{self._name} has no component {text}", hint=hint)
        return PartPath(text, self._parts[int(text) - 1])


class LoopShape:
    """A transaction set, a loop, or a segment of one."""

    def __init__(self, guide: Guide, spec: LoopSpec, declared: Mapping[str, tuple[ElementSpec, ...]],
                 segment: str = "") -> None:
        self._guide, self._spec, self._declared, self._segment = guide, spec, declared, segment

    def path(self, text: str) -> ElementPath | ContainerPath:
        """Resolve a path written from here. Raises PathError."""
        relative = _RELATIVE.match(text) if self._segment else None
        if relative is not None:
            where = _Where((), self._segment, _FIRST)
            return self._element(text, where, relative["element"], relative["rep"] or "", relative["comp"], 0)
        steps: list[_Step] = []
        spec = self._spec
        column = 0
        while (match := _STEP.match(text, column)) is not None:
            chain = self._chain(spec, match["loop"], column)
            steps.append(_Step(match["loop"], _pick(match["arg"], column), chain))
            spec = chain[-1]
            column = match.end()
        if column == len(text) and steps and not text.endswith("/"):
            last = steps[-1]
            if last.pick.plain and not last.pick.number:
                steps[-1] = msgspec.structs.replace(last, pick=_Pick(many=True))
            return ContainerPath(text, _Where(tuple(steps), "", _FIRST), LoopShape(self._guide, spec, self._declared))
        match = _SEGMENT.match(text, column)
        if match is None:
            raise PathError(f"{text} is not an X12 path", column=column,
                            hint="LOOP/SEGMENT-ELEMENT.COMPONENT, as in 2100C/NM1-03, 2110C(*)/EB-13.2, REF(01=SY)-02")
        name = match["name"]
        if self._segment and not steps and name == self._segment:
            pass
        elif not self._here(spec, name):
            chain = self._holder(spec, name, column)
            if chain:
                steps.append(_Step(chain[-1].id, _FIRST, chain))
                spec = chain[-1]
        pick = _pick(match["arg"], column)
        where = _Where(tuple(steps), name, pick)
        if match["element"] is None:
            return ContainerPath(text, where, LoopShape(self._guide, spec, self._declared, name))
        return self._element(text, where, match["element"], match["rep"] or "", match["comp"], match.start("element"))

    def _here(self, spec: LoopSpec, name: str) -> bool:
        return name in self._declared or any(each.id == name for each in spec.segments()) or (
            spec is self._guide.root and name in _ENVELOPE)

    def _chain(self, spec: LoopSpec, name: str, column: int) -> tuple[LoopSpec, ...]:
        """How to get from a loop to one inside it: the shortest way where there are several."""
        ways = [way for way, _ in spec.below() if way[-1] == name]
        if not ways:
            known = list(dict.fromkeys(way[-1] for way, _ in spec.below()))
            near = get_close_matches(name, known, n=1, cutoff=0.6)
            place = f"loop {spec.id}" if spec.id else self._guide.name
            raise PathError(f"there is no loop {name} in {place}", column=column,
                            hint=f"did you mean {near[0]}?" if near else f"loops here: {', '.join(known) or 'none'}")
        return self._specs(spec, min(ways, key=len))

    @staticmethod
    def _specs(spec: LoopSpec, way: Sequence[str]) -> tuple[LoopSpec, ...]:
        found = []
        for name in way:
            spec = next(each for each in spec.loops() if each.id == name)
            found.append(spec)
        return tuple(found)

    def _holder(self, spec: LoopSpec, name: str, column: int) -> tuple[LoopSpec, ...]:
        """The one loop below that has a segment."""
        ways = {way[-1]: way for way, loop in sorted(spec.below(), key=lambda pair: -len(pair[0]))
                if any(each.id == name for each in loop.segments())}
        place = f"loop {spec.id}" if spec.id else self._guide.name
        if len(ways) == 1:
            return self._specs(spec, next(iter(ways.values())))
        if ways:
            raise PathError(f"{name} is in several loops of {place}", column=column,
                            hint=f"name one of {', '.join(f'{loop}/{name}' for loop in sorted(ways))}")
        known = list(dict.fromkeys(each.id for _, loop in spec.below() for each in loop.segments()))
        known += [each.id for each in spec.segments()]
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        raise PathError(f"there is no segment {name} in {place}", column=column,
                        hint=f"did you mean {near[0]}?" if near else "a payer's own segment is declared under segments")

    def _element(self, text: str, where: _Where, element: str, rep: str, comp: str | None, column: int) -> ElementPath:
        name, number = where.name, int(element)
        specs = self._declared.get(name) or dictionary().segment(name)[0]
        if not 0 < number <= len(specs):
            raise PathError(f"{name} has no element {number:02d}", column=column,
                            hint=f"{name} has elements 01 to {len(specs):02d}")
        spec = specs[number - 1]
        component = int(comp or 0)
        limit = 2 if spec.reference == PERIOD else len(spec.parts)
        if comp and not 0 < component <= limit:
            raise PathError(f"{name}-{number:02d} has no component {component}", column=column,
                            hint=f"components 1 to {limit}" if limit else f"{spec.name} is a plain value")
        if rep and not spec.repeats:
            raise PathError(f"{name}-{number:02d} does not repeat", column=column, hint=spec.name)
        return ElementPath(text, where, spec, rep, component)


# -- the format ---------------------------------------------------------------------------------------------


class X12Format:
    """X12 as ``mapper.format.Format``. Structures are named as guides: ``271``, ``278-response``."""

    family: Final = "x12"
    absent: Final = ""
    clear: Final = _CLEAR
    can_clear: Final = False

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
        return _read_text, _write_text

    def marked(self, wire_type: str) -> Callable[[str], object] | None:
        """See ``mapper.format.Format``."""
        return _SEPARATOR.search

    def number(self, wire_type: str) -> Callable[[int], str]:
        """See ``mapper.format.Format``."""
        return str

    def decode(self, raw: bytes) -> Message:
        """See ``mapper.format.Format``."""
        return parse(raw)

    def open(self, raw: str) -> Parts:
        """See ``mapper.format.Format``."""
        return raw.split(_COMPONENT)

    def new(self, wire_type: str) -> Parts:
        """See ``mapper.format.Format``."""
        return [""]

    def close(self, node: Parts) -> str:
        """See ``mapper.format.Format``."""
        return _COMPONENT.join(node).rstrip(_COMPONENT)

    def root(self, wire: Message, name: str) -> View:
        """See ``mapper.format.Format``: the first set of that kind in the message."""
        found = _guide(name)
        each = next((each for each in wire.sets() if each.id == found.set), None)
        if each is None:
            raise Rejection(finding(WRONG_SET, at="ST-01", detail=f"no {found.set}"))
        tree = walk(_normal(each), found)
        root = tree.root
        root.segments[:0] = [segment for segment in (each.interchange.header, each.group) if segment is not None]
        return View(root)

    def draft(self, name: str) -> Draft:
        """See ``mapper.format.Format``."""
        return Draft(_guide(name).root)

    def finish(self, node: Draft, name: str, set_ids: Sequence[str]) -> Message:
        """See ``mapper.format.Format``. HL, LS and LE, counts, codes without a choice and format qualifiers are
        written here; numbers and times of the envelope by ``build.seal`` when it is sent."""
        return _Finisher(_guide(name)).message(node)

    def leaves(self, wire: Message, name: str) -> list[str]:
        """See ``mapper.format.Format``: everything but the envelope, HL, LS and LE, and what goes without saying
        (a code the guide leaves no choice for, the format qualifier of a period)."""
        root = self.root(wire, name).loop
        found = []
        for loop, at in places(root):
            specs = dict(zip(map(id, loop.segments[-len(loop.specs):] if loop.specs else ()), loop.specs, strict=False))
            for segment, place in _numbered(loop, at):
                if segment.id not in _COUNTED:
                    found += list(_leaves(segment, specs.get(id(segment)), place))
        return found


def _leaves(segment: Segment, spec: SegmentSpec | None, place: str) -> Iterator[str]:
    standard = spec.elements if spec is not None else dictionary().segment(segment.id)[0]
    for number, raw in enumerate(segment.elements[1:], 1):
        element = standard[number - 1] if number <= len(standard) else None
        if not raw or (element is not None and (_fixed(element) == raw or element.reference == FORMAT_QUALIFIER)):
            continue
        for rep, each in enumerate(raw.split(_REPETITION), 1):
            at = f"{place}-{number:02d}{f'({rep})' if rep > 1 else ''}"
            if element is not None and element.reference == PERIOD:
                yield from (f"{at}.{end}" for end in (1, 2)) if "-" in each else (at,)
            elif _COMPONENT in each or (element is not None and element.parts):
                yield from (f"{at}.{comp}" for comp, part in enumerate(each.split(_COMPONENT), 1) if part)
            elif each:
                yield at


def _fixed(element: ElementSpec) -> str:
    """The code of a required element for which the guide has only one; empty where there is a choice."""
    return next(iter(element.codes)) if element.use == "R" and len(element.codes) == 1 else ""


@lru_cache(maxsize=64)
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


def _read_text(raw: str) -> str:
    return (raw.translate(_OUT) if _PRIVATE.search(raw) else raw).strip(" ")


def _write_text(value: str) -> str:
    return value.translate(_IN)


def _normal(each: TransactionSet) -> TransactionSet:
    """The same set with our separators; a value that holds one of ours keeps it as a private character."""
    given = each.interchange.delimiters
    if (given.component, given.repetition) == (_COMPONENT, _REPETITION):
        return each
    segments = []
    for segment in each.segments:
        values = []
        for raw in segment.elements:
            reps = raw.split(given.repetition) if given.repetition else [raw]
            values.append(_REPETITION.join(
                _COMPONENT.join(part.translate(_IN) for part in
                                (rep.split(given.component) if given.component else [rep])) for rep in reps))
        segments.append(Segment(segment.id, None, STANDARD.element, STANDARD.segment, values))
    return TransactionSet(msgspec.structs.replace(each.interchange, delimiters=STANDARD), each.group, segments)


class _Finisher:
    """Turns a draft into a message."""

    def __init__(self, guide: Guide) -> None:
        self._guide = guide
        self._level = 0

    def message(self, draft: Draft) -> Message:
        """ISA to IEA, not yet sealed."""
        guide = self._guide
        body: list[Segment] = []
        headers = {segment.id: segment for segment in draft.segments if segment.id in _ENVELOPE}
        draft.segments = [segment for segment in draft.segments if segment.id not in (*_ENVELOPE, "SE", "ST")]
        _settle(draft)
        self._loop(draft, "", body)
        start = new("ST")
        start.set(1, guide.set)
        start.set(2, "0001")
        start.set(3, guide.convention)
        plain = [*headers.values(), start, *body]
        delimiters = choose_delimiters(part for segment in plain for part in _texts(segment))
        given, group = headers.get("ISA", new("ISA")), headers.get("GS", new("GS"))
        stamp = Stamp(interchange=1, date="00000000", time="0000")
        us = Party(given.element(6).strip(), given.element(5) or "ZZ", group.element(2))
        them = Party(given.element(8).strip(), given.element(7) or "ZZ", group.element(3))
        head = isa(us, them, stamp, delimiters, usage=given.element(15), acknowledge=given.element(14) == "1")
        for number in (1, 2, 3, 4):
            if given.element(number):
                head.set(number, given.element(number).ljust(2 if number in (1, 3) else 10))
        segments = [head, gs(group.element(1) or guide.group, us, them, stamp, group.element(8) or guide.convention, 1,
                             delimiters)]
        segments += [_external(segment, delimiters) for segment in (start, *body)]
        return Message([interchange(segments, delimiters)], "utf-8")

    def _loop(self, draft: Draft, parent: str, out: list[Segment]) -> None:
        spec = draft.spec
        opening = spec.opening if spec.id else None
        hierarchical = opening is not None and opening.id == "HL"
        own = parent
        if hierarchical:
            self._level += 1
            own = str(self._level)
            head = new("HL")
            uses = [element.use for element in spec.opening.elements]
            children = any(each.spec.opening.id == "HL" for each in draft.loops)
            for number, text in enumerate((own, parent, spec.level, "1" if children else "0"), 1):
                if uses[number - 1] != "N":
                    head.set(number, text)
            draft.segments = [head, *(segment for segment in draft.segments if segment.id != "HL")]
        elif opening is not None and not any(segment.id == opening.id for segment in draft.segments):
            draft.segments.insert(0, new(opening.id))
        placed = _placed(draft)
        for item in spec.items:
            if isinstance(item, SegmentSpec):
                if item.id in _BOUNDED or item.id in _BOUNDED.values():
                    if any(each.spec.id.startswith(code) for code in item.elements[0].codes for each in draft.loops):
                        bound = new(item.id)
                        bound.set(1, _fixed(item.elements[0]))
                        out.append(bound)
                    continue
                for segment in placed.pop(id(item), ()):
                    _complete(segment, item)
                    out.append(segment)
            else:
                for each in draft.loops:
                    if each.spec is item:
                        self._loop(each, own, out)
        for rest in placed.values():
            out.extend(rest)


def _placed(draft: Draft) -> dict[int, list[Segment]]:
    """Which line of the guide each segment is; by its key, then by its name; what has no line comes last."""
    specs = list(draft.spec.segments())
    found: dict[int, list[Segment]] = {}
    for segment in draft.segments:
        same = [spec for spec in specs if spec.id == segment.id]
        exact = [spec for spec in same if not spec.keys or _value(segment, *spec.key) in spec.keys]
        found.setdefault(id((exact or same)[0]) if same else 0, []).append(segment)
    return found


def _complete(segment: Segment, spec: SegmentSpec) -> None:
    """Codes that the guide leaves no choice for."""
    for element in spec.elements:
        if (code := _fixed(element)) and not segment.element(element.number) and element.reference != FORMAT_QUALIFIER:
            segment.set(element.number, code)
        elif element.parts and segment.element(element.number):
            for part in element.parts:
                if (code := _fixed(part)) and not _value(segment, element.number, part.number):
                    _put(segment, element.number, part.number, code)


def _settle(draft: Draft) -> None:
    """A loop that may stand at two levels (the event of a 278) belongs to the lower one that is there."""
    for each in list(draft.loops):
        lower = next((other for other in draft.loops if other is not each
                      and any(inner.id == each.spec.id for inner in other.spec.loops())), None)
        if lower is not None:
            inner = next(inner for inner in lower.spec.loops() if inner.id == each.spec.id)
            draft.loops.remove(each)
            lower.loops.append(_respec(each, inner))
    for each in draft.loops:
        _settle(each)


def _respec(draft: Draft, spec: LoopSpec) -> Draft:
    moved = Draft(spec)
    moved.segments = draft.segments
    moved.loops = [_respec(each, next(inner for inner in spec.loops() if inner.id == each.spec.id))
                   for each in draft.loops]
    return moved


def _texts(segment: Segment) -> Iterator[str]:
    for raw in segment.elements[1:]:
        for rep in raw.split(_REPETITION):
            yield from (part.translate(_OUT) for part in rep.split(_COMPONENT))


def _external(segment: Segment, delimiters: Delimiters) -> Segment:
    values = [delimiters.repetition.join(
        delimiters.component.join(part.translate(_OUT) for part in rep.split(_COMPONENT))
        for rep in raw.split(_REPETITION)) for raw in segment.elements]
    return Segment(segment.id, None, delimiters.element, delimiters.segment, values)


__all__ = ["Draft", "PathError", "View", "X12Format"]
