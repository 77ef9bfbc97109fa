"""The envelope and the codec: what comes in goes out (X01, X02, X06, X10)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Rejection
from connectors.x12.codec import X12Codec
from connectors.x12.delimiters import STANDARD, Delimiters, choose_delimiters
from connectors.x12.edi import parse
from connectors.x12.guide import guide
from connectors.x12.judge import judge
from connectors.x12.loops import places, walk
from connectors.x12.stream import Kind, pieces, split
from tests.conformance.codec import CodecConformance
from tests.x12.messages import GS, INQUIRY, ISA, a_set, an_interchange, answer, inquiry, sample_files

#: Files of the sample folders that are no X12 at all, or have lost what makes it one.
NO_HEADER = {
    "hipaa-attachments__x215-inquiry-response-approved.json", "hipaa-attachments__x215-inquiry-response-denied.json",
    "gozer__x12.missing.ISA.txt", "gozer__x12.wrong.ISA.txt", "EDI.Net__edifact.ORDRSP.edi", "OBOE__orders",
    "sap-recipes__07_UNB.edi",
}
NO_TERMINATOR = {"gozer__x12.no.line.break.no.delim.txt"}


class TestCodec(CodecConformance):
    codec = X12Codec()

    def samples(self) -> list[bytes]:
        return [inquiry(), answer(), inquiry("0002"), redelimited(inquiry("0003"), Delimiters("|", ">", "!", "\n"))]


def redelimited(raw: bytes, delimiters: Delimiters) -> bytes:
    """A message of the standard delimiters in others."""
    table = {ord(old): new for old, new in zip(STANDARD.all(), delimiters.all(), strict=True)}
    return raw.decode().translate(table).encode()


def test_every_sample_comes_out_as_it_went_in_or_is_refused_for_a_reason() -> None:
    """X01, X10: odd delimiters, several interchanges, missing trailers, marks, all of it."""
    refused: dict[str, set[str]] = {}
    for path in (*sample_files(), *sample_files("erp/edi")):
        raw = path.read_bytes()
        try:
            assert parse(raw).emit() == raw, path.name
        except Rejection as rejection:
            refused.setdefault(rejection.findings[0].code, set()).add(path.name)
    assert refused == {"x12.no_header": NO_HEADER, "x12.no_terminator": NO_TERMINATOR}


@pytest.mark.parametrize("size", [1, 7, 100, 1_000_000])
def test_a_stream_gives_the_same_sets_as_the_whole_file_whatever_the_chunks(size: int) -> None:
    """X10: nothing is dropped, and each set can stand alone."""
    for path in (*sample_files(), *sample_files("erp/edi")):
        raw = path.read_bytes()
        if path.name in NO_HEADER | NO_TERMINATOR or (size == 1 and len(raw) > 20_000):
            continue
        found = list(pieces(raw[at:at + size] for at in range(0, len(raw), size)))
        assert b"".join(piece.raw for piece in found) == raw, path.name
        alone = [parse(piece.alone()).sets() for piece in found if piece.kind is Kind.SET]
        assert [[segment.text for each in sets for segment in each.segments] for sets in alone] \
            == [[segment.text for segment in each.segments] for each in parse(raw).sets()], path.name


_CHARS = st.sampled_from("*:^~|>!<\\}{]['`;%@#$_\"\x1d\x1f\x1e\x1c\n¦§")


@given(st.lists(_CHARS, min_size=4, max_size=4, unique=True), st.sampled_from(["", "\n", "\r\n", "  \n"]),
       st.integers(1, 3))
def test_any_delimiters_are_read_from_the_header(chars: list[str], after: str, sets: int) -> None:
    """X01: generated interchanges with random delimiters and line ends after the terminator."""
    delimiters = Delimiters(*chars)
    if delimiters.element in "_\n" or delimiters.component == "\n" or delimiters.repetition == "\n":
        return
    bodies = [a_set(INQUIRY, control=f"{number:04}") for number in range(1, sets + 1)]
    raw = redelimited(an_interchange(*bodies), delimiters)
    ending = delimiters.segment.encode()
    raw = raw.replace(ending, ending + after.encode())
    message = parse(raw)
    assert message.interchanges[0].delimiters == delimiters
    assert message.emit() == raw
    assert [each.control for each in message.sets()] == [f"{number:04}" for number in range(1, sets + 1)]
    assert b"".join(piece.raw for piece in pieces([raw])) == raw
    assert len(list(split([raw]))) == sets


_NAMES = st.sampled_from(
    ["HL", "NM1", "TRN", "DMG", "REF", "EB", "EQ", "DTP", "MSG", "III", "LS", "LE", "AAA", "ZZ9", "N3", "TA1"])
_DATA = st.text(st.characters(codec="utf-8", exclude_characters="*:^~|>!", exclude_categories=["Cs", "Cc"]), max_size=12)
_ELEMENTS = st.lists(st.lists(st.lists(_DATA, min_size=1, max_size=3), min_size=1, max_size=3), max_size=8)
_MARKS = st.permutations(["*", ":", "^", "~", "|", ">", "!", "\x1d", "\x1e", "\x1f", "\x1c"])


@given(st.lists(st.tuples(_NAMES, _ELEMENTS), max_size=12), _MARKS, st.sampled_from(["", "\n", "\r\n"]), st.integers(1, 200))
def test_any_segments_in_any_delimiters_are_read_walked_and_kept(
    segments: list[tuple[str, list[list[list[str]]]]], marks: list[str], after: str, size: int
) -> None:
    """X01, X08, X10, X19: generated interchanges; what was said is what is read, in every way to read it."""
    element, component, repetition, terminator = marks[:4]
    said = [[name, *(repetition.join(component.join(parts) for parts in reps) for reps in elements)]
            for name, elements in segments]
    lines = [ISA.rstrip("~").split("*"), GS.rstrip("~").split("*"), ["ST", "271", "0001", "005010X279A1"], *said,
             ["SE", str(len(said) + 2), "0001"], ["GE", "1", "1"], ["IEA", "1", "000000907"]]
    lines[0][11], lines[0][16] = repetition, component
    raw = "".join(element.join(line) + terminator + after for line in lines).encode()
    message = parse(raw)
    assert message.emit() == raw
    [each] = message.sets()
    assert [segment.elements for segment in each.segments[1:-1]] == said
    found = list(pieces(raw[at:at + size] for at in range(0, len(raw), size)))
    assert b"".join(piece.raw for piece in found) == raw
    assert [[segment.elements for segment in one.segments[1:-1]] for one in parse(next(split([raw]))).sets()] == [said]
    tree = walk(each, guide("271"))
    assert sorted(number for loop, _ in places(tree.root) for number in loop.numbers) == list(range(1, len(said) + 3))
    judge(message.interchanges[0])


def test_identifiers_are_compared_without_their_padding() -> None:
    """X06"""
    interchange = parse(inquiry()).interchanges[0]
    assert interchange.sender == ("ZZ", "CLINIC")
    assert interchange.receiver == ("ZZ", "PAYER")


def test_an_edited_element_changes_nothing_else() -> None:
    message = parse(inquiry())
    segment = message.sets()[0].segments[1]
    segment.set(3, "CHECK2")
    assert message.emit() == inquiry().replace(b"13*CHECK1", b"13*CHECK2")


def test_delimiters_that_occur_in_data_are_replaced() -> None:
    """X08: others are chosen; the usual ones where nothing speaks against them."""
    assert choose_delimiters(["SMITH", "10.5"]) == STANDARD
    chosen = choose_delimiters(["A*B", "C:D", "E^F~"])
    assert not set(chosen.all()) & set("*:^~")
    assert len(set(chosen.all())) == 4


def test_where_the_partner_takes_no_others_a_delimiter_in_data_is_refused() -> None:
    """X08"""
    with pytest.raises(Rejection) as caught:
        choose_delimiters(["A*B"], free=False)
    assert caught.value.findings[0].code == "x12.delimiter_in_data"


def test_a_header_of_105_bytes_has_no_component_separator() -> None:
    """X01: ISA16 left out, so the terminator stands at byte 105."""
    raw = inquiry().replace(b"*T*:~", b"*T*~")
    message = parse(raw)
    assert message.interchanges[0].delimiters == Delimiters("*", "", "^", "~")
    assert not message.interchanges[0].sound
    assert message.emit() == raw
    assert len(list(split([raw]))) == 1


def test_a_second_header_that_nobody_can_read_does_not_take_the_first_interchange_with_it() -> None:
    """X10"""
    raw = inquiry() + b"ISA*00*CUT OFF~GS*HS~"
    message = parse(raw)
    assert message.emit() == raw
    assert [each.control for each in message.sets()] == ["0001"]


@pytest.mark.parametrize("change", [
    (b"*00*          *00*", b"*00*"), (b"*ZZ*CLINIC  ", b"*ZZ*CLI*NIC  "), (b"*0*T*:", b"*T*:")])
def test_a_header_with_an_element_too_few_or_too_many_can_be_answered(change: tuple[bytes, bytes]) -> None:
    """4.2: a bad ISA gets a TA1 with R; only what nobody can read gets nothing."""
    raw = inquiry().replace(*change, 1)
    message = parse(raw)
    assert message.emit() == raw
    assert message.interchanges[0].delimiters == STANDARD
    assert not message.interchanges[0].sound
    assert [each.control for each in message.sets()] == ["0001"]
    assert judge(message.interchanges[0]).code == "R"
    assert len(list(split([raw[:60], raw[60:]]))) == 1


def test_an_interchange_of_acknowledgements_only_is_one_message() -> None:
    raw = b"ISA*00*          *00*          *ZZ*PAYER          *ZZ*CLINIC         *260310*1148*^*00501*000000001*0*T*:~" \
          b"TA1*000000907*260310*1147*A*000~IEA*0*000000001~"
    assert list(split([raw])) == [raw]
    assert X12Codec().peek(raw).message_type == "TA1"
    assert list(split([raw + inquiry()])) == [raw, *split([inquiry()])]


def test_a_set_that_is_too_large_stops_the_file_and_not_the_memory() -> None:
    """X10"""
    chunks = (b"EQ*30~" * 1000 for _ in range(1000))

    def file() -> list[bytes]:
        return [inquiry()[:-30], *chunks]

    with pytest.raises(Rejection) as caught:
        list(pieces(iter(file()), max_bytes=100_000))
    assert caught.value.findings[0].code == "x12.too_large"
