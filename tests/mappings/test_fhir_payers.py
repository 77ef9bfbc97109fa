"""Questions to payers and their answers as R4 (spec 4.7): valid, and the same when they come back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from canonical.coverage import (
    Answer,
    Benefit,
    BenefitPeriod,
    CheckStatus,
    Coverage,
    EligibilityCheck,
    EligibilityResult,
    EligibilityStatus,
    Money,
    PayerError,
    RelatedEntity,
)
from canonical.findings import Severity
from canonical.history import apply
from canonical.model import Date, HumanName, Identifier, Patient, Period, Reference
from connectors.fhir.validate import validate
from mapper.mapping import ReadContext, WriteContext
from tests.mappings import tables

NOW = "2026-03-02T07:01:00-06:00"
TRACE = Identifier(value="T1", type="TRN", assigner="DRAGOMAN")
NORA = Patient(identifiers=(Identifier(value="R100", system="urn:oid:2.999.1", type="MR"),),
               names=(HumanName(family="ASHBY", given=("NORA",)),), birth_date=Date("1980-02-29"), sex="female")
ACME = Reference(display="ACME HEALTH", identifiers=(Identifier(value="84261"),))
CHECK = EligibilityCheck(
    identifiers=(TRACE,), status=CheckStatus.CREATED, mode="real-time", patient=NORA, payer=ACME,
    coverage=Coverage(member_id="M123", group="G7", relationship="child",
                      subscriber=Patient(names=(HumanName(family="ASHBY", given=("TOM",)),), birth_date=Date("1955-01-31"))),
    provider=Reference(name=HumanName(family="REYES", given=("ANA",)),
                       identifiers=(Identifier(value="1234567893", type="NPI"),)),
    service_types=("98", "62"), service_date=Date("2026-03-10"))


def problems(resource: Any) -> list[str]:
    return [str(each) for each in validate(json.dumps(resource).encode()) if each.severity is not Severity.INFO]


def written(entity: Any, table: str) -> Any:
    writing = tables.library().mapping(table).write(entity, WriteContext(identity="D-1", now=NOW, values=tables.CONTEXT))
    assert [str(found) for found in writing.findings if found.severity is not Severity.INFO] == []
    return writing.wire


def back(wire: Any, table: str) -> Any:
    (event,) = tables.library().mapping(table).read(wire, ReadContext(message_id="m", channel="c", received_at=1)).events
    return event.entity


def test_a_question_is_valid_and_comes_back_whole() -> None:
    """H29: patient, coverage, subscriber and both sides are in it; the same question comes out of it."""
    wire = written(CHECK, "fhir/coverage_eligibility_request")
    assert problems(wire) == []
    assert sorted(one["id"] for one in wire["contained"]) == ["coverage", "insurer", "patient", "provider", "subscriber"]
    assert back(wire, "fhir/coverage_eligibility_request") == CHECK


def test_an_organization_asks_as_an_organization() -> None:
    check = msgspec.structs.replace(CHECK, provider=Reference(
        display="NORTHGATE CLINIC", identifiers=(Identifier(value="1234567893", type="NPI"),)))
    wire = written(check, "fhir/coverage_eligibility_request")
    provider = next(one for one in wire["contained"] if one["id"] == "provider")
    assert (provider["resourceType"], provider["name"]) == ("Organization", "NORTHGATE CLINIC")
    assert back(wire, "fhir/coverage_eligibility_request") == check


PLAN = Benefit(information="1", service_types=("30",))
NO_PLAN = Benefit(information="6", service_types=("30",))
RESULTS = {
    "active": EligibilityResult(benefits=(PLAN, Benefit(information="1", service_types=("98",)),
                                          Benefit(information="1", service_types=("62",)))),
    "inactive": EligibilityResult(benefits=(NO_PLAN,)),
    "not-found": EligibilityResult(errors=(PayerError(layer="aaa", code="75", loop="2100C", follow_up="C"),)),
    "ambiguous": EligibilityResult(errors=(PayerError(layer="aaa", code="76"), PayerError(layer="aaa", code="75"))),
    "payer-unavailable": EligibilityResult(errors=(PayerError(layer="aaa", code="42", follow_up="R"),)),
    "rejected": EligibilityResult(errors=(PayerError(layer="core.set_rejected", code="R"),)),
    "partial": EligibilityResult(benefits=(PLAN,)),
}


@pytest.mark.parametrize("state", [each.value for each in EligibilityStatus])
def test_each_state_is_valid_and_comes_to_the_same_at_the_other_side(state: str) -> None:
    """X37: worked out anew from the answer as a payer would give it, that is, without our own word for it."""
    known = apply(None, _event(msgspec.structs.replace(CHECK, status=CheckStatus.ANSWERED, result=RESULTS[state])))
    assert isinstance(known, EligibilityCheck)
    assert known.result
    assert known.result.status == state
    wire = written(known, "fhir/coverage_eligibility_response")
    assert problems(wire) == []
    assert wire["outcome"] == ("error" if known.result.errors else "complete")
    foreign = {**wire, "extension": [one for one in wire.get("extension", ())
                                     if not one["url"].endswith("/eligibility-status")]}
    said = back(foreign, "fhir/coverage_eligibility_response")
    again = apply(CHECK, _event(said))
    assert isinstance(again, EligibilityCheck)
    assert again.result
    assert again.result.status == state
    assert again.result.errors == known.result.errors


def _event(entity: EligibilityCheck) -> Any:
    wire = {"resourceType": "CoverageEligibilityResponse", "outcome": "complete", "created": NOW,
            "request": {"identifier": {"value": "T1"}}}
    (event,) = tables.library().mapping("fhir/coverage_eligibility_response").read(
        wire, ReadContext(message_id="m", channel="c", received_at=1)).events
    return msgspec.structs.replace(event, entity=entity)


FULL = EligibilityResult(
    in_force=True, patient=NORA,
    other_payers=(Reference(display="OTHER HEALTH", identifiers=(Identifier(value="777"),)),),
    coverage=Coverage(member_id="M123", group="G7", payer=ACME,
                      period=Period(start=Date("2026-01-01"), end=Date("2026-12-31"))),
    benefits=(
        Benefit(information="I", service_types=("35",), authorization_required=Answer.NO),
        Benefit(whose="subscriber", information="1", level="IND", service_types=("30",), insurance_type="HM",
                plan="GOLD PPO"),
        Benefit(information="B", level="FAM", service_types=("98",), term="27", amount=Money(amount="25"), in_network="both",
                authorization_required=Answer.UNKNOWN, messages=("PRIMARY CARE ONLY", "NOT AT NIGHT"),
                periods=(BenefitPeriod(qualifier="291", period=Period(start=Date("2026-01-01"))),)),
        Benefit(information="A", level="EMP", service_types=("98",), percent="0.2", in_network="yes", term="23",
                authorization_required=Answer.YES),
        Benefit(information="A", service_types=("98",), percent="0.125", in_network="no"),
        Benefit(information="C", service_types=("30",), term="24", amount=Money(amount="120.5", currency="USD"),
                in_network="unknown"),
        Benefit(information="F", service_types=("98",), quantity_kind="VS", quantity="20",
                amount=Money(amount="900"), term="32"),
        Benefit(information="L", service_types=("98",), entities=(RelatedEntity(
            role="P3", who=Reference(display="JONES", identifiers=(Identifier(value="1"),)), telephone="5550100"),)),
    ))


def test_everything_of_an_answer_comes_back() -> None:
    """X30 to X36; what R4 has no element for is an extension."""
    check = EligibilityCheck(identifiers=(TRACE,), status=CheckStatus.ANSWERED, payer=ACME, service_date=Date("2026-03-10"),
                             result=FULL)
    wire = written(check, "fhir/coverage_eligibility_response")
    assert problems(wire) == []
    types = [item["benefit"][0]["type"]["coding"][0] for item in wire["insurance"][0]["item"] if "benefit" in item]
    assert {one["code"] for one in types if one["system"].endswith("/benefit-type")} == {
        "copay", "copay-percent", "deductible", "benefit"}
    assert {one["code"] for one in types if one["system"].endswith("/1390")} == {"1", "L"}
    assert back(wire, "fhir/coverage_eligibility_response") == check


def test_a_benefit_for_several_services_is_an_item_for_each() -> None:
    """The codings of one category would all have to mean the same."""
    check = EligibilityCheck(identifiers=(TRACE,), status=CheckStatus.ANSWERED, payer=ACME, result=EligibilityResult(
        benefits=(Benefit(information="B", service_types=("98", "62"), amount=Money(amount="25")),)))
    items = written(check, "fhir/coverage_eligibility_response")["insurance"][0]["item"]
    assert [item["category"]["coding"][0]["code"] for item in items] == ["98", "62"]
    assert [item["benefit"][0]["allowedMoney"]["value"] for item in items] == [25, 25]
