"""The codec of the HL7 v2 family (see `connectors.base.Codec`)."""

from __future__ import annotations

from functools import lru_cache

from canonical.findings import Finding
from connectors.base import Peek
from connectors.hl7v2.er7 import STANDARD, Message, Segment, parse, truncated
from connectors.hl7v2.peek import peek
from connectors.hl7v2.structure import NOTE_AMBIGUOUS, groups, structure_of


@lru_cache(maxsize=1024)
def _ambiguous(names: tuple[str, ...], message_type: str, version: str, separator: str) -> tuple[Finding, ...]:
    """Notes whose parent had to be guessed. Depends on the order of segments alone, of which a sender has few."""
    structure = structure_of(version, message_type, separator)
    notes: list[Finding] = []
    groups(Message([Segment(name, name, "|") for name in names], STANDARD), structure, version, notes)
    return tuple(note for note in notes if note.code == NOTE_AMBIGUOUS.name)


class Er7Codec:
    """Reads and writes ER7 losslessly."""

    content_type = "x-application/hl7-v2+er7"

    def peek(self, raw: bytes) -> Peek:
        """Never raises."""
        return peek(raw)

    def decode(self, raw: bytes, charset: str = "") -> Message:
        """Raises `Rejection` where there is no MSH."""
        return parse(raw, charset)

    def remarks(self, wire: Message) -> tuple[Finding, ...]:
        """What is odd about the form of a message, for the record (P02, P04, P10, C03, L01)."""
        found = [*wire.findings, *truncated(wire)]
        names = tuple(segment.id for segment in wire.segments)
        header = wire.first("MSH")
        if "NTE" in names and header is not None:
            found += _ambiguous(names, header.field(9), header.field(12), wire.delimiters.component)
        return tuple(found)

    def encode(self, wire: Message) -> bytes:
        """The bytes of a message."""
        return wire.emit()
