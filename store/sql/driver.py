"""What the writer and the reads need of a database. Two fulfil it: `store.sql.sqlite`, `store.sql.postgres`.

Neither uses a thread for the hot path: see ``docs/adr/0003-no-threads-under-the-ledger.md``. SQLite's calls are
made on the event loop, fsync and all; PostgreSQL's go through an asynchronous connection in pipeline mode. So
on SQLite an answer is there at once, and on PostgreSQL after the next `Transaction.flush`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from store.sql.shapes import Shapes, Statement

Row = tuple[Any, ...]


class Answer(Protocol):
    """Rows that a statement gave, readable after the flush."""

    @property
    def rows(self) -> Sequence[Row]:
        """All of them."""


class Broken(Exception):  # noqa: N818 - the ledger turns it into LedgerUnavailable
    """The connection is gone or the database cannot work now. The transaction did not happen."""


class OutcomeUnknown(Broken):
    """The connection broke while a commit was under way: it may have happened."""


class Again(Exception):  # noqa: N818 - a request, not an error
    """The database rolled the transaction back to let another one pass: run it again."""


class Transaction(Protocol):
    """One transaction of the writer."""

    async def ask(self, statement: Statement, *parameters: Any) -> Answer:
        """Run a statement that answers."""

    async def many(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Run a statement for many rows."""

    async def each(self, statement: Statement, rows: Sequence[Row]) -> Answer:
        """The same, and tell the keys of the rows that it touched (one column)."""

    async def flush(self) -> None:
        """Wait for the answers."""


class Driver(Protocol):
    """One database. Every method raises `Broken` where it is away."""

    shapes: Shapes
    #: True where a commit can break in a way that leaves its outcome open (anything behind a network).
    marks: bool

    async def open(self) -> None:
        """Connect; refuse a database that does not survive power loss. Also after `Broken`."""

    async def close(self) -> None:
        """Let go of everything."""

    async def begin(self) -> Transaction:
        """Start the writer's transaction."""

    async def commit(self) -> None:
        """Make it durable. Raises `OutcomeUnknown` where the answer is lost."""

    async def rollback(self) -> None:
        """Undo it; never raises."""

    async def read(self, statement: Statement, *parameters: Any) -> Sequence[Row]:
        """A short read outside the writer's transaction."""

    async def search(self, text: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """A read that may take its time; it must not stand in the way of the hot path."""
