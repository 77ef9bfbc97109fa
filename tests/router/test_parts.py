"""The small parts: lanes, recovery, outbox, scores, ids, fail points, leases of subjects."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from canonical.clock import SystemClock
from canonical.event import Event, Source, Version
from canonical.failpoints import FailPoint, Injected, armed, point, points
from canonical.keys import identifier_key, patient_key
from canonical.model import Appointment, Identifier, Instant, LinkType, Patient, PatientLink
from canonical.phi import Phi
from router import replay
from router.broker import BrokerAway, Envelope
from router.broker_local import LocalBroker
from router.ids import MessageIds
from router.lanes import Gate
from router.merges import aliases_of
from router.outbox import Outbox, envelope
from router.recover import mend
from router.scoring import NoShowRisk
from router.subjects import Subjects
from store.memory import MemoryLedger
from store.records import (
    Delivery,
    DeliveryState,
    Fence,
    Message,
    State,
)
from tests.router.world import World, destination


def message(seq: int, *lanes: str) -> Message:
    return Message(id=f"m{seq}", channel="c", raw=Phi(b""), received_at=seq, lanes=lanes, seq=seq, partition=0,
                   since=seq)


def event(kind: str = "appointment.booked", subject: str = "appointment:E|1", at: int = 1, patient: str = "",
          entity: Appointment | Patient | None = None) -> Event:
    return Event(id=f"m{at}.0", type=kind, subject_key=subject, message_id=f"m{at}", patient_key=patient,
                 entity=entity or Appointment(), version=Version(at=f"{at:021}", tie=f"m{at}"), revision="r",
                 source=Source(channel="ehr"),
                 occurred_at="2026-03-09T09:00:00-05:00", received_at=at)


# -- lanes ---------------------------------------------------------------------------------------------------


def test_nothing_overtakes_what_is_parked_and_what_is_before_it_goes_on() -> None:
    gate = Gate()
    gate.park(message(5, "a"))
    assert not gate.passes(message(6, "a"))
    assert gate.passes(message(6, "b"))
    assert gate.passes(message(4, "a"))
    assert gate.passes(message(5, "a"))


def test_what_waits_for_one_lane_holds_up_its_other_lanes() -> None:
    gate = Gate()
    gate.park(message(5, "a"))
    merge = message(6, "b", "a")
    assert not gate.passes(merge)
    gate.block(merge)
    assert not gate.passes(message(7, "b"))


def test_a_fence_of_another_partition_holds_what_is_younger() -> None:
    gate = Gate()
    gate.set_fences([Fence("a", 5, home=3)])
    assert gate.passes(message(4, "a"))
    assert not gate.passes(message(6, "a"))
    assert gate.homes() == {3}
    assert gate.set_fences([])
    assert gate.passes(message(6, "a"))


def test_the_older_of_two_fences_counts() -> None:
    gate = Gate()
    gate.set_fences([Fence("a", 9, home=1), Fence("a", 5, home=3)])
    assert not gate.passes(message(6, "a"))
    assert gate.homes() == {3}


def test_a_restart_reads_again_from_the_oldest_that_was_held() -> None:
    gate = Gate()
    gate.park(message(5, "a"))
    gate.block(message(8, "a"))
    assert gate.restart({}) == 4
    assert gate.passes(message(8, "a"))
    assert not gate.held


# -- recovery (invariant 6) ----------------------------------------------------------------------------------


def delivery(state: DeliveryState, to: str) -> Delivery:
    return Delivery(id=f"{state}>{to}", message_seq=1, event_id="e", destination=to, lane="l", partition=0,
                    due_at=1, state=state, attempts=2, since=7)


def test_what_was_in_flight_is_repeated_only_where_that_is_harmless() -> None:
    places = {"twice": destination(idempotent=True), "once": destination()}
    found = mend([delivery(DeliveryState.INFLIGHT, "twice"), delivery(DeliveryState.INFLIGHT, "once"),
                  delivery(DeliveryState.PENDING, "once"), delivery(DeliveryState.PARKED, "gone"),
                  delivery(DeliveryState.PENDING, "gone")], places, now=9)
    assert [(s.delivery_id, s.state.value, s.reason, s.attempts) for s in found] == [
        ("inflight>twice", "pending", "", 3), ("inflight>once", "parked", "delivery.unknown", 3),
        ("pending>gone", "parked", "delivery.no_destination", 2)]


def test_mending_what_was_mended_changes_nothing() -> None:
    """Recovery is idempotent."""
    assert mend([delivery(DeliveryState.PENDING, "once"), delivery(DeliveryState.PARKED, "once")],
                {"once": destination()}, now=9) == []


# -- outbox --------------------------------------------------------------------------------------------------


def test_a_reference_carries_no_phi_and_its_routing_key_neither() -> None:
    """Invariant 12."""
    canary = Appointment(identifiers=(Identifier(value="CANARY"),))
    said = event(subject="appointment:CANARY", patient="patient:CANARY", entity=canary)
    reference = envelope(said, full=False)
    assert "CANARY" not in repr(reference)
    assert reference.routing_key == "appointment.booked.ehr"
    assert b"CANARY" in envelope(event(entity=canary), full=True).body


async def test_events_are_published_again_until_they_are_confirmed() -> None:
    class Deaf(LocalBroker):
        deaf = True

        async def publish(self, envelopes: object) -> None:
            if self.deaf:
                raise BrokerAway("not connected")
            await super().publish(envelopes)  # type: ignore[arg-type]  # a narrower kind than the protocol's

    broker, heard = Deaf(), []

    async def subscriber(one: Envelope) -> None:
        heard.append(one.event_id)

    broker.subscribe(subscriber)
    async with World(ledger=MemoryLedger(partitions=4), broker=broker) as world:
        first = await world.say(visit="A")
        await world.settled()
    outbox = Outbox(world.ledger, broker)
    for _ in range(2):
        with pytest.raises(BrokerAway):
            await outbox.turn()
    assert not heard
    broker.deaf = False
    assert await outbox.turn()
    assert heard == [f"{first}.0"]
    assert not await outbox.turn()


async def test_what_a_dead_process_has_not_published_is_found_at_the_second_look(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look leaves it to the process that committed it."""
    monkeypatch.setattr("router.outbox.LOOK_S", 0.0)
    heard: list[str] = []

    class Dying(LocalBroker):
        async def publish(self, envelopes: object) -> None:
            raise BrokerAway("not connected")

    async def subscriber(one: Envelope) -> None:
        heard.append(one.event_id)

    ledger, dying, living = MemoryLedger(partitions=4), Dying(), LocalBroker()
    for broker in (dying, living):
        broker.subscribe(subscriber)
    outbox = Outbox(ledger, living)
    assert not await outbox.turn()
    async with World(ledger=ledger, broker=dying) as world:
        first = await world.say(visit="A")
        await world.settled()
    assert not await outbox.turn()
    assert await outbox.turn()
    assert heard == [f"{first}.0"]
    assert not await ledger.unpublished(1)


