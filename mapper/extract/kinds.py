"""What a field can be: how its text is read, and what OCR is known to confuse in it.

A kind turns the text on the page into readings, best first. A reading that had to mend a letter carries less trust; it
is never preferred to one that is right as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import cache
from typing import Final

import msgspec

from mapper.extract.sheet import distance, plain, tolerance

#: Trust that is left after mending a letter.
MENDED: Final = 0.9
#: At most so many letters are mended in one value.
MOST_MENDED: Final = 3

_TO_DIGIT: Final = str.maketrans("OoQDIl|!i]SsBZzGqAg", "0000111111558226949")
_TRIM: Final = " \t|_~\"'“”‘’`.,:;-–—=*°•<>«»"


class Reading(msgspec.Struct, frozen=True):
    """One way to read a text."""

    value: str
    """As the canonical model has it."""
    trust: float = 1.0
    display: str = ""
    """Words for the code, where a table has them."""


class Options(msgspec.Struct, frozen=True):
    """What the row of a template says beside the kind."""

    shape: re.Pattern[str] | None = None
    given_first: bool = False
    day_first: bool = False
    names: Mapping[str, str] = {}
    """For `listed`: spelling on paper -> canonical."""


Kind = Callable[[str, Options], Iterator[Reading]]


def trimmed(text: str) -> str:
    """Without blanks, rules and dots at the ends."""
    return " ".join(text.split()).strip(_TRIM)


def _text(text: str, options: Options) -> Iterator[Reading]:
    value = trimmed(text)
    if value:
        yield from _shaped(value, options) if options.shape is not None else iter((Reading(value),))


def _identifier(text: str, options: Options) -> Iterator[Reading]:
    value = re.sub(r"\s+", "", trimmed(text)).upper().replace("–", "-").replace("—", "-")
    if value:
        yield from _shaped(value, options)


def _shaped(value: str, options: Options) -> Iterator[Reading]:
    if options.shape is None or options.shape.fullmatch(value):
        yield Reading(value)
        return
    yield from mended(value, options.shape)
    yield Reading(value, 0.5)


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the site's configuration (checked when that was read)."""
    return re.compile(pattern)


def mended(value: str, shape: re.Pattern[str]) -> Iterator[Reading]:
    """Readings of `value` that fit a shape after letters and digits that look alike were exchanged: only where one
    reading alone needs the fewest exchanges."""
    level = {value}
    for changes in range(1, MOST_MENDED + 1):
        level = {f"{each[:at]}{other}{each[at + 1:]}" for each in level for at, letter in enumerate(each)
                 for other in (*_ALIKE.get(letter, ""), *(() if letter.isalnum() or letter == "-" else ("",)))}
        fits = sorted(each for each in level if shape.fullmatch(each))
        if fits:
            if len(fits) == 1:
                yield Reading(fits[0], MENDED ** changes)
            return
        if len(level) > 4000:
            return


_ALIKE: Final[Mapping[str, str]] = {
    "O": "0", "0": "O", "Q": "0", "D": "0", "I": "1", "1": "I", "L": "1", "l": "1", "|": "1", "!": "1", "]": "1", "[": "1",
    "i": "1", "S": "5", "5": "S", "B": "8", "8": "B", "Z": "2", "2": "Z", "G": "6", "6": "G", "?": "7", "€": "E", "£": "E"}


def _digits(text: str) -> tuple[str, int]:
    """The digits of a text, look-alikes mended, and how many were."""
    kept, changed = [], 0
    for letter in text:
        if letter.isdigit() and letter.isascii():
            kept.append(letter)
        elif letter in "OoQDIl|!iSsBZz]":
            kept.append(letter.translate(_TO_DIGIT))
            changed += 1
    return "".join(kept), changed


def _npi(text: str, _options: Options) -> Iterator[Reading]:
    digits, changed = _digits(trimmed(text))
    if digits and changed <= MOST_MENDED:
        yield Reading(digits, MENDED ** changed)
    if len(digits) == 11:  # a line of the form was read as a digit before or behind it
        for part in (digits[1:], digits[:-1]):
            yield Reading(part, MENDED ** (changed + 2))


def _phone(text: str, _options: Options) -> Iterator[Reading]:
    digits, changed = _digits(trimmed(text))
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    if len(digits) == 10 and changed <= MOST_MENDED:
        yield Reading(f"({digits[:3]}) {digits[3:6]}-{digits[6:]}", MENDED ** changed)
    elif digits:
        yield Reading(trimmed(text), 0.5)


_MONTHS: Final = {name: index for index, name in enumerate(
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)}


