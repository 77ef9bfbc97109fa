"""SQLite's log is copied back while commits go on: it stays small, and loses nothing."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from store.opening import open_ledger
from store.sql import checkpoints
from tests.store.messages import message

OFTEN = 300
"""Changed rows between checkpoints here: a message is two rows, and its part of indexes about a page."""


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", OFTEN)
    monkeypatch.setattr(checkpoints, "LONG", 1_000)


async def crowd(url: str, rounds: int) -> list[str]:
    """Ids of what was accepted, 50 at a time."""
    ledger = open_ledger(url)
    await ledger.start()
    try:
        accepted = []
        for n in range(rounds):
            receipts = await asyncio.gather(*[ledger.append(message(n * 50 + k)) for k in range(50)])
            accepted += [receipt.message_id for receipt in receipts]
        return accepted
    finally:
        await ledger.stop()


def ids(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM messages")}


@pytest.mark.usefixtures("often")
async def test_the_log_begins_anew_under_a_load_that_never_pauses(sqlite: str) -> None:
    path = Path(sqlite.removeprefix("sqlite:///"))
    log = path.with_name(path.name + "-wal")
    sizes: list[int] = []

    async def watch() -> None:
        while True:
            sizes.append(log.stat().st_size if log.exists() else 0)
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    accepted = await crowd(sqlite, 80)
    watching.cancel()
    # 4,000 messages write more than 40 MB of log. The file keeps the size that its longest stretch had.
    assert max(sizes) < 10_000_000
    assert ids(path) == set(accepted)


@pytest.mark.usefixtures("often")
async def test_a_power_cut_at_any_moment_of_a_checkpoint_loses_no_commit(sqlite: str, tmp_path: Path) -> None:
    """Invariant 1: what the two files hold at any moment is all that was committed by then."""
    path = Path(sqlite.removeprefix("sqlite:///"))
    ledger = open_ledger(sqlite)
    await ledger.start()
    accepted: list[str] = []
    for n in range(60):
        receipts = await asyncio.gather(*[ledger.append(message(n * 20 + k)) for k in range(20)])
        accepted += [receipt.message_id for receipt in receipts]
        cut = tmp_path / f"cut{n}"
        cut.mkdir()
        # The log last: what a checkpoint copies out of it stays in it until the copies have been synced.
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", cut / f"ledger.sqlite3{suffix}")
        assert ids(cut / "ledger.sqlite3") >= set(accepted)
        shutil.rmtree(cut)
    await ledger.stop()


@pytest.mark.usefixtures("often")
async def test_a_reader_that_stays_keeps_the_log_and_hinders_nobody(sqlite: str) -> None:
    """Somebody's long query needs the database as it was: the log waits, the engine does not."""
    first = await crowd(sqlite, 1)
    path = Path(sqlite.removeprefix("sqlite:///"))
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM messages").fetchone() == (len(first),)
    ledger = open_ledger(sqlite)
    await ledger.start()
    for n in range(1, 30):
        await asyncio.gather(*[ledger.append(message(n * 50 + k)) for k in range(50)])
    assert reader.execute("SELECT count(*) FROM messages").fetchone() == (len(first),)
    reader.close()
    await ledger.stop()
    assert len(ids(path)) == 1_500
