"""Azure Document Intelligence, formerly Form Recognizer: every generation of its answers.

* 2.x: ``analyzeResult.readResults`` with lines and words, ``pageResults`` with tables and pairs, ``documentResults``
  with the fields of a trained model; parts refer to words by JSON pointers.
* 3.x and 4.x (``apiVersion`` from 2022-01-30-preview on): ``pages`` with words, lines and selection marks, tables, pairs
  and documents beside them; parts refer to words by spans of ``content``. ``boundingBox`` became ``polygon``.
* Label files of the labelling tool (``*.labels.json``): fields with their words, and nothing else.

Units are pixels or inches, confidences 0 to 1, and ``angle`` says how far the text is turned clockwise.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

from canonical.findings import Finding, Rejection, finding
from canonical.page import (
    WHOLE,
    Barcode,
    Box,
    Cell,
    KeyValue,
    Line,
    Mark,
    MarkState,
    Page,
    PageDocument,
    PairKind,
    SourceKind,
    Table,
    Unit,
    Word,
    box_around,
)
from connectors.fax.codes import FAILED, INCONSISTENT, NOT_FINISHED
from connectors.fax.frame import Frame, quarter, share, words_of
from connectors.fax.readers.limits import (
    MAX_DEPTH,
    Budget,
    complete,
    items,
    json_of,
    malformed,
    mapping,
    number,
    numbered,
    numbers,
    outside,
    text,
    whole,
)

Node = dict[str, Any]
PRODUCER: Final = "Azure Document Intelligence"
_POINTER: Final = re.compile(r"#?/(?:analyzeResult/)?readResults/(\d+)/(?:lines/(\d+)/words/(\d+)|selectionMarks/(\d+))")
_UNITS: Final = {"pixel": Unit.PIXEL, "inch": Unit.INCH}


def read(raw: bytes, charset: str = "") -> PageDocument:
    """Raises `Rejection` where there are no pages: a failed or unfinished analysis, no answer at all."""
    value = mapping(json_of(raw), "")
    if "labels" in value and "analyzeResult" not in value:
        return complete(_labels(value))
    match value.get("status"):
        case None | "succeeded" | "partiallySucceeded":
            pass
        case "failed":
            raise Rejection(finding(FAILED, at="/status"))
        case "notStarted" | "running":
            raise Rejection(finding(NOT_FINISHED, at="/status"))
        case _:
            raise malformed("/status", "it is none of the service's words")
    result = mapping(value.get("analyzeResult", value), "/analyzeResult")
    if "readResults" in result:
        return complete(_Second(result).document())
    if "pages" in result:
        return complete(_Third(result).document())
    raise malformed("/analyzeResult", "neither readResults nor pages are there")


def _points(node: Node) -> list[float]:
    """The polygon under either of its names; in 4.x a list of points may stand for a list of numbers."""
    value = node.get("polygon", node.get("boundingBox"))
    if value is None:
        return []
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [number(point.get(axis), "polygon") for point in value if isinstance(point, dict) for axis in ("x", "y")]
    return numbers(value, "polygon")


def _frame(page: Node, at: str) -> Frame:
    """``angle`` is how far the text is turned clockwise; the page is turned back by that."""
    return Frame(number(page.get("width", 1.0), f"{at}/width"), number(page.get("height", 1.0), f"{at}/height"),
                 -quarter(number(page.get("angle") or 0, f"{at}/angle")))


def _box(node: Node, frame: Frame) -> Box | None:
    return frame.around(_points(node))


def _mark(node: Node, frame: Frame) -> Mark:
    state = MarkState.SELECTED if node.get("state") == "selected" else MarkState.UNSELECTED
    return Mark(state=state, box=_box(node, frame) or WHOLE, confidence=share(node.get("confidence")))


def _stated(field: Node) -> str:
    """The value that the model made of a field, as text; empty where it is the text on the page."""
    for name, value in field.items():
        if name.startswith("value") and name not in ("valueArray", "valueObject"):
            if isinstance(value, dict):  # a currency, an address: as its parts
                return " ".join(text(part) if isinstance(part, str) else str(part) for part in value.values()
                                if isinstance(part, str | int | float))
            return text(value) if isinstance(value, str) else str(value)
    return ""


def _flat(fields: Node, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Node]]:
    """Fields by their paths: ``ContactNames(0).FirstName``. Lists and objects are their members."""
    if depth > MAX_DEPTH:
        raise malformed("fields", "too deep")
    for name, field in fields.items():
        if isinstance(field, dict):
            yield from _members(f"{prefix}{text(name)}", field, depth)


def _members(name: str, field: Node, depth: int) -> Iterator[tuple[str, Node]]:
    inner = field.get("valueArray")
    if isinstance(inner, list):
        for index, each in enumerate(inner):
            if isinstance(each, dict):
                yield from _members(f"{name}({index})", each, depth + 1)
        return
    members = field.get("valueObject")
    if isinstance(members, dict):
        yield from _flat(members, f"{name}.", depth + 1)
        return
    yield name, field


class _Second:
    """Answers of 2.x."""

    def __init__(self, result: Node) -> None:
        self._result = result
        self._findings: list[Finding] = []
        self._budget = Budget()
        self._missing = 0
        self._frames: dict[int, Frame] = {}
        self._lines: list[list[Line | None]] = []
        self._marks: list[list[Mark]] = []
        self._pairs: dict[int, list[KeyValue]] = {}
        self._tables: dict[int, list[Table]] = {}

    def document(self) -> PageDocument:
        sheets = [mapping(page, f"/analyzeResult/readResults/{index}")
                  for index, page in enumerate(items(self._result.get("readResults"), "/analyzeResult/readResults"))]
        numbers_of = [whole(page.get("page"), index + 1, f"/analyzeResult/readResults/{index}/page")
                      for index, page in enumerate(sheets)]
        for index, page in enumerate(sheets):
            self._sheet(index, numbers_of[index], page)
        for result in items(self._result.get("pageResults"), "/analyzeResult/pageResults"):
            self._results(mapping(result, "/analyzeResult/pageResults"))
        for document in items(self._result.get("documentResults"), "/analyzeResult/documentResults"):
            self._fields(mapping(document, "/analyzeResult/documentResults"))
        pages = numbered([self._page(index, at, sheets[index]) for index, at in enumerate(numbers_of)])
        if self._missing:
            self._findings.append(finding(INCONSISTENT, at="/analyzeResult",
                                          detail=f"{self._missing} words that are named are not there"))
        return PageDocument(source=SourceKind.AZURE, pages=pages, producer=PRODUCER,
                            producer_version=text(self._result.get("version")), findings=tuple(self._findings))

    def _sheet(self, index: int, at: int, page: Node) -> None:
        place = f"/analyzeResult/readResults/{index}"
        self._budget.page(place)
        frame = self._frames[at] = _frame(page, place)
        lines: list[Line | None] = []
        for each in items(page.get("lines"), f"{place}/lines"):
            line = self._line(mapping(each, f"{place}/lines"), frame)
            if line is not None:
                self._budget.words(len(line.words), place)
            lines.append(line)
        self._lines.append(lines)
        self._marks.append([_mark(mapping(each, f"{place}/selectionMarks"), frame)
                            for each in items(page.get("selectionMarks"), f"{place}/selectionMarks")])

    def _line(self, node: Node, frame: Frame) -> Line | None:
        box = _box(node, frame)
        style = node.get("appearance")
        style = style.get("style") if isinstance(style, dict) else None
        name = text(style.get("name")) if isinstance(style, dict) else ""
        handwritten = name == "handwriting" if name else None
        words = [Word(text=text(word.get("text")), box=at, confidence=share(word.get("confidence")), handwritten=handwritten)
                 for word in items(node.get("words"), "words") if isinstance(word, dict) and (at := _box(word, frame))]
        if not words:
            words = list(words_of(text(node.get("text")), box, handwritten=handwritten)) if box is not None else []
        return Line(words=tuple(words), box=box or box_around(word.box for word in words)) if words else None

    def _page(self, index: int, at: int, page: Node) -> Page:
        frame = self._frames[at]
        self._findings += outside(at, frame)
        width, height = frame.upright
        return Page(number=at, width=width, height=height, unit=_UNITS.get(text(page.get("unit")), Unit.PIXEL),
                    rotation=frame.rotation, lines=tuple(line for line in self._lines[index] if line is not None),
                    tables=tuple(self._tables.get(at, ())), marks=tuple(self._marks[index]),
                    pairs=tuple(self._pairs.get(at, ())), language=text(page.get("language")))

    def _elements(self, node: Node, frame: Frame) -> tuple[tuple[Word, ...], tuple[Mark, ...]]:
        """The words and marks that a part points at; its own text where it points at nothing."""
        words: list[Word] = []
        marks: list[Mark] = []
        for pointer in items(node.get("elements"), "elements"):
            match = _POINTER.fullmatch(text(pointer))
            try:
                if match is None:
                    raise IndexError
                sheet, line, word, mark = (int(group) if group else 0 for group in match.groups())
                if match.group(4):
                    marks.append(self._marks[sheet][mark])
                else:
                    found = self._lines[sheet][line]
                    if found is None:
                        raise IndexError
                    words.append(found.words[word])
            except IndexError:
                self._missing += 1
        if not words and not marks and (box := _box(node, frame)) is not None:
            words = list(words_of(text(node.get("text")), box, share(node.get("confidence"))))
        return tuple(words), tuple(marks)

    def _results(self, result: Node) -> None:
        at = whole(result.get("page"), 1, "/analyzeResult/pageResults/page")
        frame = self._frames.get(at) or Frame(1.0, 1.0)
        for table in items(result.get("tables"), "/analyzeResult/pageResults/tables"):
            self._tables.setdefault(at, []).append(self._table(mapping(table, "tables"), frame))
        for pair in items(result.get("keyValuePairs"), "/analyzeResult/pageResults/keyValuePairs"):
            node = mapping(pair, "keyValuePairs")
            key, _ = self._elements(mapping(node.get("key") or {}, "key"), frame)
            value, marks = self._elements(mapping(node.get("value") or {}, "value"), frame)
            self._pairs.setdefault(at, []).append(
                KeyValue(key=key, value=value, marks=marks, confidence=share(node.get("confidence"))))

    def _table(self, node: Node, frame: Frame) -> Table:
        cells = []
        for each in items(node.get("cells"), "cells"):
            cell = mapping(each, "cells")
            words, marks = self._elements(cell, frame)
            cells.append(Cell(row=whole(cell.get("rowIndex"), 0, "rowIndex"),
                              column=whole(cell.get("columnIndex"), 0, "columnIndex"), box=_box(cell, frame),
                              row_span=whole(cell.get("rowSpan"), 1, "rowSpan") or 1,
                              column_span=whole(cell.get("columnSpan"), 1, "columnSpan") or 1,
                              header=cell.get("isHeader") is True, words=words, marks=marks,
                              confidence=share(cell.get("confidence"))))
        cells.sort(key=lambda cell: (cell.row, cell.column))
        return Table(rows=whole(node.get("rows"), 0, "rows"), columns=whole(node.get("columns"), 0, "columns"),
                     cells=tuple(cells), box=_box(node, frame))

    def _fields(self, document: Node) -> None:
        span = document.get("pageRange")
        first = span[0] if isinstance(span, list) and span and isinstance(span[0], int) else 1
        for name, field in _flat(mapping(document.get("fields") or {}, "fields")):
            at = whole(field.get("page"), first, "fields/page")
            frame = self._frames.get(at) or Frame(1.0, 1.0)
            words, marks = self._elements(field, frame)
            shown = " ".join(word.text for word in words)
            stated = _stated(field) or text(field.get("text"))
            self._pairs.setdefault(at, []).append(KeyValue(
                name=name, kind=PairKind.FIELD, value=words, marks=marks, confidence=share(field.get("confidence")),
                stated="" if stated == shown else stated))


class _Located:
    """What has a span, to be found by spans."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._found: list[tuple[int, int, Word | Mark]] = []

    def add(self, node: Node, what: Word | Mark) -> None:
        for start, end in _spans(node):
            self._found.append((start, end, what))

    def order(self) -> None:
        self._found.sort(key=lambda entry: entry[:2])
        self._starts = [start for start, _, _ in self._found]

    def within(self, node: Node) -> Iterator[Word | Mark]:
        for start, end in _spans(node):
            at = bisect_left(self._starts, start)
            while at < len(self._found) and self._starts[at] < end:
                yield self._found[at][2]
                at += 1


