"""A referral as a FHIR R4 transaction: valid, addressable, with its evidence (issue 5, D)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from canonical.document import Extracted, PageBox
from canonical.event import Event
from canonical.findings import Severity
from canonical.model import Date, HumanName, Identifier, Patient, Reference
from canonical.referral import DocumentReference, Party, Referral, ReferralStatus
from connectors.fhir.validate import validate
from mapper.mapping import WriteContext
from tests.mappings import tables

BASE = "https://dragoman.example/fhir/StructureDefinition/"
REFERRED = rb"""MSH|^~\&|PRACTICE|ELM|DRAGOMAN|HUB|20260310120000-0500||REF^I12^REF_I12|R-1|P|2.5.1
RF1|P|S|CARD^Cardiology^L||O|REF-1^PRACTICE|20260310|20260910|20260309|CHEST^Chest pain^L|EXT-1^HUB
PRD|RP|Blake^Beverly|1 Elm St^^Eastport^OH||^WPN^PH^^1^330^5550100|PH|1234567893^NPI|20200101|20301231|Elm Street Practice
PRD|RT|Okafor^Ada|||||1987654321^NPI
PID|1||123^^^MERCY^MR||Nowak^Anna||19800229|F
DG1|1||I10^Hypertension^I10|||A
PR1|1||93306^Echocardiogram^C4||20260401090000-0500
OBR|1||DOC-1^PRACTICE|11488-4^Consultation note^LN
OBX|1|ED|11488-4||^application^pdf^Base64^JVBERi0=||||||F
NTE|1||Please see soon
""".replace(b"\n", b"\r")


def by_kind(wire: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for entry in wire["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def sound(wire: Any) -> bool:
    """By our own rules, and by the models of ``fhir.resources``, each resource by itself."""
    assert [str(each) for each in validate(json.dumps(wire).encode()) if each.severity is not Severity.INFO] == []
    for entry in wire["entry"]:
        get_fhir_model_class(entry["resource"]["resourceType"]).model_validate(entry["resource"])
    return True


def event() -> Event:
    (said,) = tables.read(REFERRED, "hl7v2/ref").events
    return said


def bundle() -> Any:
    writing = tables.write(event(), "fhir/referral", state=tables.state_of(event()))
    assert not writing.fatal
    return writing.wire


def fax(**changes: Any) -> Referral:
    """As extraction makes one: people by name, evidence with a box."""
    said: dict[str, Any] = {
        "identifiers": (Identifier(value="ab12", type="FILL", assigner="dragoman"),), "status": ReferralStatus.INCOMPLETE,
        "patient": Patient(names=(HumanName(family="Quillfeather", given=("Aurelia",)),), birth_date=Date("1979-04-22")),
        "referring": Party(who=Reference(name=HumanName(family="Holloway", given=("Miriam",)))),
        "documents": (DocumentReference(identifiers=(Identifier(value="ab12", type="SHA256"),), sha256="ab" * 32,
                                        message_id="01J-M", media_type="image/tiff", pages=(2, 3)),),
        "missing": ("coverages.member_id",),
        "evidence": (Extracted(field="patient.birth_date", value="1979-04-22", raw="04/22/1979", confidence=930,
                               method="label", box=PageBox(page=2, left=80, top=200, width=110, height=12)),
                     Extracted(field="coverages.member_id", raw="HMX?"))}
    return Referral(**{**said, **changes})


def written(referral: Referral) -> Any:
    return tables.library().mapping("fhir/referral").write(referral, WriteContext(identity="D", now="2026-03-10T12:00:00Z"))


def test_a_referral_becomes_one_valid_transaction() -> None:
    """H03, H14"""
    assert sound(bundle())
    assert {kind: len(found) for kind, found in by_kind(bundle()).items()} == {
        "Patient": 1, "Practitioner": 2, "PractitionerRole": 2, "DocumentReference": 1, "ServiceRequest": 1, "Task": 1}


def test_sending_it_twice_has_one_effect() -> None:
    """H11, H28: each entry is a conditional update, and the same event gives the same bytes."""
    assert {entry["request"]["method"] for entry in bundle()["entry"]} == {"PUT"}
    assert all("?identifier=" in entry["request"]["url"] for entry in bundle()["entry"])
    assert json.dumps(bundle()) == json.dumps(bundle())


def test_reasons_and_diagnoses_are_why() -> None:
    (request,) = by_kind(bundle())["ServiceRequest"]
    assert [each["coding"][0]["code"] for each in request["reasonCode"]] == ["CHEST", "I10"]
    assert request["code"]["coding"][0]["code"] == "93306"
    assert request["occurrencePeriod"] == {"start": "2026-03-10", "end": "2026-09-10"}


def test_the_request_points_to_its_document_in_the_bundle() -> None:
    (request,) = by_kind(bundle())["ServiceRequest"]
    named = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in bundle()["entry"]}
    assert [named[each["reference"]] for each in request["supportingInfo"]] == ["DocumentReference"]
    (sheet,) = by_kind(bundle())["DocumentReference"]
    assert sheet["content"][0]["attachment"]["contentType"] == "application/pdf"


def test_a_side_says_where_it_is_reached() -> None:
    role = by_kind(bundle())["PractitionerRole"][0]
    assert role["practitioner"]["identifier"]["value"] == "1234567893"
    assert role["organization"]["display"] == "Elm Street Practice"
    assert role["telecom"][0]["system"] == "phone"


def test_a_fax_that_names_nobody_by_number_is_sent_with_names() -> None:
    writing = written(fax())
    assert not writing.fatal
    assert sound(writing.wire)
    kinds = by_kind(writing.wire)
    assert set(kinds) == {"DocumentReference", "ServiceRequest", "Task"}
    assert kinds["ServiceRequest"][0]["subject"] == {"type": "Patient", "display": "Aurelia Quillfeather"}
    assert kinds["ServiceRequest"][0]["requester"] == {"display": "Miriam Holloway"}
    assert [each.code for each in writing.findings] == ["map.left_out"] * 3


def test_a_number_given_later_brings_the_entry() -> None:
    patient = Patient(identifiers=(Identifier(value="12345678", type="MR"),), birth_date=Date("1979-04-22"))
    kinds = by_kind(written(fax(patient=patient)).wire)
    assert kinds["Patient"][0]["birthDate"] == "1979-04-22"


def test_what_came_from_a_page_says_where_it_stands_and_how_sure_it_is() -> None:
    """Evidence travels; what was read does not, beyond the value itself."""
    (request,) = by_kind(written(fax()).wire)["ServiceRequest"]
    first, second = ({part["url"]: next(value for key, value in part.items() if key != "url") for part in each["extension"]}
                     for each in request["extension"] if each["url"] == f"{BASE}evidence")
    assert first == {"field": "patient.birth_date", "confidence": 930, "method": "label", "page": 2, "left": 80, "top": 200,
                     "width": 110, "height": 12}
    assert second == {"field": "coverages.member_id"}
    assert "HMX" not in json.dumps(request)


def test_the_picture_is_named_by_message_and_hash() -> None:
    (sheet,) = by_kind(written(fax()).wire)["DocumentReference"]
    attachment = sheet["content"][0]["attachment"]
    assert attachment["contentType"] == "image/tiff"
    assert {each["url"].removeprefix(BASE): next(value for key, value in each.items() if key != "url")
            for each in attachment["extension"] if not each["url"].endswith("/page")} == {
        "message-id": "01J-M", "sha256": "ab" * 32}
    assert [each["valueInteger"] for each in attachment["extension"] if each["url"].endswith("/page")] == [2, 3]


@pytest.mark.parametrize(("status", "request_status", "task_status"), [
    ("received", "active", "requested"), ("incomplete", "active", "on-hold"), ("complete", "active", "received"),
    ("accepted", "active", "accepted"), ("rejected", "revoked", "rejected"), ("scheduling", "active", "in-progress"),
    ("scheduled", "active", "in-progress"), ("closed-loop", "completed", "completed"),
    ("cancelled", "revoked", "cancelled"), ("expired", "revoked", "failed")])
def test_every_state_of_a_referral_has_its_codes(status: str, request_status: str, task_status: str) -> None:
    kinds = by_kind(written(fax(status=ReferralStatus(status))).wire)
    assert (kinds["ServiceRequest"][0]["status"], kinds["Task"][0]["status"]) == (request_status, task_status)
