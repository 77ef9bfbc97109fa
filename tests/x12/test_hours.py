"""When a partner works, and by when a batch is answered (X14, X15)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from connectors.x12.hours import BatchHours, Downtime, away_until
from connectors.x12.partner import Partner

EASTERN = ZoneInfo("America/New_York")


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=EASTERN).timestamp() * 1e6)


def windows(*rows: dict[str, object]) -> list[Downtime]:
    return msgspec.convert(list(rows), list[Downtime])


@pytest.mark.parametrize(("now", "until"), [
    ("2026-03-13 21:59", ""), ("2026-03-13 22:00", "2026-03-14 06:00"), ("2026-03-14 05:59", "2026-03-14 06:00"),
    ("2026-03-14 06:00", ""),
])
def test_an_announced_time_has_a_begin_and_an_end(now: str, until: str) -> None:
    """X15: the end belongs to the time after it."""
    found = windows({"from": "2026-03-13 22:00", "until": "2026-03-14 06:00"})
    assert away_until(found, EASTERN, at(now)) == (at(until) if until else 0)


@pytest.mark.parametrize(("now", "until"), [
    ("2026-03-14 23:00", "2026-03-15 04:00"),  # Saturday
    ("2026-03-15 03:59", "2026-03-15 04:00"),  # the night from Saturday to Sunday
    ("2026-03-15 23:00", ""), ("2026-03-16 03:00", ""),
])
def test_a_weekly_time_goes_past_midnight(now: str, until: str) -> None:
    """X15"""
    found = windows({"days": ["sat"], "from": "22:30", "until": "04:00"})
    assert away_until(found, EASTERN, at(now)) == (at(until) if until else 0)


def test_times_that_touch_are_one() -> None:
    found = windows({"days": ["sat"], "from": "22:00", "until": "00:00"},
                    {"from": "2026-03-15 00:00", "until": "2026-03-15 09:00"})
    assert away_until(found, EASTERN, at("2026-03-14 23:00")) == at("2026-03-15 09:00")


def test_a_night_in_which_the_clock_is_changed_ends_when_the_partner_says() -> None:
    """The partner's time of day, not so many hours: 2026-03-08 has 23 of them."""
    found = windows({"days": ["sat"], "from": "22:00", "until": "06:00"})
    assert away_until(found, EASTERN, at("2026-03-07 23:00")) == at("2026-03-08 06:00")


@pytest.mark.parametrize("row", [
    {"from": "22:00", "until": "06:00"}, {"days": ["sat"], "from": "2026-03-14 22:00", "until": "06:00"},
    {"from": "2026-03-14 22:00", "until": "2026-03-14 21:00"}])
def test_a_time_that_is_none_is_refused(row: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match="from and until"):
        windows(row)


@pytest.mark.parametrize(("submitted", "due"), [
    ("2026-03-10 09:00", "2026-03-11 07:00"),  # Tuesday
    ("2026-03-10 21:00", "2026-03-11 07:00"),
    ("2026-03-10 21:01", "2026-03-12 07:00"),  # too late: it counts for Wednesday
    ("2026-03-13 12:00", "2026-03-16 07:00"),  # Friday
    ("2026-03-13 22:00", "2026-03-17 07:00"),
    ("2026-03-14 12:00", "2026-03-17 07:00"),  # Saturday: it counts for Monday
    ("2026-12-24 12:00", "2026-12-28 07:00"),  # the 25th is a holiday and a Friday
])
def test_a_batch_is_answered_in_the_morning_of_the_next_business_day(submitted: str, due: str) -> None:
    """X14: submitted by 9:00 pm ET, there at 7:00 am ET next business day."""
    assert BatchHours(holidays=("2026-12-25",)).due_at(at(submitted), EASTERN) == at(due)


def test_a_zone_that_is_not_there_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="timezone"):
        msgspec.convert({"partner": "p", "sender": "ZZ/P", "receiver": "ZZ/C", "trace_originator": "9CLINIC000",
                         "timezone": "America/Newyork"}, Partner)
