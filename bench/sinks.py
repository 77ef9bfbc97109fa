"""The far side: one MLLP server and one HTTP server that acknowledge at once and remember what they saw.

Cheap on purpose (hand-written parsing, one process): they share the machine with what is measured. They are
idempotent peers: an identity (MSH-10, Idempotency-Key) seen before is acknowledged and counted, no more.

Speaks JSON lines: prints its ports, answers ``count`` while the run goes on and ``verdict`` at its end.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

from bench.message import TOKEN, TOKEN_LENGTH

_VISIT = 6


class Memory:
    """What one sink saw."""

    def __init__(self) -> None:
        self._tokens: dict[bytes, bytes] = {}
        """identity -> token"""
        self._newest: dict[bytes, bytes] = {}
        self.repeated = self.unknown = self.disordered = 0
        self.last = 0.0

    def __len__(self) -> int:
        return len(self._tokens)

    def saw(self, identity: bytes, body: bytes) -> None:
        """One delivery."""
        self.last = time.time()
        at = body.find(TOKEN)
        if at < 0 or not identity:
            self.unknown += 1
        elif identity in self._tokens:
            self.repeated += 1
        else:
            token = body[at:at + TOKEN_LENGTH]
            self._tokens[identity] = token
            patient = token[:-_VISIT]
            if token <= self._newest.get(patient, b""):
                self.disordered += 1
            self._newest[patient] = token

    def verdict(self, acknowledged: set[bytes]) -> dict[str, int]:
        """Compared with what the sender holds an acknowledgement for. All but ``delivered`` should be 0.

        ``unacknowledged`` may be more: a message that was committed while its sender went away.
        """
        tokens = self._tokens.values()
        distinct = set(tokens)
        return {"delivered": len(distinct), "missing": len(acknowledged - distinct),
                "second_effects": len(tokens) - len(distinct), "disordered": self.disordered,
                "repeated": self.repeated, "unknown": self.unknown,
                "unacknowledged": len(distinct - acknowledged)}


class Mllp(asyncio.Protocol):
    """Acknowledges every frame with AA by its control id."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        answers = []
        while (end := buffer.find(b"\x1c\r")) >= 0:
            frame, buffer = buffer[:end], buffer[end + 2:]
            fields = frame.split(b"|", 10)
            control = fields[9] if len(fields) > 9 else b""
            self._memory.saw(control, frame)
            answers.append(b"\x0bMSH|^~\\&|SINK|BENCH|DRAGOMAN|HUB|20260309083015||ACK|S%b|P|2.5.1\rMSA|AA|%b\r\x1c\r"
                           % (control, control))
        self._buffer = buffer
        if answers:
            self._transport.write(b"".join(answers))


class Http(asyncio.Protocol):
    """Answers every request with 201 and keeps the connection."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (head_end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:head_end + 2].lower()
            end = head_end + 4 + int(_header(head, b"content-length") or b"0")
            if len(buffer) < end:
                break
            self._memory.saw(_header(head, b"idempotency-key"), buffer[head_end + 4:end])
            buffer = buffer[end:]
            self._transport.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        self._buffer = buffer


def _header(head: bytes, name: bytes) -> bytes:
    at = head.find(b"\r\n" + name + b":")
    return head[at + len(name) + 3:head.find(b"\r\n", at + 2)].strip() if at >= 0 else b""


async def serve() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    sinks = {"mllp": Memory(), "http": Memory()}
    mllp = await loop.create_server(lambda: Mllp(sinks["mllp"]), "127.0.0.1", 0)
    http = await loop.create_server(lambda: Http(sinks["http"]), "127.0.0.1", 0)
    _say({"mllp": mllp.sockets[0].getsockname()[1], "http": http.sockets[0].getsockname()[1]})
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := (await commands.readline()).decode().split():
        if line[0] == "count":
            _say({name: len(memory) for name, memory in sinks.items()})
        else:
            acknowledged = set(Path(line[1]).read_bytes().split())
            usage = resource.getrusage(resource.RUSAGE_SELF)
            _say({"cpu_s": usage.ru_utime + usage.ru_stime, "last": max(m.last for m in sinks.values()),
                  **{name: memory.verdict(acknowledged) for name, memory in sinks.items()}})


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve())
