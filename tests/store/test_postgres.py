"""PostgreSQL goes away, breaks in the middle of a commit, and is shared by several processes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import psycopg
import pytest

from canonical.receipt import Verdict
from store.ledger import LeaseLost, Ledger, LedgerUnavailable
from store.opening import open_ledger
from store.records import DeliveryState, MessageQuery
from tests.store.messages import NOW, accepted, audit, lease, message, parked, processed, settlement

pytestmark = pytest.mark.postgres


class Line:
    """A line to the server that can be cut: at once, or just before or just after the next COMMIT is passed on."""

    def __init__(self, server: str) -> None:
        self._target = urlsplit(server)
        self._names: set[bytes] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._port = 0
        self._mute = False
        self.cut_at_commit = ""
        self.cuts = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"postgresql://{self._target.username}@127.0.0.1:{self._port}{self._target.path}"

    async def down(self) -> None:
        """Nobody gets through, new connections included."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break what is open."""
        self.cuts += 1
        self._mute = False
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def close(self) -> None:
        await self.down()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._ends += [writer, far_writer]
        for task in (asyncio.create_task(self._pass(reader, far_writer, watched=True)),
                     asyncio.create_task(self._pass(far_reader, writer, watched=False))):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, watched: bool) -> None:
        try:
            while data := await source.read(65536):
                if watched and self.cut_at_commit and self._commits(data):
                    when, self.cut_at_commit = self.cut_at_commit, ""
                    if when == "after":
                        self._mute = True
                        sink.write(data)
                        await sink.drain()
                        await asyncio.sleep(0.1)  # the server must have read it before the line breaks
                    self.cut()
                    return
                if watched:
                    self._commits(data)
                elif self._mute:
                    continue
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    def _commits(self, data: bytes) -> bool:
        """A COMMIT in words, or by the name under which it was prepared."""
        self._names |= set(re.findall(rb"P....(_pg3_\w+)\x00COMMIT\x00", data, re.DOTALL))
        return b"COMMIT\x00" in data or any(b"\x00" + name + b"\x00" in data for name in self._names)


@pytest.fixture
async def line(postgres: str) -> AsyncIterator[Line]:
    one = Line(postgres)
    await one.open()
    yield one
    await one.close()


@pytest.fixture
async def ledger(line: Line) -> AsyncIterator[Ledger]:
    one = open_ledger(line.url, partitions=1)
    await one.start()
    yield one
    await one.stop()


async def eventually(ledger: Ledger, number: int) -> Verdict:
    """Append until the database is back."""
    for _ in range(200):
        try:
            return (await ledger.append(message(number))).verdict
        except LedgerUnavailable:
            await asyncio.sleep(0.05)
    raise AssertionError("the ledger did not come back")


async def test_a_connection_lost_while_idle_is_mended_unseen(ledger: Ledger, postgres: str) -> None:
    await ledger.append(message(1))
    with psycopg.connect(postgres, autocommit=True) as connection:
        ended = connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                   "WHERE datname = current_database() AND pid <> pg_backend_pid()").fetchall()
    assert ended
    assert (await ledger.append(message(2))).verdict is Verdict.ACCEPTED
    assert [m.id for m in await ledger.received(0, 0, 10)] == ["m0001", "m0002"]


