"""Plain text: columns and lines are the page's grid, a form feed ends a page."""

from __future__ import annotations

import codecs
import re
from typing import Final

from canonical.findings import Rejection, finding
from canonical.page import Box, Line, Page, PageDocument, SourceKind, Unit, Word
from connectors.fax.codes import TOO_MANY
from connectors.fax.frame import DIGITS
from connectors.fax.readers.limits import Budget, complete, malformed, present

_WORD: Final = re.compile(r"\S+")
_TAB: Final = 8
#: Columns of a line and lines of a page: below the model's resolution there is nothing to tell.
_MAX_SIDE: Final = 100_000


def read(raw: bytes, charset: str = "") -> PageDocument:
    """A page a form feed. Raises `Rejection`.

    Args:
        raw: the text.
        charset: what it is written in where it is not UTF-8; Windows-1252 where nobody says.
    """
    text = _decoded(present(raw), charset)
    budget = Budget()
    pages = text.split("\f")
    while len(pages) > 1 and not pages[-1].strip():
        pages.pop()
    made = tuple(_page(number, page, budget) for number, page in enumerate(pages, 1))
    return complete(PageDocument(source=SourceKind.TEXT, pages=made))


def _decoded(raw: bytes, charset: str) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        charset = "utf-16"
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = raw.decode(charset or "windows-1252", "replace")
        except LookupError:
            raise malformed("", "the character set of the channel is not known") from None
    if "\0" in text:
        raise malformed("", "it holds characters that no text holds")
    return text


def _page(number: int, text: str, budget: Budget) -> Page:
    budget.page(f"page {number}")
    rows = [row.expandtabs(_TAB).rstrip() for row in text.splitlines()]
    width, height = max(map(len, rows), default=0) or 1, len(rows) or 1
    if width > _MAX_SIDE or height > _MAX_SIDE:
        raise Rejection(finding(TOO_MANY, at=f"page {number}", detail=f"more than {_MAX_SIDE} columns or lines"))
    lines = []
    for at, row in enumerate(rows):
        words = tuple(Word(text=found.group(), box=_box(found.start(), found.end(), at, width, height))
                      for found in _WORD.finditer(row))
        if words:
            budget.words(len(words), f"page {number}")
            box = Box(words[0].box.left, words[0].box.top, words[-1].box.right, words[0].box.bottom)
            lines.append(Line(words=words, box=box))
    return Page(number=number, width=width, height=height, unit=Unit.CHARACTER, lines=tuple(lines))


def _box(start: int, end: int, row: int, width: int, height: int) -> Box:
    return Box(round(start / width, DIGITS), round(row / height, DIGITS),
               round(end / width, DIGITS), round((row + 1) / height, DIGITS))
