"""Tesseract's table: one row a block, paragraph, line or word (``tesseract … tsv``)."""

from __future__ import annotations

from typing import Final

from canonical.findings import Finding
from canonical.page import Line, Page, PageDocument, SourceKind, Word
from connectors.fax.frame import Frame, percent, turn_of_lines
from connectors.fax.readers.limits import Budget, complete, lines_with_words, malformed, outside

_COLUMNS: Final = ("level", "page_num", "block_num", "par_num", "line_num", "word_num", "left", "top", "width", "height",
                   "conf", "text")
_PAGE, _LINE, _WORD = 1, 4, 5
Edges = tuple[float, float, float, float]


class _Sheet:
    """One page, as its rows come."""

    def __init__(self, number: int, edges: Edges) -> None:
        self.number = number
        self.edges = edges
        self.lines: list[tuple[Edges, list[tuple[str, Edges, float | None]]]] = []


def read(raw: bytes, charset: str = "") -> PageDocument:
    """Raises `Rejection` where a row is none."""
    try:
        rows = raw.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise malformed("", "not UTF-8") from None
    if tuple(rows[0].rstrip("\r").split("\t")) != _COLUMNS:
        raise malformed("line 1", "the columns are not Tesseract's")
    budget = Budget()
    sheets: list[_Sheet] = []
    for at, row in enumerate(rows[1:], 2):
        if row.strip():
            _take(row.rstrip("\r"), f"line {at}", sheets, budget)
    findings: list[Finding] = []
    pages = tuple(_page(sheet, findings) for sheet in sheets)
    return complete(PageDocument(source=SourceKind.TSV, pages=pages, producer="tesseract", findings=tuple(findings)))


def _take(row: str, at: str, sheets: list[_Sheet], budget: Budget) -> None:
    cells = row.split("\t", len(_COLUMNS) - 1)
    if len(cells) < len(_COLUMNS) - 1:
        raise malformed(at, f"{len(_COLUMNS)} columns are expected, {len(cells)} are there")
    try:
        level, number = int(cells[0]), int(cells[1])
        left, top, width, height = (float(cell) for cell in cells[6:10])
        confidence = float(cells[10])
    except ValueError:
        raise malformed(at, "a number is expected") from None
    edges = (left, top, left + width, top + height)
    if level == _PAGE:
        budget.page(at)
        sheets.append(_Sheet(number, edges))
        return
    if not sheets:
        raise malformed(at, "a row before the first page")
    lines = sheets[-1].lines
    if level == _LINE:
        lines.append((edges, []))
    elif level == _WORD:
        words = cells[11].split() if len(cells) == len(_COLUMNS) else []
        if not words:  # what Tesseract takes for a rule or a picture
            return
        if not lines:
            raise malformed(at, "a word before the first line")
        budget.words(1, at)
        lines[-1][1].append((" ".join(words), edges, percent(confidence)))


def _page(sheet: _Sheet, findings: list[Finding]) -> Page:
    left, top, right, bottom = sheet.edges
    centres = [[((e[0] + e[2]) / 2, (e[1] + e[3]) / 2) for _, e, _ in words] for _, words in sheet.lines]
    frame = Frame(right - left, bottom - top, turn_of_lines(centres), (left, top))
    lines = lines_with_words(
        Line(words=tuple(Word(text=text, box=frame.box(*edges), confidence=confidence) for text, edges, confidence in words),
             box=frame.box(*around)) for around, words in sheet.lines)
    findings += outside(sheet.number, frame)
    width, height = frame.upright
    return Page(number=sheet.number, width=width, height=height, rotation=frame.rotation, lines=lines)
