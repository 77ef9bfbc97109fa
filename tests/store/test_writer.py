"""The single writer: group commit, operations that fail alone, refusals at the start."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from canonical.receipt import Verdict
from store.ledger import LeaseLost, LedgerUnavailable
from store.opening import open_ledger
from store.partition import partition_of
from store.records import AckOutcome, DeliveryState, MessageQuery
from tests.store.messages import LANE, NOW, accepted, audit, lease, message, processed, settlement

ROOT = Path(__file__).parents[2]


async def test_a_lost_lease_fails_its_own_operation_and_nothing_else_of_the_commit(database: str) -> None:
    """Invariant 5: the check is inside the transaction that would write."""
    ledger = open_ledger(database, partitions=1)
    await ledger.start()
    stored = await accepted(ledger, 1)
    stale = await lease(ledger)
    fresh = await ledger.acquire(0, "two", NOW + 61_000_000, 60)
    assert fresh is not None
    lost, receipt, kept = await asyncio.gather(
        ledger.commit(stale, [processed(stored, "stale")]), ledger.append(message(2)),
        ledger.commit(fresh, [processed(stored, "fresh")]), return_exceptions=True)
    assert isinstance(lost, LeaseLost)
    assert not isinstance(receipt, BaseException)
    assert kept is None
    assert [d.destination for d in await ledger.open_deliveries(0)] == ["fresh"]
    await ledger.stop()


async def test_what_the_database_cannot_take_fails_alone(database: str) -> None:
    ledger = open_ledger(database, partitions=1)
    await ledger.start()
    bad, good = await asyncio.gather(
        ledger.append(message(1, received_at=2**80)), ledger.append(message(2)), return_exceptions=True)
    assert isinstance(bad, Exception)
    assert not isinstance(good, BaseException)
    assert [m.id for m in await ledger.find(MessageQuery())] == ["m0002"]
    await ledger.stop()


async def test_a_retried_commit_of_a_message_has_no_second_effect(database: str) -> None:
    ledger = open_ledger(database, partitions=1)
    await ledger.start()
    stored, mine = await accepted(ledger, 1), await lease(ledger)
    await asyncio.gather(*[ledger.commit(mine, [processed(stored, "fhir")]) for _ in range(5)])
    await ledger.commit(mine, [processed(stored, "erp")])
    assert [d.destination for d in await ledger.open_deliveries(0)] == ["fhir"]
    await ledger.stop()


async def test_two_callers_of_one_commit_cannot_both_put_a_delivery_in_flight(database: str) -> None:
    """Invariant 5."""
    ledger = open_ledger(database, partitions=1)
    await ledger.start()
    stored, mine = await accepted(ledger, 1), await lease(ledger)
    await ledger.commit(mine, [processed(stored, "fhir")])
    marked = await asyncio.gather(*[ledger.inflight(mine, ["m0001.1>fhir"], NOW) for _ in range(5)])
    assert sorted(map(len, marked)) == [0, 0, 0, 0, 1]
    await ledger.settle(mine, [settlement("m0001.1>fhir")])
    assert (await ledger.find_deliveries())[0].state is DeliveryState.DELIVERED
    await ledger.stop()


async def test_a_stop_commits_what_has_gathered_and_later_callers_are_told(database: str) -> None:
    ledger = open_ledger(database)
    await ledger.start()
    receipt = await ledger.append(message(1))
    waiting = [asyncio.ensure_future(ledger.append(message(n))) for n in range(2, 20)]
    ledger.note_ack(receipt.message_id, "AA", AckOutcome.DELIVERED)
    await asyncio.sleep(0)
    await ledger.stop()
    assert len(await asyncio.gather(*waiting)) == 18
    with pytest.raises(LedgerUnavailable, match="closed"):
        await ledger.append(message(20))
    again = open_ledger(database)
    await again.start()
    assert len(await again.find(MessageQuery())) == 19
    first = await again.message("m0001")
    assert first is not None
    assert (first.ack_code, first.ack_outcome) == ("AA", AckOutcome.DELIVERED)
    await again.stop()


async def test_another_number_of_partitions_is_refused(database: str) -> None:
    """A lane would move to another partition, and its order would be lost."""
    ledger = open_ledger(database, partitions=8)
    await ledger.start()
    await ledger.stop()
    with pytest.raises(LedgerUnavailable, match="made with 8 partitions and is opened with 16"):
        await open_ledger(database, partitions=16).start()


async def test_who_says_no_number_takes_that_of_the_ledger(database: str) -> None:
    """A ledger that an earlier version made with 16 goes on with them, and what waits in it is found."""
    first = open_ledger(database, partitions=16)
    await first.start()
    lanes = [f"patient:A|{n}" for n in range(40)]
    for n, lane in enumerate(lanes):
        await first.append(message(n, lane))
    await first.stop()
    again = open_ledger(database)
    await again.start()
    assert again.partitions == 16
    await again.append(message(100, lanes[0]))
    found = [m for partition in range(16) for m in await again.received(partition, 0, 100)]
    assert sorted(m.id for m in found) == sorted([*(f"m{n:04}" for n in range(40)), "m0100"])
    assert all(m.partition == partition_of(m.lanes[0], 16) for m in found)
    await again.stop()


async def test_a_new_ledger_has_the_partitions_that_suit_its_kind(database: str) -> None:
    ledger = open_ledger(database)
    await ledger.start()
    assert ledger.partitions == (4 if database.startswith("sqlite") else 16)
    await ledger.stop()


async def test_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="unable to open database file"):
        await open_ledger(f"sqlite:///{tmp_path / 'missing' / 'ledger.sqlite3'}").start()


async def test_an_address_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="sqlite:///"):
        open_ledger("mysql://somewhere")


@pytest.mark.postgres
async def test_a_database_that_does_not_survive_power_loss_is_refused(postgres: str) -> None:
    """Invariant 1."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        name = postgres.rpartition("/")[2]
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(LedgerUnavailable, match="synchronous_commit = off"):
        await open_ledger(postgres).start()


