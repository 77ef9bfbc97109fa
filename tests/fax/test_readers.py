"""Readings of pages that others made: one page model, whatever the format; what is none is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical.findings import Rejection
from canonical.page import MarkState, Page, PageDocument, PairKind, SourceKind, Unit, from_json, to_json
from connectors.base import Codec
from connectors.fax.codec import PageCodec, peek, refusal
from connectors.fax.frame import turn_of_lines
from connectors.fax.readers import text as plain
from connectors.fax.sniff import sniff
from tests.conformance.codec import CodecConformance
from tests.fax import readings
from tests.fax.samples import FOLDER, needed, sample, samples

CODEC = PageCodec()


def code_of(raw: bytes) -> tuple[str, str]:
    """Code and place of the refusal."""
    with pytest.raises(Rejection) as caught:
        CODEC.decode(raw)
    [found] = caught.value.findings
    return found.code, found.at


def read_or_refused(raw: bytes) -> PageDocument | None:
    """None for a refusal with findings; anything else is a defect."""
    try:
        return CODEC.decode(raw)
    except Rejection as rejection:
        return None if rejection.findings else pytest.fail("a refusal without a reason")


class TestOwnForm(CodecConformance):
    """Our own form of pages is a format like any other."""

    codec: Codec[PageDocument] = PageCodec([SourceKind.OCR])

    def samples(self) -> list[bytes]:
        one = from_json(readings.own())
        return [to_json(one), to_json(PageDocument(source=SourceKind.OCR, pages=one.pages, parent_id="M-2")),
                to_json(PageDocument(source=SourceKind.OCR, pages=(Page(number=1),))),
                to_json(PageDocument(source=SourceKind.OCR, pages=one.pages * 200, producer="tesseract"))]


# -- the same page, whoever read it


@pytest.mark.parametrize("name", readings.LOCATED)
def test_the_same_page_is_the_same_words_at_the_same_places_whoever_read_it(name: str) -> None:
    page = CODEC.decode(readings.LOCATED[name]()).pages[0]
    known = CODEC.decode(readings.own()).pages[0]
    assert page.text == known.text == "Name: Test Patient\nUrgent"
    for one, other in zip(page.words, known.words, strict=True):
        assert one.text == other.text
        assert one.box.overlap(other.box) > 0.99
        assert one.confidence == other.confidence
    assert page.rotation == 0


@pytest.mark.parametrize("name", ["textract", "azure 2.1", "azure 4.0"])
def test_marks_and_pairs_are_the_same_whoever_read_them(name: str) -> None:
    page = CODEC.decode(readings.ALL[name]()).pages[0]
    [pair] = page.pairs
    assert (pair.key_text, pair.value_text, pair.confidence, pair.kind) == ("Name:", "Test Patient", 0.93, PairKind.FORM)
    [mark] = page.marks
    assert mark.state is MarkState.SELECTED
    assert mark.confidence == 0.88


def test_a_page_that_was_fed_sideways_looks_like_any_other() -> None:
    page, known = CODEC.decode(readings.textract(turned=True)).pages[0], CODEC.decode(readings.own()).pages[0]
    assert page.rotation == 270
    for one, other in zip(page.words, known.words, strict=True):
        assert one.box.overlap(other.box) > 0.99
    assert page.on_image(page.lines[0].words[0].box).top == pytest.approx(0.1)


def test_a_plain_text_has_its_words_on_the_grid_of_its_characters() -> None:
    [page] = CODEC.decode(readings.text()).pages
    assert (page.width, page.height, page.unit) == (18, 3, Unit.CHARACTER)
    assert page.lines[0].words[1].box.left == pytest.approx(6 / 18, abs=1e-5)
    assert all(word.confidence is None for word in page.words)


def test_bar_codes_are_kept() -> None:
    [code] = CODEC.decode(readings.azure_4()).pages[0].barcodes
    assert (code.text, code.kind) == ("FORM-7", "QRCode")


def test_a_text_in_another_character_set_is_read_by_that_of_its_channel() -> None:
    [page] = plain.read("Müller\n".encode("cp850"), "cp850").pages
    assert page.text == "Müller"


def test_the_order_of_words_tells_how_the_page_lies_but_not_for_scripts_from_right_to_left() -> None:
    upright = [[(1.0, 1.0), (2.0, 1.0)], [(1.0, 2.0), (2.0, 2.0)]]
    assert turn_of_lines(upright) == 0
    assert turn_of_lines([[(-x, -y) for x, y in line] for line in upright]) == 180
    assert turn_of_lines([[(-y, x) for x, y in line] for line in upright]) == 270
    assert turn_of_lines([[(y, -x) for x, y in line] for line in upright]) == 90
    assert turn_of_lines([[(-x, y) for x, y in line] for line in upright]) == 0


# -- refused, with the place


@pytest.mark.parametrize(("raw", "code", "at"), [
    (b'{"JobStatus":"FAILED"}', "page.failed", "/JobStatus"),
    (b'{"JobStatus":"IN_PROGRESS"}', "page.not_finished", "/JobStatus"),
    (b'[{"Blocks":[]},{"Blocks":[],"NextToken":"x"}]', "page.incomplete", "/1/NextToken"),
    (b'{"Blocks":[]}', "page.none", ""),
    (b'{"Blocks":[{"BlockType":"WORD","Geometry":{"BoundingBox":{"Left":"x"}}}]}', "", ""),
    (b'{"status":"failed","createdDateTime":""}', "page.failed", "/status"),
    (b'{"status":"running","createdDateTime":""}', "page.not_finished", "/status"),
    (b'{"analyzeResult":{}}', "page.malformed", "/analyzeResult"),
    (b'{"Blocks"', "page.malformed", ""),
    (b"level\tpage_num\tx\n", "page.malformed", "line 1"),
    (readings.tsv().replace(b"4\t1\t1\t1\t1\t0\t100", b"4\t1\t1\t1\t1\t0\tCANARY"), "page.malformed", "line 3"),
    (b"<alto><Layout><Page></Layout></alto>", "page.malformed", "line 1"),
    (b"<html class='ocr_page_not'>ocr_page</html>", "page.none", ""),
    (b"\x89PNG\r\n\x1a\n", "page.picture", ""),
    (b"PK\x03\x04", "fax.archive", ""),
    (b"GIF89a", "fax.unsupported", ""),
    (b"", "fax.empty", ""),
    (b"\x01\x02", "fax.unknown_format", ""),
    (b"cut off in the mid", "fax.unknown_format", ""),
])
def test_what_is_no_reading_is_refused_with_its_place(raw: bytes, code: str, at: str) -> None:
    if code:
        assert code_of(raw) == (code, at)
        assert "CANARY" not in str(code_of(raw))
    else:  # a word with a senseless box that no line claims costs nothing
        CODEC.decode(raw)


BILLION = (b"<!DOCTYPE alto [<!ENTITY a 'ha'>" + b"".join(
    b"<!ENTITY %c '&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;'>" % (98 + n, *[97 + n] * 8) for n in range(12))
    + b"]><alto><Layout><Page><PrintSpace>&m;</PrintSpace></Page></Layout></alto>")
FETCH = (b"<!DOCTYPE alto [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><alto><Layout><Page WIDTH='1' HEIGHT='1'><TextLine "
         b"HPOS='0' VPOS='0' WIDTH='1' HEIGHT='1'><String CONTENT='&x;'/></TextLine></Page></Layout></alto>")


@pytest.mark.parametrize("raw", [BILLION, FETCH, b"<alto>" + b"<a>" * 100_000, b"[" * 100_000 + b'"Blocks"'])
def test_entities_external_files_and_depth_cost_one_finding(raw: bytes) -> None:
    """Z15, Z16"""
    assert code_of(raw)[0] == "page.malformed"


def test_entities_in_hocr_are_not_expanded() -> None:
    """Z15: an HTML parser knows no entities of a document's own."""
    raw = readings.hocr().replace(b"<html>", b"<!DOCTYPE html [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><html>", 1)
    raw = raw.replace(b">Test<", b">&x;<")
    assert "root:" not in CODEC.decode(raw).pages[0].text


