"""The dictionary: strict about what exists, lenient about when."""

from __future__ import annotations

import pytest

from connectors.hl7v2.dictionary import VERSIONS, Dictionary, dictionary, normal_version


@pytest.mark.parametrize(("written", "version"), [
    ("2.3", "2.3"), ("2.3.1", "2.3.1"), ("2.5.1^USA", "2.5.1"), ("2.5.1 ", "2.5.1"), (" 2.4^^", "2.4"),
    ("2.3 PID|1|", "2.3"), ("", "2.5.1"), ("?", "2.5.1"), ("1.0", "2.1"), ("2.9", "2.8.2"), ("2.5.2", "2.5.1")])
def test_versions_are_read_as_senders_write_them(written: str, version: str) -> None:
    """P12"""
    assert normal_version(written) == version
    assert dictionary(written) is dictionary(version)


def test_fields_know_their_type_repetition_and_table() -> None:
    """What a mapping is checked against."""
    known = dictionary("2.5.1")
    patient, status = known.field("PID", 3), known.field("SCH", 25)
    assert patient is not None
    assert status is not None
    assert (patient.datatype, patient.repeats, patient.required) == ("CX", True, True)
    assert (status.datatype, status.table, status.repeats) == ("CE", "HL70278", False)
    assert patient.name == "patient_identifier_list"


def test_types_follow_the_version() -> None:
    """The same field is a CE in 2.5.1 and a CWE in 2.6."""
    old, new = dictionary("2.5.1").field("AIS", 3), dictionary("2.6").field("AIS", 3)
    assert old is not None
    assert new is not None
    assert (old.datatype, new.datatype) == ("CE", "CWE")


def test_components_are_described_down_to_primitives() -> None:
    """SCH-11.4 is a time."""
    known = dictionary("2.5.1")
    timing = known.components("TQ")
    assert timing[3].datatype == "TS"
    assert next(part.datatype for part in known.components("TS")) == "DTM"
    assert known.components("ST") == ()
    assert [part.name for part in known.components("CX")][:4] == [
        "id_number", "check_digit", "check_digit_scheme", "assigning_authority"]


@pytest.mark.parametrize(("version", "segment", "number", "datatype", "found_in"), [
    ("2.8", "SCH", 11, "TQ", "2.5.1"), ("2.7", "SCH", 11, "TQ", "2.5.1"), ("2.7", "SCH", 9, "NM", "2.5.1"),
    ("2.3", "TQ1", 7, "TS", "2.5.1"), ("2.8", "PID", 2, "CX", "2.5.1")])
def test_withdrawn_and_later_fields_are_answered_from_the_version_that_has_them(
        version: str, segment: str, number: int, datatype: str, found_in: str) -> None:
    """3.11: senders write what their version does not have."""
    field = dictionary(version).field(segment, number)
    assert field is not None
    assert (field.datatype, field.version, field.required) == (datatype, found_in, False)


def test_what_no_version_has_is_not_there() -> None:
    """So that a mapping's typing error is found."""
    known = dictionary("2.5.1")
    assert known.field("PID", 99) is None
    assert known.segment("QQQ") == ()
    assert known.structure("SIU_S99") is None
    assert known.components("QQ") == ()


def test_a_site_declares_its_own_segments_and_fields() -> None:
    """Z segments, and a Z field in a standard segment; the standard dictionary stays as it is."""
    known = dictionary("2.5.1").extended({"ZAP": {2: ("IS", "visit_mode")}, "PID": {50: ("ST", "badge")}})
    visit_mode, badge, name = known.field("ZAP", 2), known.field("PID", 50), known.field("PID", 5)
    assert visit_mode is not None
    assert badge is not None
    assert name is not None
    assert (visit_mode.datatype, visit_mode.name) == ("IS", "visit_mode")
    assert (badge.datatype, name.datatype) == ("ST", "XPN")
    assert "ZAP" in known.segments()
    assert dictionary("2.5.1").field("ZAP", 2) is None


def test_structures_are_trees_of_named_groups() -> None:
    """Group names come without the structure's own."""
    structure = dictionary("2.5.1").structure("SIU_S12")
    assert structure is not None
    resources = structure.children[-1]
    assert (resources.name, resources.repeats, resources.required, resources.is_group) == (
        "RESOURCES", True, True, True)
    assert [child.name for child in resources.children] == [
        "RGS", "SERVICE", "GENERAL_RESOURCE", "LOCATION_RESOURCE", "PERSONNEL_RESOURCE"]


@pytest.mark.parametrize("version", VERSIONS[2:])
def test_every_version_from_2_3_has_what_scheduling_needs(version: str) -> None:
    """SIU, SRM, ADT in 2.3 to 2.8."""
    known = Dictionary(version)
    assert {"SIU_S12", "SRM_S01", "ADT_A01", "ADT_A39"} <= known.structures()
    assert {"SCH", "AIS", "AIG", "AIL", "AIP", "PID", "PV1", "MRG"} <= known.segments()
    assert {"CX", "XPN", "PL"} <= known.datatypes()
