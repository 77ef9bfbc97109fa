"""Our own reader: pictures and PDFs in every shape they come in, and what a hostile one costs (Z16)."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from canonical.page import MarkState, Page, PageDocument, SourceKind
from connectors.ocr.clean import hash_of, resolution, skew_of
from connectors.ocr.process import read, version
from connectors.ocr.settings import OcrOut
from tests.fax.samples import needed, sample, samples
from tests.ocr import sheets
from wiring.demo.stage import ROOT

TEXT = "\n".join(sheets.LINES)
SETTINGS = OcrOut(priority=0)


async def pages_of(raw: bytes, settings: OcrOut = SETTINGS) -> PageDocument:
    return await read(raw, "M-1", settings)


def codes(document: PageDocument) -> list[tuple[str, str]]:
    return [(found.code, found.at) for found in document.findings]


def heading(page: Page) -> tuple[float, float]:
    """Where the first line begins."""
    return page.lines[0].box.left, page.lines[0].box.top


# -- pictures


@pytest.mark.parametrize("raw", [
    sheets.saved(sheets.drawn()), sheets.saved(sheets.drawn(), form="PNG"),
    sheets.saved(sheets.drawn(), form="JPEG", quality=60),
    sheets.fax(sheets.drawn()), sheets.fax(sheets.drawn(), fine=False), sheets.saved(sheets.drawn(), form="PDF"),
], ids=["tiff", "png", "jpeg", "fine fax", "standard fax", "pdf of a picture"])
async def test_the_same_page_is_read_whatever_the_file(raw: bytes, tessdata: str) -> None:
    document = await pages_of(raw)
    [page] = document.pages
    assert page.text == TEXT
    assert heading(page) == pytest.approx((1 / 8.5, 1 / 11), abs=0.02)
    assert all((word.confidence or 0) > 0.5 for word in page.words)
    assert (document.source, document.producer_version, document.parent_id) == (SourceKind.OCR, version(), "M-1")
    assert page.image is not None
    assert (page.image.message_id, page.image.index) == ("M-1", 0)
    assert document.findings == ()


@pytest.mark.parametrize("turned", [90, 180, 270])
async def test_a_page_that_was_fed_the_wrong_way_is_read_as_if_it_lay_right(turned: int, tessdata: str) -> None:
    raw = sheets.saved(sheets.drawn().rotate(turned, expand=True))  # counter-clockwise: turned back clockwise
    [page] = (await pages_of(raw)).pages
    assert page.text == TEXT
    assert page.rotation == turned
    assert heading(page) == pytest.approx((1 / 8.5, 1 / 11), abs=0.02)


@pytest.mark.parametrize("skew", [-3.0, 1.2])
async def test_a_page_that_lies_askew_is_straightened(skew: float, tessdata: str) -> None:
    [page] = (await pages_of(sheets.saved(sheets.drawn().rotate(-skew, fillcolor=255)))).pages
    assert page.text == TEXT
    assert page.quality is not None
    assert page.quality.skew == pytest.approx(skew, abs=0.3)


async def test_specks_are_removed_and_counted(tessdata: str) -> None:
    [page] = (await pages_of(sheets.saved(sheets.speckled(sheets.drawn())))).pages
    assert page.text == TEXT
    assert page.quality is not None
    assert page.quality.noise > 0.1


@pytest.mark.parametrize("ticked", [True, False])
async def test_check_boxes_are_marks_and_no_letters(ticked: bool, tessdata: str) -> None:
    [page] = (await pages_of(sheets.fax(sheets.drawn(ticked=ticked)))).pages
    [mark] = page.marks
    assert mark.state is (MarkState.SELECTED if ticked else MarkState.UNSELECTED)
    assert page.lines[-1].text == "urgent request"


async def test_a_document_of_several_pages_keeps_their_order_and_empty_ones(tessdata: str) -> None:
    empty = Image.new("L", (1700, 2200), 255)
    document = await pages_of(sheets.fax(sheets.drawn(), empty, sheets.drawn(lines=["Second page of the fax"])))
    assert [page.text for page in document.pages] == [TEXT, "", "Second page of the fax"]
    assert [page.number for page in document.pages] == [1, 2, 3]


async def test_the_same_picture_gives_the_same_bytes(tessdata: str) -> None:
    """Invariant 8, as far as the engine is concerned."""
    raw = sheets.fax(sheets.drawn(ticked=True))
    assert await pages_of(raw) == await pages_of(raw)


def test_two_scans_of_one_sheet_have_nearly_the_same_hash_and_others_have_not() -> None:
    one = sheets.drawn()
    again = sheets.speckled(one.rotate(0.4, fillcolor=255), 0.002)
    other = sheets.drawn(lines=["Something else", "altogether", "", "", "", "on another form", "with other words"])

    def apart(a: Image.Image, b: Image.Image) -> int:
        return (int(hash_of(a), 16) ^ int(hash_of(b), 16)).bit_count()

    assert apart(one, again) * 3 < apart(one, other)


@pytest.mark.parametrize(("width", "height", "stated", "expected"), [
    (1700, 2200, (200, 200), (200, 200)), (1728, 1078, (204, 98), (204, 98)), (1728, 1078, None, (203.3, 101.6)),
    (1734, 2244, (518.16, 518.16), (204, 204)), (2550, 3300, (1, 1), (300, 300)), (500, 500, (0, 0), (150, 150))])
def test_a_resolution_that_cannot_be_is_that_of_a_sheet_of_paper(
        width: int, height: int, stated: object, expected: tuple[float, float]) -> None:
    assert resolution(width, height, stated) == pytest.approx(expected, rel=0.01)


def test_an_empty_page_lies_straight() -> None:
    assert skew_of(Image.new("L", (1000, 1000), 255)) == 0.0


# -- PDF


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
async def test_a_text_layer_is_taken_as_it_is_shown_and_needs_no_engine(rotate: int) -> None:
    document = await pages_of(sheets.text_pdf(sheets.LINES, ["Page two", "has few words but more than a stamp would have"],
                                              rotate=rotate), OcrOut(tessdata="/nowhere"))
    assert document.source is SourceKind.PDF
    first = document.pages[0]
    assert first.text == TEXT
    assert document.findings == ()
    # The page is shown sideways or upside down; its text says how a person would turn it.
    assert heading(first) == pytest.approx((72 / 612, 1 - 714 / 792), abs=0.02)
    assert first.rotation == -rotate % 360
    assert (first.width, first.height) == (612, 792)


async def test_pages_without_text_are_drawn_and_read_beside_those_with(tessdata: str) -> None:
    document = await pages_of(sheets.text_pdf(sheets.LINES, ["fax 14:30 p. 2"]))
    assert document.source is SourceKind.OCR
    assert [page.text for page in document.pages] == [TEXT, "fax 14:30 p. 2"]


# -- what a hostile document costs (Z16): one finding each


async def test_a_picture_with_too_many_dots_is_not_decoded() -> None:
    raw = sheets.png_bomb()
    document = await pages_of(raw)
    assert len(raw) < 1_000_000
    assert codes(document) == [("ocr.too_many_pixels", "page 1")]


async def test_a_page_with_too_many_dots_costs_that_page(tessdata: str) -> None:
    bomb = Image.new("1", (20_000, 20_000), 1)
    document = await pages_of(sheets.saved(sheets.drawn().convert("1"), bomb, sheets.drawn().convert("1"),
                                           compression="group4"))
    assert [page.number for page in document.pages] == [1, 3]
    assert codes(document) == [("ocr.too_many_pixels", "page 2")]


async def test_more_pages_than_are_read_cost_one_finding(tessdata: str) -> None:
    page = Image.new("1", (200, 200), 1)
    document = await pages_of(sheets.saved(*[page] * 30, compression="group4"), OcrOut(max_pages=3, priority=0))
    assert len(document.pages) == 3
    assert codes(document) == [("ocr.too_many_pages", "page 4")]


async def test_a_pdf_that_says_it_has_millions_of_pages_costs_one_finding() -> None:
    raw = sheets.text_pdf(["x"]).replace(b"/Count 1 ", b"/Count 9999999 ")
    document = await pages_of(raw, OcrOut(max_pages=5, tessdata="/nowhere", priority=0))
    assert len(document.findings) <= 6
    assert document.findings


async def test_a_pdf_page_the_size_of_a_house_costs_one_finding() -> None:
    document = await pages_of(sheets.text_pdf([""], box=(14_400, 14_400)), OcrOut(max_pixels=1_000_000))
    assert codes(document) == [("ocr.too_many_pixels", "page 1")]


async def test_a_pdf_page_of_endless_objects_costs_one_finding() -> None:
    content = b"0 0 1 1 re f\n" * 5_000
    document = await pages_of(sheets.text_pdf([""], content=content), OcrOut(max_objects=1_000))
    assert codes(document) == [("ocr.too_many_objects", "page 1")]


@pytest.mark.parametrize("password", [b"", b"s3cret"], ids=["that anybody may open", "with a password"])
async def test_a_pdf_that_is_encrypted_is_read_where_it_needs_no_password_and_is_a_finding_where_it_does(
        password: bytes) -> None:
    document = await pages_of(sheets.locked_pdf(sheets.LINES, password), OcrOut(tessdata="/nowhere", priority=0))
    assert [found.code for found in document.findings] == (["ocr.encrypted"] if password else ["ocr.engine_missing"])
    assert document.pages == ()


@pytest.mark.parametrize("raw", [
    sheets.saved(sheets.drawn())[:3000], b"II*\0\x08\0\0\0" + b"\xff" * 64, b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
    b"\xff\xd8\xff\xe0" + b"\0" * 100, b"%PDF-1.7\nnothing", b"MM\0*\0\0\0\x08\xff\xff",
], ids=["cut tiff", "senseless tiff", "senseless png", "senseless jpeg", "senseless pdf", "tiff of many tags"])
async def test_a_damaged_document_costs_one_finding(raw: bytes, tessdata: str) -> None:
    document = await pages_of(raw)
    assert document.pages == ()
    assert [code for code, _ in codes(document)] == ["ocr.damaged"]


async def test_a_page_that_takes_too_long_costs_that_page() -> None:
    document = await pages_of(sheets.saved(sheets.drawn()), OcrOut(page_s=0.001))
    assert document.pages == ()
    assert [code for code, _ in codes(document)] == ["ocr.too_slow"]


async def test_a_document_that_takes_all_its_time_costs_one_finding(tessdata: str) -> None:
    """RLIMIT_CPU: the system itself ends it."""
    raw = sheets.fax(*[sheets.drawn()] * 40)
    document = await pages_of(raw, OcrOut(document_s=3, priority=0))
    assert len(document.pages) < 40
    assert [code for code, _ in codes(document)] == ["ocr.too_slow"]


async def test_a_page_that_takes_too_much_memory_costs_that_page(tessdata: str) -> None:
    """RLIMIT_AS: the process may die of it, the engine does not."""
    document = await pages_of(sheets.saved(sheets.drawn(), sheets.drawn()), OcrOut(memory_mb=256, priority=0))
    assert document.pages == ()
    assert {code for code, _ in codes(document)} <= {"ocr.too_much_memory", "ocr.crashed", "ocr.engine_missing"}
    assert document.findings


async def test_without_an_engine_a_picture_is_a_finding_and_not_a_crash() -> None:
    document = await pages_of(sheets.saved(sheets.drawn()), OcrOut(tessdata="/nowhere"))
    assert codes(document) == [("ocr.engine_missing", "page 1")]


PRISONER = """
import json, os, socket, sys
from connectors.ocr import prison
prison.enter(2048, 100, 3)
told = {"uid": os.geteuid(), "nice": os.nice(0)}
for name, what in {
    "secret": lambda: open("/etc/shadow").read(),
    "write": lambda: open("/tmp/dragoman-prison-test", "w").write("x" * 10) and None,
    "fork": os.fork,
    "memory": lambda: bytearray(3 * 1024 ** 3),
    "network": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2),
}.items():
    try:
        made = what()
        if name == "fork" and made == 0:
            os._exit(0)
        if name == "write":
            raise OSError if os.path.getsize("/tmp/dragoman-prison-test") == 0 else SystemExit
        told[name] = "allowed"
    except BaseException as error:
        told[name] = type(error).__name__
