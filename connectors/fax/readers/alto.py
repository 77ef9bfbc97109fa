"""ALTO, versions 1 to 4 (Library of Congress): XML with a page, its blocks, lines and strings."""

from __future__ import annotations

from typing import Final

from lxml import etree

from canonical.findings import Finding, finding
from canonical.page import Box, Line, Page, PageDocument, PageImage, SourceKind, Unit, Word
from connectors.fax.codes import NO_SIZE
from connectors.fax.frame import Frame, quarter, share, turn_of_lines, words_of
from connectors.fax.readers.limits import Budget, complete, lines_with_words, malformed, outside, present, text
from connectors.fax.readers.xml import local, xml_of

_UNITS: Final = {"pixel": Unit.PIXEL, "mm10": Unit.MM10, "inch1200": Unit.INCH1200}
Edges = tuple[float, float, float, float]


def read(raw: bytes, charset: str = "") -> PageDocument:
    """Raises `Rejection` where it is no ALTO."""
    root = xml_of(present(raw))
    if local(root) != "alto":
        raise malformed("line 1", "the root element is not alto")
    unit = _UNITS.get(_first(root, "MeasurementUnit").lower(), Unit.PIXEL)
    producer, version = _producer(root)
    budget = Budget()
    findings: list[Finding] = []
    pages = tuple(_page(number, element, unit, _first(root, "fileName"), budget, findings)
                  for number, element in enumerate((e for e in root.iter() if local(e) == "Page"), 1))
    return complete(PageDocument(source=SourceKind.ALTO, pages=pages, producer=producer, producer_version=version,
                                 findings=tuple(findings)))


def _first(root: etree._Element, name: str) -> str:
    return next((text(element.text).strip() for element in root.iter() if local(element) == name), "")


def _producer(root: etree._Element) -> tuple[str, str]:
    """Name and version of the program; Tesseract writes both into the name."""
    name, version = _first(root, "softwareName"), _first(root, "softwareVersion")
    if not version and " " in name:
        name, _, version = name.rpartition(" ")
    return name, version


def _number(element: etree._Element, name: str) -> float | None:
    value = element.get(name)
    if value is None:
        return None
    try:
        made = float(value)
    except ValueError:
        made = float("nan")
    if not abs(made) < 1e9:
        raise malformed(f"line {element.sourceline}", f"{name} is no number")
    return made


def _edges(element: etree._Element) -> Edges | None:
    left, top, width, height = (_number(element, name) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    if left is None or top is None or width is None or height is None:
        return None
    return left, top, left + width, top + height


def _size(page: etree._Element, lines: list[etree._Element]) -> tuple[float, float, bool]:
    """Width, height, and whether the page states them."""
    width, height = _number(page, "WIDTH"), _number(page, "HEIGHT")
    if width and height:
        return width, height, True
    space = next((e for element in page.iter() if local(element) == "PrintSpace" and (e := _edges(element))), None)
    if space is not None:
        return space[2], space[3], True
    found = [e for line in lines if (e := _edges(line))]
    return max((e[2] for e in found), default=1.0), max((e[3] for e in found), default=1.0), False


def _page(number: int, element: etree._Element, unit: Unit, name: str, budget: Budget, findings: list[Finding]) -> Page:
    at = f"page {number}"
    budget.page(at)
    found = [line for line in element.iter() if local(line) == "TextLine"]
    width, height, stated = _size(element, found)
    if not stated:
        findings.append(finding(NO_SIZE, at=at))
    frame = Frame(width, height, _turn(element, found))
    lines = []
    for line in found:
        made = _line(line, frame)
        if made is not None:
            budget.words(len(made.words), at)
            lines.append(made)
    findings += outside(number, frame)
    wide, high = frame.upright
    pixel = unit is Unit.PIXEL and stated
    return Page(number=number, width=wide, height=high, unit=unit, rotation=frame.rotation, lines=lines_with_words(lines),
                language=text(element.get("LANG")),
                image=PageImage(name=name, width=int(width) if pixel else 0, height=int(height) if pixel else 0))


def _turn(page: etree._Element, lines: list[etree._Element]) -> int:
    """ROTATION of a block counts counter-clockwise: that is how far to turn the page clockwise."""
    angles = [quarter(angle) for block in page.iter() if local(block) == "TextBlock"
              and (angle := _number(block, "ROTATION")) is not None]
    if angles and (chosen := max(set(angles), key=angles.count)):
        return chosen
    return turn_of_lines([[((e[0] + e[2]) / 2, (e[1] + e[3]) / 2) for string in line if local(string) == "String"
                           and text(string.get("CONTENT")).strip() and (e := _edges(string))] for line in lines])


def _line(line: etree._Element, frame: Frame) -> Line | None:
    strings = [(content, _edges(string), share(_number(string, "WC"))) for string in line if local(string) == "String"
               and (content := " ".join(text(string.get("CONTENT")).split()))]
    edges = _edges(line)
    if not strings:
        return None
    located = [(content, e, confidence) for content, e, confidence in strings if e is not None]
    if len(located) == len(strings):
        words = tuple(Word(text=content, box=frame.box(*e), confidence=confidence) for content, e, confidence in located)
        return Line(words=words, box=frame.box(*edges) if edges else _around(words))
    if edges is None:
        raise malformed(f"line {line.sourceline}", "neither the line nor its strings say where they are")
    box = frame.box(*edges)
    return Line(words=words_of(" ".join(content for content, _, _ in strings), box), box=box)


def _around(words: tuple[Word, ...]) -> Box:
    return Box(min(w.box.left for w in words), min(w.box.top for w in words),
               max(w.box.right for w in words), max(w.box.bottom for w in words))
