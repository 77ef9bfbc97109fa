"""The two laws (mapping-language.md): read(write(c)) == c, and write(read(m)) == m for what is not lossy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from canonical.model import (
    Action,
    Appointment,
    AppointmentStatus,
    CodeableConcept,
    Coding,
    Contact,
    ContactPoint,
    HumanName,
    Identifier,
    Participant,
    ParticipantKind,
    ParticipationStatus,
    Patient,
    Place,
    Reference,
    Service,
    Visit,
)
from canonical.phi import Value
from tests.mapper.house import BOOKING, CONTEXT, WRITE, codes, edited, library, message, only, read

# What the table can express: text without the spellings HL7 keeps (`\.br\`), one kind of line break, no `""`.
words = st.text(
    st.characters(codec="utf-8", exclude_characters="\\\x00\r", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda text: text != '""')
plain = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)


def tri(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, cleared, or not stated."""
    return st.one_of(st.just(UNSET), st.none(), values)


def perhaps(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value or not stated."""
    return st.one_of(st.just(UNSET), values)


def stated(value: Value) -> bool:
    """Whether anything is in it (a part of nothing has no place on a wire)."""
    return any(getattr(value, name) not in (UNSET, (), {}) for name in value.__struct_fields__)


moments = st.datetimes(min_value=datetime(1901, 1, 1), max_value=datetime(2199, 1, 1))  # noqa: DTZ001 - zones come later
instants = st.builds(
    lambda moment, offset, size: f"{moment.isoformat(timespec=size)}{offset}",
    moments,
    st.sampled_from(["-05:00", "+00:00", "+05:30"]),
    st.sampled_from(["minutes", "seconds"]),
)
dates = st.one_of(
    moments.map(lambda m: f"{m:%Y}"), moments.map(lambda m: f"{m:%Y-%m}"), moments.map(lambda m: f"{m:%Y-%m-%d}")
)
systems = st.one_of(
    st.builds("urn:oid:1.2.{}".format, st.integers(0, 999)), st.builds("http://x.example/{}".format, plain)
)


def items(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Not stated, or some."""
    return st.lists(values, max_size=3).map(tuple)


codings = st.builds(
    lambda code, display, system: Coding(code=code, display=display, system=system, role="source"),
    words,
    perhaps(words),
    perhaps(words),
)
concepts = st.one_of(
    codings.map(lambda coding: CodeableConcept(coding=(coding,))),
    st.builds(lambda one, code: CodeableConcept(coding=(one, Coding(code=code, role="alternate"))), codings, words),
)
identifiers = st.builds(
    lambda value, assigner, system, type_: Identifier(value=value, assigner=assigner, system=system, type=type_),
    words,
    perhaps(words),
    perhaps(systems),
    perhaps(words),
)
names = st.builds(
    lambda family, given, prefix: HumanName(family=family, given=given, prefix=prefix),
    words,
    st.lists(words, max_size=2).map(tuple),
    perhaps(words),
)
people = st.builds(
    lambda value, family: Reference(identifiers=(Identifier(value=value),), name=HumanName(family=family)),
    words,
    words,
)
phones = st.one_of(
    st.builds(lambda value, use: ContactPoint(value=value, use=use, system="PH"), words, perhaps(words)),
    st.builds(lambda value: ContactPoint(value=value, system="Internet"), words),
)
patients = st.builds(
    Patient,
    identifiers=items(identifiers),
    names=st.one_of(st.none(), items(names)),
    birth_date=tri(dates),
    sex=perhaps(st.sampled_from(["female", "male"])),
    telecom=items(phones),
    deceased=tri(st.booleans()),
).filter(stated)
visits = st.builds(
    lambda service, number: Visit(service=service, identifier=number), perhaps(words), perhaps(identifiers)
).filter(stated)
services = st.builds(
    Service,
    set_id=perhaps(plain),
    action=tri(st.sampled_from(list(Action))),
    code=concepts,
    start=tri(instants),
    offset=tri(st.integers(-999, 999)),
    comments=items(words),
)
clinicians = st.builds(
    lambda **fields: Participant(kind=ParticipantKind.PRACTITIONER, **fields),
    set_id=perhaps(plain),
    action=perhaps(st.sampled_from(list(Action))),
    who=people,
    role=tri(concepts),
    status=st.sampled_from(
        [ParticipationStatus.ACCEPTED, ParticipationStatus.DECLINED, ParticipationStatus.TENTATIVE]
    ),
)
rooms = st.builds(
    lambda set_id, room, unit: Participant(
        kind=ParticipantKind.LOCATION, set_id=set_id, place=Place(room=room, point_of_care=unit)
    ),
    perhaps(plain),
    words,
    perhaps(words),
)


@st.composite
def appointments(draw: st.DrawFn) -> Appointment:
    """Every canonical value the table can express, in the order of its rows."""
    placer = draw(st.lists(identifiers, max_size=1))
    end = draw(tri(instants))
    start: Any = draw(instants)
    return Appointment(
        identifiers=(
            *(msgspec.structs.replace(each, type="PLAC") for each in placer),
            msgspec.structs.replace(draw(identifiers), type="FILL"),
        ),
        occurrence=draw(tri(st.integers(0, 99))),
        event_reason=draw(tri(concepts)),
        start=start,
        end=end,
        duration=UNSET if end else draw(tri(st.integers(0, 9999))),
        status=draw(
            st.sampled_from([AppointmentStatus.BOOKED, AppointmentStatus.CANCELLED, AppointmentStatus.NOSHOW])
        ),
        contacts=draw(st.one_of(st.just(()), people.map(lambda who: (Contact(role="entered-by", who=(who,)),)))),
        comments=draw(st.one_of(st.none(), items(words))),
        patient=draw(perhaps(patients)),
        visit=draw(perhaps(visits)),
        services=draw(items(services)),
        participants=(*draw(items(clinicians)), *draw(items(rooms))),
    )


@given(appointments())
@settings(max_examples=150)
def test_every_canonical_value_the_table_can_express_survives_hl7(value: Appointment) -> None:
    mapping = library().mapping("hl7v2/visit")
    said = msgspec.structs.replace(EVENT, entity=value)
    writing = mapping.write(said, WRITE)
    assert codes(writing.findings) == []
    again = mapping.read(writing.wire, CONTEXT)
    entity = again.events[0].entity
    assert isinstance(entity, Appointment)
    # The action codes of resources are what makes a message an update (M01): derived, not a value of its own.
    assert msgspec.structs.replace(entity, update_mode=UNSET) == value


EVENT = msgspec.structs.replace(only(read(message())), type="appointment.booked")

texts = (
    st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters=" .-"), min_size=1, max_size=10)
    .map(str.strip)
    .filter(bool)
)
FIELDS = {
    "SCH_1": texts.map("{}^WEB".format),
    "SCH_3": st.integers(1, 99).map(str),
    "SCH_6": texts.map("R^{}^L".format),
    "SCH_25": st.sampled_from(["Booked", "Noshow", '""']),
    "PID_5": texts.map("Ashby^{}".format),
    "PID_7": st.sampled_from(["1984", "198405", "19840517", '""', ""]),
    "PID_13": st.sampled_from(["5550142^PRN^PH", "^^Internet^a@b.example", "555^WPN^PH~666^PRN^PH"]),
    "PV1_10": texts,
    "PID_30": st.sampled_from(["Y", "N", ""]),
    "SCH_20": texts.map("77^{}".format),
}
OWN_FORM = tuple(
    line.replace("^PRN^PH^^1^330^5550142", "330 5550142^PRN^PH")
    .replace("|^^30^20260310143000-0500|", "||")
    .replace("AIS|1|A|93000^ECG^C4|20260310143000-0500|15", "AIS|1|A|93000^ECG^C4|20260310143000-0500|15|min")
    .replace("89^Brandt^Jo", "89^Brandt^Jo|||||||||Pending")
    .replace("RGS|1|A", "RGS|1")
    .replace("PV1|1|O|", "PV1|||")
    for line in BOOKING
)


