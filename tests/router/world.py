"""A small world for the router's tests: a format, a translator, peers and a site, all real, all tiny.

A message of this world is JSON: ``{"type": "booked", "visit": "V1", "at": 3, "note": "x"}``.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Self

from canonical.entities import AnyEntity
from canonical.event import Event, Source, Version
from canonical.findings import Rejection, Severity, declare, finding
from canonical.model import Appointment, Identifier, LinkType, Patient, PatientLink
from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Outcome, Peek, Submission
from router.broker import Broker
from router.broker_local import LocalBroker
from router.engine import Engine
from router.retry import Policy
from router.scoring import Scorer
from router.site import Channel, Destination, Route, Site
from router.translate import Translation
from store.ledger import Ledger
from store.opening import open_ledger
from store.records import Delivery, Message

BROKEN = declare("test.broken", Severity.FATAL, "The message is broken on purpose.", "Mend the test.")

FAST = Policy(first_s=0.01, max_s=0.02, probe_s=0.02, jitter=0.0)


class TestClock:
    """Real time, in microseconds; a test may jump."""

    __test__ = False

    def __init__(self) -> None:
        self.skew = 0

    def now(self) -> int:
        import time
        return time.time_ns() // 1000 + self.skew

    def monotonic(self) -> float:
        import time
        return time.monotonic()


def submission(channel: str = "ehr", *, lanes: tuple[str, ...] = (), control: str = "", dedup: bytes = b"",
               message_type: str = "SIU^S12", processing_id: str = "P", **says: Any) -> Submission:
    says.setdefault("type", "booked")
    says.setdefault("visit", "V1")
    lanes = lanes or (f"patient:M|{says.get('patient', says['visit'])}",)
    return Submission(channel=channel, raw=Phi(json.dumps(says).encode()), peek=Peek(
        message_type=message_type, control_id=control, lanes=lanes, dedup=dedup, processing_id=processing_id))


class JsonTranslator:
    """Reads and writes the JSON of this world; knows a poison and a crash."""

    def __init__(self) -> None:
        self.fixed: set[str] = set()
        """Poisons that a mended mapping can read."""
        self.unwritable: set[str] = set()

    def read(self, message: Message) -> Translation:
        says = json.loads(message.raw.reveal())
        poison = says.get("poison", "")
        if poison == "crash":
            raise KeyError("value from the message")
        if poison and poison not in self.fixed:
            raise Rejection(finding(BROKEN, at="poison"))
        kind = says["type"]
        if kind == "ignored":
            return Translation(revision="r1")
        at = int(says.get("at", 0)) or message.seq
        entity: AnyEntity
        if kind == "merged":
            entity = Patient(links=(PatientLink(type=LinkType.REPLACES, identifiers=(
                Identifier(value=says["old"], assigner="M", type="MR"),)),))
            type_, subject = "patient.merged", f"patient:M|{says['patient']}"
        else:
            entity = Appointment(
                identifiers=(Identifier(value=says["visit"], type="FILL"),), comments=(says.get("note", ""),),
                **{name: says[name] for name in ("start", "priority", "modality") if name in says})
            type_, subject = f"appointment.{kind}", f"appointment:EHR|{says['visit']}"
        event = Event(
            id=f"{message.id}.0", type=type_, subject_key=subject, entity=entity, message_id=message.id,
            version=Version(at=f"{at:021}", tie=message.id), received_at=message.received_at,
            source=Source(channel=message.channel, message_type=message.message_type),
            occurred_at=says.get("occurred", "2026-03-01T08:00:00+00:00"), revision="r1",
            patient_key=f"patient:M|{says['patient']}" if "patient" in says else "")
        return Translation(events=(event,), revision="r1")

    def write(self, delivery: Delivery, event: Event, state: AnyEntity | None) -> Dispatch:
        entity = state or event.entity
        note = (entity.comments or ("",))[0] if isinstance(entity, Appointment) else ""
        if note in self.unwritable:
            raise Rejection(finding(BROKEN, field="comments"))
        status = entity.status.value if isinstance(entity, Appointment) and entity.status else ""
        body = {"event": event.id, "type": event.type, "subject": event.subject_key, "note": note,
                "status": status}
        return Dispatch(identity=delivery.id, body=Phi(json.dumps(body).encode()), content_type="json")


class Peer:
    """A destination that keeps what it gets; scripted to misbehave.

    `script` is asked before a dispatch has its effect, `after` when it has had it.
    """

    def __init__(self) -> None:
        self.effects: list[dict[str, Any]] = []
        self.identities: list[str] = []
        self.bodies: list[tuple[str, bytes]] = []
        self.script: Callable[[dict[str, Any]], Outcome | None] = lambda _: None
        self.after: Callable[[dict[str, Any]], Outcome | None] = lambda _: None
        self.gate: asyncio.Event | None = None
        self.under_way = 0
        self.most_under_way = 0

    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None: ...

    async def send(self, dispatch: Dispatch) -> Outcome:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
            else:
                await asyncio.sleep(0)
            body = json.loads(dispatch.body.reveal())
            self.bodies.append((dispatch.identity, dispatch.body.reveal()))
            if (outcome := self.script(body)) is not None:
                return outcome
            if dispatch.identity not in self.identities:
                self.identities.append(dispatch.identity)
                self.effects.append(body)
            return self.after(body) or Delivered(code="200")
        finally:
            self.under_way -= 1

    def notes(self, subject: str = "") -> list[str]:
        """Notes of the effects, in order; of one visit where given."""
        return [e["note"] for e in self.effects if not subject or e["subject"] == f"appointment:EHR|{subject}"]


def site(*, destinations: Mapping[str, Destination] | None = None, routes: tuple[Route, ...] | None = None,
         channels: Mapping[str, Channel] | None = None, partitions: int = 4, **more: Any) -> Site:
    """One channel, one destination, everything goes there."""
    outs = dict(destinations or {"sink": destination()})
    return Site(site="test", partitions=partitions, destinations=outs,
                channels=dict(channels or {"ehr": Channel(connector="c", mapping="json/x")}),
                routes=routes if routes is not None else (Route(route="all", to=tuple(outs)),), **more)


def destination(**settings: Any) -> Destination:
    settings.setdefault("retry", FAST)
    settings.setdefault("max_in_flight", 8)
    return Destination(connector="c", mapping="json/x", **settings)


class World:
    """A running engine with its peers."""

    def __init__(self, config: Site | None = None, *, ledger: Ledger | None = None,
                 broker: Broker | None = None, scorers: Mapping[str, Scorer] | None = None,
                 peers: Mapping[str, Peer] | None = None, owner: str = "test") -> None:
        self.site = config or site()
        self.ledger: Ledger = ledger or open_ledger("memory:", partitions=self.site.partitions,
                                                        outbox=False)
        self.translator = self._translator()
        self.clock = TestClock()
        self.peers = dict(peers or {name: Peer() for name in self.site.destinations})
        self.broker = broker or LocalBroker()
        self.engine = Engine(self.site, "rev", self.ledger, self.broker, self.translator, self.peers,
                             scorers or {}, self.clock, owner, sweep_s=0.05, chance=random.Random(7))

    def _translator(self) -> JsonTranslator:
        return JsonTranslator()

    @property
    def peer(self) -> Peer:
        return next(iter(self.peers.values()))

    async def __aenter__(self) -> Self:
        await self.engine.start({})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.stop(1.0)

    async def say(self, **says: Any) -> str:
        """Accept one message; its id."""
        return (await self.engine.door.accept(submission(**says))).message_id

    async def until(self, condition: Callable[[], bool], timeout: float = 20.0) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(timeout):
            while not condition():
                await asyncio.sleep(0.005)

    async def settled(self, timeout: float = 20.0) -> None:
        """Wait until nothing is received, pending or in flight any more."""
        async with asyncio.timeout(timeout):
            while True:
                counts = await self.ledger.counts()
                waiting = counts["messages"].get("received", 0) + sum(
                    n for key, n in counts["deliveries"].items() if key.endswith(("/pending", "/inflight")))
                if not waiting:
                    return
                await asyncio.sleep(0.005)
