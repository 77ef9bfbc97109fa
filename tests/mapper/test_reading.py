"""Wire to canonical: the rows of the language, one by one."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from canonical.event import Basis
from canonical.findings import Rejection, Severity
from canonical.model import (
    Action,
    Appointment,
    AppointmentStatus,
    CodeableConcept,
    Coding,
    HumanName,
    Identifier,
    ParticipantKind,
    ParticipationStatus,
    Patient,
)
from mapper.mapping import ReadContext
from tests.mapper.house import BOOKING, CONTEXT, codes, edited, library, message, only, read


def appointment(wire: object, site: str = "") -> Appointment:
    entity = only(read(wire, site=site)).entity
    assert isinstance(entity, Appointment)
    return entity


def patient(found: Appointment) -> Patient:
    assert isinstance(found.patient, Patient)
    return found.patient


def test_a_booking_becomes_an_event_that_says_who_what_and_when() -> None:
    event = only(read(message()))
    assert event.type == "appointment.booked"
    assert event.id == "M1.1"
    assert event.subject_key == "appointment:CLINIC|F1"
    assert event.patient_key == "patient:CLINIC|100"
    assert event.occurred_at == "2026-03-01T12:00:00-05:00"
    assert (event.version.at, event.version.basis) == ("20260301170000.000000", Basis.MESSAGE_TIME)
    assert (
        event.source.system,
        event.source.facility,
        event.source.control_id,
        event.source.message_type,
        event.source.channel,
    ) == ("SCHED", "CLINIC", "C1", "SIU^S12", "ward")
    assert event.revision == library().revision


def test_selectors_put_each_identifier_in_its_place() -> None:
    assert appointment(message()).identifiers == (
        Identifier(value="P1", assigner="WEB", type="PLAC"),
        Identifier(value="F1", assigner="CLINIC", system="urn:oid:1.2.3", type="FILL"),
    )


def test_every_repetition_of_a_field_is_an_item() -> None:
    found = patient(appointment(message()))
    assert [each.value for each in found.identifiers or ()] == ["100", "55"]
    assert found.names == (HumanName(family="Ashby", given=("Nora", "Quill")),)


def test_notes_belong_to_the_level_they_stand_at() -> None:
    """P11 of the guide's mistakes: an NTE under AIS is not one of SCH (P10)."""
    found = appointment(message())
    assert found.comments == ("Bring the list", "Salt & pepper")
    assert found.services is not None
    assert found.services[0].comments == ("Near an outlet",)


def test_each_makes_one_item_an_occurrence_and_the_selector_says_its_kind() -> None:
    found = appointment(message())
    assert found.participants is not None
    assert [(each.kind, each.status) for each in found.participants] == [
        (ParticipantKind.PRACTITIONER, ParticipationStatus.ACCEPTED),
        (ParticipantKind.PRACTITIONER, ParticipationStatus.TENTATIVE),
        (ParticipantKind.LOCATION, UNSET),
    ]
    assert found.services is not None
    assert found.services[0].action is Action.ADD


def test_rows_with_the_same_selector_fill_one_item() -> None:
    contacts = appointment(message()).contacts
    assert contacts is not None
    assert len(contacts) == 1
    assert contacts[0].role == "entered-by"


@pytest.mark.parametrize(
    ("event", "status"), [("S12", ParticipationStatus.TENTATIVE), ("S13", ParticipationStatus.TENTATIVE)]
)
def test_defaults_apply_on_creating_events(event: str, status: ParticipationStatus) -> None:
    """Rule 4, with `creates: yes` on S13."""
    found = appointment(message(event=event))
    assert found.participants is not None
    assert found.participants[1].status is status


def test_defaults_do_not_apply_on_updates() -> None:
    """Rule 4: a default would turn fulfilled back into booked."""
    reading = read(edited("S14", SCH_25=""))
    entity = reading.events[0].entity
    assert isinstance(entity, Appointment)
    assert entity.status is UNSET
    assert entity.participants is not None
    assert entity.participants[1].status is UNSET


