"""A payer that has announced that it is away, and one that must not be asked twice too soon (X13, X15)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from canonical.clock import SystemClock
from router.recover import mend
from simulators.faults import Plan
from simulators.payer import Payer
from store.records import Delivery, DeliveryState
from tests.payers.clinic import PARTNER, SITE, Clinic, clinic
from wiring.assembly import assemble


async def waiting(site: Clinic) -> list[Delivery]:
    return [one for one in await site.ledger.find_deliveries(destination="payer", state=DeliveryState.PENDING) if one.reason]


async def test_what_is_asked_in_announced_downtime_waits_and_goes_out_afterwards(tmp_path: Path) -> None:
    """X15: not a byte, not an attempt, a reason and a date; then all of it, in order."""
    end = datetime.now(UTC) + timedelta(seconds=4)
    partner = PARTNER + (f'downtime: [{{from: "{end - timedelta(hours=1):%Y-%m-%d %H:%M:%S}", '
                         f'until: "{end:%Y-%m-%d %H:%M:%S}"}}]\n')
    site_text = SITE.replace("deadline_s: 3", "deadline_s: 600")
    async with Payer() as payer, clinic(tmp_path, payer, partner=partner, site=site_text) as site:
        await site.books(1)
        [held] = await site.until(lambda: waiting(site))
        assert payer.requests == 0
        assert (held.reason, held.attempts, held.code) == ("delivery.planned_downtime", 0, "")
        assert held.due_at == round(end.replace(microsecond=0).timestamp() * 1e6)
        await site.answered("active")
        assert datetime.now(UTC) >= end.replace(microsecond=0)
        assert payer.sink.count == 1
        assert await site.reasons() == []


async def test_a_question_without_an_answer_is_not_repeated_before_the_rule_allows(tmp_path: Path) -> None:
    """X13: neither by itself nor by a restart."""
    patient = SITE.replace("retry_after_s: 0", "retry_after_s: 90").replace("deadline_s: 3", "deadline_s: 600")
    async with Payer(plan=Plan("lost once")) as payer, clinic(tmp_path, payer, site=patient) as site:
        await site.books(1)
        [held] = await site.until(lambda: asked(site))
        now = SystemClock().now()
        assert now + 60_000_000 < held.due_at <= now + 90_000_000
        await asyncio.sleep(0.5)
        assert payer.sink.count == 1
    interrupted = Delivery(id="m.0>payer", message_seq=1, event_id="m.0", destination="payer", lane="l", partition=0,
                           due_at=now, state=DeliveryState.INFLIGHT, since=now)
    [mended] = mend([interrupted], assemble(tmp_path).site.destinations, now + 1_000_000)
    assert mended.due_at == now + 90_000_000


async def asked(site: Clinic) -> list[Delivery]:
    return [one for one in await site.ledger.find_deliveries(destination="payer", state=DeliveryState.PENDING)
            if one.attempts]