def test_more_words_than_are_taken_cost_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Z16"""
    monkeypatch.setattr("connectors.fax.readers.limits.MAX_WORDS", 3)
    assert {code_of(make())[0] for make in readings.ALL.values()} == {"page.too_many"}


def test_more_pages_than_are_taken_cost_one_finding() -> None:
    """Z16"""
    assert code_of(b"x\n\f" * 1_001) == ("page.too_many", "page 1001")


_MAKERS = st.sampled_from(sorted(readings.ALL))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(_MAKERS, st.data())
def test_damaged_readings_are_read_or_refused_and_never_anything_else(name: str, data: st.DataObject) -> None:
    raw = bytearray(readings.ALL[name]())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["replace", "cut", "double"])):
            case "replace":
                raw[at] = data.draw(st.integers(0, 255))
            case "cut":
                del raw[at:at + data.draw(st.integers(1, 40))]
            case _:
                raw[at:at] = raw[at:at + 20]
        if not raw:
            break
    peek(bytes(raw))
    document = read_or_refused(bytes(raw))
    assert document is None or from_json(to_json(document)) == document


_KEYS = st.sampled_from([
    "Blocks", "BlockType", "Id", "Geometry", "BoundingBox", "Polygon", "Relationships", "Ids", "Type", "analyzeResult",
    "readResults", "pages", "lines", "words", "polygon", "spans", "fields", "cells", "tables", "keyValuePairs", "key",
    "value", "documents", "labels", "selectionMarks"])
_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5), max_leaves=30)
_TOPS = st.sampled_from(["Blocks", "analyzeResult", "labels", "IdentityDocuments", "status"])


@given(st.dictionaries(_TOPS, _JSON, min_size=1))
def test_any_json_is_read_or_refused(value: dict[str, object]) -> None:
    read_or_refused(json.dumps(value).encode())


# -- the door


def test_a_second_reading_of_the_same_document_by_the_same_program_is_the_same_message() -> None:
    """Invariant 8: whatever chance made different in it."""
    one = from_json(readings.own())
    other = PageDocument(source=one.source, producer=one.producer, producer_version=one.producer_version,
                         parent_id=one.parent_id, pages=(Page(number=1),))
    newer = PageDocument(source=one.source, producer=one.producer, producer_version="2", parent_id=one.parent_id,
                         pages=one.pages)
    assert peek(to_json(one)).dedup == peek(to_json(other)).dedup != peek(to_json(newer)).dedup


@pytest.mark.parametrize(("raw", "kind"), [
    (b"II*\0rest", "DOCUMENT^TIFF"), (b"\xff\xd8\xff\xe0", "DOCUMENT^JPEG"), (b"%PDF-1.7", "DOCUMENT^PDF"),
    (readings.hocr(), "PAGES^HOCR"), (readings.alto(), "PAGES^ALTO"), (readings.tsv(), "PAGES^TSV"),
    (readings.textract(), "PAGES^TEXTRACT"), (readings.azure_2(), "PAGES^AZURE"), (readings.text(), "PAGES^TEXT"),
    (readings.own(), "PAGES^OCR"), (b"PK\x03\x04", "DOCUMENT^UNKNOWN")])
def test_the_door_tells_what_came_from_a_look_at_it(raw: bytes, kind: str) -> None:
    assert peek(raw).message_type == kind
    assert (refusal(raw) is None) == (kind != "DOCUMENT^UNKNOWN")


# -- the samples


@needed
@pytest.mark.parametrize("path", samples("hocr", "alto", "tesseract-derived", "textract", "azure-di"), ids=lambda p: p.name)
def test_every_sample_is_read_or_refused_with_its_place(path: Path) -> None:
    raw = path.read_bytes()
    if "failed" in path.name:
        assert code_of(raw) == ("page.failed", "/JobStatus")
        return
    document = CODEC.decode(raw)
    assert document.source is sniff(raw)
    assert from_json(to_json(document)) == document
    for page in document.pages:
        assert page.lines or page.pairs
        assert all(word.text.strip() for word in page.words)


def _once(page: Page) -> dict[str, tuple[float, float]]:
    """Where each word is that stands on the page once."""
    texts = [word.text for word in page.words]
    return {word.text: word.box.centre for word in page.words if texts.count(word.text) == 1}


@needed
@pytest.mark.parametrize("suffix", ["hocr", "tsv", "xml"])
def test_azure_and_tesseract_agree_on_the_same_picture(suffix: str) -> None:
    theirs = _once(CODEC.decode(sample("azure-di/OCR-Form-Tools__testdata.jpg.ocr.json")).pages[0])
    ours = _once(CODEC.decode(sample(f"tesseract-derived/ocr-form-tools-testdata.{suffix}")).pages[0])
    assert theirs.keys() == ours.keys()
    for text, centre in theirs.items():
        assert centre == pytest.approx(ours[text], abs=0.01)


@needed
@pytest.mark.parametrize("suffix", ["hocr", "tsv", "xml"])
def test_textract_and_tesseract_agree_on_the_same_form(suffix: str) -> None:
    """Same words in the same order across and down. The sample's pictures are two renderings: places differ a little."""
    theirs = _once(CODEC.decode(sample("textract/amazon-textract-respon__employment-application.json")).pages[0])
    ours = _once(CODEC.decode(sample(f"tesseract-derived/employmentapp.{suffix}")).pages[0])
    both = sorted(theirs.keys() & ours.keys())
    assert len(both) > 0.8 * min(len(theirs), len(ours))
    for axis in (0, 1):
        clear = [(one, other) for one in both for other in both if theirs[other][axis] - theirs[one][axis] > 0.05]
        assert sum(ours[one][axis] < ours[other][axis] for one, other in clear) > 0.98 * len(clear)


