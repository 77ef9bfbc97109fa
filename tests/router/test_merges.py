"""Two records that become one, and what is said about a person while visits are open: W4, with real messages."""

from __future__ import annotations

import itertools

import pytest

from canonical.findings import Finding, Severity
from canonical.model import AppointmentStatus, Patient
from canonical.presence import CLEAR
from connectors.base import Delivered, Retry
from store.records import DeliveryState
from tests.router.hospital import Hospital, adt, aip, merge, numbers, siu, unmerge

S = AppointmentStatus
AWAY = Retry("away", Finding("test.away", Severity.ERROR), free=True)


# -- merges -------------------------------------------------------------------------------------------------


async def test_open_visits_go_to_the_survivor_and_closed_ones_keep_their_history() -> None:
    """A4.1"""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "OLD", at=1), siu("S12", "V2", "OLD", at=2), siu("S15", "V2", "OLD", at=3),
                          merge("NEW", "OLD", at=4))
        moved, closed = await clinic.state("V1"), await clinic.state("V2")
        assert moved.patient_key == "patient:MERCY|NEW"
        assert numbers(moved.entity) == ["NEW"]
        assert moved.entity.patient.links  # type: ignore[union-attr]  # the old number is kept as an alias
        assert (closed.patient_key, numbers(closed.entity)) == ("patient:MERCY|OLD", ["OLD"])
        assert (await clinic.visit("V1")).status == S.BOOKED
        assert (await clinic.person("NEW")).links


async def test_destinations_of_states_hear_of_a_re_pointed_visit_and_those_of_events_do_not() -> None:
    """A4.1: nobody has said anything about the visit."""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "OLD", at=1))
        before = {name: len(sink.got) for name, sink in clinic.sinks.items()}
        await clinic.tell(merge("NEW", "OLD", at=4))
        assert len(clinic.sinks["events"].got) == before["events"]
        told = clinic.sinks["states"].bodies[before["states"]:]
        assert [b"Appointment" in body for body in told] == [False, True]
        assert b'"NEW"' in told[1]


async def test_what_comes_later_with_the_old_number_is_about_the_survivor() -> None:
    """A4.3: the visit, the person, and a note for people."""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "OLD", at=1), adt("A08", "NEW", at=2, sex="F"), merge("NEW", "OLD", at=4))
        moved, known, person = await clinic.tell(
            siu("S13", "V1", "OLD", at=5), siu("S12", "V9", "OLD", at=6), adt("A08", "OLD", at=7, phone="5550177"))
        for visit in ("V1", "V9"):
            assert (await clinic.state(visit)).patient_key == "patient:MERCY|NEW"
            assert numbers(await clinic.visit(visit)) == ["NEW"]
        survivor = await clinic.person("NEW")
        assert numbers(survivor) == ["NEW"]
        assert survivor.sex == "female"
        assert [t.value for t in survivor.telecom or ()] == ["5550177"]
        for one in (moved, known, person):
            assert "merge.landed" in await clinic.findings(one)


async def test_old_and_new_number_keep_one_order() -> None:
    """A4.3, D03: whatever number they name, messages about a visit leave in the order in which they came."""
    for partitions in (1, 8):
        async with Hospital(partitions=partitions) as clinic:
            await clinic.tell(siu("S12", "V1", "OLD", at=1), merge("NEW", "OLD", at=2))
            sent = [await clinic.accept(siu("S14", "V1", "OLD" if n % 3 else "NEW", at=n)) for n in range(3, 43)]
            await clinic.settled()
            events = {event.id: event.message_id for event in await clinic.events(*sent)}
            got = [event for event in (await clinic.ledger.deliveries(
                [(await clinic.message(one)).seq for one in sent])) if event.destination == "events"]
            assert len(got) == len(events) == 40
            order = [body.split(b"|")[6] for body in clinic.sinks["events"].bodies[1:]]
            assert order == sorted(order)


async def test_what_was_planned_before_a_merge_leaves_before_what_comes_after_it() -> None:
    """A4.8, invariant 4: at a destination that is away meanwhile, and that merges are not even sent to."""
    for restart in (False, True):
        clinic = Hospital(partitions=8)
        sink = clinic.sinks["events"]
        sink.answer = AWAY
        await clinic.engine.start({})
        await clinic.accept(siu("S12", "V1", "OLD", at=1))
        done = await clinic.accept(merge("NEW", "OLD", at=2))
        await clinic.accept(siu("S15", "V1", "NEW", at=3))
        await clinic.processed()
        if restart:
            await clinic.engine.stop(1.0)
            clinic = Hospital(partitions=8, ledger=clinic.ledger)
            sink = clinic.sinks["events"]
            await clinic.engine.start({})
        sink.answer = Delivered(code="200")
        await clinic.settled()
        await clinic.engine.stop(1.0)
        assert [body.split(b"|")[8] for body in sink.bodies] == [b"SIU^S12^SIU_S12", b"SIU^S15^SIU_S12"]
        owed = await clinic.ledger.deliveries([(await clinic.message(done)).seq])
        assert ("events", DeliveryState.SKIPPED, "delivery.behind_merge") in [
            (d.destination, d.state, d.reason) for d in owed if d.barrier]


