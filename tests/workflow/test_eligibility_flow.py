"""From a booking to a question, to an answer, to a task: the whole engine, with a payer that answers (issue C, Flow)."""

from __future__ import annotations

import msgspec
import pytest

from canonical.coverage import CheckStatus, EligibilityStatus
from tests.workflow.clinic import CHECKED, Clinic, clinic_site, says, visit


async def test_a_booking_asks_the_payer_once_and_an_active_member_leaves_no_task() -> None:
    async with Clinic() as clinic:
        clinic.payer.answer = says("active")
        await clinic.booked()
        await clinic.quiet()
        key, = clinic.payer.questions
        check = await clinic.check(key)
        assert (check.status, check.cause, check.service_date) == (
            CheckStatus.ANSWERED, "appointment:EHR|V1", "2027-03-10")
        assert check.result
        assert check.result.status is EligibilityStatus.ACTIVE
        assert await clinic.reasons() == []


@pytest.mark.parametrize(("status", "reason"), [
    ("inactive", "ELIGIBILITY:inactive"), ("not-found", "ELIGIBILITY:not-found"), ("rejected", "ELIGIBILITY:rejected"),
    ("ambiguous", "ELIGIBILITY:ambiguous"), ("partial", "ELIGIBILITY:partial")])
async def test_each_failure_is_a_reason_of_its_own(status: str, reason: str) -> None:
    """A1.4."""
    async with Clinic() as clinic:
        clinic.payer.answer = says(status)
        await clinic.booked()
        await clinic.quiet()
        task, = await clinic.open_tasks()
        assert (task.reason, task.queue, task.priority, task.subject_key) == (
            reason, "insurance", 5, "appointment:EHR|V1")
        assert task.due_at > task.created_at
        assert list(task.task.subjects or ()) == ["appointment:EHR|V1", *clinic.payer.questions]


async def test_a_payer_that_is_silent_is_asked_again_then_a_person_is_and_a_late_answer_counts() -> None:
    """A1.4, X13: by policy; the late 271 attaches to the closed check and the task goes away by itself."""
    async with Clinic() as clinic:
        await clinic.booked()
        await clinic.quiet()
        assert len(clinic.payer.questions) == 1
        assert await clinic.reasons() == []
        await clinic.later(61)
        first = clinic.payer.questions[0]
        assert (await clinic.check(first)).status is CheckStatus.TIMED_OUT
        await clinic.later(100)
        assert len(set(clinic.payer.questions)) == 2
        for _ in range(4):
            await clinic.later(500)
        assert len(clinic.payer.questions) == len(set(clinic.payer.questions)) == 3
        assert await clinic.reasons() == ["ELIGIBILITY:payer-unavailable"]

        late = says("inactive")({"subject": first})
        await clinic.tell(late["event"], late["entity"], channel="answers", lane="somewhere", subject=first)
        await clinic.quiet()
        assert await clinic.reasons() == ["ELIGIBILITY:inactive"]
        assert (await clinic.check(first)).status is CheckStatus.ANSWERED


async def test_a_payer_that_says_it_cannot_is_asked_again() -> None:
    """X29: AAA 42 and 80."""
    async with Clinic() as clinic:
        clinic.payer.answer = says("payer-unavailable")
        await clinic.booked()
        await clinic.quiet()
        clinic.payer.answer = says("active")
        await clinic.later(200)
        assert len(set(clinic.payer.questions)) == 2
        assert await clinic.reasons() == []


async def test_the_same_facts_ask_nothing_again_and_another_day_does() -> None:
    """D06, A6.6: a resend, a change of something else, a move within the day; then a move to another day."""
    async with Clinic() as clinic:
        clinic.payer.answer = says("active")
        await clinic.booked()
        await clinic.tell("appointment.booked", visit())
        await clinic.tell("appointment.modified", visit(comments=["bring the scans"]))
        await clinic.tell("appointment.rescheduled", visit("2027-03-10T11:00:00-05:00"))
        await clinic.quiet()
        assert len(clinic.payer.questions) == 1
        await clinic.tell("appointment.rescheduled", visit("2027-03-12T11:00:00-05:00"))
        await clinic.quiet()
        assert len(clinic.payer.questions) == len(set(clinic.payer.questions)) == 2


