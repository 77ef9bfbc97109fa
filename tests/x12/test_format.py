"""X12 in the mapping language: paths, both ways (X08, X19; rules 1 to 8 of the language)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Rejection
from canonical.model import Patient
from canonical.paths import PathError
from connectors.x12.build import Stamp, seal
from connectors.x12.delimiters import Delimiters
from connectors.x12.edi import Message, parse
from connectors.x12.format import Draft, View, X12Format
from connectors.x12.judge import judge
from mapper.codecs import TextCodec, choose, named
from mapper.library import Library
from mapper.mapping import Mapping, ReadContext, WriteContext
from mapper.model import TEXT, FieldType
from mapper.times import Notes, Refused
from tests.x12.messages import ANSWER, GS, INQUIRY, a_set, an_interchange, answer, inquiry
from tests.x12.test_edi import redelimited

FORM = X12Format()
READ, WRITE = FORM.text("AN")

MEMBER = b"""
mapping: x12/member
format: x12/270
entity: Patient
events: {"13": patient.updated}
lossy: [BHT-03, BHT-04, BHT-05]
constants:
  ISA-06: CLINIC
  ISA-08: PAYER
  2100A/NM1-01: PR
  2100A/NM1-02: "2"
  2100A/NM1-03: ACME HEALTH
  2100A/NM1-08: PI
  2100A/NM1-09: "842610001"
  2100B/NM1-01: 1P
  2100B/NM1-02: "2"
  2100B/NM1-03: BONE AND JOINT CLINIC
  2100B/NM1-08: XX
  2100B/NM1-09: "1467857193"
  2100C/NM1-02: "1"
  2100C/NM1-08: MI
  2000C/TRN-02: CHECK1
  2000C/TRN-03: "9877281234"
  2100C/DTP(01=291)-03: "20260310"
  2110C/EQ-01: "30"
fields:
  identifiers(type=MB).value: 2100C/NM1-09
  names(0).family: 2100C/NM1-03
  names(0).given(): 2100C/NM1-04
  birth_date: 2100C/DMG-02