async def test_visits_that_collide_after_a_merge_are_marked_once() -> None:
    """A4.2"""
    async with Hospital() as clinic:
        here = {"start": "20260420100000+0000", "end": "20260420103000+0000"}
        await clinic.tell(siu("S12", "V1", "OLD", at=1, **here), siu("S12", "V2", "NEW", at=2, **here),
                          siu("S12", "V3", "NEW", at=2, start="20260420103000+0000", end="20260420110000+0000"),
                          siu("S12", "V4", "OLD", at=2, start="20260421103000+0000", end="20260421110000+0000"))
        (done,) = await clinic.tell(merge("NEW", "OLD", at=4))
        assert (await clinic.noted(done, "merge.double_booking")).detail == "pairs: 1"
        (clash,) = (await clinic.visit("V1")).conflicts or ()
        assert [i.value for i in clash.identifiers or ()] == ["V2"]
        for other in ("V2", "V3", "V4"):
            assert not (await clinic.visit(other)).conflicts
        await clinic.tell(siu("S13", "V1", "NEW", at=5, start="20260422100000+0000", end="20260422103000+0000"))
        assert not (await clinic.visit("V1")).conflicts


async def test_an_unmerge_gives_back_what_came_from_the_old_record() -> None:
    """A4.5: whichever of the two the message names first."""
    for first, second in (("NEW", "OLD"), ("OLD", "NEW")):
        async with Hospital() as clinic:
            await clinic.tell(siu("S12", "V1", "OLD", at=1), siu("S12", "V2", "NEW", at=2), merge("NEW", "OLD", at=3),
                              siu("S12", "V3", "OLD", at=4), unmerge(first, second, at=5))
            for visit, number in (("V1", "OLD"), ("V2", "NEW"), ("V3", "OLD")):
                assert (await clinic.state(visit)).patient_key == f"patient:MERCY|{number}"
                assert numbers(await clinic.visit(visit)) == [number]
            await clinic.tell(siu("S14", "V1", "OLD", at=6), siu("S12", "V5", "OLD", at=7))
            assert numbers(await clinic.visit("V1")) == numbers(await clinic.visit("V5")) == ["OLD"]
            assert not (await clinic.person("NEW")).links


async def test_a_merge_the_other_way_round_makes_the_first_the_survivor_again() -> None:
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "A", at=1), siu("S12", "V2", "B", at=2), merge("B", "A", at=3),
                          merge("A", "B", at=4), siu("S12", "V3", "B", at=5), siu("S12", "V4", "A", at=6))
        for visit in ("V1", "V2", "V3", "V4"):
            assert (await clinic.state(visit)).patient_key == "patient:MERCY|A"
            assert numbers(await clinic.visit(visit)) == ["A"]


async def test_a_chain_of_merges_ends_at_the_last_survivor() -> None:
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "A", at=1), merge("B", "A", at=2), siu("S14", "V1", "B", at=3),
                          merge("C", "B", at=4), siu("S14", "V1", "A", at=5), merge("B", "D", at=6),
                          siu("S12", "V2", "D", at=7))
        for visit in ("V1", "V2"):
            assert (await clinic.state(visit)).patient_key == "patient:MERCY|C"
            assert numbers(await clinic.visit(visit)) == ["C"]


async def test_one_message_may_merge_several_pairs() -> None:
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "A", at=1), siu("S12", "V2", "B", at=2), merge("C", "A", "B", at=3))
        assert numbers(await clinic.visit("V1")) == numbers(await clinic.visit("V2")) == ["C"]


async def test_the_same_merge_again_changes_nothing() -> None:
    """D01: with another control id."""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "OLD", at=1), merge("NEW", "OLD", at=2))
        before = await clinic.state("V1")
        await clinic.tell(merge("NEW", "OLD", at=3))
        assert (await clinic.state("V1")).entity == before.entity
        assert len((await clinic.person("NEW")).links or ()) == 1


async def test_a_merge_before_anything_is_known_of_the_survivor_creates_it() -> None:
    """A4.4: the registration that follows completes it."""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "OLD", at=1), merge("NEW", "OLD", at=2), adt("A28", "NEW", at=3, sex="F"))
        assert numbers(await clinic.visit("V1")) == ["NEW"]
        assert (await clinic.person("NEW")).sex == "female"


