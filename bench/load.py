"""The load: N connections over MLLP, each waits for its acknowledgement before it sends the next (closed loop).

A process of its own, and as cheap as Python allows: it shares the machine with what it measures. A connection
keeps to patients of its own, so the order in which a patient's visits were acknowledged is known. An
acknowledgement counts only if it is positive and names the control id that is being waited for (MSA-2).
"""

from __future__ import annotations

import asyncio
import resource
import time
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer
import uvloop

from bench.message import siu, token
from bench.report import emit, quantile

PATIENTS_PER_CONNECTION = 50
ANSWER_SECONDS = 30.0


class Connection(asyncio.Protocol):
    """One sender: send, wait, record, send."""

    def __init__(self, run: Run, number: int) -> None:
        self._run = run
        self._number = number
        self._sent = 0
        self._buffer = b""
        self._control = b""
        self._token = b""
        self._at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        """Send the next message, or finish."""
        run = self._run
        self._at = now = time.perf_counter()
        if now >= run.until or run.sent >= run.limit:
            self._finish()
            return
        turn, own = divmod(self._sent, PATIENTS_PER_CONNECTION)
        patient = run.first_patient + self._number * PATIENTS_PER_CONNECTION + own
        self._token = token(patient, turn + 1)
        self._control = b"%d.%d.%d" % (run.first_patient, self._number, self._sent)
        self._sent += 1
        run.sent += 1
        self._transport.write(b"\x0b%b\x1c\r" % siu(self._control, patient, turn + 1))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._buffer.endswith(b"\x1c\r"):
            return
        now = time.perf_counter()
        answer, self._buffer = self._buffer[:-2], b""
        at = answer.find(b"\rMSA|")
        _, code, control, *_ = answer[at + 1:].split(b"\r", 1)[0].split(b"|") if at >= 0 else (b"", b"", b"")
        self._run.record(code in (b"AA", b"CA") and control == self._control, self._token, self._at, now)
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._run.lost += 1
            self.done.set_result(None)

    def _finish(self) -> None:
        self.done.set_result(None)
        self._transport.close()


class Run:
    """What all connections share: when to stop, what was acknowledged, how long it took."""

    def __init__(self, first_patient: int, limit: int, seconds: float, warmup: float) -> None:
        self.first_patient = first_patient
        self.limit = limit
        self.sent = self.lost = self.refused = 0
        self.acknowledged: list[bytes] = []
        self._latencies: list[float] = []
        self._begin = time.perf_counter() + warmup
        self.until = self._begin + seconds
        self._last = self._begin

    def record(self, positive: bool, token: bytes, sent: float, now: float) -> None:
        """One answer."""
        if not positive:
            self.refused += 1
            return
        self.acknowledged.append(token)
        if sent >= self._begin:
            self._latencies.append(now - sent)
            self._last = now

    def summary(self) -> dict[str, float]:
        """Rates a second, latencies in milliseconds."""
        ordered = sorted(self._latencies)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "acknowledged": len(self.acknowledged), "refused": self.refused, "lost": self.lost,
            "measured": len(ordered),
            "rate": len(ordered) / (self._last - self._begin) if ordered else 0.0,
            "p50_ms": quantile(ordered, 0.5) * 1e3, "p99_ms": quantile(ordered, 0.99) * 1e3,
            "max_ms": (ordered[-1] if ordered else 0.0) * 1e3,
            "cpu_s": usage.ru_utime + usage.ru_stime,
        }


async def drive(port: int, connections: int, run: Run) -> None:
    """Connect all, then let all go at once."""
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(partial(Connection, run, number), "127.0.0.1", port))[1]
              for number in range(connections)]
    for connection in opened:
        connection.send()
    seconds = max(run.until - time.perf_counter(), 0) + ANSWER_SECONDS
    _, silent = await asyncio.wait([connection.done for connection in opened], timeout=seconds)
    run.lost += len(silent)


def main(
    port: int,
    connections: Annotated[int, typer.Option()] = 1,
    seconds: Annotated[float, typer.Option()] = 5,
    warmup: Annotated[float, typer.Option()] = 1,
    messages: Annotated[int, typer.Option()] = 10**9,
    first_patient: Annotated[int, typer.Option()] = 0,
    acknowledged: Annotated[Path | None, typer.Option(help="Writes the tokens acknowledged here.")] = None,
) -> None:
    """Send for a while; print a summary as JSON."""

    async def whole() -> Run:
        run = Run(first_patient, messages, seconds, warmup)
        await drive(port, connections, run)
        return run

    run = uvloop.run(whole())
    if acknowledged is not None:
        acknowledged.write_bytes(b"\n".join(run.acknowledged))
    emit(run.summary())


if __name__ == "__main__":
    typer.run(main)