"""


def view(raw: bytes, name: str) -> View:
    return FORM.root(parse(raw), name)


def read(path: str, raw: bytes | None = None, name: str = "271") -> list[str]:
    """What a path yields, as text."""
    return [READ(each) for each in FORM.message(name, {}).path(path).every(view(raw or answer(), name))]


def written(values: list[tuple[str, str]], name: str = "270") -> Message:
    """A message with values put at paths."""
    draft, shape = FORM.draft(name), FORM.message(name, {})
    for path, value in values:
        shape.path(path).put(draft, WRITE(value))
    return FORM.finish(draft, name, ())


def texts(message: Message) -> list[str]:
    return [segment.text for segment in message.sets()[0].segments]


@pytest.mark.parametrize(("path", "found"), [
    ("ISA-06", ["CLINIC"]),
    ("BHT-02", ["11"]),
    ("2100C/NM1-03", ["SMITH"]),
    ("2100C/NM1-3", ["SMITH"]),
    ("2000C/TRN(01=2)-02", ["CHECK1"]),
    ("2000C/TRN(01=1)-02", []),
    ("2110C/EB-03", ["30"]),
    ("2110C(*)/EB-03(*)", ["30", "1", "33", "35", "98"]),
    ("2110C(2)/EB-03(2)", ["33"]),
    ("2110C(*)/EB-03(1)", ["30", "1", "98"]),
    ("2110C(EB-01=A)/EB-11", ["U"]),
    ("2110C(01=A)/MSG-01", ["COINSURANCE AFTER DEDUCTIBLE"]),
    ("2110C(01=A)/DTP-03", ["20260101"]),
    ("2110C(01=A)/DTP-03.2", ["20261231"]),
    ("2110C(01=1)/DTP-03", []),
    ("2120C/NM1-09", ["0202034"]),
    ("2000C/2110C(*)/EB-01", ["1", "B", "A"]),
    ("2110C(*)/EB(01=B)-07", ["10.5"]),
])
def test_paths_are_read(path: str, found: list[str]) -> None:
    assert read(path) == found


def test_components_of_a_composite_are_addressed_by_number() -> None:
    raw = an_interchange(a_set(INQUIRY.replace("EQ*30", "EQ**HC:99213:25*FAM**1:2")))
    assert read("2110C/EQ-02.2", raw, "270") == ["99213"]
    assert read("2110C/EQ-02.3", raw, "270") == ["25"]
    assert read("2110C/EQ-05.2", raw, "270") == ["2"]


@pytest.mark.parametrize(("path", "hint"), [
    ("2100X/NM1-03", "did you mean 2100"),
    ("NM1-03", "name one of 2100A/NM1"),
    ("2100C/NM2-03", "did you mean NM1"),
    ("EBB-01", "did you mean EB"),
    ("2100C/NM1-13", "elements 01 to 12"),
    ("2100C/NM1-03.2", "plain value"),
    ("2110C/EB-13.9", "components 1 to 8"),
    ("2100C/NM1-03(2)", "name last"),
    ("2100C/NM1(foo)-03", "REF(01=SY)-02"),
    ("2100C/NM1.3", "LOOP/SEGMENT"),
])
def test_a_slip_in_a_path_is_named_with_what_was_meant(path: str, hint: str) -> None:
    with pytest.raises(PathError) as caught:
        FORM.message("271", {}).path(path)
    assert hint in caught.value.hint


def test_an_unknown_guide_is_named_with_what_was_meant() -> None:
    with pytest.raises(PathError) as caught:
        FORM.message("278-respnse", {})
    assert "278-response" in caught.value.hint


def test_rows_under_each_start_from_a_loop_or_a_segment() -> None:
    loop = FORM.message("271", {}).path("2110C(*)")
    inside = loop.inside()
    assert [[inside.path("EB-01").first(node), inside.path("MSG-01").first(node)]
            for node in loop.every(view(answer(), "271"))] == [["1", ""], ["B", ""], ["A", "COINSURANCE AFTER DEDUCTIBLE"]]
    segment = FORM.message("271", {}).path("2110C(*)/EB(*)")
    assert [segment.inside().path("06").first(node) for node in segment.every(view(answer(), "271"))] == ["", "27", "27"]


def test_a_message_in_other_delimiters_reads_the_same() -> None:
    """X01"""
    raw = redelimited(answer(), Delimiters("|", ">", "!", "\n"))
    for path in ("2110C(*)/EB-03(*)", "2100C/NM1-09", "2110C(01=A)/DTP-03.2", "ISA-06"):
        assert read(path, raw) == read(path)


def test_our_separators_inside_a_value_of_another_message_are_data() -> None:
    """X08: a 4010 message has no repetition separator, and ^ is a character there."""
    raw = redelimited(answer(), Delimiters("|", ">", "!", "\n")).replace(b"GOLD 123 PLAN", b"GOLD^1:2*3~")
    assert read("2110C/EB-05", raw) == ["GOLD^1:2*3~"]


def test_a_set_of_another_kind_is_refused() -> None:
    with pytest.raises(Rejection) as caught:
        view(inquiry(), "271")
    assert caught.value.findings[0].code == "x12.wrong_set"


def test_levels_are_numbered_and_codes_without_a_choice_are_written() -> None:
    """X19: HL01 from 1, HL02 the parent, HL04 whether there is a level below; rows in any order."""
    message = written([
        ("2110D/EQ-01", "30"), ("2100D/NM1-03", "SMITH"), ("2100C/NM1-09", "1"), ("2100A/NM1-03", "ACME"),
        ("2100B/NM1-03", "CLINIC"), ("BHT-02", "13"), ("2100D/DTP(01=291)-03.1", "20260310"),
        ("2100D/DTP(01=291)-03.2", "20260312"), ("2100C/REF(01=SY)-02", "2"), ("2100C/REF(01=6P)-02", "3")])
    assert texts(message) == [
        "ST*270*0001*005010X279A1", "BHT*0022*13",
        "HL*1**20*1", "NM1***ACME",
        "HL*2*1*21*1", "NM1***CLINIC",
        "HL*3*2*22*1", "NM1*IL********1", "REF*SY*2", "REF*6P*3",
        "HL*4*3*23*0", "NM1*03*1*SMITH", "DTP*291*RD8*20260310-20260312", "EQ*30",
        "SE*15*0001"]


def test_each_appends_loops_segments_and_repetitions() -> None:
    shape = FORM.message("271", {})
    draft: Draft = FORM.draft("271")
    for code, services in (("1", ("30",)), ("B", ("98", "UC"))):
        loop = shape.path("2110C(*)")
        child = loop.child(draft)
        loop.inside().path("EB-01").put(child, code)
        for service in services:
            loop.inside().path("EB-03(*)").add(child, service)
        messages = loop.inside().path("MSG(*)")
        for text in ("ONE", "TWO"):
            messages.inside().path("01").put(messages.child(child), text)
    found = texts(FORM.finish(draft, "271", ()))
    assert [text for text in found if text[:2] in ("EB", "MS")] == [
        "EB*1**30", "MSG*ONE", "MSG*TWO", "EB*B**98^UC", "MSG*ONE", "MSG*TWO"]


def test_the_related_entity_of_a_benefit_is_bounded_by_ls_and_le() -> None:
    """X34"""
    found = texts(written([("2110C/EB-01", "L"), ("2120C/NM1(01=P3)-03", "JONES")], "271"))
    assert found[-5:-1] == ["EB*L", "LS*2120", "NM1*P3**JONES", "LE*2120"]


def test_the_event_of_a_278_goes_under_the_dependent_where_there_is_one() -> None:
    event = [("2000E/UM-01", "SC"), ("2000E/UM-02", "I"), ("2010EA/NM1-03", "ROE"), ("2000F/SV1-01.2", "99213")]
    own = texts(written([("2010C/NM1-03", "SMITH"), *event], "278-request"))
    assert [text for text in own if text.startswith("HL")] == [
        "HL*1**20*1", "HL*2*1*21*1", "HL*3*2*22*1", "HL*4*3*EV*1", "HL*5*4*SS*0"]
    dependent = texts(written([*event, ("2010D/NM1-03", "SMITH"), ("2010C/NM1-03", "SMITH")], "278-request"))
    assert [text for text in dependent if text.startswith("HL")] == [
        "HL*1**20*1", "HL*2*1*21*1", "HL*3*2*22*1", "HL*4*3*23*1", "HL*5*4*EV*1", "HL*6*5*SS*0"]


_VALUES = st.text(st.sampled_from("AZaz09 *:^~|>!<\\}{][';%@#$_\"&"), min_size=1, max_size=30).filter(
    lambda value: value == value.strip())


@given(st.dictionaries(st.sampled_from([
    "2100C/NM1-03", "2100C/NM1-09", "2100A/NM1-03", "2100C/REF(01=SY)-02", "2110C/EQ-02.2", "2000C/TRN-02"]), _VALUES,
    min_size=1))
def test_whatever_is_written_is_read_back(values: dict[str, str]) -> None:
    """X08, law of the language: read(write(v)) == v, whatever delimiters the values hold."""
    raw = written(list(values.items())).emit()
    assert {path: read(path, raw, "270") for path in values} == {path: [value] for path, value in values.items()}


def mapping() -> Mapping:
    library = Library({"x12/member.yaml": MEMBER}, [FORM])
    assert library.problems == []
    return library.mapping("x12/member")


def test_a_table_reads_and_writes_an_inquiry() -> None:
    """An analyst's table in YAML, both ways; what it wrote is a good 270 once it is sealed."""
    reading = mapping().read(parse(inquiry()), ReadContext(message_id="M1", channel="payer", received_at=0))
    assert [each.code for each in reading.findings] == []
    [event] = reading.events
    assert isinstance(event.entity, Patient)
    assert event.source.control_id == "000000907"
    assert event.entity.birth_date == "1943-05-19"
    writing = mapping().write(event, WriteContext(identity="D-1", now="2026-03-10T12:00:00+00:00", values={}))
    assert [each.code for each in writing.findings] == []
    shape = FORM.message("270", {})
    sealed = seal(writing.wire, Stamp(interchange=907, date="20260310", time="1147"))
    shape_free = [text for text in texts(parse(sealed.emit())) if not text.startswith("BHT")]
    assert shape_free == [text for text in texts(parse(inquiry())) if not text.startswith("BHT")]
    assert shape.path("2100C/NM1-09").first(FORM.root(parse(sealed.emit()), "270")) == "11122333301"


