"""Validators: what can be said of a value without the page. Each says valid, invalid, or that it cannot tell.

A validator is never outvoted by confidence (A1.3). Two validators that say opposite things of one value are a finding of
their own: one of them, or the master data, is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from canonical.document import Validation, Verdict
from canonical.findings import Severity, declare
from canonical.presence import ABSENT
from mapper.extract.kinds import ICD10, PROCEDURE
from mapper.extract.known import Known
from mapper.extract.sheet import distance, plain
from mapper.vocab import Vocab

CHECK_DIGIT: Final = declare("extract.check_digit", Severity.ERROR, "the NPI's check digit is wrong",
                             "a person must read the number from the page, or ask the referring practice")
SHAPE: Final = declare("extract.shape", Severity.ERROR, "the value does not have the shape of its kind",
                       "a person must read it from the page; for a new kind of number change `shape` of the row")
NOT_LISTED: Final = declare("extract.not_listed", Severity.ERROR, "the code is in no table",
                            "a person must read it from the page; where the code is real, add it to the code table")
IMPLAUSIBLE: Final = declare("extract.implausible_date", Severity.ERROR, "the date cannot be right",
                             "a person must read it from the page: it is in the future, too long ago, or out of order")
DIFFERS: Final = declare("extract.master_differs", Severity.ERROR, "the master data says something else",
                         "a person must decide which is right; correct the directory where the page is")
UNKNOWN_TO_MASTER: Final = declare("extract.not_in_master", Severity.INFO, "the master data does not know this number",
                                   "nothing, where new patients or providers are expected; else look at the number")
DISAGREE: Final = declare("extract.validators_disagree", Severity.WARNING, "two validators say opposite things of one field",
                          "look at both: the page, the master data or a code table is wrong")
SEVERAL: Final = declare("extract.several_boxes", Severity.ERROR, "not exactly one box of the group is ticked",
                         "a person must look at the page, or ask the referring practice")

_OLDEST: Final = 120
_STALE: Final = timedelta(days=730)


def valid(name: str) -> Validation:
    """The value passed."""
    return Validation(validator=name, verdict=Verdict.VALID)


def invalid(name: str, code: str) -> Validation:
    """The value failed."""
    return Validation(validator=name, verdict=Verdict.INVALID, finding=code)


def unsure(name: str, code: str = "") -> Validation:
    """The validator could not tell."""
    return Validation(validator=name, verdict=Verdict.UNKNOWN, finding=code or ABSENT)


def npi(value: str) -> Validation:
    """The check digit of an NPI: Luhn over 80840 and the number (45 CFR 162.406; CMS NPI check digit)."""
    if not re.fullmatch(r"[12]\d{9}", value):
        return invalid("npi", SHAPE.name)
    total = 24
    for index, digit in enumerate(reversed(value[:9])):
        doubled = int(digit) * (2 if index % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return valid("npi") if (total + int(value[9])) % 10 == 0 else invalid("npi", CHECK_DIGIT.name)


def shape(value: str, pattern: re.Pattern[str]) -> Validation:
    """Whether a value has the shape that the row demands."""
    return valid("shape") if pattern.fullmatch(value) else invalid("shape", SHAPE.name)


def coded(value: str, kind: str, table: Vocab | None) -> list[Validation]:
    """Shape and table of a diagnosis or procedure code. A table that says
    ``partial: yes`` cannot say *no*."""
    pattern = ICD10 if kind == "icd10" else PROCEDURE
    if not pattern.fullmatch(value):
        return [invalid(f"{kind}.shape", SHAPE.name)]
    found = [valid(f"{kind}.shape")]
    if table is None:
        return [*found, unsure(f"{kind}.table")]
    if value in table.inward:
        return [*found, valid(f"{kind}.table")]
    return [*found, unsure(f"{kind}.table", NOT_LISTED.name) if table.partial else invalid(f"{kind}.table", NOT_LISTED.name)]


def listed(value: str, names: Mapping[str, str]) -> Validation:
    """Whether a name is one of a list."""
    return valid("list") if value in names.values() else invalid("list", NOT_LISTED.name)


def plausible(value: str, *, birth: bool, today: date) -> Validation:
    """Whether a date can be what it should be: a birth within 120 years, anything else within two years before today
    and five after."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return invalid("date", SHAPE.name)
    if birth:
        fits = today.year - _OLDEST <= day.year and day <= today
    else:
        fits = today - _STALE <= day <= today + timedelta(days=5 * 365)
    return valid("date") if fits else invalid("date", IMPLAUSIBLE.name)


