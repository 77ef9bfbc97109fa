"""The engine's side: clerks in processes of their own, asked in batches, replaced when they die.

A clerk has at most two letters at a time (`DEPTH`). All others wait here, what is to be written before what is to be
read: otherwise a crowd at the entrance would keep what has been processed from leaving.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import msgspec
import structlog

from canonical.event import Event
from canonical.findings import Rejection
from canonical.phi import Phi
from connectors.base import Dispatch
from router.faults import report
from router.translate import Defect, Order, Read, Written
from store.records import Message
from wiring.bureau.letters import (
    DEPTH,
    HEAD,
    NAMED,
    Answer,
    Broken,
    Incoming,
    Letter,
    Opening,
    Outgoing,
    ReadDone,
    Refused,
    Result,
    Shelf,
    ToRead,
    ToWrite,
    WriteDone,
    length,
    sealed,
)

ROOT: Final = Path(__file__).resolve().parents[2]
#: Items of one letter at most: what waits behind it waits no longer than these take.
BATCH: Final = 32
#: Urgency of letters; the smaller goes first.
WRITE, READ = 0, 1
#: Seconds before a clerk that died is replaced.
PAUSE_S: Final = 0.2

T = TypeVar("T")
U = TypeVar("U")


#: Writes a letter for a clerk, under a number.
Write: TypeAlias = Callable[["Clerk", int], Letter]


class _Died(Exception):  # noqa: N818 - it says what happened
    """The clerk ended before it answered."""


class Clerk:
    """One process."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Answer)
        self._process: Process | None = None
        self._waiting: dict[int, asyncio.Future[list[Result]]] = {}
        self._shelf = Shelf(NAMED)
        self._number = 0
        self._reader: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._stopping = False
        self.load = 0
        """Letters that wait for an answer."""

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the process and hand it the site."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "wiring.bureau.clerk", cwd=ROOT, stdin=PIPE, stdout=PIPE)
        self._shelf = Shelf(NAMED)
        self._post(self._opening)
        self._reader = asyncio.create_task(self._read(self._process), name="bureau-clerk")
        self._reader.add_done_callback(report)
        self._up.set()

    async def stop(self) -> None:
        """End its input and wait for its end."""
        self._stopping = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=5.0)

    def named(self, event: Event) -> Event | str:
        """The event as this clerk needs it: its id, where it is just as the clerk has read it."""
        return event.id if self._shelf.get(event.id) is event else event

    async def ask(self, letter: Write) -> list[Result]:
        """Send a letter and wait for the answer. Raises _Died."""
        self._number += 1
        number = self._number
        self.load += 1
        try:
            await self._up.wait()
            answer: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
            self._waiting[number] = answer
            self._post(letter(self, number))
            return await answer
        finally:
            self.load -= 1
            self._waiting.pop(number, None)

    def _post(self, letter: Letter) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            raise _Died
        process.stdin.write(sealed(self._encoder, letter))

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        try:
            while True:
                head = await process.stdout.readexactly(HEAD)
                answer = self._decoder.decode(await process.stdout.readexactly(length(head)))
                self._shelf.put(answer.results)
                waiting = self._waiting.get(answer.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer.results)
        except (asyncio.IncompleteReadError, ConnectionError):
            self._up.clear()
            code = await process.wait()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(_Died())
        if not self._stopping:
            structlog.get_logger().error("translating process ended", code=code)
            await asyncio.sleep(PAUSE_S)
            await self.start()


class Pool:
    """A `router.translate.Bureau` of several clerks.

    Args:
        opening: the site.
        clerks: how many processes.
    """

    def __init__(self, opening: Opening, clerks: int) -> None:
        self._clerks = [Clerk(opening) for _ in range(clerks)]
        self._free = clerks * DEPTH
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = 0

    async def start(self) -> None:
        """Start all processes."""
        await asyncio.gather(*[clerk.start() for clerk in self._clerks])

    @property
    def processes(self) -> tuple[int, ...]:
        """Process ids."""
        return tuple(clerk.pid for clerk in self._clerks)

    async def stop(self) -> None:
        """End all processes."""
        await asyncio.gather(*[clerk.stop() for clerk in self._clerks])

    async def read(self, messages: Sequence[Message]) -> Sequence[Read]:
        """See `router.translate.Bureau`."""
        items = [Incoming(m.id, m.channel, m.message_type, m.received_at, m.charset, m.raw.reveal())
                 for m in messages]
        return await self._all(items, READ, lambda some: lambda clerk, number: ToRead(number, some), _as_read)

    async def write(self, orders: Sequence[Order]) -> Sequence[Written]:
        """See `router.translate.Bureau`."""
        return await self._all(orders, WRITE, lambda some: lambda clerk, number: ToWrite(number, [
            Outgoing(o.delivery.id, o.delivery.destination, clerk.named(o.event), o.state) for o in some]),
            _as_written)

    async def _all(self, items: Sequence[T], urgency: int, letter: Callable[[Sequence[T]], Write],
                   taken: Callable[[Result], U]) -> list[U | Exception]:
        parts = [items[at:at + BATCH] for at in range(0, len(items), BATCH)]
        answers = await asyncio.gather(*[self._some(part, urgency, letter, taken) for part in parts])
        return [result for answer in answers for result in answer]

    async def _some(self, items: Sequence[T], urgency: int, letter: Callable[[Sequence[T]], Write],
                    taken: Callable[[Result], U]) -> list[U | Exception]:
        for _ in range(2):
            try:
                return [taken(result) for result in await self._ask(urgency, letter(items))]
            except _Died:
                if len(items) > 1:  # one of them may be what it died of: that one alone must pay for it
                    return [result for one in items
                            for result in await self._some([one], urgency, letter, taken)]
        return [Defect("the translating process died of it twice")]

    async def _ask(self, urgency: int, letter: Write) -> list[Result]:
        await self._turn(urgency)
        try:
            return await min(self._clerks, key=lambda one: one.load).ask(letter)
        finally:
            self._free += 1
            while self._free and self._queue:
                waiting = heapq.heappop(self._queue)[2]
                if not waiting.done():
                    self._free -= 1
                    waiting.set_result(None)

    async def _turn(self, urgency: int) -> None:
        """Wait until a clerk can take a letter."""
        if self._free and not self._queue:
            self._free -= 1
            return
        self._arrivals += 1
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (urgency, self._arrivals, waiting))
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                self._free += 1  # our turn had come; somebody else's it is
            raise


def _as_read(result: Result) -> Read:
    if isinstance(result, ReadDone):
        return result.translation
    return _problem(result)


def _as_written(result: Result) -> Written:
    if isinstance(result, WriteDone):
        return Dispatch(identity=result.identity, body=Phi(result.body), content_type=result.content_type,
                        attributes=result.attributes, findings=result.findings, numbering=result.numbering)
    return _problem(result)


def _problem(result: Result) -> Exception:
    if isinstance(result, Refused):
        return Rejection(*result.findings)
    return Defect(result.place if isinstance(result, Broken) else "an answer of the wrong kind")
