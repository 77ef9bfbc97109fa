"""The published JSON Schemas say what the model says."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from canonical import model, schema
from canonical.event import Event, Source, Version
from canonical.presence import CLEAR

APPOINTMENT = model.Appointment(
    identifiers=(model.Identifier(value="F-1", type="FILL", system="urn:oid:2.999.1"),),
    status=model.AppointmentStatus.BOOKED,
    start=model.Instant("2026-03-10T14:30:00-05:00"),
    location=model.Place(room=CLEAR),
    patient=model.Patient(birth_date=model.Date("1980-02")),
    participants=(model.Participant(kind=model.ParticipantKind.PRACTITIONER),),
)


def validator(name: str) -> jsonschema.Draft202012Validator:
    body: dict[str, Any] = schema.schemas()[f"{name}-{schema.VERSION}.json"]
    jsonschema.Draft202012Validator.check_schema(body)
    return jsonschema.Draft202012Validator(body)


@pytest.mark.parametrize("name", sorted(schema.schemas()))
def test_the_published_schema_is_the_generated_one(name: str) -> None:
    """Run ``python -m canonical.schema`` after a change of the model, and read the difference."""
    published = (schema.PUBLISHED / name).read_text(encoding="utf-8")
    assert published == schema.render(schema.schemas()[name])


def test_no_schema_is_published_that_is_not_generated() -> None:
    assert {path.name for path in schema.PUBLISHED.glob("*.json")} == set(schema.schemas())


def test_a_canonical_value_is_valid_under_its_schema() -> None:
    validator("appointment").validate(json.loads(schema.to_json(APPOINTMENT)))


def test_an_event_carries_its_entity_by_tag() -> None:
    event = Event(
        id="m1.0", type="appointment.booked", subject_key="appointment:a|b",
        version=Version(at="20260310143000.000000", tie="m1"), entity=APPOINTMENT,
        source=Source(channel="ehr"), message_id="m1", occurred_at="2026-03-10T14:30:00-05:00",
        received_at=1, revision="r")
    document = json.loads(schema.to_json(event))
    validator("event").validate(document)
    assert document["entity"]["entity"] == "Appointment"
    assert schema.from_json(schema.to_json(event), Event) == event


def test_null_is_clear_and_a_missing_key_is_absent() -> None:
    """P05: the JSON form is a merge patch."""
    document = json.loads(schema.to_json(APPOINTMENT))
    assert document["location"] == {"room": None}
    assert "end" not in document
    back = schema.from_json(json.dumps(document), model.Appointment)
    assert back.location == model.Place(room=CLEAR)
    assert back.end is msgspec.UNSET


def test_the_same_value_gives_the_same_bytes() -> None:
    one = model.Appointment(extensions={"ZAP-2": "V", "ZAP-1": None})
    two = model.Appointment(extensions={"ZAP-1": None, "ZAP-2": "V"})
    assert schema.to_json(one) == schema.to_json(two)


@pytest.mark.parametrize("wrong", [
    {"entity": "Appointment", "status": "confirmed"},
    {"entity": "Appointment", "start": 5},
    {"entity": "Appointment", "participants": [{"role": {"text": "x"}}]},
    {"entity": "Appointment", "colour": "red"},
    {"entity": "Patient"},
])
def test_what_the_model_refuses_the_schema_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        schema.from_json(json.dumps(wrong), model.Appointment)
    assert list(validator("appointment").iter_errors(wrong))


def test_the_words_beside_the_fields_reach_the_schema() -> None:
    fields = schema.schemas()["appointment-1.json"]["$defs"]["Appointment"]["properties"]
    assert fields["time_basis"]["description"].startswith("IANA zone")
