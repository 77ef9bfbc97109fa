"""FHIR: paths by the dictionary, resources both ways, bundles."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fhir.resources.R4B import get_fhir_model_class
from msgspec import UNSET

from canonical.model import (
    Appointment,
    AppointmentStatus,
    HumanName,
    Identifier,
    Participant,
    ParticipantKind,
    Patient,
    Reference,
)
from canonical.paths import PathError
from connectors.fhir.r4 import R4
from connectors.json_format import JsonFormat
from tests.mapper.house import CONTEXT, WRITE, codes, library, message, only, read

VISIT: dict[str, Any] = {
    "resourceType": "Appointment",
    "meta": {"lastUpdated": "2026-03-01T12:00:00Z"},
    "identifier": [{"system": "urn:oid:1.2", "value": "A1", "type": {"coding": [{"code": "FILL"}]}}],
    "status": "booked",
    "start": "2026-03-10T14:30:00-05:00",
    "end": "2026-03-10T15:00:00-05:00",
    "minutesDuration": 30,
    "serviceType": [{"text": "ECG"}, {"coding": [{"code": "93000"}]}],
    "participant": [
        {"actor": {"type": "Patient", "identifier": {"value": "100"}}},
        {"actor": {"type": "Practitioner", "identifier": {"value": "8"}}, "status": "accepted"},
        {"actor": {"type": "Practitioner", "identifier": {"value": "9"}}, "status": "declined"},
    ],
    "extension": [{"url": "http://example.org/substatus", "valueCode": "discontinued"}],
}


@pytest.mark.parametrize("name", sorted(R4))
def test_the_dictionary_is_that_of_fhir(name: str) -> None:
    """Every element with its repetition, against the models of fhir.resources."""
    known = {
        (field.alias or key): str(field.annotation) for key, field in get_fhir_model_class(name).model_fields.items()
    }
    for element, kind in R4[name].items():
        assert element in known, f"{name}.{element}"
        assert kind.endswith("*") == ("List[" in known[element]), f"{name}.{element}"
        bare = kind.removesuffix("*")
        if bare[0].isupper():
            assert f"{bare}Type" in known[element], f"{name}.{element}"
    if name != "Extension":
        own = {
            key
            for key in known
            if not key.startswith("_") and key not in ("fhir_comments", "resourceType", "resource_type")
        }
        assert own == set(R4[name])


def test_a_resource_becomes_an_event() -> None:
    event = only(read(VISIT, "fhir/appointment"))
    entity = event.entity
    assert isinstance(entity, Appointment)
    assert event.type == "appointment.snapshot"
    assert entity.status is AppointmentStatus.BOOKED
    assert entity.substatus == "discontinued"
    assert entity.services is not None
    assert [each.code.text if each.code else None for each in entity.services] == ["ECG", UNSET]
    assert isinstance(entity.patient, Patient)
    assert entity.patient.identifiers == (Identifier(value="100"),)
    assert entity.participants is not None
    assert [(each.who.identifiers if each.who else None) for each in entity.participants] == [
        (Identifier(value="8"),),
        (Identifier(value="9"),),
    ]


def test_a_resource_survives_being_read_and_written() -> None:
    wire = {key: value for key, value in VISIT.items() if key != "meta"}
    entity = only(read(VISIT, "fhir/appointment")).entity
    writing = library().mapping("fhir/appointment").write(entity, WRITE)
    assert writing.wire == wire
    assert writing.attributes == {"method": "PUT", "path": "Appointment?identifier=urn:oid:1.2|A1"}


def test_a_complete_record_clears_what_it_does_not_hold() -> None:
    """`absent: clear`"""
    entity = only(read({"resourceType": "Patient", "identifier": [{"value": "1"}]}, "fhir/patient")).entity
    assert entity == Patient(identifiers=(Identifier(value="1"),), names=None, birth_date=None, deceased=None)


def test_fhir_leaves_out_what_is_cleared() -> None:
    """H22: a full update without the element removes it."""
    wire = (
        library()
        .mapping("fhir/patient")
        .write(Patient(identifiers=(Identifier(value="1"),), birth_date=None), WRITE)
        .wire
    )
    assert wire == {"resourceType": "Patient", "identifier": [{"value": "1"}]}


def test_an_end_is_derived_where_the_target_needs_it() -> None:
    """app-2"""
    start: Any = "2026-03-10T14:30:00-05:00"
    writing = (
        library()
        .mapping("fhir/appointment")
        .write(
            Appointment(
                identifiers=(Identifier(value="A"),), status=AppointmentStatus.BOOKED, start=start, duration=45
            ),
            WRITE,
        )
    )
    assert writing.wire["end"] == "2026-03-10T15:15:00-05:00"


def test_a_resource_nobody_can_address_is_not_sent() -> None:
    writing = library().mapping("fhir/appointment").write(Appointment(status=AppointmentStatus.BOOKED), WRITE)
    assert writing.fatal
    assert codes(writing.findings) == ["map.no_identifier"]


def test_a_bundle_holds_each_resource_once_and_references_meet() -> None:
    """H11, H14, H28"""
    who = Reference(identifiers=(Identifier(value="8", system="urn:oid:1.5"),), name=HumanName(family="Okafor"))
    person = Identifier(value="100", system="urn:oid:1.9")
    entity = Appointment(
        identifiers=(Identifier(value="A1", system="urn:oid:1.2"),),
        status=AppointmentStatus.BOOKED,
        patient=Patient(identifiers=(person, person)),
        participants=(
            Participant(kind=ParticipantKind.PRACTITIONER, who=who),
            Participant(kind=ParticipantKind.PRACTITIONER, who=who),
        ),
    )
    said = msgspec.structs.replace(only(read(message())), entity=entity)
    writing = library().mapping("fhir/bundle").write(said, WRITE)
    assert writing.findings == ()
    entries = writing.wire["entry"]
    assert [entry["resource"]["resourceType"] for entry in entries] == ["Patient", "Practitioner", "Appointment"]
    assert [entry["request"] for entry in entries] == [
        {"method": "PUT", "url": "Patient?identifier=urn:oid:1.9|100"},
        {"method": "POST", "url": "Practitioner", "ifNoneExist": "identifier=urn:oid:1.5|8"},
        {"method": "PUT", "url": "Appointment?identifier=urn:oid:1.2|A1"},
    ]
    patient = next(each for each in entries[2]["resource"]["participant"] if each["actor"].get("type") == "Patient")
    assert patient["actor"]["reference"] == entries[0]["fullUrl"]


def test_an_entry_whose_part_is_absent_is_left_out() -> None:
    entity = Appointment(identifiers=(Identifier(value="A1"),), status=AppointmentStatus.BOOKED)
    said = msgspec.structs.replace(only(read(message())), entity=entity)
    writing = library().mapping("fhir/bundle").write(said, WRITE)
    assert [entry["resource"]["resourceType"] for entry in writing.wire["entry"]] == ["Appointment"]


def test_input_nobody_read_is_listed_with_positions() -> None:
    wire = {**VISIT, "comment": "x", "slot": [{"reference": "Slot/1"}]}
    trace = library().mapping("fhir/appointment").trace(wire, CONTEXT)
    assert set(trace.unread) == {"comment", "slot(0).reference"}


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("identifer.value", "did you mean identifier?"),
        ("participant(0).actor.identifier.vale", "did you mean value?"),
        ("status(0)", "without brackets"),
        ("start.day", ""),
        ("participant(x)", ""),
        ("participant(0", ""),
        ("a b", ""),
    ],
)
def test_a_path_the_dictionary_does_not_know_is_refused_with_a_hint(path: str, hint: str) -> None:
    from connectors.fhir.format import fhir_format

    with pytest.raises(PathError) as caught:
        fhir_format().message("Appointment", {}).path(path)
    assert hint in caught.value.hint


def test_a_path_that_selects_makes_what_it_selects() -> None:
    shape = JsonFormat().message("x", {})
    draft: dict[str, Any] = {}
    shape.path("ids(system=http://x & kind.code=A).value").put(draft, "1")
    shape.path("ids(system=http://x & kind.code=A).use").put(draft, "u")
    shape.path("ids(2).value").put(draft, "3")
    assert draft == {
        "ids": [{"system": "http://x", "kind": {"code": "A"}, "value": "1", "use": "u"}, {}, {"value": "3"}]
    }
