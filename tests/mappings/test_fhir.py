"""What goes to a FHIR scheduler is valid R4, and the same for the same event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from canonical.event import Event
from canonical.findings import Severity
from canonical.model import Appointment, Slot
from connectors.fhir.validate import validate
from mapper.mapping import ReadContext
from tests.mappings import tables

BOOKINGS = tables.own_messages("siu_*.hl7")


def events(path: Path) -> list[Event]:
    reading = tables.read(path.read_bytes(), "hl7v2/siu", tables.sites_of(path))
    return list(reading.events)


def bundle_of(event: Event) -> dict[str, Any]:
    writing = tables.write(event, "fhir/scheduling", state=tables.state_of(event))
    assert not writing.fatal, [str(each) for each in writing.findings]
    return dict(writing.wire)


def problems(resource: Any) -> list[str]:
    return [str(each) for each in validate(json.dumps(resource).encode()) if each.severity is not Severity.INFO]


def resource_in(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind)


BOOKED = tables.MAPPINGS / "hl7v2" / "samples" / "siu_s12_full.hl7"


@pytest.mark.parametrize("path", BOOKINGS, ids=lambda path: f"{tables.sites_of(path)}-{path.stem}")
def test_every_message_that_can_be_read_becomes_a_valid_resource(path: Path) -> None:
    """H03, H29, app-1 to app-4. An appointment nobody knew before is inferred from its first message, and
    one that R4 has no form for (no status, no-show without times) is not sent."""
    for event in events(path):
        if isinstance(event.entity, Slot):
            writing = tables.write(event, "fhir/slot", state=tables.state_of(event))
            assert problems(writing.wire) == []
            continue
        state = tables.state_of(event)
        assert isinstance(state, Appointment)
        writing = tables.write(event, "fhir/scheduling", state=state)
        if not sendable(state):
            continue
        assert not writing.fatal
        assert problems(writing.wire) == []


def sendable(state: Appointment) -> bool:
    """app-3: only a proposed, cancelled or waiting appointment may do without times; app-2: a start needs an end."""
    if not state.start:
        return state.status in ("proposed", "cancelled", "waitlist")
    return bool(state.status) and bool(state.end or state.duration)


def test_most_messages_are_sent() -> None:
    """So that the test above cannot pass by sending nothing."""
    sent = [path for path in BOOKINGS for event in events(path)
            if isinstance(event.entity, Appointment) and sendable(tables.state_of(event))]  # type: ignore[arg-type]  # a narrower kind than the protocol's
    assert len(sent) >= 45


def test_the_same_event_gives_the_same_bytes() -> None:
    (event,) = events(BOOKED)
    once, again = (json.dumps(bundle_of(event)) for _ in range(2))
    assert once == again


def test_each_entry_is_a_conditional_update_by_identifier() -> None:
    """H11, H14"""
    (event,) = events(BOOKED)
    requests = {entry["resource"]["resourceType"]: entry["request"] for entry in bundle_of(event)["entry"]}
    assert requests["Appointment"] == {
        "method": "PUT", "url": "Appointment?identifier=urn:oid:2.999.10.2|F-5001"}
    assert requests["Patient"]["url"] == "Patient?identifier=urn:oid:2.999.10.1|R100200"
    assert requests["Practitioner"]["method"] == "PUT"


def test_a_person_has_the_same_name_in_every_bundle() -> None:
    """H28: ids come from identifiers, never from names or order."""
    first = bundle_of(events(BOOKED)[0])
    second = bundle_of(events(BOOKED.with_name("siu_s15.hl7"))[0])
    urls = [{entry["resource"]["resourceType"]: entry["fullUrl"] for entry in bundle["entry"]}
            for bundle in (first, second)]
    assert urls[0]["Patient"] == urls[1]["Patient"]
    assert urls[0]["Appointment"] != urls[0]["Patient"]


def test_two_clinicians_are_two_entries_and_two_participants() -> None:
    bundle = bundle_of(events(BOOKED)[0])
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert kinds.count("Practitioner") == 2
    actors = [each["actor"]["type"] for each in resource_in(bundle, "Appointment")["participant"]]
    assert sorted(actors) == ["Device", "Location", "Patient", "Practitioner", "Practitioner"]


def test_every_participant_has_a_status_and_an_actor() -> None:
    """app-1, and participant.status 1..1, which the guide leaves open."""
    for participant in resource_in(bundle_of(events(BOOKED)[0]), "Appointment")["participant"]:
        assert participant["status"] in ("accepted", "declined", "tentative", "needs-action")
        assert participant["actor"]


def test_the_patient_is_named_by_identifier() -> None:
    """H21: a logical reference, to be resolved by whoever holds the patient."""
    actor = next(each["actor"] for each in resource_in(bundle_of(events(BOOKED)[0]), "Appointment")["participant"]
                 if each["actor"]["type"] == "Patient")
    assert actor["identifier"]["system"] == "urn:oid:2.999.10.1"
    assert actor["identifier"]["value"] == "R100200"
    assert actor["display"] == "Ms Nora Quill Ashby"


def test_a_place_has_its_parts_and_a_line_for_people() -> None:
    actor = next(each for each in resource_in(bundle_of(events(BOOKED)[0]), "Appointment")["participant"]
                 if each["actor"]["type"] == "Location")
    assert actor["actor"]["display"] == "RIVERSIDE EAST 2 CARD 201 A"
    place = next(each for each in actor["extension"] if each["url"].endswith("/place"))
    assert {part["url"]: part["valueString"] for part in place["extension"]}["room"] == "201"


def test_minute_precision_becomes_a_legal_instant() -> None:
    """T01, H06: R4 wants seconds."""
    raw = BOOKED.read_bytes().replace(b"20260310143000-0500", b"202603101430-0500")
    (event,) = tables.read(raw, "hl7v2/siu").events
    assert isinstance(event.entity, Appointment)
    assert event.entity.start == "2026-03-10T14:30-05:00"
    assert resource_in(bundle_of(event), "Appointment")["start"] == "2026-03-10T14:30:00-05:00"


def test_an_appointment_comes_back_from_its_resource() -> None:
    """write, then read: what the table can express survives."""
    (event,) = events(BOOKED)
    resource = resource_in(bundle_of(event), "Appointment")
    table = tables.library().mapping("fhir/appointment")
    (back,) = table.read(resource, ReadContext(message_id="m2", channel="t", received_at=1)).events
    one, two = tables.as_json(event.entity), tables.as_json(back.entity)
    assert back.type == "appointment.snapshot"
    for field in ("identifiers", "status", "start", "end", "duration", "occurrence", "comments", "priority",
                  "placer_group", "placer_parent", "filler_parent"):
        assert two[field] == one[field], field
    assert [each["kind"] for each in two["participants"]] != []
    assert {each["kind"]: each.get("place") for each in two["participants"]}["location"] == \
        {each["kind"]: each.get("place") for each in one["participants"]}["location"]


@pytest.mark.parametrize("name", ["adt_a01", "adt_a31_deceased", "adt_a40", "adt_a08_old_phone"])
def test_a_patient_is_valid_r4(name: str) -> None:
    (event,) = tables.read((BOOKED.parent / f"{name}.hl7").read_bytes(), "hl7v2/adt").events
    writing = tables.write(event, "fhir/patient", state=tables.state_of(event))
    assert not writing.fatal
    assert problems(writing.wire) == []


def test_a_merge_leaves_a_link() -> None:
    """A4.9"""
    (event,) = tables.read((BOOKED.parent / "adt_a40.hl7").read_bytes(), "hl7v2/adt").events
    resource = tables.write(event, "fhir/patient", state=tables.state_of(event)).wire
    assert [(link["type"], link["other"]["identifier"]["value"]) for link in resource["link"]] == [
        ("replaces", "R100777")]


@pytest.mark.parametrize("name", ["appointment", "patient", "practitioner", "location", "slot"])
def test_a_resource_comes_back_as_it_was(name: str) -> None:
    """read, then write: every element of our sample resources survives (participants in the order of the table)."""
    raw = json.loads((tables.MAPPINGS / "fhir" / "samples" / f"{name}.json").read_text(encoding="utf-8"))
    assert problems(raw) == []
    table = tables.library().mapping(f"fhir/{name}")
    (event,) = table.read(raw, ReadContext(message_id="m", channel="t", received_at=1)).events
    writing = tables.write(event, f"fhir/{name}")
    assert not writing.fatal
    assert problems(writing.wire) == []
    del raw["meta"]
    assert missing(raw, writing.wire, "") == []


def missing(sent: Any, back: Any, at: str) -> list[str]:
    """What of `sent` is not in `back`; lists are compared without order."""
    if isinstance(sent, dict):
        if not isinstance(back, dict):
            return [at]
        return [lost for key, value in sent.items() for lost in missing(value, back.get(key), f"{at}.{key}")]
    if isinstance(sent, list):
        return [f"{at}({index})" for index, value in enumerate(sent)
                if not any(missing(value, other, at) == [] for other in back or ())]
    return [] if sent == back else [at]
