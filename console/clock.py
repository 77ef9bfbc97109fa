"""Times for people: the ledger keeps microseconds UTC, people read dates and distances."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN: Final = re.compile(r"(\d{1,9})([smhd])")


def iso(micros: int) -> str:
    """RFC 3339, UTC, milliseconds; empty for *never* (0)."""
    if not micros:
        return ""
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(micros: int) -> str:
    """``2026-11-24 08:00:26`` for a table; empty for *never*."""
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S") if micros else ""


def distance(micros: int) -> str:
    """A span in at most two units: ``1 h 5 min``, ``12 s``, ``0.3 s``."""
    seconds = abs(micros) / 1e6
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"


def parse_since(text: str, now: int) -> int:
    """``15m``, ``2h``, ``3d`` before `now`, or an ISO 8601 date or instant (UTC where it names no offset).

    Raises:
        ValueError: it is neither.
    """
    if match := _SPAN.fullmatch(text.strip()):
        span = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        return now - int(span.total_seconds() * 1e6)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1e6)
