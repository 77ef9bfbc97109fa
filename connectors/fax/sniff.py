"""What the bytes are, from a look at them: cheap, and never failing. Nothing is decoded here."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from canonical.page import SourceKind


class Media(StrEnum):
    """Documents as pictures: what our own reader takes."""

    TIFF = "image/tiff"
    PNG = "image/png"
    JPEG = "image/jpeg"
    PDF = "application/pdf"


class Other(StrEnum):
    """What is not read."""

    EMPTY = "empty"
    ARCHIVE = "archive"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


#: What the bytes are: a picture, a reading of pages, or neither.
Kind = Media | SourceKind | Other

_HEAD: Final = 8192
_PDF_WITHIN: Final = 1024
"""Readers accept a PDF header within the first 1024 bytes (ISO 32000-1, annex H.3.4.1)."""
_PICTURES: Final = (
    (b"II*\0", Media.TIFF), (b"MM\0*", Media.TIFF), (b"II+\0", Media.TIFF), (b"MM\0+", Media.TIFF),
    (b"\x89PNG\r\n\x1a\n", Media.PNG), (b"\xff\xd8\xff", Media.JPEG))
_ARCHIVES: Final = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\xfd7zXZ\0",
                    b"\x28\xb5\x2f\xfd")
_FOREIGN: Final = (b"GIF8", b"BM", b"\0\0\x01\0", b"\xd0\xcf\x11\xe0", b"{\\rtf", b"%!PS", b"DICM")
_HOCR: Final = re.compile(rb"ocr_page|ocr-system|ocrx_word|ocr_line")
_ALTO: Final = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?alto[\s>]")
_TEXTRACT: Final = (b'"Blocks"', b'"JobStatus"', b'"IdentityDocuments"', b'"ExpenseDocuments"')
_AZURE: Final = (b'"analyzeResult"', b'"readResults"', b'"createdDateTime"', b'"labels"', b'"modelId"')
_OWN: Final = re.compile(rb'"source":"[a-z-]+"')
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_BOM: Final = b"\xef\xbb\xbf"


def sniff(raw: bytes) -> Kind:
    """What the bytes are. Never raises.

    A plain text has no mark of its own: it is one where nothing else fits, it holds no control characters, and it
    ends with a line or a page, as the output of every program does that was not cut short.
    """
    if not raw:
        return Other.EMPTY
    for mark, media in _PICTURES:
        if raw.startswith(mark):
            return media
    if raw.startswith(_ARCHIVES):
        return Other.ARCHIVE
    if raw.startswith(_FOREIGN) or (raw[:4] == b"RIFF" and raw[8:12] == b"WEBP"):
        return Other.UNSUPPORTED
    head = raw[:_HEAD].removeprefix(_BOM).lstrip()
    if not head:
        return Other.EMPTY
    if b"%PDF-" in raw[:_PDF_WITHIN]:
        return Media.PDF
    return _reading(raw, head)


def _reading(raw: bytes, head: bytes) -> Kind:
    if head.startswith(b"<"):
        if _ALTO.search(head):
            return SourceKind.ALTO
        return SourceKind.HOCR if _HOCR.search(head) else Other.UNKNOWN
    if head.startswith((b"{", b"[")):
        if any(mark in raw for mark in _TEXTRACT):
            return SourceKind.TEXTRACT
        if any(mark in raw for mark in _AZURE):
            return SourceKind.AZURE
        # We write it first; whoever sorts keys has it last.
        return SourceKind.OCR if _OWN.search(head) or _OWN.search(raw[-_HEAD:]) else Other.UNKNOWN
    if head.startswith(b"level\tpage_num\t"):
        return SourceKind.TSV
    if raw[-1:] in b"\n\r\f" and not _CONTROL.search(raw):
        return SourceKind.TEXT
    return Other.UNKNOWN
