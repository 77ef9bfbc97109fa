"""Batches: cutting files and frames into messages, counting them, and answering (B01 to B07; v2.5.1 §2.10.3).

Only the beginnings of segments are looked at, so that a file of any size takes the memory of its largest
message. Nothing is dropped: the parts, put together, are the input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta

from canonical.findings import Finding, Rejection, Severity, declare, finding

MESSAGE_TOO_LARGE: Final = declare(
    "hl7.message_too_large", Severity.FATAL,
    "A message in a file or stream exceeds the size limit",
    "Is this HL7 v2? If the size is right, raise `max_bytes`.")
BATCH: Final = declare(
    "hl7.batch", Severity.INFO,
    "The header and trailer segments of a batch; its messages are entries of their own",
    "Nothing to do.")
BATCH_COUNT: Final = declare(
    "hl7.batch_count", Severity.ERROR,
    "A batch does not hold as many messages, or a file as many batches, as its trailer says, or has no trailer",
    "Ask the sender whether something was lost on the way; have the batch sent again.")

BatchCounts = Annotated[Literal["flag", "reject"], Meta(
    description="What to do with a batch whose trailer (BTS-1, FTS-1) is missing or counts otherwise: 'flag' take its "
                "messages and say so; 'reject' refuse all of them.")]

_NAMES: Final = rb"(MSH|FHS|BHS|BTS|FTS)(?=\W|\Z)"
_FIRST: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n\x0b]{0,3}" + _NAMES)
# Begins with a set of characters, which the search engine skips to quickly.
_BOUNDARY: Final = re.compile(rb"[\r\n]([ \t]{0,2}\x0b?)" + _NAMES)
_LONGEST: Final = 10
"""Bytes of a boundary that may be split between two chunks."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LEAD: Final = b"\xef\xbb\xbf \t\r\n\x0b"


class Part(NamedTuple):
    """A piece of a file."""

    raw: bytes
    name: str
    """Of its first segment: MSH, or a batch or file header or trailer (FHS, BHS, BTS, FTS)."""

    @property
    def is_message(self) -> bool:
        """False for headers and trailers."""
        return self.name == "MSH"


