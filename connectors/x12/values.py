"""Text of elements inside the house: our separators, and values that hold one of them.

X12 has no escapes. Inside the house a value may hold any character: where it holds one of our separators, that is kept
as a private character (`IN`), and delimiters that do not occur in the data are chosen when a message is finished (X08).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from connectors.paths import nth, with_nth
from connectors.x12.delimiters import STANDARD, Delimiters
from connectors.x12.edi import Segment, TransactionSet

Parts: TypeAlias = list[str]
COMPONENT: Final = STANDARD.component
REPETITION: Final = STANDARD.repetition
#: Our separators inside values, as private characters.
IN: Final = {ord(mark): chr(0xE000 + ord(mark)) for mark in (COMPONENT, REPETITION)}
OUT: Final = {0xE000 + ord(mark): mark for mark in (COMPONENT, REPETITION)}
_PRIVATE: Final = re.compile(f"[{''.join(map(chr, OUT))}]")
#: What makes a value differ from its raw: blanks that pad it, private characters.
MARKS: Final = " " + "".join(map(chr, OUT))
SEPARATOR: Final = re.compile(f"[{COMPONENT}{REPETITION}]")


def value_of(segment: Segment, element: int, component: int) -> str:
    """An element, or a component of it (0: all of it)."""
    raw = segment.element(element)
    return nth(raw, COMPONENT, component) if component else raw


def put_value(segment: Segment, element: int, component: int, value: str) -> None:
    """Write an element, or a component of it."""
    segment.set(element, with_nth(segment.element(element), COMPONENT, component, value) if component else value)


def read_text(raw: str) -> str:
    """The value that is written so. Blanks that pad it mean nothing."""
    return (raw.translate(OUT) if _PRIVATE.search(raw) else raw).strip(" ")


def write_text(value: str) -> str:
    """A value as it is kept inside the house."""
    return value.translate(IN)


def normal(each: TransactionSet) -> TransactionSet:
    """The same set with our separators; a value that holds one of ours keeps it as a private character."""
    given = each.interchange.delimiters
    if (given.component, given.repetition) == (COMPONENT, REPETITION):
        return each
    segments = []
    for segment in each.segments:
        values = []
        for raw in segment.elements:
            reps = raw.split(given.repetition) if given.repetition else [raw]
            values.append(REPETITION.join(
                COMPONENT.join(part.translate(IN) for part in
                                (rep.split(given.component) if given.component else [rep])) for rep in reps))
        segments.append(Segment(segment.id, None, STANDARD.element, STANDARD.segment, values))
    return TransactionSet(msgspec.structs.replace(each.interchange, delimiters=STANDARD), each.group, segments)


def texts(segment: Segment) -> Iterator[str]:
    """Every value of a segment, as it will be sent."""
    for raw in segment.elements[1:]:
        for rep in raw.split(REPETITION):
            yield from (part.translate(OUT) for part in rep.split(COMPONENT))


def external(segment: Segment, delimiters: Delimiters) -> Segment:
    """A segment in the delimiters that it is sent with."""
    values = [delimiters.repetition.join(
        delimiters.component.join(part.translate(OUT) for part in rep.split(COMPONENT))
        for rep in raw.split(REPETITION)) for raw in segment.elements]
    return Segment(segment.id, None, delimiters.element, delimiters.segment, values)
