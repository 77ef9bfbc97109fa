"""The closed vocabulary of conditions."""

from __future__ import annotations

from typing import Any

import pytest

from canonical.entities import AnyEntity
from canonical.event import Event, Source, Version
from canonical.model import (
    Appointment,
    AppointmentStatus,
    CodeableConcept,
    Coding,
    Identifier,
    Instant,
    Participant,
    ParticipantKind,
    Patient,
    Place,
)
from canonical.presence import CLEAR
from router.conditions import BadCondition, Facts, compile_all, compile_condition

VISIT = Appointment(
    status=AppointmentStatus.BOOKED, priority="S", modality=CLEAR, duration=30,
    start=Instant("2026-03-10T09:00:00-05:00"),
    type=CodeableConcept(coding=(Coding(code="MRI"), Coding(code="RAD"))), location=Place(point_of_care="ONC"),
    identifiers=(Identifier(value="1", type="PLAC"), Identifier(value="2", type="FILL")),
    participants=(Participant(kind=ParticipantKind.LOCATION), Participant(kind=ParticipantKind.PRACTITIONER)))


def facts(state: AnyEntity = VISIT, scores: dict[str, float | str] | None = None, **about: Any) -> Facts:
    event = Event(id="m.0", type="appointment.booked", subject_key="appointment:E|1", entity=state,
                  version=Version(at="1", tie="m"), message_id="m", received_at=1, revision="r",
                  source=Source(channel="mercy", system="EPIC", message_type="SIU^S12"),
                  occurred_at="2026-03-09T09:00:00-05:00")
    return Facts(event, state, scores or {}, **about)


@pytest.mark.parametrize(("fact", "condition", "expected"), [
    ("event", "appointment.booked", True), ("event", "= appointment.booked", True),
    ("event", "starts appointment.", True), ("event", "in (appointment.cancelled, appointment.booked)", True),
    ("event", "appointment.cancelled", False), ("channel", "in (a, b)", False), ("system", "EPIC", True),
    ("entity", "Appointment", True), ("status", "booked", True), ("status", "in (cancelled, noshow)", False),
    ("modality", "present", False), ("modality", "absent", True), ("substatus", "absent", True),
    ("priority", "present", True), ("type", "RAD", True), ("type", "= CT", False),
    ("location.point_of_care", "in (ONC, RAD)", True), ("location.room", "present", False),
    ("identifiers", "2", True), ("identifiers.type", "FILL", True), ("participants.kind", "practitioner", True),
    ("participants", "present", True), ("services", "present", False), ("duration", "above 29", True),
    ("duration", "below 30", False), ("priority", "above 1", False), ("lead_hours", "above 23", True),
    ("lead_hours", "below 25", True), ("late", "no", True), ("score.risk", "above 0.5", True),
    ("message_type", "SIU^S12", True), ("patient.birth_date", "present", False),
])
def test_conditions_hold_or_not(fact: str, condition: str, expected: bool) -> None:
    assert compile_condition(fact, condition, ["risk"])(facts(scores={"risk": 0.7})) is expected


def test_a_fact_that_the_entity_does_not_have_is_absent() -> None:
    assert compile_condition("status", "absent")(facts(Patient(sex="female")))
    assert not compile_condition("sex", "female")(facts())


def test_an_appointment_without_offset_has_no_lead() -> None:
    assert compile_condition("lead_hours", "absent")(facts(Appointment(start=Instant("2026-03-10T09:00:00"))))


def test_every_line_must_hold_and_no_line_always_holds() -> None:
    yes, no = compile_condition("priority", "S"), compile_condition("priority", "R")
    assert compile_all([])(facts())
    assert compile_all([yes, yes])(facts())
    assert not compile_all([yes, no])(facts())


@pytest.mark.parametrize(("fact", "condition", "about_fact"), [
    ("statsu", "booked", True), ("location.rom", "1", True), ("score.none", "above 1", True),
    ("status.x", "1", True), ("status", "", False), ("status", "in ()", False), ("status", "in a, b", False),
    ("duration", "above many", False),
])
def test_what_cannot_be_tested_is_refused_with_what_could(fact: str, condition: str, about_fact: bool) -> None:
    with pytest.raises(BadCondition) as caught:
        compile_condition(fact, condition)
    assert caught.value.about_fact is about_fact


@pytest.mark.parametrize(("fact", "condition", "right"), [
    ("status", "canceled", "cancelled"), ("status", "in (booked, canceled)", "in (booked, cancelled)"),
    ("status", "= bookd", "= booked"), ("entity", "Apointment", "Appointment"), ("late", "true", "yes"),
    ("participants.kind", "starts pract_", "starts practitioner"),
])
def test_a_value_the_model_rules_out_is_refused_because_its_rule_would_be_silent_for_ever(
        fact: str, condition: str, right: str) -> None:
    with pytest.raises(BadCondition) as caught:
        compile_condition(fact, condition)
    assert right in caught.value.known
    assert not caught.value.about_fact


def test_a_fact_of_a_closed_set_is_no_number() -> None:
    with pytest.raises(BadCondition, match="no number"):
        compile_condition("participants.kind", "above 3")


def test_free_text_may_be_anything_and_the_beginning_of_a_code_will_do() -> None:
    compile_condition("location.room", "in (no such room, 12)")
    compile_condition("status", "in (suspended, active)")  # a location's, which is no appointment's
    compile_condition("participants.kind", "starts pract")
