"""Canonical to wire."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from canonical.model import (
    Appointment,
    AppointmentStatus,
    CodeableConcept,
    Coding,
    HumanName,
    Identifier,
    Participant,
    ParticipantKind,
    Patient,
    Place,
    Reference,
    Service,
)
from connectors.hl7v2.er7 import Message
from mapper.mapping import WriteContext, Writing
from tests.mapper.house import WRITE, codes, library, message, only, read


def write(
    entity: Appointment, event: str = "appointment.booked", site: str = "", name: str = "hl7v2/visit"
) -> Writing:
    said = msgspec.structs.replace(only(read(message())), entity=entity, type=event)
    return library().mapping(name, site).write(said, WRITE)


def lines(entity: Appointment, event: str = "appointment.booked", site: str = "") -> dict[str, str]:
    """Segments by name; the last of a name wins."""
    writing = write(entity, event, site)
    assert isinstance(writing.wire, Message)
    return {segment.id: segment.text for segment in writing.wire.segments}


def test_what_was_read_is_written_in_the_order_of_the_structure() -> None:
    writing = library().mapping("hl7v2/visit").write(only(read(message())), WRITE)
    assert codes(writing.findings) == []
    assert [segment.id for segment in writing.wire.segments] == [
        "MSH",
        "SCH",
        "TQ1",
        "NTE",
        "NTE",
        "PID",
        "PV1",
        "RGS",
        "AIS",
        "NTE",
        "AIL",
        "AIP",
        "AIP",
    ]


def test_the_event_chooses_the_trigger_and_the_context_fills_the_header() -> None:
    assert lines(Appointment(), "appointment.cancelled")["MSH"] == (
        "MSH|^~\\&|HUB||||20260301120000+0000||SIU^S15^SIU_S12|D-1||2.5.1"
    )


def test_an_event_the_table_has_no_trigger_for_is_not_sent() -> None:
    writing = write(Appointment(), "appointment.fulfilled")
    assert writing.fatal
    assert codes(writing.findings) == ["map.no_trigger"]


def test_a_setting_the_destination_lacks_is_named() -> None:
    said = only(read(message()))
    writing = library().mapping("hl7v2/visit").write(said, WriteContext(identity="D", now=WRITE.now))
    assert codes(writing.findings) == ["map.no_context"]
    assert "sending_application" in writing.findings[0].detail


def test_another_kind_of_entity_is_refused() -> None:
    said = msgspec.structs.replace(only(read(message())), entity=Patient())
    assert codes(library().mapping("hl7v2/visit").write(said, WRITE).findings) == ["map.wrong_entity"]


def test_the_state_may_be_written_instead_of_what_the_event_says() -> None:
    said = msgspec.structs.replace(only(read(message())), entity=Appointment())
    writing = library().mapping("hl7v2/visit").write(said, WRITE, state=Appointment(occurrence=7))
    assert writing.wire.first("SCH").text == "SCH|||7"


def test_clear_is_sent_as_null_and_absent_is_not_sent() -> None:
    """P05 from end to end."""
    found = lines(Appointment(event_reason=None, start=None, comments=None, patient=Patient(names=None)))
    assert found["SCH"] == 'SCH||||||""'
    assert found["TQ1"] == 'TQ1|1||||||""'
    assert found["NTE"] == 'NTE|1||""'
    assert found["PID"] == 'PID|1||||""'


def test_a_cleared_item_is_one_null() -> None:
    cleared = Appointment(identifiers=(Identifier(value=None, assigner=None, system=None, type="PLAC"),))
    assert lines(cleared)["SCH"] == 'SCH|""'


def test_null_of_a_struct_filled_by_parts_clears_all_of_them() -> None:
    assert lines(Appointment(visit=None))["PV1"].count('""') == 2


def test_set_ids_nobody_maps_are_counted_and_mapped_ones_are_kept() -> None:
    services = tuple(
        Service(set_id=number, code=CodeableConcept(coding=(Coding(code="X"),))) for number in ("5", "7")
    )
    writing = write(Appointment(services=services, comments=("a", "b")))
    texts = [segment.text for segment in writing.wire.segments if segment.id in ("NTE", "AIS", "RGS")]
    assert texts == ["NTE|1||a", "NTE|2||b", "RGS|1", "AIS|5||X", "AIS|7||X"]


def test_items_go_to_the_rows_that_select_them() -> None:
    writing = write(
        Appointment(
            participants=(
                Participant(kind=ParticipantKind.LOCATION, place=Place(room="1")),
                Participant(kind=ParticipantKind.PRACTITIONER, who=Reference(identifiers=(Identifier(value="8"),))),
            )
        )
    )
    assert [segment.text for segment in writing.wire.segments[1:]] == ["RGS|1", "AIL|||^1", "AIP|||8"]


def test_text_is_escaped_once() -> None:
    """E08"""
    assert lines(Appointment(comments=("a|b^c&d~e\\f",)))["NTE"] == "NTE|1||a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f"


def test_a_code_is_looked_up_backwards() -> None:
    found = lines(
        Appointment(
            status=AppointmentStatus.NOSHOW,
            type=CodeableConcept(
                coding=(Coding(code="other", role="source"), Coding(code="video", role="translated"))
            ),
        )
    )
    assert found["SCH"] == "SCH||||||||TELE^^HL70277|||||||||||||||||Noshow"


def test_each_site_gets_its_own_code_for_the_same_canonical_one() -> None:
    concept = CodeableConcept(
        coding=(Coding(code="TELE", system="HL70277", role="source"), Coding(code="video", role="translated"))
    )
    assert "VID^^NORTH" in lines(Appointment(type=concept), site="north")["SCH"]


def test_a_status_without_code_is_not_sent_and_that_is_said() -> None:
    writing = write(Appointment(status=AppointmentStatus.WAITLIST))
    assert [(found.code, found.field) for found in writing.findings] == [("map.unmapped", "status")]


def test_a_site_that_leaves_out_offsets_gets_none_back() -> None:
    """T07: only where the zone supplied it."""
    start: Any = "2026-03-10T14:30:00-05:00"
    assert (
        lines(Appointment(start=start, time_basis="America/Chicago"), site="north")["TQ1"]
        == "TQ1|1||||||20260310143000"
    )
    assert lines(Appointment(start=start), site="north")["TQ1"] == "TQ1|1||||||20260310143000-0500"


def test_an_alternative_whose_condition_holds_comes_before_the_last_one() -> None:
    """XTN: mail goes to component 4 where 3 says Internet; else the last, component 1."""
    wire = library().mapping("hl7v2/visit").write(only(read(message())), WRITE).wire
    assert wire.first("PID").field(13) == "+1 330 5550142^PRN^PH~^^Internet^n@x.example"


def test_what_no_row_wrote_is_listed() -> None:
    """Rule 6, on the way out."""
    entity = Appointment(
        priority="R",
        identifiers=(Identifier(value="1", type="FILL"), Identifier(value="2", type="MR")),
        patient=Patient(names=(HumanName(family="A", degree="MD"),)),
    )
    trace = (
        library()
        .mapping("hl7v2/visit")
        .trace_write(msgspec.structs.replace(only(read(message())), entity=entity), WRITE)
    )
    assert set(trace.unwritten) == {
        "priority",
        "identifiers(1).value",
        "identifiers(1).type",
        "patient.names(0).degree",
    }


def test_the_same_arguments_give_the_same_bytes() -> None:
    """Invariant 8"""
    event = only(read(message()))
    mapping = library().mapping("hl7v2/visit")
    assert mapping.write(event, WRITE).wire.emit() == mapping.write(event, WRITE).wire.emit()


# -- JSON ---------------------------------------------------------------------------------------------------


def demand(**fields: Any) -> Writing:
    return write(Appointment(identifiers=(Identifier(value="F1", type="FILL"),), **fields), name="json/demand")


def test_json_numbers_booleans_and_constants_are_what_the_partner_wants() -> None:
    start: Any = "2026-03-10T14:30:00-05:00"
    writing = demand(
        start=start,
        duration=90,
        occurrence=3,
        update_mode=True,
        participants=(
            Participant(kind=ParticipantKind.PRACTITIONER, duration=30),
            Participant(kind=ParticipantKind.PRACTITIONER, role=CodeableConcept(coding=(Coding(code="RN"),))),
        ),
    )
    assert writing.findings == ()
    assert writing.wire == {
        "document": "D-1",
        "kind": "demand",
        "event": "appointment.booked",
        "at": "2026-03-01T12:00:00-05:00",
        "booking": "F1",
        "day": "2026-03-10",
        "hours": 1.5,
        "count": "3",
        "update": True,
        "lines": [{"job": "UNKNOWN", "hours": 0.5}, {"job": "RN"}],
    }


def test_json_null_is_clear_and_a_missing_key_says_nothing() -> None:
    assert demand(duration=None).wire["hours"] is None
    assert "hours" not in demand().wire


def test_a_required_value_that_canonical_lacks_is_not_sent() -> None:
    writing = write(Appointment(), name="json/demand")
    assert writing.fatal
    assert [(found.code, found.field) for found in writing.findings] == [
        ("map.required", "identifiers(type=FILL).value")
    ]


@pytest.mark.parametrize("name", ["json/demand", "fhir/bundle"])
def test_a_table_for_writing_does_not_read(name: str) -> None:
    assert not library().mapping(name).reads
    assert library().mapping(name).writes
