"""MLLP framing (HL7 Transport Specification: MLLP, releases 1 and 2): pure, incremental, no I/O.

A frame is ``0B content 1C 0D``. Input may be cut anywhere (F01) and may hold many frames (F02).
"""

from __future__ import annotations

from typing import Final

START: Final = b"\x0b"
END: Final = b"\x1c\r"
COMMIT_ACK: Final = b"\x06"
"""Content of the frame that confirms a commit in MLLP release 2 (F16)."""
COMMIT_NAK: Final = b"\x15"
_LENIENT_END: Final = b"\x1c"


def frame(content: bytes) -> bytes:
    """The frame around `content`."""
    return b"\x0b" + content + b"\x1c\r"


def can_be_framed(content: bytes) -> bool:
    """False where the content holds an end of frame: the peer would cut it there (F06)."""
    return END not in content


class Deframer:
    """Cuts a byte stream into the contents of frames.

    Strict: a frame ends with ``1C 0D`` and with nothing else, so a lone ``1C`` or ``0B`` is content (F06).
    Lenient: it ends with ``1C``, and a ``0D`` that follows is swallowed but not waited for (F05).
    """

    __slots__ = ("_buffer", "_end", "_in_frame", "_limit", "_scanned", "_swallow", "oversize", "stray")

    def __init__(self, max_bytes: int, *, strict: bool = True) -> None:
        self._limit = max_bytes
        self._end = END if strict else _LENIENT_END
        self._buffer = bytearray()
        self._in_frame = False
        self._scanned = 0
        self._swallow = False
        self.stray = 0
        """Bytes outside frames seen and dropped so far (F03)."""
        self.oversize: bytes | None = None
        """The beginning of a frame that exceeds `max_bytes`. Once set, all further input is dropped (F07)."""

    @property
    def in_frame(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._in_frame

    @property
    def partial(self) -> bytes:
        """What has come of the frame that has begun and not ended (F09)."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The contents of the frames that `data` completes, in order."""
        if self.oversize is not None:
            return []
        contents: list[bytes] = []
        end_mark, limit = self._end, self._limit
        position, length = 0, len(data)
        if self._in_frame:
            buffer = self._buffer
            already = len(buffer)
            buffer += data
            end = buffer.find(end_mark, max(self._scanned - 1, 0))
            if end < 0:
                self._scanned = len(buffer)
                if len(buffer) > limit:
                    self._overflow(bytes(buffer))
                return contents
            if end > limit:
                self._overflow(bytes(buffer))
                return contents
            contents.append(bytes(buffer[:end]))
            position = end + len(end_mark) - already
            buffer.clear()
            self._ended()
        while position < length:
            if self._swallow:
                self._swallow = False
                if data[position] == 0x0D:
                    position += 1
                    continue
            start = data.find(b"\x0b", position)
            if start < 0:
                self.stray += length - position
                break
            self.stray += start - position
            position = start + 1
            end = data.find(end_mark, position)
            if end < 0:
                self._in_frame = True
                self._buffer += data[position:]
                self._scanned = length - position
                if self._scanned > limit:
                    self._overflow(bytes(self._buffer))
                break
            if end - position > limit:
                self._overflow(data[position:end])
                break
            contents.append(data[position:end])
            position = end + len(end_mark)
            self._ended()
        return contents

    def _ended(self) -> None:
        self._in_frame = False
        self._swallow = self._end is _LENIENT_END

    def _overflow(self, content: bytes) -> None:
        self.oversize = content[:self._limit]
        self._buffer.clear()
        self._in_frame = False
