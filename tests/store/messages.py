"""Messages of our own for the store's tests."""

from __future__ import annotations

from typing import Any

from canonical.event import Event, Source, Version
from canonical.model import Appointment, AppointmentStatus, Identifier
from canonical.phi import Phi
from store.ledger import Ledger
from store.partition import partition_of
from store.records import (
    AuditEntry,
    DeliveryState,
    Lease,
    Message,
    MessageState,
    NewDelivery,
    NewMessage,
    Processed,
    Settlement,
    State,
)

NOW = 1_770_000_000_000_000
LANE = "patient:A|1"


def message(number: int, *lanes: str, **fields: Any) -> NewMessage:
    """A message that differs from those of other numbers in everything."""
    given: dict[str, Any] = {
        "id": f"m{number:04}", "channel": "ehr", "raw": Phi(b"MSH|%d" % number), "received_at": NOW + number,
        "control_id": f"C{number}", "message_type": "SIU^S12", "lanes": lanes or (LANE,),
        "dedup": b"D%d" % number}
    return NewMessage(**(given | fields))


def event(number: int, subject: str = "appointment:A|V1", version: int | None = None,
          status: AppointmentStatus = AppointmentStatus.BOOKED) -> Event:
    """The event that message `number` became."""
    return Event(id=f"m{number:04}.1", type="appointment.booked", subject_key=subject,
                 version=Version(at=f"2026{version or number:010}", tie=f"m{number:04}"),
                 entity=Appointment(identifiers=(Identifier(value="V1", type="FILL"),), status=status),
                 source=Source(channel="ehr"), message_id=f"m{number:04}",
                 occurred_at="2026-03-01T08:00:00+01:00", received_at=NOW, revision="r1")


def processed(of: Message, *destinations: str, **fields: Any) -> Processed:
    """What a message sets in motion: one event, its state, a delivery for each destination."""
    one = fields.pop("event", None) or event(int(of.id[1:]))
    given: dict[str, Any] = {
        "message_seq": of.seq, "message_id": of.id, "state": MessageState.PROCESSED, "at": NOW, "revision": "r1",
        "events": (one,), "fences": len(of.lanes) > 1,
        "states": (State(subject_key=one.subject_key, version=one.version.at, event_id=one.id, entity=one.entity,
                         patient_key=of.lanes[0]),),
        "deliveries": tuple(NewDelivery(
            id=f"{one.id}>{name}", message_seq=of.seq, event_id=one.id, destination=name, lane=of.lanes[0],
            partition=of.partition, due_at=NOW) for name in destinations)}
    return Processed(**(given | fields))


def parked(of: Message, reason: str = "map.unmapped") -> Processed:
    """A message that cannot be processed."""
    return Processed(message_seq=of.seq, message_id=of.id, state=MessageState.PARKED, at=NOW, reason=reason)


def settlement(delivery_id: str, state: DeliveryState = DeliveryState.DELIVERED, **fields: Any) -> Settlement:
    """What one attempt did."""
    given: dict[str, Any] = {"attempts": 1, "at": NOW + 10, "code": "201"}
    return Settlement(delivery_id=delivery_id, state=state, **(given | fields))


def audit(action: str = "test", at: int = NOW + 100) -> AuditEntry:
    """Somebody decided something."""
    return AuditEntry(at=at, actor="ada", action=action, subject="it", reason="because")


async def accepted(ledger: Ledger, number: int, *lanes: str, **fields: Any) -> Message:
    """Append a message and read it back."""
    receipt = await ledger.append(message(number, *lanes, **fields))
    stored = await ledger.message(receipt.message_id)
    assert stored is not None
    return stored


async def lease(ledger: Ledger, partition: int = 0, owner: str = "one") -> Lease:
    """The lease of a partition that nobody else has."""
    mine = await ledger.acquire(partition, owner, NOW, 60)
    assert mine is not None
    return mine


def lane_of(partition: int, partitions: int, prefix: str = "patient:") -> str:
    """Some lane that belongs to a partition."""
    return next(lane for number in range(10_000)
                if partition_of(lane := f"{prefix}{number}", partitions) == partition)
