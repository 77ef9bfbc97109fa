"""PostgreSQL through psycopg 3: one asynchronous connection writes, in pipeline mode; a few read.

A batch is three round trips whatever its size: what must be known first, the writes, the commit. There is no
writer thread: it would have to win Python's lock from the event loop at every wait (ADR 0003).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline

from store.sql.driver import Again, Broken, OutcomeUnknown, Row
from store.sql.shapes import Postgres, Shapes, Statement

#: The hot statements are prepared and keep their plan; one made while a table was empty must not be a scan for
#: ever. Nested loops over an index are right for each of them at any size: the others are made unattractive.
HOT: Final = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
_CONNECT_S: Final = 5
_READERS: Final = 2

#: Rolled back so that another transaction may pass.
_PASSING: Final = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
_GONE: Final = (psycopg.OperationalError, psycopg.InterfaceError)


class _Rows:
    """See `store.sql.driver.Answer`."""

    __slots__ = ("cursor", "rows")

    def __init__(self, cursor: AsyncCursor[Row]) -> None:
        self.cursor = cursor
        self.rows: Sequence[Row] = ()


class PostgresDriver:
    """See `store.sql.driver.Driver`.

    Args:
        url: as libpq takes it: ``postgresql://USER@HOST/NAME``.
    """

    marks = True

    def __init__(self, url: str) -> None:
        self.shapes: Shapes = Postgres()
        self.url = url
        self._write: AsyncConnection[Row] | None = None
        self._open: AsyncExitStack | None = None
        self._pipeline: AsyncPipeline | None = None
        self._asked: list[_Rows] = []
        self._idle: list[AsyncConnection[Row]] = []
        self._turns = asyncio.Semaphore(_READERS)

    async def open(self) -> None:
        await self.close()
        self._write = await self._connect()
        try:
            await self._demand_durability(self._write)
        except BaseException:
            await self.close()
            raise

    async def _connect(self, options: str = HOT) -> AsyncConnection[Row]:
        try:
            return await AsyncConnection.connect(
                self.url, autocommit=True, connect_timeout=_CONNECT_S, options=options,
                application_name="dragoman", prepare_threshold=2)
        except psycopg.Error as error:
            raise Broken(f"cannot reach the database: {_brief(error)}") from error

    @staticmethod
    async def _demand_durability(connection: AsyncConnection[Row]) -> None:
        for setting in ("synchronous_commit", "fsync"):
            cursor = await connection.execute(f"SHOW {setting}")
            row = await cursor.fetchone()
            if row is None or row[0] == "off":
                raise Broken(f"the database has {setting} = off: a commit would not survive power loss")

    async def close(self) -> None:
        connections = [self._write, *self._idle]
        self._write, self._pipeline, self._open, self._asked, self._idle = None, None, None, [], []
        for connection in connections:
            if connection is not None:
                await connection.close()

    # -- transaction --------------------------------------------------------------------------------------

    async def begin(self) -> PostgresDriver:
        if self._write is None or self._write.closed:
            raise Broken("the connection to the database is closed")
        self._open = AsyncExitStack()
        async with _translated():
            self._pipeline = await self._open.enter_async_context(self._write.pipeline())
            await self._write.execute("BEGIN")
        return self

    @property
    def _writer(self) -> AsyncConnection[Row]:
        if self._write is None:
            raise Broken("the connection to the database is closed")
        return self._write

    async def ask(self, statement: Statement, *parameters: Any) -> _Rows:
        return await self._send(statement, parameters)

    async def many(self, statement: Statement, rows: Sequence[Row]) -> None:
        async with _translated():
            await self._writer.execute(statement.text, _columns(rows))

    async def each(self, statement: Statement, rows: Sequence[Row]) -> _Rows:
        return await self._send(statement, _columns(rows))

    async def _send(self, statement: Statement, parameters: Sequence[Any]) -> _Rows:
        async with _translated():
            answer = _Rows(await self._writer.execute(statement.text, parameters))
        self._asked.append(answer)
        return answer

    async def flush(self) -> None:
        if self._pipeline is None:
            raise Broken("no transaction is open")
        async with _translated():
            await self._pipeline.sync()
            for answer in self._asked:
                if answer.cursor.description is not None:  # a deletion answers with no rows at all
                    answer.rows = await answer.cursor.fetchall()
        self._asked.clear()

    async def commit(self) -> None:
        try:
            async with _translated():
                await self._writer.execute("COMMIT")
                await self._leave()
        except Broken as error:
            raise OutcomeUnknown(str(error)) from error

    async def _leave(self) -> None:
        stack, self._open, self._pipeline, self._asked = self._open, None, None, []
        if stack is not None:
            await stack.aclose()

    async def rollback(self) -> None:
        # Whatever is wrong here was wrong before: the failure that led here is the one to report.
        with suppress(psycopg.Error):
            await self._leave()
        with suppress(psycopg.Error):
            if self._write is not None and not self._write.closed:
                await self._write.rollback()

    # -- reads --------------------------------------------------------------------------------------------

    async def read(self, statement: Statement, *parameters: Any) -> Sequence[Row]:
        async with self._turns:
            while self._idle:
                # It may have died since it was last used; that is no news about the database.
                with suppress(Broken):
                    return await self._fetch(self._idle.pop(), statement, parameters)
            return await self._fetch(await self._connect(), statement, parameters)

    async def _fetch(self, connection: AsyncConnection[Row], statement: Statement,
                     parameters: Sequence[Any]) -> Sequence[Row]:
        try:
            async with _translated():
                cursor = await connection.execute(statement.text, parameters)
                found = await cursor.fetchall()
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        return found

    async def search(self, text: str, parameters: Sequence[Any]) -> Sequence[Row]:
        # A connection of its own, planned by the statistics: a search is rare and of any shape.
        connection = await self._connect(options="-c jit=off")
        async with _translated(), connection:
            cursor = await connection.execute(text, parameters)
            return await cursor.fetchall()


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    """One array a column."""
    return [list(column) for column in zip(*rows, strict=True)]


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except _PASSING as error:
        raise Again from error
    except _GONE as error:
        raise Broken(f"the database is away: {_brief(error)}") from error


def _brief(error: psycopg.Error) -> str:
    """What happened, without the statement or a value: libpq's first line, or the class of the error."""
    lines = str(error).splitlines()
    return lines[0] if lines and error.sqlstate is None else type(error).__name__
