"""Every codec pair has its law: parse(format(value)) == value (rule 2)."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from canonical.model import HumanName, Identifier, LinkType, Place
from connectors.hl7v2.format import Hl7Format
from connectors.json_format import JsonFormat
from mapper import codecs, model
from mapper.codecs import TextCodec, choose, named
from mapper.model import BOOLEAN, ENUM, INTEGER, STRUCT, TEXT, FieldType
from mapper.times import Notes, Refused

HL7, JSON = Hl7Format(), JsonFormat()
texts = st.text(min_size=1, max_size=40)


def pair(wire_type: str, kind: FieldType, form: Hl7Format | JsonFormat = HL7) -> codecs.Codec:
    codec = choose(wire_type, kind, TextCodec(*form.text(wire_type)))
    assert codec is not None
    assert codec.parse is not None
    assert codec.write is not None
    return codec


def there_and_back(codec: codecs.Codec, value: object) -> object:
    assert codec.parse is not None
    assert codec.write is not None
    return codec.parse(codec.write(value, Notes()), Notes())


@given(texts, st.sampled_from(["ST", "TX", "FT", "IS", "ID"]))
def test_text_survives_hl7(value: str, wire_type: str) -> None:
    """E01 to E08. In FT line breaks of one kind only: a carriage return there is a line break."""
    assume(wire_type != "FT" or "\r" not in value)
    assume(wire_type != "FT" or "\\" not in value)
    assert there_and_back(pair(wire_type, FieldType(TEXT)), value) == value


@given(texts)
def test_text_on_the_wire_holds_no_delimiter(value: str) -> None:
    assume("\\" not in value)
    codec = pair("ST", FieldType(TEXT))
    assert codec.write is not None
    assert not set(codec.write(value, Notes())) & set("|^~&\r\n")


def test_formatting_commands_are_lines_in_ft_and_stay_in_st() -> None:
    """E04"""
    ft, st_ = pair("FT", FieldType(TEXT)), pair("ST", FieldType(TEXT))
    assert ft.parse is not None
    assert st_.parse is not None
    assert st_.write is not None
    assert ft.parse("one\\.br\\two", Notes()) == "one\ntwo"
    assert st_.parse("one\\.br\\two", Notes()) == "one\\.br\\two"
    assert st_.write("one\\.br\\two", Notes()) == "one\\.br\\two", "not escaped again (E08)"


@given(
    st.integers(-(10**15), 10**15),
    st.sampled_from([("NM", HL7), ("SI", HL7), ("ST", HL7), ("integer", JSON), ("string", JSON), ("any", JSON)]),
)
def test_numbers_survive(value: int, where: tuple[str, Hl7Format | JsonFormat]) -> None:
    assert there_and_back(pair(where[0], FieldType(INTEGER), where[1]), value) == value


@pytest.mark.parametrize(("raw", "value"), [("+3", 3), ("007", 7), ("-0012", -12), ("4.00", 4), (" 5 ", 5)])
def test_numbers_with_sign_and_zeros_are_numbers(raw: str, value: int) -> None:
    """T09"""
    codec = pair("NM", FieldType(INTEGER))
    assert codec.parse is not None
    assert codec.parse(raw, Notes()) == value


@pytest.mark.parametrize("raw", ["", "-", "3.5", "1e3", "٣", "x", "9" * 19])
def test_what_is_no_whole_number_is_refused(raw: str) -> None:
    codec = pair("NM", FieldType(INTEGER))
    assert codec.parse is not None
    with pytest.raises(Refused):
        codec.parse(raw, Notes())


def test_a_json_boolean_is_no_number() -> None:
    codec = pair("any", FieldType(INTEGER), JSON)
    assert codec.parse is not None
    with pytest.raises(Refused):
        codec.parse(True, Notes())


@given(st.booleans(), st.sampled_from([("ID", HL7), ("boolean", JSON), ("string", JSON)]))
def test_booleans_survive(value: bool, where: tuple[str, Hl7Format | JsonFormat]) -> None:
    assert there_and_back(pair(where[0], FieldType(BOOLEAN), where[1]), value) is value


@given(st.sampled_from(list(LinkType)))
def test_enums_survive(value: LinkType) -> None:
    codec = pair("code", FieldType(ENUM, enum=LinkType), JSON)
    assert there_and_back(codec, value) is value
    assert codec.parse is not None
    with pytest.raises(Refused):
        codec.parse("no such code", Notes())


@given(texts)
def test_a_uri_survives_as_universal_id_and_kind(value: str) -> None:
    assume(not value.startswith("v2:"))
    assert codecs.uri_of(*codecs.id_of(value)) == value


@pytest.mark.parametrize(
    ("value", "kind", "uri"),
    [
        ("2.16.840", "ISO", "urn:oid:2.16.840"),
        ("2.16.840", "", "urn:oid:2.16.840"),
        ("a-b", "UUID", "urn:uuid:a-b"),
        ("lab.example", "DNS", "dns:lab.example"),
        ("http://x.example/a", "URI", "http://x.example/a"),
        ("X1", "HCD", "v2:HCD:X1"),
    ],
)
def test_universal_ids_become_uris(value: str, kind: str, uri: str) -> None:
    assert codecs.uri_of(value, kind) == uri


systems = st.sampled_from(["", "urn:oid:1.2.3", "http://x.example/a?b=c d", "urn:x:é"])


@given(texts, systems)
def test_a_conditional_reference_survives(value: str, system: str) -> None:
    codec = named("query", "Patient", "string", FieldType(STRUCT, struct=Identifier), TextCodec(*JSON.text("string")))
    assert codec is not None
    identifier = Identifier(value=value, system=system) if system else Identifier(value=value)
    assert there_and_back(codec, identifier) == identifier


def test_the_same_identifier_has_the_same_urn_and_another_has_another() -> None:
    """H28"""
    one = codecs.urn_of("Patient", Identifier(value="1", system="urn:oid:1.2"))
    assert one == codecs.urn_of("Patient", Identifier(value="1", system="urn:oid:1.2", type="MR"))
    assert (
        len(
            {
                one,
                codecs.urn_of("Patient", Identifier(value="1")),
                codecs.urn_of("Person", Identifier(value="1", system="urn:oid:1.2")),
            }
        )
        == 3
    )
    with pytest.raises(Refused):
        codecs.urn_of("Patient", Identifier(system="urn:oid:1.2"))


@given(st.integers(-(10**6), 10**6), st.sampled_from(["number", "string"]))
def test_hours_survive(minutes: int, wire_type: str) -> None:
    codec = named("hours", "", wire_type, FieldType(INTEGER), TextCodec(*JSON.text(wire_type)))
    assert codec is not None
    assert there_and_back(codec, minutes) == minutes


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("date", "2026-03-10T14:30:00-05:00", "2026-03-10"),
        ("time", "2026-03-10T14:30:00-05:00", "14:30:00"),
        ("local", "2026-03-10T14:30:00-05:00", "2026-03-10T14:30:00"),
        ("local", "2026-03-10", "2026-03-10"),
    ],
)
def test_parts_of_a_time_are_those_of_the_senders_clock(name: str, value: str, expected: str) -> None:
    codec = named(name, "", "any", FieldType(model.DATE), TextCodec(*JSON.text("any")))
    assert codec is not None
    assert codec.parse is None
    assert codec.write is not None
    assert codec.write(value, Notes()) == expected


def test_names_and_places_are_joined_for_people() -> None:
    text = TextCodec(*JSON.text("any"))
    name = named("joined", "", "any", FieldType(STRUCT, struct=HumanName), text)
    place = named("joined", "", "any", FieldType(STRUCT, struct=Place), text)
    assert name is not None
    assert name.write is not None
    assert place is not None
    assert place.write is not None
    assert (
        name.write(HumanName(prefix="Dr", given=("Ada", "B"), family="Okafor", suffix=None), Notes())
        == "Dr Ada B Okafor"
    )
    assert place.write(Place(facility="MERCY", room="12", point_of_care="CARD"), Notes()) == "MERCY CARD 12"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2026-03-10T14:30:00-05:00", "2026-03-10T19:30:00+00:00", True),
        ("2026-03-10T14:30-05:00", "2026-03-10T14:30:20-05:00", True),
        ("2026-03-10T14:30:00-05:00", "2026-03-10T14:30:01-05:00", False),
        ("1980", "1980-02-29", True),
        ("1980", "1981", False),
    ],
)
def test_times_are_compared_as_moments_at_the_precision_both_have(one: str, other: str, same: bool) -> None:
    assert codecs.same_instant(one, other) is same


def test_ends_are_found_in_the_offset_of_the_start() -> None:
    assert codecs.shifted("2026-03-10T23:50-05:00", 20) == "2026-03-11T00:10-05:00"
    assert codecs.shifted("2026-03-10T23:50:00-05:00", 20) == "2026-03-11T00:10:00-05:00"
    assert codecs.shifted("2026-03-10", 20) is None
    assert codecs.minutes_between("2026-03-10T14:30-05:00", "2026-03-10T20:00+00:00") == 30
    assert codecs.minutes_between("2026-03-10T14:30:00-05:00", "2026-03-10T14:30:30-05:00") is None
