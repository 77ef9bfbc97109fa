"""Data types in their old and new shapes, through the shipped tables (T09)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mappings.tables import as_json, read


def patient(**fields: str) -> dict[str, Any]:
    """What an ADT^A08 with these fields of PID (``pid_3``) and PV1 says of the patient."""
    pid, pv1 = [""] * 31, [""] * 51
    pid[3] = "77^^^MERCY^MR"
    for name, value in fields.items():
        segment, _, number = name.partition("_")
        (pid if segment == "pid" else pv1)[int(number)] = value
    raw = ("MSH|^~\\&|A|MERCY|C|D|20260310||ADT^A08|1|P|2.5.1\rEVN||20260310\r"
           f"PID|{'|'.join(pid[1:])}\rPV1|{'|'.join(pv1[1:])}\r")
    [event] = read(raw.encode(), "hl7v2/adt").events
    return as_json(event.entity)


@pytest.mark.parametrize(("cx", "said"), [
    ("0077^^^MERCY^MR", {"value": "0077", "assigner": "MERCY", "type": "MR"}),
    ("0077^^^&2.999.1&ISO^MR", {"value": "0077", "system": "urn:oid:2.999.1", "type": "MR"}),
    ("0077^^^MERCY&2.999.1&ISO^MR", {"value": "0077", "assigner": "MERCY", "system": "urn:oid:2.999.1", "type": "MR"}),
    ("0077", {"value": "0077"})])
def test_identifiers_have_an_assigner_by_name_or_by_oid(cx: str, said: dict[str, str]) -> None:
    """T09: CX and its HD; leading zeros are part of an identifier."""
    assert patient(pid_3=cx)["identifiers"] == [said]


@pytest.mark.parametrize(("xpn", "said"), [
    ("Doe^Jo^Q^Jr^Dr^MD^L", {"family": "Doe", "given": ["Jo", "Q"], "suffix": "Jr", "prefix": "Dr", "degree": "MD",
                             "use": "official"}),
    ("Doe&van&Doe^Jo", {"family": "Doe", "given": ["Jo"]}),
    ("Doe^Jo", {"family": "Doe", "given": ["Jo"]}), ("Doe", {"family": "Doe"})])
def test_names_are_read_in_their_old_and_new_shape(xpn: str, said: dict[str, Any]) -> None:
    """T09: PN of 2.2 has the same order; since 2.4 the family name is a composite (FN)."""
    assert patient(pid_5=xpn)["names"] == [said]


@pytest.mark.parametrize(("xtn", "said"), [
    ("(312)555-0101^PRN^PH", {"system": "phone", "value": "(312)555-0101", "use": "home"}),
    ("(312)555-0101", {"value": "(312)555-0101"}),
    ("^PRN^PH^^1^312^5550102", {"system": "phone", "value": "+1 312 5550102", "use": "home"}),
    ("^NET^Internet^jo@example.org", {"system": "email", "value": "jo@example.org"})])
def test_telephone_numbers_are_read_whole_or_split(xtn: str, said: dict[str, str]) -> None:
    """T09: the first component up to 2.3, components 5 to 9 after it."""
    [telecom] = patient(pid_13=xtn)["telecom"]
    assert telecom == said


@pytest.mark.parametrize("street", ["1 Main St", "1 Main St&Main St&1"])
def test_addresses_are_read_with_and_without_a_street_of_parts(street: str) -> None:
    """T09: XAD; since 2.5 the street is a composite (SAD), whose first part is all of it."""
    [address] = patient(pid_11=f"{street}^Apt 2^Chicago^IL^60601^USA^H")["addresses"]
    assert address["line"] == ["1 Main St", "Apt 2"]
    assert (address["city"], address["postal_code"], address["use"]) == ("Chicago", "60601", "home")


def test_locations_keep_all_their_parts() -> None:
    """T09: PL"""
    assert patient(pv1_3="CLIN1^R2^B3^MERCY^^C^BLD^4")["visit"]["location"] == {
        "point_of_care": "CLIN1", "room": "R2", "bed": "B3", "facility": "MERCY", "type": "C", "building": "BLD",
        "floor": "4"}


def appointment(**fields: str) -> dict[str, Any]:
    """What a SIU^S12 with these fields of SCH says."""
    sch = [""] * 28
    sch[2] = "F1^CADENCE"
    for name, value in fields.items():
        sch[int(name.removeprefix("sch_"))] = value
    raw = ("MSH|^~\\&|A|MERCY|C|D|20260310||SIU^S12|1|P|2.5.1\r" f"SCH|{'|'.join(sch[1:])}\r"
           "TQ1|1||||||20260310143000-0500\rPID|1||77^^^MERCY^MR\r")
    [event] = read(raw.encode(), "hl7v2/siu").events
    return as_json(event.entity)


@pytest.mark.parametrize(("ei", "said"), [
    ("F1^CADENCE", {"value": "F1", "assigner": "CADENCE"}),
    ("F1^CADENCE^2.999.2^ISO", {"value": "F1", "assigner": "CADENCE", "system": "urn:oid:2.999.2"}),
    ("F1", {"value": "F1"})])
def test_entity_identifiers_have_a_namespace_an_oid_or_nothing(ei: str, said: dict[str, str]) -> None:
    """T09: EI"""
    [filler] = [one for one in appointment(sch_2=ei)["identifiers"] if one.get("type") == "FILL"]
    assert {key: filler[key] for key in said} == said


def test_a_coded_element_may_be_text_only() -> None:
    """T09: CE and CWE without a code; the words are kept."""
    assert "Follow-up after surgery" in str(appointment(sch_7="^Follow-up after surgery"))