async def test_while_the_database_is_away_nothing_is_accepted_and_then_all_is_again(
        ledger: Ledger, line: Line) -> None:
    """If the database is down, nothing is acknowledged."""
    await ledger.append(message(1))
    await line.down()
    for number in (2, 3):
        with pytest.raises(LedgerUnavailable):
            await ledger.append(message(number))
    with pytest.raises(LedgerUnavailable):
        await ledger.received(0, 0, 10)
    await line.open()
    assert await eventually(ledger, 4) is Verdict.ACCEPTED
    assert [m.id for m in await ledger.received(0, 0, 10)] == ["m0001", "m0004"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_of_unknown_outcome_neither_loses_nor_doubles(
        ledger: Ledger, line: Line, when: str) -> None:
    """The line breaks just before the server reads COMMIT, or just before its answer: nobody can tell which."""
    line.cut_at_commit = when
    receipts = await asyncio.gather(*[ledger.append(message(number)) for number in range(1, 6)])
    assert line.cuts == 1
    assert [r.verdict for r in receipts] == [Verdict.ACCEPTED] * 5
    assert [m.id for m in await ledger.received(0, 0, 10)] == [f"m{n:04}" for n in range(1, 6)]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_every_kind_of_write_has_one_effect_over_an_unknown_outcome(
        ledger: Ledger, line: Line, when: str) -> None:
    """Invariants 5 and 6: what is in flight is told once, decisions are counted and audited once."""
    mine = await lease(ledger)
    first, second = await accepted(ledger, 1), await accepted(ledger, 2)
    line.cut_at_commit = when
    await ledger.commit(mine, [processed(first, "fhir"), parked(second)])
    line.cut_at_commit = when
    assert await ledger.inflight(mine, ["m0001.1>fhir"], NOW) == {"m0001.1>fhir"}
    line.cut_at_commit = when
    await ledger.settle(mine, [settlement("m0001.1>fhir", DeliveryState.PARKED, reason="delivery.rejected")])
    line.cut_at_commit = when
    assert await ledger.requeue_messages(["m0002"], audit()) == 1
    line.cut_at_commit = when
    assert await ledger.requeue_deliveries(["m0001.1>fhir"], NOW, audit()) == 1
    assert line.cuts == 5
    assert await ledger.verify_audit() == (2, None)
    assert [d.state for d in await ledger.open_deliveries(0)] == [DeliveryState.PENDING]


async def test_one_copy_of_two_at_two_doors_is_first(postgres: str) -> None:
    """D01, invariant 7: two intake processes race for the same message."""
    doors = [open_ledger(postgres, partitions=1) for _ in range(2)]
    for door in doors:
        await door.start()
    receipts = await asyncio.gather(*[
        door.append(message(number, id=f"door{which}-{number}")) for number in range(100)
        for which, door in enumerate(doors)])
    for one, other in zip(receipts[::2], receipts[1::2], strict=True):
        assert {one.verdict, other.verdict} == {Verdict.ACCEPTED, Verdict.DUPLICATE}
        assert (one.message_id, one.control_id, one.received_at) == (
            other.message_id, other.control_id, other.received_at)
    assert len(await doors[0].find(MessageQuery(limit=1000))) == 100
    for door in doors:
        await door.stop()


async def test_a_lease_has_one_holder_whoever_asks(postgres: str) -> None:
    workers = [open_ledger(postgres, partitions=4) for _ in range(3)]
    for worker in workers:
        await worker.start()
    got = await asyncio.gather(*[worker.acquire(partition, f"worker {which}", NOW, 60)
                                 for which, worker in enumerate(workers) for partition in range(4)])
    assert sorted(one.partition for one in got if one is not None) == [0, 1, 2, 3]
    for worker in workers:
        await worker.stop()


async def test_a_stolen_lease_stops_the_first_owner_in_the_other_process(postgres: str) -> None:
    """Invariant 5: a worker that slept through its lease cannot write."""
    asleep, awake = open_ledger(postgres, partitions=1), open_ledger(postgres, partitions=1)
    await asleep.start()
    await awake.start()
    stored, stale = await accepted(asleep, 1), await lease(asleep)
    fresh = await awake.acquire(0, "two", NOW + 61_000_000, 60)
    assert fresh is not None
    assert fresh.epoch == stale.epoch + 1
    with pytest.raises(LeaseLost):
        await asleep.commit(stale, [processed(stored, "fhir")])
    await awake.commit(fresh, [processed(stored, "fhir")])
    with pytest.raises(LeaseLost):
        await asleep.inflight(stale, ["m0001.1>fhir"], NOW)
    with pytest.raises(LeaseLost):
        await asleep.settle(stale, [settlement("m0001.1>fhir")])
    await asleep.release(stale)
    assert await awake.inflight(fresh, ["m0001.1>fhir"], NOW) == {"m0001.1>fhir"}
    await asleep.stop()
    await awake.stop()


async def test_no_message_slips_past_a_merge_into_the_lane_of_the_old_number(postgres: str) -> None:
    """A4.3, A4.8: one process accepts while another commits the merge."""
    door, worker = open_ledger(postgres, partitions=16), open_ledger(postgres, partitions=16)
    await door.start()
    await worker.start()
    for turn in range(10):
        old, new = f"patient:old{turn}", f"patient:new{turn}"
        merge = await accepted(worker, 1000 * turn, new, old)
        mine = await lease(worker, merge.partition)
        senders = [door.append(message(1000 * turn + n, old)) for n in range(1, 60)]
        await asyncio.gather(*senders[:20], worker.commit(mine, [processed(merge, aliases=((old, new),))]),
                             *senders[20:])
        await worker.release(mine)
        for stored in await door.find(MessageQuery(limit=59)):
            assert stored.lanes == (new, old)
            assert stored.partition == merge.partition
    await door.stop()
    await worker.stop()
