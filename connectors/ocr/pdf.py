"""PDF: the text layer where a page has one, else the page drawn as a picture.

What a person filled into a form, and stamps that are annotations, are drawn into the page first (flattened), so that
they are read too.
"""

from __future__ import annotations

import ctypes
import math
from itertools import pairwise
from typing import Any, Final, TypeVar

import msgspec
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image

from canonical.findings import Rejection, finding
from canonical.page import Box, Line, Mark, MarkState, Page, PageImage, Unit, Word, box_around
from connectors.fax.frame import turn_of_lines
from connectors.ocr.clean import DPI, hash_of
from connectors.ocr.codes import DAMAGED, ENCRYPTED, TOO_MANY_OBJECTS, TOO_MANY_PIXELS

#: Characters of a text layer that make it worth believing: fewer are the stamp that a fax server puts on a picture.
_ENOUGH: Final = 40
_POINTS: Final = 72
_GRID: Final = 100_000
"""Device units over a page: positions are shares of it."""
_LEAST_DPI: Final = 72
_SKETCH: Final = 300
"""Dots of the small picture from which the perceptual hash is taken."""
#: Check boxes as glyphs: Unicode, and the private places where Wingdings and ZapfDingbats put them.
_EMPTY_BOXES: Final = frozenset("☐❏❐❑❒□◻\uf06f\uf070\uf071\uf072\uf0a8\uf0a3")
_TICKED_BOXES: Final = frozenset("☑☒✓✔✗✘☓■◼\uf0fe\uf0fd\uf078\uf0fc\uf052\uf054\uf0a4")
_DIGITS: Final = 6

T = TypeVar("T", Word, Mark)


class Pdf:
    """One PDF.

    Raises:
        Rejection: it cannot be opened.
    """

    def __init__(self, raw: bytes) -> None:
        try:
            self._pdf = pdfium.PdfDocument(raw)
            if self._pdf.get_formtype():
                self._pdf.init_forms()
        except pdfium.PdfiumError as error:
            code = ENCRYPTED if error.err_code == pdfium_c.FPDF_ERR_PASSWORD else DAMAGED
            raise Rejection(finding(code)) from None

    def __len__(self) -> int:
        """How many pages it says it has."""
        return len(self._pdf)

    def page(self, number: int, source: PageImage, max_objects: int) -> tuple[Any, Page | None]:
        """A page, and what its text layer says; None where it has none.

        Raises:
            Rejection: it cannot be opened, or holds too many objects.
        """
        at = f"page {number}"
        try:
            page = self._pdf[number - 1]
            if pdfium_c.FPDFPage_CountObjects(page.raw) > max_objects:
                raise Rejection(finding(TOO_MANY_OBJECTS, at=at))
            if pdfium_c.FPDFPage_GetAnnotCount(page.raw):
                page.flatten()
                page = self._pdf[number - 1]
            return page, self._layer(page, number, source)
        except pdfium.PdfiumError:
            raise Rejection(finding(DAMAGED, at=at)) from None

    def draw(self, page: Any, number: int, max_pixels: int) -> Image.Image:
        """The page as a picture. Raises `Rejection` where even a coarse one has too many dots."""
        width, height = page.get_size()
        inches = max(width, 1) * max(height, 1) / _POINTS**2
        dpi = min(DPI, math.sqrt(max_pixels / inches))
        if dpi < _LEAST_DPI:
            raise Rejection(finding(TOO_MANY_PIXELS, at=f"page {number}"))
        try:
            picture: Image.Image = page.render(scale=dpi / _POINTS, grayscale=True).to_pil()
        except pdfium.PdfiumError:
            raise Rejection(finding(DAMAGED, at=f"page {number}")) from None
        picture.info["dpi"] = (dpi, dpi)
        return picture

    def _layer(self, page: Any, number: int, source: PageImage) -> Page | None:
        layer = page.get_textpage()
        lines, marks = _lines(layer, page)
        if sum(len(word.text) for line in lines for word in line.words) < _ENOUGH:
            return None
        # A page may be shown sideways: its text tells how a person would turn it.
        turn = _turn(lines)
        width, height = page.get_size()
        sketch = page.render(scale=_SKETCH / max(width, height, 1.0), grayscale=True).to_pil()
        if turn:
            sketch = sketch.rotate(-turn, expand=True)
            lines = [Line(words=tuple(_turned(word, turn) for word in line.words), box=_tidy(line.box.turned(turn)))
                     for line in lines]
            lines.sort(key=lambda line: (line.box.top, line.box.left))  # the library follows the page as it is shown
            marks = [_turned(mark, turn) for mark in marks]
            width, height = (width, height) if turn == 180 else (height, width)
        return Page(number=number, width=float(width), height=float(height), unit=Unit.POINT, rotation=turn,
                    lines=tuple(lines), marks=tuple(marks),
                    image=PageImage(message_id=source.message_id, sha256=source.sha256, index=source.index,
                                    perceptual_hash=hash_of(sketch)))