# -- updates of a person ------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["A08", "A31"])
async def test_an_update_of_the_person_reaches_open_visits_and_leaves_their_status(trigger: str) -> None:
    """A4.7: a value replaces, ``""`` clears, empty leaves."""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "P", at=1, phone="5550100", sex="F"),
                          adt(trigger, "P", at=2, phone="5550200"))
        visit = await clinic.visit("V1")
        assert visit.patient
        assert [t.value for t in visit.patient.telecom or ()] == ["5550200"]
        assert (visit.patient.sex, visit.status) == ("female", S.BOOKED)
        await clinic.tell(adt(trigger, "P", at=3))
        assert (await clinic.visit("V1")) == visit
        await clinic.tell(adt(trigger, "P", at=4, phone='""'))
        visit = await clinic.visit("V1")
        assert visit.patient
        assert visit.patient.telecom is CLEAR


@pytest.mark.parametrize("end", ["S15", "S17", "S26"])
async def test_an_update_of_the_person_brings_no_visit_back(end: str) -> None:
    """A4.7: nor does it touch one that has ended."""
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "P", at=1), siu(end, "V1", "P", at=2))
        before, sent = await clinic.visit("V1"), len(clinic.sinks["events"].got)
        await clinic.tell(adt("A08", "P", at=3, phone="5550200"))
        assert await clinic.visit("V1") == before
        assert len(clinic.sinks["events"].got) == sent


async def test_an_update_that_changes_nothing_of_a_visit_is_no_news_of_it() -> None:
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "P", at=1, phone="5550100"))
        (same,) = await clinic.tell(adt("A08", "P", at=2, phone="5550100"))
        assert [event.type for event in await clinic.events(same)] == ["patient.updated"]


async def test_a_visit_that_has_been_is_not_told_of_a_new_telephone() -> None:
    async with Hospital() as clinic:
        await clinic.tell(siu("S12", "V1", "P", at=1, start="20260201100000+0000", end="", phone="5550100"))
        (update,) = await clinic.tell(adt("A08", "P", at=2, phone="5550200"))
        assert [event.type for event in await clinic.events(update)] == ["patient.updated"]


# -- order of arrival ---------------------------------------------------------------------------------------


async def test_any_order_of_a_merge_among_visits_ends_the_same() -> None:
    """D07, A4.3: bookings and changes by either number before and after the merge, in every order."""
    said = [siu("S12", "V1", "OLD", at=1), merge("NEW", "OLD", at=3), siu("S13", "V1", "OLD", at=2),
            siu("S14", "V1", "NEW", at=4, status="Started")]
    ends = set()
    for order in itertools.permutations(said):
        async with Hospital() as clinic:
            await clinic.tell(*order)
            visit, state = await clinic.visit("V1"), await clinic.state("V1")
            ends.add((state.patient_key, tuple(numbers(visit)), visit.status, visit.inferred))
    assert len(ends) == 1
    assert next(iter(ends))[:3] == ("patient:MERCY|NEW", ("NEW",), S.CHECKED_IN)


@pytest.mark.parametrize("names", [("NEW", "OLD"), ("OLD", "NEW")])
async def test_any_order_of_a_merge_and_its_undoing_ends_the_same(names: tuple[str, str]) -> None:
    """D07, A4.5: also an undoing that overtakes its merge, whichever of the two it names first, and a message by the old
    number that overtakes the undoing: whose the visit is follows from when things were said."""
    said = [siu("S12", "V1", "OLD", at=1), merge("NEW", "OLD", at=2), siu("S18", "V1", "NEW", at=3, resources=[aip(1, "A")]),
            unmerge(*names, at=4), siu("S14", "V1", "OLD", at=5, status="Started")]
    ends = set()
    for order in itertools.permutations(said):
        async with Hospital(delivers=False) as clinic:
            await clinic.tell(*order)
            visit, state = await clinic.visit("V1"), await clinic.state("V1")
            ends.add((state.patient_key, tuple(numbers(visit)), len((visit.patient or Patient()).links or ()), visit.status))
    assert ends == {("patient:MERCY|OLD", ("OLD",), 0, S.CHECKED_IN)}


async def test_a_message_said_before_a_merge_that_comes_after_its_undoing_stays_with_its_number() -> None:
    async with Hospital(delivers=False) as clinic:
        await clinic.tell(merge("NEW", "OLD", at=2), unmerge("NEW", "OLD", at=4))
        await clinic.tell(siu("S12", "V1", "OLD", at=1), siu("S12", "V2", "OLD", at=3), siu("S12", "V3", "OLD", at=5))
        assert [(await clinic.state(v)).patient_key for v in ("V1", "V2", "V3")] == ["patient:MERCY|OLD"] * 3


async def test_links_are_not_merges() -> None:
    """A24: later messages stay where they are."""
    async with Hospital() as clinic:
        link = unmerge("A", "B", at=1).replace(b"ADT^A37^ADT_A37", b"ADT^A24^ADT_A24")
        await clinic.tell(siu("S12", "V1", "B", at=1), link, siu("S12", "V2", "B", at=2))
        assert numbers(await clinic.visit("V1")) == numbers(await clinic.visit("V2")) == ["B"]
        assert isinstance(await clinic.person("A"), Patient)