async def test_an_answer_to_the_same_question_is_used_again_and_shown_as_such() -> None:
    """X26: another visit of the same member on the same day for the same service."""
    async with Clinic() as clinic:
        clinic.payer.answer = says("active", answered_at="2099-01-01T00:00:00+00:00")
        await clinic.booked()
        await clinic.quiet()
        await clinic.tell("appointment.booked", visit("2027-03-10T15:00:00-05:00"), subject="appointment:EHR|V2")
        await clinic.quiet()
        assert len(clinic.payer.questions) == 1
        second = [state for state in await clinic.ledger.open_of(["patient:M|P1"])
                  if state.subject_key.startswith("eligibility:") and state.subject_key not in clinic.payer.questions]
        assert len(second) == 1
        check = await clinic.check(second[0].subject_key)
        assert check.result
        assert (check.result.cached, check.cause) == (True, "appointment:EHR|V2")


async def test_a_cancelled_visit_needs_no_answer() -> None:
    """A3.7: the answer is recorded, nobody is bothered."""
    async with Clinic() as clinic:
        await clinic.booked()
        await clinic.quiet()
        key, = clinic.payer.questions
        await clinic.tell("appointment.cancelled", {"entity": "Appointment"})
        answer = says("not-found")({"subject": key})
        await clinic.tell(answer["event"], answer["entity"], channel="answers", lane="x", subject=key)
        await clinic.quiet()
        assert await clinic.reasons() == []
        assert (await clinic.check(key)).result
        await clinic.later(100_000)
        assert len(clinic.payer.questions) == 1


async def test_an_answer_nobody_asked_for_waits_for_a_person() -> None:
    """X27, A3.6."""
    async with Clinic() as clinic:
        answer = says("active")({"subject": "eligibility:DRAGOMAN|UNKNOWN"})
        await clinic.tell(answer["event"], answer["entity"], channel="answers", lane="x", subject=answer["subject"])
        await clinic.quiet()
        task, = await clinic.open_tasks()
        assert (task.reason, task.type, task.subject_key) == (
            "ORPHAN:eligibility", "orphan-answer", "eligibility:DRAGOMAN|UNKNOWN")


async def test_what_the_payer_knows_otherwise_is_for_a_steward_and_other_payers_too() -> None:
    """X28, X36: nothing is overwritten by itself."""
    async with Clinic() as clinic:
        clinic.payer.answer = says(
            "active", differences=[{"field": "birth_date", "ours": "1980-01-02", "theirs": "1980-02-01"}],
            other_payers=[{"display": "MEDICARE"}])
        await clinic.booked()
        await clinic.quiet()
        assert await clinic.reasons() == ["COVERAGE:other-payer", "DEMOGRAPHICS:payer-differs"]
        steward, = [task for task in await clinic.open_tasks() if task.type == "demographics"]
        assert [(one.field, one.theirs) for one in steward.task.differences or ()] == [("birth_date", "1980-02-01")]


async def test_without_a_coverage_somebody_is_asked_for_one_and_then_the_payer_is() -> None:
    async with Clinic() as clinic:
        clinic.payer.answer = says("active")
        await clinic.tell("appointment.booked", visit())
        await clinic.quiet()
        assert await clinic.reasons() == ["ELIGIBILITY:no-coverage"]
        await clinic.insured()
        await clinic.quiet()
        assert await clinic.reasons() == []
        assert len(clinic.payer.questions) == 1


async def test_nothing_is_asked_by_itself_unless_the_decision_is_registered() -> None:
    """Invariant 13: people approve."""
    async with Clinic(clinic_site(CHECKED, decisions={})) as clinic:
        await clinic.booked()
        await clinic.quiet()
        assert clinic.payer.questions == []
        assert await clinic.reasons() == ["APPROVAL:request-eligibility"]


async def test_sites_without_rules_look_at_no_visit() -> None:
    async with Clinic(msgspec.structs.replace(clinic_site(), workflow=())) as clinic:
        await clinic.booked()
        await clinic.quiet()
        assert clinic.payer.questions == []
        assert await clinic.open_tasks() == []
