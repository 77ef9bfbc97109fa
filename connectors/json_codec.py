"""JSON as a wire format: FHIR resources, and what ERP systems and their kin speak."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import msgspec

from canonical.findings import Rejection, Severity, declare, finding
from connectors.base import Peek

NOT_JSON: Final = declare(
    "json.malformed", Severity.FATAL, "The body is not JSON (RFC 8259)",
    "Look at the stored bytes: is this another format, or was the end lost?")


class JsonCodec:
    """Reads and writes JSON values. Written without blanks, keys in the order of the table."""

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type
        self._decoder = msgspec.json.Decoder()
        self._encoder = msgspec.json.Encoder()

    def peek(self, raw: bytes) -> Peek:
        """Resource type and content hash. Never raises."""
        try:
            value = self._decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Peek()
        kind = value.get("resourceType", "") if isinstance(value, dict) else ""
        return Peek(message_type=kind if isinstance(kind, str) else "", dedup=sha256(raw).digest())

    def decode(self, raw: bytes, charset: str = "") -> Any:
        """The value. Raises `Rejection` where the bytes are no JSON; the charset is always UTF-8."""
        try:
            return self._decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Rejection(finding(NOT_JSON)) from None

    def encode(self, wire: Any) -> bytes:
        """The bytes of a value."""
        return self._encoder.encode(wire)
