"""The codec of the HL7 v2 family (see `connectors.base.Codec`)."""

from __future__ import annotations

from canonical.findings import Finding
from connectors.base import Peek
from connectors.hl7v2.er7 import Message, parse, truncated
from connectors.hl7v2.peek import peek
from connectors.hl7v2.structure import NOTE_AMBIGUOUS, groups


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
        if wire.first("NTE") is not None:
            notes: list[Finding] = []
            groups(wire, notes=notes)
            found += (note for note in notes if note.code == NOTE_AMBIGUOUS.name)
        return tuple(found)

    def encode(self, wire: Message) -> bytes:
        """The bytes of a message."""
        return wire.emit()
