"""The codec of the X12 family (see `connectors.base.Codec`)."""

from __future__ import annotations

from connectors.base import Peek
from connectors.x12.edi import Message, parse
from connectors.x12.peek import peek


class X12Codec:
    """Reads and writes interchanges losslessly."""

    content_type = "application/EDI-X12"

    def peek(self, raw: bytes) -> Peek:
        """Never raises."""
        return peek(raw)

    def decode(self, raw: bytes, charset: str = "") -> Message:
        """Raises `Rejection` where there is no ISA, or segments cannot be told apart."""
        return parse(raw, charset)

    def encode(self, wire: Message) -> bytes:
        """The bytes of a message."""
        return wire.emit()
