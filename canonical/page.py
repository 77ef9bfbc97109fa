"""One page model, whatever read the page: our own OCR, a cloud service, a PDF's text layer, plain text.

**The frame.** Every `Box` is in the frame of the *upright* page: the page as a person would hold it to read,
origin at the top left corner, x to the right, y downwards, both from 0 to 1. So a template that was written for
one source fits every other, and a fax that was fed upside down looks like any other. `Page.rotation` tells how
the picture must be turned to get there, and `Page.on_image` takes a box back to the picture as it came.

**Confidence** is from 0 to 1, or None where the source states none. It is the source's own claim and is not
calibrated: what may be believed is decided by thresholds and validators, never here.

Words appear in the lines, and again, by value, in the cells, pairs and marks that the source built from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from canonical.findings import Finding
from canonical.phi import Value

#: Version of the JSON form: raised when a reader of the old one could misread the new one.
VERSION: Final = "1"

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
#: The source's own claim; None where it makes none.
Confidence: TypeAlias = Share | None


class Box(Value, frozen=True, array_like=True, order=False):
    """A rectangle on the upright page, 0 to 1. JSON: ``[left, top, right, bottom]``."""

    left: Share
    top: Share
    right: Share
    bottom: Share

    def __repr__(self) -> str:  # a place says nothing about a person
        return f"Box({self.left:.4f}, {self.top:.4f}, {self.right:.4f}, {self.bottom:.4f})"

    __str__ = __repr__

    @property
    def width(self) -> float:
        """Share of the page's width."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Share of the page's height."""
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y)"""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def contains(self, other: Box) -> bool:
        """Whether the centre of `other` lies inside."""
        x, y = other.centre
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def overlap(self, other: Box) -> float:
        """Area in common over area of the two together: 0 apart, 1 the same (intersection over union)."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        common = width * height
        return common / (self.width * self.height + other.width * other.height - common)

    def turned(self, degrees: int) -> Box:
        """Where this box lies after the page was turned clockwise by 0, 90, 180 or 270 degrees."""
        left, top, right, bottom = self.left, self.top, self.right, self.bottom
        match degrees % 360:
            case 0:
                return self
            case 90:
                return Box(1 - bottom, left, 1 - top, right)
            case 180:
                return Box(1 - right, 1 - bottom, 1 - left, 1 - top)
            case 270:
                return Box(top, 1 - right, bottom, 1 - left)
        raise ValueError("a page is turned by quarters")


#: The whole page.
WHOLE: Final = Box(0.0, 0.0, 1.0, 1.0)


def box_around(boxes: Iterable[Box]) -> Box:
    """The smallest box around all. Raises ValueError where there are none."""
    found = list(boxes)
    if not found:
        raise ValueError("no boxes")
    return Box(min(box.left for box in found), min(box.top for box in found),
               max(box.right for box in found), max(box.bottom for box in found))


class Word(Value, frozen=True, kw_only=True):
    """A word, as the source separated them."""

    text: str
    box: Box
    confidence: Confidence = None
    handwritten: bool | None = None
    """None where the source does not tell."""
    estimated: bool = False
    """True where the source gave a line only: the box was cut from the line's, by the lengths of its words."""


class Line(Value, frozen=True, kw_only=True):
    """Words on one line, left to right."""

    words: tuple[Word, ...]
    box: Box
    confidence: Confidence = None
    """The source's claim about the line as a whole, where it makes one."""

    @property
    def text(self) -> str:
        """The words, one blank between two."""
        return text_of(self.words)


class MarkState(StrEnum):
    """What a check box shows."""

    SELECTED = "selected"
    UNSELECTED = "unselected"


class Mark(Value, frozen=True, kw_only=True):
    """A selection mark: a check box or radio button (Textract SELECTION_ELEMENT, Azure selectionMark)."""

    state: MarkState
    box: Box
    confidence: Confidence = None

    @property
    def selected(self) -> bool:
        """Whether it is ticked."""
        return self.state is MarkState.SELECTED


class Cell(Value, frozen=True, kw_only=True):
    """A cell of a table. A merged cell appears once, with its spans."""

    row: int
    """From 0."""
    column: int
    """From 0."""
    box: Box | None = None
    row_span: int = 1
    column_span: int = 1
    header: bool = False
    words: tuple[Word, ...] = ()
    marks: tuple[Mark, ...] = ()
    confidence: Confidence = None

    @property
    def text(self) -> str:
        """The words, one blank between two."""
        return text_of(self.words)


class Table(Value, frozen=True, kw_only=True):
    """A table that the source recognised as one."""

    rows: int
    columns: int
    cells: tuple[Cell, ...]
    """By row, then column."""
    box: Box | None = None
    confidence: Confidence = None


class PairKind(StrEnum):
    """How the source came to a pair."""

    FORM = "form"
    """Key and value both stand on the page."""
    FIELD = "field"
    """A trained model's field: its name is the model's, not the page's (Azure documents, Textract AnalyzeID)."""
    QUERY = "query"
    """The answer to a question that was put to the source (Textract QUERY)."""