def _date(text: str, options: Options) -> Iterator[Reading]:
    value = trimmed(text)
    if match := re.search(r"(\d{4})-(\d\d)-(\d\d)", value):
        yield from _day(int(match[1]), int(match[2]), int(match[3]), 1.0)
        return
    if match := re.search(r"(\d{1,2})\.?\s+([A-Za-z]{3,9})\.?,?\s+(\d{4})", value):
        yield from _day(int(match[3]), _MONTHS.get(match[2][:3].lower(), 0), int(match[1]), 1.0)
        return
    if match := re.search(r"([A-Za-z]{3,9})\.?\s+(\d{1,2}),?\s+(\d{4})", value):
        yield from _day(int(match[3]), _MONTHS.get(match[1][:3].lower(), 0), int(match[2]), 1.0)
        return
    compact = re.sub(r"\s+", "", value)
    match = re.search(r"([0-9OIlSBZo]{1,2})([/.-])([0-9OIlSBZo]{1,2})\2([0-9OIlSBZo]{4})", compact)
    trust = 1.0
    if match is None:
        match = re.fullmatch(r"([0-9OIlSBZo]{2})([/.,’'-]?)([0-9OIlSBZo]{2})[/.,’'-]?([0-9OIlSBZo]{4})", compact)
        trust = 0.8
    if match is None:
        return
    parts = [_digits(match[index]) for index in (1, 3, 4)]
    trust *= MENDED ** sum(changed for _, changed in parts)
    first, second, year = (int(digits or 0) for digits, _ in parts)
    month, day = (second, first) if options.day_first else (first, second)
    yield from _day(year, month, day, trust)


def _day(year: int, month: int, day: int, trust: float) -> Iterator[Reading]:
    try:
        yield Reading(date(year, month, day).isoformat(), trust)
    except ValueError:
        return


def _name(text: str, options: Options) -> Iterator[Reading]:
    value = re.sub(r"\s*,\s*", ", ", trimmed(text).replace("’", "'").replace("‘", "'"))
    family, comma, given = value.partition(", ")
    if not comma:
        words = value.split()
        if len(words) < 2:
            return
        # "Leopold J Holloway": the last word is the family's, unless the form writes families first.
        family, given = (words[-1], " ".join(words[:-1])) if options.given_first else (words[0], " ".join(words[1:]))
    given = " ".join(given.replace(".", " ").split()).rstrip(",")
    if family and given:
        yield Reading(f"{family}, {given}", 1.0 if comma or options.given_first else 0.8)


def _icd10(text: str, _options: Options) -> Iterator[Reading]:
    value = re.sub(r"[\s,]+", "", trimmed(text)).upper().replace("..", ".")
    if "." not in value and len(value) > 3:
        value = f"{value[:3]}.{value[3:]}"
    if ICD10.fullmatch(value):
        yield Reading(value)
        return
    if len(value) < 3:
        return
    firsts = _FIRST.get(value[0], value[0])
    # Digits in the second place and, but for A and B, in the third; behind the point letters are real, but no O and no I.
    rest = "".join(letter.translate(_TO_DIGIT) if index == 0 or (index == 1 and letter not in "AB") or letter in "OI"
                   else letter for index, letter in enumerate(value[1:]))
    for first in firsts:
        other = first + rest
        changes = sum(one != two for one, two in zip(value, other, strict=True))
        if ICD10.fullmatch(other) and changes <= MOST_MENDED:
            yield Reading(other, MENDED ** changes)
    yield Reading(value, 0.5)


def _procedure(text: str, _options: Options) -> Iterator[Reading]:
    value = re.sub(r"[\s,]+", "", trimmed(text)).upper()
    if PROCEDURE.fullmatch(value):
        yield Reading(value)
        return
    if len(value) == 5:
        other = value[:1] + "".join(letter if letter.isdigit() else letter.translate(_TO_DIGIT) for letter in value[1:])
        for first in dict.fromkeys((other[0], other[0].translate(_TO_DIGIT))):
            fixed = first + other[1:]
            if PROCEDURE.fullmatch(fixed):
                yield Reading(fixed, MENDED ** sum(one != two for one, two in zip(value, fixed, strict=True)))
                break
    if value:
        yield Reading(value, 0.5)


def _listed(text: str, options: Options) -> Iterator[Reading]:
    wanted = plain(text)
    limit = tolerance(len(wanted))
    scored = sorted((distance(wanted, plain(name), limit), name) for name in options.names)
    if scored and wanted and scored[0][0] <= limit and (len(scored) == 1 or scored[1][0] > scored[0][0]
                                                        or options.names[scored[1][1]] == options.names[scored[0][1]]):
        # Some letters of a name that is known were misread: it is still that name and no other.
        yield Reading(options.names[scored[0][1]], 1 - 0.5 * scored[0][0] / len(wanted))
        return
    if value := trimmed(text):
        yield Reading(value, 0.5)


#: What a digit in the place of the chapter's letter may have been.
_FIRST: Final = {"1": "IL", "3": "J", "5": "S", "8": "B", "6": "G", "2": "Z", "€": "E", "£": "E", "|": "IL"}
#: ICD-10-CM: a letter but U, a digit, a digit or A or B, and up to four after the point (CMS/NCHS guidelines, section I.A).
ICD10: Final = re.compile(r"[A-TV-Z]\d[0-9AB](\.[0-9A-Z]{1,4})?")
#: CPT: four digits and a digit, F or T; HCPCS level II: a letter A to V and four digits.
PROCEDURE: Final = re.compile(r"\d{4}[0-9FT]|[A-V]\d{4}")

KINDS: Final[Mapping[str, Kind]] = {
    "text": _text, "identifier": _identifier, "member_id": _identifier, "npi": _npi, "phone": _phone, "date": _date,
    "name": _name, "icd10": _icd10, "procedure": _procedure, "listed": _listed}