def test_an_event_may_set_a_field_and_a_disagreement_is_shown() -> None:
    reading = read(message(event="S15"))
    entity = only(reading).entity
    assert isinstance(entity, Appointment)
    assert entity.status is AppointmentStatus.CANCELLED
    assert codes(reading.findings) == ["map.conflict"]
    assert codes(read(edited("S15", SCH_25="Cancelled")).findings) == []


def test_a_trigger_may_have_several_meanings_told_apart_by_a_condition() -> None:
    assert only(read(message(event="S16"))).type == "appointment.cancelled"
    assert only(read(edited("S16", SCH_3="4"))).type == "appointment.discontinued"


def test_the_subject_may_have_parts_and_absent_ones_are_left_out() -> None:
    assert only(read(edited(SCH_3="4"))).subject_key == "appointment:CLINIC|F1|4"
    assert only(read(edited(SCH_2=""))).subject_key == "appointment:WEB|P1"


def test_a_message_may_yield_several_events() -> None:
    reading = read(message(event="S14"))
    assert [(event.id, event.type, event.subject_key) for event in reading.events] == [
        ("M1.1", "appointment.modified", "appointment:CLINIC|F1"),
        ("M1.2", "patient.updated", "patient:CLINIC|100"),
    ]


def test_an_ignored_trigger_is_neither_event_nor_finding() -> None:
    reading = read(message(event="S25"))
    assert (reading.events, reading.findings) == ((), ())


def test_an_unknown_trigger_parks_the_message_with_the_line_of_the_table() -> None:
    reading = read(message(event="S99"))
    assert reading.fatal
    assert reading.events == ()
    assert reading.findings[0].code == "map.unknown_event"
    assert reading.findings[0].row.startswith("hl7v2/visit.yaml:6:")


# -- presence -----------------------------------------------------------------------------------------------


def test_null_clears_and_nothing_says_nothing() -> None:
    """P05: three things."""
    assert appointment(edited(SCH_6='""')).event_reason is None
    assert appointment(edited(SCH_6="")).event_reason is UNSET
    assert patient(appointment(edited(PID_5='""'))).names is None
    assert patient(appointment(edited(PID_5=""))).names == ()


def test_a_null_identifier_clears_that_one_and_the_others_stay() -> None:
    found = appointment(edited(SCH_1='""')).identifiers
    assert found is not None
    assert found[0] == Identifier(value=None, assigner=None, system=None, type="PLAC")
    assert found[1].value == "F1"


def test_a_null_component_clears_that_part_and_is_flagged() -> None:
    """P06"""
    reading = read(edited(PID_5='Ashby^""'))
    assert codes(reading.findings) == ["map.null_component"]
    entity = only(reading).entity
    assert isinstance(entity, Appointment)
    assert patient(entity).names == (HumanName(family="Ashby", given=None),)
    reading = read(edited(SCH_6='WHY^""'))
    entity = only(reading).entity
    assert isinstance(entity, Appointment)
    assert entity.event_reason == CodeableConcept(coding=(Coding(code="WHY", display=None, role="source"),))


def test_a_row_may_keep_or_refuse_a_null() -> None:
    """`on_null`"""
    assert patient(appointment(edited(PID_8='""'))).sex is UNSET
    reading = read(edited(PV1_10='""'))
    assert codes(reading.findings) == ["map.null_refused"]
    assert reading.findings[0].at == "PV1-10"


# -- facts --------------------------------------------------------------------------------------------------


def test_the_first_place_counts_and_a_disagreement_is_a_finding_with_both_places() -> None:
    """Rule 8"""
    reading = read(edited(TQ1_7="20260310144500-0500", TQ1_8="", SCH_9=""))
    entity = only(reading).entity
    assert isinstance(entity, Appointment)
    assert entity.start == "2026-03-10T14:45:00-05:00"
    assert [(found.code, found.at, found.field) for found in reading.findings] == [
        ("map.conflict", "TQ1-7, SCH-11.4", "start")
    ]


