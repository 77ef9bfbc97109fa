"""Delimiters of an interchange: read from ISA, or chosen so that they do not occur in data (X01, X08)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from canonical.findings import Rejection, finding
from connectors.x12.codes import DELIMITER_IN_DATA, NO_TERMINATOR

HEADER: Final = "ISA"
#: Elements of ISA.
ISA_ELEMENTS: Final = 16
#: No ISA that anybody reads as one is longer, padding and multi-byte blanks included.
LONGEST_HEADER: Final = 400
#: What may follow a terminator and means nothing. The information separators of ASCII are not among them: some
#: partners delimit with them.
BLANKS: Final = " \t\r\n\x0b\x0c\x1a\x00"
FIRST_WITH_REPETITION: Final = "00402"


class Delimiters(msgspec.Struct, frozen=True):
    """The delimiters of one interchange. An empty one does not exist in it (no repetition in 4010)."""

    element: str = "*"
    component: str = ":"
    repetition: str = "^"
    segment: str = "~"

    def all(self) -> tuple[str, ...]:
        """Those that exist."""
        return tuple(each for each in (self.element, self.component, self.repetition, self.segment) if each)


STANDARD: Final = Delimiters()
#: What is tried, in this order, where the usual ones occur in data. All of the basic or extended character set,
#: none a letter, digit or blank; the control characters last are the ones X12.6 recommends.
_OTHERS: Final = "*:^~|>!<\\}{]['`;%@#$_\"\x1d\x1f\x1e\x1c"


def header_length(text: str, *, complete: bool) -> int | None:
    """Characters of an ISA that `text` begins with, up to and with ISA16 (without the terminator).

    ISA is read by its separators, not by its widths. Where those lead nowhere (an element lost, a separator in a value),
    the GS or TA1 that follows shows where it ends, so that somebody can be told by a TA1.

    None where `text` is too short to tell and more may come; -1 where there is no such header.
    """
    if len(text) < 4:
        return -1 if complete else None
    separator = text[3]
    if not _can_delimit(separator):
        return -1
    at = 3
    for _ in range(ISA_ELEMENTS - 1):
        at = text.find(separator, at + 1)
        if at < 0 or at > LONGEST_HEADER:
            break
    if not complete and len(text) < LONGEST_HEADER and (at < 0 or at + 8 > len(text)):
        return None  # ISA16, the terminator, and enough of what follows to recognise it
    if 0 <= at <= LONGEST_HEADER and (_begins_segment(text, at + 2, separator) or _begins_segment(text, at + 3, separator)):
        return at + 2
    follows = _end_by_what_follows(separator).search(text, 4, LONGEST_HEADER)
    if follows is not None:
        return follows.start() + 1
    return at + 2 if 0 <= at <= LONGEST_HEADER else -1


@lru_cache(maxsize=64)
def _end_by_what_follows(separator: str) -> re.Pattern[str]:
    own = re.escape(separator)
    return re.compile(rf"[^A-Za-z0-9 \t\r\n{own}][^A-Za-z0-9 {own}][{BLANKS}]*(?:GS|TA1){own}")


def read_delimiters(text: str) -> tuple[Delimiters, bool]:
    """The delimiters of the ISA that `text` begins with, and whether they are well formed.

    Raises:
        Rejection: ``x12.no_terminator``.
    """
    end = header_length(text, complete=True)
    if end is None or end < 0:
        raise Rejection(finding(NO_TERMINATOR, at="ISA"))
    separator = text[3]
    component, terminator = text[end - 1:end], text[end:end + 1]
    # ISA16 left out (105 bytes): what stands in its place ends the segment.
    if component and terminator != component and _begins_segment(text, end, separator) and _ends_segments(
            text, end, component, separator):
        component, terminator = "", component
    if not terminator or _impossible(terminator, separator):
        raise Rejection(finding(NO_TERMINATOR, at="ISA"))
    repetition, sound = _repetition(text[:end].split(separator))
    found = Delimiters(separator, component, repetition, terminator)
    given = found.all()
    if len(set(given)) < len(given):
        sound = False
        if component in (separator, terminator):
            component = ""
        if repetition in (separator, terminator, component):
            repetition = ""
        found = Delimiters(separator, component, repetition, terminator)
    if not component or not _can_delimit(component):
        sound = False
        found = Delimiters(separator, "", repetition, terminator)
    return found, sound


def _repetition(header: list[str]) -> tuple[str, bool]:
    """The repetition separator of a header, and whether it is what it should be."""
    if len(header) != ISA_ELEMENTS + 1:
        near = [each for each in header[9:13] if len(each) == 1 and _can_delimit(each)]
        return near[0] if near else "", False
    said = header[11] if header[12] >= FIRST_WITH_REPETITION else ""
    if said in ("", "U"):
        return "", True
    return (said, True) if len(said) == 1 and _can_delimit(said) else ("", False)


def _can_delimit(char: str) -> bool:
    return not char.isalnum() and char not in " \t\r\n"


def _begins_segment(text: str, at: int, separator: str) -> bool:
    rest = text[at:at + 8].lstrip(BLANKS)
    return rest.startswith((f"GS{separator}", f"TA1{separator}", f"IEA{separator}"))


def _ends_segments(text: str, start: int, char: str, separator: str) -> bool:
    return any(f"{char}{name}{separator}" in text[start:start + 4096] for name in ("ST", "IEA", "TA1"))


def _impossible(terminator: str, separator: str) -> bool:
    return terminator == separator or (terminator.isalnum() and terminator.isascii()) or terminator == " "


def choose_delimiters(values: Iterable[str], preferred: Delimiters = STANDARD, *, free: bool = True) -> Delimiters:
    """Delimiters that occur in none of the values (X08): the preferred ones where that is possible.

    Args:
        values: the data to be written, without delimiters.
        preferred: what the partner likes best.
        free: False where the partner takes these only.

    Raises:
        Rejection: ``x12.delimiter_in_data``.
    """
    used: set[str] = set()
    for value in values:
        used.update(value)
    if not used.intersection(preferred.all()):
        return preferred
    if not free:
        raise Rejection(finding(DELIMITER_IN_DATA))
    taken = used.union(each for each in preferred.all() if each not in used)
    chosen = []
    for each in (preferred.element, preferred.component, preferred.repetition, preferred.segment):
        if each and each in used:
            each = next((other for other in _OTHERS if other not in taken), "")  # noqa: PLW2901 - the replacement
            if not each:
                raise Rejection(finding(DELIMITER_IN_DATA, detail="every possible delimiter occurs in the data"))
            taken.add(each)
        chosen.append(each)
    return Delimiters(*chosen)
