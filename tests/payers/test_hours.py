"""A payer that is away as announced, that must not be asked twice too soon, and whose hours are counted (X13, X14, X15)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

import app
from canonical.clock import SystemClock
from router.recover import mend
from simulators.faults import Plan
from simulators.payer import Payer
from store.records import Delivery, DeliveryState, MessageQuery, MessageState
from tests.payers.clinic import PARTNER, SITE, Clinic, clinic
from tests.payers.test_late_refusal import BATCH, sent
from wiring.assembly import assemble
from wiring.hours import Hours, Watch


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


HOUR = 3_600_000_000


class Later(SystemClock):
    """Two hours later."""

    def now(self) -> int:
        return super().now() + 2 * HOUR


def hours_of(folder: Path, site: Clinic) -> Hours:
    assembly = assemble(folder)
    return Hours(assembly.site, assembly.partners, site.ledger)


async def test_answers_in_real_time_are_timed_for_each_partner(tmp_path: Path) -> None:
    """X13, CORE 156: the share within 20 seconds; an attempt without an answer counts as one that is late."""
    async with Payer(plan=Plan("lost at 2")) as payer, clinic(tmp_path, payer) as site:
        for number in (1, 2, 3):
            await site.books(number)
            await site.until(lambda upto=number: answers(site, upto))  # type: ignore[misc] # mypy infers no type for a default
        now = SystemClock().now()
        view = await hours_of(tmp_path, site).view(now - HOUR, now + HOUR, now)
    [one] = view.partners
    assert (one.destination, one.partner) == ("payer", "acme")
    assert (one.answered, one.within, one.unanswered) == (3, 3, 1)
    assert one.share == 0.75
    assert not view.ok
    assert 0 < one.longest_s < 20
    told = await asyncio.to_thread(CliRunner().invoke, app.command_line(), ["hours", "--config", str(tmp_path)])
    assert told.exit_code == 1, "three of four is less than 90 %"
    assert re.search(r"payer +acme +3 +75.0% +1 +\d\.\d s", told.output), told.output


async def answers(site: Clinic, count: int) -> bool:
    return sum(1 for check in await site.checks() if check.result) == count


async def test_a_batch_without_its_999_in_an_hour_or_its_271_in_the_morning_is_overdue(tmp_path: Path) -> None:
    """X14: also over the night; what has been acknowledged or answered meanwhile is not."""
    partner = PARTNER + "timezone: America/New_York\nbatch: {}\n"
    async with Payer() as payer, clinic(tmp_path, payer, site=BATCH, partner=partner) as site:
        await site.books(1)
        await site.books(2)
        await site.until(lambda: sent(site, 2))
        hours, now = hours_of(tmp_path, site), SystemClock().now()

        async def overdue(later: int) -> tuple[int, int]:
            [one] = (await hours.view(now - HOUR, now + HOUR, now + later)).partners
            assert bool(one.oldest) == bool(one.acknowledgements_overdue or one.answers_overdue)
            return one.acknowledgements_overdue, one.answers_overdue

        assert await overdue(HOUR // 2) == (0, 0)
        assert await overdue(HOUR + HOUR // 10) == (2, 0)
        week = 6 * 24 * HOUR
        assert await overdue(week) == (2, 2)
        await site.hears(payer.receipts[0])
        await site.until(lambda: heard(site, 1))
        assert await overdue(week) == (1, 2)
        await site.hears(payer.receipts[1], payer.results[0])
        await site.until(lambda: heard(site, 3))
        await site.until(lambda: one_waits(overdue))


async def heard(site: Clinic, count: int) -> bool:
    return len(await site.ledger.find(MessageQuery(channel="payer-files", state=MessageState.PROCESSED))) + len(
        await site.ledger.find(MessageQuery(channel="payer-files", state=MessageState.FILTERED))) == count


async def one_waits(overdue: Callable[[int], Awaitable[tuple[int, int]]]) -> bool:
    return await overdue(6 * 24 * HOUR) == (0, 1)


async def test_what_is_overdue_is_said_once_until_it_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """X14: a code, a destination and numbers."""
    partner = PARTNER + "batch: {}\n"
    async with Payer() as payer, clinic(tmp_path, payer, site=BATCH, partner=partner) as site:
        await site.books(1)
        await site.until(lambda: sent(site, 1))
        watch = Watch(hours_of(tmp_path, site), Later(), lambda: {0})
        await watch.turn()
        await watch.turn()
    said = [line for line in capsys.readouterr().out.splitlines() if "x12.acknowledgement_overdue" in line]
    assert len(said) == 1
    assert "destination=payer" in said[0]
