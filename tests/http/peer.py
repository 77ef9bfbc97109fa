"""A peer for the sender's tests: a real socket, scripted answers, every request kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

Handler = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request, and the means to answer it."""

    def __init__(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.line, *fields = head.split("\r\n")
        self.headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
        self.body = body
        self._writer = writer

    async def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole answer; ``retry_after`` becomes ``Retry-After``."""
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """End the connection."""
        self._writer.close()


class Peer:
    """``async with Peer(handler) as peer``: ``peer.url``, ``peer.requests``, ``peer.connections``."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[Exchange] = []
        self.connections = 0
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Peer:
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen: on a free port, and after `close` on the same again."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/base"

    async def close(self) -> None:
        """Stop listening and end all connections."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n")
                exchange = Exchange(head, b"", writer)
                exchange.body = await reader.readexactly(int(exchange.headers.get("content-length", "0")))
                self.requests.append(exchange)
                await self._handler(exchange)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
