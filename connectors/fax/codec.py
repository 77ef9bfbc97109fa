"""The codec of readings of pages: every format comes in, one goes out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from canonical.findings import Finding, Rejection, finding
from canonical.page import PageDocument, SourceKind, to_json
from connectors.base import Peek
from connectors.fax.codes import ARCHIVE, EMPTY, PICTURE, UNKNOWN, UNSUPPORTED
from connectors.fax.readers import alto, azure, hocr, own, text, textract, tsv
from connectors.fax.sniff import Kind, Media, Other, sniff

Read = Callable[[bytes, str], PageDocument]

READERS: Final[dict[SourceKind, Read]] = {
    SourceKind.HOCR: hocr.read, SourceKind.ALTO: alto.read, SourceKind.TSV: tsv.read, SourceKind.TEXTRACT: textract.read,
    SourceKind.AZURE: azure.read, SourceKind.TEXT: text.read, SourceKind.OCR: own.read}

#: Second half of the message type, after ``DOCUMENT^`` or ``PAGES^``.
_NAMES: Final[dict[Kind, str]] = {
    Media.TIFF: "TIFF", Media.PNG: "PNG", Media.JPEG: "JPEG", Media.PDF: "PDF",
    SourceKind.HOCR: "HOCR", SourceKind.ALTO: "ALTO", SourceKind.TSV: "TSV", SourceKind.TEXTRACT: "TEXTRACT",
    SourceKind.AZURE: "AZURE", SourceKind.TEXT: "TEXT", SourceKind.OCR: "OCR"}
_REFUSALS: Final = {Other.EMPTY: EMPTY, Other.ARCHIVE: ARCHIVE, Other.UNSUPPORTED: UNSUPPORTED, Other.UNKNOWN: UNKNOWN}


class PageCodec:
    """Reads pages in whichever of `kinds` they come; writes our own form.

    Lossless for our own form; of the others the stored bytes are the record, and the pages are what they say.
    """

    content_type = "application/vnd.dragoman.pages+json"

    def __init__(self, kinds: Collection[SourceKind] = tuple(READERS)) -> None:
        self._kinds = frozenset(kinds)

    def peek(self, raw: bytes) -> Peek:
        """Never raises."""
        return peek(raw)

    def decode(self, raw: bytes, charset: str = "") -> PageDocument:
        """Raises `Rejection` where the bytes are no reading of pages, or not of one of the kinds."""
        kind = sniff(raw)
        reader = READERS.get(kind) if isinstance(kind, SourceKind) and kind in self._kinds else None
        if reader is None:
            raise Rejection(finding(PICTURE) if isinstance(kind, Media) else refusal(raw) or finding(UNKNOWN))
        return reader(raw, charset)

    def encode(self, wire: PageDocument) -> bytes:
        """The bytes of our own form."""
        return to_json(wire)


class _Origin(msgspec.Struct):
    """What tells one reading of ours from another."""

    parent_id: str = ""
    producer: str = ""
    producer_version: str = ""
    model: str = ""


_ORIGIN: Final = msgspec.json.Decoder(_Origin)


def peek(raw: bytes) -> Peek:
    """What can be known of a document or a reading at the door. Never raises.

    A reading of ours is known by what it is a reading of and what read it, so that a second one of the same document by
    the same version is the same message, whatever the clock or chance made different in it. Others are known by where
    they came from, which their receiver tells.
    """
    kind = sniff(raw)
    name = _NAMES.get(kind, "UNKNOWN")
    return Peek(message_type=f"{'PAGES' if isinstance(kind, SourceKind) else 'DOCUMENT'}^{name}",
                lanes=("message:" + hashlib.sha256(raw).hexdigest()[:32],),
                dedup=_identity(raw) if kind is SourceKind.OCR else b"")


def _identity(raw: bytes) -> bytes:
    try:
        origin = _ORIGIN.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return b""
    if not origin.parent_id:
        return hashlib.sha256(b"pages\0" + raw).digest()
    parts = (origin.parent_id, origin.producer, origin.producer_version, origin.model)
    return hashlib.sha256("\0".join(("reading", *parts)).encode("utf-8", "replace")).digest()


def refusal(raw: bytes) -> Finding | None:
    """Why the bytes are neither a document nor a reading that is taken here; None where they are."""
    kind = sniff(raw)
    return finding(_REFUSALS[kind]) if isinstance(kind, Other) else None
