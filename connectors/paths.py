"""What the path languages of segment formats (HL7 v2, X12) have in common: ways, picks, values, drafts.

A path goes down groups (loops) to segments, and into one of their fields. At every step brackets may say which of
several is meant: a number, ``*`` for all, or a code in it (``PRD-1=RP``); without brackets it is the first. Reading,
a pick filters what is there; writing, it is made true. Both formats resolve a path once, when a table is compiled, into
the functions of a `Path` (``mapper.format.Path``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from canonical.paths import Cells, PathError, Spot

T = TypeVar("T")
_CONDITION: Final = re.compile(r"(?:([A-Z][A-Z0-9]{1,2})-)?(\d{1,3})(?:\.(\d+))?\s*=\s*(.*)\Z")
_AND: Final = re.compile(r"\s+&\s+")


# -- which of several ---------------------------------------------------------------------------------------


class Condition(msgspec.Struct, frozen=True):
    """A code that tells one occurrence from others."""

    segment: str
    """Empty: the segment itself, or the one that opens the group."""
    number: int
    component: int
    """0 where none is named."""
    code: str


class Pick(msgspec.Struct, frozen=True):
    """What stands in the brackets of a step."""

    conditions: tuple[Condition, ...] = ()
    number: int = 0
    many: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is simply the first."""
        return not self.conditions and not self.many and self.number <= 1

    def of(self, found: list[T], holds: Callable[[T, Condition], bool]) -> list[T]:
        """Those of `found` that are meant."""
        for condition in self.conditions:
            found = [each for each in found if holds(each, condition)]
        return found if self.many else found[max(self.number - 1, 0):][:1]


FIRST: Final = Pick()
ALL: Final = Pick(many=True)


def pick(text: str | None, column: int, hint: str) -> Pick:
    """Read what stands in brackets; None: there are none. Raises PathError."""
    if text is None:
        return FIRST
    many, number, conditions = False, 0, []
    for part in _AND.split(text.strip()):
        match = _CONDITION.match(part)
        if part == "*":
            many = True
        elif part.isdecimal() and int(part):
            number = int(part)
        elif match is not None:
            conditions.append(Condition(match[1] or "", int(match[2]), int(match[3] or 0), match[4].strip()))
        else:
            raise PathError(f"({text}) is no condition, position or *", column=column, hint=hint)
    return Pick(tuple(conditions), number, many)


# -- text of a field ----------------------------------------------------------------------------------------


def nth(raw: str, separator: str, number: int) -> str:
    """Part `number` of a text, from 1; empty where it has not as many."""
    if separator not in raw:
        return raw if number == 1 else ""
    parts = raw.split(separator)
    return parts[number - 1] if number <= len(parts) else ""


def with_nth(raw: str, separator: str, number: int, value: str) -> str:
    """The text with another part `number`."""
    parts = raw.split(separator)
    set_nth(parts, number, value)
    return separator.join(parts)


def set_nth(parts: list[str], number: int, value: str) -> None:
    """Put a value at a place, from 1, made where it is not there."""
    if number > len(parts):
        parts.extend([""] * (number - len(parts)))
    parts[number - 1] = value


# -- places -------------------------------------------------------------------------------------------------


class Named(Protocol):
    """A segment."""

    @property
    def id(self) -> str:
        """Its name."""


N = TypeVar("N", bound=Named)


def joined(at: str, name: str, number: int) -> str:
    """The place of occurrence `number` of something at a place."""
    text = f"{name}({number})" if number > 1 else name
    return f"{at}/{text}" if at else text


def numbered(segments: Iterable[N], at: str) -> Iterator[tuple[N, str]]:
    """Each segment with its place."""
    numbers: dict[str, int] = {}
    for segment in segments:
        number = numbers[segment.id] = numbers.get(segment.id, 0) + 1
        yield segment, joined(at, segment.id, number)


# -- paths --------------------------------------------------------------------------------------------------


def _unused(*_: Any) -> Any:
    raise TypeError("this kind of path cannot be used so")


class Path:
    """What all paths have (``mapper.format.Path``)."""

    def __init__(self, text: str, wire_type: str, kind: str, shape: Any, *, repeats: bool, whole: bool = False) -> None:
        self.text = text
        self.wire_type = wire_type
        self.kind = kind
        self.repeats = repeats
        self.container = kind == "container"
        self.whole = whole
        self.partial = False
        self.cells: Cells | None = None
        self.spot: Spot | None = None
        self.first: Callable[[Any], Any] = _unused
        self.every: Callable[[Any], Sequence[Any]] = _unused
        self.put: Callable[[Any, Any], None] = _unused
        self.add: Callable[[Any, Any], None] = _unused
        self.child: Callable[[Any], Any] = _unused
        self._shape = shape

    def located(self, node: Any, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        raise NotImplementedError

    def tested(self, node: Any, at: str) -> list[str]:
        """See ``mapper.format.Path``."""
        return []

    def inside(self) -> Any:
        """See ``mapper.format.Path``."""
        return self._shape


class Way(Protocol):
    """The way of a path to its segments."""

    def segments(self, view: Any) -> Sequence[Any]:
        """The segments meant."""

    def located(self, view: Any, at: str) -> Iterable[tuple[Any, str]]:
        """The segments meant, with their places."""


class ValuePath(Path):
    """A field of segments, or a part of one: the raws of all its repetitions that are meant.

    Args:
        way: to the segments.
        raw: the text of the field in a segment.
        repetition: separates repetitions.
        rep: which of them: a number, ``*``, or empty: the first.
        cut: from a repetition to the raw at this path.
    """

    def __init__(self, text: str, wire_type: str, kind: str, shape: Any, way: Way, raw: Callable[[Any], str],
                 repetition: str, rep: str, cut: Callable[[str], str], *, repeats: bool, whole: bool) -> None:
        super().__init__(text, wire_type, kind, shape, repeats=repeats, whole=whole)
        self._way, self._raw, self._cut = way, raw, cut
        self._repetition, self._rep = repetition, rep
        self.every = self._every
        self.first = self._first_of_many

    def reps(self, raw: str) -> list[tuple[int, str]]:
        """The repetitions of a field that are meant, with their numbers."""
        if not raw:
            return []
        if self._rep == "*":
            return [(number, each) for number, each in enumerate(raw.split(self._repetition), 1) if each]
        number = int(self._rep or 1)
        return [(number, nth(raw, self._repetition, number))]

    def _first_of_many(self, view: Any) -> str:
        cut, raw = self._cut, self._raw
        for segment in self._way.segments(view):
            for _, each in self.reps(raw(segment)):
                if found := cut(each):
                    return found
        return ""

    def _every(self, view: Any) -> list[str]:
        cut, raw = self._cut, self._raw
        return [found for segment in self._way.segments(view) for _, each in self.reps(raw(segment))
                if (found := cut(each))]

    def located(self, node: Any, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        return [(found, self.place(place, rep, each)) for segment, place in self._way.located(node, at)
                for rep, each in self.reps(self._raw(segment)) if (found := self._cut(each))]

    def place(self, at: str, rep: int, raw: str) -> str:
        """The place of a repetition's raw in the segment at `at`."""
        raise NotImplementedError
