"""Where SQLite's work should be done while the event loop is busy: ``python -m bench.commit_modes``.

Batches of 32 messages (insert with 1.5 KB, insert, update; WAL, synchronous=FULL) while the same event loop runs
steps of 200 µs back to back, as mapping does. Four places for the statements and the commit, three intervals at
which Python hands its lock on. The figures of ADR 0003 come from here.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

BATCH: Final = 32
BATCHES: Final = 150
STEP_S: Final = 200e-6
RAW: Final = b"x" * 1500
DEADLINE_S: Final = 30.0


def rows(first: int) -> list[tuple[int, str, bytes]]:
    """A batch."""
    return [(number, f"{number:026d}", RAW) for number in range(first, first + BATCH)]


def one_by_one(connection: sqlite3.Connection, batch: list[tuple[int, str, bytes]]) -> None:
    """A statement for each row."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO message VALUES (?, ?, ?)", batch)
    connection.executemany("INSERT INTO delivery VALUES (?, 'pending')", [row[1:2] for row in batch])
    connection.executemany("UPDATE delivery SET state = 'delivered' WHERE id = ?", [row[1:2] for row in batch])


def all_at_once(connection: sqlite3.Connection, batch: list[tuple[int, str, bytes]]) -> None:
    """A statement for all rows."""
    ids = [row[1] for row in batch]
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO message VALUES " + ", ".join(["(?, ?, ?)"] * BATCH),
                       [value for row in batch for value in row])
    connection.execute("INSERT INTO delivery VALUES " + ", ".join(["(?, 'pending')"] * BATCH), ids)
    connection.execute(
        f"UPDATE delivery SET state = 'delivered' WHERE id IN ({', '.join('?' * BATCH)})", ids)  # only marks


def commit(connection: sqlite3.Connection) -> None:
    """fsync included."""
    connection.execute("COMMIT")


async def measure(name: str, switch_s: float) -> str:
    """One line of the table."""
    sys.setswitchinterval(switch_s)
    loop, pool, busy = asyncio.get_running_loop(), ThreadPoolExecutor(1), True

    async def mapping() -> None:
        while busy:
            until = time.perf_counter() + STEP_S
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(0)

    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        connection = sqlite3.connect(f"{folder}/x.sqlite3", check_same_thread=False, isolation_level=None)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
                          "CREATE TABLE message (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, body BLOB)",
                          "CREATE TABLE delivery (id TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID"):
            connection.execute(statement)

        def whole(write: Callable[..., None], first: int) -> None:
            write(connection, rows(first))
            commit(connection)

        async def on_loop(first: int) -> None:
            whole(one_by_one, first)
            await asyncio.sleep(0)

        async def commit_in_thread(first: int) -> None:
            one_by_one(connection, rows(first))
            await loop.run_in_executor(pool, commit, connection)

        async def in_thread(write: Callable[..., None], first: int) -> None:
            await loop.run_in_executor(pool, whole, write, first)

        modes: dict[str, Callable[[int], Awaitable[None]]] = {
            "all on the loop": on_loop, "commit in a thread": commit_in_thread,
            "all in a thread, row by row": partial(in_thread, one_by_one),
            "all in a thread, large statements": partial(in_thread, all_at_once)}
        other, waits, start = asyncio.create_task(mapping()), [], time.perf_counter()
        for number in range(BATCHES):
            before = time.perf_counter()
            await modes[name](number * BATCH)
            waits.append(time.perf_counter() - before)
            if before - start > DEADLINE_S:
                break
        wall, busy = time.perf_counter() - start, False
        await other
        connection.close()
        pool.shutdown()
    waits.sort()
    return (f"{name:34} {switch_s * 1e3:9.1f} {len(waits) * BATCH / wall:10.0f} {waits[len(waits) // 2] * 1e3:9.2f} "
            f"{waits[int(len(waits) * 0.99)] * 1e3:9.2f} {waits[-1] * 1e3:9.2f}")


def main() -> None:
    """Print the table."""
    print(f"{'where':34} {'switch ms':>9} {'messages/s':>10} {'p50 ms':>9} {'p99 ms':>9} {'worst ms':>9}")
    for name in ("all on the loop", "commit in a thread", "all in a thread, row by row",
                 "all in a thread, large statements"):
        for switch_s in (0.005, 0.001, 0.0002):
            print(asyncio.run(measure(name, switch_s)), flush=True)


if __name__ == "__main__":
    main()
