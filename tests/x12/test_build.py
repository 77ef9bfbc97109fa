"""Interchanges written by us: sealed, counted, conforming to a partner (X01, X02, X06 to X10)."""

from __future__ import annotations

import pytest

from canonical.findings import Rejection
from connectors.x12.build import CYCLE, Party, Stamp, batch, conform, control_number, isa, seal
from connectors.x12.delimiters import Delimiters
from connectors.x12.edi import parse
from connectors.x12.elements import (
    Period,
    is_date,
    is_integer,
    is_number,
    is_time,
    period,
)
from connectors.x12.judge import judge
from connectors.x12.profile import ANYBODY, Profile
from tests.x12.messages import INQUIRY, a_set, an_interchange, answer, inquiry

STAMP = Stamp(interchange=42, date="20260311", time="0915")


def test_isa_has_106_bytes() -> None:
    """X01, X06: padded."""
    text = isa(Party("CLINIC"), Party("PAYER", "30"), STAMP).text
    assert len(text) + 1 == 106
    assert text[103:] == "*:"
    assert text[35:50] == "CLINIC         "


def test_a_sealed_message_has_its_numbers_its_time_and_its_counts() -> None:
    """X02, X07"""
    raw = inquiry().replace(b"SE*13", b"SE*99").replace(b"IEA*1*000000907", b"IEA*7*1")
    sealed = seal(parse(raw), STAMP).emit().decode()
    assert sealed.split("~")[0].split("*")[9:14] == ["260311", "0915", "^", "00501", "000000042"]
    assert "GS*HS*CLINIC*PAYER*20260311*0915*42*X*" in sealed
    assert sealed.endswith("SE*13*0001~GE*1*42~IEA*1*000000042~")
    assert judge(parse(sealed.encode()).interchanges[0]).groups[0].code == "A"


def test_a_repeated_attempt_repeats_the_bytes() -> None:
    """X07: the same message and stamp."""
    assert seal(parse(inquiry()), STAMP).emit() == seal(parse(inquiry()), STAMP).emit()
    again = seal(parse(inquiry()), STAMP).emit()
    assert seal(parse(again), STAMP).emit() == again


def test_the_count_of_the_ledger_goes_on_when_nine_digits_come_round() -> None:
    """X07"""
    assert [control_number(number, 9) for number in (1, CYCLE, CYCLE + 1)] == ["000000001", "999999999", "000000001"]


def test_many_inquiries_become_one_interchange_with_a_group_for_each_kind() -> None:
    """X10"""
    sealed = seal(batch([parse(inquiry()), parse(answer()), parse(inquiry())]), STAMP)
    verdict = judge(parse(sealed.emit()).interchanges[0])
    assert [(group.id, group.control, [each.control for each in group.sets]) for group in verdict.groups] \
        == [("HS", "42", ["0001", "0002"]), ("HB", "43", ["0001"])]
    assert (verdict.code, [group.code for group in verdict.groups]) == ("A", ["A", "A"])


def test_a_batch_of_messages_with_different_delimiters_has_one_kind() -> None:
    """X08, X10"""
    other = inquiry().replace(b"*", b"|").replace(b"SMITH", b"SMI*TH")
    raw = seal(batch([parse(inquiry()), parse(other)]), STAMP).emit()
    names = [segment.element(3) for each in parse(raw).sets() for segment in each.segments
             if segment.id == "NM1" and segment.element(1) == "IL"]
    assert names == ["SMITH", "SMI*TH"]


def test_a_partner_that_wants_capitals_gets_them() -> None:
    """X09: basic character set and upper case."""
    raw = inquiry().replace(b"ROBERT", b"Robert")
    partner = Profile(characters="basic", upper=True, usage="P")
    written = conform(parse(raw), partner).emit()
    assert b"SMITH*ROBERT" in written
    assert judge(parse(written).interchanges[0], partner).code == "A"


def test_what_the_agreed_character_set_cannot_say_is_refused_with_its_place_and_without_its_value() -> None:
    """X09, invariant 12"""
    with pytest.raises(Rejection) as caught:
        conform(parse(inquiry().replace(b"ROBERT", "JÓZEF".encode())), Profile())
    assert [(each.code, each.at) for each in caught.value.findings] == [("x12.character", "NM1-04 (segment 11)")]
    assert "ZEF" not in str(caught.value)
    conform(parse(inquiry().replace(b"ROBERT", "JÓZEF".encode())), Profile(characters="any"))


def test_a_partner_gets_the_delimiters_it_likes_or_the_message_is_refused() -> None:
    """X08"""
    liked = Delimiters("|", ">", "^", "\n")
    written = conform(parse(inquiry()), Profile(delimiters=liked)).emit()
    assert parse(written).interchanges[0].delimiters == liked
    data = inquiry().replace(b"SMITH", b"SMI|TH")
    assert parse(conform(parse(data), Profile(delimiters=liked)).emit()).interchanges[0].delimiters.element != "|"
    with pytest.raises(Rejection) as caught:
        conform(parse(data), Profile(delimiters=liked, free_delimiters=False))
    assert caught.value.findings[0].code == "x12.delimiter_in_data"


@pytest.mark.parametrize(("text", "number", "whole"), [
    ("10.5", True, False), (".2", True, False), ("-.5", True, False), ("100", True, True), ("-7", True, True),
    ("", False, False),
    ("1,5", False, False), ("+1", False, False), ("1.2.3", False, False), ("\u0663", False, False)])
def test_numbers_are_known_by_their_form(text: str, number: bool, whole: bool) -> None:
    """Types R and N0 to N9 (X12.6 §3.1.1)."""
    assert is_number(text) is number
    assert is_integer(text) is whole


@pytest.mark.parametrize(("text", "qualifier", "meaning"), [
    ("20260310", "D8", Period("20260310")), ("20260310-20260312", "RD8", Period("20260310", "20260312")),
    ("202603101130", "DT", Period("202603101130")), ("1130", "TM", Period("1130")), ("260310", "D6", Period("260310")),
    ("20261310", "D8", None), ("20260312-20260310", "RD8", None), ("20260310", "RD8", None), ("2026031", "D8", None),
    ("202603102430", "DT", None)])
def test_periods_by_their_format_qualifier(text: str, qualifier: str, meaning: Period | None) -> None:
    assert period(text, qualifier) == meaning


def test_dates_and_times() -> None:
    """DT and TM"""
    assert [is_date(text) for text in ("20240229", "20230229", "260310", "2026-03-10", "")] == [
        True, False, True, False, False]
    assert [is_time(text) for text in ("1147", "114759", "1147599", "11475999", "2400", "1160", "114")] == [
        True, True, True, True, False, False, False]


def test_a_set_with_a_hundred_patients_is_still_one_set() -> None:
    """X17 is a rule of the transport; the format takes what comes."""
    body = INQUIRY + "".join(
        f"HL*{number}*2*22*0~NM1*IL*1*DOE*JANE****MI*{number:09d}~EQ*30~" for number in range(4, 104))
    assert judge(parse(an_interchange(a_set(body))).interchanges[0], ANYBODY).groups[0].code == "A"
