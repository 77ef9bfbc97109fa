"""Doubtful fields become questions, answers resume the flow (W1, A1.2, A1.3; issue D, Review)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from canonical.document import Extracted, Validation, Verdict
from canonical.referral import Referral, ReferralStatus
from canonical.task import TaskStatus
from router.desk import Refusal, TaskDesk
from router.flow_config import TASKS, WorkflowRule
from router.site import Route
from store.records import MessageQuery, StoredTask
from tests.workflow.clinic import Clinic, clinic_site, says

KEY = "referral:CLINIC|R1"
COMPLETE = WorkflowRule(rule="complete referrals are checked", when={"entity": "Referral", "status": "complete"},
                        request="eligibility")


def field(name: str, value: str | None, confidence: int, **more: Any) -> dict[str, Any]:
    """A field as a template read it."""
    return {"field": name, "confidence": confidence, "box": {"page": 1, "left": 1, "top": 2, "width": 3, "height": 4},
            **({"value": value} if value else {}), **more}


def referral(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"entity": "Referral", "status": "incomplete", "identifiers": [{"value": "R1", "type": "PLAC"}],
            "patient": {"entity": "Patient", "birth_date": "1980-01-02", "names": [{"family": "Doe", "given": ["Jo"]}]},
            "coverages": [{"entity": "Coverage", "member_id": "W1", "order": 1}],
            "referring": {"who": {"identifiers": [{"value": "1234567890", "type": "NPI"}]}},
            "evidence": list(fields), **more}


def recheck(of: Extracted, value: str) -> list[Validation]:
    """The check digit of an NPI, as the tables' validators would tell."""
    names = [one.validator for one in of.validations or ()]
    if "npi" in names:
        total = 24 + sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(reversed(value[:9])))
        good = (total + int(value[9])) % 10 == 0
        return [Validation(validator="npi", verdict=Verdict.VALID if good else Verdict.INVALID)]
    return []


class Office(Clinic):
    """With somebody at a desk."""

    @property
    def desk(self) -> TaskDesk:
        return TaskDesk(self.ledger, recheck, self.clock)

    async def received(self, *fields: dict[str, Any], **more: Any) -> str:
        message = await self.tell("referral.received", referral(*fields, **more), subject=KEY, lane="fax:1", patient="")
        await self.quiet()
        return message

    async def task(self, reason: str) -> StoredTask:
        found = [one for one in await self.open_tasks() if one.reason == reason]
        assert len(found) == 1, await self.reasons()
        return found[0]

    async def referral(self) -> Referral:
        state = await self.ledger.state_of(KEY)
        assert state is not None
        assert isinstance(state.entity, Referral)
        return state.entity


def office(**more: Any) -> Office:
    return Office(clinic_site(COMPLETE, **more))


async def test_a_field_below_its_threshold_is_asked_about_with_its_place_on_the_page() -> None:
    """A1.2: nothing is booked or asked of the payer meanwhile."""
    async with office() as clinic:
        await clinic.received(field("patient.birth_date", "1980-01-02", 960), field("coverages(0).member_id", "W1", 950))
        task, = await clinic.open_tasks()
        assert (task.reason, task.type) == ("FIELD_CONFIDENCE:patient.birth_date", "review-field")
        evidence, = task.task.evidence or ()
        assert evidence.box
        assert evidence.box.page == 1
        assert clinic.payer.questions == []


async def test_a_correction_resumes_the_flow_and_keeps_what_the_machine_read() -> None:
    """A1.2: the corrected referral is complete, and the payer is asked with the corrected value."""
    async with office() as clinic:
        clinic.payer.answer = says("active")
        await clinic.received(field("patient.birth_date", "1980-01-02", 500))
        task = await clinic.task("FIELD_CONFIDENCE:patient.birth_date")
        await clinic.desk.claim(task, "ada")
        done = await clinic.desk.correct(task, "ada", "1980-01-20", "looked at the page")
        assert (done.status, done.outcome, done.completed_by) == (TaskStatus.DONE, "correct", "ada")
        await clinic.quiet()
        now = await clinic.referral()
        assert now.status is ReferralStatus.COMPLETE
        assert now.patient
        assert (now.patient.birth_date, now.patient.names) == ("1980-01-20", (await clinic.referral()).patient.names)  # type: ignore[union-attr]  # there is one
        evidence, = now.evidence or ()
        assert (evidence.value, evidence.machine_value, evidence.reviewed_by) == ("1980-01-20", "1980-01-02", "ada")
        assert await clinic.open_tasks() == []
        key, = clinic.payer.questions
        check = await clinic.check(key)
        assert check.patient
        assert check.patient.birth_date == "1980-01-20"


