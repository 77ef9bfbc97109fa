"""What a payer's answer comes to (X29 to X37)."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from canonical import history
from canonical.coverage import (
    Benefit,
    BenefitPeriod,
    CheckStatus,
    EligibilityCheck,
    EligibilityResult,
    EligibilityStatus,
    PayerError,
)
from canonical.eligibility import concluded, differences, status_of
from canonical.event import Event, Source, Version
from canonical.model import Address, Date, HumanName, Identifier, Instant, Patient, Period

Status = EligibilityStatus
DAY = "20260310"


def eb(information: str, *services: str, **periods: str) -> Benefit:
    """A benefit; ``dtp346="20260101"``, ``dtp291="20260101-20261231"``."""
    found = []
    for name, text in periods.items():
        start, _, end = text.partition("-")
        found.append(BenefitPeriod(qualifier=name[3:], period=Period(start=_date(start), end=_date(end)) if end
                                   else Period(start=_date(start))))
    return Benefit(information=information, service_types=services, periods=tuple(found))


def _date(text: str) -> Date:
    return Date(f"{text[:4]}-{text[4:6]}-{text[6:]}")


def state(*benefits: Benefit, asked: tuple[str, ...] = (), day: str = DAY, errors: tuple[str, ...] = ()) -> Status:
    return status_of(EligibilityResult(benefits=benefits, errors=tuple(
        PayerError(layer="aaa", code=code) for code in errors)), asked, day)


@pytest.mark.parametrize(("expected", "benefits", "asked"), [
    (Status.ACTIVE, [eb("1", "30")], ()),
    (Status.ACTIVE, [eb("1")], ()),
    (Status.ACTIVE, [eb("5", "30", "98"), eb("B", "98")], ("30", "98")),
    (Status.ACTIVE, [eb("1", "98")], ("98",)),
    (Status.INACTIVE, [eb("6", "30")], ()),
    (Status.INACTIVE, [eb("8", "30")], ("98",)),
    (Status.INACTIVE, [eb("I", "98")], ("98",)),
    (Status.PARTIAL, [eb("1", "30"), eb("I", "98")], ("98",)),
    (Status.PARTIAL, [eb("1", "30")], ("98",)),
    (Status.PARTIAL, [eb("1", "98")], ()),
    (Status.PARTIAL, [eb("1", "30", "98")], ("98", "62")),
    (Status.PARTIAL, [eb("B", "98"), eb("C", "30")], ()),
    (Status.PAYER_UNAVAILABLE, [eb("V")], ()),
])
def test_benefits_come_to_one_state(expected: Status, benefits: list[Benefit], asked: tuple[str, ...]) -> None:
    """X30, X32, X37: active means that what was asked for is covered; a service says nothing of the plan."""
    for order in itertools.permutations(benefits):
        assert state(*order, asked=asked) is expected


@pytest.mark.parametrize(("codes", "expected"), [
    (["75"], Status.NOT_FOUND), (["67"], Status.NOT_FOUND), (["72", "73"], Status.NOT_FOUND), (["71"], Status.NOT_FOUND),
    (["76"], Status.AMBIGUOUS), (["68", "42"], Status.AMBIGUOUS),
    (["42"], Status.PAYER_UNAVAILABLE), (["80"], Status.PAYER_UNAVAILABLE),
    (["41"], Status.REJECTED), (["51"], Status.REJECTED), (["57"], Status.REJECTED), (["T4"], Status.REJECTED),
    (["15"], Status.REJECTED), (["99"], Status.REJECTED), ([], Status.PARTIAL)])
def test_errors_alone_come_to_who_must_act(codes: list[str], expected: Status) -> None:
    """X29, A1.4: not found, ambiguous, away and rejected are four different things."""
    assert state(errors=tuple(codes)) is expected


def test_an_active_plan_with_an_error_beside_it_passes_no_rule() -> None:
    """X37"""
    assert state(eb("1", "30"), errors=("15",)) is Status.PARTIAL


@pytest.mark.parametrize(("expected", "benefits"), [
    (Status.ACTIVE, [eb("1", "30", dtp346="20260101"), eb("6", "30", dtp347="20251231")]),
    (Status.INACTIVE, [eb("1", "30", dtp346="20260401"), eb("6", "30", dtp346="20250101")]),
    (Status.INACTIVE, [eb("6", "30", dtp291="20260301-20260331"), eb("1", "30")]),
    (Status.ACTIVE, [eb("1", "30", dtp307="20260101-20261231"), eb("6", "30", dtp307="20250101-20251231")]),
    (Status.ACTIVE, [eb("1", "30", dtp291="20260101")]),
    (Status.PARTIAL, [eb("1", "30", dtp291="20260401-20260430")]),
])
def test_contradictions_are_resolved_by_the_day_of_the_service(expected: Status, benefits: list[Benefit]) -> None:
    """X33: 346 begins, 347 ends, 291 and 307 are eligible stretches."""
    for order in itertools.permutations(benefits):
        assert state(*order) is expected


def _person(**fields: object) -> Patient:
    base = Patient(names=(HumanName(family="Ashby", given=("Nora",)),), birth_date=Date("1980-02-29"), sex="female",
                   addresses=(Address(line=("1 Main St.",), city="Duluth", postal_code="55802"),))
    return msgspec.structs.replace(base, **fields)


def test_only_real_differences_of_demographics_are_told() -> None:
    """X28: case, blanks and what one side lacks do not count."""
    shouted = Patient(names=(HumanName(family="ASHBY", given=("NORA", "M")),), birth_date=Date("1980-02-29"),
                      addresses=(Address(line=("1 MAIN ST",), city="DULUTH", postal_code="558021234"),))
    assert list(differences(_person(), shouted)) == []
    moved = _person(birth_date=Date("1980-02-28"), names=(HumanName(family="Smith", given=("Nora",)),))
    assert [(d.field, d.ours, d.theirs) for d in differences(_person(), moved)] == [
        ("names(0).family", "Ashby", "Smith"), ("birth_date", "19800229", "19800228")]


def _event(number: int, entity: EligibilityCheck, kind: str) -> Event:
    return Event(id=f"E{number}", type=kind, subject_key="eligibility:DRAGOMAN|T1", entity=entity, received_at=number,
                 version=Version(at=f"2026030207000{number}.000000", tie=f"E{number}"), source=Source(channel="c"),
                 message_id=f"E{number}", occurred_at="2026-03-02T07:00:00Z", revision="r")


def test_the_state_of_a_check_is_worked_out_from_question_and_answer_in_any_order() -> None:
    """X27, X37, D07: a late answer, or one before its question, comes to the same."""
    question = _event(1, EligibilityCheck(
        identifiers=(Identifier(value="T1", type="TRN"),), status=CheckStatus.CREATED, service_types=("98",),
        service_date=Date("2026-03-10"), patient=_person()), "eligibility.requested")
    answer = _event(2, EligibilityCheck(status=CheckStatus.ANSWERED, result=EligibilityResult(
        benefits=(eb("1", "30"), eb("1", "98")), patient=_person(sex="male"), answered_at=Instant(
            "2026-03-02T07:00:01Z"))), "eligibility.answered")
    for order in itertools.permutations([question, answer]):
        check = history.fold(order)
        assert isinstance(check, EligibilityCheck)
        assert check.result
        assert check.result.status is Status.ACTIVE
        assert [d.field for d in check.result.differences or ()] == ["sex"]


def test_what_an_answer_says_itself_is_kept() -> None:
    """A FHIR answer, or a cached one, has its state already."""
    said = EligibilityCheck(result=EligibilityResult(status=Status.INACTIVE, benefits=(eb("1", "30"),)))
    assert concluded(said).result == said.result
