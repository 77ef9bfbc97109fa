"""From a booking to a 270, to a 271, to what a person must do (A1.4, X11, X13, X22, X27, X37)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connectors.x12.edi import parse
from connectors.x12.judge import judge
from simulators.faults import Plan
from simulators.payer import Payer
from store.records import MessageQuery, MessageState
from tests.payers.clinic import Clinic, clinic


async def test_an_active_member_leaves_no_task_and_the_inquiry_has_no_finding(tmp_path: Path) -> None:
    """X07, X19, X22, X23: what the tables write and the partner's profile finishes is what the guide asks for."""
    async with Payer() as payer, clinic(tmp_path, payer) as site:
        await site.books()
        check = await site.answered("active")
        assert check.service_date == "2027-03-10"
        assert await site.reasons() == []
        assert await site.parked() == []
        sent, = payer.sink.arrivals
        verdict = judge(parse(sent.body).interchanges[0])
        assert verdict.problems == ()
        assert [each.problems for group in verdict.groups for each in group.sets] == [()]
        assert b"TRN*1*" in sent.body
        assert b"*9NORTHGATE~" in sent.body


async def test_every_inquiry_has_a_number_of_its_own_and_a_repeated_attempt_the_same(tmp_path: Path) -> None:
    """X07, invariant 8: the second is lost on the way back, and comes again byte for byte."""
    async with Payer(plan=Plan("lost at 2")) as payer, clinic(tmp_path, payer) as site:
        for number in (1, 2, 3):
            await site.books(number)
            await site.until(lambda upto=number: answers(site, upto))  # type: ignore[misc] # mypy infers no type for a default
        controls = [parse(one.body).interchanges[0].header.element(13) for one in payer.sink.arrivals]
        assert controls == ["000000001", "000000002", "000000002", "000000003"]
        assert payer.sink.arrivals[1].body == payer.sink.arrivals[2].body
        assert payer.sink.repeated() == {}


async def answers(site: Clinic, count: int) -> bool:
    return sum(1 for check in await site.checks() if check.result) == count


@pytest.mark.parametrize(("fault", "reason"), [
    ("inactive", "ELIGIBILITY:inactive"),
    ("aaa:75", "ELIGIBILITY:not-found"),
    ("silence", "ELIGIBILITY:payer-unavailable"),
    ("503", "ELIGIBILITY:payer-away"),
    ("later", "ELIGIBILITY:payer-away"),
    ("aaa:42", "ELIGIBILITY:payer-unavailable"),
    ("aaa:51", "ELIGIBILITY:rejected"),
    ("reject", "ELIGIBILITY:rejected"),
    ("ta1:025", "ELIGIBILITY:rejected"),
    ("envelope:VersionMismatch", "ELIGIBILITY:destination-blocked"),
])
async def test_each_failure_is_a_reason_of_its_own(tmp_path: Path, fault: str, reason: str) -> None:
    """A1.4, X11, X16, X29: whichever of the five layers says no, the desk is told what it must do."""
    async with Payer(plan=Plan(f"{fault} always")) as payer, clinic(tmp_path, payer) as site:
        await site.books()
        task = await site.task(reason)
        assert task.subject_key == "appointment:MERCY|V1"
        assert await site.reasons() == [reason]
        assert await site.parked() == []


@pytest.mark.parametrize("fault", ["reject", "ta1:025"])
async def test_what_was_refused_is_not_sent_again_and_the_acknowledgement_is_kept(tmp_path: Path, fault: str) -> None:
    """X11: once, whatever the policy says of repetitions; the code is told with the question."""
    async with Payer(plan=Plan(f"{fault} always")) as payer, clinic(tmp_path, payer) as site:
        await site.books()
        await site.task("ELIGIBILITY:rejected")
        await asyncio.sleep(0.3)
        assert payer.sink.count == 1
        check, = await site.checks()
        assert check.status == "rejected"
        said, = await site.ledger.find(MessageQuery(channel="payer-answers"))
        assert [found.code for found in said.findings] == ["x12.acknowledgement"]
        assert said.state is MessageState.PROCESSED, "it tells the question, whatever becomes of the delivery"


async def test_a_late_answer_attaches_to_its_question_and_the_task_goes_away(tmp_path: Path) -> None:
    """X13, X27, A1.4: it comes by another channel, days later if need be, and finds its question by its trace."""
    async with Payer(plan=Plan("lost always")) as payer, clinic(tmp_path, payer) as site:
        await site.books()
        await site.task("ELIGIBILITY:payer-unavailable")
        await site.hears(payer.answers[0])
        await site.answered("active")
        await site.until(site.nothing_to_do)


async def test_an_answer_that_comes_twice_counts_once(tmp_path: Path) -> None:
    """X27, D06: the second one comes in the batch results."""
    async with Payer(plan=Plan("duplicate always")) as payer, clinic(tmp_path, payer) as site:
        await site.books()
        before = await site.answered("active")
        await site.hears(payer.results[0], payer.results[0])
        await asyncio.sleep(0.3)
        assert await site.checks() == [before]
        assert await site.reasons() == []
        assert await site.parked() == []


async def test_an_answer_to_nothing_is_an_orphan_for_people(tmp_path: Path) -> None:
    """X27."""
    async with Payer() as payer, clinic(tmp_path, payer) as site:
        await site.books()
        await site.answered("active")
        own = payer.sink.all_keys()[0].encode()
        answer = payer.answers[0].replace(own, b"STRANGER0000000000AA")
        answer = answer.replace(b"000000001", b"000000777")  # X07: a number of its own
        await site.hears(answer)
        await site.task("ORPHAN:eligibility")