class Cutter:
    """Cuts a stream into parts. Text that no header precedes goes with the part that follows it.

    Raises:
        Rejection: ``hl7.message_too_large``: a part exceeds `max_bytes`; those before it were given.
    """

    def __init__(self, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._name = ""  # of the part that the buffer begins with, once it is known

    def feed(self, chunk: bytes) -> Iterator[Part]:
        """The parts that `chunk` completes. Take them all before the next chunk."""
        self._buffer += chunk
        return self._cut(len(self._buffer) - _LONGEST)

    def end(self) -> Iterator[Part]:
        """What is left at the end of the stream."""
        yield from self._cut(len(self._buffer))
        if self._buffer:
            yield Part(bytes(self._buffer), self._name or "MSH")
            self._buffer.clear()

    def _cut(self, safe: int) -> Iterator[Part]:
        buffer, start = self._buffer, 0
        if not (self._searched or self._name) and safe >= 0 and (first := _FIRST.match(buffer)) is not None:
            self._name, self._searched = first[1].decode("ascii"), first.end()
        for match in _BOUNDARY.finditer(buffer, self._searched):
            begin = match.start(1)
            if begin > safe:
                break
            self._searched = match.end()
            if self._name:
                yield Part(bytes(buffer[start:begin]), self._name)
                start = begin
            self._name = match[2].decode("ascii")
        self._searched = max(self._searched, safe, 0) - start
        del buffer[:start]
        if len(buffer) > self._max_bytes:
            raise Rejection(finding(MESSAGE_TOO_LARGE, detail=f"more than {self._max_bytes} bytes"))


def split_batch(chunks: Iterable[bytes], max_bytes: int = 64 * 1024 * 1024) -> Iterator[Part]:
    """The parts of a file given in chunks (see `Cutter`)."""
    cutter = Cutter(max_bytes)
    for chunk in chunks:
        yield from cutter.feed(chunk)
    yield from cutter.end()


def is_batch(raw: bytes) -> bool:
    """Whether a frame holds a batch, or messages one after another, rather than one message (B01)."""
    if raw[:3] != b"MSH" and raw.lstrip(_LEAD)[:3] in {b"FHS", b"BHS"}:
        return True
    return raw.find(b"\rMSH", 1) > 0 or raw.find(b"\nMSH", 1) > 0


def fields_of(raw: bytes) -> list[bytes]:
    """Fields of a header or trailer: ``[n]`` is field n of a header (its own separator, B03), and of a trailer."""
    line = re.split(rb"[\r\n]", raw.lstrip(_LEAD), maxsplit=1)[0]
    separator = line[3:4] or b"|"
    fields = line.split(separator)
    if line[:3] in {b"FHS", b"BHS"}:
        fields.insert(1, separator)
    return fields


class Tally:
    """Counts while the parts go by, and compares with what trailers say (B02)."""

    def __init__(self) -> None:
        self.problems: list[Finding] = []
        self.has_envelope = False
        """Whether there are headers or trailers at all: bare concatenation promises nothing."""
        self._messages = self._batches = 0
        self._open: list[str] = []

    def take(self, part: Part) -> None:
        """The next part."""
        if part.name == "MSH":
            self._messages += 1
            return
        self.has_envelope = True
        if part.name in {"FHS", "BHS"}:
            self._open.append(part.name)
            if part.name == "BHS":
                self._batches += 1
                self._messages = 0
            else:
                self._batches = 0
            return
        opener = "BHS" if part.name == "BTS" else "FHS"
        counted = self._messages if part.name == "BTS" else self._batches
        if opener in self._open:
            del self._open[self._open.index(opener):]
        stated = [*fields_of(part.raw), b""][1].strip()
        if stated and (not stated.isdigit() or int(stated) != counted):
            self.problems.append(finding(BATCH_COUNT, at=f"{part.name}-1", detail=f"{counted} came; {part.name}-1 "
                                                                                  "says otherwise"))

    def end(self) -> list[Finding]:
        """Everything that is wrong. A header without its trailer: the end of the batch was lost."""
        for opener in self._open:
            trailer = "BTS" if opener == "BHS" else "FTS"
            self.problems.append(finding(BATCH_COUNT, at=trailer, detail=f"{opener} without {trailer}"))
        self._open.clear()
        return self.problems


class Reply:
    """A response batch, piece by piece (B04): own delimiters, references to the batch that is answered.

    Args:
        control_id: of the answer, unique; BHS-11 and FHS-11 begin with it.
        at: its time, microseconds since the epoch.
    """

    def __init__(self, control_id: str, at: int) -> None:
        self._control_id = control_id
        self._time = (_EPOCH + timedelta(microseconds=at)).strftime("%Y%m%d%H%M%S+0000").encode("ascii")
        self._open: list[tuple[str, bytes]] = []
        self._messages = self._batches = 0

    def part(self, part: Part) -> bytes:
        """The segments that answer a header or trailer."""
        fields = [*fields_of(part.raw), *[b""] * 12]
        if part.name in {"FHS", "BHS"}:
            out = self._close("BHS") if part.name == "BHS" else b""
            separator = fields[1]
            self._open.append((part.name, separator))
            number = b""
            if part.name == "BHS":
                self._batches, self._messages = self._batches + 1, 0
                number = b"%d" % self._batches
            mine = self._control_id.encode("ascii")[:20 - len(number)] + number
            return out + separator.join((part.name.encode(), fields[2], fields[5], fields[6], fields[3], fields[4],
                                         self._time, b"", b"", b"", mine, fields[11])) + b"\r"
        return self._close("BHS" if part.name == "BTS" else "FHS")

    def message(self, acknowledgement: bytes) -> bytes:
        """An acknowledgement; empty where none is due."""
        if acknowledgement:
            self._messages += 1
        return acknowledgement

    def end(self) -> bytes:
        """Trailers for headers whose own were lost."""
        return b"".join(self._close(name) for name, _ in reversed(list(self._open)))

    def _close(self, opener: str) -> bytes:
        """Trailers down to that of the last open `opener`; nothing if none is open."""
        out = b""
        while any(name == opener for name, _ in self._open):
            name, separator = self._open.pop()
            count = self._messages if name == "BHS" else self._batches
            out += (b"BTS" if name == "BHS" else b"FTS") + separator + b"%d\r" % count
            if name == opener:
                break
        return out
