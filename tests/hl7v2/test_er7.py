"""The codec: every byte survives, every field is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Rejection
from connectors.hl7v2.delimiters import Delimiters, delimiters_of
from connectors.hl7v2.er7 import NULL, Message, components, is_truncated, parse, repetitions, subcomponents
from tests.hl7v2.messages import siu

HEAD = rb"MSH|^~\&|APP|FAC|||20260310||ADT^A08|1|P|2.5"


def codes(message: Message) -> list[str]:
    return [finding.code for finding in message.findings]


def test_fields_are_numbered_as_the_standard_numbers_them() -> None:
    """P01: MSH-1 is the separator itself."""
    message = parse(siu("77"))
    header, patient = message.segments[0], message.first("PID")
    assert patient is not None
    assert [header.field(n) for n in (1, 2, 9, 10)] == ["|", "^~\\&", "SIU^S12^SIU_S12", "77"]
    assert patient.field(8) == "F"
    assert patient.field(99) == ""
    assert len(patient) == 16


@pytest.mark.parametrize(("encoding", "escape", "subcomponent", "truncation", "sound"), [
    ("^~\\&", "\\", "&", "", True),
    ("^~\\&#", "\\", "&", "#", True),
    ("^~&", "", "&", "", True),
    ("^", "", "", "", True),
    ("!@%*", "%", "*", "", True),
    ("^\\&", "\\", "&", "", False),
    ("^~\\\\&", "\\", "&", "", False),
    ("", "\\", "&", "", False),
    ("ABC", "\\", "&", "", False),
    ("^&&^##", "", "#", "", False),
    ("^~\\&#!", "\\", "&", "#", False),
])
def test_delimiters_are_read_from_the_header(encoding: str, escape: str, subcomponent: str, truncation: str,
                                             sound: bool) -> None:
    """P01: one to five characters; ``^~&`` has no escape character; what is wrong is repaired and reported."""
    found, well_formed = delimiters_of("|", encoding)
    assert (found.escape, found.subcomponent, found.truncation) == (escape, subcomponent, truncation)
    assert well_formed is sound
    raw = b"MSH|" + encoding.encode() + b"|APP||||20260310||ADT^A08|1|P|2.5\rPID|1\r"
    message = parse(raw)
    assert message.emit() == raw
    assert ("hl7.encoding_characters" in codes(message)) is not sound


def test_custom_delimiters_reach_every_segment() -> None:
    """P01: never assume. P07: repetitions, components, subcomponents in their order."""
    message = parse(b"MSH#!@%*#APP#FAC###20260310##ADT!A08#1#P#2.5\rPID#1##A!!!H*1@B\r")
    patient = message.first("PID")
    assert patient is not None
    first, second = repetitions(patient.field(3), message.delimiters)
    assert components(first, message.delimiters) == ["A", "", "", "H*1"]
    assert subcomponents("H*1", message.delimiters) == ["H", "1"]
    assert second == "B"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_all_line_ends_are_read_and_kept(end: bytes) -> None:
    """P02"""
    raw = HEAD + end + b"PID|1||A" + end + b"PV1|1|O" + end
    message = parse(raw)
    assert [segment.id for segment in message.segments] == ["MSH", "PID", "PV1"]
    assert message.emit() == raw
    assert codes(message) == ([] if end == b"\r" else ["hl7.line_ends"])


def test_a_line_feed_inside_a_field_is_content_where_segments_end_with_cr() -> None:
    """P02: a comment over several lines stays one field; the odd line end before a segment is none."""
    raw = HEAD + b"\rNTE|1||first\nsecond|x\nPID|1||A\r"
    message = parse(raw)
    assert [segment.id for segment in message.segments] == ["MSH", "NTE", "PID"]
    assert message.segments[1].field(3) == "first\nsecond"
    assert message.emit() == raw
    assert "hl7.line_break_in_field" in codes(message)


@pytest.mark.parametrize("raw", [
    HEAD + b"\rPID|1",
    HEAD + b"\r\r\rPID|1\r\r",
    HEAD + b"\r  \rPID|1\r \t\n",
    b"\n\n  " + HEAD + b"\rPID|1\r",
    b"\x0b" + HEAD + b"\rPID|1\r\x1c",
    b"\xef\xbb\xbf" + HEAD + b"\rPID|1\r",
    HEAD + b"\r PID|1\r",
    HEAD + b"\rPID\rPV1\r",
    HEAD + b"||||||" + b"\rPID||||\r",
])
def test_blank_lines_marks_and_missing_ends_are_kept_and_not_read(raw: bytes) -> None:
    """P03: no segment is lost and none invented."""
    message = parse(raw)
    assert message.emit() == raw
    assert message.first("PID") is not None
    assert [segment.id for segment in message.segments if segment.id != "PV1"] == ["MSH", "PID"]


def test_text_before_the_header_is_kept_and_reported() -> None:
    """P04"""
    raw = b"junk\rjunk\r" + HEAD + b"\rPID|1\r"
    message = parse(raw)
    assert message.segments[0].id == "MSH"
    assert message.emit() == raw
    assert codes(message) == ["hl7.junk_before_header"]


@pytest.mark.parametrize("raw", [b"", b"PID|1\r", b"{}", b"MSHABC", b"xMSH|^~\\&|", b"MSH", b"\x00\xff"])
def test_bytes_without_a_header_are_rejected(raw: bytes) -> None:
    """P04"""
    with pytest.raises(Rejection) as caught:
        parse(raw)
    assert caught.value.findings[0].code == "hl7.no_header"


def test_null_empty_and_absent_stay_three_things() -> None:
    """P05, P06: blank repetitions keep their place."""
    patient = parse(HEAD + b'\rPID|1|""||A~~B^""|\r').first("PID")
    assert patient is not None
    assert patient.field(2) == NULL
    assert patient.field(3) == ""
    assert patient.field(9) == ""
    assert repetitions(patient.field(4)) == ["A", "", 'B^""']


def test_unknown_segments_and_surplus_fields_keep_their_place() -> None:
    """P08, P09"""
    raw = HEAD + b"\rZAP|x|y\rPID|1" + b"|z" * 60 + b"\rQQ1|1\rZAP|2\r"
    message = parse(raw)
    assert [segment.id for segment in message.segments] == ["MSH", "ZAP", "PID", "QQ1", "ZAP"]
    assert [segment.field(1) for segment in message.all("ZAP")] == ["x", "2"]
    assert message.segments[2].field(61) == "z"
    assert message.emit() == raw


def test_several_messages_in_one_are_reported() -> None:
    """B01: they belong into a batch."""
    message = parse(HEAD + b"\rPID|1\r" + HEAD + b"\rPID|2\r")
    assert codes(message) == ["hl7.several_headers"]


def test_a_line_that_is_no_segment_is_kept_and_reported() -> None:
    """P08"""
    raw = HEAD + b"\rPID|1\rlost words|x\r"
    message = parse(raw)
    assert codes(message) == ["hl7.not_a_segment"]
    assert message.findings[0].at == "line 3"
    assert message.emit() == raw


def test_a_truncated_value_is_known_as_such() -> None:
    """L01: only where MSH-2 declares the character, and not if it is escaped."""
    declared, _ = delimiters_of("|", "^~\\&#")
    assert is_truncated("Everywo#", declared)
    assert not is_truncated("No\\P\\", declared)
    assert not is_truncated("Everywo#", Delimiters())


def test_writing_one_field_leaves_all_other_bytes_alone() -> None:
    """P13: only the segment written to is written anew."""
    raw = siu("1").replace(b"\rRGS", b"\n\r\rRGS")
    message = parse(raw)
    status = message.first("SCH")
    assert status is not None
    status.set(25, "Cancelled")
    assert message.emit() == raw.replace(b"|Booked^Booked^HL70278\r", b"|Cancelled\r", 1)
    message.segments[0].set(10, "2")
    assert message.emit().startswith(raw[:100].split(b"|SIU")[0])
    assert parse(message.emit()).segments[0].field(10) == "2"


def test_a_message_is_built_from_nothing() -> None:
    """Delimiters belong to the message; fields between are made as needed."""
    message = Message.build()
    message.segments[0].set(9, "SIU^S12")
    patient = message.add("PID")
    patient.set(3, "A^^^H")
    message.add("EVN", at=1).set(2, "20260310")
    assert message.emit() == b"MSH|^~\\&|||||||SIU^S12\rEVN||20260310\rPID|||A^^^H\r"
    for segment, number in ((message.segments[0], 1), (message.segments[0], 2), (patient, 0)):
        with pytest.raises(ValueError, match="cannot be written"):
            segment.set(number, "x")


def test_printing_a_message_shows_no_content() -> None:
    """Invariant 12"""
    message = parse(siu())
    assert "CANARY" not in repr(message) + repr(message.segments)


_ID = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=3, max_size=3)
_FIELD = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=12)
_SEGMENT = st.tuples(_ID, st.lists(_FIELD, max_size=6)).map(lambda parts: "|".join([parts[0], *parts[1]]))
_END = st.sampled_from(["\r", "\n", "\r\n", "\r\r", "\n\n", "\r \r"])


@given(st.lists(st.tuples(_SEGMENT, _END), max_size=8), st.sampled_from(["^~\\&", "^~&", "^~\\&#", ""]), _END)
def test_whatever_is_accepted_comes_out_as_it_went_in(segments: list[tuple[str, str]], encoding: str,
                                                      first_end: str) -> None:
    """P13 for generated messages."""
    text = f"MSH|{encoding}|A|B{first_end}" + "".join(segment + end for segment, end in segments)
    raw = text.encode()
    message = parse(raw)
    assert message.emit() == raw
    for segment in message.segments:
        len(segment)
    assert message.emit() == raw
    assert all(code.startswith("hl7.") for code in codes(message))
