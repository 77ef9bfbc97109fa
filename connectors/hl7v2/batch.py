"""Cutting files and streams into messages (B01, B06): batches, batches in files, bare concatenation.

Only the beginnings of segments are looked at, so that a file of any size takes the memory of its largest
message. Nothing is dropped: the parts, put together, are the input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from canonical.findings import Rejection, Severity, declare, finding

MESSAGE_TOO_LARGE: Final = declare(
    "hl7.message_too_large", Severity.FATAL,
    "A message in a file or stream exceeds the size limit",
    "Is this HL7 v2? If the size is right, raise `max_bytes`.")

_BOUNDARY: Final = re.compile(
    rb"(?:\A(?:\xef\xbb\xbf)?[ \t\r\n\x0b]{0,3}|(?<=[\r\n])[ \t]{0,2}\x0b?)(MSH|FHS|BHS|BTS|FTS)(?:[^\w]|\Z)")
_LONGEST: Final = 10
"""Bytes of a boundary that may be split between two chunks."""


class Part(NamedTuple):
    """A piece of a file."""

    raw: bytes
    is_message: bool
    """False for a batch or file header or trailer (FHS, BHS, BTS, FTS)."""


def split_batch(chunks: Iterable[bytes], max_bytes: int = 64 * 1024 * 1024) -> Iterator[Part]:
    """The parts of a file given in chunks. Text that no header precedes goes with the part that follows it.

    Raises:
        Rejection: ``hl7.message_too_large``: a part exceeds `max_bytes`; those before it were yielded.
    """
    buffer = bytearray()
    searched = 0
    header = b""  # of the part that the buffer begins with, once it is known
    for chunk in _with_end(chunks):
        buffer += chunk or b""
        start = 0
        safe = len(buffer) - (_LONGEST if chunk is not None else 0)
        for match in _BOUNDARY.finditer(buffer, searched):
            if match.start() > safe:
                break
            searched = match.end()
            if header:
                yield Part(bytes(buffer[start:match.start()]), header == b"MSH")
                start = match.start()
            header = match[1]
        searched = max(searched, safe, 0) - start
        del buffer[:start]
        if len(buffer) > max_bytes:
            raise Rejection(finding(MESSAGE_TOO_LARGE, detail=f"more than {max_bytes} bytes"))
    if buffer:
        yield Part(bytes(buffer), header in {b"", b"MSH"})


def _with_end(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """The chunks, and None for their end."""
    yield from chunks
    yield None
