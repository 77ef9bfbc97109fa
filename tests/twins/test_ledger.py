"""One suite for the three ledgers: in memory, on SQLite, on PostgreSQL."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from canonical.event import Event, Source, Version
from canonical.model import Appointment, AppointmentStatus, Identifier
from canonical.phi import Phi
from canonical.receipt import Verdict
from store.ledger import LeaseLost, Ledger
from store.records import (
    Attempt,
    AttemptOutcome,
    AuditEntry,
    DeliveryState,
    Lease,
    MessageState,
    NewDelivery,
    NewMessage,
    Processed,
    Settlement,
    State,
)

NOW = 1_770_000_000_000_000


def message(number: int, lane: str = "patient:A|1", dedup: bytes | None = None) -> NewMessage:
    return NewMessage(id=f"m{number:04}", channel="ehr", raw=Phi(b"MSH|%d" % number), received_at=NOW + number,
                      control_id=f"C{number}", message_type="SIU^S12", lanes=(lane,),
                      dedup=b"D%d" % number if dedup is None else dedup)


def processed(number: int, seq: int) -> Processed:
    entity = Appointment(identifiers=(Identifier(value="V1", type="FILL"),), status=AppointmentStatus.BOOKED)
    event = Event(id=f"m{number:04}.1", type="appointment.booked", subject_key="appointment:A|V1",
                  version=Version(at=f"2026{number:010}", tie=f"m{number:04}"), entity=entity,
                  source=Source(channel="ehr"), message_id=f"m{number:04}", occurred_at="2026-03-01T08:00:00+01:00",
                  received_at=NOW, revision="r1")
    return Processed(
        message_seq=seq, message_id=event.message_id, state=MessageState.PROCESSED, at=NOW, revision="r1",
        events=(event,),
        states=(State(subject_key=event.subject_key, version=event.version.at, event_id=event.id, entity=entity),),
        deliveries=(NewDelivery(id=f"{event.id}>erp", message_seq=seq, event_id=event.id, destination="erp",
                                lane="patient:A|1", partition=0, due_at=NOW),))


async def leased(ledger: Ledger) -> Lease:
    lease = await ledger.acquire(0, "one", NOW, 60)
    assert lease is not None
    return lease


async def delivery_of(ledger: Ledger) -> tuple[Lease, str]:
    """A processed message with one pending delivery."""
    await ledger.append(message(1))
    lease = await leased(ledger)
    (stored,) = await ledger.received(0, 0, 10)
    await ledger.commit(lease, [processed(1, stored.seq)])
    return lease, "m0001.1>erp"


async def test_what_is_accepted_is_there_with_its_bytes_in_the_order_of_acceptance(ledger: Ledger) -> None:
    """Invariants 1 and 3."""
    receipts = await asyncio.gather(*[ledger.append(message(n)) for n in range(1, 21)])
    assert [r.verdict for r in receipts] == [Verdict.ACCEPTED] * 20
    stored = await ledger.received(0, 0, 100)
    assert [m.id for m in stored] == [f"m{n:04}" for n in range(1, 21)]
    assert await ledger.raw_bytes("m0007") == b"MSH|7"


async def test_a_duplicate_gets_the_first_receipt_even_within_one_commit(ledger: Ledger) -> None:
    """D01, invariant 7."""
    first, second = await asyncio.gather(ledger.append(message(1, dedup=b"same")),
                                         ledger.append(message(2, dedup=b"same")))
    third = await ledger.append(message(3, dedup=b"same"))
    assert (first.verdict, second.verdict, third.verdict) == (
        Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.DUPLICATE)
    assert {(r.message_id, r.control_id, r.received_at) for r in (first, second, third)} == {
        ("m0001", "C1", NOW + 1)}
    assert len(await ledger.received(0, 0, 10)) == 1


async def test_nothing_is_a_duplicate_of_what_was_refused(ledger: Ledger) -> None:
    """Whoever mends the configuration and has the message sent again expects it to be taken. Until then each
    resend is refused and kept."""
    refused = [await ledger.append(msgspec.structs.replace(message(n, dedup=b"same"), state=MessageState.REFUSED))
               for n in (1, 2)]
    taken, again = [await ledger.append(message(n, dedup=b"same")) for n in (3, 4)]
    assert [r.verdict for r in (*refused, taken, again)] == [
        Verdict.REFUSED, Verdict.REFUSED, Verdict.ACCEPTED, Verdict.DUPLICATE]
    assert again.message_id == taken.message_id == "m0003"


async def test_what_was_accepted_is_not_refused_when_it_comes_again(ledger: Ledger) -> None:
    """Invariant 7: the stored acknowledgement, whatever the channel takes by now."""
    first = await ledger.append(message(1, dedup=b"same"))
    again = await ledger.append(msgspec.structs.replace(message(2, dedup=b"same"), state=MessageState.REFUSED))
    assert (again.verdict, again.message_id) == (Verdict.DUPLICATE, first.message_id)
    assert sum((await ledger.counts())["messages"].values()) == 1


async def test_what_a_message_sets_in_motion_is_stored_whole(ledger: Ledger) -> None:
    lease, delivery = await delivery_of(ledger)
    assert lease.partition == 0
    assert await ledger.received(0, 0, 10) == []
    (open_,) = await ledger.open_deliveries(0)
    assert (open_.id, open_.state) == (delivery, DeliveryState.PENDING)
    state = await ledger.state_of("appointment:A|V1")
    assert state is not None
    assert isinstance(state.entity, Appointment)
    assert [e.id for e in await ledger.history("appointment:A|V1")] == ["m0001.1"]


async def test_a_delivery_goes_in_flight_and_is_settled_with_its_attempt(ledger: Ledger) -> None:
    lease, delivery = await delivery_of(ledger)
    await ledger.inflight(lease, [delivery], NOW + 5)
    assert (await ledger.open_deliveries(0))[0].state is DeliveryState.INFLIGHT
    await ledger.settle(lease, [Settlement(
        delivery_id=delivery, state=DeliveryState.PENDING, attempts=1, at=NOW + 6, due_at=NOW + 9, code="503",
        attempt=Attempt(delivery_id=delivery, number=1, started_at=NOW + 5, ended_at=NOW + 6,
                        outcome=AttemptOutcome.RETRY, code="503"))])
    (again,) = await ledger.open_deliveries(0)
    assert (again.state, again.attempts, again.due_at, again.code) == (DeliveryState.PENDING, 1, NOW + 9, "503")
    await ledger.settle(lease, [Settlement(delivery_id=delivery, state=DeliveryState.DELIVERED, attempts=2,
                                           at=NOW + 10, code="201")])
    assert await ledger.open_deliveries(0) == []
    assert [a.outcome for a in await ledger.attempts([delivery])] == [AttemptOutcome.RETRY]


async def test_who_lost_the_lease_cannot_write(ledger: Ledger) -> None:
    """Invariant 5."""
    lease, delivery = await delivery_of(ledger)
    assert await ledger.acquire(0, "two", NOW + 1, 60) is None
    other = await ledger.acquire(0, "two", NOW + 61_000_000, 60)
    assert other is not None
    assert other.epoch > lease.epoch
    with pytest.raises(LeaseLost):
        await ledger.inflight(lease, [delivery], NOW)
    with pytest.raises(LeaseLost):
        await ledger.renew(lease, NOW, 60)
    assert (await ledger.open_deliveries(0))[0].state is DeliveryState.PENDING


async def test_a_parked_message_holds_its_lane_until_a_person_decides(ledger: Ledger) -> None:
    await ledger.append(message(1))
    lease = await leased(ledger)
    (stored,) = await ledger.received(0, 0, 10)
    await ledger.commit(lease, [Processed(message_seq=stored.seq, message_id=stored.id, state=MessageState.PARKED,
                                          at=NOW, reason="map.unmapped")])
    assert dict(await ledger.parked_lanes(0)) == {"patient:A|1": stored.seq}
    decision = AuditEntry(at=NOW, actor="ada", action="message.replayed", subject=stored.id, reason="row added")
    assert await ledger.requeue_messages([stored.id], decision) == 1
    assert await ledger.requeue_messages([stored.id], decision) == 0
    assert not await ledger.parked_lanes(0)
    assert [m.id for m in await ledger.received(0, 0, 10)] == [stored.id]


async def test_events_wait_in_the_outbox_until_they_are_confirmed(ledger: Ledger) -> None:
    await delivery_of(ledger)
    assert [e.id for e in await ledger.unpublished(10)] == ["m0001.1"]
    await ledger.published(["m0001.1"])
    assert await ledger.unpublished(10) == []


async def test_the_audit_trail_is_whole(ledger: Ledger) -> None:
    """Z06."""
    for number in range(3):
        await ledger.audit(AuditEntry(at=NOW + number, actor="ada", action="message.viewed", subject=f"m{number}"))
    assert await ledger.verify_audit() == (3, None)
    assert [entry.subject async for _, entry, _ in ledger.audit_trail()] == ["m0", "m1", "m2"]


async def test_unfinished_work_is_never_purged(ledger: Ledger) -> None:
    lease, delivery = await delivery_of(ledger)
    await ledger.published(["m0001.1"])
    later = NOW + 10**15
    assert await ledger.purge(later, 100) == 0
    await ledger.settle(lease, [Settlement(delivery_id=delivery, state=DeliveryState.DELIVERED, attempts=1,
                                           at=NOW + 10)])
    await ledger.purge(later, 100)
    assert await ledger.state_of("appointment:A|V1") is not None


async def test_revisions_are_kept_by_their_content(ledger: Ledger) -> None:
    await ledger.keep_revision("abc", {"a.yaml": b"x: 1"})
    await ledger.keep_revision("abc", {"a.yaml": b"x: 1"})
    assert await ledger.revision("abc") == {"a.yaml": b"x: 1"}
    assert await ledger.revision("none") is None