async def test_events_that_nobody_wants_never_enter_the_outbox() -> None:
    ledger = MemoryLedger(partitions=4)
    async with World(ledger=ledger) as world:
        await world.say(visit="A")
        await world.settled()
        assert not await ledger.unpublished(1)
        counts = await ledger.counts()
    assert counts["messages"] == {"processed": 1}


# -- scores --------------------------------------------------------------------------------------------------


async def test_the_example_scorer_follows_its_formula() -> None:
    async def risk(start: str, modality: str = "in-person") -> float:
        visit = Appointment(start=Instant(start), modality=modality)
        return await NoShowRisk().score(event(entity=visit), visit)

    soon = await risk("2026-03-10T09:00:00-05:00")
    late = await risk("2026-06-10T09:00:00-05:00")
    assert 0 < soon < late < 1
    assert await risk("2026-03-10T09:00:00-05:00", modality="video") < soon
    assert await risk("2029-03-10T09:00:00-05:00") <= 0.5
    with pytest.raises(ValueError):
        await NoShowRisk().score(event(), Patient())


# -- merges and keys -----------------------------------------------------------------------------------------


def test_a_merge_makes_an_alias_and_an_unmerge_ends_it() -> None:
    link = PatientLink(type=LinkType.REPLACES, identifiers=(Identifier(value="1", assigner="M", type="MR"),))
    person = Patient(links=(link,))
    two, one = "patient:M|2", "patient:M|1"
    assert aliases_of(event("patient.merged", two, entity=person)) == ((one, two),)
    assert aliases_of(event("patient.unmerged", two, entity=person)) == ((one, one),)
    assert aliases_of(event("patient.updated", two, entity=person)) == ()
    assert aliases_of(event("patient.merged", one, entity=person)) == ()


