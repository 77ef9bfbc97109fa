"""A small ledger with one of everything a person may meet, and the house that shows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from canonical.event import Basis, Event, Source, Version
from canonical.findings import Severity, declare, finding
from canonical.model import Appointment, AppointmentStatus
from canonical.phi import Phi
from console.views.journey import Lineage, LineageRow
from store.ledger import Ledger
from store.memory import MemoryLedger
from store.records import (
    AckOutcome,
    Attempt,
    AttemptOutcome,
    Decision,
    DeliveryState,
    Message,
    MessageState,
    NewDelivery,
    NewMessage,
    Processed,
    Settlement,
)

T0 = 1_790_000_000_000_000
SECOND = 1_000_000
#: Values that may be seen only where somebody asked to see them.
CANARY = "ZZCANARYSON"
LANE = f"patient:MERCY|{CANARY}77"

UNMAPPED = declare("test.unmapped", Severity.FATAL, "a code that the table does not have",
                   "add a row to the code table, then replay")
BUSY = declare("test.busy", Severity.WARNING, "the peer is busy", "nothing to do: it is tried again")
REFUSED = declare("test.refused", Severity.ERROR, "the peer refused the content", "ask the peer's people")


class StubExplainer:
    """Lineage as the mapper would tell it; what matters here is that masking works."""

    def lineage(self, message: Message, raw: bytes, files: Mapping[str, bytes] | None, *,
                reveal: bool) -> Lineage:
        return Lineage(rows=[LineageRow(field="start", value=CANARY if reveal else "‹phi›", source="SCH-11.4",
                                        row="mappings/hl7v2/siu.yaml:20", how="mapped")],
                       unread=["ZAP-3"], note="traced")


class World:
    """A ledger and the answers of a house about it."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger(partitions=4)
        asyncio.run(_fill(self.ledger))

    @asynccontextmanager
    async def desk(self, config: Path) -> AsyncIterator[Ledger]:
        yield self.ledger

    def explainer(self, config: Path) -> StubExplainer:
        return StubExplainer()


def _message(number: int, **changes: object) -> NewMessage:
    base = {"id": f"m{number}", "channel": "mercy", "raw": Phi(f"MSH|^~\\&|{CANARY}\rPID|1".encode()),
            "received_at": T0 + number * SECOND, "control_id": f"C{number}", "message_type": "SIU^S12",
            "sender": "EPIC|MERCY", "lanes": (LANE,), "dedup": bytes([number]), "peer": "127.0.0.1:40000"}
    return NewMessage(**{**base, **changes})  # type: ignore[arg-type]  # the fields are those of NewMessage


def _event(message_id: str) -> Event:
    return Event(
        id=f"{message_id}.0", type="appointment.booked", subject_key=f"appointment:MERCY|{CANARY}9",
        version=Version(at="20261124080000.000000", tie=message_id, basis=Basis.MESSAGE_TIME),
        entity=Appointment(status=AppointmentStatus.BOOKED), source=Source(channel="mercy"),
        message_id=message_id, occurred_at="2026-11-24T08:00:00+00:00", received_at=T0, revision="abc123")


async def _fill(ledger: MemoryLedger) -> None:
    for number in (1, 2, 3):
        await ledger.append(_message(number))
        ledger.note_ack(f"m{number}", "AA", AckOutcome.DELIVERED)
    await ledger.append(_message(4, lanes=("patient:MERCY|other",)))
    messages = {message.id: message for partition in range(4)
                for message in await ledger.received(partition, 0, 10)}
    first, poison = messages["m1"], messages["m2"]
    lease = await ledger.acquire(first.partition, "test", T0, 60)
    assert lease is not None
    deliveries = tuple(
        NewDelivery(id=f"m1.0>{name}", message_seq=first.seq, event_id="m1.0", destination=name, lane=LANE,
                    partition=first.partition, due_at=T0)
        for name in ("fhir", "downstream", "erp"))
    await ledger.commit(lease, [
        Processed(message_seq=first.seq, message_id="m1", state=MessageState.PROCESSED, at=T0 + 5 * SECOND,
                  revision="abc123", events=(_event("m1"),), deliveries=deliveries,
                  decisions=(Decision(id="m1.0:triage", event_id="m1.0", kind="triage", at=T0 + 5 * SECOND,
                                      body={"rules": ["urgent"], "revision": "abc123"}),)),
        Processed(message_seq=poison.seq, message_id="m2", state=MessageState.PARKED, at=T0 + 6 * SECOND,
                  reason=UNMAPPED.name, findings=(finding(UNMAPPED, at="SCH-8.1", field="type",
                                    detail="no row for this code in mercy/visit", hint="see its file"),),
                  revision="abc123"),
    ])
    await ledger.settle(lease, [
        Settlement(delivery_id="m1.0>fhir", state=DeliveryState.PENDING, attempts=1, at=T0 + 7 * SECOND,
                   due_at=T0 + 100 * SECOND, code="429", reason=BUSY.name,
                   attempt=Attempt(delivery_id="m1.0>fhir", number=1, started_at=T0 + 6 * SECOND,
                                   ended_at=T0 + 7 * SECOND, outcome=AttemptOutcome.RETRY, code="429",
                                   finding=finding(BUSY), response=Phi(CANARY.encode()))),
        Settlement(delivery_id="m1.0>downstream", state=DeliveryState.PARKED, attempts=1, at=T0 + 7 * SECOND,
                   code="AE", reason=REFUSED.name, findings=(finding(REFUSED),),
                   attempt=Attempt(delivery_id="m1.0>downstream", number=1, started_at=T0 + 6 * SECOND,
                                   ended_at=T0 + 7 * SECOND, outcome=AttemptOutcome.REJECTED, code="AE",
                                   finding=finding(REFUSED))),
        Settlement(delivery_id="m1.0>erp", state=DeliveryState.DELIVERED, attempts=1, at=T0 + 7 * SECOND,
                   code="201"),
    ])
