"""Files of any size, a transaction set at a time (X10): a batch of 100,000 inquiries takes the memory of its
largest set.

Only the envelope segments are looked for, so reading costs little more than finding them. Nothing is dropped:
the pieces, put together, are the input.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from canonical.findings import Rejection, finding
from connectors.x12.codes import NO_HEADER, TOO_LARGE
from connectors.x12.delimiters import BLANKS, LONGEST_HEADER, header_length, read_delimiters

MAX_BYTES: Final = 64 * 1024 * 1024
_BLANK: Final = BLANKS.encode()
_START: Final = re.compile(rb"(?<![A-Za-z0-9])ISA(?=[^A-Za-z0-9 \t\r\n])")
_HEAD: Final = LONGEST_HEADER + 8192
_KEPT: Final = 64
"""Bytes kept back at the end of a chunk: blanks and the name of an envelope segment may be split between two."""


class Kind(StrEnum):
    """What a piece of a file is."""

    INTERCHANGE = "ISA"
    """An ISA, with whatever stood before it and follows it outside of groups."""
    ACKNOWLEDGEMENT = "TA1"
    GROUP = "GS"
    SET = "ST"
    GROUP_END = "GE"
    INTERCHANGE_END = "IEA"


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A piece of a file. ``b"".join(piece.raw for piece in pieces(...))`` is the file."""

    kind: Kind
    raw: bytes
    interchange: bytes = b""
    """The ISA it stands in, terminator included."""
    group: bytes = b""
    """The GS it stands in, terminator included; empty outside of groups."""
    element: bytes = b""
    """The element separator."""
    terminator: bytes = b""

    def alone(self) -> bytes:
        """The transaction set as an interchange of its own: the headers as they came, the trailers counted anew.

        Control numbers stay those of the batch, so that an acknowledgement finds its set.
        """
        element, terminator = self.element, self.terminator
        ending = self.interchange[self.interchange.rfind(terminator):]

        def trailer(name: bytes, header: bytes, number: int) -> bytes:
            text = header[:header.find(terminator)]
            elements = text.split(element)
            control = elements[number].strip() if number < len(elements) else b""
            return element.join((name, b"1", control)) + ending

        body = self.raw
        if not body.rstrip(_BLANK).endswith(terminator.strip(_BLANK) or terminator):
            body += ending
        parts = [self.interchange, self.group, body]
        if self.group:
            parts.append(trailer(b"GE", self.group, 6))
        parts.append(trailer(b"IEA", self.interchange, 13))
        return b"".join(parts)


@lru_cache(maxsize=64)
def _boundary(terminator: bytes, element: bytes) -> re.Pattern[bytes]:
    # Blanks after a terminator belong to the segment before it.
    return re.compile(rb"(?<=" + re.escape(terminator) + rb")[" + _BLANK + rb"]*"
                      rb"(?:(GS|ST|GE|IEA|TA1)(?=" + re.escape(element) + rb")|(ISA)(?=[^A-Za-z0-9 \t\r\n]))")


def pieces(chunks: Iterable[bytes], max_bytes: int = MAX_BYTES) -> Iterator[Piece]:
    """The pieces of a file that is given in chunks.

    Raises:
        Rejection: ``x12.no_header`` (nothing was yielded), ``x12.no_terminator``, ``x12.too_large``: a piece
            exceeds `max_bytes`; those before it were yielded.
    """
    reader = _Reader(max_bytes)
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.end()


