"""The single writer: operations gather while a commit runs, then share the next one (group commit).

An operation has three ends: its result after the commit, its own error (a lost lease), or `LedgerUnavailable`.
Connections are mended here and nowhere else. Where one breaks during a commit on a network, nobody knows
whether the commit happened; each transaction therefore writes its number into the writer's row of `writers`,
and after the reconnection that number says which it was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from canonical.receipt import ReceiptMint
from store.ledger import LedgerUnavailable
from store.records import AckOutcome
from store.sql.batch import Batch
from store.sql.driver import Again, Broken, Driver, OutcomeUnknown, Transaction
from store.sql.operations import Operation, Task
from store.sql.statements import Statements

T = TypeVar("T")

#: Operations of one transaction at most: bounds how long the newest of them waits.
_LARGEST: Final = 256
#: How often a transaction steps aside for another process before we call the database unable.
_TRIES: Final = 8
#: Reconnection: first pause, longest pause.
_BACK_OFF_S: Final = (0.05, 5.0)
#: How long we look for the outcome of a commit before we give up and say that it is not known to be stored.
_PATIENCE_S: Final = 15.0
#: Notes about acknowledgements wait this long for a commit to travel with.
_ACKS_S: Final = 0.5


class Writer:
    """See the module. Everything here runs on the event loop.

    Args:
        driver: the database.
        statements: compiled for it.
        mint: of the ledger.
        partitions: of the ledger.
        name: unique among all writers of the database.
        linger_s: while several operations come at a time, wait this long for more of them before a commit.
    """

    def __init__(self, driver: Driver, statements: Statements, mint: ReceiptMint, partitions: int, *,
                 name: str, linger_s: float) -> None:
        self._driver, self._is, self._mint, self.partitions = driver, statements, mint, partitions
        self._name, self._linger_s = name, linger_s
        self._queue: deque[Operation[Any]] = deque()
        self._acks: dict[str, tuple[str, str, str]] = {}
        self._acks_due = False
        self._wake = asyncio.Event()
        self._number = 0
        self._broken = False
        self._pause_s, self._retry_at = _BACK_OFF_S[0], 0.0
        self._stopping = True
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to work on an open driver."""
        await self._introduce()
        self._stopping = False
        self._task = asyncio.create_task(self._work(), name="ledger-writer")

    async def _introduce(self) -> None:
        """Make our row, so that from now on a lock on it waits for our own unfinished commit."""
        if self._driver.marks:
            tx = await self._driver.begin()
            await tx.many(self._is.mark, [(self._name, self._number)])
            await self._driver.commit()

    async def stop(self) -> None:
        """Commit what has gathered, then end."""
        if self._task is None:
            return
        self._stopping = True
        self._wake.set()
        await self._task
        self._task = None
        if self._driver.marks and not self._broken:
            with suppress(Broken):  # a row that stays behind is 40 bytes and no harm
                tx = await self._driver.begin()
                await tx.ask(self._is.drop_mark, self._name)
                await self._driver.commit()

    def submit(self, operation: Operation[T]) -> asyncio.Future[T]:
        """Queue an operation; its future ends after the commit."""
        if self._stopping:
            operation.fail(LedgerUnavailable("the ledger is closed"))
        else:
            self._queue.append(operation)
            self._wake.set()
        return operation.done

    async def task(self, run: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run rare statements inside the next transaction."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        return await self.submit(Task(done, run))

    def note(self, message_id: str, code: str, outcome: AckOutcome) -> None:
        """Remember what became of an acknowledgement until a commit takes it along."""
        if not self._acks and not self._stopping:
            asyncio.get_running_loop().call_later(_ACKS_S, self._ring)
        self._acks[message_id] = (outcome.value, code, message_id)

    def _ring(self) -> None:
        self._acks_due = True
        self._wake.set()

    # -- work ---------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        crowd = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue or (self._acks and (self._acks_due or self._stopping)):
                if crowd > 1 and len(self._queue) < _LARGEST and not self._stopping:
                    await asyncio.sleep(self._linger_s)
                operations = [self._queue.popleft() for _ in range(min(_LARGEST, len(self._queue)))]
                crowd = len(operations)
                await self._settle(operations)
                # Let those whose operation ended queue the next one, and everybody else breathe.
                await asyncio.sleep(0)
                if self._broken and not self._queue:
                    break  # notes wait for better times
            crowd = 0
            if self._stopping and not self._queue:
                return

    async def _settle(self, operations: Sequence[Operation[Any]]) -> None:
        """Bring a batch to its ends."""
        acks, self._acks, self._acks_due = self._acks, {}, False
        try:
            await self._attempt(operations, list(acks.values()))
        except Broken as broken:
            self._acks = acks | self._acks
            for operation in operations:
                operation.fail(LedgerUnavailable(str(broken)))
        except Exception as error:  # what the database cannot take must fail its own operation only
            if len(operations) > 1:
                self._acks = acks | self._acks
                for operation in operations:
                    await self._settle([operation])
            elif operations:
                operations[0].fail(error)
        else:
            for operation in operations:
                operation.resolve()

    async def _attempt(self, operations: Sequence[Operation[Any]], acks: Sequence[Any]) -> None:
        """One durable transaction of these operations, however often it has to be begun."""
        mended = False
        for _ in range(_TRIES):
            try:
                if self._broken:
                    await self._reconnect()
                    mended = True
                await self._transact(operations, acks)
                return
            except Again:
                continue
            except OutcomeUnknown:
                self._broken = mended = True
                if await self._happened():
                    return
            except Broken:
                # The connection was lost while it was idle, or before the commit: nothing happened. Once more.
                first = not self._broken and not mended
                self._broken = True
                if not first:
                    raise
        raise Broken("the database is too contended to commit")

    async def _transact(self, operations: Sequence[Operation[Any]], acks: Sequence[Any]) -> None:
        batch = Batch(self._is, self._mint, self.partitions, operations, acks)
        self._number += 1
        try:
            tx = await self._driver.begin()
            if self._driver.marks:
                await tx.many(self._is.mark, [(self._name, self._number)])
            await batch.run(tx)
            await self._driver.commit()
        except OutcomeUnknown:
            raise
        except BaseException:
            await self._driver.rollback()
            raise

    # -- mending ------------------------------------------------------------------------------------------

    async def _reconnect(self) -> None:
        """Once, and not before the pause is over: while the database is away, operations fail at once."""
        now = asyncio.get_running_loop().time()
        if now < self._retry_at:
            raise Broken("the database is away")
        try:
            await self._driver.open()
        except Broken:
            self._retry_at = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, _BACK_OFF_S[1])
            raise
        self._broken = False
        self._pause_s, self._retry_at = _BACK_OFF_S[0], 0.0

    async def _happened(self) -> bool:
        """Whether the commit with the present number happened.

        Raises:
            Broken: the database stays away. Whoever asks again gets the truth: every operation may be repeated.
        """
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                await self._reconnect()
                tx = await self._driver.begin()
                # The lock waits for a server process that is still busy with our commit.
                answer = await tx.ask(self._is.find_mark, self._name)
                await tx.flush()
                await self._driver.commit()
            except Broken:
                self._broken = True
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_BACK_OFF_S[0])
            else:
                return bool(answer.rows) and bool(answer.rows[0][0] == self._number)
