"""How much of a reading is taken, and the findings that all readers share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from canonical.findings import Finding, Rejection, finding
from canonical.page import Line, Page, PageDocument
from connectors.fax.codes import EMPTY, MALFORMED, NO_PAGES, OUTSIDE, TOO_MANY
from connectors.fax.frame import Frame

MAX_PAGES: Final = 1_000
MAX_WORDS: Final = 500_000
#: Depth of JSON below which a reading's own structures lie: an honest one is not deeper than 12.
MAX_DEPTH: Final = 64

_JSON: Final = msgspec.json.Decoder()


def json_of(raw: bytes) -> Any:
    """The JSON value. Raises `Rejection`."""
    try:
        return _JSON.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed("", f"not JSON ({type(error).__name__})") from None


def malformed(at: str, detail: str) -> Rejection:
    """The reading is not in the form of its format, at this place."""
    return Rejection(finding(MALFORMED, at=at, detail=f"{MALFORMED.summary[:-1]}: {detail}"))


def number(value: object, at: str) -> float:
    """A finite number. Raises `Rejection`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            made = float(value)
        except OverflowError:
            made = float("inf")
        if abs(made) < 1e12:
            return made
    raise malformed(at, "a number is expected")


def numbers(value: object, at: str) -> list[float]:
    """A list of finite numbers. Raises `Rejection`."""
    if not isinstance(value, list):
        raise malformed(at, "a list of numbers is expected")
    return [number(each, f"{at}/{index}") for index, each in enumerate(value)]


def whole(value: object, default: int, at: str) -> int:
    """A whole number that is not negative; `default` where there is none. Raises `Rejection`."""
    if value is None:
        return default
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_000_000:
        return value
    raise malformed(at, "a whole number is expected")


def mapping(value: object, at: str) -> dict[str, Any]:
    """An object. Raises `Rejection`."""
    if isinstance(value, dict):
        return value
    raise malformed(at, "an object is expected")


def items(value: object, at: str) -> list[Any]:
    """A list; nothing there is an empty one. Raises `Rejection`."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise malformed(at, "a list is expected")


def text(value: object) -> str:
    """Text as any ledger takes it: no lone surrogates, no NUL; nothing for what is no text."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def outside(number: int, frame: Frame) -> list[Finding]:
    """The finding about boxes that lay outside a page."""
    if not frame.outside:
        return []
    return [finding(OUTSIDE, at=f"page {number}", detail=f"{frame.outside} boxes were cut at the edge of the page")]


class Budget:
    """Counts what a reading holds. Raises `Rejection` above the limits."""

    def __init__(self) -> None:
        self._words = 0
        self._pages = 0

    def page(self, at: str) -> None:
        """One page more."""
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise Rejection(finding(TOO_MANY, at=at, detail=f"more than {MAX_PAGES} pages"))

    def words(self, count: int, at: str) -> None:
        """So many words more."""
        self._words += count
        if self._words > MAX_WORDS:
            raise Rejection(finding(TOO_MANY, at=at, detail=f"more than {MAX_WORDS} words"))


def lines_with_words(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Without lines that hold no word: layout programs write them for rules and pictures."""
    return tuple(line for line in lines if line.words)


def complete(document: PageDocument) -> PageDocument:
    """The document, if it has a page. Raises `Rejection`."""
    if not document.pages:
        raise Rejection(finding(NO_PAGES))
    return document


def present(raw: bytes) -> bytes:
    """The bytes, if there are any but blanks. Raises `Rejection`."""
    if not raw.strip():
        raise Rejection(finding(EMPTY))
    return raw


def numbered(pages: Sequence[Page]) -> tuple[Page, ...]:
    """In the order of their numbers."""
    return tuple(sorted(pages, key=lambda page: page.number))
