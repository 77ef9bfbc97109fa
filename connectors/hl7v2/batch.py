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

_BOUNDARY: Final = re.compile(rb"(?<=[\r\n])[ \t]*\x0b?(?=(?:MSH|FHS|BHS|BTS|FTS)(?:[^\w\s]|\s|\Z))")
_FIRST: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?[\s\x0b]*(MSH|FHS|BHS|BTS|FTS)?")
_LONGEST: Final = 8
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
    for chunk in chunks:
        buffer += chunk
        start = 0
        safe = len(buffer) - _LONGEST
        for match in _BOUNDARY.finditer(buffer, searched):
            if match.start() > safe:
                break
            if _begins(buffer, start):
                yield _part(bytes(buffer[start:match.start()]))
                start = match.start()
        searched = max(safe - start, 0)
        del buffer[:start]
        if len(buffer) > max_bytes:
            raise Rejection(finding(MESSAGE_TOO_LARGE, detail=f"more than {max_bytes} bytes"))
    start = 0
    for match in _BOUNDARY.finditer(buffer, searched):
        if _begins(buffer, start):
            yield _part(bytes(buffer[start:match.start()]))
            start = match.start()
    if len(buffer) > start:
        yield _part(bytes(buffer[start:]))


def _begins(buffer: bytearray, start: int) -> bool:
    """Whether a part that can stand alone begins at `start` (and not text before the first header)."""
    found = _FIRST.match(buffer[start:start + 4096])
    return found is not None and found[1] is not None


def _part(raw: bytes) -> Part:
    found = _FIRST.match(raw)
    return Part(raw, found is None or found[1] in {None, b"MSH"})
