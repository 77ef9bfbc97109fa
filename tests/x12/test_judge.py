"""What is wrong with an interchange, and where (X02 to X07, X09, X10, X19)."""

from __future__ import annotations

import pytest

from canonical.findings import Rejection
from connectors.x12.edi import parse
from connectors.x12.guide import find, guide, names
from connectors.x12.judge import Verdict, judge, judge_pieces
from connectors.x12.loops import places, walk
from connectors.x12.profile import ANYBODY, Profile
from connectors.x12.stream import pieces
from tests.x12.messages import ANSWER, GS, INQUIRY, ISA, a_set, an_interchange, answer, inquiry, sample_files


def verdict_of(raw: bytes, profile: Profile = ANYBODY) -> Verdict:
    """Of the only interchange."""
    return judge(parse(raw).interchanges[0], profile)


def problems(body: str, profile: Profile = ANYBODY) -> list[tuple[str, str, str]]:
    """(code, place, note) of the problems of one 270."""
    kind = "271" if "BHT*0022*11" in body else "270"
    raw = an_interchange(a_set(body, kind), gs=GS if kind == "270" else GS.replace("HS", "HB"))
    return [(each.finding.code, each.finding.at, each.note)
            for each in verdict_of(raw, profile).groups[0].sets[0].problems if each.note]


def test_a_good_inquiry_and_a_good_answer_are_accepted_without_a_word() -> None:
    for raw in (inquiry(), answer()):
        verdict = verdict_of(raw, Profile(characters="basic"))
        assert (verdict.code, verdict.note, verdict.groups[0].code, verdict.findings) == ("A", "000", "A", ())


@pytest.mark.parametrize(("change", "code", "note"), [
    (("IEA*1*000000907", "IEA*1*000000908"), "x12.control_mismatch", "001"),
    (("IEA*1*", "IEA*2*"), "x12.count", "021"),
    (("IEA*1*000000907~", ""), "x12.no_trailer", "023"),
    (("*T*:~", "*X*:~"), "x12.header_value", "020"),
    (("000000907*0", "00000090A*0"), "x12.control_number", "018"),
    (("*0*T*", "*7*T*"), "x12.header_value", "019"),
    (("260310*1147*^", "261310*1147*^"), "x12.header_value", "014"),
    (("1147*^", "2547*^"), "x12.header_value", "015"),
    (("*ZZ*PAYER ", "*QQ*PAYER "), "x12.header_value", "007"),
    (("GE*1*1~IEA", "GE*1*1~N3*LOST~IEA"), "x12.outside_set", "024"),
])
def test_a_bad_envelope_rejects_the_interchange_with_its_note(change: tuple[str, str], code: str, note: str) -> None:
    """X02, X07: one thing wrong, one note in TA105."""
    verdict = verdict_of(inquiry().replace(change[0].encode(), change[1].encode()))
    assert (verdict.code, verdict.note) == ("R", note)
    assert code in [each.finding.code for each in verdict.problems]


def test_test_data_does_not_get_into_production() -> None:
    """X03"""
    verdict = verdict_of(inquiry(), Profile(usage="P"))
    assert (verdict.code, verdict.note) == ("R", "020")
    assert verdict.problems[0].finding.code == "x12.usage_indicator"


def test_sender_receiver_and_version_are_compared_with_what_was_agreed() -> None:
    """X06: trimmed."""
    assert verdict_of(inquiry(), Profile(sender="ZZ/CLINIC", receiver="ZZ/PAYER")).code == "A"
    assert verdict_of(inquiry(), Profile(sender="ZZ/OTHER")).note == "006"
    assert verdict_of(inquiry(), Profile(receiver="ZZ/OTHER")).note == "009"
    assert verdict_of(inquiry(), Profile(versions=("00401",))).note == "017"


def test_a_number_used_before_is_note_025() -> None:
    """X07"""
    verdict = judge(parse(inquiry()).interchanges[0], duplicate=True)
    assert (verdict.code, verdict.note) == ("R", "025")


@pytest.mark.parametrize(("change", "code", "note"), [
    (("SE*13*0001", "SE*14*0001"), "x12.count", "4"),
    (("SE*13*0001", "SE*13*0002"), "x12.control_mismatch", "3"),
    (("SE*13*0001~", ""), "x12.no_trailer", "2"),
    (("*0001*005010X279A1", "*01*005010X279A1"), "x12.control_number", "7"),
    (("0001*005010X279A1", "0001*005010X212"), "x12.group_mismatch", "19"),
    (("ST*270", "ST*271"), "x12.group_mismatch", "6"),
])
def test_a_bad_set_is_told_by_its_ik5(change: tuple[str, str], code: str, note: str) -> None:
    """X02, X05: the interchange is good, the set is not."""
    verdict = verdict_of(inquiry().replace(change[0].encode(), change[1].encode()))
    assert (verdict.code, verdict.groups[0].code, verdict.groups[0].sets[0].code) == ("A", "R", "R")
    assert (code, note) in [(each.finding.code, each.note) for each in verdict.groups[0].sets[0].problems]