async def test_the_lineage_of_a_correction_leads_to_the_person() -> None:
    async with office() as clinic:
        source = await clinic.received(field("patient.birth_date", "1980-01-02", 500))
        await clinic.desk.correct(await clinic.task("FIELD_CONFIDENCE:patient.birth_date"), "ada", "1980-01-20")
        await clinic.quiet()
        answer, = [m for m in await clinic.ledger.find(MessageQuery(channel=TASKS)) if m.parent_id == source]
        assert json.loads(answer.raw.reveal())["by"] == "ada"
        revised, *_ = await clinic.ledger.events_of([answer.id])
        assert (revised.type, revised.source.facility) == ("referral.revised", "ada")
        assert [entry.actor async for _, entry, _ in clinic.ledger.audit_trail()] == ["ada"]


async def test_a_correction_that_fails_its_check_is_refused_from_anybody() -> None:
    """A1.3: neither the machine's confidence nor a person's word overrides a validator."""
    bad = field("referring.who.identifiers(type=NPI).value", "1234567890", 990,
                validations=[{"validator": "npi", "verdict": "invalid", "finding": "extract.check_digit"}])
    async with office() as clinic:
        await clinic.received(bad)
        task = await clinic.task("FIELD_INVALID:referring.who.identifiers(type=NPI).value")
        assert "confirm" not in (task.task.actions or ())
        with pytest.raises(Refusal) as refusal:
            await clinic.desk.correct(task, "ada", "1234567890")
        assert "npi" in refusal.value.text
        assert "1234567890" not in refusal.value.text
        with pytest.raises(Refusal):
            await clinic.desk.confirm(task, "ada")
        await clinic.desk.correct(task, "ada", "1234567893")
        await clinic.quiet()
        now = await clinic.referral()
        assert now.referring
        assert now.referring.who
        assert [i.value for i in now.referring.who.identifiers or ()] == ["1234567893"]
        assert now.status is ReferralStatus.COMPLETE


async def test_a_value_that_the_field_cannot_have_is_refused_without_telling_it() -> None:
    async with office() as clinic:
        await clinic.received(field("status", "complete", 100), field("nothing.like_it", "x", 100))
        for reason in ("FIELD_CONFIDENCE:status", "FIELD_CONFIDENCE:nothing.like_it"):
            with pytest.raises(Refusal) as refusal:
                await clinic.desk.correct(await clinic.task(reason), "ada", "secret-value")
            assert "secret-value" not in refusal.value.text


async def test_two_people_correct_two_fields_at_once_and_both_count() -> None:
    async with office() as clinic:
        await clinic.received(field("patient.birth_date", "1980-01-02", 500), field("coverages(0).member_id", "W1", 400),
                              field("patient.sex", "male", 400))
        await clinic.desk.correct(await clinic.task("FIELD_CONFIDENCE:patient.birth_date"), "ada", "1980-01-20")
        await clinic.desk.correct(await clinic.task("FIELD_CONFIDENCE:coverages(0).member_id"), "bob", "W2")
        await clinic.desk.confirm(await clinic.task("FIELD_CONFIDENCE:patient.sex"), "eve")
        await clinic.quiet()
        now = await clinic.referral()
        assert now.patient
        assert (now.patient.birth_date, (now.coverages or ())[0].member_id) == ("1980-01-20", "W2")
        assert {e.field: e.reviewed_by for e in now.evidence or ()} == {
            "patient.birth_date": "ada", "coverages(0).member_id": "bob", "patient.sex": "eve"}
        assert now.status is ReferralStatus.COMPLETE


async def test_what_somebody_else_has_cannot_be_answered() -> None:
    async with office() as clinic:
        await clinic.received(field("patient.birth_date", "1980-01-02", 500))
        task = await clinic.task("FIELD_CONFIDENCE:patient.birth_date")
        await clinic.desk.claim(task, "ada")
        for act in (clinic.desk.claim(task, "bob"), clinic.desk.correct(task, "bob", "1980-01-20")):
            with pytest.raises(Refusal, match="ada has it"):
                await act
        await clinic.desk.release(task, "ada")
        await clinic.desk.correct(task, "bob", "1980-01-20")
        with pytest.raises(Refusal, match="closed"):
            await clinic.desk.correct(task, "ada", "1980-01-21")


