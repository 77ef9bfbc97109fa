"""The way of a path to its segments: down the loops of a transaction set, read or drafted."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from connectors.paths import Condition, Pick, numbered
from connectors.x12.edi import Segment
from connectors.x12.guide import LoopSpec
from connectors.x12.loops import Loop, places
from connectors.x12.values import put_value, value_of
from connectors.x12.views import Draft, View, new


class Step(msgspec.Struct, frozen=True):
    """One loop of a path. It is looked for at any depth; `chain` is how a draft gets there."""

    loop: str
    pick: Pick
    chain: tuple[LoopSpec, ...]

    def loops(self, loop: Loop) -> list[Loop]:
        """The loops meant, below `loop`."""
        return self.pick.of(loop.find(self.loop), _stands_in)

    def drafts(self, draft: Draft) -> list[Draft]:
        """The loops meant, in a draft: for conditions, which are tested against what is written already."""
        found = [draft]
        for spec in self.chain:
            found = [inner for outer in found for inner in outer.loops if inner.spec is spec]
        return self.pick.of(found, _stands_in)

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
                                and all(_stands_in(each, condition) for condition in pick.conditions)]
        wanted = max(pick.number, 1)
        while len(found) < wanted:
            made = Draft(spec)
            for condition in pick.conditions:
                state(made.segment(condition.segment or spec.opening.id), condition)
            draft.loops.append(made)
            found.append(made)
        return found[wanted - 1]


def _stands_in(loop: Loop | Draft, condition: Condition) -> bool:
    """True where a segment of the loop has the code."""
    return any(_holds(segment, condition) for segment in loop.segments
               if segment.id == (condition.segment or loop.segments[0].id))


def _holds(segment: Segment, condition: Condition) -> bool:
    return value_of(segment, condition.number, condition.component) == condition.code


def state(segment: Segment, condition: Condition) -> None:
    """Write the code."""
    put_value(segment, condition.number, condition.component, condition.code)


class Way:
    """The way to segments: loops, a segment name and which of them. An empty name means the loops themselves."""

    def __init__(self, steps: tuple[Step, ...], name: str, pick: Pick) -> None:
        self.steps, self.name, self.pick = steps, name, pick
        self.simple = pick.plain and all(step.pick.plain for step in steps)
        self.many = pick.many or any(step.pick.many for step in steps)
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
            return [segment for draft in drafts for segment in self.of(draft)]
        found: list[Segment] = []
        for loop in self.loops(view):
            found += self.of(loop)
        return found

    def of(self, loop: Loop | Draft) -> list[Segment]:
        """Those of one loop."""
        name = self.name
        return self.pick.of([segment for segment in loop.segments if segment.id == name], _holds)

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
            wanted = {id(segment) for segment in self.of(loop)}
            found += [(segment, inner) for segment, inner in numbered(loop.segments, place) if id(segment) in wanted]
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
                                                and all(_holds(segment, one) for one in pick.conditions)]
        wanted = max(pick.number, 1)
        while len(found) < wanted:
            made = new(name)
            for condition in pick.conditions:
                state(made, condition)
            draft.segments.append(made)
            found.append(made)
        return found[wanted - 1]
