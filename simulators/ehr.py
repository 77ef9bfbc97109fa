"""An EHR that sends scheduling and registration messages over MLLP, and believes only its acknowledgements."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from simulators.history import Fact, booking, histories
from simulators.mllp import Frames, field, first, segments
from simulators.styles import STYLES, Style

DAY: Final = datetime(2026, 3, 2, 7)  # noqa: DTZ001 - local time of the simulated site


class Sent(msgspec.Struct, frozen=True):
    """A message of the EHR."""

    control_id: str
    lane: int
    """Number of the patient: the messages of a lane leave in order, each after the last's acknowledgement."""
    trigger: str
    body: bytes
    spoiled: bool = False
    """True for one that was broken on purpose."""


class Ehr:
    """A source of messages. The same arguments give the same messages, byte for byte.

    Args:
        style: ``lakeside`` or ``mercy``.
        seed: Makes people, days and control ids; two EHRs with different seeds never share any.
        spoil_every: Every so many scheduling messages, one with an impossible time; 0 for none.
    """

    def __init__(self, style: str = "mercy", *, seed: int = 1, spoil_every: int = 0) -> None:
        self._style: Style = STYLES[style]()
        self._seed = seed
        self._spoil_every = spoil_every
        self._number = 0
        self._spoilable = 0

    def histories(self, *, wave: int = 100) -> Iterator[Sent]:
        """Whole histories of wave after wave of patients (`simulators.history.histories`); never ends."""
        return map(self._sent, histories(self._seed, DAY, wave))

    def bookings(self, *, patients: int = 1000) -> Iterator[Sent]:
        """New appointments only, the patients in turn: uniform traffic for measurements; never ends."""
        return (self._sent(booking(self._seed, number, patients, DAY)) for number in itertools.count())

    def _sent(self, fact: Fact) -> Sent:
        self._number += 1
        control_id = f"{self._style.system[:3]}{self._seed:02d}{self._number:07d}"
        body, spoiled = self._style.write(fact, control_id), False
        if fact.trigger == "S12" and self._spoil_every:
            self._spoilable += 1
            if self._spoilable % self._spoil_every == 0:
                body, spoiled = self._style.spoil(body), True
        return Sent(control_id, fact.person.number, fact.trigger, body, spoiled)


class Tally(msgspec.Struct):
    """What became of what was sent."""

    sent: int = 0
    """Messages, not counting repetitions."""
    accepted: int = 0
    """AA or CA"""
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    """By MSA-1: AE, AR, CE, CR."""
    repeated: int = 0
    """Times a message was sent again: no acknowledgement in time, or the connection was lost."""
    stray: int = 0
    """Acknowledgements for something else (F15)."""
    given_up: list[str] = msgspec.field(default_factory=list)
    """Control ids for which no acknowledgement came at all."""
    acknowledged: list[str] = msgspec.field(default_factory=list)
    """Control ids with AA or CA: what the EHR may forget."""
    latencies: list[float] = msgspec.field(default_factory=list)
    """Seconds from the last sending to its acknowledgement."""


async def feed(messages: Iterable[Sent], host: str, port: int, *, connections: int = 1, timeout_s: float = 10.0,
               attempts: int = 10, pause_s: float = 0.2, per_second: float = 0.0) -> Tally:
    """Send messages and wait for the acknowledgement of each.

    A patient's messages take one connection, in order; each connection has one message under way. Without an
    acknowledgement in time the same bytes are sent again on a new connection (F14), `attempts` times in all. So
    they are after AR or CR with condition 207, an internal error: the receiver could not store them now, and a
    patient's next message must not overtake (A09).

    Args:
        messages: What to send; must end.
        host: Address of the engine.
        port: Its MLLP port.
        connections: Connections at the same time.
        timeout_s: Seconds to wait for an acknowledgement.
        attempts: How often one message is sent at most.
        pause_s: Seconds between a lost connection and the next.
        per_second: Messages a second over all connections; 0: as fast as acknowledgements come.
    """
    tally = Tally()
    queues: list[asyncio.Queue[Sent | None]] = [asyncio.Queue(maxsize=64) for _ in range(connections)]
    clients = [_Client(host, port, tally, timeout_s, attempts, pause_s) for _ in queues]
    async with asyncio.TaskGroup() as group:
        for client, queue in zip(clients, queues, strict=True):
            group.create_task(client.run(queue))
        began = time.monotonic()
        for number, message in enumerate(messages):
            if per_second:
                await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            await queues[message.lane % connections].put(message)
        for queue in queues:
            await queue.put(None)
    return tally


class _Client:
    """One connection that is opened again whenever it is lost."""

    def __init__(self, host: str, port: int, tally: Tally, timeout_s: float, attempts: int,
                 pause_s: float) -> None:
        self._address = (host, port)
        self._tally = tally
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._pause_s = pause_s
        self._line: Frames | None = None
        self._awaited = ""
        self._answer: asyncio.Future[str] | None = None

    async def run(self, queue: asyncio.Queue[Sent | None]) -> None:
        try:
            while (message := await queue.get()) is not None:
                await self._deliver(message)
        finally:
            self._hang_up()

    async def _deliver(self, message: Sent) -> None:
        tally = self._tally
        tally.sent += 1
        for attempt in range(self._attempts):
            tally.repeated += attempt > 0
            began = time.monotonic()
            code = await self._exchange(message)
            if code in {"AA", "CA"}:
                tally.accepted += 1
                tally.acknowledged.append(message.control_id)
                tally.latencies.append(time.monotonic() - began)
                return
            if code:
                tally.refused[code] += 1
                return
            self._hang_up()
            await asyncio.sleep(self._pause_s)
        tally.given_up.append(message.control_id)

    async def _exchange(self, message: Sent) -> str:
        """MSA-1 of the acknowledgement, or empty where none came."""
        loop = asyncio.get_running_loop()
        try:
            if self._line is None:
                _, self._line = await loop.create_connection(lambda: Frames(self._on_frame, self._on_lost),
                                                             *self._address)
            self._awaited, self._answer = message.control_id, loop.create_future()
            self._line.send(message.body)
            async with asyncio.timeout(self._timeout_s):
                return await self._answer
        except (OSError, TimeoutError):
            return ""
        finally:
            self._answer = None

    def _on_frame(self, line: Frames, frame: bytes) -> None:
        answer = segments(frame)
        msa = first(answer, "MSA")
        waiting = self._answer is not None and not self._answer.done() and line is self._line
        if self._answer is not None and waiting and field(msa, 2) == self._awaited:
            code = field(msa, 1)
            self._answer.set_result("" if code in {"AR", "CR"} and _internal_error(answer) else code)
        else:
            self._tally.stray += 1

    def _on_lost(self, line: Frames) -> None:
        if line is self._line:
            self._line = None
            if self._answer is not None and not self._answer.done():
                self._answer.set_result("")

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.transport.close()
            self._line = None


def _internal_error(answer: list[str]) -> bool:
    """True where ERR says 207 of table 0357: in ERR-3.1, and before version 2.5 in ERR-1.4.1."""
    return "207" in re.split(r"[|^&]", first(answer, "ERR"))
