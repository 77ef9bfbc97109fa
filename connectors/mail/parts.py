"""The attachments of a mail (MIME, RFC 2045): counted, never nested deeply, never guessed (Z16)."""

from __future__ import annotations

import email
import email.policy
import hashlib
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Final

import msgspec

from canonical.findings import Rejection, finding
from connectors.mail.codes import NO_ATTACHMENT, TOO_MANY_PARTS

MAX_DEPTH: Final = 5
#: A text part without a name is the letter, not the document.
_LETTER: Final = frozenset({"text/plain", "text/html"})


class Attachment(msgspec.Struct, frozen=True):
    """One document."""

    content: bytes
    identity: bytes
    """The same for the same attachment of the same mail, delivered again."""


def attachments(raw: bytes, max_parts: int) -> list[Attachment]:
    """The attachments of a mail, in order.

    Raises:
        Rejection: it has none, or too many parts, or they are nested too deeply.
    """
    message = email.message_from_bytes(raw, policy=email.policy.default)
    message_id = str(message.get("Message-ID", "")).strip() or hashlib.sha256(raw).hexdigest()
    found: list[Attachment] = []
    try:
        for number, part in enumerate(_leaves(message, max_parts), 1):
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and content and not content.isspace() and _is_document(part):
                name = f"mail\0{message_id}\0{number}\0".encode("utf-8", "replace")
                found.append(Attachment(content, hashlib.sha256(name + content).digest()))
    except (LookupError, ValueError, RecursionError, TypeError, AttributeError, IndexError):
        raise Rejection(finding(NO_ATTACHMENT)) from None  # headers that no program understands
    if not found:
        raise Rejection(finding(NO_ATTACHMENT))
    return found


def _is_document(part: EmailMessage) -> bool:
    return (part.get_content_type() not in _LETTER or bool(part.get_filename())
            or part.get_content_disposition() == "attachment")


def _leaves(message: EmailMessage, max_parts: int) -> Iterator[EmailMessage]:
    waiting: list[tuple[EmailMessage, int]] = [(message, 0)]
    seen = 0
    while waiting:
        part, depth = waiting.pop(0)
        seen += 1
        if seen > max_parts or depth > MAX_DEPTH:
            raise Rejection(finding(TOO_MANY_PARTS))
        if part.is_multipart():
            inner = [each for each in part.get_payload() if isinstance(each, EmailMessage)]
            waiting[:0] = [(each, depth + 1) for each in inner]
        else:
            yield part
