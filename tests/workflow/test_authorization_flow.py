"""An authorization from the request to the last word, with the visit moving under it (W3)."""

from __future__ import annotations

from typing import Any

from canonical.authorization import Authorization
from tests.workflow.clinic import AUTHORIZED, Clinic, clinic_site, visit

MARCH = {"valid": {"start": "2027-03-01", "end": "2027-03-31"}}


def decided(**fields: Any) -> dict[str, Any]:
    return {"entity": "Authorization", **fields}


class Wing(Clinic):
    """A clinic whose visits need an authorization."""

    def __init__(self) -> None:
        super().__init__(clinic_site(AUTHORIZED))

    async def notice(self, key: str, **fields: Any) -> None:
        """The payer says something by another way than it was asked, in a lane of its own."""
        kind = "authorization.pended" if fields.get("status") == "pended" else "authorization.decided"
        await self.tell(kind, decided(**fields), channel="answers", lane="batch:77", subject=key, patient="")
        await self.quiet()

    async def authorization(self, key: str) -> Authorization:
        state = await self.ledger.state_of(key)
        assert state is not None
        assert isinstance(state.entity, Authorization)
        return state.entity


async def test_pended_then_approved_closes_by_itself_and_a_move_out_of_it_asks_a_person() -> None:
    """A3.1, A3.11, X40, X44."""
    async with Wing() as clinic:
        await clinic.booked()
        await clinic.quiet()
        key, = clinic.payer.questions
        await clinic.notice(key, status="pended", clocks=[{"rule": "CORE", "due_at": "2026-01-01T00:00:00+00:00"}])
        assert await clinic.reasons() == ["AUTHORIZATION:overdue:CORE"]
        await clinic.notice(key, status="approved", number="A1", **MARCH)
        assert await clinic.reasons() == []
        await clinic.tell("appointment.rescheduled", visit("2027-04-02T09:00:00-05:00"))
        await clinic.quiet()
        task, = await clinic.open_tasks()
        assert (task.reason, task.task.blocks) == ("AUTHORIZATION:expiring", True)
        assert [(one.ours, one.theirs) for one in task.task.differences or ()] == [
            ("2027-04-02", "2027-03-01 to 2027-03-31")]
        await clinic.tell("appointment.rescheduled", visit("2027-03-15T09:00:00-05:00"))
        await clinic.quiet()
        assert await clinic.reasons() == []
        assert clinic.payer.questions == [key]


async def test_the_same_notice_five_times_is_one_change_and_a_new_number_counts() -> None:
    """A3.8, A3.9."""
    async with Wing() as clinic:
        await clinic.booked()
        await clinic.quiet()
        key, = clinic.payer.questions
        for _ in range(5):
            await clinic.notice(key, status="denied", number="D1", denial_reasons=["0F"])
        task, = await clinic.open_tasks()
        assert task.reason == "AUTHORIZATION:denied"
        await clinic.notice(key, status="approved", number="A2", **MARCH)
        now = await clinic.authorization(key)
        assert (now.number, now.superseded_numbers) == ("A2", ("D1",))
        assert await clinic.reasons() == []


async def test_a_denial_leaves_the_visit_booked_and_a_cancelled_visit_leaves_no_work() -> None:
    """A3.3, A3.7."""
    async with Wing() as clinic:
        await clinic.booked()
        await clinic.quiet()
        key, = clinic.payer.questions
        await clinic.notice(key, status="denied")
        state = await clinic.ledger.state_of("appointment:EHR|V1")
        assert state is not None
        assert getattr(state.entity, "status", "") == "booked"
        await clinic.tell("appointment.cancelled", {"entity": "Appointment"})
        await clinic.quiet()
        assert await clinic.reasons() == []
        await clinic.notice(key, status="denied", denial_reasons=["0F"])
        assert await clinic.reasons() == []


async def test_what_the_payer_certified_stands_beside_what_is_planned() -> None:
    """A3.2."""
    async with Wing() as clinic:
        await clinic.booked(services=[{"code": {"coding": [{"code": "97110"}]}}])
        await clinic.quiet()
        key, = clinic.payer.questions
        await clinic.notice(key, status="partial", services=[{"quantity": "12", "certified_quantity": "8"}])
        task, = await clinic.open_tasks()
        assert (task.reason, [(d.ours, d.theirs) for d in task.task.differences or ()]) == (
            "AUTHORIZATION:partial", [("12", "8")])