class _Reader:
    """What has been read and not yielded, and where in the envelope that is."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._kind: Kind | None = None
        self._element = self._terminator = b""
        self._interchange = self._group = b""
        self._pattern: re.Pattern[bytes] | None = None

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        self._buffer += chunk
        yield from self._scan(complete=False)
        if len(self._buffer) > self._max:
            raise Rejection(finding(TOO_LARGE, detail=f"more than {self._max} bytes"))

    def end(self) -> Iterator[Piece]:
        yield from self._scan(complete=True)
        if self._kind is None:
            raise Rejection(finding(NO_HEADER, at="byte 0"))
        if self._buffer:
            yield self._piece(bytes(self._buffer))

    def _scan(self, *, complete: bool) -> Iterator[Piece]:
        while True:
            if self._pattern is None and not self._begin(complete=complete):
                return
            assert self._pattern is not None
            buffer = self._buffer
            safe = len(buffer) - (0 if complete else _KEPT)
            start = 0
            again = False
            for match in self._pattern.finditer(buffer, self._searched):
                name = match[1] or match[2]
                at = match.end() - len(name)
                if at > safe:
                    break
                self._searched = match.end()
                if name == b"TA1" and self._kind is Kind.SET:
                    continue  # out of place, but no reason to end the set
                yield self._piece(bytes(buffer[start:at]))
                start = at
                if match[2]:
                    self._pattern, again = None, True  # another interchange may have other delimiters
                    break
                self._kind = Kind(name.decode())
            del buffer[:start]
            if not again:
                self._searched -= start
                self._skip(safe - start)
                return
            self._searched = 0

    def _skip(self, safe: int) -> None:
        """Remember how far nothing was found. Blanks after a terminator may yet have a name after them."""
        buffer, since = self._buffer, max(self._searched, 0)
        last = buffer.rfind(self._terminator, max(since - len(self._terminator), 0), max(safe, 0))
        if last >= 0:
            self._searched = max(last, since)
        elif safe > since and buffer[since:safe].strip(_BLANK):
            self._searched = safe

    def _begin(self, *, complete: bool) -> bool:
        """Read the delimiters of the ISA that the buffer holds; False where there is not enough of it yet."""
        buffer = self._buffer
        match = _START.search(buffer)
        if match is None:
            return False
        at = match.start()
        text, charset = _head(bytes(buffer[at:at + _HEAD]))
        length = header_length(text, complete=complete)
        if length is None or (not complete and len(text) < length + 2 * _KEPT):
            return False
        delimiters, _ = read_delimiters(text)
        self._element = delimiters.element.encode(charset)
        self._terminator = delimiters.segment.encode(charset)
        header = text[:text.index(delimiters.segment, length - 1) + 1]
        end = at + len(header.encode(charset))
        while end < len(buffer) and buffer[end] in _BLANK:
            end += 1
        self._interchange, self._group = bytes(buffer[at:end]), b""
        self._kind = Kind.INTERCHANGE
        self._pattern = _boundary(self._terminator, self._element)
        self._searched = at + 3
        return True

    def _piece(self, raw: bytes) -> Piece:
        kind = self._kind
        assert kind is not None
        if kind is Kind.GROUP:
            end = raw.find(self._terminator) + len(self._terminator)
            while end < len(raw) and raw[end] in _BLANK:
                end += 1
            self._group = raw[:end]
        elif kind is Kind.INTERCHANGE_END:
            self._group = b""
        piece = Piece(kind, raw, self._interchange, self._group, self._element, self._terminator)
        if kind is Kind.GROUP_END:
            self._group = b""
        return piece


def _head(raw: bytes) -> tuple[str, str]:
    """The beginning of an interchange as text: UTF-8 if it is that, else one character a byte."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(raw), "utf-8"
    except UnicodeDecodeError:
        return raw.decode("iso-8859-1"), "iso-8859-1"


def split(chunks: Iterable[bytes], max_bytes: int = MAX_BYTES) -> Iterator[bytes]:
    """One message for each transaction set (`Piece.alone`), and one for an interchange that holds none, such as
    a TA1. Raises as `pieces` does."""
    without = b""
    for piece in pieces(chunks, max_bytes):
        if piece.kind is Kind.SET:
            without = b""
            yield piece.alone()
        elif piece.kind is Kind.INTERCHANGE:
            if without:
                yield without
            without = piece.raw
        elif without:
            without += piece.raw
    if without:
        yield without
