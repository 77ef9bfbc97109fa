"""SQLite: write-ahead log, synchronous=FULL, everything of the hot path on the event loop.

Why no thread for statements: each step of one lets go of Python's lock, and a thread that wants it back from a
busy event loop can starve for seconds (measured in ADR 0003). A commit's fsync stalls the loop for well under a
millisecond on a quiet solid-state disk, once for everything that has gathered. Where the disk is slower than
that, or busy, only the commit moves into a thread: it is a single step, and the loop has other things to do.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from store.sql.checkpoints import Checkpoints
from store.sql.driver import Again, Broken, Row
from store.sql.shapes import Shapes, Sqlite, Statement

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    # FULL syncs the log at every commit; NORMAL would lose commits on power loss (invariant 1).
    "PRAGMA synchronous = FULL",
    # On macOS only this reaches the platter.
    "PRAGMA fullfsync = ON",
    # 64 MB of pages: the rims of all indexes stay in memory.
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 0",
    # No commit copies the log back: `store.sql.checkpoints`.
    "PRAGMA wal_autocheckpoint = 0",
)

#: Mean seconds of a commit from which on a thread is worth its hand-over.
_SLOW_S: Final = 0.002
#: Every so many commits one is made on the loop, which alone can tell how long the disk takes.
_PROBE: Final = 32

#: How long another process (a command line at work) may hold the write lock before we say that it is away.
_PATIENCE_S: Final = 10.0
_PAUSE_S: Final = 0.002

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class _Rows:
    """See `store.sql.driver.Answer`."""

    __slots__ = ("rows",)

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows


class SqliteDriver:
    """See `store.sql.driver.Driver`.

    Args:
        path: the database file; its folder must exist.
    """

    marks = False

    def __init__(self, path: Path) -> None:
        self.shapes: Shapes = Sqlite()
        self.path = path
        self._write: sqlite3.Connection | None = None
        self._read: sqlite3.Connection | None = None
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._checkpoints = Checkpoints(self._connect)
        self._commit_s = 0.0
        self._commits = 0

    async def open(self) -> None:
        await self.close()
        try:
            self._write = self._connect()
            self._read = self._connect()
            self._read.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise Broken(f"cannot open {self.path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, cached_statements=512,
                                     check_same_thread=False, timeout=_PATIENCE_S)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        # From here on nothing may wait inside SQLite: it would stop the loop.
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    async def close(self) -> None:
        await self._checkpoints.close()
        for connection in (self._read, self._write):
            if connection is not None:
                connection.close()
        self._read = self._write = None

    async def begin(self) -> SqliteDriver:
        await self._checkpoints.tend(self._writer.total_changes)
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _busy(error) or asyncio.get_running_loop().time() > deadline:
                    raise Broken(f"cannot write to {self.path}: {error}") from error
                await asyncio.sleep(_PAUSE_S)
            else:
                return self

    @property
    def _writer(self) -> sqlite3.Connection:
        if self._write is None:
            raise Broken(f"{self.path} is not open")
        return self._write

    async def commit(self) -> None:
        writer = self._writer
        self._commits += 1
        try:
            if self._commit_s > _SLOW_S and self._commits % _PROBE:
                await asyncio.get_running_loop().run_in_executor(self._committer, writer.execute, "COMMIT")
            else:
                began = time.perf_counter()
                writer.execute("COMMIT")
                self._commit_s += 0.25 * (min(time.perf_counter() - began, 2 * _SLOW_S) - self._commit_s)
        except sqlite3.Error as error:
            raise Broken(f"cannot commit to {self.path}: {error}") from error

    async def rollback(self) -> None:
        if self._write is not None and self._write.in_transaction:
            self._write.execute("ROLLBACK")

    # -- transaction --------------------------------------------------------------------------------------

    async def ask(self, statement: Statement, *parameters: Any) -> _Rows:
        try:
            return _Rows(self._writer.execute(statement.text, parameters).fetchall())
        except sqlite3.OperationalError as error:
            raise _translated(error, self.path) from error

    async def many(self, statement: Statement, rows: Sequence[Row]) -> None:
        try:
            self._writer.executemany(statement.text, rows)
        except sqlite3.OperationalError as error:
            raise _translated(error, self.path) from error

    async def each(self, statement: Statement, rows: Sequence[Row]) -> _Rows:
        # One cursor for all rows: this is the hottest loop of the house.
        execute, text, key = self._writer.cursor().execute, statement.text, statement.key
        try:
            return _Rows([(row[key],) for row in rows if execute(text, row).rowcount])
        except sqlite3.OperationalError as error:
            raise _translated(error, self.path) from error

    async def flush(self) -> None:
        """Every answer is there already."""

    # -- reads --------------------------------------------------------------------------------------------

    async def read(self, statement: Statement, *parameters: Any) -> Sequence[Row]:
        if self._read is None:
            raise Broken(f"{self.path} is not open")
        try:
            return self._read.execute(statement.text, parameters).fetchall()
        except sqlite3.OperationalError as error:
            raise Broken(f"cannot read {self.path}: {error}") from error

    async def search(self, text: str, parameters: Sequence[Any]) -> Sequence[Row]:
        return await asyncio.to_thread(self._search, text, parameters)

    def _search(self, text: str, parameters: Sequence[Any]) -> Sequence[Row]:
        # A connection of its own: a search is rare, and may run while the loop uses the other one.
        try:
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True,
                                         timeout=_PATIENCE_S)
            try:
                return connection.execute(text, parameters).fetchall()
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            raise Broken(f"cannot read {self.path}: {error}") from error


def _busy(error: sqlite3.Error) -> bool:
    return (error.sqlite_errorcode & 0xFF) in _BUSY


def _translated(error: sqlite3.Error, path: Path) -> Exception:
    return Again() if _busy(error) else Broken(f"cannot work with {path}: {error}")
