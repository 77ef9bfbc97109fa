"""The life of a question: from its asking to its leaving, its answer, and its end (X13, A1.4, A3.7)."""

from __future__ import annotations

import msgspec
import pytest

from canonical.coverage import CheckStatus
from canonical.findings import finding
from connectors.base import Outcome, Rejected, Retry, Unknown
from router.retry import AWAY, STOPPED, UNKNOWN
from store.records import MessageQuery
from tests.workflow.clinic import AUTHORIZED, Clinic, Payer, clinic_site, says, visit

FAR = 2**62
GONE = {"entity": "Appointment"}


def saying(outcome: Outcome) -> Payer:
    """A payer that says so to everything, before it has any effect."""
    payer = Payer()
    payer.script = lambda _: outcome
    return payer


def back(payer: Payer) -> None:
    """It works again, and everybody is active."""
    payer.script = lambda _: None
    payer.answer = says("active")


async def asked(clinic: Clinic) -> list[str]:
    """Ids of the messages with which something was asked."""
    return [one.id for one in await clinic.ledger.find(MessageQuery()) if one.message_type == "eligibility.requested"]


async def open_checks(clinic: Clinic) -> list[str]:
    """Questions that are not over."""
    return [state.subject_key for state in await clinic.ledger.open_of(["patient:M|P1"])
            if state.subject_key.startswith("eligibility:")]


async def test_the_time_of_a_payer_that_is_away_does_not_run_and_nothing_is_asked_twice() -> None:
    """X13: the desk is told that the question is still here; when the payer is back it goes out, once."""
    async with Clinic(payer=saying(Retry(code="503", finding=finding(AWAY), free=True))) as clinic:
        await clinic.booked()
        await clinic.passes(1)
        assert await clinic.reasons() == []
        await clinic.passes(61)
        assert await clinic.reasons() == ["ELIGIBILITY:payer-away"]
        await clinic.passes(4_000)
        assert await clinic.reasons() == ["ELIGIBILITY:payer-away"]
        back(clinic.payer)
        await clinic.later(120)
        assert await clinic.reasons() == []
        key, = clinic.payer.questions
        check = await clinic.check(key)
        assert check.status is CheckStatus.ANSWERED
        assert check.sent_at, "it is known when it left"


async def test_a_destination_that_refuses_everything_is_ours_to_mend() -> None:
    """A1.4: another reason, another queue; gone when it is mended."""
    async with Clinic(payer=saying(Rejected(code="401", finding=finding(STOPPED), channel_wide=True))) as clinic:
        await clinic.booked()
        await clinic.passes(61)
        task, = await clinic.open_tasks()
        assert (task.reason, task.type) == ("ELIGIBILITY:destination-blocked", "payer-setup")
        back(clinic.payer)
        await clinic.later(120)
        assert await clinic.reasons() == []
        assert len(clinic.payer.questions) == 1


async def test_a_question_that_no_route_takes_is_ours_to_mend_too() -> None:
    """Never silent: without a way to any payer there is nothing to wait for."""
    config = msgspec.structs.replace(clinic_site(), routes=())
    async with Clinic(config) as clinic:
        await clinic.booked()
        await clinic.quiet()
        await clinic.later(61)
        assert await clinic.reasons() == ["ELIGIBILITY:destination-blocked"]


async def test_an_authorization_that_has_not_left_is_told_likewise() -> None:
    async with Clinic(clinic_site(AUTHORIZED), payer=saying(Retry(code="503", finding=finding(AWAY), free=True))) as clinic:
        await clinic.booked()
        await clinic.passes(61)
        assert await clinic.reasons() == ["AUTHORIZATION:payer-away"]


async def test_the_time_runs_from_the_first_attempt_that_may_have_been_heard() -> None:
    """X13, A1.4: asked again under a trace of its own once that time is over, however often the first is repeated."""
    async with Clinic(payer=saying(Unknown(finding=finding(UNKNOWN)))) as clinic:
        await clinic.booked()
        await clinic.passes(30)
        assert len(await asked(clinic)) == 1
        await clinic.passes(40)
        assert await clinic.reasons() == []
        await clinic.passes(200)
        assert len(await asked(clinic)) == 2


