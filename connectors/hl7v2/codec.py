"""The codec of the HL7 v2 family (see `connectors.base.Codec`)."""

from __future__ import annotations

from connectors.base import Peek
from connectors.hl7v2.er7 import Message, parse
from connectors.hl7v2.peek import peek


class Er7Codec:
    """Reads and writes ER7 losslessly."""

    content_type = "x-application/hl7-v2+er7"

    def peek(self, raw: bytes) -> Peek:
        """Never raises."""
        return peek(raw)

    def decode(self, raw: bytes, charset: str = "") -> Message:
        """Raises `Rejection` where there is no MSH."""
        return parse(raw, charset)

    def encode(self, wire: Message) -> bytes:
        """The bytes of a message."""
        return wire.emit()
