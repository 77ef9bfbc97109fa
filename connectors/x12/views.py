"""What rows of a table start from: views of a loop, and drafts of those that are written."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.x12.delimiters import STANDARD
from connectors.x12.edi import Segment
from connectors.x12.guide import LoopSpec
from connectors.x12.loops import Loop


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

    def segment(self, name: str) -> Segment:
        """The first segment of that name, made where it is not there."""
        for segment in self.segments:
            if segment.id == name:
                return segment
        made = new(name)
        self.segments.append(made)
        return made


def new(name: str) -> Segment:
    """An empty segment."""
    return Segment(name, None, STANDARD.element, STANDARD.segment, [name])
