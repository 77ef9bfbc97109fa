"""Fitting messages to what a partner can take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Rejection
from connectors.hl7v2.er7 import Message, parse, unescape
from connectors.hl7v2.fit import Fit, transliterated
from connectors.hl7v2.settings import MllpOut


def message(name: str, *, encoding: str = "^~\\&", note: str = "short") -> Message:
    return parse(f"MSH|{encoding}|A|B|||20260310||ADT^A08|1|P|2.7\rPID|1||X||{name}\rNTE|1||{note}\r".encode(),
                 "UNICODE UTF-8")


def field(raw: bytes, name: str, number: int) -> str:
    segment = parse(raw).first(name)
    assert segment is not None
    return segment.field(number)


# -- character sets


def test_what_the_set_has_is_written_in_it_and_declared() -> None:
    """C04: MSH-18 says what is written."""
    raw, lost = Fit(charset="8859/1").apply(message("Müller^Eva"))
    assert "Müller^Eva".encode("latin-1") in raw
    assert field(raw, "MSH", 18) == "8859/1"
    assert lost == ()


def test_by_default_what_the_set_does_not_have_is_refused() -> None:
    """C04: reject; no character is ever lost unseen."""
    with pytest.raises(Rejection) as caught:
        Fit(charset="8859/1").apply(message("Łukasz^Eva"))
    assert caught.value.findings[0].code == "hl7.cannot_encode"
    assert "ukasz" not in str(caught.value.findings[0])


def test_it_may_be_escaped() -> None:
    """C04: escape; who reads the escapes as UTF-8, as we do, loses nothing (E02)."""
    raw, lost = Fit(charset="8859/1", unencodable="escape").apply(message("Łukasz^Müller"))
    assert field(raw, "PID", 5) == "\\XC581\\ukasz^Müller"
    assert unescape(field(raw, "PID", 5)) == "Łukasz^Müller"
    assert [(one.code, one.at, one.detail) for one in lost] == [("hl7.escaped_characters", "PID-5", "1 characters")]


def test_it_may_be_transliterated() -> None:
    """C04: transliterate; each place is told, with a count and no value."""
    raw, lost = Fit(charset="ASCII", unencodable="transliterate").apply(message("Łukász^Weiß", note="a – „b“ 山"))
    assert field(raw, "PID", 5) == "Lukasz^Weiss"
    assert field(raw, "NTE", 3) == 'a - "b" ?'
    assert [(one.code, one.at, one.detail) for one in lost] == [
        ("hl7.transliterated", "PID-5", "3 characters"), ("hl7.transliterated", "NTE-3", "4 characters")]


def test_the_set_of_the_mapping_counts_where_the_partner_names_none() -> None:
    """C04"""
    odd = message("Łukasz")
    odd.segments[0].set(18, "8859/1")
    odd.charset = ""
    raw, lost = Fit(unencodable="transliterate").apply(odd)
    assert field(raw, "PID", 5) == "Lukasz"
    assert len(lost) == 1


def test_without_escape_character_nothing_can_be_escaped() -> None:
    """C04, P01"""
    with pytest.raises(Rejection) as caught:
        Fit(charset="ASCII", unencodable="escape").apply(message("Łukasz", encoding="^~"))
    assert caught.value.findings[0].code == "hl7.cannot_escape"


@given(st.text(min_size=1, max_size=30))
def test_a_transliteration_never_holds_a_delimiter_and_always_fits(text: str) -> None:
    """C04: a full-width ＾ must not become a component separator."""
    for character in text:
        if not character.isascii():
            found = transliterated(character, "latin-1")
            found.encode("latin-1")
            assert not set(found) & set("|^~\\&\r\n")


# -- lengths


def test_values_longer_than_the_partner_takes_are_cut_and_told() -> None:
    """L02: each component by its own length; the report names the place, the limit and how much was lost."""
    raw, lost = Fit(lengths={"PID-5.1": 5, "PID-5.2": 10}).apply(message("Abcdefgh^Eva~Xyz^Maximilian-Johann"))
    assert field(raw, "PID", 5) == "Abcde^Eva~Xyz^Maximilian"
    assert [(one.code, one.at, one.detail) for one in lost] == [
        ("hl7.shortened", "PID-5.1", "cut to 5 characters; 3 lost"),
        ("hl7.shortened", "PID-5.2", "cut to 10 characters; 7 lost")]


def test_or_refused() -> None:
    """L02: too_long: reject."""
    with pytest.raises(Rejection) as caught:
        Fit(lengths={"PID-5": 5}, too_long="reject").apply(message("CANARYLONG"))
    assert caught.value.findings[0].code == "hl7.too_long"
    assert "CANARY" not in str(caught.value.findings[0])


def test_a_cut_value_carries_the_truncation_character_where_there_is_one() -> None:
    """L01, L02: MSH-2 has a fifth character (v2.7): the receiver can tell that it has not all of it."""
    raw, _ = Fit(lengths={"PID-5.1": 5}).apply(message("Abcdefgh^Eva", encoding="^~\\&#"))
    assert field(raw, "PID", 5) == "Abcd#^Eva"


def test_escapes_are_counted_as_what_they_stand_for_and_not_cut_in_two() -> None:
    """L02, E08: NTE-3 is AB&CD."""
    raw, lost = Fit(lengths={"NTE-3": 4}).apply(message("X", note="AB\\T\\CD"))
    assert field(raw, "NTE", 3) == "AB\\T\\C"
    assert len(lost) == 1
    raw, lost = Fit(lengths={"NTE-3": 5}).apply(message("X", note="AB\\T\\CD"))
    assert lost == ()


def test_a_null_is_never_cut() -> None:
    """L02, P05: two quotes are no value of two characters."""
    raw, lost = Fit(lengths={"PID-5": 1, "NTE-3": 1}).apply(message('""', note='""'))
    assert lost == ()
    assert field(raw, "NTE", 3) == '""'


@pytest.mark.parametrize("settings", [
    {"lengths": {"PID5": 3}}, {"lengths": {"PID-5": 0}}, {"lengths": {"MSH-2": 2}}, {"charset": "no such"}])
def test_a_slip_in_the_settings_is_found_when_they_are_read(settings: dict[str, object]) -> None:
    """C04, L02: by `dragoman check`."""
    with pytest.raises(ValueError):
        Fit(**settings)  # type: ignore[arg-type] # wrong on purpose
    assert MllpOut(port=1).fit == Fit()