def test_one_bad_set_does_not_reject_the_others_unless_the_partner_wants_that() -> None:
    """X10"""
    raw = an_interchange(a_set(INQUIRY), a_set(INQUIRY.replace("EQ*30~", "EQ*3!~"), control="0002"),
                         a_set(INQUIRY, control="0003"))
    group = verdict_of(raw).groups[0]
    assert [each.code for each in group.sets] == ["A", "R", "A"]
    assert (group.code, group.accepted) == ("P", 2)
    strict = verdict_of(raw, Profile(reject="group")).groups[0]
    assert (strict.code, strict.accepted) == ("R", 0)


def test_several_groups_are_judged_each_for_itself() -> None:
    """X10: several GS in one ISA."""
    one = an_interchange(a_set(INQUIRY)).decode()
    group = one[len(ISA):one.index("IEA")]
    other = group.replace("*1*X", "*2*X").replace("GE*1*1", "GE*1*2").replace("EQ*30", "EQ*3!")
    raw = f"{ISA}{group}{other}IEA*2*000000907~"
    assert [(each.control, each.code) for each in verdict_of(raw.encode()).groups] == [("1", "A"), ("2", "R")]


def test_what_a_partner_always_does_can_be_tolerated() -> None:
    raw = inquiry().replace(b"SE*13*", b"SE*99*")
    group = verdict_of(raw, Profile(tolerate=frozenset({"x12.count"}))).groups[0]
    assert (group.code, group.sets[0].code, group.sets[0].problems[0].finding.severity) == ("E", "E", "warning")


@pytest.mark.parametrize(("change", "code", "at", "note"), [
    (("EQ*30~", "EQ*30~ZZZ*1~"), "x12.segment_unknown", "2110C/ZZZ (segment 13)", "1"),
    (("EQ*30~", "EQ*30~UM*HS~"), "x12.segment_unexpected", "2110C/UM (segment 13)", "2"),
    (("BHT*0022*13*CHECK1*20260310*1147~", ""), "x12.segment_missing", "BHT (segment 2)", "3"),
    (("NM1*IL*1*SMITH*ROBERT****MI*11122333301~", ""), "x12.loop_missing", "2100C/NM1 (segment 9)", "3"),
    (("EQ*30~", "EQ*30~" * 100), "x12.loop_repeats", "2110C/EQ (segment 111)", "4"),
    (("DMG*D8*19430519~", "DMG*D8*19430519~DMG*D8*19430519~"), "x12.segment_repeats", "2100C/DMG (segment 11)", "5"),
    (("DMG*D8*19430519~", "DMG*D8*19430519~N3*1 MAIN ST~"), "x12.segment_sequence", "2100C/N3 (segment 11)", "7"),
    (("TRN*1*CHECK1*9877281234~", "TRN*1**9877281234~"), "x12.element_missing", "2000C/TRN-02 (segment 8)", "1"),
    (("MI*11122333301", "MI"), "x12.element_conditional", "2100C/NM1-09 (segment 9)", "2"),
    (("DTP*291*D8*20260310", "DTP*291*D8*20260310*X"), "x12.element_too_many", "2100C/DTP-04 (segment 11)", "3"),
    (("*9877281234~", "*987728~"), "x12.element_short", "2000C/TRN-03 (segment 8)", "4"),
    (("ROBERT", "R" * 36), "x12.element_long", "2100C/NM1-04 (segment 9)", "5"),
    (("ROBERT", "RÓBERT"), "x12.character", "2100C/NM1-04 (segment 9)", "6"),
    (("NM1*PR", "NM1*VN"), "x12.element_code", "2100A/NM1-01 (segment 4)", "I6"),
    (("EQ*30", "EQ*3!"), "x12.element_code", "2110C/EQ-01 (segment 12)", "7"),
    (("*19430519", "*19431319"), "x12.element_date", "2100C/DMG-02 (segment 10)", "8"),
    (("20260310*1147~HL", "20260310*2547~HL"), "x12.element_time", "BHT-05 (segment 2)", "9"),
    (("EQ*30", "EQ*30**FAM**1:2:3:4:5"), "x12.element_components", "2110C/EQ-05 (segment 12)", "13"),
    (("*D8*19430519", "*D8*19430519^19430520"), "x12.element_repetitions", "2100C/DMG-02 (segment 10)", "12"),
    (("DMG*D8*19430519", "DMG*D8*19430519*M*S"), "x12.element_not_used", "2100C/DMG-04 (segment 10)", "I10"),
    (("HL*3*2*22*0", "HL*4*2*22*0"), "x12.hierarchy", "2000C/HL-01 (segment 7)", "I12"),
    (("HL*3*2*22*0", "HL*3*9*22*0"), "x12.hierarchy", "2000C/HL-02 (segment 7)", "I12"),
    (("HL*3*2*22*0", "HL*3*2*22*1"), "x12.hierarchy", "2000C/HL-04 (segment 7)", "I12"),
])
def test_a_fault_is_located_by_segment_loop_and_element(change: tuple[str, str], code: str, at: str, note: str) -> None:
    """X19, 4.2: enough to make IK3 and IK4."""
    found = problems(INQUIRY.replace(*change, 1))
    assert (code, at, note) in found, found