async def test_a_writer_of_another_process_is_waited_for(sqlite: str) -> None:
    """A command line may work on the file of a running engine."""
    ledger = open_ledger(sqlite)
    await ledger.start()
    other = sqlite3.connect(sqlite.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(ledger.append(message(1)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    other.execute("COMMIT")
    assert (await waiting).verdict is Verdict.ACCEPTED
    other.close()
    await ledger.stop()


async def test_an_edited_audit_trail_is_found(sqlite: str) -> None:
    """Z06: with the database's own tools, as somebody with the file would."""
    ledger = open_ledger(sqlite)
    await ledger.start()
    for number in range(5):
        await ledger.audit(audit(f"step {number}"))
    assert await ledger.verify_audit() == (5, None)
    with sqlite3.connect(sqlite.removeprefix("sqlite:///")) as hand:
        hand.execute("UPDATE audit SET body = replace(body, 'ada', 'eve') WHERE number = 3")
    hand.close()
    assert await ledger.verify_audit() == (3, 3)
    with sqlite3.connect(sqlite.removeprefix("sqlite:///")) as hand:
        hand.execute("DELETE FROM audit WHERE number >= 3")
    hand.close()
    assert await ledger.verify_audit() == (2, 3)
    await ledger.stop()


LOAD = """
import asyncio, os, sys
from store.opening import open_ledger
from store.partition import partition_of
from tests.store.messages import message

async def main():
    ledger = open_ledger(sys.argv[1])
    await ledger.start()
    numbers = iter(range(1, 1_000_000))

    async def client():
        for number in numbers:
            receipt = await ledger.append(message(number, id=f"m{number:07}"))
            os.write(1, f"{receipt.message_id}\\n".encode())

    await asyncio.gather(*(client() for _ in range(16)))

asyncio.run(main())
"""


async def test_every_receipt_handed_out_before_a_kill_is_in_the_ledger(database: str) -> None:
    """Invariant 1: kill -9 in the middle of load."""
    process = subprocess.Popen([sys.executable, "-c", LOAD, database], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(400)]
    os.kill(process.pid, signal.SIGKILL)
    told += process.stdout.readlines()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    receipts = [line.decode().strip() for line in told if line.endswith(b"\n")]
    assert len(receipts) >= 400

    ledger = open_ledger(database)
    await ledger.start()
    stored = {m.id: m for m in await ledger.find(MessageQuery(limit=100_000))}
    assert set(receipts) <= set(stored)
    assert all(m.raw.reveal() == b"MSH|%d" % int(m.id[1:]) for m in stored.values())
    assert all(m.lanes == (LANE,) for m in stored.values())
    await ledger.stop()