def _spans(node: Node) -> Iterator[tuple[int, int]]:
    spans = node.get("spans")
    for span in spans if isinstance(spans, list) else [node.get("span")]:
        if isinstance(span, dict):
            start, length = span.get("offset"), span.get("length")
            if isinstance(start, int) and isinstance(length, int):
                yield start, start + length


class _Third:
    """Answers of 3.x and 4.x."""

    def __init__(self, result: Node) -> None:
        self._result = result
        self._findings: list[Finding] = []
        self._budget = Budget()
        self._located = _Located()
        self._frames: dict[int, Frame] = {}
        self._tables: dict[int, list[Table]] = {}
        self._pairs: dict[int, list[KeyValue]] = {}
        self._handwritten = sorted(
            span for style in items(result.get("styles"), "/analyzeResult/styles")
            if isinstance(style, dict) and style.get("isHandwritten") is True for span in _spans(style))
        self._says_styles = "styles" in result

    def document(self) -> PageDocument:
        sheets: list[tuple[int, Node, list[tuple[Node, Word]], list[Mark]]] = []
        for index, each in enumerate(items(self._result.get("pages"), "/analyzeResult/pages")):
            place = f"/analyzeResult/pages/{index}"
            page = mapping(each, place)
            self._budget.page(place)
            at = whole(page.get("pageNumber"), index + 1, f"{place}/pageNumber")
            frame = self._frames[at] = _frame(page, place)
            words = self._words(page, frame, place)
            marks = []
            for node in items(page.get("selectionMarks"), f"{place}/selectionMarks"):
                mark = _mark(mapping(node, f"{place}/selectionMarks"), frame)
                marks.append(mark)
                self._located.add(node, mark)
            sheets.append((at, page, words, marks))
        self._located.order()
        for table in items(self._result.get("tables"), "/analyzeResult/tables"):
            self._table(mapping(table, "/analyzeResult/tables"))
        for pair in items(self._result.get("keyValuePairs"), "/analyzeResult/keyValuePairs"):
            self._pair(mapping(pair, "/analyzeResult/keyValuePairs"))
        for document in items(self._result.get("documents"), "/analyzeResult/documents"):
            for name, field in _flat(mapping(mapping(document, "documents").get("fields") or {}, "fields")):
                self._field(name, field)
        pages = numbered([self._page(at, page, words, marks) for at, page, words, marks in sheets])
        return PageDocument(source=SourceKind.AZURE, pages=pages, producer=PRODUCER,
                            producer_version=text(self._result.get("apiVersion")),
                            model=text(self._result.get("modelId")), findings=tuple(self._findings))

    def _words(self, page: Node, frame: Frame, place: str) -> list[tuple[Node, Word]]:
        found = []
        for each in items(page.get("words"), f"{place}/words"):
            node = mapping(each, f"{place}/words")
            box = _box(node, frame)
            if box is None or not text(node.get("content")).strip():
                continue
            word = Word(text=text(node.get("content")), box=box, confidence=share(node.get("confidence")),
                        handwritten=self._by_hand(node))
            found.append((node, word))
            self._located.add(node, word)
        self._budget.words(len(found), place)
        return found

    def _by_hand(self, node: Node) -> bool | None:
        if not self._says_styles:
            return None
        return any(start < high and low < end for start, end in _spans(node) for low, high in self._handwritten)

    def _page(self, at: int, page: Node, words: list[tuple[Node, Word]], marks: list[Mark]) -> Page:
        frame = self._frames[at]
        lines = []
        in_lines: set[int] = set()
        for each in items(page.get("lines"), "lines"):
            node = mapping(each, "lines")
            inside = tuple(w for w in self._located.within(node) if isinstance(w, Word))
            in_lines.update(map(id, inside))
            box = _box(node, frame)
            if not inside and box is not None:
                inside = words_of(text(node.get("content")), box)
            if inside:
                lines.append(Line(words=inside, box=box or box_around(word.box for word in inside)))
        # A word that no line claims is still on the page.
        lines += [Line(words=(word,), box=word.box) for _, word in words if id(word) not in in_lines]
        barcodes = tuple(
            Barcode(text=text(node.get("value")), box=_box(node, frame) or WHOLE, kind=text(node.get("kind")),
                    confidence=share(node.get("confidence")))
            for node in items(page.get("barcodes"), "barcodes") if isinstance(node, dict))
        self._findings += outside(at, frame)
        width, height = frame.upright
        return Page(number=at, width=width, height=height, unit=_UNITS.get(text(page.get("unit")), Unit.PIXEL),
                    rotation=frame.rotation, lines=tuple(lines), tables=tuple(self._tables.get(at, ())),
                    marks=tuple(marks), pairs=tuple(self._pairs.get(at, ())), barcodes=barcodes)

    def _content(self, node: Node) -> tuple[tuple[Word, ...], tuple[Mark, ...]]:
        found = list(self._located.within(node))
        words = tuple(each for each in found if isinstance(each, Word))
        marks = tuple(each for each in found if isinstance(each, Mark))
        if not found and (box := self._region(node)) is not None:
            words = words_of(text(node.get("content")), box, share(node.get("confidence")))
        return words, marks

    def _at(self, node: Node) -> int:
        regions = node.get("boundingRegions")
        first = regions[0] if isinstance(regions, list) and regions else {}
        at = first.get("pageNumber") if isinstance(first, dict) else None
        return at if isinstance(at, int) and at in self._frames else next(iter(self._frames), 1)

    def _region(self, node: Node) -> Box | None:
        regions = node.get("boundingRegions")
        first = regions[0] if isinstance(regions, list) and regions else None
        frame = self._frames.get(self._at(node))
        return _box(first, frame) if isinstance(first, dict) and frame is not None else None

    def _table(self, node: Node) -> None:
        cells = []
        for each in items(node.get("cells"), "cells"):
            cell = mapping(each, "cells")
            words, marks = self._content(cell)
            kind = text(cell.get("kind"))
            cells.append(Cell(row=whole(cell.get("rowIndex"), 0, "rowIndex"),
                              column=whole(cell.get("columnIndex"), 0, "columnIndex"), box=self._region(cell),
                              row_span=whole(cell.get("rowSpan"), 1, "rowSpan") or 1,
                              column_span=whole(cell.get("columnSpan"), 1, "columnSpan") or 1,
                              header=kind == "columnHeader", words=words, marks=marks))
        cells.sort(key=lambda cell: (cell.row, cell.column))
        # The table itself names no region in the first previews; its cells do.
        at = self._at(node if node.get("boundingRegions") else next(iter(items(node.get("cells"), "cells")), node))
        self._tables.setdefault(at, []).append(Table(
            rows=whole(node.get("rowCount"), 0, "rowCount"), columns=whole(node.get("columnCount"), 0, "columnCount"),
            cells=tuple(cells), box=self._region(node)))

    def _pair(self, node: Node) -> None:
        key_node = mapping(node.get("key") or {}, "key")
        key, _ = self._content(key_node)
        value, marks = self._content(mapping(node.get("value") or {}, "value"))
        self._pairs.setdefault(self._at(key_node), []).append(
            KeyValue(key=key, value=value, marks=marks, confidence=share(node.get("confidence"))))

    def _field(self, name: str, field: Node) -> None:
        words, marks = self._content(field)
        shown = " ".join(word.text for word in words)
        stated = _stated(field) or text(field.get("content"))
        self._pairs.setdefault(self._at(field), []).append(KeyValue(
            name=name, kind=PairKind.FIELD, value=words, marks=marks, confidence=share(field.get("confidence")),
            stated="" if stated == shown else stated))