def test_relational_notes_of_an_address() -> None:
    """X12.6 §3.12: E0207"""
    body = INQUIRY.replace("DMG*", "N3*1 MAIN ST~N4*KANSAS CITY*MO*64108*US**X*MO~DMG*", 1)
    codes = [code for code, _, _ in problems(body)]
    assert "x12.element_excluded" in codes


def test_numbers_are_written_as_x12_writes_them() -> None:
    assert ("x12.element_number", "2110C/EB-07 (segment 13)", "6") in problems(ANSWER.replace("*10.5*", "*$10,50*"))


def test_the_basic_character_set_has_no_small_letters() -> None:
    """X09"""
    body = INQUIRY.replace("ROBERT", "Robert")
    assert problems(body) == []
    assert problems(body, Profile(characters="basic")) == [("x12.character", "2100C/NM1-04 (segment 9)", "6")]
    assert problems(INQUIRY.replace("ROBERT", "RÓBERT"), Profile(characters="any")) == []


def test_a_set_without_guide_is_recognised_by_its_envelope_and_not_refused() -> None:
    """X05: 834, 835 and 837 are routed."""
    for path in sample_files():
        if path.parent.name in {"834", "835", "837"}:
            for interchange in parse(path.read_bytes()).interchanges:
                for group in judge(interchange, Profile(versions=(), tolerate=frozenset({"x12.count"}))).groups:
                    for each in group.sets:
                        assert each.code in "AE"
                        assert each.problems[-1].finding.code == "x12.no_guide"


def test_conformant_samples_have_no_faults() -> None:
    """The samples of Apache-licensed test suites are good: the guides agree with them."""
    for path in sample_files():
        if path.name.startswith("x12__") and path.parent.name in {"270", "271", "276", "277"}:
            found = verdict_of(path.read_bytes())
            assert (found.code, found.groups[0].code) == ("A", "A"), (path.name, found.findings)


def test_every_segment_of_every_sample_is_in_the_tree_once() -> None:
    """X19: nothing is lost, whatever the message looks like."""
    for path in sample_files():
        try:
            sets = parse(path.read_bytes()).sets()
        except Rejection:
            continue
        for each in sets:
            tree = walk(each, find(each.id) or guide("271"))
            numbers = sorted(number for loop, _ in places(tree.root) for number in loop.numbers)
            assert numbers == list(range(1, len(each.segments) + 1)), path.name


def test_a_batch_is_judged_piece_by_piece_with_the_same_verdict() -> None:
    """X10: streaming."""
    for path in sample_files():
        raw = path.read_bytes()
        try:
            whole = [judge(each) for each in parse(raw).interchanges]
        except Rejection:
            continue
        stream = [verdict for _, _, verdict in judge_pieces(pieces([raw])) if verdict is not None]
        assert [(each.code, each.note, each.groups) for each in stream] \
            == [(each.code, each.note, each.groups) for each in whole], path.name


def test_a_dependent_is_put_under_the_subscriber_that_hl02_names() -> None:
    """X19: levels that do not follow their parent."""
    body = INQUIRY.replace("HL*3*2*22*0", "HL*3*2*22*1") + (
        "HL*4*2*22*0~NM1*IL*1*DOE*JANE****MI*22222222201~EQ*30~"
        "HL*5*3*23*0~NM1*03*1*SMITH*MARY~DMG*D8*19781014~EQ*30~")
    tree = walk(parse(an_interchange(a_set(body))).sets()[0], guide("270"))
    subscribers = tree.root.find("2000C")
    assert [[inner.id for inner in each.loops if inner.id == "2000D"] for each in subscribers] == [["2000D"], []]


def test_every_guide_loads_and_says_what_opens_each_loop() -> None:
    for name in names():
        each = guide(name)
        assert each is not None
        for way, loop in each.root.below():
            assert loop.opening.id, (name, way)
            assert loop.opening.required, (name, way)