def test_the_same_moment_in_another_offset_is_no_conflict() -> None:
    assert codes(read(edited(TQ1_7="20260310193000+0000")).findings) == []


def test_a_duration_that_is_not_the_distance_from_start_to_end_is_a_conflict() -> None:
    reading = read(edited(SCH_9="45"))
    assert [(found.code, found.field) for found in reading.findings] == [("map.conflict", "duration")]


def test_a_duration_without_unit_is_in_seconds_unless_the_row_names_one() -> None:
    """Spec 3.11"""
    assert appointment(edited(SCH_9="1800", SCH_10="")).duration == 30
    found = appointment(message())
    assert found.services is not None
    assert found.services[0].offset == 15, "AIS-5 without AIS-6, and the row says min"


def test_a_present_anything_is_true_and_nothing_is_not_stated() -> None:
    """M01"""
    assert appointment(message()).update_mode is True
    bare = [line.replace("AIS|1|A|", "AIS|1||").replace("AIP|1|A|", "AIP|1||") for line in BOOKING]
    assert appointment(message(*bare)).update_mode is UNSET


def test_alternatives_are_fallbacks_with_conditions() -> None:
    """XTN: parts, else mail where it is mail, else the text."""
    phones = patient(appointment(message())).telecom
    assert phones is not None
    assert [each.value for each in phones] == ["+1 330 5550142", "n@x.example"]
    plain = patient(appointment(edited(PID_13="330 555^PRN^PH"))).telecom
    assert plain is not None
    assert plain[0].value == "330 555"


def test_what_the_model_has_no_field_for_is_kept_under_its_path() -> None:
    found = appointment(edited(SCH_26="X1^APP\\T\\1"))
    assert found.extensions == {"SCH-26": "X1^APP\\T\\1"}


# -- codes --------------------------------------------------------------------------------------------------


def test_a_concept_keeps_the_code_as_sent_beside_the_translated_one() -> None:
    found = appointment(message()).type
    assert found == CodeableConcept(
        coding=(
            Coding(code="NORMAL", display="Normal", system="HL70277", role="source"),
            Coding(
                code="routine", system="http://example.org/visit-types", display="Routine visit", role="translated"
            ),
        )
    )


def test_an_unmapped_code_passes_parks_or_is_refused_as_the_row_says() -> None:
    passed = appointment(edited(SCH_8="ODD^Odd"))
    assert passed.type == CodeableConcept(coding=(Coding(code="ODD", display="Odd", role="source"),))
    parked = read(edited(SCH_25="Odd"))
    assert parked.fatal
    assert parked.findings[0].code == "map.unmapped"
    assert "vocab/status.yaml" in parked.findings[0].hint
    refused = read(edited(PID_8="Q"))
    assert codes(refused.findings) == ["map.unmapped"]
    assert refused.findings[0].severity is Severity.ERROR
    entity = only(refused).entity
    assert isinstance(entity, Appointment)
    assert patient(entity).sex is UNSET


def test_an_extra_spelling_is_accepted() -> None:
    assert appointment(edited(SCH_25="BOOKED")).status is AppointmentStatus.BOOKED


# -- required -----------------------------------------------------------------------------------------------


def test_a_required_field_that_is_missing_parks_the_message() -> None:
    reading = read(edited(TQ1_7="", SCH_11=""))
    assert reading.fatal
    assert [(found.code, found.at, found.field) for found in reading.findings] == [
        ("map.required", "TQ1-7 | SCH-11.4", "start")
    ]


def test_required_creating_asks_nothing_of_an_update() -> None:
    assert not read(edited("S14", TQ1_7="", SCH_11="")).fatal


def test_a_required_field_that_was_refused_parks_with_the_reason() -> None:
    reading = read(edited(TQ1_7="20260310", SCH_11=""))
    assert [(found.code, found.severity) for found in reading.findings] == [("time.imprecise", Severity.FATAL)]


