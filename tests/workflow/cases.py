"""Cases for deciders, without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from canonical.entities import AnyEntity
from canonical.event import Event, Source, Version
from canonical.model import Appointment, Identifier
from canonical.task import TaskStatus
from workflow.authorization import needed, request_key
from workflow.case import Answered, Case, Wish
from workflow.decide import decide
from workflow.policy import Policy, RequestRule

KEY = "appointment:EHR|V1"


def at(text: str) -> int:
    """A moment in microseconds."""
    return int(datetime.fromisoformat(text).timestamp() * 1e6)


NOW = at("2026-11-24T08:00:00+00:00")
ALWAYS = RequestRule(name="ask", test=lambda _: True, request="authorization")
POLICY = Policy(requests=(ALWAYS,), automatic=frozenset({"request-eligibility", "request-authorization"}))


def entity(of: type[Any], **fields: Any) -> Any:
    """A canonical value from plain fields."""
    return msgspec.convert({"entity": of.__name__, **fields}, of)


def visit(start: str = "2027-03-10T09:00:00-05:00", **fields: Any) -> Appointment:
    """A booked visit of one service."""
    found: Appointment = entity(Appointment, **{
        "status": "booked", "start": start,
        "identifiers": [{"value": "V1", "type": "FILL", "assigner": "EHR"}],
        "services": [{"code": {"coding": [{"code": "97110"}]}}], **fields})
    return found


def case(of: AnyEntity, related: Mapping[str, AnyEntity] | None = None, *, key: str = KEY, now: int = NOW,
         tasks: Mapping[str, str | Answered] | None = None) -> Case:
    """A case of which the newest event is `of`."""
    event = Event(id="m1.0", type="appointment.booked", subject_key=key, version=Version(at="1", tie="m1"), entity=of,
                  source=Source(channel="ehr"), message_id="m1", occurred_at="2026-11-24T08:00:00+00:00",
                  received_at=NOW, revision="r1", patient_key="patient:M|P1")
    return Case(key=key, entity=of, event=event, patient_key="patient:M|P1", now=now, related=related or {},
                tasks={
                    name: one if isinstance(one, Answered) else Answered(TaskStatus.DONE, one)
                    for name, one in (tasks or {}).items()})


def coverage() -> dict[str, AnyEntity]:
    """What the patient is insured by."""
    from canonical.coverage import Coverage

    return {"coverage:P|W1": entity(Coverage, member_id="W1", payer={"identifiers": [{"value": "P"}]}, order=1)}


def with_authorization(of: AnyEntity, **fields: Any) -> tuple[Case, str]:
    """A case with the authorization that it asked for, as the payer has left it; and its key."""
    from canonical.authorization import Authorization

    asking = case(of, coverage())
    wanted = needed(asking)
    assert wanted is not None
    _, key = request_key(asking, wanted)
    told = msgspec.convert({"entity": "Authorization", "cause": asking.key, **fields}, Authorization)
    return case(of, {**coverage(), key: told}), key


def wish(of: Case, policy: Policy = POLICY) -> Wish:
    """What the deciders say."""
    return decide(of, policy)


def reasons(of: Case, policy: Policy = POLICY) -> list[str]:
    """Reasons of the questions."""
    return [question.reason for question in decide(of, policy).questions]


__all__ = ["KEY", "NOW", "POLICY", "Identifier", "at", "case", "coverage", "entity", "reasons", "visit", "wish",
           "with_authorization"]
