"""The group tree: it finds the right parent and demands nothing."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Finding
from connectors.hl7v2.er7 import Message, parse
from connectors.hl7v2.structure import Group, groups, structure_of
from tests.hl7v2.messages import siu

Drawing: TypeAlias = "list[str | dict[str, Drawing]]"


def message(*segments: str, kind: str = "SIU^S12^SIU_S12", version: str = "2.5.1") -> Message:
    """A message of these segments; digits after a name number it: ``NTE 2``."""
    head = rf"MSH|^~\&|A|B|||20260310||{kind}|1|P|{version}"
    return parse("\r".join([head, *(segment.replace(" ", "|") for segment in segments), ""]).encode())


def drawn(group: Group) -> Drawing:
    """A group as nested lists: segments first, then sub-groups."""
    return [*(segment.text.split("|M")[0].replace("|", " ") if segment.id != "MSH" else "MSH"
              for segment in group.segments), *({sub.name: drawn(sub)} for sub in group.groups)]


def test_resources_hold_their_services_and_notes() -> None:
    """P10: the NTE after AIS belongs to it, and not to the appointment."""
    root = groups(parse(siu()))
    [resources] = root.select("RESOURCES")
    [service] = resources.select("SERVICE")
    assert [segment.id for segment in root.segments] == ["MSH", "SCH", "TQ1", "NTE"]
    assert [segment.id for segment in service.segments] == ["AIS", "NTE"]
    assert service.all("NTE")[0].field(3) == "Fasting"
    assert [group.name for group in resources.groups] == [
        "SERVICE", "GENERAL_RESOURCE", "LOCATION_RESOURCE", "PERSONNEL_RESOURCE"]


def test_groups_repeat_with_their_first_segment() -> None:
    """P10"""
    root = groups(message("SCH", "RGS 1", "AIS 1", "NTE 1", "NTE 2", "AIS 2", "AIP 1", "RGS 2", "AIS 3"))
    assert drawn(root) == ["MSH", "SCH", {"RESOURCES": [
        "RGS 1", {"SERVICE": ["AIS 1", "NTE 1", "NTE 2"]}, {"SERVICE": ["AIS 2"]},
        {"PERSONNEL_RESOURCE": ["AIP 1"]}]}, {"RESOURCES": ["RGS 2", {"SERVICE": ["AIS 3"]}]}]


def test_a_missing_rgs_does_not_lose_its_resources() -> None:
    """P10: real SIU omit RGS."""
    notes: list[Finding] = []
    root = groups(message("SCH", "PID", "AIS 1", "NTE", "AIL", "AIS 2"), notes=notes)
    assert drawn(root)[2:] == [{"PATIENT": ["PID"]}, {"RESOURCES": [
        {"SERVICE": ["AIS 1", "NTE"]}, {"LOCATION_RESOURCE": ["AIL"]}, {"SERVICE": ["AIS 2"]}]}]
    assert notes[0].code == "hl7.group_implied"


def test_a_late_visit_goes_to_the_patient_and_closes_nothing() -> None:
    """P10: PV1 sent after the resources; the NTE behind the next AIP still is the AIP's."""
    notes: list[Finding] = []
    root = groups(message("SCH", "PID", "RGS", "AIS", "PV1", "NTE", "AIP", "NTE"), notes=notes)
    assert drawn(root)[2:] == [{"PATIENT": ["PID", "PV1"]}, {"RESOURCES": [
        "RGS", {"SERVICE": ["AIS", "NTE"]}, {"PERSONNEL_RESOURCE": ["AIP", "NTE"]}]}]
    assert [note.code for note in notes] == ["hl7.out_of_order"]


def test_a_note_without_a_legal_parent_near_by_is_flagged() -> None:
    """P10: NTE after RGS may mean anything."""
    notes: list[Finding] = []
    root = groups(message("SCH", "RGS", "NTE", "AIS"), notes=notes)
    assert drawn(root) == ["MSH", "SCH", "NTE", {"RESOURCES": ["RGS", {"SERVICE": ["AIS"]}]}]
    assert [note.code for note in notes] == ["hl7.note_ambiguous"]
    assert notes[0].at == "line 4"


