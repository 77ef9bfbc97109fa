"""The envelope as ``multipart/form-data`` (CORE 270 §4.2.2: HTTP+MIME)."""

from __future__ import annotations

import hashlib
from email import message_from_bytes, policy
from email.message import Message
from typing import Final

from connectors.core.envelope import Envelope, NoEnvelope, read, written

#: More parts than any envelope has.
_MOST: Final = 64


def write(envelope: Envelope, user: str = "", password: str = "") -> tuple[str, bytes]:
    """Content type and body.

    Args:
        user: of the submitter; empty where a client certificate says who it is.
        password: likewise.
    """
    parts: list[tuple[str, str, bytes]] = [(name, "text/plain", value.encode())
                                           for name, value in written(envelope).items()]
    if user:
        parts = [("UserName", "text/plain", user.encode()), ("Password", "text/plain", password.encode()), *parts]
    payload = envelope.payload.reveal() if envelope.payload is not None else None
    if payload is not None:
        parts.append(("Payload", "application/edi-x12", payload))
    boundary = _boundary(parts)
    lines: list[bytes] = []
    for name, kind, body in parts:
        binary = b"Content-Transfer-Encoding: binary\r\n" if name == "Payload" else b""
        lines += [b"--", boundary, b'\r\nContent-Disposition: form-data; name="', name.encode(), b'"\r\n'
                  b"Content-Type: ", kind.encode(), b"\r\n", binary, b"\r\n", body, b"\r\n"]
    lines += [b"--", boundary, b"--\r\n"]
    return f'multipart/form-data; boundary="{boundary.decode()}"', b"".join(lines)


def unpack(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a multipart body by name.

    Raises:
        NoEnvelope: it is not multipart, or has too many parts.
    """
    found: dict[str, bytes] = {}
    for part in parts_of(content_type, body):
        name = part.get_param("name", "", "content-disposition")
        if isinstance(name, str) and name:
            found[name] = content_of(part)
    return found


def parse(content_type: str, body: bytes) -> Envelope:
    """The envelope of a multipart body.

    Raises:
        NoEnvelope: there is none.
    """
    found = unpack(content_type, body)
    payload = found.pop("Payload", None)
    try:
        return read({name: value.decode() for name, value in found.items()}, payload)
    except UnicodeDecodeError:
        raise NoEnvelope("a field that is not UTF-8") from None


def parts_of(content_type: str, body: bytes) -> list[Message]:
    """The parts of a multipart body of any kind.

    Raises:
        NoEnvelope: it is not multipart, or has too many parts.
    """
    if "\r" in content_type or "\n" in content_type:
        raise NoEnvelope("Content-Type")
    whole = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body,
                               policy=policy.compat32)
    parts = whole.get_payload()
    if not whole.is_multipart() or not isinstance(parts, list):
        raise NoEnvelope("no multipart body")
    if len(parts) > _MOST:
        raise NoEnvelope("too many parts")
    return [part for part in parts if isinstance(part, Message)]


def content_of(part: Message) -> bytes:
    """The bytes of a part."""
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _boundary(parts: list[tuple[str, str, bytes]]) -> bytes:
    """A boundary that no part holds: the same for the same parts."""
    digest = hashlib.sha256(b"\0".join(body for _, _, body in parts))
    while True:
        boundary = b"=_core_" + digest.hexdigest()[:32].encode()
        if not any(boundary in body for _, _, body in parts):
            return boundary
        digest.update(b"again")
