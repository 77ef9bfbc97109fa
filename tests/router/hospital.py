"""A hospital that speaks HL7 v2: real messages through the shipped tables and a real engine, to peers that keep all.

Messages are written by a few words: ``siu("S12", "V1", "R1", at=1)``. `at` is the minute of the message and of what it
tells, so that a test can say what is older; the control id follows from the content.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Sequence
from typing import Any

from canonical.event import Event
from canonical.findings import Finding
from canonical.model import Appointment, Patient
from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Outcome, Submission
from connectors.hl7v2.peek import peek
from router.broker_local import LocalBroker
from router.engine import Engine
from router.site import Channel, Destination, Route, Site
from store.ledger import Ledger
from store.memory import MemoryLedger
from store.records import AuditEntry, Message, MessageState, State
from tests.mappings.tables import CONTEXT, library
from tests.router.world import FAST, TestClock
from wiring.assembly import codecs
from wiring.translator import SiteTranslator

TABLES = {"SIU": "hl7v2/siu", "ADT": "hl7v2/adt"}


def _message(kind: str, at: int, *segments: str) -> bytes:
    body = "\r".join(segments) + "\r"
    control = hashlib.sha256(f"{kind}{at}{body}".encode()).hexdigest()[:10]
    time = f"202603{1 + at // 1440:02}{at // 60 % 24:02}{at % 60:02}00+0000"
    return f"MSH|^~\\&|EHR|MERCY|||{time}||{kind}|{control}|P|2.5.1\rEVN||{time}\r{body}".encode()


def pid(number: str, sex: str = "", phone: str = "") -> str:
    return f"PID|||{number}^^^MERCY^MR|||||{sex}|||||{phone}"


def siu(trigger: str, visit: str, patient: str, *, at: int, start: str = "20260420100000+0000",
        end: str = "20260420103000+0000", status: str = "", resources: Sequence[str] = (), **person: str) -> bytes:
    """`resources`: whole segments, AIS, AIL, AIP."""
    times = f"TQ1|1||||||{start}|{end}" if start else ""
    return _message(f"SIU^{trigger}", at, f"SCH||{visit}^MERCY|||||||||||||||||||||||{status}",
                    *([times] if times else ()), pid(patient, **person),
                    *(["RGS|1", *resources] if resources else ()))


def adt(trigger: str, patient: str, *, at: int, **person: str) -> bytes:
    return _message(f"ADT^{trigger}", at, pid(patient, **person))


def merge(survivor: str, *old: str, at: int) -> bytes:
    return _message("ADT^A40^ADT_A39", at, *(segment for one in old for segment in (
        pid(survivor), f"MRG|{one}^^^MERCY^MR")))


def unmerge(one: str, other: str, *, at: int) -> bytes:
    return _message("ADT^A37^ADT_A37", at, pid(one), pid(other))


def aip(set_id: int, who: str, action: str = "", status: str = "") -> str:
    return f"AIP|{set_id}|{action}|{who}^NAME^^^^^^^MERCY|||||||||{status}"


class Sink:
    """Keeps the identities of what it gets."""

    def __init__(self) -> None:
        self.got: list[Dispatch] = []
        self.answer: Outcome = Delivered(code="200")

    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None: ...

    async def send(self, dispatch: Dispatch) -> Outcome:
        if isinstance(self.answer, Delivered):
            self.got.append(dispatch)
        return self.answer

    @property
    def bodies(self) -> list[bytes]:
        return [dispatch.body.reveal() for dispatch in self.got]


class Hospital:
    """A running engine: channel `ehr`, destination `events` (HL7 v2, what was said), `states` (FHIR, what is)."""

    def __init__(self, *, ledger: Ledger | None = None, partitions: int = 4, sweep_s: float = 0.05,
                 delivers: bool = True, **channel: Any) -> None:
        out = {"events": Destination(connector="c", retry=FAST, context=CONTEXT, mapping={
                   "appointment": "hl7v2/siu", "patient": "hl7v2/adt", "slot": "hl7v2/siu_block"}),
               "states": Destination(connector="c", retry=FAST, content="state", idempotent=True, mapping={
                   "appointment": "fhir/scheduling", "patient": "fhir/patient", "slot": "fhir/slot"})}
        self.site = Site(
            site="test", partitions=partitions, destinations=out,
            channels={"ehr": Channel(connector="c", mapping=TABLES, **channel)},
            routes=(Route(route="visits", to=("events", "states"), when={"event": "starts appointment."}),
                    Route(route="people", to=("states",), when={"event": "starts patient."})) if delivers else ())
        self.ledger: Ledger = ledger or MemoryLedger(partitions=partitions, outbox=False)
        self.sinks = {name: Sink() for name in out}
        self.clock = TestClock()
        self.engine = Engine(self.site, "rev", self.ledger, LocalBroker(),
                             SiteTranslator(self.site, library(), codecs()), self.sinks, {}, self.clock, "test",
                             sweep_s=sweep_s, chance=random.Random(7))

    async def __aenter__(self) -> Hospital:
        await self.engine.start({})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.stop(1.0)

    async def accept(self, raw: bytes) -> str:
        """Its id."""
        receipt = await self.engine.door.accept(Submission(channel="ehr", raw=Phi(raw), peek=peek(raw)))
        return receipt.message_id

    async def tell(self, *messages: bytes) -> list[str]:
        """Accept, and wait until everything has settled."""
        ids = [await self.accept(raw) for raw in messages]
        await self.settled()
        return ids

    async def settled(self, timeout: float = 20.0) -> None:
        async with asyncio.timeout(timeout):
            while True:
                counts = await self.ledger.counts()
                if not counts["messages"].get("received", 0) and not sum(
                        n for key, n in counts["deliveries"].items() if key.endswith(("/pending", "/inflight"))):
                    return
                await asyncio.sleep(0.005)

    async def processed(self, timeout: float = 20.0) -> None:
        """Wait until every message is processed, whatever becomes of its deliveries."""
        async with asyncio.timeout(timeout):
            while (await self.ledger.counts())["messages"].get("received", 0):
                await asyncio.sleep(0.005)

    async def state(self, visit: str) -> State:
        found = await self.ledger.state_of(f"appointment:MERCY|{visit}")
        assert found is not None
        return found

    async def visit(self, visit: str) -> Appointment:
        entity = (await self.state(visit)).entity
        assert isinstance(entity, Appointment)
        return entity

    async def person(self, number: str) -> Patient:
        found = await self.ledger.state_of(f"patient:MERCY|{number}")
        assert found is not None
        assert isinstance(found.entity, Patient)
        return found.entity

    async def message(self, message_id: str) -> Message:
        found = await self.ledger.message(message_id)
        assert found is not None
        return found

    async def is_in(self, message_id: str, state: MessageState, timeout: float = 20.0) -> None:
        """Wait until a message is in a state."""
        async with asyncio.timeout(timeout):
            while (await self.message(message_id)).state is not state:
                await asyncio.sleep(0.005)

    async def release(self, message_id: str) -> None:
        """A person lets a parked message go."""
        await self.ledger.requeue_messages([message_id], AuditEntry(at=1, actor="ada", action="test", subject=""))
        await self.is_in(message_id, MessageState.PROCESSED)

    async def findings(self, message_id: str) -> list[str]:
        return [f.code for f in (await self.message(message_id)).findings]

    async def noted(self, message_id: str, code: str) -> Finding:
        (one,) = [f for f in (await self.message(message_id)).findings if f.code == code]
        return one

    async def events(self, *message_ids: str) -> list[Event]:
        return list(await self.ledger.events_of(message_ids))


def numbers(person: Any) -> list[object]:
    """Medical record numbers of a person or of the person of a visit."""
    who = (person.patient or Patient()) if isinstance(person, Appointment) else person
    return [i.value for i in who.identifiers or ()]
