"""Requests for authorisation and their decisions as Da Vinci PAS shapes them (spec 4.6, 4.7)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from canonical.authorization import Authorization, AuthorizationStatus, AuthorizedService
from canonical.coverage import Coverage, PayerError
from canonical.findings import Severity
from canonical.model import (
    CodeableConcept,
    Coding,
    Date,
    Diagnosis,
    HumanName,
    Identifier,
    Patient,
    Period,
    Reference,
)
from mapper.mapping import ReadContext, WriteContext, Writing
from tests.mappings import tables
from tests.mappings.test_fhir_payers import ACME, NORA, NOW, TRACE, problems

PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/"
CPT = "http://www.ama-assn.org/go/cpt"


def procedure(code: str) -> CodeableConcept:
    return CodeableConcept(coding=(Coding(code=code, system=CPT),))


REQUEST = Authorization(
    identifiers=(TRACE,), category="HS", action="initial", patient=NORA, payer=ACME,
    coverage=Coverage(member_id="M1", relationship="child", subscriber=Patient(names=(HumanName(family="ASHBY"),))),
    requester=Reference(display="NORTHGATE", identifiers=(Identifier(value="1234567893", type="NPI"),)),
    provider=Reference(name=HumanName(family="REYES"), identifiers=(Identifier(value="1987654321", type="NPI"),)),
    valid=Period(start=Date("2026-03-10"), end=Date("2026-04-10")),
    diagnoses=(Diagnosis(code=CodeableConcept(coding=(Coding(code="M54.5", system="http://hl7.org/fhir/sid/icd-10-cm"),)),
                         type="principal"),),
    services=(
        AuthorizedService(sequence=1, trace="S-1", code=procedure("70551"), quantity="1", unit="VS",
                          period=Period(start=Date("2026-03-10"), end=Date("2026-03-12"))),
        AuthorizedService(sequence=2, code=procedure("70553"), quantity="2"),
    ))


def write(entity: Authorization, table: str) -> Writing:
    writing = tables.library().mapping(table).write(entity, WriteContext(identity="D-1", now=NOW, values=tables.CONTEXT))
    assert [str(found) for found in writing.findings if found.severity is not Severity.INFO] == []
    assert problems(writing.wire) == []
    return writing


def said(wire: Any, table: str) -> Any:
    (event,) = tables.library().mapping(table).read(wire, ReadContext(message_id="m", channel="c", received_at=1)).events
    return event


def test_a_request_is_a_bundle_with_the_claim_first_and_comes_back_whole() -> None:
    """PAS: every reference is to another entry; the Bundle says when and which transaction."""
    writing = write(REQUEST, "fhir/pas_request")
    wire = writing.wire
    assert (wire["type"], wire["timestamp"], wire["identifier"]["value"]) == ("collection", NOW, "D-1")
    kinds = [entry["resource"]["resourceType"] for entry in wire["entry"]]
    assert kinds[0] == "Claim"
    assert sorted(kinds[1:]) == ["Coverage", "Organization", "Organization", "Patient", "Patient", "Practitioner"]
    assert not any("request" in entry for entry in wire["entry"])
    names = {entry["fullUrl"] for entry in wire["entry"]}
    assert {reference for reference in _references(wire)} <= names
    event = said(wire, "fhir/claim")
    assert (event.type, event.subject_key) == ("authorization.submitted", "authorization:DRAGOMAN|T1")
    assert event.entity == REQUEST


def _references(node: Any) -> set[str]:
    found: set[str] = set()
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        if name == "reference":
            found.add(value)
        elif isinstance(value, (dict, list)):
            found |= _references(value)
    return found


def test_a_request_goes_to_the_submit_operation() -> None:
    assert write(REQUEST, "fhir/pas_request").attributes == {"method": "POST", "path": "Claim/$submit"}


def test_the_same_request_has_the_same_bytes() -> None:
    once, again = (json.dumps(write(REQUEST, "fhir/pas_request").wire) for _ in range(2))
    assert once == again


def test_each_item_says_what_is_said_of_the_whole_and_both_numbers_stay_apart() -> None:
    """X45: the number of a certification is not the number of an administrative refusal; UM01 and UM02 at every item."""
    request = msgspec.structs.replace(REQUEST, action="revised", number="AUTH7", administrative_reference="ADM1")
    wire = write(request, "fhir/claim").wire
    for item in wire["item"]:
        told = {one["url"].removeprefix(PAS): one for one in item["extension"]}
        assert told["extension-authorizationNumber"]["valueString"] == "AUTH7"
        assert told["extension-administrationReferenceNumber"]["valueString"] == "ADM1"
        assert told["extension-certificationType"]["valueCodeableConcept"]["coding"][0]["code"] == "S"
        assert told["extension-serviceItemRequestType"]["valueCodeableConcept"]["coding"][0]["code"] == "HS"
    assert said(wire, "fhir/claim").entity == request


def test_a_cancellation_names_the_request_it_withdraws_and_flags_every_item() -> None:
    """profile-claim-update: code 3, the flag, and `related` with relationship prior; it goes through $submit again."""
    cancel = msgspec.structs.replace(
        REQUEST, identifiers=(Identifier(value="T2", type="TRN", assigner="DRAGOMAN"),), action="cancel", replaces=TRACE,
        services=tuple(msgspec.structs.replace(one, cancelled=True) for one in REQUEST.services or ()))
    writing = write(cancel, "fhir/pas_request")
    claim = writing.wire["entry"][0]["resource"]
    assert writing.attributes["path"] == "Claim/$submit"
    assert claim["related"][0]["claim"]["identifier"]["value"] == "T1"
    assert claim["related"][0]["relationship"]["coding"][0]["code"] == "prior"
    assert [item["modifierExtension"][0]["valueBoolean"] for item in claim["item"]] == [True, True]
    assert said(writing.wire, "fhir/claim").entity == cancel


DECISIONS = {"A1": "approved", "A2": "partial", "A3": "denied", "A4": "pended", "A6": "modified", "C": "cancelled",
             "CT": "contact-payer", "NA": "not-required"}


@pytest.mark.parametrize(("action", "status"), DECISIONS.items())
def test_each_decision_survives_with_its_code_number_and_reasons(action: str, status: str) -> None:
    """HCR01 and HCR02 by service (X38); a pended case is queued (X40), everything else is complete."""
    decision = Authorization(
        identifiers=(TRACE,), status=AuthorizationStatus(status), patient=NORA, payer=ACME,
        requester=REQUEST.requester, number="AUTH7", administrative_reference="ADM1", superseded_numbers=("AUTH6",),
        valid=Period(start=Date("2026-03-10"), end=Date("2026-04-10")), comments=("Call us",),
        services=(
            AuthorizedService(sequence=1, trace="S-1", action=action, decision=AuthorizationStatus(status), number="AUTH7-1",
                              reasons=("0V", "0U"), code=procedure("70551"), certified_quantity="1",
                              certified_period=Period(start=Date("2026-03-10"), end=Date("2026-03-20"))),
            AuthorizedService(sequence=2, action="A1", decision=AuthorizationStatus.APPROVED, number="AUTH7-2"),
        ))
    wire = write(decision, "fhir/pas_response").wire
    response = wire["entry"][0]["resource"]
    assert response["outcome"] == ("queued" if action == "A4" else "complete")
    event = said(wire, "fhir/claim_response")
    assert event.type == ("authorization.pended" if action == "A4" else "authorization.decided")
    assert event.subject_key == "authorization:DRAGOMAN|T1"
    assert event.entity == decision


def test_a_refused_request_is_an_error_with_raw_codes() -> None:
    refused = Authorization(identifiers=(TRACE,), patient=NORA, payer=ACME,
                            errors=(PayerError(layer="aaa", code="75", loop="2010C", follow_up="C"),))
    wire = write(refused, "fhir/claim_response").wire
    assert wire["outcome"] == "error"
    assert wire["error"][0]["code"]["coding"][0] == {"system": "https://codesystem.x12.org/005010/901", "code": "75"}
    assert said(wire, "fhir/claim_response").entity == refused
