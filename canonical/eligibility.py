"""What a payer's answer comes to: one state from many benefits and errors (spec 4.5).

The rules stand here and nowhere else, and look at question and answer together: a benefit counts on the day of the
service, and *active* means that everything that was asked for is covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from canonical import aaa
from canonical.aaa import Disposition
from canonical.coverage import (
    Benefit,
    BenefitPeriod,
    Difference,
    EligibilityCheck,
    EligibilityResult,
    EligibilityStatus,
)
from canonical.model import Patient
from canonical.presence import ABSENT

Status = EligibilityStatus
#: Health benefit plan coverage: the plan as a whole.
PLAN: Final = "30"
#: EB01 (X30).
ACTIVE: Final = frozenset("12345")
INACTIVE: Final = frozenset("678")
NOT_COVERED: Final = "I"
CANNOT_PROCESS: Final = "V"
#: Not part of a family name (CAQH CORE 258 §4).
_TITLES: Final = frozenset({
    "jr", "sr", "i", "ii", "iii", "iv", "v", "rn", "md", "mr", "mrs", "ms", "dr", "phd", "rev", "esq"})
#: DTP01 of a single benefit or of the plan: begin, end, or both (X33).
_BEGINS: Final = frozenset({"346", "356"})
_ENDS: Final = frozenset({"347", "357"})
_DURING: Final = frozenset({"291", "307", "292", "472"})


def concluded(check: EligibilityCheck) -> EligibilityCheck:
    """The check with what its answer comes to, and where the payer's demographics differ, unless the answer itself
    says so."""
    result = check.result
    if not result or (result.status and result.differences):
        return check
    changes: dict[str, Any] = {}
    if not result.status:
        day = _day(check.service_date)
        changes["status"] = status_of(result, check.service_types or (), day)
        plan = _covered(_counting(result, day), PLAN, day)
        if result.in_force is ABSENT and plan is not None:
            changes["in_force"] = plan
    if not result.differences and check.patient and result.patient:
        changes["differences"] = tuple(differences(check.patient, result.patient))
    return msgspec.structs.replace(check, result=msgspec.structs.replace(result, **changes))


def status_of(result: EligibilityResult, asked: Iterable[str], day: str) -> Status:
    """One of the seven states (X37).

    Args:
        asked: service types of the question; none: the plan as a whole.
        day: of the service, ``20260310``; empty: not stated.
    """
    benefits = _counting(result, day)
    stated = result.in_force if isinstance(result.in_force, bool) else None
    if not benefits and (result.errors or stated is None):
        return _failed([error.code for error in result.errors or ()])
    plan = _covered(benefits, PLAN, day)
    if plan is None:
        plan = stated
    wanted = [service for service in asked if service != PLAN]
    if plan is False:
        return Status.INACTIVE
    if benefits and all(benefit.information == CANNOT_PROCESS for benefit in benefits):
        return Status.PAYER_UNAVAILABLE
    answers = [_covered(benefits, service, day) for service in wanted]
    if not wanted:
        answers = [plan]  # X32: a row for a service says nothing of the plan
    if all(answer is True for answer in answers) and not result.errors:
        return Status.ACTIVE
    if wanted and all(answer is False for answer in answers) and plan is None:
        return Status.INACTIVE
    return Status.PARTIAL


def _counting(result: EligibilityResult, day: str) -> list[Benefit]:
    """The benefits that say something of the patient, each with a period where the plan has one."""
    benefits = [benefit for benefit in result.benefits or () if benefit.information]
    # X28: where the patient is a dependent, the subscriber's own benefits say nothing of theirs.
    benefits = [benefit for benefit in benefits if benefit.whose == "dependent"] or benefits
    if result.coverage and day and (period := result.coverage.period):
        benefits = [each if each.periods else msgspec.structs.replace(each, periods=(
            BenefitPeriod(qualifier="307", period=period),)) for each in benefits]
    return benefits


def _covered(benefits: Iterable[Benefit], service: str, day: str) -> bool | None:
    """Whether a service is covered on a day; None where nothing is said.

    Where rows contradict each other, those that name the day count (X33); else the better one: a member may have an
    ended plan beside the present one.
    """
    told: list[tuple[bool, bool]] = []
    for benefit in benefits:
        services = benefit.service_types or ((PLAN,) if benefit.information in ACTIVE | INACTIVE else ())
        if service not in services:
            continue
        within = _within(benefit, day)
        if within is False:
            continue
        if benefit.information in ACTIVE:
            told.append((within is True, True))
        elif benefit.information in INACTIVE or benefit.information == NOT_COVERED:
            told.append((within is True, False))
    if not told:
        return None
    dated = [covered for certain, covered in told if certain]
    return any(dated or [covered for _, covered in told])


def _within(benefit: Benefit, day: str) -> bool | None:
    """Whether the day is inside the periods of a benefit; None where it has none, or no day is known."""
    if not day:
        return None
    answer: bool | None = None
    for each in benefit.periods or ():
        period = each.period
        if not period:
            continue
        start, end = _day(period.start), _day(period.end)
        if each.qualifier in _BEGINS and start:
            inside = start <= day
        elif each.qualifier in _ENDS and (end or start):
            inside = day <= (end or start)
        elif each.qualifier in _DURING and start:
            # A single day begins an open stretch: payers send 291*D8 as *eligible since*.
            inside = start <= day and (not end or day <= end)
        else:
            continue
        if not inside:
            return False
        answer = True
    return answer


def _failed(codes: list[str]) -> Status:
    """What errors alone come to. The reason that a person can mend soonest counts."""
    if not codes:
        return Status.PARTIAL  # an answer that says nothing
    if aaa.SEVERAL & set(codes):
        return Status.AMBIGUOUS
    match aaa.disposition(codes):
        case Disposition.SEARCH | Disposition.REGISTRATION:
            return Status.NOT_FOUND
        case Disposition.AGAIN:
            return Status.PAYER_UNAVAILABLE
        case _:
            return Status.REJECTED


def differences(ours: Patient, theirs: Patient) -> Iterator[Difference]:
    """Where the payer's demographics are not ours. Case and blanks do not count; what one side lacks does not."""
    for field, one, other in _pairs(ours, theirs):
        if one and other and _plain(one) != _plain(other):
            yield Difference(field=field, ours=one, theirs=other)


