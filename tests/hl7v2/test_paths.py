"""Paths that choose one occurrence by a code in it, and fields whose type another field tells."""

from __future__ import annotations

import pytest

from canonical.paths import PathError
from connectors.hl7v2.er7 import Message, parse
from connectors.hl7v2.format import Hl7Format

FORMAT = Hl7Format()
REFERRAL = parse(b"MSH|^~\\&|A|B|C|D|20260310||REF^I12^REF_I12|1|P|2.5.1\rRF1||||||R1\rPRD|PP|Primary^Paul\r"
                 b"PRD|PS~RP|Blake^Beverly|||5550100~5550101\rPRD|RP|Second^Sue\rPID|1||1\r")
RESULT = parse(b"MSH|^~\\&|A|B|C|D|20260310||ORU^R01^ORU_R01|1|P|2.5.1\rPID|1||1\rOBR|1\r"
               b"OBX|1|TX|N^Note||one & two ~ three ^ four\rOBX|2|ED|D^Document||A&1^application^pdf^Base64^JVBERi0=\r")


def shape(name: str = "REF_I12@2.8.2"):  # type: ignore[no-untyped-def]  # what a format hands out is its own business
    return FORMAT.message(name, {})


def test_a_group_is_chosen_by_a_code_in_it() -> None:
    path = shape().path("PROVIDER_CONTACT(PRD-1=RP)/PRD-2.1")
    root = FORMAT.root(REFERRAL, "REF_I12@2.8.2")
    assert (path.first(root), list(path.every(root))) == ("Blake", ["Blake"])
    assert path.located(root, "") == [("Blake", "PROVIDER_CONTACT(2)/PRD-2")]


def test_all_repetitions_of_a_field_in_it() -> None:
    path = shape().path("PROVIDER_CONTACT(PRD-1=RP)/PRD-5(*)")
    assert list(path.every(FORMAT.root(REFERRAL, "REF_I12@2.8.2"))) == ["5550100", "5550101"]


def test_nothing_is_found_where_no_group_has_the_code() -> None:
    path = shape().path("PROVIDER_CONTACT(PRD-1=RT)/PRD-2")
    root = FORMAT.root(REFERRAL, "REF_I12@2.8.2")
    assert (path.first(root), list(path.every(root)), path.located(root, "")) == ("", [], [])


def test_what_the_choice_looked_at_counts_as_read() -> None:
    path = shape().path("PROVIDER_CONTACT(PRD-1=RP)/PRD-2")
    assert path.tested(FORMAT.root(REFERRAL, "REF_I12@2.8.2"), "") == [
        "PROVIDER_CONTACT/PRD-1", "PROVIDER_CONTACT(2)/PRD-1", "PROVIDER_CONTACT(3)/PRD-1"]


def test_a_segment_is_chosen_by_a_code_in_it() -> None:
    name = "ORU_R01@2.8.2"
    path = shape(name).path("PATIENT_RESULT/ORDER_OBSERVATION/OBSERVATION(*)/OBX(2=ED)-3.1")
    assert list(path.every(FORMAT.root(RESULT, name))) == ["D"]


def test_writing_makes_the_group_with_its_code_once() -> None:
    draft = FORMAT.draft("REF_I12@2.8.2")
    for text, raw in (("PROVIDER_CONTACT(PRD-1=RP)/PRD-2.1", "Blake"), ("PROVIDER_CONTACT(PRD-1=RT)/PRD-2.1", "Okafor"),
                      ("PROVIDER_CONTACT(PRD-1=RP)/PRD-2.2", "Beverly"), ("PROVIDER_CONTACT(PRD-1=RP)/PRD-5(*)", "1")):
        path = shape().path(text)
        (path.add if path.repeats else path.put)(draft, raw)
    message: Message = FORMAT.finish(draft, "REF_I12@2.8.2", ())
    assert [segment.text for segment in message.all("PRD")] == ["PRD|RP|Blake^Beverly|||1", "PRD|RT|Okafor"]


def test_a_field_whose_type_varies_is_read_as_the_type_the_table_gives() -> None:
    """OBX-5: the whole text where it is text, a component where it is encapsulated data."""
    name = "ORU_R01@2.8.2"
    inside = shape(name).path("PATIENT_RESULT(*)/ORDER_OBSERVATION(*)/OBSERVATION(*)")
    text, subtype = inside.inside().path("OBX-5:TX(*)"), inside.inside().path("OBX-5:ED.3")
    first, second = inside.every(FORMAT.root(RESULT, name))
    assert list(text.every(first)) == ["one & two ", " three ^ four"]
    assert subtype.first(second) == "pdf"


@pytest.mark.parametrize(("text", "says"), [
    ("PID-3:CX", "PID-3 has the type CX"), ("OBSERVATION/OBR-3:TX", "OBR-3 has the type EI"),
    ("PROVIDER_CONTACT(PRD=RP)/PRD-2", "is no condition"),
])
def test_what_makes_no_sense_is_said_when_the_table_is_read(text: str, says: str) -> None:
    with pytest.raises(PathError, match=says):
        shape().path(text)