class KeyValue(Value, frozen=True, kw_only=True):
    """A key and what was found for it, as the source paired them."""

    key: tuple[Word, ...] = ()
    value: tuple[Word, ...] = ()
    marks: tuple[Mark, ...] = ()
    """Selection marks that are the value, or part of it."""
    confidence: Confidence = None
    kind: PairKind = PairKind.FORM
    name: str = ""
    """The model's field name or the question's alias; empty where the key stands on the page."""
    stated: str = ""
    """The value as the source states it, where that is more than its words: a date it normalised, a value that
    it does not locate. Empty otherwise."""

    @property
    def key_text(self) -> str:
        """The key as it stands on the page, or the name."""
        return text_of(self.key) or self.name

    @property
    def value_text(self) -> str:
        """The value's words, or what the source states where it locates none."""
        return text_of(self.value) or self.stated


class Barcode(Value, frozen=True, kw_only=True):
    """A bar code or a matrix code."""

    text: str
    box: Box
    kind: str = ""
    """Symbology in the source's words: ``QRCode``, ``Code128``."""
    confidence: Confidence = None


class Unit(StrEnum):
    """What `Page.width` and `Page.height` are in."""

    PIXEL = "pixel"
    INCH = "inch"
    POINT = "point"
    """1/72 inch."""
    MM10 = "mm10"
    """1/10 millimetre (ALTO)."""
    INCH1200 = "inch1200"
    """1/1200 inch (ALTO)."""
    CHARACTER = "character"
    """Columns and lines of a plain text."""


class PageImage(Value, frozen=True, kw_only=True):
    """The picture the page was read from."""

    message_id: str = ""
    """The message whose raw bytes hold the picture; empty where only its reading came to us."""
    name: str = ""
    """The file name a source states; may be PHI."""
    sha256: str = ""
    """Of the whole file, hexadecimal."""
    index: int = 0
    """The page's place in that file, from 0."""
    width: int = 0
    """Pixels, as the picture came (before turning). 0: not known."""
    height: int = 0
    dpi: tuple[float, float] | None = None
    """Horizontal, vertical. A fax at standard resolution has 204 x 98."""
    perceptual_hash: str = ""
    """256 bits, hexadecimal, of the upright picture: near copies differ in few bits."""


class Quality(Value, frozen=True, kw_only=True):
    """What is known of the picture's quality; measured before it was cleaned."""

    skew: float = 0.0
    """Degrees clockwise by which the text lay askew; removed before reading."""
    ink: Share = 0.0
    """Share of dark pixels. Near 0: an empty page; above a half: a negative or a black scan."""
    noise: Share = 0.0
    """Share of dark pixels that were taken away as specks: those with at most one dark neighbour."""
    contrast: Share = 1.0
    """Span between the darkest and the lightest twentieth of the pixels."""


class Page(Value, frozen=True, kw_only=True):
    """One page."""

    number: int
    """From 1, in the order of the document."""
    width: float = 0.0
    """Of the upright page, in `unit`. 0: the source does not tell."""
    height: float = 0.0
    unit: Unit = Unit.PIXEL
    rotation: int = 0
    """0, 90, 180 or 270: clockwise degrees by which the picture must be turned to be upright."""
    lines: tuple[Line, ...] = ()
    """In the source's reading order."""
    tables: tuple[Table, ...] = ()
    marks: tuple[Mark, ...] = ()
    pairs: tuple[KeyValue, ...] = ()
    barcodes: tuple[Barcode, ...] = ()
    image: PageImage | None = None
    quality: Quality | None = None
    language: str = ""
    """BCP 47 or ISO 639-2, as the source states it."""

    @property
    def words(self) -> Iterator[Word]:
        """Every word once, in reading order."""
        for line in self.lines:
            yield from line.words

    @property
    def text(self) -> str:
        """The lines, one a line."""
        return "\n".join(line.text for line in self.lines)

    def on_image(self, box: Box) -> Box:
        """The box on the picture as it came. A skew that was removed is not put back."""
        return box.turned(-self.rotation)


class SourceKind(StrEnum):
    """Which reading it is."""

    HOCR = "hocr"
    ALTO = "alto"
    TSV = "tesseract-tsv"
    TEXTRACT = "textract"
    AZURE = "azure-di"
    TEXT = "text"
    PDF = "pdf-text"
    OCR = "ocr"
    """Our own."""


class PageDocument(Value, frozen=True, kw_only=True):
    """All pages of one document, as one source read them."""

    source: SourceKind
    pages: tuple[Page, ...]
    producer: str = ""
    """The program that read it: ``tesseract``, ``Amazon Textract``."""
    producer_version: str = ""
    model: str = ""
    """The producer's model, where it has several: ``prebuilt-document``, ``eng``."""
    parent_id: str = ""
    """The message this document came in, where that is another one than the message that holds this reading."""
    findings: tuple[Finding, ...] = ()
    """Pages that could not be read and facts of the source that have no place in the model."""
    schema: str = VERSION

    def page(self, number: int) -> Page | None:
        """The page of that number."""
        return next((page for page in self.pages if page.number == number), None)


def text_of(words: Iterable[Word]) -> str:
    """Words as text, one blank between two."""
    return " ".join(word.text for word in words)


_ENCODER: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number")
_DECODER: Final = msgspec.json.Decoder(PageDocument)


def to_json(document: PageDocument) -> bytes:
    """The JSON form: same document, same bytes. PHI leaves its mask here."""
    return _ENCODER.encode(document)


def from_json(raw: bytes) -> PageDocument:
    """Read the JSON form back.

    Raises:
        msgspec.DecodeError: `raw` is not one. The text of the error may quote a value: treat it as PHI.
    """
    return _DECODER.decode(raw)
