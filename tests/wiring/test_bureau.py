"""Translating in processes of its own gives what translating in this one gives, and survives their death."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from pathlib import Path

import pytest
from msgspec.structs import replace

from canonical.clock import SystemClock
from canonical.event import Event, Source, Version
from canonical.findings import Rejection
from canonical.model import Appointment
from canonical.phi import Phi
from connectors.base import Dispatch
from connectors.hl7v2.peek import peek
from router.translate import InLine, Order, Read, Translation
from simulators.ehr import Ehr
from store.records import Delivery, Message
from wiring.assembly import SITE_FILE, Assembly, assemble
from wiring.bureau.letters import DEPTH, NAMED, Opening, ReadDone, Refused, Shelf
from wiring.bureau.pool import Pool

DEMO = Path(__file__).parents[2] / "config" / "demo"


@pytest.fixture(scope="module")
def assembly() -> Assembly:
    return assemble(DEMO)


@pytest.fixture
async def pool(assembly: Assembly) -> AsyncIterator[Pool]:
    opening = Opening(str(DEMO / SITE_FILE), assembly.files[SITE_FILE], dict(assembly.library.files))
    one = Pool(opening, 1)
    await one.start()
    yield one
    await one.stop()


def messages(count: int) -> list[Message]:
    return [Message(id=f"m{n}", channel="mercy", raw=Phi(sent.body), received_at=1_770_000_000_000_000 + n,
                    message_type=peek(sent.body).message_type, seq=n, partition=0, since=0)
            for n, sent in enumerate(islice(Ehr("mercy", seed=3, spoil_every=0).histories(), count))]


def event(event_id: str) -> Event:
    return Event(id=event_id, type="appointment.booked", subject_key="appointment:A|1", entity=Appointment(),
                 version=Version(at="20260310143000.000000", tie=event_id), source=Source(channel="mercy"),
                 message_id=event_id, occurred_at="2026-03-10T14:30:00+00:00", received_at=1, revision="r")


def broken() -> Message:
    return Message(id="x", channel="mercy", raw=Phi(b"no message"), received_at=1, message_type="SIU^S12", seq=0,
                   partition=0, since=0)


async def test_a_process_says_what_this_one_says_in_the_same_order(pool: Pool, assembly: Assembly) -> None:
    inbox = messages(80)
    here = await InLine(assembly.translator, SystemClock()).read(inbox)
    there = await pool.read(inbox)
    assert there == here
    orders = orders_for(here)
    assert orders
    written = await pool.write(orders)
    assert written == await InLine(assembly.translator, SystemClock()).write(orders)
    assert all(isinstance(one, Dispatch) for one in written)


def orders_for(read: Sequence[Read]) -> list[Order]:
    return [Order(Delivery(id=f"{event.id}>harbor", message_seq=0, event_id=event.id, destination="harbor",
                           lane="", partition=0, due_at=0), event, None)
            for one in read if isinstance(one, Translation) for event in one.events
            if event.type == "appointment.booked"]


async def test_an_event_the_clerk_has_read_is_named_and_one_that_was_changed_since_travels_whole(
        pool: Pool, assembly: Assembly) -> None:
    """D05, A4.3: a message about a merged patient becomes an event about the survivor before it is written."""
    orders = orders_for(await pool.read(messages(80)))
    moved = [Order(o.delivery, replace(o.event, occurred_at="2020-01-01T00:00:00+00:00"), o.state) for o in orders]
    changed = [Order(o.delivery, replace(o.event, entity=replace(o.event.entity, comments=("moved",))), o.state)
               for o in moved]
    here = InLine(assembly.translator, SystemClock())
    assert await pool.write(orders) == await here.write(orders)
    assert await pool.write(changed) == await here.write(changed)
    assert await pool.write(orders) == await here.write(orders), "the clerk's own copy is as it was"


async def test_an_event_read_long_ago_travels_whole(pool: Pool, assembly: Assembly) -> None:
    orders = orders_for(await pool.read(messages(80)))
    for _ in range(NAMED + DEPTH + 1):
        await pool.read(messages(2))
    assert await pool.write(orders) == await InLine(assembly.translator, SystemClock()).write(orders)


async def test_a_process_that_was_replaced_is_sent_what_the_first_one_had_read(pool: Pool, assembly: Assembly) -> None:
    orders = orders_for(await pool.read(messages(80)))
    (clerk,) = pool.processes
    os.kill(clerk, signal.SIGKILL)
    assert await pool.write(orders) == await InLine(assembly.translator, SystemClock()).write(orders)


def test_the_clerk_holds_what_the_engine_may_name_whatever_is_on_its_way() -> None:
    """The two shelves see the same letters; the clerk's may be ahead by those whose answers are still in the pipe."""
    engine, clerk = Shelf(NAMED), Shelf(NAMED + DEPTH)
    letters = [[ReadDone(Translation(events=(event(f"{n}.{k}"),))) for k in range(3)] for n in range(3 * NAMED)]
    for n, letter in enumerate(letters):
        clerk.put(letter)
        clerk.put([Refused(())])  # a letter of nothing but refusals leaves both as they are
        engine.put([Refused(())])
        if n >= DEPTH:
            engine.put(letters[n - DEPTH])
            assert all(clerk.get(f"{k}.0") is not None for k in range(n) if engine.get(f"{k}.0") is not None)
    assert sum(engine.get(f"{n}.0") is not None for n in range(len(letters))) == NAMED


async def test_all_that_a_channel_says_about_its_messages_comes_from_the_process_too(tmp_path: Path) -> None:
    """D01 and D05: how long a message waits for what it builds on, and whether its control id must be new."""
    site = (DEMO / SITE_FILE).read_text().replace("../../mappings", str(DEMO.parents[1] / "mappings"))
    (tmp_path / SITE_FILE).write_text(site.replace(
        "    site: mercy\n", "    site: mercy\n    wait_for_unknown_s: 60\n    reused_control_id: park\n", 1))
    strict = assemble(tmp_path)
    one = Pool(Opening(str(strict.folder / SITE_FILE), strict.files[SITE_FILE], dict(strict.library.files)), 1)
    await one.start()
    try:
        (read,) = await one.read(messages(1))
    finally:
        await one.stop()
    assert isinstance(read, Translation)
    assert (read.patience_s, read.unique_id) == (60, True)


async def test_what_cannot_be_read_is_told_and_costs_nobody_else(pool: Pool) -> None:
    good, bad, other = await pool.read([messages(1)[0], broken(), messages(2)[1]])
    assert isinstance(good, Translation)
    assert isinstance(other, Translation)
    assert isinstance(bad, Rejection)
    assert [found.code for found in bad.findings] == ["hl7.no_header"]


async def test_a_process_that_is_killed_is_replaced_and_its_work_done_again(pool: Pool) -> None:
    inbox = messages(60)
    before = await pool.read(inbox)
    (clerk,) = pool.processes
    asking = asyncio.gather(*[pool.read(inbox) for _ in range(4)])
    await asyncio.sleep(0.005)
    os.kill(clerk, signal.SIGKILL)
    assert await asking == [before] * 4
    assert pool.processes != (clerk,)
