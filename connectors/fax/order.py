"""What a destination's table writes for a connector of the house: which stored message to work on."""

from __future__ import annotations

from typing import Final

import msgspec


class DocumentOrder(msgspec.Struct, frozen=True):
    """The body of a dispatch; what else a table writes is for people."""

    message_id: str


_DECODER: Final = msgspec.json.Decoder(DocumentOrder)


def document_of(body: bytes) -> str:
    """The id of the message; empty where the body names none."""
    try:
        return _DECODER.decode(body).message_id
    except (msgspec.DecodeError, UnicodeError):
        return ""