async def test_a_visit_that_is_over_or_cancelled_or_asks_something_else_leaves_no_open_check() -> None:
    """The open list is what people must look at."""
    async with Clinic() as clinic:
        clinic.payer.answer = says("active")
        await clinic.booked()
        await clinic.quiet()
        first, = clinic.payer.questions
        assert await open_checks(clinic) == [first], "the visit rests on it"
        await clinic.tell("appointment.rescheduled", visit("2027-03-12T11:00:00-05:00"))
        await clinic.quiet()
        _, second = clinic.payer.questions
        assert await open_checks(clinic) == [second]
        assert (await clinic.check(first)).status is CheckStatus.CLOSED
        await clinic.tell("appointment.cancelled", GONE)
        await clinic.quiet()
        assert await open_checks(clinic) == []


async def test_a_check_and_its_task_end_with_the_day_of_the_visit() -> None:
    """Nobody cancels or fulfils it: the day passes."""
    async with Clinic() as clinic:
        clinic.payer.answer = says("inactive")
        await clinic.booked()
        await clinic.quiet()
        assert await clinic.reasons() == ["ELIGIBILITY:inactive"]
        await clinic.later(200 * 86_400)
        assert await clinic.reasons() == []
        assert await open_checks(clinic) == []
        assert len(clinic.payer.questions) == 1


async def test_a_late_answer_to_a_closed_check_is_kept_and_it_stays_closed() -> None:
    """A1.4, A3.7."""
    async with Clinic() as clinic:
        await clinic.booked()
        await clinic.quiet()
        key, = clinic.payer.questions
        await clinic.tell("appointment.cancelled", GONE)
        await clinic.quiet()
        assert (await clinic.check(key)).status is CheckStatus.CLOSED
        answer = says("not-found")({"subject": key})
        await clinic.tell(answer["event"], answer["entity"], channel="answers", lane="x", subject=key)
        await clinic.quiet()
        check = await clinic.check(key)
        assert (check.status, check.result and check.result.status) == (CheckStatus.CLOSED, "not-found")
        assert await clinic.reasons() == []


async def test_a_visit_that_is_booked_again_rests_on_what_was_asked_before() -> None:
    """A2.3, D06: a cancellation that is taken back asks nothing twice."""
    async with Clinic() as clinic:
        clinic.payer.answer = says("inactive")
        await clinic.booked()
        await clinic.tell("appointment.cancelled", GONE)
        await clinic.quiet()
        assert await clinic.reasons() == []
        await clinic.tell("appointment.booked", visit())
        await clinic.quiet()
        assert await clinic.reasons() == ["ELIGIBILITY:inactive"]
        assert len(clinic.payer.questions) == 1


async def test_an_orphan_that_is_rejected_is_over() -> None:
    from router.desk import TaskDesk
    from wiring.recheck import recheck

    async with Clinic() as clinic:
        stray = says("active")({"subject": "eligibility:DRAGOMAN|UNKNOWN"})
        await clinic.tell(stray["event"], stray["entity"], channel="answers", lane="x", subject=stray["subject"])
        await clinic.quiet()
        task, = await clinic.open_tasks()
        await TaskDesk(clinic.ledger, recheck, clinic.clock).finish(task, "ada", "reject")
        await clinic.quiet()
        assert (await clinic.check(stray["subject"])).status is CheckStatus.CLOSED


@pytest.mark.parametrize("cancelled", [True, False])
async def test_retention_takes_what_is_over_and_nothing_else(cancelled: bool) -> None:
    async with Clinic() as clinic:
        clinic.payer.answer = says("active")
        await clinic.booked()
        await clinic.quiet()
        key, = clinic.payer.questions
        if cancelled:
            await clinic.tell("appointment.cancelled", GONE)
            await clinic.quiet()
        await clinic.ledger.purge(FAR, 1_000)
        assert bool(await clinic.ledger.history(key)) is not cancelled