def test_a_table_reads_our_separators_inside_a_value_as_data_and_padding_as_nothing() -> None:
    """X08: also where a row takes plain text without asking how it is written."""
    raw = redelimited(inquiry(), Delimiters("|", ">", "!", "\n")).replace(b"|SMITH|", b"|SM:TH^  |")
    [event] = mapping().read(parse(raw), ReadContext(message_id="M1", channel="payer", received_at=0)).events
    assert isinstance(event.entity, Patient)
    assert [name.family for name in event.entity.names or ()] == ["SM:TH^"]


def test_every_leaf_that_no_row_reads_is_told() -> None:
    """Rule 6"""
    unread = mapping().trace(parse(inquiry()), ReadContext(message_id="M1", channel="payer", received_at=0)).unread
    assert set(unread) == {"BHT-03", "BHT-04", "BHT-05"}


def codec_for(wire_type: str, as_: str = "") -> tuple[object, object]:
    text = TextCodec(*FORM.text(wire_type))
    codec = named(as_, "", wire_type, FieldType(TEXT), text) if as_ else choose(wire_type, FieldType(TEXT), text)
    assert codec is not None
    return codec.parse, codec.write


@pytest.mark.parametrize(("wire_type", "as_", "raw", "value"), [
    ("R", "", ".2", "0.2"), ("R", "", "-10.50", "-10.50"), ("R", "", "25", "25"), ("N2", "", "1050", "10.50"),
    ("N0", "", "7", "7"), ("R", "percent", ".2", "20"), ("R", "percent", ".125", "12.5"), ("R", "percent", "1", "100")])
