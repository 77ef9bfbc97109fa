"""An MLLP server of the Python package `hl7` that acknowledges from memory. Prints {"port": n}; ends with its
standard input."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

import uvloop
from hl7.mllp import start_hl7_server


async def answer(reader: Any, writer: Any) -> None:
    """Acknowledge every message of one connection."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while not writer.is_closing():
            message = await reader.readmessage()
            writer.writemessage(message.create_ack())
            await writer.drain()


async def serve() -> None:
    """Serve until standard input ends."""
    server = await start_hl7_server(answer, "127.0.0.1", 0, encoding="utf-8")
    sys.stdout.write(json.dumps({"port": server.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    await stdin.read()


if __name__ == "__main__":
    uvloop.run(serve())
