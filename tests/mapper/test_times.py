"""T01 to T07: times on the wire and in the model."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapper import times
from mapper.times import Notes, Refused, from_iso, from_ts, to_iso, to_minutes, to_ts

CHICAGO = ZoneInfo("America/Chicago")


def notes(zone: ZoneInfo | None = None) -> Notes:
    return Notes(zone)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("1980", "1980"),
        ("198002", "1980-02"),
        ("19800229", "1980-02-29"),
        ("198002291030-0500", "1980-02-29T10:30-05:00"),
        ("20260310143000+0215", "2026-03-10T14:30:00+02:15"),
        ("20260310143000.1234-0500", "2026-03-10T14:30:00.1234-05:00"),
        ("2026031014-0500", "2026-03-10T14-05:00"),
    ],
)
def test_precision_is_part_of_a_date(raw: str, expected: str) -> None:
    """T01: 2026 is not 1 January."""
    assert from_ts(raw, notes(), instant=False) == expected
    assert to_ts(expected, notes()) == raw


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("200803061000 ", "2008-03-06T10:00-06:00"),
        (" 20080306100000", "2008-03-06T10:00:00-06:00"),
        ("20260310240000-0500", "2026-03-11T00:00:00-05:00"),
        ("202603102400-0500", "2026-03-11T00:00-05:00"),
        ("20260310105960-0500", "2026-03-10T11:00:00-05:00"),
        ("20261231235960+0000", "2027-01-01T00:00:00+00:00"),
    ],
)
def test_unusual_spellings_are_put_right_and_said(raw: str, expected: str) -> None:
    """T06: blanks, 24:00, second 60."""
    said = notes(CHICAGO)
    assert from_ts(raw, said, instant=True) == expected
    assert times.NORMALISED in said.noted


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("19800229^Y", "1980"),
        ("19800229&L", "1980-02"),
        ("198002291030-0500^D", "1980-02-29"),
        ("198002291030-0500^M", "1980-02-29T10:30-05:00"),
    ],
)
def test_the_old_degree_of_precision_counts(raw: str, expected: str) -> None:
    """T05"""
    assert from_ts(raw, notes(), instant=False) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "20261310",
        "20260230",
        "2026031",
        "abcd",
        "20260310256000-0500",
        "20260310143061-0500",
        "20260310143000-9900",
        "20260310240001-0500",
        "1980^Q",
        "２０２６",
        "20260310143000.-0500",
        "99991231240000-0500",
    ],
)
def test_what_is_no_time_is_refused(raw: str) -> None:
    with pytest.raises(Refused) as caught:
        from_ts(raw, notes(), instant=False)
    assert caught.value.code is times.INVALID


def test_an_instant_needs_a_time_of_day_and_an_offset() -> None:
    """T01, T02: no guess."""
    for raw, code in (
        ("20260310", times.IMPRECISE),
        ("2026031014-0500", times.IMPRECISE),
        ("202603101430", times.NO_OFFSET),
    ):
        with pytest.raises(Refused) as caught:
            from_ts(raw, notes(), instant=True)
        assert caught.value.code is code


def test_the_zone_of_the_facility_supplies_an_offset_only_where_there_is_none() -> None:
    """T02, T07"""
    said = notes(CHICAGO)
    assert from_ts("20260310143000+0530", said, instant=True) == "2026-03-10T14:30:00+05:30"
    assert not said.zone_used
    assert from_ts("20260310143000", said, instant=True) == "2026-03-10T14:30:00-05:00"
    assert said.zone_used


def test_a_local_time_that_never_was_is_an_error() -> None:
    """T03, spring"""
    with pytest.raises(Refused) as caught:
        from_ts("20260308023000", notes(CHICAGO), instant=True)
    assert caught.value.code is times.NONEXISTENT


def test_a_local_time_that_was_twice_is_flagged() -> None:
    """T03, autumn: the earlier one."""
    said = notes(CHICAGO)
    assert from_ts("20261101013000", said, instant=True) == "2026-11-01T01:30:00-05:00"
    assert said.noted == [times.AMBIGUOUS]


def test_a_time_that_was_seen_as_a_date_is_not_taken_for_an_instant() -> None:
    said = notes()
    assert from_ts("2026031014-0500", said, instant=False) == "2026-03-10T14-05:00"
    with pytest.raises(Refused):
        from_ts("2026031014-0500", said, instant=True)


def test_an_offset_that_the_zone_implies_is_left_out_for_those_who_leave_it_out() -> None:
    said = notes(CHICAGO)
    said.omit_offset = True
    assert to_ts("2026-03-10T14:30:00-05:00", said) == "20260310143000"
    assert to_ts("2026-03-10T14:30:00-06:00", said) == "20260310143000-0600", "another offset than the zone has"
    assert to_ts("2026-11-01T01:30:00-05:00", said) == "20261101013000-0500", "it happens twice: the offset stays"


moments = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1))  # noqa: DTZ001 - zones come later
offsets = st.integers(-14 * 60, 14 * 60).map(lambda m: f"{'-' if m < 0 else '+'}{abs(m) // 60:02}:{abs(m) % 60:02}")
instants = st.builds(
    lambda moment, offset, precision: f"{moment.isoformat(timespec=precision)}{offset}",
    moments,
    offsets,
    st.sampled_from(["minutes", "seconds", "milliseconds"]),
)
dates = st.one_of(
    instants,
    moments.map(lambda m: m.date().isoformat()),
    moments.map(lambda m: f"{m:%Y-%m}"),
    moments.map(lambda m: f"{m:%Y}"),
)


@given(dates)
def test_every_date_survives_hl7(value: str) -> None:
    assert from_ts(to_ts(value, notes()), notes(), instant=False) == value


@given(instants)
def test_every_instant_survives_hl7(value: str) -> None:
    assert from_ts(to_ts(value, notes()), notes(), instant=True) == value


@given(instants.filter(lambda text: len(times.split(text)[1]) > 5))
def test_every_instant_with_seconds_survives_fhir(value: str) -> None:
    """R4 wants seconds: less precise ones get ``:00``."""
    assert from_iso(to_iso(value), notes(), instant=True) == value


@given(moments)
def test_a_local_time_survives_in_its_own_zone(moment: datetime) -> None:
    """Read without offset, written without offset, read again: the same."""
    raw = f"{moment:%Y%m%d%H%M%S}"
    said = notes(CHICAGO)
    try:
        value = from_ts(raw, said, instant=True)
    except Refused:
        return
    said.omit_offset = True
    again = from_ts(to_ts(value, said), Notes(CHICAGO), instant=True)
    assert again == value


@given(st.text(alphabet="0123456789+-.&^ YLDHMS", max_size=24))
def test_no_text_makes_the_reader_stumble(raw: str) -> None:
    try:
        value = from_ts(raw, notes(CHICAGO), instant=False)
    except Refused:
        return
    assert from_ts(to_ts(value, notes()), notes(), instant=False) == value


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2026-03-10T14:30:00Z", "2026-03-10T14:30:00+00:00"),
        ("2026-03-10T14:30:00.5-05:00", "2026-03-10T14:30:00.5-05:00"),
        ("2026-03-10T14:30-05:00", "2026-03-10T14:30-05:00"),
    ],
)
def test_fhir_instants_are_taken_as_they_are_and_utc_has_one_spelling(raw: str, expected: str) -> None:
    """T04, T07"""
    assert from_iso(raw, notes(), instant=True) == expected
    assert to_iso("2026-03-10T14:30:00+00:00") == "2026-03-10T14:30:00Z"
    assert to_iso("2026-03-10T14:30-05:00") == "2026-03-10T14:30:00-05:00"


@pytest.mark.parametrize(
    "raw", ["2026-3-10", "20260310", "2026-02-30", 3, None, "2026-03-10T25:00:00Z", "2026-03T10:00:00Z"]
)
def test_what_is_no_iso_time_is_refused(raw: object) -> None:
    with pytest.raises(Refused):
        from_iso(raw, notes(), instant=False)


@pytest.mark.parametrize(
    ("amount", "unit", "minutes"),
    [
        ("30", "min", 30),
        ("30", "MIN", 30),
        ("1800", "s", 30),
        ("2", "H", 120),
        ("-5", "min", -5),
        ("1", "d", 1440),
        ("030", "Minutes", 30),
        ("30.0", "min", 30),
        ("+5", "m", 5),
    ],
)
def test_durations_are_minutes_in_the_end(amount: str, unit: str, minutes: int) -> None:
    assert to_minutes(amount, unit) == minutes


@pytest.mark.parametrize(
    ("amount", "unit", "code"),
    [
        ("90", "s", times.NOT_MINUTES),
        ("1.5", "min", times.NOT_MINUTES),
        ("thirty", "min", times.NOT_MINUTES),
        ("30", "fortnight", times.UNITS),
        ("", "min", times.NOT_MINUTES),
    ],
)
def test_seconds_that_are_no_minutes_are_refused_not_rounded(amount: str, unit: str, code: object) -> None:
    with pytest.raises(Refused) as caught:
        to_minutes(amount, unit)
    assert caught.value.code is code


@given(moments, st.integers(-100000, 100000))
def test_versions_sort_as_their_moments_do(moment: datetime, seconds: int) -> None:
    zone = ZoneInfo("UTC")
    one, other = moment.replace(tzinfo=zone), (moment + timedelta(seconds=seconds)).replace(tzinfo=zone)
    assert (times.sortable(one) < times.sortable(other)) == (one < other)
