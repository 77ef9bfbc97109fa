"""What the events of the SIU map do to visits and schedules (spec 3.11, 3.12), with real messages."""

from __future__ import annotations

from canonical.model import AppointmentStatus, SlotStatus
from tests.router.hospital import Hospital, aip, siu

S = AppointmentStatus


def doctors(visit: object) -> list[object]:
    return [p.who.identifiers[0].value for p in visit.participants or ()]  # type: ignore[attr-defined]  # a visit


async def test_a_series_that_is_given_up_keeps_what_has_been_and_cancels_what_is_to_come() -> None:
    """3.12, S16; A2.8: whatever has begun keeps its status, each coming visit is cancelled as discontinued."""
    async with Hospital() as clinic:
        past = {"start": "20260201100000+0000", "end": "20260201103000+0000"}
        await clinic.tell(siu("S12", "V1", "P", at=1, **past), siu("S14", "V1", "P", at=2, status="Started", **past),
                          siu("S12", "V2", "P", at=3), siu("S16", "V1", "P", at=4, **past), siu("S16", "V2", "P", at=5))
        been, coming = await clinic.visit("V1"), await clinic.visit("V2")
        assert (been.status, bool(been.substatus)) == (S.CHECKED_IN, False)
        assert (coming.status, coming.substatus) == (S.CANCELLED, "discontinued")


async def test_resource_events_touch_what_they_name_and_nothing_else() -> None:
    """M03: S18 to S22 change neither status nor time, whatever else the message says."""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "P", at=1, resources=[aip(1, "A"), aip(2, "B")]))
        before = await clinic.visit("V1")
        for at, (trigger, who, left) in enumerate([
                ("S18", aip(1, "C"), ["A", "B", "C"]), ("S19", aip(1, "B", "U"), ["A", "B", "C"]),
                ("S20", aip(1, "A"), ["B", "C"]), ("S21", aip(1, "B"), ["C"]), ("S22", aip(1, "C", "D"), [])], 2):
            await clinic.tell(siu(trigger, "V1", "P", at=at, status="Cancelled", start="20260501100000+0000",
                                  resources=[who]))
            visit = await clinic.visit("V1")
            assert doctors(visit) == left
            assert (visit.status, visit.start) == (before.status, before.start)


async def test_a_broadcast_is_a_state_and_nothing_has_happened() -> None:
    """3.12, S27: known or not, it is one event of its own type, so no rule about bookings or ends fires."""
    async with Hospital() as clinic:
        (new,) = await clinic.tell(siu("S27", "V1", "P", at=1, status="Started", resources=[aip(1, "A")]))
        assert [event.type for event in await clinic.events(new)] == ["appointment.snapshot"]
        visit = await clinic.visit("V1")
        assert (visit.status, visit.inferred or False, doctors(visit)) == (S.CHECKED_IN, False, ["A"])
        await clinic.tell(siu("S15", "V1", "P", at=2))
        (late,) = await clinic.tell(siu("S27", "V1", "P", at=3, status="Booked"))
        assert [event.type for event in await clinic.events(late)] == ["appointment.snapshot"]
        assert (await clinic.visit("V1")).status == S.CANCELLED


async def test_a_block_is_about_a_schedule_and_leaves_the_visits_alone() -> None:
    """3.12, S23 and S24."""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "P", at=1))
        before = await clinic.visit("V1")
        for at, (trigger, status) in enumerate((("S23", SlotStatus.BUSY_UNAVAILABLE), ("S24", SlotStatus.FREE)), 2):
            await clinic.tell(siu(trigger, "B1", "", at=at).replace(b"PID|||^^^MERCY^MR|||||||||||\r", b""))
            block = await clinic.ledger.state_of("slot:MERCY|B1")
            assert block is not None
            assert block.entity.status == status  # type: ignore[union-attr]  # a slot, or the test fails
        assert await clinic.visit("V1") == before


async def test_a_visit_that_ended_is_not_brought_back_by_what_came_late_and_is_by_a_newer_booking() -> None:
    """A2.3, D04."""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "P", at=1), siu("S15", "V1", "P", at=5), siu("S13", "V1", "P", at=3))
        assert (await clinic.visit("V1")).status == S.CANCELLED
        await clinic.tell(siu("S13", "V1", "P", at=6))
        assert (await clinic.visit("V1")).status == S.BOOKED
