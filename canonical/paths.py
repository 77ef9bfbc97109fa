"""What the path grammar of a format and the mapping language have in common.

It lives here because the two rooms that meet in it, connectors and mapper, know only this one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple


class PathError(Exception):
    """A path that the grammar or the dictionary of a format refuses.

    `column` counts characters from the start of the path (0-based); `hint` says what would be right.
    """

    def __init__(self, message: str, *, column: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.column = column
        self.hint = hint


class Cells(NamedTuple):
    """Where a path's raw lies, for formats whose raws are text in sequences and whose absent is empty text."""

    key: Hashable
    """Paths of one node with the same key share the sequence."""
    row: Callable[[Any], Sequence[str]] | None
    """From a node to the sequence; None: the node is the sequence."""
    position: int
    cut: Callable[[str], str] | None
    """From what is there to the raw; None: it is the raw."""
    cut_on: str
    """Characters without which `cut` changes nothing; empty: always cut."""
    split: str = ""
    """What separates several raws there, each to be cut; empty where the path means one."""


class Spot(NamedTuple):
    """Where a path writes, for the same formats: an element of a sequence."""

    key: Hashable
    """Paths of one draft with the same key share the sequence."""
    row: Callable[[Any, int], list[str]] | None
    """From a draft to the sequence, made where it is not there and at least so long; None: the draft is it."""
    position: int
    empty: bool
    """Only while nothing is there: the path means a part of the element, or one of several repetitions."""
    lead: str = ""
    """What stands before the raw then: the separators of the parts before it."""


def verbatim(value: Any) -> Any:
    """The way to write text where a format needs no escapes."""
    return value
