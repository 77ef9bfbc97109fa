"""Times on the wire and in the model (T01 to T07).

The model keeps ISO 8601 text at the sender's precision and offset. HL7 TS/DTM text is turned into it and back
without going through a number; `datetime` only checks the calendar and finds offsets.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from canonical.findings import Code, Severity, declare

INVALID = declare("time.invalid", Severity.ERROR, "not a date or time of this format",
                  "have the sender correct it; the accepted forms are in the reference under Codecs")
NO_OFFSET = declare("time.no_offset", Severity.ERROR, "a time of day without offset, and no zone is known",
                    "declare the sender's `zone` in its site overlay")
IMPRECISE = declare("time.imprecise", Severity.ERROR, "less than date, hour and minute where an instant is needed",
                    "ask the sender for the time of day")
NONEXISTENT = declare("time.nonexistent", Severity.ERROR, "a local time that daylight saving skips in this zone",
                      "the sender must say which instant is meant, or send an offset")
AMBIGUOUS = declare("time.ambiguous", Severity.WARNING, "a local time that happens twice in this zone",
                    "the earlier one was taken; have the sender send an offset")
NORMALISED = declare("time.normalised", Severity.INFO, "an unusual spelling of a time was put right",
                     "nothing to do: 24:00, second 60 and blanks are rewritten")
UNITS = declare("time.unit", Severity.ERROR, "the unit of a duration is not known", "known are s, min, h, d and wk")
NOT_MINUTES = declare("time.not_minutes", Severity.ERROR, "a duration that is not a whole number of minutes",
                      "the model keeps minutes; check the unit: none means seconds by the standard")


class Refused(Exception):  # noqa: N818 - a verdict about one value
    """A codec cannot read or write one value. Carries a code, never the value."""

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(code.name)
        self.code = code
        self.detail = detail


class Notes:
    """What a codec needs to know, and what it wants to say without refusing."""

    __slots__ = ("known", "noted", "omit_offset", "zone", "zone_used")

    def __init__(self, zone: ZoneInfo | None = None) -> None:
        self.zone = zone
        self.zone_used = False
        """The zone supplied an offset."""
        self.omit_offset = False
        """Writing: leave out an offset that the zone would supply."""
        self.noted: list[Code] = []
        self.known: dict[str, str] = {}
        """Times of this message that were read without remark: most messages repeat theirs."""


_DEGREE: Final = {"Y": 4, "L": 6, "D": 8, "H": 10, "M": 12, "S": 14}
_OFFSETS: Final = frozenset("+-")


def from_ts(raw: str, notes: Notes, *, instant: bool) -> str:
    """ISO 8601 text of an HL7 TS, DTM or DT (v2.5.1 §2.A.22).

    Raises:
        Refused: `INVALID`, `IMPRECISE`, `NO_OFFSET`, `NONEXISTENT`.
    """
    known = notes.known.get(raw)
    if known is not None and (not instant or len(known) > 19):
        return known
    if not raw.isascii():
        raise Refused(INVALID)
    body, offset = raw, ""
    if len(raw) > 5 and raw[-5] in _OFFSETS:
        body, offset = raw[:-5], f"{raw[-5:-2]}:{raw[-2:]}"
    size = len(body)
    if not body.isdigit() or size % 2 or size > 14:
        body, offset, fraction = _unusual(raw, notes)
        size = len(body)
    else:
        fraction = ""
    if size <= 8:
        if instant:
            raise Refused(IMPRECISE)
        if offset:
            notes.noted.append(NORMALISED)
        return _date(body)
    if size < 12 and instant:
        raise Refused(IMPRECISE)
    day = f"{body[:4]}-{body[4:6]}-{body[6:8]}"
    clock = body[8:10] if size == 10 else (f"{body[8:10]}:{body[10:12]}" if size == 12
                                           else f"{body[8:10]}:{body[10:12]}:{body[12:14]}{fraction}")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{offset}")
    except ValueError:
        day, clock = _rollover(body, fraction)
        moment = _checked(f"{day}T{clock}{offset}")
        notes.noted.append(NORMALISED)
    if offset:
        text = f"{day}T{clock}{offset}"
        if not notes.noted:
            notes.known[raw] = text
        return text
    zone = notes.zone
    if zone is None:
        if instant:
            raise Refused(NO_OFFSET)
        notes.noted.append(NO_OFFSET)
        return f"{day}T{clock}"
    notes.zone_used = True
    return f"{day}T{clock}{_zone_offset(moment, zone, notes)}"


def _unusual(raw: str, notes: Notes) -> tuple[str, str, str]:
    """Body, offset and fraction of a TS that has a fraction, blanks or a degree of precision (T05, T06)."""
    text, _, degree = raw.replace("^", "&").partition("&")
    stripped = text.strip()
    if stripped != text:
        notes.noted.append(NORMALISED)
    body, offset = stripped, ""
    if len(stripped) > 5 and stripped[-5] in _OFFSETS and stripped[-4:].isdigit():
        body, offset = stripped[:-5], f"{stripped[-5:-2]}:{stripped[-2:]}"
    body, point, fraction = body.partition(".")
    size = len(body)
    if not body.isdigit() or size % 2 or not 4 <= size <= 14 or (point and (size != 14 or not fraction.isdigit())):
        raise Refused(INVALID)
    if degree.strip():
        precision = _DEGREE.get(degree.split("&", 1)[0].strip().upper())
        if precision is None:
            raise Refused(INVALID)
        if precision < size:
            body, point = body[:precision], ""
            offset = offset if precision > 8 else ""
    return body, offset, f".{fraction}" if point else ""


def _date(body: str) -> str:
    size = len(body)
    text = body if size == 4 else f"{body[:4]}-{body[4:6]}" if size == 6 else f"{body[:4]}-{body[4:6]}-{body[6:8]}"
    _checked(f"{text}{'' if size == 8 else '-01' if size == 6 else '-01-01'}")
    return text


def _checked(iso: str) -> datetime:
    try:
        return datetime.fromisoformat(iso)
    except ValueError:
        raise Refused(INVALID) from None


def _rollover(body: str, fraction: str) -> tuple[str, str]:
    """Date and clock of 24:00 and of second 60, which the calendar does not have (T06)."""
    size = len(body)
    moment = _checked(f"{body[:4]}-{body[4:6]}-{body[6:8]}")
    hour, minute, second = int(body[8:10]), int(body[10:12] or 0), int(body[12:14] or 0)
    midnight = hour == 24 and minute == 0 and second == 0
    if not (midnight or (hour < 24 and minute < 60 and second == 60)) or fraction.strip(".0"):
        raise Refused(INVALID)
    try:
        moment += timedelta(hours=hour, minutes=minute, seconds=second)
    except OverflowError:
        raise Refused(INVALID) from None
    clock = moment.strftime("%H" if size == 10 else "%H:%M" if size == 12 else "%H:%M:%S")
    return moment.date().isoformat(), clock + fraction


def _zone_offset(moment: datetime, zone: ZoneInfo, notes: Notes) -> str:
    """The offset of a local time in a zone (T02, T03)."""
    first = moment.replace(tzinfo=zone, fold=0).utcoffset()
    second = moment.replace(tzinfo=zone, fold=1).utcoffset()
    assert first is not None
    assert second is not None
    if first != second:
        if first < second:
            raise Refused(NONEXISTENT)
        notes.noted.append(AMBIGUOUS)
    return _offset_text(first)


def _offset_text(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    hours, minutes = divmod(abs(minutes), 60)
    return f"{sign}{hours:02}:{minutes:02}"


def to_ts(iso: str, notes: Notes, *, day_only: bool = False) -> str:
    """HL7 text of an instant or date. With `Notes.omit_offset` an offset that the zone supplies is left out."""
    day, clock, offset = split(iso)
    text = day.replace("-", "")
    if day_only or not clock:
        return text
    if offset and notes.omit_offset and notes.zone is not None and _implied(day, clock, offset, notes.zone):
        offset = ""
    return text + clock.replace(":", "") + ("+0000" if offset == "Z" else offset.replace(":", ""))


def _implied(day: str, clock: str, offset: str, zone: ZoneInfo) -> bool:
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=zone)
    there = moment.utcoffset()
    return there == moment.replace(fold=1).utcoffset() and there is not None and _offset_text(there) == offset


def split(iso: str) -> tuple[str, str, str]:
    """Date, time of day and offset of ISO 8601 text; parts that are not there are empty."""
    day, _, rest = iso.partition("T")
    if rest.endswith("Z"):
        return day, rest[:-1], "Z"
    if len(rest) > 6 and rest[-6] in _OFFSETS:
        return day, rest[:-6], rest[-6:]
    if len(rest) == 8 and rest[2] in _OFFSETS:
        return day, rest[:2], rest[2:]
    return day, rest, ""


_ISO: Final = re.compile(r"(\d{4}(?:-\d\d(?:-\d\d)?)?)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:\d\d)?)?",
                         re.ASCII)


def from_iso(raw: object, notes: Notes, *, instant: bool) -> str:
    """Checked ISO 8601 text of FHIR and JSON; ``Z`` becomes ``+00:00``.

    Raises:
        Refused: `INVALID`, `IMPRECISE`, `NO_OFFSET`, `NONEXISTENT`.
    """
    match = _ISO.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        raise Refused(INVALID)
    day, clock, offset = match.groups()
    if clock is None:
        if instant:
            raise Refused(IMPRECISE)
        _date(day.replace("-", ""))
        return day
    if len(day) != 10:
        raise Refused(INVALID)
    moment = _checked(f"{day}T{clock}{offset or ''}")
    if not offset:
        if notes.zone is None:
            if instant:
                raise Refused(NO_OFFSET)
            notes.noted.append(NO_OFFSET)
            return f"{day}T{clock}"
        notes.zone_used = True
        offset = _zone_offset(moment, notes.zone, notes)
    return f"{day}T{clock}{'+00:00' if offset == 'Z' else offset}"


def to_iso(iso: str, *, day_only: bool = False) -> str:
    """Text FHIR accepts: seconds are always there where there is a time of day; UTC is ``Z``."""
    day, clock, offset = split(iso)
    if day_only or not clock or not offset:
        return day
    clock += ":00:00" if len(clock) == 2 else ":00" if len(clock) == 5 else ""
    return f"{day}T{clock}{'Z' if offset == '+00:00' else offset}"


def moment_of(iso: str) -> datetime | None:
    """The instant of ISO 8601 text, or None where it has no offset."""
    day, clock, offset = split(iso)
    if not clock or not offset:
        return None
    return datetime.fromisoformat(f"{day}T{clock}{offset}")


def sortable(moment: datetime) -> str:
    """UTC text ``YYYYMMDDHHMMSS.ffffff``: what versions are compared by."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").translate(_NO_MARKS)[:21]