def test_an_item_without_its_required_part_is_refused_alone() -> None:
    wire = message(*(line.replace("93000^ECG^C4", "") for line in BOOKING))
    reading = read(wire)
    entity = only(reading).entity
    assert isinstance(entity, Appointment)
    assert entity.services == ()
    assert codes(reading.findings) == ["map.required"]
    assert reading.findings[0].severity is Severity.ERROR
    assert entity.participants is not None
    assert len(entity.participants) == 3


def test_when_leaves_out_occurrences_that_do_not_hold() -> None:
    """`when: AIP-3.1 present`"""
    wire = message(*(line.replace("89^Brandt^Jo", "^Brandt^Jo") for line in BOOKING))
    found = appointment(wire).participants
    assert found is not None
    assert [each.kind for each in found] == [ParticipantKind.PRACTITIONER, ParticipantKind.LOCATION]


# -- subject, version ---------------------------------------------------------------------------------------


def test_a_message_about_nothing_is_parked() -> None:
    assert codes(read(edited(SCH_1="", SCH_2="")).findings) == ["map.no_subject"]


def test_without_any_time_the_arrival_orders_the_event_and_that_is_said() -> None:
    """D03"""
    reading = read(edited(MSH_7=""))
    assert codes(reading.findings) == ["map.no_version"]
    event = only(reading)
    assert event.version.basis is Basis.ARRIVAL
    assert event.version.at == "20260202024000.000000"
    assert event.occurred_at == "2026-02-02T02:40:00+00:00"


def test_the_same_message_gives_the_same_events() -> None:
    """Invariant 3"""
    assert read(message()) == read(message())


def test_a_context_may_name_the_revision() -> None:
    reading = (
        library()
        .mapping("hl7v2/visit")
        .read(message(), ReadContext(message_id="M9", channel="c", received_at=1, revision="old"))
    )
    assert reading.events[0].revision == "old"


# -- the shape of messages ----------------------------------------------------------------------------------


def test_delimiters_of_the_sender_make_no_difference() -> None:
    """P01"""
    raw = message().emit().decode()
    table = str.maketrans({"|": "!", "^": "*", "&": "%", "~": "$", "\\": "/"})
    other = raw.translate(table).replace("/T/", "&")  # an ampersand is no delimiter there
    assert read(message(*other.split("\r")[:-1])).events == read(message()).events


def test_text_that_should_have_been_escaped_is_still_text() -> None:
    """A note's stray delimiters are text: TX and FT have no components."""
    wire = message(*(line.replace("Bring the list", "Bring A^B & C") for line in BOOKING))
    assert appointment(wire).comments == ("Bring A^B & C", "Salt & pepper")


def test_a_segment_in_the_wrong_place_is_found_all_the_same() -> None:
    """P10: PV1 at the end."""
    moved = [line for line in BOOKING if not line.startswith("PV1")] + [
        line for line in BOOKING if line.startswith("PV1")
    ]
    found = appointment(message(*moved))
    assert found.visit
    assert found.visit.service == "CAR"


def test_resources_without_their_group_are_resources() -> None:
    found = appointment(message(*(line for line in BOOKING if not line.startswith("RGS"))))
    assert found.services
    assert found.participants
    assert len(found.participants) == 3


def test_what_is_no_message_is_rejected() -> None:
    with pytest.raises(Rejection):
        library().mapping("fhir/appointment").read({"resourceType": "Patient"}, CONTEXT)


def test_no_value_of_the_message_is_in_a_finding() -> None:
    """Invariant 12"""
    canary = "ZEBRACANARY"
    for field in ("SCH_25", "PID_8", "SCH_9", "SCH_10", "TQ1_7", "PID_7", "PID_30", "SCH_3", "SCH_8"):
        for text in (canary, f'{canary}^""'):
            reading = read(edited(**{field: text}))
            assert canary not in " ".join(map(str, reading.findings)), field
