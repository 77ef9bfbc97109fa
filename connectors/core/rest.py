"""The envelope as JSON over REST (CORE Connectivity vC4.0.0): the same fields, the payload in base64."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from connectors.core.envelope import Envelope, NoEnvelope, read, written


def write(envelope: Envelope) -> tuple[str, bytes]:
    """Content type and body."""
    fields: dict[str, str] = written(envelope)
    if envelope.payload is not None:
        fields["Payload"] = base64.b64encode(envelope.payload.reveal()).decode()
    return "application/json", msgspec.json.encode(fields)


def parse(body: bytes) -> Envelope:
    """The envelope of a JSON body.

    Raises:
        NoEnvelope: there is none.
    """
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NoEnvelope("no JSON") from None
    if not isinstance(found, dict):
        raise NoEnvelope("no JSON object")
    payload: bytes | None = None
    text = found.pop("Payload", None)
    if isinstance(text, str):
        try:
            payload = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise NoEnvelope("Payload: no base64") from None
    return read({name: str(value) for name, value in found.items() if isinstance(value, str | int)}, payload)