async def test_what_is_missing_is_asked_for_and_completes_the_referral() -> None:
    async with office() as clinic:
        await clinic.received(missing=["specialty", "reason(0)"])
        assert await clinic.reasons() == ["FIELD_MISSING:reason(0)", "FIELD_MISSING:specialty"]
        await clinic.desk.correct(await clinic.task("FIELD_MISSING:specialty"), "ada", "Cardiology")
        await clinic.quiet()
        assert (await clinic.referral()).status is ReferralStatus.INCOMPLETE
        await clinic.desk.correct(await clinic.task("FIELD_MISSING:reason(0)"), "ada", "chest pain")
        await clinic.quiet()
        now = await clinic.referral()
        assert now.status is ReferralStatus.COMPLETE
        assert now.specialty
        assert now.specialty.text == "Cardiology"


async def test_a_page_that_is_read_again_is_asked_about_again() -> None:
    """The machine's value is back where a person's had been: never silently. A change is another question (A1.7)."""
    doubtful = field("patient.birth_date", "1980-01-02", 500)
    async with office() as clinic:
        await clinic.received(doubtful)
        await clinic.desk.correct(await clinic.task("FIELD_CONFIDENCE:patient.birth_date"), "ada", "1980-01-20")
        await clinic.quiet()
        assert await clinic.reasons() == []
        await clinic.received(doubtful)
        again = await clinic.task("FIELD_CONFIDENCE:patient.birth_date")
        await clinic.desk.correct(again, "ada", "1980-01-20")
        await clinic.quiet()
        await clinic.received(field("patient.birth_date", "1981-01-02", 500))
        assert (await clinic.task("FIELD_CONFIDENCE:patient.birth_date")).id != again.id


async def test_a_cancelled_referral_has_no_questions_left() -> None:
    async with office() as clinic:
        await clinic.received(field("patient.birth_date", "1980-01-02", 500))
        await clinic.tell("referral.cancelled", {"entity": "Referral", "status": "cancelled"}, subject=KEY, lane="fax:1",
                          patient="")
        await clinic.quiet()
        assert await clinic.open_tasks() == []


async def test_an_orphan_is_matched_by_hand_and_its_answer_counts() -> None:
    """A3.6: then the lineage is complete: the answer is part of the history of the question."""
    async with Office(clinic_site()) as clinic:
        await clinic.booked()
        await clinic.quiet()
        asked, = clinic.payer.questions
        stray = says("inactive")({"subject": "eligibility:DRAGOMAN|STRAY"})
        await clinic.tell(stray["event"], stray["entity"], channel="answers", lane="x", subject=stray["subject"])
        await clinic.quiet()
        orphan = await clinic.task("ORPHAN:eligibility")
        with pytest.raises(Refusal):
            await clinic.desk.match(orphan, "ada", "NOSUCH")
        await clinic.desk.match(orphan, "ada", asked.rpartition("|")[2])
        await clinic.quiet()
        assert await clinic.reasons() == ["ELIGIBILITY:inactive"]
        assert [event.type for event in await clinic.ledger.history(asked)] == [
            "eligibility.requested", "eligibility.sent", "eligibility.answered"]


async def test_an_approval_lets_the_request_go() -> None:
    """Invariant 13."""
    async with Office(clinic_site(decisions={})) as clinic:
        await clinic.booked()
        await clinic.quiet()
        await clinic.desk.finish(await clinic.task("APPROVAL:request-eligibility"), "ada", "approve")
        await clinic.quiet()
        assert len(clinic.payer.questions) == 1


async def test_changes_of_tasks_are_events_that_may_be_routed() -> None:
    """``task.opened``, ``task.completed``, ``task.overdue`` once: a chat, a dashboard, a CRM."""
    config = clinic_site()
    config = type(config)(**{name: getattr(config, name) for name in config.__struct_fields__} | {
        "routes": (*config.routes, Route(route="tasks", to=("payer",), when={"event": "starts task."}))})
    async with Office(config) as clinic:
        clinic.payer.answer = lambda asked: None if asked["event"].startswith("task.") else says("inactive")(asked)
        await clinic.booked()
        await clinic.quiet()
        for _ in range(3):
            await clinic.later(3_601)
        await clinic.desk.finish(await clinic.task("ELIGIBILITY:inactive"), "ada", "done", "called the patient")
        await clinic.quiet()
        told = [effect["event"] for effect in clinic.payer.effects if effect["event"].startswith("task.")]
        assert told == ["task.opened", "task.overdue", "task.completed"]
        assert await clinic.reasons() == []
