"""The sequence number protocol: MSH-13 and MSA-4 (S01 to S05; v2.5.1 §2.10.1). Off unless a partner insists.

The receiving side keeps no number of its own: the number of the last accepted message *is* in that message, and
was committed with it (S04). What a stopped process knew is read from the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from canonical.findings import Finding, Severity, declare, finding
from connectors.base import Kept
from connectors.hl7v2.header import Header, narrow, read_header

GAP: Final = declare(
    "hl7.sequence_gap", Severity.ERROR,
    "Sequence numbers (MSH-13) are missing before this message; it was refused, and so is everything until they come",
    "The sender should repeat from the number expected. If it cannot, have it resynchronise the link (MSH-13 -1).")
REPEATED: Final = declare(
    "hl7.sequence_repeated", Severity.WARNING,
    "A message with a sequence number (MSH-13) that was taken before; it was acknowledged and not processed",
    "Nothing to do where an acknowledgement was lost. If the sender has restarted its numbers, have it resynchronise "
    "the link (MSH-13 -1) and send again what came under old numbers.")
LINK: Final = declare(
    "hl7.sequence_link", Severity.INFO,
    "The sender has started (MSH-13 0) or resynchronised (MSH-13 -1) the link; there is nothing to process",
    "Nothing to do.")
NO_NUMBER: Final = declare(
    "hl7.sequence_missing", Severity.ERROR,
    "This channel numbers its messages, and the message has no number in MSH-13 that is one",
    "Have the sender fill MSH-13, or switch the channel's `sequence` off.")

START: Final = 0
RESYNC: Final = -1


class Ruling(NamedTuple):
    """What to do with a numbered message."""

    tell: int
    """MSA-4, where it is accepted or kept."""
    refusal: Finding | None = None
    record: Finding | None = None
    last: int | None = None
    """The number of the last accepted message, once this one is stored."""


def number_of(header: Header) -> int | None:
    """MSH-13; None where it is no number."""
    text = header.field(13).strip()
    try:
        number = int(text)
    except ValueError:
        return None
    return number if number >= RESYNC else None


def rule(number: int | None, last: int | None) -> Ruling:
    """What to do with a message of that number after the last accepted one (None: any number may begin)."""
    expected = RESYNC if last is None else last + 1
    if number is None:
        return Ruling(expected, refusal=finding(NO_NUMBER, at="MSH-13"), last=last)
    if number == START:
        return Ruling(expected, record=finding(LINK, at="MSH-13"), last=last)
    if number == RESYNC:
        return Ruling(RESYNC, record=finding(LINK, at="MSH-13"))
    if last is not None and number > last + 1:
        return Ruling(expected, refusal=finding(GAP, at="MSH-13", detail=f"{number} came, {expected} was expected"),
                      last=last)
    if last is not None and number <= last:
        return Ruling(number, record=finding(REPEATED, at="MSH-13"), last=last)
    return Ruling(number, last=number)


def last_of(kept: Sequence[Kept]) -> int | None:
    """The number of the last accepted message of a channel, from what it has stored, newest first (S04)."""
    for one in kept:
        header = read_header(narrow(one.raw.reveal()))
        number = None if header is None or one.refused or one.reason == REPEATED.name else number_of(header)
        if number == RESYNC:
            return None
        if number:
            return number
    return None


class Counter:
    """The sending side: numbers for one stream of messages.

    The peer's number is the truth (S01): it is asked before the first message of a connection, and again after any
    answer that leaves it open. So a message whose acknowledgement was lost is recognised as taken, and is not sent
    twice.
    """

    def __init__(self) -> None:
        self.next: int | None = None
        """None: the peer must be asked."""
        self._last = 0
        self._open: dict[str, int] = {}
        """Numbers of messages whose outcome is unknown, by identity."""

    def told(self, expected: int) -> None:
        """The peer has said what it expects; -1: whatever comes (S02)."""
        self.next = self._last + 1 if expected == RESYNC else expected

    def was_taken(self, identity: str) -> bool:
        """Whether a message that went without an answer is the last one the peer took."""
        number = self._open.pop(identity, None)
        return number is not None and self.next == number + 1

    def answered(self, number: int, *, accepted: bool, expected: int | None) -> bool:
        """What an acknowledgement does to the numbers. False: the peer waits for another number than this one."""
        if accepted:
            self._last, self.next = number, number + 1
            return True
        self.next = None
        return expected is None or expected in {number, number + 1}

    def lost(self, identity: str, number: int) -> None:
        """No acknowledgement came."""
        self.next = None
        self._open[identity] = number
        if len(self._open) > _REMEMBERED:
            del self._open[next(iter(self._open))]


def numbered(body: bytes, header: Header, number: int, control_id: bytes = b"") -> bytes:
    """The message with MSH-13; with another MSH-10 and nothing after the header, where one is given (a link message)."""
    fields = [*header.fields, *[b""] * (13 - len(header.fields))]
    fields[12] = b"%d" % number
    if control_id:
        fields[9] = control_id
    return header.marks.field.join(fields) + (b"\r" if control_id else body[header.end:])


_REMEMBERED: Final = 1024
