"""Resolved X12 paths: parts of a composite, elements of segments, and the loops and segments rows start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from canonical.paths import Cells
from connectors.paths import Condition, Path, ValuePath, nth, numbered, set_nth, with_nth
from connectors.x12.edi import Segment
from connectors.x12.elements import qualifier_of
from connectors.x12.guide import PERIOD, ElementSpec
from connectors.x12.values import COMPONENT, REPETITION, Parts
from connectors.x12.views import Draft, View, new
from connectors.x12.way import Way, state


class PartPath(Path):
    """A component of a composite, in a data-type table: ``2``."""

    def __init__(self, text: str, spec: ElementSpec, shape: Any) -> None:
        super().__init__(text, spec.type, "leaf", shape, repeats=False)
        self.partial = True
        self._number = number = spec.number
        index = number - 1
        self.first = lambda parts: parts[index] if index < len(parts) else ""
        self.every = lambda parts: [parts[index]] if index < len(parts) and parts[index] else []
        self.put = self.add = lambda parts, raw: set_nth(parts, number, raw) if raw else None
        self.cells = Cells("", None, index, None, "")

    def located(self, node: Parts, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        raw = self.first(node)
        return [(raw, f"{at}.{self._number}")] if raw else []


class ElementPath(ValuePath):
    """An element, a component of one, or one end of a period."""

    def __init__(self, text: str, where: Way, spec: ElementSpec, rep: str, comp: int, shape: Any) -> None:
        self._period = spec.reference == PERIOD
        inner = spec.parts[comp - 1] if comp and spec.parts else spec
        kind = "composite" if spec.parts and not comp else "leaf"
        wire_type = spec.reference if kind == "composite" else "DT" if self._period or inner.reference == PERIOD \
            else inner.type
        cut = self._cutter(comp)
        super().__init__(text, wire_type, kind, shape, where, lambda segment: segment.element(spec.number), REPETITION,
                         rep, cut, repeats=rep == "*" or where.many, whole=self._period and not comp)
        self._where, self._number, self._comp = where, spec.number, comp
        self.partial = comp > 0
        if where.simple and rep != "*":
            position = int(rep or 1)
            if position == 1 and not comp and not self._period:
                marks = REPETITION if spec.repeats else ""
                self.cells = Cells(where.key, where.elements, spec.number,
                                   (lambda raw: raw[:raw.index(REPETITION)]) if marks else None, marks)
            else:
                self.cells = Cells(where.key, where.elements, spec.number,
                                   lambda raw: cut(nth(raw, REPETITION, position)), "")
        if where.simple:
            self.first = self._first
        self.put, self.add = self._put, self._add

    def _cutter(self, comp: int) -> Callable[[str], str]:
        """From one repetition to the raw at this path."""
        if self._period:
            return _start if comp <= 1 else _end
        if not comp:
            return lambda raw: raw
        return lambda raw: nth(raw, COMPONENT, comp)

    def _first(self, view: View | Draft) -> str:
        elements = self._where.elements(view)
        raw = elements[self._number] if self._number < len(elements) else ""
        return next((found for _, each in self.reps(raw) if (found := self._cut(each))), "")

    def place(self, at: str, rep: int, raw: str) -> str:
        """See `ValuePath`."""
        part = f".{self._comp}" if self._comp and not (self._period and "-" not in raw) else ""
        return f"{at}-{self._number:02d}{f'({rep})' if rep > 1 else ''}{part}"

    def tested(self, node: View, at: str) -> list[str]:
        """See ``mapper.format.Path``: what the conditions look at."""
        conditions = self._where.pick.conditions
        if not conditions:
            return []
        return [place + _field(condition) for segment, place in self._where.located(node, at)
                for condition in conditions]

    def _put(self, draft: Draft, raw: str) -> None:
        if raw:
            self._write(self._where.open(draft), raw, int(self._rep) if self._rep.isdecimal() else 1)

    def _add(self, draft: Draft, raw: str) -> None:
        if not raw:
            return
        if self._rep == "*":
            segment = self._where.open(draft)
            there = segment.element(self._number)
            self._write(segment, raw, there.count(REPETITION) + 2 if there else 1)
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
            raw = with_nth(nth(there, REPETITION, rep), COMPONENT, self._comp, raw).rstrip(COMPONENT)
        segment.set(self._number, with_nth(there, REPETITION, rep, raw))


def _start(raw: str) -> str:
    return raw[:raw.index("-")] if "-" in raw else raw


def _end(raw: str) -> str:
    return raw[raw.index("-") + 1:] if "-" in raw else ""


def _field(condition: Condition) -> str:
    return f"-{condition.number:02d}{f'.{condition.component}' if condition.component else ''}"


class ContainerPath(Path):
    """Loops or segments that rows under ``each`` start from."""

    def __init__(self, text: str, where: Way, shape: Any) -> None:
        super().__init__(text, "", "container", shape, repeats=True)
        self._where = where
        self.every = self._every
        self.first = lambda view: next(iter(self._every(view)), "")
        self.child = self._child

    def _every(self, view: View) -> list[View]:
        where = self._where
        if not where.name:
            return [View(loop) for loop in where.loops(view)]
        return [View(loop, segment) for loop in where.loops(view) for segment in where.of(loop)]

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
            wanted = {id(segment) for segment in where.of(loop)}
            found += [(View(loop, segment), inner) for segment, inner in numbered(loop.segments, place)
                      if id(segment) in wanted]
        return found

    def tested(self, node: View, at: str) -> list[str]:
        """See ``mapper.format.Path``: what the conditions of the last step look at."""
        where = self._where
        pick = where.pick if where.name else where.steps[-1].pick
        found = []
        for view, place in self.located(node, at) if pick.conditions else ():
            for condition in pick.conditions:
                inner = "" if where.name else f"/{condition.segment or view.loop.segments[0].id}"
                found.append(place + inner + _field(condition))
        return found

    def _child(self, draft: Draft) -> Draft:
        where = self._where
        steps, name = where.steps, where.name
        for number, step in enumerate(steps):
            draft = step.open(draft, new=not name and number == len(steps) - 1)
        if not name:
            return draft
        segment = new(name)
        for condition in where.pick.conditions:
            state(segment, condition)
        draft.segments.append(segment)
        inner = Draft(draft.spec, segment)
        inner.segments, inner.loops = draft.segments, draft.loops
        return inner