def _labels(value: Node) -> PageDocument:
    """A label file: boxes are shares of the page already, and only labelled words are there."""
    pairs: dict[int, list[KeyValue]] = {}
    budget = Budget()
    frame = Frame(1.0, 1.0)
    for index, each in enumerate(items(value.get("labels"), "/labels")):
        label = mapping(each, f"/labels/{index}")
        words: list[Word] = []
        at = 1
        for part in items(label.get("value"), f"/labels/{index}/value"):
            node = mapping(part, f"/labels/{index}/value")
            at = whole(node.get("page"), 1, f"/labels/{index}/value/page")
            boxes = [box for points in items(node.get("boundingBoxes"), f"/labels/{index}/value/boundingBoxes")
                     if (box := frame.around(numbers(points, f"/labels/{index}/value/boundingBoxes"))) is not None]
            if boxes and (content := text(node.get("text"))).strip():
                words += words_of(content, box_around(boxes))
        budget.words(len(words), f"/labels/{index}")
        pairs.setdefault(at, []).append(KeyValue(name=text(label.get("label")), kind=PairKind.FIELD, value=tuple(words)))
    for at in pairs:
        budget.page(f"page {at}")
    pages = numbered([Page(number=at, pairs=tuple(found)) for at, found in pairs.items()])
    return PageDocument(source=SourceKind.AZURE, pages=pages, producer=PRODUCER, model="labels")