def phone(value: str) -> Validation:
    """A number of the North American plan: area and exchange begin with 2 to 9."""
    return valid("phone") if re.fullmatch(r"\([2-9]\d\d\) [2-9]\d\d-\d{4}", value) else invalid("phone", SHAPE.name)


def name(value: str) -> Validation:
    """Letters, blanks, apostrophes, hyphens and points; a family name and a given name, each beginning with a capital."""
    fits = re.fullmatch(r"[^\W\d_][\w'\-]*(?: [^\W\d_][\w'\-]*)*, [^\W\d_][\w'\-]*(?: [^\W\d_][\w'\-]*)*", value)
    if not fits or any(letter.isdigit() for letter in value):
        return invalid("name", SHAPE.name)
    parts = re.split(r"[ ,]+", value)
    return valid("name") if all(_cased(part) for part in parts) else invalid("name", SHAPE.name)


def _cased(part: str) -> bool:
    """Capital first and no capital in the middle but after Mc, Mac, O' and hyphens; or all capitals."""
    if part.isupper():
        return True
    if not part[:1].isupper():
        return part in {"de", "da", "van", "von", "der", "den", "la", "le", "di", "del"}
    rest = re.sub(r"^(Mc|Mac|O'|D'|De|La|Le|Van|Di|Du)(?=[A-Z])|[-'][A-Z]", "", part[0] + part[1:])
    return not any(letter.isupper() for letter in rest[1:])


def member_id(value: str, payer: str, patterns: Mapping[str, str]) -> Validation:
    """Whether a member id has the shape of its payer's. Without a payer, or a pattern of it, nobody can tell."""
    pattern = patterns.get(payer)
    if pattern is None:
        return unsure("member_id")
    return valid("member_id") if re.fullmatch(pattern, value) else invalid("member_id", SHAPE.name)


def ordered(first: str, second: str) -> bool:
    """Whether two ISO dates are in order."""
    return first <= second


def alike(one: str, other: str) -> bool:
    """Whether two names can be the same: all letters but a fifth."""
    left, right = plain(one), plain(other)
    limit = max(1, min(len(left), len(right)) // 5)
    return distance(left, right, limit) <= limit


def provider(number: str, read: str, known: Known) -> tuple[Validation, str]:
    """The directory's word about an NPI and the name beside it, and the directory's own spelling of it."""
    if not known.master.has_providers():
        return unsure("provider"), ""
    person = known.master.provider(number)
    if person is None:
        return unsure("provider", UNKNOWN_TO_MASTER.name), ""
    full = f"{person.family}, {person.given}" if person.given else person.family
    if read and not alike(full, read):
        return invalid("provider", DIFFERS.name), ""
    return valid("provider"), full


def patient(number: str, read: str, birth: str, known: Known) -> Validation:
    """The index's word about a record number, and the name and birth date beside it."""
    if not known.master.has_patients():
        return unsure("patient")
    person = known.master.patient(number)
    if person is None:
        return unsure("patient", UNKNOWN_TO_MASTER.name)
    full = f"{person.family}, {person.given}" if person.given else person.family
    if (read and not alike(full, read)) or (birth and person.birth_date and birth != person.birth_date):
        return invalid("patient", DIFFERS.name)
    return valid("patient")
