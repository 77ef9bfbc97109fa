"""The CORE envelope: what travels around an X12 payload, whatever the wire form (CORE 270 §4.4.2, X16).

Five layers can fail, and each says so in its own place: the transport (HTTP), the envelope (`Envelope.error`),
the interchange (TA1), the transaction set (999) and the request itself (AAA in a 271). This package knows the
first two, and sees the next two only far enough to tell a refusal from an answer (`connectors.core.answer`).
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Final

import msgspec

from canonical.phi import Phi

#: The envelope was taken (CORE 270 §4.3.3).
SUCCESS: Final = "Success"
#: Namespace of our payload ids: a repeated attempt carries the same one (invariant 8).
_NAMESPACE: Final = uuid.UUID("8d0a5a0c-5a7b-5b0c-9a5e-c0de00270271")
_ERROR: Final = re.compile(r"[A-Za-z]{1,60}")


class Operation(msgspec.Struct, frozen=True):
    """One exchange of the rule: names in its schema (CORE 270 §4.2, corerule2.2.0.xsd)."""

    name: str
    """Of the WSDL operation; the SOAP action."""
    request: str
    """Element of the request."""
    response: str
    mode: str
    """``RealTime`` or ``Batch``"""


REAL_TIME: Final = Operation("RealTimeTransaction", "COREEnvelopeRealTimeRequest", "COREEnvelopeRealTimeResponse",
                             "RealTime")
SUBMIT: Final = Operation("BatchSubmitTransaction", "COREEnvelopeBatchSubmission",
                          "COREEnvelopeBatchSubmissionResponse", "Batch")
SUBMIT_ACK: Final = Operation("BatchSubmitAckRetrievalTransaction", "COREEnvelopeBatchSubmissionAckRetrievalRequest",
                              "COREEnvelopeBatchSubmissionAckRetrievalResponse", "Batch")
RESULTS: Final = Operation("BatchResultsRetrievalTransaction", "COREEnvelopeBatchResultsRetrievalRequest",
                           "COREEnvelopeBatchResultsRetrievalResponse", "Batch")
RESULTS_ACK: Final = Operation("BatchResultsAckSubmitTransaction", "COREEnvelopeBatchResultsAckSubmission",
                               "COREEnvelopeBatchResultsAckSubmissionResponse", "Batch")
OPERATIONS: Final = (REAL_TIME, SUBMIT, SUBMIT_ACK, RESULTS, RESULTS_ACK)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a request or of a response. Times are UTC, ids are UUIDs."""

    payload_type: str
    """``X12_270_Request_005010X279A1``"""
    processing_mode: str
    payload_id: str
    timestamp: str
    """ISO 8601, UTC."""
    sender_id: str
    receiver_id: str
    rule_version: str
    payload: Phi[bytes] | None = None
    payload_length: int | None = None
    """Bytes; batch only."""
    checksum: str = ""
    """SHA-1 of the payload in hex; batch only. Not a protection: TLS is (CORE 270 §4.4.2)."""
    error_code: str = ""
    """Of a response: ``Success``, or one word."""
    error_message: str = ""
    """Of a response; free text of the peer: never logged."""

    @property
    def error(self) -> str:
        """The error code where it is one; never more than one word, so that it may be shown."""
        if self.error_code in ("", SUCCESS):
            return ""
        return self.error_code if _ERROR.fullmatch(self.error_code) else "an error code that is no code"

    def intact(self) -> bool:
        """True unless length or checksum say that the payload is not what was sent."""
        body = self.payload.reveal() if self.payload is not None else b""
        if self.payload_length is not None and self.payload_length != len(body):
            return False
        return not self.checksum or self.checksum.lower() == checksum(body)


def checksum(payload: bytes) -> str:
    """SHA-1 in hex, as the rule wants it."""
    return hashlib.sha1(payload, usedforsecurity=False).hexdigest()


def payload_id(identity: str) -> str:
    """The id of a payload, made from the identity of the delivery: the same again for the same again."""
    return str(uuid.uuid5(_NAMESPACE, identity))


#: Names of the fields on the wire, in the order of the schema.
FIELDS: Final[tuple[tuple[str, str], ...]] = (
    ("PayloadType", "payload_type"), ("ProcessingMode", "processing_mode"), ("PayloadID", "payload_id"),
    ("PayloadLength", "payload_length"), ("TimeStamp", "timestamp"), ("SenderID", "sender_id"),
    ("ReceiverID", "receiver_id"), ("CORERuleVersion", "rule_version"), ("CheckSum", "checksum"),
    ("ErrorCode", "error_code"), ("ErrorMessage", "error_message"))
_REQUIRED: Final = ("PayloadType", "ProcessingMode", "PayloadID", "TimeStamp", "SenderID", "ReceiverID",
                    "CORERuleVersion")


class NoEnvelope(Exception):  # noqa: N818 - a verdict about the input
    """Not a CORE envelope. `place` names the part that is wrong, never a value."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


def written(envelope: Envelope) -> dict[str, str]:
    """The fields that an envelope has, by their names on the wire, without the payload."""
    return {name: str(value) for name, field in FIELDS
            if (value := getattr(envelope, field)) is not None and value != ""}


def read(fields: Mapping[str, str], payload: bytes | None) -> Envelope:
    """The envelope of these fields.

    Raises:
        NoEnvelope: a required one is missing, or a length is no number.
    """
    for name in _REQUIRED:
        # An error response may leave the payload's own facts out; what went wrong is all it must say.
        if not fields.get(name, "").strip() and not fields.get("ErrorCode", "").strip():
            raise NoEnvelope(name)
    length = fields.get("PayloadLength", "").strip()
    if length and not (length.isascii() and length.isdigit() and len(length) < 16):
        raise NoEnvelope("PayloadLength")
    return Envelope(**{field: fields.get(name, "").strip() for name, field in FIELDS if field != "payload_length"},
                    payload_length=int(length) if length else None,
                    payload=Phi(payload) if payload is not None else None)
