"""The header of a message, read from the bytes: all that receiving and acknowledging need to know.

Nothing is decoded, so nothing can fail: what is not there is empty.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from connectors.hl7v2.delimiters import Delimiters, delimiters_of

_START: Final = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?[\s\x00\x0b]*|[\r\n][ \t\x0b]*)(?=MSH[^\w\s])")
_WIDE: Final = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
                (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_FIELDS: Final = 25  # MSH-25 is the last one that v2.8 has


class Marks(NamedTuple):
    """The delimiters as bytes; empty where the message has none."""

    field: bytes
    component: bytes
    repetition: bytes
    subcomponent: bytes


class Header(msgspec.Struct, frozen=True):
    """An MSH segment as bytes."""

    fields: list[bytes]
    """`fields[n - 1]` is MSH-n (use `field`)."""
    delimiters: Delimiters
    marks: Marks
    end: int
    """Where the segment ends in the bytes it was read from."""

    def field(self, n: int) -> bytes:
        """MSH-`n` (from 3), raw; empty if absent."""
        return self.fields[n - 1] if n <= len(self.fields) else b""

    def component(self, n: int, c: int) -> bytes:
        """Component `c` (from 1) of the first repetition of MSH-`n`, without surrounding blanks."""
        if n > len(self.fields):
            return b""
        text, marks = self.fields[n - 1], self.marks
        if marks.repetition and marks.repetition in text:
            text = text.split(marks.repetition, 1)[0]
        parts = text.split(marks.component) if marks.component else [text]
        return parts[c - 1].strip() if c <= len(parts) else b""


@lru_cache(maxsize=256)
def _delimiters(separator: bytes, encoding: bytes) -> tuple[Delimiters, Marks]:
    found, _ = delimiters_of(separator.decode("latin-1"), encoding.decode("latin-1"))
    return found, Marks(*(mark.encode("latin-1") for mark in (
        found.field, found.component, found.repetition, found.subcomponent)))


def narrow(raw: bytes) -> bytes:
    """The message with one byte for each ASCII character: UTF-16 and UTF-32 (by their marks) become UTF-8."""
    if raw[:1] in {b"\xff", b"\xfe", b"\x00"}:
        for mark, codec in _WIDE:
            if raw.startswith(mark):
                return raw.decode(codec, "replace").encode("utf-8")
    return raw


def asking_twice(body: bytes) -> bytes:
    """The message in enhanced mode, asking for an acknowledgement of the commit and one of the application (MSH-15 and
    MSH-16 AL, v2.5.1 §2.9.3); one that says itself what it asks for is left as it is. `body` is one of ours."""
    header = read_header(body)
    if header is None or header.field(15) or header.field(16):
        return body
    fields = [*header.fields, *[b""] * (16 - len(header.fields))]
    fields[14] = fields[15] = b"AL"
    return header.marks.field.join(fields) + body[header.end:]


def read_header(raw: bytes) -> Header | None:
    """The first MSH segment at the beginning of a line; None if there is none. `raw` is `narrow`."""
    start = 0
    if not raw.startswith(b"MSH|"):
        found = _START.search(raw)
        if found is None:
            return None
        start = found.end()
    end = raw.find(b"\r", start)
    if end < 0:
        end = len(raw)
    feed = raw.find(b"\n", start, end)
    if feed >= 0:
        end = feed
    separator = raw[start + 3:start + 4]
    fields = raw[start:end].split(separator, _FIELDS)
    return Header(fields, *_delimiters(separator, fields[1]), end)
