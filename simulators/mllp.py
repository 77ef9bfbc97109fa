"""The least of MLLP a partner needs: independent of the engine's own code, so that it can judge it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

START, END = b"\x0b", b"\x1c\r"


def field(segment: str, number: int) -> str:
    """Field `number` of a segment other than MSH (in MSH the separator itself is field 1)."""
    parts = segment.split("|")
    index = number - 1 if parts[0] == "MSH" else number
    return parts[index] if index < len(parts) else ""


def segments(message: bytes) -> list[str]:
    """Segments of a message whose delimiters are the usual ones."""
    return message.decode("utf-8", "replace").split("\r")


def first(message: list[str], name: str) -> str:
    """First segment of this name; empty where there is none."""
    return next((segment for segment in message if segment.startswith(name)), "")


class Frames(asyncio.Protocol):
    """Cuts a stream into frames. Whatever lies between frames is ignored."""

    def __init__(self, on_frame: Callable[[Frames, bytes], None],
                 on_lost: Callable[[Frames], None] = lambda _: None) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._buffer = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it

    def data_received(self, data: bytes) -> None:
        """asyncio's."""
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(END)) >= 0:
            start = buffer.find(START)
            frame, buffer = buffer[start + 1:end], buffer[end + 2:]
            if start >= 0:
                self._on_frame(self, frame)
        self._buffer = buffer

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's."""
        self._on_lost(self)

    def send(self, message: bytes) -> None:
        """Write one frame."""
        self.transport.write(START + message + END)
