"""A batch is taken today and refused days later, by a TA1 or 999 that comes another way (X11, X12)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.faults import Plan
from simulators.payer import Payer
from simulators.x12 import Writer, requests
from store.records import MessageQuery, MessageState
from tests.payers.clinic import SITE, Clinic, clinic, reopened
from tests.store.databases import postgres_database

#: Questions leave in batches: nothing but the receipt comes back in the exchange.
BATCH = (SITE.replace("timeout_s: 2", "timeout_s: 2, mode: batch, collect_s: 0.3")
         .replace("deadline_s: 3", "deadline_s: 600")
         .replace("    idempotent: yes\n", "    idempotent: yes\n    max_in_flight: 20\n"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def environment(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    with postgres_database(request.getfixturevalue("postgres_url")) as database:
        yield {"DRAGOMAN_DATABASE": database}


async def sent(site: Clinic, count: int) -> bool:
    return sum(one.body.count(b"ST*270") for one in site.payer.sink.arrivals) == count


async def settled(site: Clinic, count: int) -> bool:
    return sum(1 for one in await site.ledger.find(MessageQuery(channel="payer-files"))
               if one.state is not MessageState.RECEIVED) == count


@pytest.mark.parametrize("layer", ["999", "TA1"])
async def test_the_question_is_settled_as_rejected_also_after_a_restart(
        tmp_path: Path, environment: dict[str, str], layer: str) -> None:
    """X11: of two questions of one batch the one that is refused learns it, days later; it is not asked again."""
    async with Payer() as payer:
        async with clinic(tmp_path, payer, site=BATCH, environment=environment) as site:
            await site.books(1)
            await site.books(2)
            await site.until(lambda: sent(site, 2))
        async with reopened(tmp_path, payer, site.port, environment=environment) as site:
            first, second = [request for one in payer.sink.arrivals for request in requests(one.body)]
            writer = Writer()
            refused, again, taken = (
                (writer.ta1(first, "022"), writer.ta1(first, "022"), writer.ta1(second, "000")) if layer == "TA1" else
                (writer.ack999([first], rejected=True), writer.ack999([first], rejected=True),
                 writer.ack999([second], rejected=False)))
            await site.hears(refused, taken)
            task = await site.task("ELIGIBILITY:rejected")
            assert task.subject_key == f"appointment:MERCY|V{first.value('NM1', 9, 'IL').removeprefix('W')}"
            await site.hears(again)  # it counts once
            await site.until(lambda: settled(site, 3))
            assert await site.reasons() == ["ELIGIBILITY:rejected"]
            said = [[found.code for found in one.findings]
                    for one in await site.ledger.find(MessageQuery(channel="payer-files"))]
            refusal = ["x12.acknowledgement", "delivery.refused_later"]
            assert said == [refusal, ["x12.acknowledgement"], refusal]
            assert sum(one.body.count(b"ST*270") for one in payer.sink.arrivals) == 2
            assert await site.parked() == []


async def test_a_refusal_is_understood_in_a_translating_process_too(tmp_path: Path) -> None:
    """X11: what a message says of what we sent comes over the pipe like its events."""
    async with Payer() as payer, clinic(tmp_path, payer, site=BATCH.replace("partitions: 2", "partitions: 2\ntranslators: 1")
                                        ) as site:
        await site.books(1)
        await site.until(lambda: sent(site, 1))
        await site.hears(Writer().ack999(requests(payer.sink.arrivals[0].body), rejected=True))
        await site.task("ELIGIBILITY:rejected")


async def test_a_refusal_of_something_that_nobody_sent_is_for_people(tmp_path: Path) -> None:
    """X11, X27: it is parked, and holds nobody up."""
    async with Payer(plan=Plan()) as payer, clinic(tmp_path, payer, site=BATCH) as site:
        await site.books(1)
        await site.until(lambda: sent(site, 1))
        asked, = requests(payer.sink.arrivals[0].body)
        asked.gs[6] = "4711"
        await site.hears(Writer().ack999([asked], rejected=True))

        async def is_parked() -> bool:
            return bool(await site.parked())

        await site.until(is_parked)
        found, = await site.ledger.find(MessageQuery(state=MessageState.PARKED))
        assert found.reason == "delivery.refused_unknown"
        assert await site.reasons() == []