print(json.dumps(told))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")
def test_the_reading_process_gives_up_what_it_does_not_need(tmp_path: Path) -> None:
    """Z16: a separate low-privilege process. What a container does not let us do is done by the limits alone."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        done = subprocess.run([sys.executable, "-c", PRISONER, str(server.getsockname()[1])], cwd=ROOT, capture_output=True,
                              text=True, check=False, env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]})
    told = json.loads(done.stdout)
    assert told["uid"] == 65534
    assert told["nice"] == min(os.nice(0) + 3, 19)
    assert told["secret"] == "PermissionError"
    assert told["memory"] == "MemoryError"
    assert told["fork"] != "allowed"
    assert told["write"] != "allowed"


async def test_the_reading_process_knows_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Z13: it holds secrets, and a document that takes over the process could tell them."""
    import asyncio

    monkeypatch.setenv("DRAGOMAN_DATABASE", "postgresql://CANARY")
    seen: list[object] = []
    real = asyncio.create_subprocess_exec

    async def watched(*command: object, **options: object) -> object:
        seen.append(options["env"])
        return await real(*command, **options)  # type: ignore[arg-type] # passed through

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    await pages_of(b"%PDF-1.7\nnothing")
    assert seen
    assert "CANARY" not in str(seen)


# -- the samples


@needed
@pytest.mark.slow
@pytest.mark.parametrize("path", samples("images"), ids=lambda p: p.name)
async def test_every_sample_picture_is_read_or_refused_with_its_place(path: Path, tessdata: str) -> None:
    document = await pages_of(path.read_bytes())
    assert document.pages
    assert document.findings == ()


@needed
async def test_our_reading_agrees_with_tesseracts_own_and_with_azures(tessdata: str) -> None:
    """The same picture through three programs."""
    from connectors.fax.codec import PageCodec

    [ours] = (await pages_of(sample("images/OCR-Form-Tools__testdata.jpg"))).pages
    for other in ("azure-di/OCR-Form-Tools__testdata.jpg.ocr.json", "tesseract-derived/ocr-form-tools-testdata.hocr"):
        [theirs] = PageCodec().decode(sample(other)).pages
        assert sorted(word.text for word in ours.words) == sorted(word.text for word in theirs.words)
        for word in ours.words:
            assert any(one.text == word.text and one.box.contains(word.box) for one in theirs.words)


def test_the_pictures_of_these_tests_are_pictures() -> None:
    assert Image.open(io.BytesIO(sheets.fax(sheets.drawn()))).size == (1728, 2156)
