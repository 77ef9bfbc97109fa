"""impact: which booked visits a change of a master touches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from canonical.model import Appointment, AppointmentStatus, Identifier, Participant, ParticipantKind, Practitioner, Reference
from store.records import MessageState, NewMessage, Processed, State
from tests.console.world import CANARY, T0, World, _event, _message

Dragoman = Callable[..., Any]
DOCTOR = Practitioner(identifiers=(Identifier(value="D1"),), active=False)


@pytest.fixture
def master(world: World) -> str:
    """A message that takes D1 out of service, and a visit of D1 to come."""
    async def fill() -> None:
        ledger = world.ledger
        said = msgspec.structs.replace(_event("m8"), type="practitioner.deactivated", entity=DOCTOR,
                                       subject_key="practitioner:|D1")
        await ledger.append(NewMessage(**msgspec.structs.asdict(_message(8, lanes=("message:m8",)))))
        (stored,) = [each for partition in range(4) for each in await ledger.received(partition, 0, 100)
                     if each.id == "m8"]
        visit = Appointment(
            status=AppointmentStatus.BOOKED, start="2099-05-02T09:00:00-05:00",  # type: ignore[arg-type]  # an Instant
            participants=(Participant(kind=ParticipantKind.PRACTITIONER,
                                      who=Reference(identifiers=(Identifier(value="D1"),))),))
        lease = await ledger.acquire(stored.partition, "test", T0, 60)
        assert lease is not None
        await ledger.commit(lease, [Processed(
            message_seq=stored.seq, message_id="m8", state=MessageState.FILTERED, at=T0, events=(said,), states=(
                State(subject_key=f"appointment:MERCY|{CANARY}5", version="1", event_id="m1.0", entity=visit),))])
        await ledger.release(lease)

    asyncio.run(fill())
    return "m8"


def test_the_visits_that_a_change_touches_are_listed_without_who_they_are_for(dragoman: Dragoman, master: str) -> None:
    said = dragoman("impact", master, "--json")
    assert said.code == 1
    (change,) = said.json["changes"]
    assert (change["type"], change["urgent"]) == ("practitioner.deactivated", True)
    assert change["visits"] == [{"start": "2099-05-02T09:00:00-05:00", "message": "m1", "subject": "‹phi›"}]
    assert CANARY not in said.out
    assert "1 visit" in dragoman("impact", master).out


def test_who_they_are_for_is_shown_for_a_reason_and_audited(dragoman: Dragoman, master: str, world: World) -> None:
    said = dragoman("impact", master, "--reveal", "--reason", "calls patients", "--json")
    assert said.json["changes"][0]["visits"][0]["subject"].endswith(f"{CANARY}5")


def test_a_message_about_no_master_touches_nothing(dragoman: Dragoman) -> None:
    said = dragoman("impact", "m1")
    assert said.code == 0
    assert "changes no person and no place" in said.out
