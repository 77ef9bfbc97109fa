"""Peeking: everything a receiver must know, and never an exception."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.hl7v2.peek import peek
from tests.hl7v2.messages import merge, siu


def adt(*segments: str, event: str = "A08") -> bytes:
    """An ADT with these segments."""
    return "\r".join([rf"MSH|^~\&|A|B|||20260310||ADT^{event}|1|P|2.5", *segments, ""]).encode()


def test_the_header_is_read() -> None:
    """What routing and acknowledging need."""
    seen = peek(siu("77", charset="UNICODE UTF-8"))
    assert (seen.message_type, seen.control_id, seen.processing_id, seen.version, seen.charset) == (
        "SIU^S12", "77", "P", "2.5.1", "UNICODE UTF-8")
    assert seen.sender == "CADENCE^1.2.3^ISO|MERCY^4.5.6^ISO"
    assert seen.findings == ()


@pytest.mark.parametrize(("segments", "lanes"), [
    (("PID|1||A^^^H^MR",), ("patient:H|A",)),
    (("PID|1||S^^^SSA^SS~A^^^H^MR",), ("patient:H|A",)),
    (("PID|1||S^^^SSA^SS~A^^^H&1.2&ISO^PI",), ("patient:H|A",)),
    (("PID|1||S^^^SSA^SS~A^^^H^XX",), ("patient:SSA|S",)),
    (('PID|1||~""~A^^^&1.2.3&ISO',), ("patient:1.2.3|A",)),
    (("PID|1|B^^^H|",), ("patient:H|B",)),
    (("PID|1|||C",), ("patient:|C",)),
    (("NTE|1||PID|x", "SCH|P1^X|F1^Y"), ("appointment:Y|F1",)),
    (("SCH|P1^X",), ("appointment:X|P1",)),
    (("PID|1||", "SCH|P1^^1.2.3"), ("appointment:1.2.3|P1",)),
    (("ARQ|P1^X|F1^Y",), ("appointment:Y|F1",)),
    (("PID|1||A^^^H", "MRG|B^^^H"), ("patient:H|A", "patient:H|B")),
    (("PID|1||A^^^H", "MRG||||B"), ("patient:H|A", "patient:|B")),
    (("PID|1||A^^^H", "MRG|B^^^H", "PID|2||C^^^H", "MRG|A^^^H"), ("patient:H|A", "patient:H|C", "patient:H|B")),
    (("PID|1||A^^^H", "PV1|", "PID|2||B^^^H"), ("patient:H|A", "patient:H|B")),
])
def test_lanes_are_the_patients_else_the_appointment(segments: tuple[str, ...], lanes: tuple[str, ...]) -> None:
    """D03: MR or PI first; a merge (and a swap, A17) carries all its patients."""
    assert peek(adt(*segments)).lanes == lanes
    assert peek(adt(*segments).replace(b"\r", b"\n")).lanes == lanes


def test_a_merge_is_of_both_patients() -> None:
    """A40: the surviving one first."""
    assert peek(merge()).lanes == ("patient:MERCY|NEW1", "patient:MERCY|OLD1")


def test_a_message_about_nobody_has_a_lane_of_its_own() -> None:
    """It waits for no other, and no other for it."""
    first, second = peek(adt("EVN|1")), peek(adt("EVN|2"))
    assert first.lanes[0].startswith("message:")
    assert first.lanes != second.lanes
    assert peek(b"").lanes


def test_a_repetition_with_a_new_time_is_the_same_message() -> None:
    """D01: MSH-7 does not count."""
    again = siu().replace(b"20260310081500-0600", b"20260310093000-0600", 1)
    assert peek(siu()).dedup == peek(again).dedup
    assert len(peek(siu()).dedup) == 32


@pytest.mark.parametrize("change", [
    (b"MSG00001", b"MSG00002"), (b"|CADENCE", b"|EPIC"), (b"|MERCY^", b"|OTHER^"), (b"Fasting", b"fasting"),
    (b"|P|2.5.1", b"|T|2.5.1"), (b"S12", b"S13"), (b"|USA|", b"|DEU|")])
def test_anything_else_makes_it_another_message(change: tuple[bytes, bytes]) -> None:
    """D01: same control id with other content is not a duplicate, nor is the same content of another sender."""
    assert peek(siu()).dedup != peek(siu().replace(*change)).dedup


def test_without_control_id_nothing_is_recognised() -> None:
    """D01: empty means never a duplicate."""
    seen = peek(siu(""))
    assert seen.dedup == b""
    assert [finding.code for finding in seen.findings] == ["hl7.no_control_id"]


@pytest.mark.parametrize(("raw", "kind", "control_id"), [
    (b"junk\rjunk\r" + siu("1"), "SIU^S12", "1"),
    (b"\xef\xbb\xbf" + siu("1"), "SIU^S12", "1"),
    (codecs.BOM_UTF16_LE + siu("1").decode().encode("utf-16-le"), "SIU^S12", "1"),
    (b"MSH#!@%*#A#B###20260310##ADT!A08#1#P#2.5\r", "ADT^A08", "1"),
    (b"MSH|^~\\&|A|B|||2026||ACK|1", "ACK", "1"),
    (b"MSH|^~\\&|A|B|||2026|||1|P\r", "", "1"),
    (b"FHS|^~\\&\rBHS|^~\\&\r" + siu("1"), "SIU^S12", "1"),
    (b"MSH|", "", ""), (b"MSH", "", ""), (b"", "", ""), (b"{}", "", "")])
def test_odd_messages(raw: bytes, kind: str, control_id: str) -> None:
    """P01 to P04 at the door."""
    seen = peek(raw)
    assert (seen.message_type, seen.control_id) == (kind, control_id)


def test_what_is_read_can_be_stored_by_any_database() -> None:
    """No lone surrogates, no NUL."""
    seen = peek(siu("\x00é").replace("é".encode(), b"\xe9").replace(b"MRN12345", b"M\xfc\x00"))
    for text in (*seen.lanes, seen.control_id, seen.sender):
        assert "\0" not in text
        text.encode("utf-8")


@given(st.binary(max_size=200),
       st.sampled_from([b"", b"MSH|", b"MSH|^~\\&|", b"MSH\xff\xfe\xfd", b"\xff\xfe", siu()]))
def test_peeking_never_fails(tail: bytes, head: bytes) -> None:
    """Peeking cannot fail on a bad body."""
    seen = peek(head + tail)
    assert seen.lanes
    assert peek(head + tail) == seen
