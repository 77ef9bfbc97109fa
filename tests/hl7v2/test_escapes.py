"""Escape sequences: no value changes on its way through any number of hops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Rejection
from connectors.hl7v2.delimiters import STANDARD, delimiters_of
from connectors.hl7v2.er7 import escape, unescape

CUSTOM, _ = delimiters_of("#", "!@%*")
TRUNCATING, _ = delimiters_of("|", "^~\\&#")
WITHOUT_ESCAPE, _ = delimiters_of("|", "^~&")


@pytest.mark.parametrize(("text", "value"), [
    (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
    (r"plain", "plain"),
    (r"\X414243\ and \XC3A9\ ", "ABC and é "),
    (r"\X0D0A\ ", "\r\n "),
    (r"\XZZ\ ", r"\XZZ\ "),
    (r"\XFF\ ", r"\XFF\ "),
    (r"\Zcust\ ", r"\Zcust\ "),
    (r"\Q\ ", r"\Q\ "),
    (r"\.br\ ", r"\.br\ "),
    (r"\H\bold\N\ ", r"\H\bold\N\ "),
    ("C:\\", "C:\\"),
    (r"a \b c", r"a \b c"),
    (r"a \ b\F\c", r"a \ b|c"),
    (r"\E\F\E\ ", r"\F\ "),
    ("\\", "\\"),
    ("\\\\", "\\\\"),
])
def test_reading(text: str, value: str) -> None:
    """E01, E02, E04, E05, E06, E07"""
    assert unescape(text) == value


def test_reading_follows_the_delimiters_of_the_message() -> None:
    """E01: by *current* delimiters."""
    assert unescape("a%F%b%S%c%T%d%R%e%E%f", CUSTOM) == "a#b!c*d@e%f"
    assert unescape(r"1\P\ ", TRUNCATING) == "1# "
    assert unescape(r"1\P\ ", STANDARD) == r"1\P\ "
    assert unescape(r"a\F\b", WITHOUT_ESCAPE) == r"a\F\b"


def test_character_set_shifts_are_followed_where_they_make_sense() -> None:
    """E03, C02: ISO 2022 designations around JIS X 0208."""
    assert unescape(r"\M2442\;3ED\C2842\ x") == "山田 x"
    assert unescape(r"\CFFFF\ x") == r"\CFFFF\ x"


@pytest.mark.parametrize(("text", "value"), [
    (r"one\.br\two", "one\ntwo"), (r"one\.sp2\two", "one\n\ntwo"), (r"one\.sp 2\two", "one\n\ntwo"),
    (r"\.in+4\in", "in"), (r"a\.sk3\b", "a   b"), (r"\H\bold\N\ ", "bold "), (r"\.fi\ x", " x"),
])
def test_formatting_is_text_in_formatted_text_only(text: str, value: str) -> None:
    """E04, E05"""
    assert unescape(text, formatted=True) == value
    assert unescape(text) == text


def test_writing_escapes_each_special_character_once() -> None:
    """E08"""
    assert escape(r"a|b^c&d~e\f") == r"a\F\b\S\c\T\d\R\e\E\f"
    assert escape("line\r\nbreak\x0b") == r"line\X0D0A\break\X0B\ ".rstrip()
    assert escape("line\r\nbreak\n", formatted=True) == r"line\.br\break\.br\ ".rstrip()
    assert escape("50#", TRUNCATING) == r"50\P\ ".rstrip()
    assert escape("5#0", TRUNCATING) == "5#0"
    assert escape("plain") == "plain"


def test_a_value_that_cannot_be_written_is_rejected() -> None:
    """Without escape character only plain values fit."""
    assert escape("plain", WITHOUT_ESCAPE) == "plain"
    with pytest.raises(Rejection) as caught:
        escape("CANARY|x", WITHOUT_ESCAPE)
    assert "CANARY" not in str(caught.value)


def test_what_reading_leaves_alone_writing_leaves_alone() -> None:
    """E06: python-hl7 drops ``\\Zcust\\`` and hl7apy writes ``\\E\\.br\\E\\``; we do neither."""
    for text in (r"a\.br\b", r"\H\x\N\ ", r"\Zcust\ ", r"\.sp 3\ ", r"a\F\b\.br\c\E\d"):
        assert escape(unescape(text)) == text


_TEXT = st.text(st.sampled_from("FSTRE.brHNXZCM0D1|^&~\\#\r\n\x0b\x1c é日ab2 "), max_size=30)


@given(_TEXT, st.sampled_from([STANDARD, TRUNCATING]))
def test_every_value_survives(value: str, delimiters: object) -> None:
    """``unescape(escape(v)) == v``"""
    chosen = TRUNCATING if delimiters is TRUNCATING else STANDARD
    text = escape(value, chosen)
    assert unescape(text, chosen) == value
    assert not set(text) & {"|", "^", "&", "~", "\r", "\n", "\x0b", "\x1c"}


@given(_TEXT)
def test_nothing_grows_over_hops(text: str) -> None:
    """E08: the second hop writes what the first one wrote."""
    first = escape(unescape(text))
    assert escape(unescape(first)) == first