def test_local_and_unknown_segments_stay_with_their_predecessor() -> None:
    """P08: TQ1 is not in SIU of 2.3; ZAP is nobody's."""
    notes: list[Finding] = []
    root = groups(message("SCH", "TQ1", "PID", "ZPI", "RGS", "AIS", "ZAP", "NTE", version="2.3"), notes=notes)
    assert drawn(root) == ["MSH", "SCH", "TQ1", {"PATIENT": ["PID", "ZPI"]},
                           {"RESOURCES": ["RGS", {"SERVICE": ["AIS", "ZAP", "NTE"]}]}]
    assert [note.code for note in notes] == ["hl7.segment_not_in_structure"]
    assert [segment.id for segment in root.all("ZAP")] == ["ZAP"]


def test_admissions_have_procedures_and_insurances() -> None:
    """P10 for ADT: ROL belongs to whatever it follows."""
    root = groups(message("EVN", "PID", "PV1", "ROL 1", "PR1", "ROL 2", "IN1 1", "IN2", "IN1 2", "ROL 3",
                          kind="ADT^A01"))
    assert drawn(root) == ["MSH", "EVN", "PID", "PV1", "ROL 1", {"PROCEDURE": ["PR1", "ROL 2"]},
                           {"INSURANCE": ["IN1 1", "IN2"]}, {"INSURANCE": ["IN1 2", "ROL 3"]}]


def test_merges_pair_each_patient_with_the_one_merged_into_it() -> None:
    """A40 uses the structure of A39."""
    root = groups(message("EVN", "PID 1", "MRG 1", "PID 2", "PD1", "MRG 2", kind="ADT^A40"))
    assert drawn(root) == ["MSH", "EVN", {"PATIENT": ["PID 1", "MRG 1"]},
                           {"PATIENT": ["PID 2", "PD1", "MRG 2"]}]


def test_a_segment_below_can_be_read_from_above() -> None:
    """``PID-3`` at the top is the patient's; ``NTE`` at the top is only the appointment's own."""
    root = groups(message("SCH", "PID 7", "RGS", "AIS", "NTE 1"))
    patient = root.first("PID")
    assert patient is not None
    assert patient.field(1) == "7"
    assert root.all("NTE") == []
    assert root.first("NTE") is None
    assert root.first("ZZZ") is None


@pytest.mark.parametrize(("kind", "structure"), [
    ("SIU^S13", "SIU_S12"), ("SIU^S13^SIU_S13", "SIU_S12"), ("SIU^S26^SIU_S12", "SIU_S12"),
    ("SRM^S03", "SRM_S01"),
    ("ADT^A08", "ADT_A01"), ("ADT^A04^", "ADT_A01"), ("ADT^A28", "ADT_A05"), ("ADT^A31", "ADT_A05"),
    ("ADT^A40", "ADT_A39"), ("ADT^A47", "ADT_A30"), ("ADT^A01^9.3-DEF", "ADT_A01"), ("ORU^R01", "ORU_R01"),
    ("ACK^S12^ACK", "ACK"), ("ACK", "ACK"), ("ZQA^Z02", "ZQA_Z02"), ("", "")])
def test_the_structure_follows_from_the_event(kind: str, structure: str) -> None:
    """P11"""
    assert structure_of("2.5.1", kind) == structure


def test_an_unknown_structure_is_a_flat_message() -> None:
    """P10: never demand it."""
    root = groups(message("PID", "NTE", kind="ZZZ^Z99"))
    assert drawn(root) == ["MSH", "PID", "NTE"]


def count(group: Group) -> list[str]:
    return [segment.text for segment in group.segments] + [text for sub in group.groups for text in count(sub)]


_NAMES = ["SCH", "TQ1", "NTE", "PID", "PV1", "OBX", "DG1", "RGS", "AIS", "AIG", "AIL", "AIP", "ZAP", "EVN", "MSH"]


@given(st.lists(st.sampled_from(_NAMES), max_size=25),
       st.sampled_from(["2.3", "2.5.1", "2.8"]), st.sampled_from(["SIU^S12", "ADT^A01", "ADT^A40", "SRM^S01"]))
def test_every_segment_is_in_the_tree_exactly_once(names: list[str], version: str, kind: str) -> None:
    """P10: whatever the order, and the same tree the second time (moves are remembered)."""
    sent = message(*(f"{name} {n}" for n, name in enumerate(names)), kind=kind, version=version)
    tree = groups(sent)
    assert sorted(count(tree)) == sorted(segment.text for segment in sent.segments)
    assert drawn(groups(sent)) == drawn(tree)
