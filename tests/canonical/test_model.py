"""Laws of the canonical model."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical import model, schema
from canonical.presence import ABSENT, CLEAR

text = st.text(max_size=12)
tri_text = st.one_of(text, st.just(CLEAR), st.just(ABSENT))


def many(items: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.just(CLEAR), st.lists(items, max_size=3).map(tuple))


identifiers = st.builds(model.Identifier, value=tri_text, system=tri_text, type=tri_text)
names = st.builds(model.HumanName, family=tri_text, given=many(text), use=tri_text)
references = st.builds(model.Reference, identifiers=many(identifiers),
                       name=st.one_of(names, st.just(CLEAR), st.just(ABSENT)))
participants = st.builds(
    model.Participant, kind=st.sampled_from(model.ParticipantKind),
    who=st.one_of(references, st.just(CLEAR), st.just(ABSENT)),
    offset=st.one_of(st.integers(-600, 600), st.just(CLEAR), st.just(ABSENT)))
appointments = st.builds(
    model.Appointment, identifiers=many(identifiers), comments=many(text),
    status=st.one_of(st.sampled_from(model.AppointmentStatus), st.just(CLEAR), st.just(ABSENT)),
    participants=many(participants),
    extensions=st.dictionaries(text, st.one_of(text, st.none()), max_size=3))


@given(appointments)
def test_every_appointment_survives_its_json_form(appointment: model.Appointment) -> None:
    """P05: value, cleared and absent all come back."""
    assert schema.from_json(schema.to_json(appointment), model.Appointment) == appointment


@given(appointments)
def test_no_canonical_value_prints_what_it_holds(appointment: model.Appointment) -> None:
    """Invariant 12."""
    assert repr(appointment) == str(appointment) == f"{appointment}" == "Appointment(‹phi›)"


@pytest.mark.parametrize(
    "kind", [model.Patient, model.Appointment, model.Slot, model.Practitioner, model.Location])
def test_an_empty_entity_states_nothing_but_its_type(kind: type[msgspec.Struct]) -> None:
    assert schema.to_json(kind()) == b'{"entity":"%s"}' % kind.__name__.encode()


def test_the_states_that_no_older_message_may_undo() -> None:
    """D04"""
    assert {status.value for status in model.AppointmentStatus if status.terminal} == {
        "cancelled", "noshow", "fulfilled", "entered-in-error"}
