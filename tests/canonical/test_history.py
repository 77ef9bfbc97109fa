"""The rules of scheduling: spec 3.12, D03 to D05, D07, M01 to M05, A4.7."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical import history
from canonical.event import Event, Source, Version
from canonical.findings import Finding
from canonical.model import (
    Action,
    Appointment,
    AppointmentStatus,
    CodeableConcept,
    Coding,
    ContactPoint,
    HumanName,
    Identifier,
    LinkType,
    Participant,
    ParticipantKind,
    Patient,
    PatientLink,
    Place,
    Reference,
    Service,
)
from canonical.presence import ABSENT, CLEAR

S = AppointmentStatus


def event(kind: str, at: int, entity: Any = None, message: str = "", **facts: Any) -> Event:
    message = message or f"M{at:03}"
    return Event(id=f"{message}.0", type=kind, subject_key="appointment:EHR|1",
                 entity=entity or Appointment(**facts),
                 version=Version(at=f"202603{at:02}000000.000000", tie=message),
                 source=Source(channel="c"),
                 occurred_at=f"2026-03-{at:02}T00:00:00+00:00",
                 received_at=at, message_id=message, revision="r")


def told(*events: Event) -> Appointment:
    state = history.fold(events)
    assert isinstance(state, Appointment)
    return state


def doctor(name: str, set_id: str = "1", action: Action | None = None, **facts: Any) -> Participant:
    return Participant(kind=ParticipantKind.PRACTITIONER, set_id=set_id, action=action or ABSENT,
                       who=Reference(identifiers=(Identifier(value=name, assigner="MERCY"),)), **facts)


def doctors(state: Appointment) -> list[object]:
    return [p.who.identifiers[0].value for p in state.participants or () if p.who and p.who.identifiers]


def service(code: str, set_id: str = "1", action: Action | None = None, **facts: Any) -> Service:
    return Service(set_id=set_id, action=action or ABSENT,
                   code=CodeableConcept(coding=(Coding(code=code, system="L"),)), **facts)


# -- presence -----------------------------------------------------------------------------------------------


def test_absent_keeps_and_a_value_replaces_and_clear_is_remembered_as_nothing() -> None:
    state = told(event("appointment.booked", 1, priority="R", modality="video", substatus="x"),
                 event("appointment.modified", 2, priority="S", modality=CLEAR))
    assert (state.priority, state.modality, state.substatus) == ("S", CLEAR, "x")


def test_the_cancellation_that_names_only_the_filler_number_leaves_the_placer_number_alone() -> None:
    placer = Identifier(value="P", type="PLAC")
    state = told(event("appointment.booked", 1, identifiers=(placer, Identifier(value="F", type="FILL"))),
                 event("appointment.cancelled", 2, identifiers=(Identifier(value="F2", type="FILL"),)))
    assert state.identifiers == (placer, Identifier(value="F2", type="FILL"))


def test_a_component_that_is_cleared_leaves_the_other_components() -> None:
    """P06: ``""`` in a component clears that component only."""
    state = told(event("appointment.booked", 1, location=Place(point_of_care="CLINIC", room="12")),
                 event("appointment.modified", 2, location=Place(room=CLEAR)))
    assert state.location == Place(point_of_care="CLINIC", room=CLEAR)


def test_a_field_that_is_valued_anew_keeps_nothing_of_the_old_one() -> None:
    state = told(event("appointment.booked", 1, location=Place(point_of_care="CLINIC", room="12")),
                 event("appointment.modified", 2, location=Place(point_of_care="WARD")))
    assert state.location == Place(point_of_care="WARD")


def test_extensions_are_kept_by_path() -> None:
    state = told(event("appointment.booked", 1, extensions={"ZAP-1": "a", "ZAP-2": "b"}),
                 event("appointment.modified", 2, extensions={"ZAP-2": "c"}))
    assert state.extensions == {"ZAP-1": "a", "ZAP-2": "c"}


# -- status (3.12) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "expected"), [
    ("appointment.cancelled", S.CANCELLED), ("appointment.discontinued", S.CANCELLED),
    ("appointment.deleted", S.ENTERED_IN_ERROR), ("appointment.noshow", S.NOSHOW),
    ("appointment.arrived", S.ARRIVED), ("appointment.checkedin", S.CHECKED_IN),
    ("appointment.fulfilled", S.FULFILLED), ("appointment.modified", S.BOOKED),
    ("appointment.rescheduled", S.BOOKED), ("appointment.resource.added", S.BOOKED),
    ("appointment.resource.deleted", S.BOOKED), ("appointment.patient_updated", S.BOOKED),
    ("appointment.repointed", S.BOOKED),
])
def test_the_event_decides_the_status(kind: str, expected: S) -> None:
    assert told(event("appointment.booked", 1), event(kind, 2)).status == expected


def test_a_cancellation_wins_over_the_status_field_that_still_says_booked() -> None:
    assert told(event("appointment.booked", 1),
                event("appointment.cancelled", 2, status=S.BOOKED)).status == S.CANCELLED


def test_a_modification_takes_the_status_that_is_stated() -> None:
    assert told(event("appointment.booked", 1),
                event("appointment.modified", 2, status=S.CHECKED_IN)).status == S.CHECKED_IN


def test_a_second_booking_of_a_known_appointment_is_a_modification() -> None:
    assert told(event("appointment.booked", 1), event("appointment.arrived", 2),
                event("appointment.booked", 3)).status == S.ARRIVED


def test_a_second_booking_is_flagged_unless_it_books_again() -> None:
    """3.12, S12 for a known id."""
    def flagged(*before: Event) -> list[str]:
        findings: list[Finding] = []
        history.apply(history.fold(before), event("appointment.booked", 9), findings)
        return [f.code for f in findings]

    assert flagged(event("appointment.booked", 1)) == ["history.booked_again"]
    assert flagged() == flagged(event("appointment.held", 1)) == flagged(event("appointment.modified", 1)) == []
    assert flagged(event("appointment.booked", 1), event("appointment.cancelled", 2)) == []


def test_a_broadcast_states_the_status_but_brings_nothing_back_from_the_end() -> None:
    """3.12, S27; D04."""
    assert told(event("appointment.snapshot", 1, status=S.CHECKED_IN)).status == S.CHECKED_IN
    assert told(event("appointment.booked", 1), event("appointment.snapshot", 2)).status == S.BOOKED
    ended = (event("appointment.booked", 1), event("appointment.noshow", 2))
    assert told(*ended, event("appointment.snapshot", 3, status=S.BOOKED)).status == S.NOSHOW


def test_a_series_given_up_in_progress_keeps_what_has_been() -> None:
    """3.12, S16; A2.8: each occurrence is an appointment of its own; the message names them one by one."""
    kept = {S.ARRIVED: "appointment.arrived", S.FULFILLED: "appointment.fulfilled", S.NOSHOW: "appointment.noshow"}
    for status, kind in kept.items():
        state = told(event("appointment.booked", 1, start="2026-03-01T09:00:00Z"), event(kind, 2),
                     event("appointment.discontinued", 5))
        assert (state.status, state.substatus) == (status, ABSENT)


def test_a_hold_becomes_a_booking() -> None:
    assert told(event("appointment.held", 1), event("appointment.booked", 2)).status == S.BOOKED


def test_a_deletion_keeps_the_times_even_if_the_message_clears_them() -> None:
    """3.12, S17: FHIR app-3 demands start and end."""
    state = told(event("appointment.booked", 1, start="2026-03-10T09:00:00Z", end="2026-03-10T10:00:00Z"),
                 event("appointment.deleted", 2, start=CLEAR, end=CLEAR))
    assert (state.start, state.end) == ("2026-03-10T09:00:00Z", "2026-03-10T10:00:00Z")


def test_a_discontinued_series_leaves_past_occurrences_alone() -> None:
    """3.12, S16; A2.8."""
    past = told(event("appointment.booked", 1, start="2026-03-01T09:00:00Z"), event("appointment.arrived", 2),
                event("appointment.discontinued", 3))
    future = told(event("appointment.booked", 1, start="2026-03-20T09:00:00Z"),
                  event("appointment.discontinued", 3))
    assert (past.status, past.substatus) == (S.ARRIVED, ABSENT)
    assert (future.status, future.substatus) == (S.CANCELLED, "discontinued")


def test_a_start_without_offset_is_not_known_to_be_past() -> None:
    assert told(event("appointment.booked", 1, start="2026-03-01T09:00:00"),
                event("appointment.discontinued", 3)).status == S.CANCELLED


# -- terminal states and late messages (D04) -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["appointment.arrived", "appointment.checkedin", "appointment.held",
                                  "appointment.snapshot"])
def test_nothing_but_a_new_booking_undoes_a_terminal_state(kind: str) -> None:
    assert told(event("appointment.booked", 1), event("appointment.cancelled", 2),
                event(kind, 3, status=S.BOOKED if kind.endswith("snapshot") else ABSENT)).status == S.CANCELLED


@pytest.mark.parametrize("kind", ["appointment.booked", "appointment.rescheduled"])
def test_a_newer_booking_books_again_and_forgets_why_it_was_cancelled(kind: str) -> None:
    """A2.3: S15, then a newer S12 or S13."""
    why = CodeableConcept(text="weather")
    state = told(event("appointment.booked", 1), event("appointment.cancelled", 2, event_reason=why),
                 event(kind, 3))
    assert (state.status, state.event_reason) == (S.BOOKED, ABSENT)


def test_a_modification_books_again_only_if_it_says_so() -> None:
    cancelled = (event("appointment.booked", 1), event("appointment.cancelled", 2))
    assert told(*cancelled, event("appointment.modified", 3)).status == S.CANCELLED
    assert told(*cancelled, event("appointment.modified", 3, status=S.PENDING)).status == S.CANCELLED
    assert told(*cancelled, event("appointment.modified", 3, status=S.BOOKED)).status == S.BOOKED


def test_a_late_older_booking_changes_only_what_nobody_said_since() -> None:
    """A2.3: S15, then the older S12 arrives late."""
    state = told(event("appointment.cancelled", 2, priority="S"),
                 event("appointment.booked", 1, priority="R", modality="video"))
    assert (state.status, state.priority, state.modality) == (S.CANCELLED, "S", "video")


def test_a_terminal_state_may_be_corrected_by_another_one() -> None:
    assert told(event("appointment.cancelled", 1), event("appointment.deleted", 2)).status == S.ENTERED_IN_ERROR


# -- unknown appointments (D05) -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["appointment.rescheduled", "appointment.modified", "appointment.cancelled"])
def test_an_unknown_appointment_is_created_from_content_and_flagged(kind: str) -> None:
    findings: list[Finding] = []
    state = history.apply(None, event(kind, 2, priority="R"), findings)
    assert isinstance(state, Appointment)
    assert (state.inferred, state.priority) == (True, "R")
    assert [f.code for f in findings] == ["history.inferred"]


def test_the_booking_that_comes_late_takes_the_flag_away() -> None:
    assert told(event("appointment.modified", 2), event("appointment.booked", 1)).inferred is ABSENT
    assert told(event("appointment.modified", 2), event("appointment.booked", 3)).inferred is ABSENT


# -- resources (M01 to M05) -----------------------------------------------------------------------------------


def test_without_action_codes_the_list_is_complete() -> None:
    """M01, snapshot: resources not listed are removed."""
    state = told(event("appointment.booked", 1, participants=(doctor("a"), doctor("b", "2"))),
                 event("appointment.modified", 2, participants=(doctor("b"),)))
    assert doctors(state) == ["b"]


def test_a_message_without_resources_says_nothing_about_them() -> None:
    assert doctors(told(event("appointment.booked", 1, participants=(doctor("a"),)),
                        event("appointment.cancelled", 2))) == ["a"]


def test_with_action_codes_those_not_listed_stay() -> None:
    """M01, update mode."""
    state = told(event("appointment.booked", 1, participants=(doctor("a"), doctor("b", "2"))),
                 event("appointment.modified", 2, update_mode=True, participants=(
                     doctor("c", "1", Action.ADD), doctor("b", "2", Action.DELETE))))
    assert doctors(state) == ["a", "c"]
    assert all(p.action is ABSENT for p in state.participants or ())
    assert state.update_mode is ABSENT


def test_an_update_may_replace_the_resource_of_a_set_id() -> None:
    state = told(event("appointment.booked", 1, participants=(doctor("a"),)),
                 event("appointment.modified", 2, update_mode=True,
                       participants=(doctor("c", "1", Action.UPDATE),)))
    assert doctors(state) == ["c"]


def test_a_deletion_of_somebody_else_with_the_same_set_id_is_a_warning() -> None:
    """M02."""
    findings: list[Finding] = []
    state = history.apply(history.apply(None, event("appointment.booked", 1, participants=(doctor("a"),))),
                          event("appointment.modified", 2, update_mode=True,
                                participants=(doctor("z", "1", Action.DELETE),)), findings)
    assert isinstance(state, Appointment)
    assert doctors(state) == ["a"]
    assert [f.code for f in findings] == ["history.unknown_resource"]


def test_clear_in_an_update_clears_that_field_only() -> None:
    """M04."""
    state = told(event("appointment.booked", 1, services=(service("MRI", duration=30, filler_status="x"),)),
                 event("appointment.modified", 2, update_mode=True,
                       services=(service("MRI", action=Action.UPDATE, duration=None),)))
    assert state.services == (service("MRI", duration=None, filler_status="x"),)


def test_mixed_codes_are_flagged() -> None:
    """M05."""
    findings: list[Finding] = []
    history.apply(history.apply(None, event("appointment.booked", 1, participants=(doctor("a"),))),
                  event("appointment.modified", 2, update_mode=True,
                        participants=(doctor("a"), doctor("b", "2", Action.ADD))), findings)
    assert [f.code for f in findings] == ["history.mixed_actions"]


@pytest.mark.parametrize(("decision", "expected", "priority"), [
    (ABSENT, ["a", "c"], "new"), (Action.UPDATE, ["a", "c"], "new"), (Action.NO_CHANGE, ["a", "c"], "old"),
    (Action.SNAPSHOT, ["a", "c"], "new")])
def test_what_a_blank_among_codes_means_is_a_decision_of_the_profile(
        decision: Any, expected: list[str], priority: str) -> None:
    """M05: update, no change, or a complete list all the same."""
    state = told(event("appointment.booked", 1, participants=(doctor("a", filler_status="old"), doctor("b", "2"))),
                 event("appointment.modified", 2, update_mode=True, mixed_actions=decision, participants=(
                     doctor("a", filler_status="new"), doctor("c", "3", Action.ADD), doctor("b", "2", Action.DELETE))))
    assert doctors(state) == expected
    assert (state.participants or ())[0].filler_status == priority
    assert state.mixed_actions is ABSENT


def test_a_mixed_list_that_is_complete_all_the_same_removes_what_it_does_not_name() -> None:
    """M05"""
    state = told(event("appointment.booked", 1, participants=(doctor("a"), doctor("b", "2"))),
                 event("appointment.modified", 2, update_mode=True, mixed_actions=Action.SNAPSHOT,
                       participants=(doctor("c", "1", Action.ADD), doctor("a", "2"))))
    assert doctors(state) == ["c", "a"]


def test_a_first_message_with_codes_creates_all_it_names_but_deletions() -> None:
    """M02, D05: what has not changed is news to us."""
    state = told(event("appointment.modified", 2, update_mode=True, participants=(
        doctor("a", "1", Action.NO_CHANGE), doctor("b", "2", Action.DELETE), doctor("c", "3", Action.ADD))))
    assert doctors(state) == ["a", "c"]


def test_an_update_of_an_unknown_resource_is_added_and_flagged() -> None:
    """M02"""
    findings: list[Finding] = []
    state = history.apply(history.apply(None, event("appointment.booked", 1, participants=(doctor("a"),))),
                          event("appointment.modified", 2, update_mode=True,
                                participants=(doctor("z", "9", Action.UPDATE),)), findings)
    assert isinstance(state, Appointment)
    assert doctors(state) == ["a", "z"]
    assert [f.code for f in findings] == ["history.unknown_resource"]


@pytest.mark.parametrize(("kind", "expected"), [("added", ["a", "b"]), ("modified", ["a", "b"]),
                                                ("cancelled", ["a"]), ("deleted", ["a"])])
def test_resource_events_touch_only_the_resources_they_name(kind: str, expected: list[str]) -> None:
    """M03: S18 to S22."""
    state = told(event("appointment.booked", 1, priority="R", participants=(doctor("a"), doctor("b", "2"))),
                 event(f"appointment.resource.{kind}", 2, priority="S", status=S.CANCELLED,
                       participants=(doctor("b", "1"),)))
    assert (doctors(state), state.priority, state.status) == (expected, "R", S.BOOKED)


# -- patients -------------------------------------------------------------------------------------------------


def test_demographics_never_touch_the_appointment() -> None:
    """A4.7: A08 never changes the status; phone ``""`` clears, empty leaves."""
    person = Patient(names=(HumanName(family="Old"),), telecom=(ContactPoint(value="1"),))
    state = told(event("appointment.booked", 1, patient=person), event("appointment.cancelled", 2),
                 event("appointment.patient_updated", 3, status=S.BOOKED, priority="S",
                       patient=Patient(names=(HumanName(family="New"),), telecom=CLEAR)))
    assert (state.status, state.priority) == (S.CANCELLED, ABSENT)
    assert state.patient == Patient(names=(HumanName(family="New"),), telecom=CLEAR)


def test_a_merge_leaves_a_link_once_and_an_unmerge_takes_it_away() -> None:
    """A4.1, A4.5."""
    link = PatientLink(type=LinkType.REPLACES, identifiers=(Identifier(value="OLD", assigner="M"),))
    merged = [event("patient.updated", 1, Patient(sex="female")),
              event("patient.merged", 2, Patient(links=(link,))),
              event("patient.merged", 3, Patient(links=(link,)))]
    state = history.fold(merged)
    assert state == Patient(sex="female", links=(link,))
    assert history.fold([*merged, event("patient.unmerged", 4, Patient(links=(link,)))]) == Patient(
        sex="female", links=())


def person(value: str, *given_up: str, **facts: Any) -> Patient:
    return Patient(identifiers=(Identifier(value=value, assigner="M", type="MR"),), links=tuple(
        PatientLink(type=LinkType.REPLACES, identifiers=(Identifier(value=old, assigner="M", type="MR"),))
        for old in given_up), **facts)


def numbers(state: Appointment) -> list[object]:
    return [i.value for i in (state.patient or Patient()).identifiers or ()]


def test_a_visit_goes_to_the_survivor_and_what_is_said_with_the_old_number_does_not_take_it_back() -> None:
    """A4.1, A4.3: in whatever order they are folded, and whatever the versions."""
    booked, merge = event("appointment.booked", 1, patient=person("OLD", sex="female")), event(
        "appointment.repointed", 2, patient=person("NEW", "OLD"))
    later = event("appointment.modified", 3, patient=person("OLD", sex="male"))
    state = told(booked, merge, later)
    assert (numbers(state), state.patient and state.patient.sex, state.status) == (["NEW"], "male", S.BOOKED)
    # The merge has an older time than the booking: it was recorded before, and told later.
    early = event("appointment.repointed", 1, message="M000", patient=person("NEW", "OLD"))
    state = told(booked, early, later)
    assert (numbers(state), state.status, state.inferred) == (["NEW"], S.BOOKED, ABSENT)


def test_an_unmerge_gives_the_visit_back() -> None:
    """A4.5"""
    back = Patient(identifiers=(Identifier(value="OLD", assigner="M", type="MR"),), links=(
        PatientLink(type=LinkType.SEEALSO, identifiers=(Identifier(value="NEW", assigner="M", type="MR"),)),))
    state = told(event("appointment.booked", 1, patient=person("OLD")),
                 event("appointment.repointed", 2, patient=person("NEW", "OLD")),
                 event("appointment.repointed", 3, patient=back))
    assert numbers(state) == ["OLD"]
    assert state.patient
    assert state.patient.links == ()


def test_a_conflict_is_marked_until_the_visit_moves_or_ends() -> None:
    """A4.2"""
    clash = (Reference(identifiers=(Identifier(value="V2"),)),)
    marked = [event("appointment.booked", 1, start="2026-03-20T09:00:00Z"),
              event("appointment.repointed", 2, patient=person("NEW", "OLD"), conflicts=clash)]
    assert told(*marked, event("appointment.modified", 3, priority="R")).conflicts == clash
    assert told(*marked, event("appointment.rescheduled", 3, start="2026-03-21T09:00:00Z")).conflicts == ()
    assert told(*marked, event("appointment.cancelled", 3)).conflicts == ()


def test_what_an_adt_said_before_the_booking_is_known_gives_way_to_the_booking() -> None:
    """D07"""
    state = told(event("appointment.patient_updated", 1, patient=Patient(sex="male", telecom=(ContactPoint(value="1"),))),
                 event("appointment.modified", 2, patient=person("P", sex="female")))
    assert state.patient
    assert (state.patient.sex, state.patient.telecom) == ("female", (ContactPoint(value="1"),))
    assert (state.status, state.inferred) == (S.BOOKED, True)


def test_an_event_about_something_else_is_refused() -> None:
    with pytest.raises(history.WrongSubject):
        history.apply(Patient(), event("appointment.booked", 1))
    with pytest.raises(history.WrongSubject):
        history.apply(Appointment(), event("patient.updated", 1, Patient()))


# -- convergence (D07) ----------------------------------------------------------------------------------------

KINDS = ["repointed", "patient_updated", "booked", "rescheduled", "modified", "cancelled", "discontinued", "deleted",
         "noshow", "arrived", "fulfilled", "snapshot", "resource.added", "resource.modified", "resource.deleted"]
tri = st.sampled_from([ABSENT, CLEAR, "a", "b"])
resources = st.one_of(st.just(()), st.none(), st.lists(
    st.builds(doctor, st.sampled_from("abc"), st.sampled_from("123"), st.sampled_from([None, *Action])),
    max_size=3).map(tuple))
facts = st.builds(Appointment, priority=tri, modality=tri, status=st.sampled_from([ABSENT, CLEAR, *S]),
                  participants=resources, update_mode=st.sampled_from([ABSENT, True]),
                  mixed_actions=st.sampled_from([ABSENT, Action.SNAPSHOT, Action.NO_CHANGE]),
                  patient=st.sampled_from([ABSENT, person("A"), person("B"), person("B", "A"), person("A", "B")]),
                  conflicts=st.sampled_from([(), (Reference(display="x"),)]),
                  location=st.sampled_from([ABSENT, CLEAR, Place(room="1"), Place(room=CLEAR),
                                            Place(floor="2")]))


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    return [event("appointment." + draw(st.sampled_from(KINDS)), draw(st.integers(1, 6)), draw(facts), f"M{n}")
            for n in range(draw(st.integers(1, 7)))]


@given(histories(), st.data())
def test_any_permutation_and_duplication_of_a_history_ends_in_the_same_state(
        events: list[Event], data: st.DataObject) -> None:
    """D07."""
    again = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=4))]))
    assert history.fold(again) == history.fold(events)


@given(histories())
def test_one_event_at_a_time_in_order_equals_the_fold(events: list[Event]) -> None:
    state = None
    for one in sorted(events, key=history.sort_key):
        state = history.apply(state, one)
    assert state == history.fold(events)


@given(histories())
def test_a_terminal_state_is_left_only_for_another_one_or_by_booking_again(
        events: list[Event]) -> None:
    """D04."""
    state = None
    for one in sorted(events, key=history.sort_key):
        before = state.status if isinstance(state, Appointment) else ABSENT
        state = history.apply(state, one)
        assert isinstance(state, Appointment)
        if one.type in {history.REPOINTED, history.PATIENT_UPDATED}:  # A4.7
            assert state.status == before
        if isinstance(before, S) and before.terminal and state.status is not before:
            assert isinstance(state.status, S)
            assert state.status.terminal or (state.status is S.BOOKED and one.type.split(".")[1] in (
                "booked", "rescheduled", "modified"))
