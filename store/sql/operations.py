"""The kinds of operation that a batch is made of. Each has its own outcome, whatever becomes of the others."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from store.records import Attempt, Lease, Message
from store.sql.driver import Row, Transaction
from store.sql.rows import Prepared

T = TypeVar("T")


class Operation(Generic[T]):
    """Something that a caller waits for.

    `result` and `error` are set inside the transaction and mean nothing before its commit; `resolve` hands them
    out after it.
    """

    __slots__ = ("done", "error", "result")

    def __init__(self, done: Future[T]) -> None:
        self.done = done
        self.result: Any = None
        self.error: Exception | None = None

    def resolve(self) -> None:
        """The commit has returned."""
        if not self.done.done():
            if self.error is None:
                self.done.set_result(self.result)
            else:
                self.done.set_exception(self.error)

    def fail(self, error: Exception) -> None:
        """There was no commit."""
        if not self.done.done():
            self.done.set_exception(error)


class Append(Operation[Any]):
    """A new message: its row without `seq`, and the record."""

    __slots__ = ("message", "row", "seq")

    def __init__(self, done: Future[Any], row: Row, message: Message) -> None:
        super().__init__(done)
        self.row, self.message, self.seq = row, message, 0


class Commit(Operation[None]):
    """What messages set in motion."""

    __slots__ = ("lease", "prepared")

    def __init__(self, done: Future[None], lease: Lease, prepared: Sequence[Prepared]) -> None:
        super().__init__(done)
        self.lease, self.prepared = lease, prepared


class Inflight(Operation[frozenset[str]]):
    """Deliveries about to be sent, and the sequences in which they need a control number."""

    __slots__ = ("at", "ids", "lease", "scopes")

    def __init__(self, done: Future[frozenset[str]], lease: Lease, ids: Sequence[str], at: int,
                 scopes: Mapping[str, str]) -> None:
        super().__init__(done)
        self.lease, self.ids, self.at, self.scopes = lease, ids, at, scopes


class Settle(Operation[None]):
    """What attempts came to: rows, and the attempts worth a row."""

    __slots__ = ("attempts", "lease", "rows")

    def __init__(self, done: Future[None], lease: Lease, rows: Sequence[Row],
                 attempts: Sequence[Attempt]) -> None:
        super().__init__(done)
        self.lease, self.rows, self.attempts = lease, rows, attempts


class Published(Operation[None]):
    """Events that the broker has confirmed."""

    __slots__ = ("ids",)

    def __init__(self, done: Future[None], ids: Sequence[str]) -> None:
        super().__init__(done)
        self.ids = ids


class Task(Operation[Any]):
    """Anything rare: it brings its own statements and shares the commit."""

    __slots__ = ("run",)

    def __init__(self, done: Future[Any], run: Callable[[Transaction], Awaitable[Any]]) -> None:
        super().__init__(done)
        self.run = run