def _turn(lines: list[Line]) -> int:
    """Which way most words of a line follow each other. Upside down is told apart from print from right to left by the
    order of the lines."""
    down = up = along = 0
    for line in lines:
        for one, other in pairwise(line.words):
            dx, dy = other.box.centre[0] - one.box.centre[0], other.box.centre[1] - one.box.centre[1]
            along += abs(dx) >= abs(dy)
            down += abs(dx) < dy
            up += abs(dx) < -dy
    if max(down, up) > along:
        return 270 if down > up else 90
    return turn_of_lines([[word.box.centre for word in line.words] for line in lines])


def _turned(what: T, turn: int) -> T:
    return msgspec.structs.replace(what, box=_tidy(what.box.turned(turn)))


def _tidy(box: Box) -> Box:
    return Box(*(round(edge, _DIGITS) for edge in (box.left, box.top, box.right, box.bottom)))


def _lines(layer: Any, page: Any) -> tuple[list[Line], list[Mark]]:
    lines: list[Line] = []
    marks: list[Mark] = []
    words: list[Word] = []
    letters: list[str] = []
    boxes: list[Box] = []

    def word() -> None:
        if letters and boxes:
            words.append(Word(text="".join(letters), box=box_around(boxes)))
        letters.clear()
        boxes.clear()

    def line() -> None:
        word()
        if words:
            lines.append(Line(words=tuple(words), box=box_around(each.box for each in words)))
        words.clear()

    high = 0
    for index in range(layer.count_chars()):
        code = pdfium_c.FPDFText_GetUnicode(layer.raw, index)
        if 0xD800 <= code < 0xDC00:  # the first half of a pair
            high = code
            continue
        if 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00) if high else 0xFFFD
        letter = chr(code) if code else " "
        if letter in "\r\n":
            line()
        elif letter.isspace():
            word()
        elif (box := _box(layer, page, index)) is not None:
            if letter in _EMPTY_BOXES or letter in _TICKED_BOXES:
                word()
                marks.append(Mark(state=MarkState.SELECTED if letter in _TICKED_BOXES else MarkState.UNSELECTED, box=box))
            elif letter.isprintable():
                letters.append(letter)
                boxes.append(box)
    line()
    return lines, marks


def _box(layer: Any, page: Any, index: int) -> Box | None:
    """Where a letter stands on the page as it is shown: turned and cropped as the page says."""
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    if not pdfium_c.FPDFText_GetCharBox(layer.raw, index, left, right, bottom, top):
        return None
    x, y = ctypes.c_int(), ctypes.c_int()
    edges: list[float] = []
    for across, down in ((left, top), (right, bottom)):
        if not pdfium_c.FPDF_PageToDevice(page.raw, 0, 0, _GRID, _GRID, 0, across.value, down.value, x, y):
            return None
        edges += [min(max(x.value / _GRID, 0.0), 1.0), min(max(y.value / _GRID, 0.0), 1.0)]
    return Box(round(min(edges[0], edges[2]), _DIGITS), round(min(edges[1], edges[3]), _DIGITS),
               round(max(edges[0], edges[2]), _DIGITS), round(max(edges[1], edges[3]), _DIGITS))
