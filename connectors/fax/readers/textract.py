"""Amazon Textract: a flat list of blocks that refer to each other by id.

Taken: the answer of AnalyzeDocument, DetectDocumentText and GetDocumentAnalysis (one, or a list of all parts of one
job), and of AnalyzeID. Confidences are 0 to 100, boxes are shares of the page as it came; a page that lies askew is told
by the polygons of its words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from canonical.findings import Finding, Rejection, finding
from canonical.page import (
    WHOLE,
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
    Word,
)
from connectors.fax.codes import FAILED, INCOMPLETE, INCONSISTENT, NOT_FINISHED, NOT_KEPT, PARTIAL
from connectors.fax.frame import Frame, percent, turn_of_polygons, words_of
from connectors.fax.readers.limits import (
    Budget,
    complete,
    items,
    json_of,
    malformed,
    mapping,
    number,
    numbered,
    outside,
    text,
    whole,
)

Block = dict[str, Any]
PRODUCER: Final = "Amazon Textract"

_KEPT: Final = frozenset({"PAGE", "LINE", "WORD", "TABLE", "CELL", "MERGED_CELL", "KEY_VALUE_SET", "KEY", "VALUE",
                          "SELECTION_ELEMENT", "QUERY", "QUERY_RESULT"})


def read(raw: bytes, charset: str = "") -> PageDocument:
    """Raises `Rejection` where there are no pages: a failed or unfinished job, a part of one, no answer at all."""
    value = json_of(raw)
    listed = isinstance(value, list)
    parts = [mapping(part, f"/{index}") for index, part in enumerate(value)] if listed else [mapping(value, "")]
    findings: list[Finding] = []
    for index, part in enumerate(parts):
        _check(part, f"/{index}" if listed else "", last=index == len(parts) - 1, findings=findings)
    version = next((text(part[name]) for part in parts for name in _VERSIONS if part.get(name)), "")
    if any("IdentityDocuments" in part for part in parts):
        pages = _identity(parts, Budget())
        model = "AnalyzeID"
    else:
        pages = _Reading(parts, listed, findings).pages()
        model = ""
    return complete(PageDocument(source=SourceKind.TEXTRACT, pages=pages, producer=PRODUCER, producer_version=version,
                                 model=model, findings=tuple(findings)))


_VERSIONS: Final = ("AnalyzeDocumentModelVersion", "DetectDocumentTextModelVersion", "AnalyzeIDModelVersion")


def _check(part: Block, at: str, *, last: bool, findings: list[Finding]) -> None:
    match part.get("JobStatus"):
        case "FAILED":
            raise Rejection(finding(FAILED, at=f"{at}/JobStatus"))
        case "IN_PROGRESS":
            raise Rejection(finding(NOT_FINISHED, at=f"{at}/JobStatus"))
        case "PARTIAL_SUCCESS":
            findings.append(finding(PARTIAL, at=f"{at}/Warnings"))
    if last and part.get("NextToken"):
        raise Rejection(finding(INCOMPLETE, at=f"{at}/NextToken"))
    if "Blocks" not in part and "IdentityDocuments" not in part:
        raise malformed(f"{at}/Blocks", "there are no blocks")


def _polygon(block: Block) -> list[float]:
    geometry = block.get("Geometry")
    points = geometry.get("Polygon") if isinstance(geometry, dict) else None
    if not isinstance(points, list):
        return []
    return [number(point.get(axis), "Geometry/Polygon") for point in points if isinstance(point, dict)
            for axis in ("X", "Y")]


class _Reading:
    def __init__(self, parts: list[Block], listed: bool, findings: list[Finding]) -> None:
        self._findings = findings
        self._budget = Budget()
        self._missing = 0
        self._blocks: list[Block] = []
        self._by_id: dict[str, Block] = {}
        for index, part in enumerate(parts):
            prefix = f"/{index}/Blocks" if listed else "/Blocks"
            for at, block in enumerate(items(part.get("Blocks"), prefix)):
                self._blocks.append(mapping(block, f"{prefix}/{at}"))
                if isinstance(identity := block.get("Id"), str):
                    self._by_id[identity] = block
        self._frames: dict[int, Frame] = {}

    def pages(self) -> tuple[Page, ...]:
        by_page: dict[int, list[Block]] = {}
        for block in self._blocks:
            by_page.setdefault(whole(block.get("Page"), 1, "Page") or 1, []).append(block)
        made = numbered([self._page(at, blocks) for at, blocks in sorted(by_page.items())])
        if self._missing:
            self._findings.append(finding(INCONSISTENT, at="/Blocks",
                                          detail=f"{self._missing} blocks that are named are not there"))
        others = Counter(text(block.get("BlockType")) for block in self._blocks)
        for kind in sorted(others.keys() - _KEPT):
            self._findings.append(finding(NOT_KEPT, at="/Blocks", detail=f"{others[kind]} blocks of a kind that has no "
                                                                         "place in the model"))
        return made

    def _page(self, number: int, blocks: list[Block]) -> Page:
        at = f"page {number}"
        self._budget.page(at)
        frame = Frame(1.0, 1.0, turn_of_polygons(_polygon(b) for b in blocks if b.get("BlockType") == "WORD"))
        self._frames[number] = frame
        kinds: dict[str, list[Block]] = {}
        for block in blocks:
            kinds.setdefault(text(block.get("BlockType")), []).append(block)
        self._budget.words(len(kinds.get("WORD", ())), at)
        lines = tuple(line for block in kinds.get("LINE", ()) if (line := self._line(block, frame)))
        keys = [b for b in (*kinds.get("KEY_VALUE_SET", ()), *kinds.get("KEY", ()))
                if "KEY" in items(b.get("EntityTypes"), "EntityTypes")]
        page = Page(
            number=number, rotation=frame.rotation, lines=lines,
            tables=tuple(self._table(block, frame) for block in kinds.get("TABLE", ())),
            marks=tuple(self._mark(block, frame) for block in kinds.get("SELECTION_ELEMENT", ())),
            pairs=(*(self._pair(block, frame) for block in keys),
                   *(self._query(block, frame) for block in kinds.get("QUERY", ()))))
        self._findings += outside(number, frame)
        return page

    # -- relations

    def _related(self, block: Block, kind: str) -> Iterator[Block]:
        for relation in items(block.get("Relationships"), "Relationships"):
            if isinstance(relation, dict) and relation.get("Type") == kind:
                for identity in items(relation.get("Ids"), "Relationships/Ids"):
                    found = self._by_id.get(identity) if isinstance(identity, str) else None
                    if found is None:
                        self._missing += 1
                    else:
                        yield found

    def _content(self, block: Block, frame: Frame) -> tuple[tuple[Word, ...], tuple[Mark, ...]]:
        words: list[Word] = []
        marks: list[Mark] = []
        for child in self._related(block, "CHILD"):
            if child.get("BlockType") == "WORD":
                words.append(self._word(child, frame))
            elif child.get("BlockType") == "SELECTION_ELEMENT":
                marks.append(self._mark(child, frame))
        return tuple(words), tuple(marks)

    # -- parts

    def _box(self, block: Block, frame: Frame) -> Box | None:
        geometry = block.get("Geometry")
        if not isinstance(geometry, dict):
            return None
        bounds = geometry.get("BoundingBox")
        if isinstance(bounds, dict):
            left, top, width, height = (number(bounds.get(name), f"Geometry/BoundingBox/{name}")
                                        for name in ("Left", "Top", "Width", "Height"))
            return frame.box(left, top, left + width, top + height)
        return frame.around(_polygon(block))

    def _word(self, block: Block, frame: Frame) -> Word:
        kind = block.get("TextType")
        return Word(text=text(block.get("Text")), box=self._box(block, frame) or WHOLE,
                    confidence=percent(block.get("Confidence")),
                    handwritten=None if kind is None else kind == "HANDWRITING")

    def _line(self, block: Block, frame: Frame) -> Line | None:
        words, _ = self._content(block, frame)
        box = self._box(block, frame) or WHOLE
        confidence = percent(block.get("Confidence"))
        if not words:
            words = words_of(text(block.get("Text")), box, confidence)
        return Line(words=words, box=box, confidence=confidence) if words else None

    def _mark(self, block: Block, frame: Frame) -> Mark:
        state = MarkState.SELECTED if block.get("SelectionStatus") == "SELECTED" else MarkState.UNSELECTED
        return Mark(state=state, box=self._box(block, frame) or WHOLE, confidence=percent(block.get("Confidence")))

    def _table(self, block: Block, frame: Frame) -> Table:
        merged: dict[tuple[int, int], Cell] = {}
        covered: set[str] = set()
        for big in self._related(block, "MERGED_CELL"):
            parts = list(self._related(big, "CHILD"))
            covered.update(text(part.get("Id")) for part in parts)
            contents = [self._content(part, frame) for part in parts]
            cell = self._cell(big, frame, tuple(w for words, _ in contents for w in words),
                              tuple(m for _, marks in contents for m in marks))
            merged[cell.row, cell.column] = cell
        cells = dict(merged)
        for small in self._related(block, "CHILD"):
            if small.get("BlockType") == "CELL" and text(small.get("Id")) not in covered:
                cell = self._cell(small, frame, *self._content(small, frame))
                cells.setdefault((cell.row, cell.column), cell)
        ordered = tuple(cells[place] for place in sorted(cells))
        return Table(rows=max((c.row + c.row_span for c in ordered), default=0),
                     columns=max((c.column + c.column_span for c in ordered), default=0),
                     cells=ordered, box=self._box(block, frame), confidence=percent(block.get("Confidence")))

    def _cell(self, block: Block, frame: Frame, words: tuple[Word, ...], marks: tuple[Mark, ...]) -> Cell:
        row, column = whole(block.get("RowIndex"), 1, "RowIndex"), whole(block.get("ColumnIndex"), 1, "ColumnIndex")
        return Cell(row=max(row - 1, 0), column=max(column - 1, 0), box=self._box(block, frame),
                    row_span=whole(block.get("RowSpan"), 1, "RowSpan") or 1,
                    column_span=whole(block.get("ColumnSpan"), 1, "ColumnSpan") or 1,
                    header="COLUMN_HEADER" in items(block.get("EntityTypes"), "EntityTypes"),
                    words=words, marks=marks, confidence=percent(block.get("Confidence")))

    def _pair(self, block: Block, frame: Frame) -> KeyValue:
        key, _ = self._content(block, frame)
        words: list[Word] = []
        marks: list[Mark] = []
        for value in self._related(block, "VALUE"):
            some, ticks = self._content(value, frame)
            words += some
            marks += ticks
        return KeyValue(key=key, value=tuple(words), marks=tuple(marks), confidence=percent(block.get("Confidence")))

    def _query(self, block: Block, frame: Frame) -> KeyValue:
        question = block.get("Query")
        asked = question if isinstance(question, dict) else {}
        name = text(asked.get("Alias")) or text(asked.get("Text"))
        answer = next(self._related(block, "ANSWER"), None)
        if answer is None:
            return KeyValue(name=name, kind=PairKind.QUERY)
        told, confidence = text(answer.get("Text")), percent(answer.get("Confidence"))
        box = self._box(answer, frame)
        return KeyValue(name=name, kind=PairKind.QUERY, confidence=confidence,
                        value=words_of(told, box, confidence) if box is not None else (),
                        stated="" if box is not None else told)


def _identity(parts: list[Block], budget: Budget) -> tuple[Page, ...]:
    """AnalyzeID: fields of an identity document, without a place; a page a document."""
    pages = []
    documents = [mapping(document, "/IdentityDocuments") for part in parts
                 for document in items(part.get("IdentityDocuments"), "/IdentityDocuments")]
    for at, document in enumerate(documents, 1):
        budget.page(f"page {at}")
        pairs = []
        for field in items(document.get("IdentityDocumentFields"), f"/IdentityDocuments/{at - 1}/IdentityDocumentFields"):
            one = mapping(field, "IdentityDocumentFields")
            kind, value = mapping(one.get("Type"), "Type"), mapping(one.get("ValueDetection"), "ValueDetection")
            normal = value.get("NormalizedValue")
            stated = text(normal.get("Value")) if isinstance(normal, dict) else text(value.get("Text"))
            pairs.append(KeyValue(name=text(kind.get("Text")), kind=PairKind.FIELD, stated=stated,
                                  confidence=percent(value.get("Confidence"))))
        pages.append(Page(number=at, pairs=tuple(pairs)))
    return tuple(pages)