def test_a_person_is_named_by_the_medical_record_number_and_its_assigner() -> None:
    identifiers = (Identifier(value="9", assigner="SSA", type="SS"),
                   Identifier(value="7", system="urn:x", type="MR"))
    assert patient_key(identifiers) == "patient:urn:x|7"
    assert patient_key(identifiers[:1]) == "patient:SSA|9"
    assert patient_key(None) == identifier_key("patient", Identifier()) == ""


# -- subjects ------------------------------------------------------------------------------------------------


async def test_a_subject_is_read_once_and_then_known() -> None:
    class Counting(MemoryLedger):
        asked = 0

        async def states(self, subject_keys: object) -> dict[str, State]:
            self.asked += 1
            return {}

    ledger = Counting()
    subjects = Subjects(ledger, kept=2)
    for n in (1, 2, 3):
        batch = await subjects.prepare([event(at=n)])
        (step,) = await batch.fold([event(at=n)], [])
        subjects.keep([step.state])
    assert ledger.asked == 1
    for n in range(3):  # more than are kept: the one that was not asked for longest is read anew
        await subjects.prepare([event(subject=f"appointment:E|x{n}")])
    await subjects.prepare([event()])
    assert ledger.asked == 5


async def test_a_message_that_cannot_be_folded_leaves_no_trace_in_the_batch() -> None:
    subjects = Subjects(MemoryLedger())
    first, second = event(at=1), event("patient.updated", at=2, entity=Patient())
    batch = await subjects.prepare([first, second])
    with pytest.raises(TypeError):
        await batch.fold([first, second], [])
    (step,) = await batch.fold([event(at=3)], [])
    assert step.state.event_id == "m3.0"
    assert not step.late


# -- ids and fail points -------------------------------------------------------------------------------------


def test_ids_are_unique_and_grow() -> None:
    ids = MessageIds(SystemClock(), 0xABCDEF)
    made = [ids()[0] for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {len(one) for one in made} == {20}


def test_a_fail_point_does_nothing_until_it_is_armed_and_once_then() -> None:
    here = point("test.here")
    here()
    with armed("test.here", passage=2):
        here()
        with pytest.raises(Injected):
            here()
        here()
    here()
    with pytest.raises(ValueError):
        point("test.here")
    with pytest.raises(ValueError):
        FailPoint("x").arm("explode")


def test_a_fail_point_armed_from_outside_kills_the_process() -> None:
    code = "from canonical.failpoints import point; p = point('a.b'); p(); print('once', flush=True); p()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, "DRAGOMAN_FAILPOINTS": "x.y=raise;a.b=kill@2"})
    assert (done.returncode, done.stdout) == (-9, "once\n")


def test_every_boundary_has_its_fail_point() -> None:
    assert {"receive.before_append", "receive.after_append", "pump.before_translate", "pump.before_commit",
            "pump.after_commit", "deliver.before_inflight", "deliver.before_send", "deliver.after_send",
            "deliver.after_settle", "worker.after_acquire", "worker.after_recover", "outbox.before_publish",
            "outbox.after_publish", replay._BETWEEN.name} <= set(points())
