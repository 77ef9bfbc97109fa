"""What a receiver of bodies needs to know of their formats: how to peek, and how to answer."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple, Protocol

import msgspec

from canonical.findings import Finding, finding
from canonical.receipt import Receipt
from connectors.base import Peek
from connectors.fax import codec as fax
from connectors.hl7v2 import ack
from connectors.hl7v2.header import narrow, read_header
from connectors.hl7v2.peek import peek as peek_hl7
from connectors.http.codes import NO_HEADER, UNAVAILABLE

ER7: Final = frozenset({"x-application/hl7-v2+er7", "application/hl7-v2"})


class Answer(NamedTuple):
    """An answer. It depends on the receipt and the message alone: a repetition gets the same (invariant 7)."""

    status: int
    content_type: str
    body: bytes
    code: str
    """For the record: the acknowledgement code where the format has one (AA, AR …), else the status."""


class BodyFormat(Protocol):
    """One format of bodies."""

    def peek(self, raw: bytes, identity: str) -> Peek:
        """Never raises; `identity` is the value of the identity header."""

    def refusal(self, raw: bytes) -> Finding | None:
        """Why this is no message of the format; None if it is."""

    def answer(self, raw: bytes, receipt: Receipt) -> Answer:
        """What the client is told of a message that is stored."""


class Opaque:
    """JSON, XML and whatever else is not looked into here: known by its identity header alone."""

    def peek(self, raw: bytes, identity: str) -> Peek:
        """Without an identity a repetition cannot be told from a second message of the same content."""
        return Peek(control_id=identity, lanes=(own_lane(raw),),
                    dedup=hashlib.sha256(identity.encode() + b"\0" + raw).digest() if identity else b"")

    def refusal(self, raw: bytes) -> Finding | None:
        """Whatever it is, it is taken."""
        return None

    def answer(self, raw: bytes, receipt: Receipt) -> Answer:
        """202, or 422 with the code of the finding."""
        told = {"message_id": receipt.message_id}
        if receipt.finding is not None:
            told["refused"] = receipt.finding.code
        status = 202 if receipt.positive else 422
        return Answer(status, "application/json", msgspec.json.encode(told), str(status))


class Document(Opaque):
    """A fax, a scan, or a reading of pages: what it is, is told by its first bytes, whatever the media type says."""

    def peek(self, raw: bytes, identity: str) -> Peek:
        """Known by its identity; a reading of ours by what it is a reading of."""
        found = fax.peek(raw)
        if not identity:
            return found
        known = hashlib.sha256(b"document\0" + identity.encode() + b"\0" + raw).digest()
        return msgspec.structs.replace(found, control_id=identity, dedup=known)

    def refusal(self, raw: bytes) -> Finding | None:
        """An archive, or what nobody can read."""
        return fax.refusal(raw)


class Hl7OverHttp:
    """HL7 v2 over HTTP (HAPI's specification): the answer is an acknowledgement in ER7."""

    def peek(self, raw: bytes, identity: str) -> Peek:
        """From the header segment; MSH-10 is the identity."""
        return peek_hl7(raw)

    def refusal(self, raw: bytes) -> Finding | None:
        """Without a header there is nothing to map and nothing to acknowledge (A06)."""
        return finding(NO_HEADER, at="byte 0") if read_header(narrow(raw)) is None else None

    def answer(self, raw: bytes, receipt: Receipt) -> Answer:
        """200 with AA or CA, 422 with a negative code and the reason; JSON where there is no header to answer."""
        header = read_header(narrow(raw))
        if header is None:
            return OPAQUE.answer(raw, receipt)
        enhanced = ack.is_enhanced(header)
        if receipt.positive:
            code, body = "CA" if enhanced else "AA", ack.positive(receipt, header, enhanced=enhanced)
        else:
            reason = receipt.finding or finding(UNAVAILABLE)
            code = ack.code_for(reason, enhanced=enhanced)
            body = ack.negative(header, reason, ack.stamp_of(receipt), enhanced=enhanced)
        return Answer(200 if receipt.positive else 422, "x-application/hl7-v2+er7", body, code)


OPAQUE: Final[BodyFormat] = Opaque()
DOCUMENT: Final[BodyFormat] = Document()
HL7: Final[BodyFormat] = Hl7OverHttp()


def format_of(content_type: str) -> BodyFormat:
    """The format of a media type without its parameters."""
    return HL7 if content_type in ER7 else OPAQUE


def own_lane(raw: bytes) -> str:
    """The lane of a message that belongs to no other: it waits for none."""
    return "message:" + hashlib.sha256(raw).hexdigest()[:32]
