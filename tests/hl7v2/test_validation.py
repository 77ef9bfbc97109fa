"""Validation profiles: what a partner agreed to send, and what follows where a message departs from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Severity
from connectors.hl7v2.er7 import parse
from connectors.hl7v2.validation import Profile, Validator, places

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "hl7v2"
GOOD = ("MSH|^~\\&|EHR|MERCY|HUB|X|20260302080000||SIU^S12^SIU_S12|C1|P|2.5.1\r"
        "SCH|P1|F1||||ROUTINE||||||||||1184^HOLLOWAY||||1184^HOLLOWAY|||||Booked\r"
        "PID|1||MH1^^^MERCY^MR||Ashby^Nora||19800229|F\rRGS|1\rAIS|1||ECG\r")
OFF: Mapping[str, str] = {"required": "off", "cardinality": "off", "structure": "off", "shape": "off", "table": "off"}


def found(text: str, **profile: Any) -> list[tuple[str, str, str]]:
    """Code, place and policy of every problem."""
    made = msgspec.convert({"profile": "p", **profile}, Profile)
    return [(p.finding.code, p.finding.at, p.policy) for p in Validator(made).validate(parse(text.encode()))]


def test_a_message_that_keeps_to_the_standard_has_no_finding() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("SCH|P1|F1||||ROUTINE", "SCH|P1|F1||||", ("profile.required", "SCH-6", "warn")),
    ("MH1^^^MERCY^MR", "", ("profile.required", "PID-3", "warn")),
    ("19800229|F", "29/02/1980|F", ("profile.shape", "PID-7", "warn")),
    ("19800229|F", "19800229~19800301|F", ("profile.cardinality", "PID-7", "warn")),
    ("RGS|1\rAIS|1||ECG\r", "", ("profile.segment", "RESOURCES", "warn")),
    ("SCH|P1", "NTE|1\rTQ1|1\rSCH|P2|F2|||||R|||||||||1^A||||1^A\rSCH|P1", ("profile.cardinality", "SCH", "warn")),
])
def test_departures_from_the_dictionary_are_found_where_they_are(old: str, new: str,
                                                                 expected: tuple[str, str, str]) -> None:
    """Required, cardinality, shape and structure, by hl7apy's dictionary of the version that MSH-12 names."""
    assert old in GOOD
    assert expected in found(GOOD.replace(old, new))


@pytest.mark.parametrize(("fields", "expected"), [
    ({"PID-5.2": {"required": True}}, []),
    ({"PID-5.3": {"required": True, "policy": "park"}}, [("profile.required", "PID-5.3", "park")]),
    ({"PID-5.1": {"length": 4}}, [("profile.length", "PID-5.1", "warn")]),
    ({"SCH-25": {"table": ["Confirmed"], "policy": "fail"}}, [("profile.table", "SCH-25", "fail")]),
    ({"SCH-25": {"table": "HL70278"}}, []),
    ({"PID-8": {"table": ["W", "M"]}}, [("profile.table", "PID-8", "warn")]),
    ({"PID-8": {"used": False}}, [("profile.not_agreed", "PID-8", "warn")]),
    ({"PID-7": {"used": False, "policy": "off"}}, []),
])
def test_the_profiles_own_rows_say_more_than_the_standard(fields: Any, expected: list[tuple[str, str, str]]) -> None:
    assert found(GOOD, fields=fields, standard=OFF) == expected


def test_segments_can_be_demanded_and_limited() -> None:
    rows = {"PV1": {"required": True, "policy": "fail"}, "PID": {"repeats": 1}}
    assert found(GOOD, segments=rows, standard=OFF) == [("profile.segment", "PV1", "fail")]
    twice = GOOD.replace("RGS|1", "PID|2||MH2^^^MERCY^MR||Ashby^Ada\rRGS|1")
    assert ("profile.cardinality", "PID", "warn") in found(twice, segments=rows, standard=OFF)


def test_a_partner_can_be_excused() -> None:
    """P10: real SIU omit RGS; nobody has to read about it for ever."""
    bare = GOOD.replace("RGS|1\rAIS|1||ECG\r", "").replace("MH1^^^MERCY^MR", "")
    assert found(bare, excused=["RESOURCES", "PID-3"]) == []


def test_a_null_is_no_value_where_one_is_required() -> None:
    """P05"""
    assert found(GOOD.replace("MH1^^^MERCY^MR", '""')) == [("profile.required", "PID-3", "warn")]


def test_the_second_segment_of_a_name_is_told_from_the_first() -> None:
    text = GOOD.replace("AIS|1||ECG\r", "AIS|1||ECG\rAIS|2\r")
    assert found(text) == [("profile.required", "AIS(2)-3", "warn")]


def test_parking_and_failing_are_fatal_and_no_finding_holds_a_value() -> None:
    """Invariant 12"""
    made = msgspec.convert({"profile": "p", "fields": {
        "PID-5.1": {"length": 1, "policy": "park"}, "PID-8": {"table": ["X"]}}}, Profile)
    problems = Validator(made).validate(parse(GOOD.encode()))
    assert [p.finding.severity for p in problems] == [Severity.FATAL, Severity.WARNING]
    assert "Ashby" not in "".join(map(str, (p.finding for p in problems)))


def test_only_a_profile_that_refuses_is_asked_before_the_acknowledgement() -> None:
    assert not Validator(Profile(profile="p")).refuses
    for part in ({"standard": {"table": "fail"}}, {"segments": {"PV1": {"policy": "fail"}}},
                 {"fields": {"PID-3": {"policy": "fail"}}}):
        assert Validator(msgspec.convert({"profile": "p", **part}, Profile)).refuses


def test_places_that_no_version_has_are_named() -> None:
    made = msgspec.convert({"profile": "p", "fields": {"PID-3": {}, "PID-99": {}, "ZAP-4": {}, "PV1": {}},
                            "segments": {"PIDD": {}}, "excused": ["NTE", "SCH-77"]}, Profile)
    assert list(places(made)) == [("segments", "PIDD"), ("fields", "PID-99"), ("fields", "PV1"), ("excused", "SCH-77")]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no ../shared/samples")
def test_every_sample_can_be_validated() -> None:
    """Whatever real senders do is a finding, never an exception."""
    validator = Validator(msgspec.convert({"profile": "p", "standard": {"table": "warn"}}, Profile))
    looked, departed = 0, 0
    for folder in ("siu", "srm", "ref", "adt", "orders", "masterfile", "quirks"):
        for path in sorted((SAMPLES / folder).rglob("*.hl7")):
            raw = path.read_bytes()
            if raw.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"MSH"):
                looked += 1
                departed += bool(validator.validate(parse(raw)))
    assert looked > 60
    assert departed > looked / 4, "real messages depart from the standard: a validator that finds nothing is broken"


@given(st.text(st.sampled_from("PIDSCHAE|^~\\&\r\"0189 "), max_size=200))
def test_no_message_breaks_the_validator(body: str) -> None:
    Validator(Profile(profile="p")).validate(parse((GOOD + body).encode()))
