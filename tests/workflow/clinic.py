"""A clinic with a payer: the router's small world, whose messages say canonical things in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from canonical.coverage import EligibilityCheck
from canonical.entities import AnyEntity
from canonical.event import Event, Source, Version
from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Outcome, Peek, Submission
from router import internal
from router.flow_config import DecisionType, Review, TaskHandling, WorkflowRule
from router.site import Channel, Route, Site
from router.translate import Translation
from store.ledger import Ledger
from store.records import Delivery, Message, StoredTask, TaskQuery
from tests.router.world import JsonTranslator, Peer, World, destination, site

AUTOMATIC = {"request-eligibility": DecisionType(automatic=True), "request-authorization": DecisionType(automatic=True)}
CHECKED = WorkflowRule(rule="booked visits are checked", when={"entity": "Appointment", "status": "booked"},
                       request="eligibility", again_s=100)
AUTHORIZED = WorkflowRule(rule="visits need an authorization", when={"entity": "Appointment", "status": "booked"},
                          request="authorization")
MEMBER = {"entity": "Coverage", "member_id": "W123", "order": 1,
          "payer": {"identifiers": [{"value": "PAYER1", "type": "PI"}]}}


def visit(start: str = "2027-03-10T09:00:00-05:00", **more: Any) -> dict[str, Any]:
    """An appointment."""
    return {"entity": "Appointment", "identifiers": [{"value": "V1", "type": "FILL", "assigner": "EHR"}], "start": start,
            **more}


class ClinicTranslator(JsonTranslator):
    """``{"event": TYPE, "subject": KEY, "entity": {…}, "at": N}``"""

    def read(self, message: Message) -> Translation:
        if message.channel in internal.CHANNELS:
            return internal.read(message)
        says = json.loads(message.raw.reveal())
        events = []
        for place, one in enumerate(says if isinstance(says, list) else [says]):
            kind, _, _ = one["event"].partition(".")
            at = f"2026010100000{one['at']}" if "at" in one else internal.stamp(message.received_at)
            events.append(Event(
                id=f"{message.id}.{place}", type=one["event"], subject_key=one.get("subject", f"{kind}:EHR|V1"),
                entity=msgspec.convert(one["entity"], AnyEntity), message_id=message.id,
                version=Version(at=at, tie=message.id), received_at=message.received_at,
                source=Source(channel=message.channel), occurred_at=one.get("occurred", "2026-11-24T08:00:00+00:00"),
                revision="r1", patient_key=one.get("patient", "patient:M|P1" if kind in {
                    "appointment", "coverage", "referral", "patient"} else "")))
        return Translation(events=tuple(events), revision="r1")

    def write(self, delivery: Delivery, event: Event, state: AnyEntity | None) -> Dispatch:
        body = {"event": event.type, "subject": event.subject_key, "entity": msgspec.to_builtins(event.entity),
                "note": "", "id": event.id}
        return Dispatch(identity=delivery.id, body=Phi(json.dumps(body).encode()), content_type="json")


Answer = Callable[[dict[str, Any]], Any]


def says(status: str, **more: Any) -> Answer:
    """A payer that answers a check so."""
    return lambda asked: {"event": "eligibility.answered", "subject": asked["subject"],
                          "entity": {"entity": "EligibilityCheck", "status": "answered", "result": {
                              "status": status, "answered_at": "2026-11-24T08:00:00+00:00", **more}}}


class Payer(Peer):
    """Answers in the response to the request."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Answer | None = None
        self.after = self._after

    def _after(self, body: dict[str, Any]) -> Outcome | None:
        said = self.answer(body) if self.answer is not None else None
        return None if said is None else Delivered(code="200", response=Phi(json.dumps(said).encode()))

    @property
    def questions(self) -> list[str]:
        """Subjects of the requests that had their effect, in order."""
        return [effect["subject"] for effect in self.effects]


def clinic_site(*rules: WorkflowRule, decisions: dict[str, DecisionType] | None = None, **more: Any) -> Site:
    """One EHR, one payer that answers by a channel of its own."""
    return site(
        destinations={"payer": destination(responses="answers", idempotent=True)},
        channels={"ehr": Channel(connector="c", mapping="json/x"), "answers": Channel(connector="c", mapping="json/x")},
        routes=(Route(route="questions to the payer", to=("payer",), when={
            "event": "in (eligibility.requested, authorization.submitted)"}),),
        workflow=rules or (CHECKED,), decisions=AUTOMATIC if decisions is None else decisions,
        tasks={"eligibility": TaskHandling(queue="insurance", priority=5, due_h=1)},
        review=Review(threshold=0.9, fields={"patient.birth_date": 0.97}), **more)


class Clinic(World):
    """A running engine with an EHR that speaks and a payer that answers."""

    def __init__(self, config: Site | None = None, *, ledger: Ledger | None = None, payer: Payer | None = None,
                 owner: str = "test") -> None:
        self.payer = payer or Payer()
        super().__init__(config or clinic_site(), ledger=ledger, peers={"payer": self.payer}, owner=owner)

    def _translator(self) -> ClinicTranslator:
        return ClinicTranslator()

    async def tell(self, event: str, entity: dict[str, Any], *, channel: str = "ehr", lane: str = "patient:M|P1",
                   **more: Any) -> str:
        """One message; its id."""
        raw = json.dumps({"event": event, "entity": entity, **more}).encode()
        receipt = await self.engine.door.accept(Submission(channel=channel, raw=Phi(raw), peek=Peek(lanes=(lane,))))
        return receipt.message_id

    async def insured(self) -> None:
        """The patient has a coverage."""
        await self.tell("coverage.updated", MEMBER, subject="coverage:PAYER1|W123")

    async def booked(self, start: str = "2027-03-10T09:00:00-05:00", **more: Any) -> str:
        """The EHR books a visit for a patient with a coverage."""
        await self.insured()
        return await self.tell("appointment.booked", visit(start, **more))

    async def quiet(self, timeout: float = 20.0) -> None:
        """Wait until nothing is under way and no case is due."""
        import asyncio

        async with asyncio.timeout(timeout):
            before = -1
            while True:
                await self.settled(timeout)
                due = [look for partition in range(self.ledger.partitions)
                       for look in await self.ledger.due_looks(partition, self.clock.now(), 10)]
                # What was under way between the two questions has left a message or a look behind it.
                count = sum((await self.ledger.counts())["messages"].values())
                if not due and count == before:
                    return
                before = -1 if due else count
                self.broker.ring(range(self.ledger.partitions))
                await asyncio.sleep(0.005)

    async def passes(self, seconds: float) -> None:
        """Time passes while something keeps waiting to be sent: wait until no case is due and nothing is decided."""
        import asyncio

        await asyncio.sleep(0.1)
        self.clock.skew += int(seconds * 1_000_000)
        for _ in range(60):
            self.broker.ring(range(self.ledger.partitions))
            await asyncio.sleep(0.01)

    async def later(self, seconds: float) -> None:
        """Time passes."""
        self.clock.skew += int(seconds * 1_000_000)
        await self.quiet()

    async def open_tasks(self) -> list[StoredTask]:
        """What waits for people."""
        return list(await self.ledger.tasks(TaskQuery()))

    async def reasons(self) -> list[str]:
        """Why, in order."""
        return sorted(task.reason for task in await self.open_tasks())

    async def check(self, key: str) -> EligibilityCheck:
        """The state of a check."""
        state = await self.ledger.state_of(key)
        assert state is not None
        assert isinstance(state.entity, EligibilityCheck)
        return state.entity
