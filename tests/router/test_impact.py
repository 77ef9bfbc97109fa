"""What a change of the staff or location master means for visits that are booked already (MFN M02, M05)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from canonical import schema
from canonical.entities import AnyEntity
from canonical.event import Event, Source, Version
from canonical.model import Appointment, Location, Practitioner
from canonical.task import WorkTask
from router.impact import Impact, impact
from store.memory import MemoryLedger
from store.records import State
from tests.store.messages import accepted, event, lease, processed

#: 2026-03-10T12:00:00Z
NOW = 1_773_144_000_000_000


def made(kind: type[Any], **fields: Any) -> Any:
    return schema.from_json(msgspec.json.encode({"entity": kind.__name__, **fields}), kind)


def visit(number: str, start: str, *, who: str = "D1", room: str = "12", status: str = "booked",
          assigner: str = "") -> Appointment:
    given = {"value": who, **({"assigner": assigner} if assigner else {})}
    appointment: Appointment = made(
        Appointment, identifiers=[{"value": number, "type": "FILL"}], status=status, start=start,
        location={"point_of_care": "CARD", "room": room},
        participants=[{"kind": "practitioner", "who": {"identifiers": [given]}}])
    return appointment


def about(entity: AnyEntity, kind: str) -> Event:
    return Event(id="m9.1", type=kind, subject_key="practitioner:|D1", version=Version(at="1", tie="m9"), entity=entity,
                 source=Source(channel="hr"), message_id="m9", occurred_at="2026-03-10T11:00:00+00:00", received_at=NOW,
                 revision="r")


async def touched(change: Event, *visits: Appointment) -> Impact:
    ledger = MemoryLedger(partitions=1)
    await ledger.start()
    for number, one in enumerate(visits, 1):
        stored = await accepted(ledger, number)
        key = f"appointment:|{(one.identifiers or ())[0].value}"
        said = event(number, key)
        await ledger.commit(await lease(ledger), [processed(stored, states=(State(
            subject_key=key, version=said.version.at, event_id=said.id, entity=one),))])
    return await impact(ledger, change, NOW)


def numbers(found: Impact) -> list[str]:
    return [one.state.subject_key.partition("|")[2] for one in found.touched]


DOCTOR = made(Practitioner, identifiers=[{"value": "D1", "use": "usual", "assigner": "L"}, {"value": "77", "type": "NPI"}],
              active=False, effective_at="2026-04-01")


async def test_visits_of_a_clinician_who_leaves_are_listed_from_the_day_on() -> None:
    found = await touched(about(DOCTOR, "practitioner.deactivated"), visit("late", "2026-05-02T09:00:00-05:00"),
                          visit("before", "2026-03-31T09:00:00-05:00"), visit("first", "2026-04-01T08:00:00-05:00"),
                          visit("other", "2026-05-02T09:00:00-05:00", who="D2"),
                          visit("by npi", "2026-05-01T09:00:00-05:00", who="77"))
    assert numbers(found) == ["first", "by npi", "late"]
    assert (found.urgent, found.since) == (True, "2026-04-01")


async def test_what_is_over_or_given_up_is_not_touched() -> None:
    change = about(made(Practitioner, identifiers=[{"value": "D1"}]), "practitioner.updated")
    found = await touched(change, visit("past", "2026-03-10T06:00:00-05:00"),
                          visit("cancelled", "2026-05-02T09:00:00-05:00", status="cancelled"),
                          visit("today", "2026-03-10T09:00:00-05:00"))
    assert (numbers(found), found.urgent) == (["today"], False)


async def test_a_number_of_another_assigner_is_another_person() -> None:
    found = await touched(about(DOCTOR, "practitioner.deleted"),
                          visit("theirs", "2026-05-02T09:00:00-05:00", assigner="OTHER"))
    assert numbers(found) == []


@pytest.mark.parametrize(("place", "found"), [
    ({"point_of_care": "CARD"}, ["a", "b"]), ({"point_of_care": "CARD", "room": "12"}, ["a"]),
    ({"point_of_care": "RAD"}, []), ({"description": "somewhere"}, [])])
async def test_a_unit_that_closes_is_all_of_its_rooms(place: dict[str, str], found: list[str]) -> None:
    change = about(made(Location, place=place, status="inactive"), "location.deactivated")
    assert numbers(await touched(change, visit("a", "2026-05-02T09:00:00-05:00"),
                                 visit("b", "2026-05-03T09:00:00-05:00", room="14"))) == found


async def test_the_list_makes_one_task_however_often_it_is_asked() -> None:
    change = about(DOCTOR, "practitioner.deactivated")
    first, again = [(await touched(change, visit("v", "2026-05-02T09:00:00-05:00"))).task() for _ in range(2)]
    assert isinstance(first, WorkTask)
    assert first == again
    assert (first.type, first.reason) == ("master-impact", "MASTER_IMPACT:practitioner.deactivated")
    assert first.subjects == ("practitioner:|D1", "appointment:|v")
    assert (await touched(change)).task() is None