@given(st.fixed_dictionaries({}, optional=FIELDS))
@settings(max_examples=150)
def test_every_message_in_our_own_form_comes_back_byte_for_byte(changes: dict[str, str]) -> None:
    wire = message(*OWN_FORM)
    for place, text in changes.items():
        name, _, number = place.partition("_")
        segment = wire.first(name)
        assert segment is not None
        segment.set(int(number), text)
    mapping = library().mapping("hl7v2/visit")
    reading = mapping.read(wire, CONTEXT)
    assert codes(reading.findings) == []
    again = mapping.write(reading.events[0], WRITE).wire
    strip = [segment.text.rstrip("|") for segment in wire.segments[1:]]
    assert [segment.text.rstrip("|") for segment in again.segments[1:]] == strip


@given(
    st.fixed_dictionaries(
        {},
        optional={
            place: st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x0b\x1c"), max_size=16)
            for place in (
                "SCH_1",
                "SCH_2",
                "SCH_3",
                "SCH_6",
                "SCH_8",
                "SCH_9",
                "SCH_10",
                "SCH_11",
                "SCH_20",
                "SCH_25",
                "TQ1_7",
                "TQ1_8",
                "PID_3",
                "PID_5",
                "PID_7",
                "PID_8",
                "PID_13",
                "PID_30",
                "PV1_10",
                "PV1_19",
                "MSH_7",
                "AIS_2",
                "AIS_3",
                "AIS_5",
                "AIP_3",
                "AIL_3",
                "NTE_3",
            )
        },
    )
)
@settings(max_examples=200)
def test_no_content_makes_the_mapper_stumble_and_a_trace_says_the_same(changes: dict[str, str]) -> None:
    """Rule 10: the traced run reproduces the value, whatever the input."""
    wire = edited(**changes)
    mapping = library().mapping("hl7v2/visit")
    reading = mapping.read(wire, CONTEXT)
    assert mapping.trace(wire, CONTEXT).reading == reading
    for event in reading.events:
        if isinstance(event.entity, Appointment):
            mapping.write(event, WRITE)
