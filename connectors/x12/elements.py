"""Values of data elements: numbers, dates, times, periods, character sets (X09; X12.6 §3.1, §3.3).

Pure functions from text to text or number; what is not valid is None, never an exception.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Final

import msgspec

_DECIMAL: Final = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:E-?\d+)?\Z", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d+\Z", re.ASCII)
_TIME: Final = re.compile(r"(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d\d{0,2})?\Z", re.ASCII)

#: X12.6 §3.3.1 and §3.3.2.
BASIC: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!\"&'()*+,-./:;?= ")
EXTENDED: Final = BASIC | frozenset("abcdefghijklmnopqrstuvwxyz%@[]_{}\\|<>~#$^`")


def is_number(text: str) -> bool:
    """Type R: ``-10.5``, ``.2``."""
    return _DECIMAL.match(text) is not None


def is_integer(text: str) -> bool:
    """Types N0 to N9: a whole number, whose decimal point is implied."""
    return _INTEGER.match(text) is not None


@lru_cache(maxsize=4096)
def is_date(text: str) -> bool:
    """``CCYYMMDD``, or ``YYMMDD`` as in ISA09."""
    if len(text) not in (6, 8) or not text.isascii() or not text.isdecimal():
        return False
    year, rest = (int(text[:4]), text[4:]) if len(text) == 8 else (2000 + int(text[:2]), text[2:])
    try:
        date(year, int(rest[:2]), int(rest[2:]))
    except ValueError:
        return False
    return True


def is_time(text: str) -> bool:
    """``HHMM``, ``HHMMSS``, ``HHMMSSD``, ``HHMMSSDD``."""
    return bool(_TIME.match(text))


class Period(msgspec.Struct, frozen=True):
    """A date, or a period with both ends in it; ``CCYYMMDD`` or ``CCYYMMDDHHMM``."""

    start: str
    end: str = ""


def period(text: str, qualifier: str) -> Period | None:
    """A date time period (1251) by its format qualifier (1250). None where it is not that.

    Qualifiers: D8 a date, RD8 two of them, D6 ``YYMMDD``, DT date and time, RDT two of them, TM a time. Other
    qualifiers are taken as they are.
    """
    if qualifier in ("RD8", "RDT"):
        start, dash, end = text.partition("-")
        single = "D8" if qualifier == "RD8" else "DT"
        sound = dash and _single(start, single) and _single(end, single) and start <= end
        return Period(start, end) if sound else None
    return Period(text) if _single(text, qualifier) else None


def _single(text: str, qualifier: str) -> bool:
    if qualifier == "D8":
        return len(text) == 8 and is_date(text)
    if qualifier == "D6":
        return len(text) == 6 and is_date(text)
    if qualifier == "DT":
        return len(text) == 12 and is_date(text[:8]) and is_time(text[8:])
    if qualifier == "TM":
        return is_time(text)
    return True


def qualifier_of(text: str) -> str:
    """The format qualifier that a date time period is written with."""
    start, dash, _ = text.partition("-")
    if dash:
        return "RD8" if len(start) == 8 else "RDT"
    return "D8" if len(start) == 8 else "D6" if len(start) == 6 else "TM" if len(start) == 4 else "DT"


def fits(text: str, characters: str) -> bool:
    """Whether a text is within a character set: ``basic``, ``extended`` or ``any`` (printable)."""
    if characters == "basic":
        return BASIC.issuperset(text)
    if characters == "extended":
        return EXTENDED.issuperset(text)
    return text.isprintable()
