"""Claim status over X12 (X212): what is asked is good by the guide, and what is answered has its families and advice."""

from __future__ import annotations

import msgspec
import pytest

from canonical.claim_status import (
    Advice,
    ClaimLine,
    ClaimStatus,
    ClaimStatusCheck,
    StatusCode,
    StatusFamily,
    advice,
    families,
)
from canonical.coverage import Coverage, Money
from canonical.model import CodeableConcept, Coding, Date, Identifier, Patient, Period, Reference
from connectors.x12.build import Stamp, seal
from connectors.x12.edi import parse
from connectors.x12.judge import judge
from mapper.mapping import WriteContext
from tests.mappings import tables
from tests.mappings.test_fhir_payers import ACME, NORA, NOW

CONTEXT = {"sender_qualifier": "ZZ", "interchange_sender": "NORTHGATE", "receiver_qualifier": "ZZ",
           "interchange_receiver": "ACME", "usage": "T", "payer_qualifier": "PI",
           "application_sender": "NORTHGATE", "application_receiver": "ACME"}
OWN = ClaimStatusCheck(
    identifiers=(Identifier(value="C1", type="TRN", assigner="DRAGOMAN"),), payer=ACME, patient=NORA,
    coverage=Coverage(member_id="M123"), receiver=Reference(display="NORTHGATE", identifiers=(Identifier(value="X67E"),)),
    provider=Reference(display="NORTHGATE CLINIC", identifiers=(Identifier(value="1234567893", type="NPI"),)),
    patient_control_number="SM1", payer_control_number="P77", bill_type="111", charged=Money(amount="8513.88"),
    period=Period(start=Date("2026-03-01"), end=Date("2026-03-06")), submitter_reference="B1",
    lines=(ClaimLine(identifier="L1", procedure=CodeableConcept(coding=(Coding(code="99203"),)), charged=Money(amount="150"),
                     quantity="1", period=Period(start=Date("2026-03-01"))),))
CHILD = msgspec.structs.replace(
    OWN, lines=(), coverage=Coverage(member_id="M123", subscriber=Patient(
        names=NORA.names, birth_date=Date("1955-01-31"), sex="male")))


@pytest.mark.parametrize("check", [OWN, CHILD], ids=["member", "dependent"])
def test_a_question_is_good_by_the_guide_and_nothing_of_it_is_left_behind(check: ClaimStatusCheck) -> None:
    trace = tables.library().mapping("x12/276").trace_write(check, WriteContext(identity="D-1", now=NOW, values=CONTEXT))
    assert trace.writing.findings == ()
    # Our own record number is nothing to a payer, and the guide has no originator of a trace (TRN03).
    assert {leaf for leaf in trace.unwritten if not leaf.startswith("patient.identifiers")} == {"identifiers(0).assigner"}
    sealed = seal(trace.writing.wire, Stamp(interchange=907, date="20260302", time="0701"))
    verdict = judge(parse(sealed.emit()).interchanges[0])
    assert verdict.problems == ()
    assert [each.problems for group in verdict.groups for each in group.sets] == [()]


def answered(*codes: str) -> ClaimStatusCheck:
    return ClaimStatusCheck(statuses=tuple(ClaimStatus(codes=(StatusCode(category=code),)) for code in codes))


@pytest.mark.parametrize(("codes", "asked"), [
    (("F1",), None), (("A1", "P3"), None), (("E1",), Advice.AGAIN), (("E2", "E1"), Advice.AGAIN), (("E0",), Advice.CORRECT),
    (("E1", "E3"), Advice.CORRECT), (("D0",), None), ((), None)])
def test_an_error_says_whether_to_ask_again(codes: tuple[str, ...], asked: Advice | None) -> None:
    """E1 and E2: the payer's own trouble; the others are about what was sent, and are never answered unchanged."""
    assert advice(answered(*codes)) == asked


def test_statuses_belong_to_families() -> None:
    assert families(answered("A1", "P3", "F2", "R4", "E0", "D0", "Z9")) == set(StatusFamily)
