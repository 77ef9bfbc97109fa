"""Documents inside of HL7 v2 messages (MDM, ORU): each becomes a message of its own, with its parent named.

The bytes are those of OBX-5 where OBX-2 is ED (v2.5.1 §2.A.24): ED-4 names the encoding of ED-5. What is merely pointed at
(RP) is not fetched.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from canonical.failpoints import point
from canonical.findings import Rejection, finding
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Unavailable
from connectors.fax.codec import peek, refusal
from connectors.fax.codes import AWAY, ENCODING, INSIDE_TOO_LARGE, NO_MESSAGE, NOTHING_INSIDE
from connectors.fax.order import document_of
from connectors.hl7v2.er7 import Message, components, parse, repetitions, unescape
from connectors.inside import House

_POSTED: Final = point("unpack.after_post")


class UnpackOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes the documents out of an HL7 v2 message."""

    max_bytes: Annotated[int, Meta(ge=1, description="Bytes of one document at most.")] = 67_108_864
    max_sessions: Annotated[int, Meta(ge=1, le=64, description="Messages unpacked at the same time.")] = 1


class UnpackSender:
    """See `connectors.base.Sender`. The body of a dispatch names the message. A repetition has no second effect: a document
    is known by the message it came in, its place there and its bytes."""

    def __init__(self, name: str, settings: UnpackOut, house: House) -> None:
        self.name = name
        self.settings = settings
        self._house = house

    async def start(self) -> None:
        """Nothing to prepare."""

    async def stop(self, grace: float) -> None:
        """Nothing to close: what is under way is one commit."""

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Give in every document of the message that `dispatch` names."""
        message_id = document_of(dispatch.body.reveal())
        try:
            raw = await self._house.fetch(message_id) if message_id else None
            if raw is None:
                return Rejected(NO_MESSAGE.name, finding(NO_MESSAGE))
            found = list(documents(raw, self.settings.max_bytes))
            if not found:
                return Rejected(NOTHING_INSIDE.name, finding(NOTHING_INSIDE))
            for at, content in found:
                known = hashlib.sha256(f"inside\0{message_id}\0{at}\0".encode() + content).digest()
                await self._house.post(content, msgspec.structs.replace(peek(content), dedup=known), message_id,
                                       refusal(content))
                _POSTED()
        except Rejection as rejection:
            return Rejected(rejection.findings[0].code, rejection.findings[0])
        except Unavailable:
            return Retry("", finding(AWAY), free=True)
        return Delivered("unpacked", str(len(found)))


def documents(raw: bytes, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """(place, bytes) of every document in a message.

    Raises:
        Rejection: it is no HL7 v2 message, or bytes are not in the encoding that is named, or too many.
    """
    message = parse(raw)
    for number, segment in enumerate(message.all("OBX"), 1):
        if segment.field(2).strip() != "ED":
            continue
        for repetition, value in enumerate(repetitions(segment.field(5), message.delimiters), 1):
            at = f"OBX({number})-5({repetition})"
            parts = components(value, message.delimiters)
            if len(parts) < 5 or not parts[4].strip():
                continue
            content = _decoded(parts[4], parts[3].strip().lower(), at, message, max_bytes)
            if content:
                yield at, content


def _decoded(text: str, encoding: str, at: str, message: Message, max_bytes: int) -> bytes:
    if len(text) > max_bytes * 2 + 1024:  # base64 is four thirds, hexadecimal twice as long
        raise Rejection(finding(INSIDE_TOO_LARGE, at=at))
    plain = unescape(text, message.delimiters, formatted=True)  # long lines are broken by \.br\ here and there
    try:
        match encoding:
            case "base64":
                content = base64.b64decode("".join(plain.split()), validate=True)
            case "hex":
                content = bytes.fromhex(plain)
            case "a" | "":
                content = plain.encode("utf-8", "replace")
            case _:
                raise ValueError
    except (ValueError, binascii.Error):
        raise Rejection(finding(ENCODING, at=at)) from None
    if len(content) > max_bytes:
        raise Rejection(finding(INSIDE_TOO_LARGE, at=at))
    return content
