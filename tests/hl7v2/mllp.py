"""Raw MLLP peers for the tests: they speak bytes, not our code."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator

from tests.conformance.sender import Does
from tests.hl7v2.messages import acknowledgement


class RawClient:
    """A client on a plain stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, content: bytes) -> None:
        """One frame."""
        await self.send_bytes(b"\x0b" + content + b"\x1c\x0d")

    async def send_bytes(self, data: bytes) -> None:
        """Bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def send_part(self, content: bytes) -> None:
        """The beginning of a frame."""
        await self.send_bytes(b"\x0b" + content[:-5])

    async def answer(self) -> bytes:
        """The content of the next frame; empty at the end of the stream."""
        try:
            async with asyncio.timeout(5):
                data = await self.reader.readuntil(b"\x1c\x0d")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        assert data[:1] == b"\x0b"
        return data[1:-2]

    async def closed(self) -> bool:
        """Whether the other side has closed, without having sent more."""
        try:
            async with asyncio.timeout(5):
                return await self.reader.read() == b""
        except ConnectionError:
            return True

    async def leave(self) -> None:
        """Close at once and both ways (RST): a plain close could be a half-close, which is still answered."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def raw_client(port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[RawClient]:
    """A connected client, closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context,
                                                   server_hostname="127.0.0.1" if context else None)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class ScriptedPeer:
    """An MLLP server that does as it is told."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.script: list[Does] = []
        self.before: bytes = b""
        """Bytes written before each answer."""
        self.replies: list[bytes] = []
        """Whole answers to give, instead of following the script."""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def come_back(self) -> None:
        """Listen, on the port had before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def go_away(self) -> None:
        """Stop listening and close all connections."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                data = await reader.readuntil(b"\x1c\x0d")
                self.received.append(data[1:-2])
                if not await self._react(data[1:-2], writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _react(self, content: bytes, writer: asyncio.StreamWriter) -> bool:
        control_id = content.split(b"\r", 1)[0].split(b"|")[9].decode()
        if self.replies:
            writer.write(self.before + self.replies.pop(0))
            return True
        match self.script.pop(0) if self.script else Does.ACCEPT:
            case Does.ACCEPT:
                writer.write(self.before + acknowledgement("AA", control_id))
            case Does.REFUSE:
                text = "CANARY is wrong"
                writer.write(self.before + acknowledgement("AE", control_id, error="103", text=text))
            case Does.BUSY:
                writer.write(self.before + acknowledgement("AE", control_id, error="206"))
            case Does.GARBAGE:
                writer.write(b"\x0bCANARY\x1c\x0d")
            case Does.DROP:
                return False
            case Does.SILENT:
                pass
        return True


@contextlib.asynccontextmanager
async def scripted_peer() -> AsyncIterator[ScriptedPeer]:
    """A listening peer."""
    peer = ScriptedPeer()
    await peer.come_back()
    try:
        yield peer
    finally:
        await peer.go_away()