def test_amounts_and_percentages_are_read_and_written(wire_type: str, as_: str, raw: str, value: str) -> None:
    """X31: EB07 and EB08; type R, N with implied decimals."""
    parse_, write = codec_for(wire_type, as_)
    assert callable(parse_)
    assert callable(write)
    assert (parse_(raw, Notes()), write(value, Notes())) == (value, raw)


@pytest.mark.parametrize("raw", ["$10", "10,50", "1e3", "", "-", "٣"])
def test_what_is_no_amount_is_refused(raw: str) -> None:
    parse_, _ = codec_for("R")
    assert callable(parse_)
    with pytest.raises(Refused):
        parse_(raw, Notes())


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_decimals_survive(value: object) -> None:
    parse_, write = codec_for("R")
    assert callable(parse_)
    assert callable(write)
    assert parse_(write(str(value), Notes()), Notes()) == str(value)


def test_what_a_table_writes_is_judged_by_the_guide() -> None:
    """A required element that no row wrote is found before it is sent."""
    raw = written([("2100A/NM1-03", "ACME")]).emit()
    verdict = judge(parse(raw).interchanges[0])
    codes = {each.finding.code for each in verdict.groups[0].sets[0].problems}
    assert {"x12.element_missing", "x12.loop_missing"} <= codes


def test_a_segment_of_a_payers_own_is_declared_in_the_table() -> None:
    shape = FORM.message("271", {"ZPY": {"1": "AN note", "2": "R amount"}})
    raw = an_interchange(a_set(ANSWER.replace("MSG*", "ZPY*HELLO*10.5~MSG*"), "271"), gs=GS.replace("HS", "HB"))
    assert shape.path("2110C(01=A)/ZPY-01").first(view(raw, "271")) == "HELLO"
    with pytest.raises(PathError) as caught:
        FORM.message("271", {"ZPY": {"1": "ST note"}})
    assert "AN text" in caught.value.hint
