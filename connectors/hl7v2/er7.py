r"""ER7 ("pipes and hats"): a lossless, lazy codec.

`parse` decodes once, splits into segments once, and leaves every segment a string until a field is asked
for. Whatever was accepted comes out again byte for byte (P13): terminators as they came (P02), a byte order
mark, lines before the header (P03), unknown and Z segments (P08), fields beyond the version (P09).

Text in fields is raw: split it with `repetitions`, `components`, `subcomponents` and only then `unescape`
(E09). The null value ``""`` is `NULL` (P05).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from canonical.findings import Finding, Rejection, Severity, declare, finding
from connectors.hl7v2.charsets import codec_of, decode
from connectors.hl7v2.delimiters import (
    NULL,
    STANDARD,
    Delimiters,
    components,
    delimiters_of,
    is_truncated,
    repetitions,
    subcomponents,
)
from connectors.hl7v2.escapes import escape, unescape

__all__ = [
    "NULL", "STANDARD", "Delimiters", "Message", "Segment", "components", "escape", "is_truncated", "parse",
    "repetitions", "subcomponents", "unescape",
]

NO_HEADER: Final = declare(
    "hl7.no_header", Severity.FATAL,
    "There is no MSH segment, so this is not an HL7 v2 message",
    "Look at the stored bytes: is this another format, or was the beginning lost?")
JUNK_BEFORE_HEADER: Final = declare(
    "hl7.junk_before_header", Severity.WARNING,
    "There is text before the MSH segment; it was kept and not read",
    "Have the sender begin the message with MSH.")
LINE_ENDS: Final = declare(
    "hl7.line_ends", Severity.INFO,
    "Segments do not all end with a carriage return",
    "Nothing to do: the message was read and is kept as it came.")
LINE_BREAK_IN_FIELD: Final = declare(
    "hl7.line_break_in_field", Severity.WARNING,
    "A line feed inside a field was kept as content",
    "Have the sender write line breaks as an escape sequence.")
ENCODING_CHARACTERS: Final = declare(
    "hl7.encoding_characters", Severity.WARNING,
    "MSH-2 is not one to five different punctuation characters; the most likely meaning was taken",
    "Have the sender correct MSH-2; check components and escapes of this message.")
SEVERAL_HEADERS: Final = declare(
    "hl7.several_headers", Severity.ERROR,
    "There is more than one header segment: several messages were sent as one",
    "Use a batch channel for this sender, or have it send one message a frame.")
NOT_A_SEGMENT: Final = declare(
    "hl7.not_a_segment", Severity.WARNING,
    "A line does not begin with a segment name; it was kept in place and not read",
    "Usually a line break inside a field: have the sender escape it.")
TRUNCATED: Final = declare(
    "hl7.truncated", Severity.WARNING,
    "A value ends with the truncation character: its sender did not have room for all of it",
    "Do not compare it with a whole value; ask the sender for a longer field if the value matters.")
CANNOT_ENCODE: Final = declare(
    "hl7.cannot_encode", Severity.ERROR,
    "A value holds characters that the message's character set cannot express",
    "Set the destination's `charset` (MSH-18) to one that can, such as UNICODE UTF-8.")

HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
"""Segments whose first two fields are the delimiters."""


class Segment(msgspec.Struct, eq=False, gc=False):
    """One segment. Created as text; split when a field is read or written."""

    id: str
    """Name as written (``PID``, ``ZAP``); empty or odd for a line that is no segment."""
    _text: str | None
    _separator: str
    end: str = "\r"
    """What followed it on the wire: terminator and blank lines."""
    _fields: list[str] | None = None

    @property
    def text(self) -> str:
        """As on the wire, without terminator."""
        text = self._text
        if text is None:
            fields, separator = self._split(), self._separator
            text = self._text = (fields[0] + separator + separator.join(fields[2:]) if self.id in HEADERS
                                 else separator.join(fields))
        return text

    def field(self, n: int) -> str:
        """Raw text of field `n`, from 1; empty if absent. MSH-1 is the separator itself."""
        fields = self._fields
        if fields is None:
            fields = self._split()
        return fields[n] if n < len(fields) else ""

    def set(self, n: int, text: str) -> None:
        """Write the raw text of field `n`: already escaped, repetitions and components joined.

        Raises:
            ValueError: field 0, or the delimiter fields of a header, which belong to the message.
        """
        if n < 1 or (n < 3 and self.id in HEADERS):
            raise ValueError(f"{self.id}-{n} cannot be written")
        fields = self._split()
        if n >= len(fields):
            fields.extend([""] * (n + 1 - len(fields)))
        fields[n] = text
        self._text = None

    def close(self) -> None:
        """Drop empty fields at the end; nothing is to be written any more."""
        self._text = None
        self._text = self.text.rstrip(self._separator)
        self._fields = None

    def __len__(self) -> int:
        """Number of the last field present."""
        return len(self._split()) - 1

    def _split(self) -> list[str]:
        fields = self._fields
        if fields is None:
            text = self._text
            assert text is not None
            fields = self._fields = text.split(self._separator)
            if self.id in HEADERS:
                fields.insert(1, self._separator)
        return fields

    def __repr__(self) -> str:
        return f"Segment({self.id!r})"


class Message(msgspec.Struct, eq=False, gc=False):
    """A message (or what a sender sent as one). `segments` stand in wire order and may be edited in place."""

    segments: list[Segment]
    delimiters: Delimiters
    charset: str = ""
    """Python's codec name; empty while all is ASCII and nothing had to be decided."""
    prefix: str = ""
    """What stood before the header."""
    mark: bytes = b""
    """The byte order mark."""
    _problem: Finding | None = None
    tidy: bool = False
    """Read without a line feed, a blank line or a leading blank."""

    @classmethod
    def build(cls, delimiters: Delimiters = STANDARD, charset: str = "") -> Message:
        """A new message holding an MSH with delimiters only. `charset`: see `emit`."""
        header = Segment("MSH", None, delimiters.field, "\r", ["MSH", delimiters.field, delimiters.encoding])
        return cls([header], delimiters, codec_of(charset))

    def add(self, name: str, at: int | None = None) -> Segment:
        """A new, empty segment at the end or before position `at`."""
        segment = Segment(name, None, self.delimiters.field, "\r", [name])
        self.segments.insert(len(self.segments) if at is None else at, segment)
        return segment

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        for segment in self.segments:
            if segment.id == name:
                return segment
        return None

    def all(self, name: str) -> list[Segment]:
        """All segments of that name, in order."""
        return [segment for segment in self.segments if segment.id == name]

    def emit(self) -> bytes:
        """The bytes: those that were parsed, where nothing was changed.

        Raises:
            Rejection: a value written by us does not fit the character set: `charset`, else MSH-18, else UTF-8.
        """
        parts = [self.prefix]
        for segment in self.segments:
            parts.append(segment.text)
            parts.append(segment.end)
        text = "".join(parts)
        if not self.charset and text.isascii():
            return self.mark + text.encode("ascii")
        codec = self.charset or self.declared
        try:
            return self.mark + text.encode(codec, "surrogateescape")
        except UnicodeError:
            raise Rejection(finding(CANNOT_ENCODE)) from None

    @property
    def declared(self) -> str:
        """Python's codec for MSH-18; UTF-8 where it names none."""
        header = self.first("MSH")
        names = repetitions(header.field(18), self.delimiters) if header else [""]
        return codec_of(names[0]) or "utf-8"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is odd about the form of the message, in wire order. Computed when asked for."""
        return tuple(_look(self, self._problem))

    def __repr__(self) -> str:
        return f"Message({len(self.segments)} segments)"


def parse(raw: bytes, charset: str = "") -> Message:
    """Read a message. `charset` is the partner's default, used where the message declares none (C01).

    Raises:
        Rejection: ``hl7.no_header``, the only thing that makes bytes no message.
    """
    text, codec, mark, problem = decode(raw, charset)
    if text.startswith("MSH|^~\\&|"):
        prefix, delimiters = "", STANDARD
    else:
        prefix, text, delimiters = _header(text)
    separator = delimiters.field
    lines = text.split("\r")
    final = "" if lines[-1] else "\r"
    if final:
        lines.pop()
    # A blank line, or one that begins with a blank, sorts before all others: one look finds out.
    tidy = min(lines) > "!" and "\n" not in text
    if tidy:
        segments = [Segment(line.partition(separator)[0], line, separator) for line in lines]
        segments[-1].end = final
    else:
        segments = _split_lines(text, separator)
    return Message(segments, delimiters, codec, prefix, mark,
                   None if problem is None else finding(problem, at="MSH-18"), tidy)


def truncated(message: Message) -> list[Finding]:
    """The fields with a value that is not whole (L01). It keeps the character, so it equals no whole value."""
    mark, d = message.delimiters.truncation, message.delimiters
    if not mark:
        return []
    found = []
    for segment in message.segments:
        if mark not in segment.text:
            continue
        for number in range(3 if segment.id in HEADERS else 1, len(segment) + 1):
            raw = segment.field(number)
            if mark in raw and any(is_truncated(part, d) for repetition in repetitions(raw, d)
                                   for component in components(repetition, d) for part in subcomponents(component, d)):
                found.append(finding(TRUNCATED, at=f"{segment.id}-{number}"))
    return found


_START: Final = re.compile(r"(?:\A[\s\x00\x0b\ufeff]*|[\r\n][ \t\x0b]*)(?=(?:MSH|FHS|BHS)[^\w\s])")


def _header(text: str) -> tuple[str, str, Delimiters]:
    """What stands before the header, the rest, and the delimiters."""
    start = _START.search(text)
    if start is None:
        raise Rejection(finding(NO_HEADER, at="byte 0"))
    prefix, text = text[:start.end()], text[start.end():]
    separator = text[3]
    encoding = text[4:text.find(separator, 4)] if separator in text[4:40] else re.split(r"[\r\n]", text[4:9])[0]
    return prefix, text, delimiters_of(separator, encoding)[0]


@lru_cache(maxsize=64)
def _line_ends(separator: str, line_feed_ends: bool) -> re.Pattern[str]:
    # Where the message has carriage returns, a lone line feed ends a segment only if another segment follows:
    # otherwise it is content (a multi-line comment, an identifier with a break in it).
    feed = r"\n" if line_feed_ends else rf"\n(?=[ \t]*[A-Z][A-Z0-9]{{2}}{re.escape(separator)}|[\r\n]|\Z)"
    # Blank lines, and lines of nothing but leftovers of framing, belong to the line end before them.
    return re.compile(rf"(?:(?:\r\n?|{feed})(?:[ \t\x0b\x1c]*(?=[\r\n]|\Z))?)+")


def _split_lines(text: str, separator: str) -> list[Segment]:
    segments: list[Segment] = []
    position = 0
    for match in _line_ends(separator, "\r" not in text).finditer(text):
        line = text[position:match.start()]
        segments.append(Segment(line.partition(separator)[0].strip(), line, separator, match.group()))
        position = match.end()
    if position < len(text):
        line = text[position:]
        segments.append(Segment(line.partition(separator)[0].strip(), line, separator, ""))
    return segments


_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{2,3}\Z")


@lru_cache(maxsize=1024)
def _is_name(text: str) -> bool:
    return _NAME.match(text) is not None


def _look(message: Message, problem: Finding | None) -> list[Finding]:
    found = [] if problem is None else [problem]
    if message.prefix.strip(" \t\r\n\x0b\x00\ufeff"):
        found.append(finding(JUNK_BEFORE_HEADER, at="byte 0"))
    header = message.segments[0]
    if header.id in HEADERS and not delimiters_of(header.field(1), header.field(2))[1]:
        found.append(finding(ENCODING_CHARACTERS, at=f"{header.id}-2"))
    headers = ends = 0
    for number, segment in enumerate(message.segments, 1):
        headers += segment.id in HEADERS
        ends += segment.end != "\r"
        if not _is_name(segment.id):
            found.append(finding(NOT_A_SEGMENT, at=f"line {number}"))
        elif not message.tidy and "\n" in segment.text:
            found.append(finding(LINE_BREAK_IN_FIELD, at=f"line {number}"))
    if headers > 1:
        found.append(finding(SEVERAL_HEADERS, detail=f"{headers} header segments"))
    if ends:
        found.append(finding(LINE_ENDS, detail=f"{ends} of {len(message.segments)} segments end otherwise"))
    return found
