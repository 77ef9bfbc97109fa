"""What rows of a table start from: views of a message and its groups, and drafts of those that are written."""

from __future__ import annotations

from typing import Final

from connectors.hl7v2.er7 import Segment
from connectors.hl7v2.structure import Group

#: Stands for a segment that is not there.
NOTHING: Final = Segment("", "", "|")


class View:
    """A message, group or segment that rows start from; remembers the segments looked up in it."""

    __slots__ = ("found", "group", "walked")

    def __init__(self, group: Group | None, found: dict[str, Segment]) -> None:
        self.group = group
        self.found = found
        self.walked: dict[str, list[Group]] = {}
        """The groups along ways that were looked up before."""

    def locate(self, key: str, way: tuple[str, ...], name: str) -> Segment:
        """The first segment `name` in the groups `way`; wherever it is, where it is not there (P10)."""
        group = self.group
        found: Segment | None = None
        if group is not None:
            inner: Group | None = group
            for step in way:
                inner = next((each for each in inner.groups if each.name == step), None) if inner else None
            found = inner.first(name) if inner is not None else None
            if found is None and way:
                found = group.first(name)
        segment = NOTHING if found is None else found
        self.found[key] = segment
        return segment


class Draft(View):
    """A group being written."""

    __slots__ = ("groups", "name", "segments")

    def __init__(self, name: str) -> None:
        super().__init__(None, {})
        self.name = name
        self.segments: dict[str, list[Segment]] = {}
        self.groups: dict[str, list[Draft]] = {}

    def locate(self, key: str, way: tuple[str, ...], name: str) -> Segment:
        """As for a view; nothing is remembered of what is not there yet."""
        inner: Draft = self
        for step in way:
            there = inner.groups.get(step)
            if not there:
                return NOTHING
            inner = there[0]
        there_ = inner.segments.get(name)
        return there_[0] if there_ else NOTHING

    def into(self, way: tuple[str, ...]) -> Draft:
        """The first group along `way`, made where it is not there."""
        inner = self
        for step in way:
            there = inner.groups.setdefault(step, [])
            if not there:
                there.append(Draft(step))
            inner = there[0]
        return inner

    def segment(self, key: str, way: tuple[str, ...], name: str) -> Segment:
        """The first segment `name` in `way`, made where it is not there."""
        segment = self.found.get(key)
        if segment is None:
            inner = self.into(way)
            there = inner.segments.setdefault(name, [])
            if not there:
                there.append(new_segment(name))
            segment = self.found[key] = there[0]
        return segment

    def another(self, way: tuple[str, ...]) -> Draft:
        """Another group at the end of `way`."""
        group = Draft(way[-1])
        self.into(way[:-1]).groups.setdefault(way[-1], []).append(group)
        return group

    def another_segment(self, way: tuple[str, ...], name: str) -> Segment:
        """Another segment `name` in the first group along `way`."""
        segment = new_segment(name)
        self.into(way).segments.setdefault(name, []).append(segment)
        return segment


def new_segment(name: str) -> Segment:
    """An empty segment."""
    return Segment(name, None, "|", "\r", [name])