_NO_MARKS: Final = str.maketrans("", "", "-:T")


def iso_of_micros(micros: int) -> str:
    """ISO 8601 UTC text of microseconds since the epoch."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat()


_SECONDS: Final = {
    "MIN": 60, "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "min": 60, "mins": 60, "minute": 60, "minutes": 60, "m": 60,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400, "wk": 604800, "w": 604800, "week": 604800, "weeks": 604800,
}


def unit_seconds(word: str) -> int | None:
    """Seconds in a unit of time, or None for a word that is none. Case does not matter."""
    return _SECONDS.get(word.strip().lower())


def to_minutes(amount: str, unit: str) -> int:
    """Whole minutes of an amount and a unit word.

    Raises:
        Refused: `UNITS`, `NOT_MINUTES`.
    """
    size = _SECONDS.get(unit) or unit_seconds(unit)
    if size is None:
        raise Refused(UNITS)
    if amount.isdecimal() and amount.isascii() and len(amount) < 10:
        minutes, rest = divmod(int(amount) * size, 60)
        if not rest:
            return minutes
    text = amount.strip()
    whole, _, part = text.lstrip("+-").partition(".")
    if not whole.isdecimal() or not whole.isascii() or len(whole) > 9 or part.strip("0"):
        raise Refused(NOT_MINUTES)
    minutes, rest = divmod(int(whole) * size, 60)
    if rest:
        raise Refused(NOT_MINUTES)
    return -minutes if text.startswith("-") else minutes