@needed
@pytest.mark.parametrize("name", ["employmentapp", "ocr-form-tools-testdata", "phototest-rotated-180", "simple-invoice",
                                  "vaccine-consent-blank-p1-faxlike"])
def test_the_formats_of_one_program_agree_to_the_pixel(name: str) -> None:
    pages = [CODEC.decode((FOLDER / "tesseract-derived" / f"{name}.{suffix}").read_bytes()).pages[0]
             for suffix in ("hocr", "tsv", "xml")]
    assert len({page.text for page in pages}) == 1
    assert len({page.rotation for page in pages}) == 1
    for words in zip(*(page.words for page in pages), strict=True):
        assert all(word.box.overlap(words[0].box) > 0.999 for word in words)


@needed
def test_forms_tables_and_answers_of_the_samples_are_where_they_belong() -> None:
    """Merged cells once, queries with and without an answer, check boxes in values, fields of trained models."""
    merged = CODEC.decode(sample("textract/amazon-textract-respon__tables_with_merged_cells_sample1.json")).pages[0]
    assert any(cell.column_span > 1 for table in merged.tables for cell in table.cells)
    for table in merged.tables:
        places = [(row, column) for cell in table.cells for row in range(cell.row, cell.row + cell.row_span)
                  for column in range(cell.column, cell.column + cell.column_span)]
        assert len(places) == len(set(places)) == table.rows * table.columns
    queries = CODEC.decode(sample("textract/amazon-textract-respon__test-query-response.json")).pages[0]
    assert [pair.kind for pair in queries.pairs].count(PairKind.QUERY) == 4
    assert any(pair.kind is PairKind.QUERY and pair.value_text for pair in queries.pairs)
    card = CODEC.decode(sample("azure-di/cognitive-services-RES__business-card-result.json")).pages[0]
    assert {"ContactNames(0).FirstName", "Emails(0)"} <= {pair.name for pair in card.pairs}
    general = CODEC.decode(sample("azure-di/cognitive-services-qui__general-document-model-output.json")).pages[0]
    assert any(pair.marks for pair in general.pairs)
    sideways = CODEC.decode(sample("textract/amazon-textract-respon__gib__90_degrees.json")).pages[0]
    wide = [word for word in sideways.words if len(word.text) > 6]
    assert sum(word.box.width for word in wide) > sum(word.box.height for word in wide)
