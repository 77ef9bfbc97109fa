"""The HTTP receiver and sender do what every connector must do."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from canonical.phi import Phi
from connectors.base import Dispatch, Receiver, Sender
from connectors.http.receiver import HttpReceiver
from connectors.http.sender import HttpSender
from connectors.http.settings import HttpIn, HttpOut
from tests.conformance.door import Door
from tests.conformance.receiver import Client, ReceiverConformance
from tests.conformance.sender import Peer, SenderConformance
from tests.http.scripted import ScriptedPeer


class _Client:
    """Posts HL7 v2, one request after another on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def _write(self, content: bytes, length: int) -> None:
        self._writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: x-application/hl7-v2+er7\r\n"
                           b"Content-Length: %d\r\n\r\n" % length + content)

    async def send(self, content: bytes) -> None:
        self._write(content, len(content))
        await self._writer.drain()

    async def send_part(self, content: bytes) -> None:
        self._write(content[:len(content) // 2], len(content))
        await self._writer.drain()

    async def answer(self) -> bytes:
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        return head.split(b"\r\n", 1)[0] + b"\r\n" + body

    async def leave(self) -> None:
        end = self._writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class TestHttpReceiver(ReceiverConformance):
    """HL7 v2 over HTTP."""

    @asynccontextmanager
    async def running(self, door: Door, like: Receiver | None = None) -> AsyncIterator[Receiver]:
        if like is None:
            self.port = 0
        it = HttpReceiver("in", HttpIn(port=self.port), door.accept, door.report)
        await it.start()
        self.port = it.port
        try:
            yield it
        finally:
            await it.stop(1)

    @asynccontextmanager
    async def client(self, receiver: Receiver) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", cast("HttpReceiver", receiver).port)
        try:
            yield _Client(reader, writer)
        finally:
            writer.close()

    def message(self, number: int) -> bytes:
        return (f"MSH|^~\\&|EHR|MERCY|HUB|X|20260302070000||SIU^S12^SIU_S12|C-{number}-|P|2.5.1\r"
                f"PID|1||{number}^^^MERCY^MR\r").encode()

    def refused_message(self) -> bytes:
        return b"PID|1||this is no message"

    def is_positive(self, answer: bytes) -> bool:
        return b"\rMSA|AA|" in answer and answer.startswith(b"HTTP/1.1 20")

    def is_about(self, answer: bytes, number: int) -> bool:
        return f"\rMSA|AA|C-{number}-\r".encode() in answer


class TestHttpSender(SenderConformance):
    """JSON to an ERP."""

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        async with ScriptedPeer() as peer:
            yield peer

    @asynccontextmanager
    async def running(self, peer: Peer) -> AsyncIterator[Sender]:
        it = HttpSender("out", HttpOut(url=cast("ScriptedPeer", peer).url, max_sessions=4, timeout_s=0.3))
        await it.start()
        try:
            yield it
        finally:
            await it.stop(0.1)

    def dispatch(self, number: int) -> Dispatch:
        return Dispatch(identity=f"d-{number}", body=Phi(f'{{"n":{number},"name":"CANARY"}}'.encode()),
                        content_type="application/json")
