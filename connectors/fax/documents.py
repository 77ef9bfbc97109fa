"""Documents as they came (pictures, PDF) as a format of the mapping language: facts about them, never their content.

A table of this family makes ``document.received`` of them. Their pixels are looked at by nobody but the reading process.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from canonical.findings import Rejection, finding
from connectors.base import Peek
from connectors.fax.codec import peek, refusal
from connectors.fax.codes import NOT_A_DOCUMENT
from connectors.fax.sniff import Media, sniff
from connectors.json_format import JsonFormat


class Facts(dict[str, Any]):
    """What can be said of a document without opening it: ``kind`` (TIFF, PDF …), ``media_type``, ``bytes``, ``sha256``."""

    def __init__(self, kind: Media, raw: bytes) -> None:
        super().__init__(kind=kind.name, media_type=kind.value, bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())
        self.raw: Final = raw


class DocumentCodec:
    """See `connectors.base.Codec`."""

    content_type = "application/octet-stream"

    def peek(self, raw: bytes) -> Peek:
        """Never raises."""
        return peek(raw)

    def decode(self, raw: bytes, charset: str = "") -> Facts:
        """Raises `Rejection` where it is no picture and no PDF."""
        kind = sniff(raw)
        if not isinstance(kind, Media):
            raise Rejection(refusal(raw) or finding(NOT_A_DOCUMENT))
        return Facts(kind, raw)

    def encode(self, wire: Facts) -> bytes:
        """The document itself."""
        return wire.raw


class DocumentFormat(JsonFormat):
    """Facts about a document as ``mapper.format.Format``; there is nothing to write."""

    def __init__(self) -> None:
        super().__init__("document")

    def decode(self, raw: bytes) -> Facts:
        """See ``mapper.format.Format``."""
        return DocumentCodec().decode(raw)
