"""Translating in processes of its own gives what translating in this one gives, and survives their death."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

import pytest

from canonical.clock import SystemClock
from canonical.findings import Rejection
from canonical.phi import Phi
from connectors.base import Dispatch
from connectors.hl7v2.peek import peek
from router.translate import InLine, Order, Translation
from simulators.ehr import Ehr
from store.records import Delivery, Message
from wiring.assembly import SITE_FILE, Assembly, assemble
from wiring.bureau.letters import Opening
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


def broken() -> Message:
    return Message(id="x", channel="mercy", raw=Phi(b"no message"), received_at=1, message_type="SIU^S12", seq=0,
                   partition=0, since=0)


async def test_a_process_says_what_this_one_says_in_the_same_order(pool: Pool, assembly: Assembly) -> None:
    inbox = messages(80)
    here = await InLine(assembly.translator, SystemClock()).read(inbox)
    there = await pool.read(inbox)
    assert there == here
    orders = [Order(Delivery(id=f"{event.id}>harbor", message_seq=0, event_id=event.id, destination="harbor",
                             lane="", partition=0, due_at=0), event, None)
              for read in here if isinstance(read, Translation) for event in read.events
              if event.type == "appointment.booked"]
    assert orders
    written = await pool.write(orders)
    assert written == await InLine(assembly.translator, SystemClock()).write(orders)
    assert all(isinstance(one, Dispatch) for one in written)


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
