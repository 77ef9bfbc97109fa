"""hOCR 1.2: HTML whose ``class`` says what an element is and whose ``title`` says where.

Many programs write it, each a part of it: with or without words, confidences, an angle. HTML is mended, not refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from canonical.findings import Finding, finding
from canonical.page import Line, Page, PageDocument, PageImage, SourceKind, Word
from connectors.fax.codes import NO_SIZE
from connectors.fax.frame import Frame, percent, quarter, turn_of_lines, words_of
from connectors.fax.readers.limits import Budget, complete, lines_with_words, outside, present, text
from connectors.fax.readers.xml import html_of

Properties = dict[str, list[str]]
Edges = tuple[float, float, float, float]

_PROPERTY: Final = re.compile(r'\s*([A-Za-z_][\w-]*)((?:\s+(?:"[^"]*"|[^\s;"]+))*)\s*(?:;|$)')
_VALUE: Final = re.compile(r'"([^"]*)"|([^\s;"]+)')
_LINES: Final = frozenset({"ocr_line", "ocrx_line", "ocr_textfloat", "ocr_header", "ocr_footer", "ocr_caption"})
_WORD: Final = "ocrx_word"
_PAGE: Final = "ocr_page"


def read(raw: bytes, charset: str = "") -> PageDocument:
    """Raises `Rejection` where there is no page."""
    root = html_of(present(raw))
    budget = Budget()
    findings: list[Finding] = []
    pages = tuple(_page(number, element, budget, findings)
                  for number, element in enumerate(_of(root, {_PAGE}), 1))
    producer, _, version = _meta(root, "ocr-system").partition(" ")
    return complete(PageDocument(source=SourceKind.HOCR, pages=pages, producer=producer, producer_version=version,
                                 findings=tuple(findings)))


def _meta(root: etree._Element, name: str) -> str:
    for element in root.iter("meta"):
        if element.get("name") == name:
            return text(element.get("content"))
    return ""


def _of(root: etree._Element, names: frozenset[str] | set[str]) -> Iterator[etree._Element]:
    """Elements of any of these classes, outermost first; none inside another one."""
    for child in root:
        if names.intersection((child.get("class") or "").split()):
            yield child
        else:
            yield from _of(child, names)


def _properties(element: etree._Element) -> Properties:
    found: Properties = {}
    for match in _PROPERTY.finditer((element.get("title") or "")[:10_000]):
        found[match.group(1)] = [quoted or plain for quoted, plain in _VALUE.findall(match.group(2))]
    return found


def _numbers(values: list[str]) -> list[float]:
    try:
        made = [float(value) for value in values]
    except ValueError:
        return []
    return made if all(abs(value) < 1e9 for value in made) else []


def _edges(properties: Properties) -> Edges | None:
    box = _numbers(properties.get("bbox", []))
    return (box[0], box[1], box[2], box[3]) if len(box) == 4 else None


def _confidence(properties: Properties) -> float | None:
    for name in ("x_wconf", "x_confs", "x_conf"):
        values = _numbers(properties.get(name, []))
        if values:
            return percent(sum(values) / len(values))
    return None


def _content(element: etree._Element) -> str:
    return " ".join(text("".join(map(str, element.itertext()))).split())


def _page(number: int, element: etree._Element, budget: Budget, findings: list[Finding]) -> Page:
    at = f"page {number}"
    budget.page(at)
    properties = _properties(element)
    found = [(line, _properties(line)) for line in _of(element, _LINES)]
    words = [[(word, _properties(word)) for word in _of(line, {_WORD})] for line, _ in found]
    edges = _edges(properties)
    if edges is None:
        within = [e for _, p in found if (e := _edges(p))]
        edges = (0.0, 0.0, max((e[2] for e in within), default=1.0), max((e[3] for e in within), default=1.0))
        findings.append(finding(NO_SIZE, at=at))
    frame = Frame(edges[2] - edges[0], edges[3] - edges[1], _turn(found, words), (edges[0], edges[1]))
    lines = []
    for (line, about), inside in zip(found, words, strict=True):
        made = _line(line, about, inside, frame)
        if made is not None:
            budget.words(len(made.words), at)
            lines.append(made)
    findings += outside(number, frame)
    width, height = frame.upright
    resolution = _numbers(properties.get("scan_res", []))
    return Page(
        number=number, width=width, height=height, rotation=frame.rotation, lines=lines_with_words(lines),
        language=text(element.get("lang")),
        image=PageImage(name=text(" ".join(properties.get("image", []))), width=_pixels(edges[2] - edges[0]),
                        height=_pixels(edges[3] - edges[1]),
                        dpi=(resolution[0], resolution[1]) if len(resolution) == 2 else None))


def _pixels(length: float) -> int:
    return int(length) if length > 0 else 0


def _turn(found: list[tuple[etree._Element, Properties]],
          words: list[list[tuple[etree._Element, Properties]]]) -> int:
    """``textangle`` counts counter-clockwise: that is how far the page must be turned clockwise to be upright."""
    angles = [quarter(values[0]) for _, p in found if (values := _numbers(p.get("textangle", [])))]
    if len(angles) * 2 > len(found):
        return max(set(angles), key=angles.count)
    return turn_of_lines([[((e[0] + e[2]) / 2, (e[1] + e[3]) / 2) for _, p in line if (e := _edges(p))] for line in words])


def _line(line: etree._Element, about: Properties, inside: list[tuple[etree._Element, Properties]],
          frame: Frame) -> Line | None:
    edges = _edges(about)
    located = [(content, e, _confidence(p)) for word, p in inside if (e := _edges(p)) and (content := _content(word))]
    if located:
        made = tuple(Word(text=content, box=frame.box(*e), confidence=confidence) for content, e, confidence in located)
        around = edges or (min(e[0] for _, e, _ in located), min(e[1] for _, e, _ in located),
                           max(e[2] for _, e, _ in located), max(e[3] for _, e, _ in located))
        return Line(words=made, box=frame.box(*around))
    content = _content(line)
    if edges is None or not content:
        return None
    box = frame.box(*edges)
    confidence = _confidence(about)
    return Line(words=words_of(content, box, confidence), box=box, confidence=confidence)
