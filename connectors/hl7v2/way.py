"""The way of a path to its segments: down the groups of a message, read or drafted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from connectors.hl7v2.er7 import Segment
from connectors.hl7v2.parts import leaf, part, trimmed, with_part
from connectors.hl7v2.structure import Group
from connectors.hl7v2.views import NOTHING, Draft, View, new_segment
from connectors.paths import ALL, Condition, Pick, joined, numbered


class Way:
    """Groups, a segment name, and which of them. An empty name means the groups themselves."""

    def __init__(self, way: tuple[str, ...], picks: tuple[Pick, ...], name: str, pick: Pick) -> None:
        self.way, self.picks, self.name, self.pick = way, picks, name, pick
        self.simple = pick.plain and all(each.plain for each in picks)
        self.conditional = bool(pick.conditions) or any(each.conditions for each in picks)
        self.many = pick.many or any(each.many for each in picks)
        self.key = "/".join((*way, name))
        self._steps = tuple(zip(way, picks, strict=True))
        self._walked = "/".join(f"{step}{each}" for step, each in self._steps)

    def row(self) -> Callable[[View], Sequence[str]]:
        """From a view to the fields of the first segment."""
        key, way, name = self.key, self.way, self.name

        def fields(view: View) -> Sequence[str]:
            segment = view.found.get(key)
            if segment is None:
                segment = view.locate(key, way, name)
            return segment._fields or segment._split()

        return fields

    def made(self) -> Callable[[Draft, int], list[str]]:
        """From a draft to the fields of the first segment, made where they are not there, at least so many."""
        key, way, name = self.key, self.way, self.name

        def fields(draft: Draft, width: int) -> list[str]:
            there = draft.segment(key, way, name)._split()
            if len(there) < width:
                there.extend([""] * (width - len(there)))
            return there

        return fields

    # -- groups

    def inner(self, view: View, group: Group) -> list[Group]:
        """The groups of a view along the way; looked up once."""
        if not self.way:
            return [group]
        found = view.walked.get(self._walked)
        if found is None:
            found = [group]
            for name, pick in self._steps:
                if pick == ALL:
                    found = [each for outer in found for each in outer.groups if each.name == name]
                else:
                    found = [each for outer in found for each in pick.of(outer.select(name), _stands_in)]
            view.walked[self._walked] = found
        return found

    def groups(self, view: View, at: str) -> list[tuple[Group, str]]:
        """The groups along the way, with their places."""
        found = [(view.group, at)] if view.group is not None else []
        for name, pick in self._steps:
            found = [each for group, place in found for each in pick.of(
                [(inner, joined(place, name, number)) for number, inner in enumerate(group.select(name), 1)],
                lambda one, condition: _stands_in(one[0], condition))]
        return found

    # -- segments

    def segments(self, view: View) -> Sequence[Segment]:
        """See `connectors.paths.Way`."""
        group = view.group
        if group is None:
            return [segment for segment, _ in self.located(view, "")]
        if not self.way:
            return self.pick.of(group.all(self.name), _holds)
        found = [segment for each in self.inner(view, group) for segment in self.pick.of(each.all(self.name), _holds)]
        if not found and self.way and self.simple:
            found = group.all(self.name)[:1]
        return found

    def located(self, view: View, at: str) -> list[tuple[Segment, str]]:
        """See `connectors.paths.Way`."""
        if view.group is None:
            segment = view.found.get(self.key)
            return [(segment, at or self.name)] if segment is not None and segment is not NOTHING else []
        found = [each for group, place in self.groups(view, at) for each in self.pick.of(
            _segments(group, self.name, place), lambda one, condition: _holds(one[0], condition))]
        if not found and self.way and self.simple:
            found = _segments(view.group, self.name, at)[:1]
        return found

    def looked_at(self, view: View, at: str) -> Iterator[str]:
        """The places that the first conditions on the way look at."""
        if view.group is None:
            return
        depth = next((depth for depth, each in enumerate(self.picks) if each.conditions), len(self.way))
        above = Way(self.way[:depth], self.picks[:depth], "", Pick())
        for group, place in above.groups(view, at):
            if depth == len(self.way):
                yield from (f"{found}-{_field(each)}" for _, found in _segments(group, self.name, place)
                            for each in self.pick.conditions)
                continue
            for number, _ in enumerate(group.select(self.way[depth]), 1):
                yield from (f"{joined(place, self.way[depth], number)}/{each.segment}-{_field(each)}"
                            for each in self.picks[depth].conditions)

    # -- drafts

    def drafted(self, draft: Draft) -> Segment:
        """The segment to write to: the one that fulfils the conditions, made where it is not there."""
        for name, pick in self._steps:
            groups = draft.groups.setdefault(name, [])
            found = next((each for each in groups if all(
                any(_holds(segment, condition) for segment in each.segments.get(condition.segment, ())[:1])
                for condition in pick.conditions)), None)
            if found is None:
                found = Draft(name)
                groups.append(found)
                for condition in pick.conditions:
                    _state(found.segment(condition.segment, (), condition.segment), condition)
            draft = found
        conditions = self.pick.conditions
        if not conditions:
            return draft.segment(self.name, (), self.name)
        segments = draft.segments.setdefault(self.name, [])
        for segment in segments:
            if all(_holds(segment, condition) for condition in conditions):
                return segment
        segments.append(new_segment(self.name))
        for condition in conditions:
            _state(segments[-1], condition)
        return segments[-1]


def _holds(segment: Segment, condition: Condition) -> bool:
    """True where any repetition of the field is the code."""
    return any(leaf(part(each, condition.component or 1, 0)) == condition.code
               for each in segment.field(condition.number).split("~"))


def _stands_in(group: Group, condition: Condition) -> bool:
    segment = group.first(condition.segment)
    return segment is not None and _holds(segment, condition)


def _state(segment: Segment, condition: Condition) -> None:
    """Write the code, where nothing stands yet."""
    if not segment.field(condition.number):
        segment.set(condition.number, with_part("", condition.component or 1, 0, condition.code))


def _field(condition: Condition) -> str:
    return trimmed(f"{condition.number}.{condition.component or 1}")


def _segments(group: Group, name: str, at: str) -> list[tuple[Segment, str]]:
    """Segments `name` of a group: its own, else those of its sub-groups, as `Group.all` finds them."""
    wanted = {id(segment) for segment in group.all(name)}
    return [(segment, place) for segment, place in places(group, at) if id(segment) in wanted] if wanted else []


def places(group: Group, at: str) -> Iterator[tuple[Segment, str]]:
    """Every segment of a group and its sub-groups with its place."""
    yield from numbered(group.segments, at)
    numbers: dict[str, int] = {}
    for inner in group.groups:
        number = numbers[inner.name] = numbers.get(inner.name, 0) + 1
        yield from places(inner, joined(at, inner.name, number))
