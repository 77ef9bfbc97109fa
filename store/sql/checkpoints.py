"""SQLite's log copied back into the database while the engine goes on.

A checkpoint copies megabytes and syncs the database file: on the event loop everything waited for it, about once a
second under load. Here a thread does it, on a connection of its own, while commits go on. Where they pause, the log
begins anew by itself. Where they never do, it grows; once it is long, one more pass is made between two transactions,
over the little that came during the one before, and the next commit writes the log from its beginning again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

#: Changed rows between two checkpoints: about 30 MB of log.
EVERY: Final = 8_000
#: Pages of a log that is long: 200 MB. Whoever waits for the pass between two transactions (20 to 60 ms, a sync) is then
#: one in two hundred.
LONG: Final = 50_000


class Checkpoints:
    """See the module.

    Args:
        connect: opens a connection of the settings that commits are made under; its `synchronous` counts here too.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._first: asyncio.Future[int] | None = None
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
            log, self._first, self._copied = self._first.result(), None, changes
            if log >= LONG:
                await self._pass()

    def _pass(self) -> asyncio.Future[int]:
        return asyncio.get_running_loop().run_in_executor(self._thread, self._copy)

    def _copy(self) -> int:
        """Pages in the log, copied or not."""
        # What hinders it (a full disk) hinders the next commit too, and that one is told. The log keeps everything.
        with suppress(sqlite3.Error):
            if self._connection is None:
                self._connection = self._connect()
            # Passive: waits for nobody, and copies what no reader needs as it was.
            _busy, log, _copied = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return int(log)
        return 0

    async def close(self) -> None:
        """Wait for the pass under way, then let go of the database."""
        if self._first is not None:
            await asyncio.wait([self._first])
        if self._connection is not None:
            self._connection.close()
        self._connection, self._first, self._copied = None, None, 0
