"""SQLite's log copied back into the database while the engine goes on.

A checkpoint copies megabytes and syncs the database file: on the event loop that was a stall of 50 to 150 ms every
second under load. Here a thread does it, on a connection of its own, in two passes: the first copies while commits go
on, the second, between two transactions, the little that came meanwhile. After it the whole log is in the database, so
the next commit writes it from the beginning again and it does not grow for ever.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

#: Changed rows between two checkpoints. About 30 MB of log; hot pages are copied back once for all their changes.
EVERY: Final = 8_000


class Checkpoints:
    """See the module.

    Args:
        connect: opens a connection of the settings that commits are made under; its `synchronous` counts here too.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._first: asyncio.Future[None] | None = None
        self._copied = 0

    async def tend(self, changes: int) -> None:
        """Call between two transactions.

        Args:
            changes: rows that the writing connection has changed so far.
        """
        if self._first is None:
            if changes - self._copied >= EVERY:
                self._first = self._pass()
        elif self._first.done():
            self._first, self._copied = None, changes
            await self._pass()

    def _pass(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, self._copy)

    def _copy(self) -> None:
        # What hinders it (a full disk) hinders the next commit too, and that one is told. The log keeps everything.
        with suppress(sqlite3.Error):
            if self._connection is None:
                self._connection = self._connect()
            # Passive: waits for nobody, and copies what no reader needs as it was.
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    async def close(self) -> None:
        """Wait for the pass under way, then let go of the database."""
        if self._first is not None:
            await asyncio.wait([self._first])
        if self._connection is not None:
            self._connection.close()
        self._connection, self._first, self._copied = None, None, 0
