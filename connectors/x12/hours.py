"""When a partner works: downtime that it has announced (X15), and by when a batch is acknowledged and answered (X14).

Times of day are those of the partner's zone. All results are microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

_Meta = msgspec.Meta
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = r"^([01]\d|2[0-3]):[0-5]\d$"


class Downtime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time in which the partner has said that it does not work."""

    begin: Annotated[str, _Meta(description="Once: `2026-03-14 22:00`; every week: `22:00`")] = msgspec.field(name="from")
    until: Annotated[str, _Meta(description="Likewise; a time of day before `from` is that of the next day")]
    days: Annotated[tuple[Day, ...], _Meta(description="Every week: the days on which it begins")] = ()

    def __post_init__(self) -> None:
        try:
            if self.days:
                time.fromisoformat(self.begin)
                time.fromisoformat(self.until)
            elif datetime.fromisoformat(self.begin) >= datetime.fromisoformat(self.until):
                raise ValueError
        except ValueError:
            raise ValueError("from and until are times of day where days are named, else dates with a time, the later one "
                             "last") from None

    def end(self, at: datetime) -> datetime | None:
        """When it ends, if `at` is in it."""
        zone = at.tzinfo
        for begin, until in self._around(at):
            if begin.replace(tzinfo=zone) <= at < until.replace(tzinfo=zone):
                return until.replace(tzinfo=zone)
        return None

    def _around(self, at: datetime) -> Iterable[tuple[datetime, datetime]]:
        """The windows that may hold the moment."""
        if not self.days:
            return ((datetime.fromisoformat(self.begin), datetime.fromisoformat(self.until)),)
        begin, until = time.fromisoformat(self.begin), time.fromisoformat(self.until)
        days = [at.date() - timedelta(1), at.date()]
        return [(datetime.combine(day, begin), datetime.combine(day + timedelta(until <= begin), until))
                for day in days if _DAYS[day.weekday()] in self.days]


class BatchHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By when a batch is acknowledged and answered (CORE 155 and 250; the defaults are those of the rule)."""

    submit_by: Annotated[str, _Meta(
        pattern=_CLOCK, description="What is submitted by then is answered the next business day")] = "21:00"
    due: Annotated[str, _Meta(pattern=_CLOCK, description="When the answers are there")] = "07:00"
    acknowledged_within_s: Annotated[int, _Meta(ge=60, description="Seconds until its 999 is there")] = 3600
    holidays: Annotated[tuple[str, ...], _Meta(description="Days on which nobody works, beside Saturday and Sunday: "
                                                           "`2026-12-25`")] = ()

    def __post_init__(self) -> None:
        for day in self.holidays:
            date.fromisoformat(day)

    def due_at(self, submitted: int, zone: ZoneInfo) -> int:
        """When what was submitted then must be answered: the next business day, or the one after it where it came late or on
        no business day."""
        moment = datetime.fromtimestamp(submitted / 1e6, zone)
        day = moment.date()
        if not self._works(day) or moment.time() > time.fromisoformat(self.submit_by):
            day = self._next(day)  # as if it had come in the morning of that day
        return round(datetime.combine(self._next(day), time.fromisoformat(self.due), zone).timestamp() * 1e6)

    def _next(self, day: date) -> date:
        day += timedelta(1)
        while not self._works(day):
            day += timedelta(1)
        return day

    def _works(self, day: date) -> bool:
        return day.weekday() < 5 and day.isoformat() not in self.holidays


def away_until(windows: Iterable[Downtime], zone: ZoneInfo, now: int) -> int:
    """When the announced downtime ends that we are in; 0 where we are in none. Windows that touch are one."""
    at = datetime.fromtimestamp(now / 1e6, zone)
    end = at
    while (later := max((until for one in windows if (until := one.end(end)) is not None), default=end)) > end:
        end = later
    return round(end.timestamp() * 1e6) if end > at else 0