def _pairs(ours: Patient, theirs: Patient) -> Iterator[tuple[str, str, str]]:
    name, named = _first(ours.names), _first(theirs.names)
    if name is not None and named is not None:
        yield "names(0).family", _surname(name.family or ""), _surname(named.family or "")
        yield "names(0).given(0)", _first(name.given) or "", _first(named.given) or ""
    yield "birth_date", _day(ours.birth_date), _day(theirs.birth_date)
    yield "sex", ours.sex or "", theirs.sex or ""
    home, told = _first(ours.addresses), _first(theirs.addresses)
    if home is not None and told is not None:
        yield "addresses(0).line(0)", _first(home.line) or "", _first(told.line) or ""
        yield "addresses(0).city", home.city or "", told.city or ""
        yield "addresses(0).postal_code", (home.postal_code or "")[:5], (told.postal_code or "")[:5]


def _surname(text: str) -> str:
    """A family name without the titles and suffixes that payers put beside it (CAQH CORE 258; X18)."""
    words = text.split()
    kept = [word for word in words if _plain(word) not in _TITLES]
    return " ".join(kept) or text


def _first(items: Any) -> Any:
    return items[0] if items else None


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _day(date: object) -> str:
    """``2026-03-10…`` as ``20260310``; empty where it is not a whole day."""
    text = str(date)[:10].replace("-", "") if date is not ABSENT and date else ""
    return text if len(text) == 8 and text.isdigit() else ""
