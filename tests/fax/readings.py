"""One referral page as every program would write it that reads pages: the same words at the same places.

The page measures 1000 x 800. ``Name:`` and ``Test Patient`` stand on the first line, a box is ticked on the second.
"""

from __future__ import annotations

import json
from typing import Any

from canonical.page import Box, Line, Mark, MarkState, Page, PageDocument, SourceKind, Word, to_json

WIDTH, HEIGHT = 1000, 800
#: text, left, top, right, bottom, confidence in percent
WORDS = (("Name:", 100, 80, 180, 120, 95), ("Test", 200, 80, 280, 120, 90), ("Patient", 300, 80, 440, 120, 85),
         ("Urgent", 140, 160, 260, 200, 99))
LINES = ((0, 1, 2), (3,))
MARK = (100, 160, 130, 200)


def hocr() -> bytes:
    lines = "".join(
        "<span class='ocr_line' title='bbox {} {} {} {}; baseline 0 0'>{}</span>".format(
            *_around(line), "".join(
                f"<span class='ocrx_word' title='bbox {w[1]} {w[2]} {w[3]} {w[4]}; x_wconf {w[5]}'>{w[0]}</span> "
                for w in (WORDS[at] for at in line))) for line in LINES)
    return (f"<?xml version='1.0'?><html><head><meta name='ocr-system' content='tesseract 5.3.0'/></head><body>"
            f"<div class='ocr_page' title='image \"a;b.png\"; bbox 0 0 {WIDTH} {HEIGHT}; ppageno 0'>{lines}</div>"
            "</body></html>").encode()


def alto() -> bytes:
    lines = "".join("<TextLine HPOS='{}' VPOS='{}' WIDTH='{}' HEIGHT='{}'>{}</TextLine>".format(
        *_sized(_around(line)), "<SP/>".join(
            "<String CONTENT='{}' HPOS='{}' VPOS='{}' WIDTH='{}' HEIGHT='{}' WC='{}'/>".format(
                w[0], *_sized(w[1:5]), w[5] / 100) for w in (WORDS[at] for at in line))) for line in LINES)
    return (f"<alto xmlns='http://www.loc.gov/standards/alto/ns-v4#'><Description><MeasurementUnit>pixel</MeasurementUnit>"
            f"</Description><Layout><Page WIDTH='{WIDTH}' HEIGHT='{HEIGHT}'><PrintSpace><TextBlock>{lines}</TextBlock>"
            "</PrintSpace></Page></Layout></alto>").encode()


def tsv() -> bytes:
    rows = ["level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext",
            f"1\t1\t0\t0\t0\t0\t0\t0\t{WIDTH}\t{HEIGHT}\t-1\t"]
    for number, line in enumerate(LINES, 1):
        rows.append("4\t1\t1\t1\t{}\t0\t{}\t{}\t{}\t{}\t-1\t".format(number, *_sized(_around(line))))
        rows += ["5\t1\t1\t1\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}".format(
            number, at, *_sized(WORDS[w][1:5]), WORDS[w][5], WORDS[w][0]) for at, w in enumerate(line, 1)]
    return ("\n".join(rows) + "\n").encode()


def textract(turned: bool = False) -> bytes:
    """`turned`: the page was fed with its upper edge to the right."""
    def geometry(box: tuple[float, ...]) -> dict[str, Any]:
        left, top, right, bottom = box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        if turned:
            corners = [(1 - y, x) for x, y in corners]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return {"BoundingBox": {"Left": min(xs), "Top": min(ys), "Width": max(xs) - min(xs), "Height": max(ys) - min(ys)},
                "Polygon": [{"X": x, "Y": y} for x, y in corners]}

    blocks: list[dict[str, Any]] = [{"BlockType": "PAGE", "Id": "p", "Geometry": geometry((0, 0, WIDTH, HEIGHT))}]
    for number, line in enumerate(LINES):
        blocks.append({"BlockType": "LINE", "Id": f"l{number}", "Geometry": geometry(_around(line)), "Confidence": 90.0,
                       "Text": " ".join(WORDS[w][0] for w in line),
                       "Relationships": [{"Type": "CHILD", "Ids": [f"w{w}" for w in line]}]})
    blocks += [{"BlockType": "WORD", "Id": f"w{at}", "Text": w[0], "Confidence": float(w[5]), "TextType": "PRINTED",
                "Geometry": geometry(w[1:5])} for at, w in enumerate(WORDS)]
    blocks += [
        {"BlockType": "SELECTION_ELEMENT", "Id": "m", "SelectionStatus": "SELECTED", "Confidence": 88.0,
         "Geometry": geometry(MARK)},
        {"BlockType": "KEY_VALUE_SET", "Id": "k", "EntityTypes": ["KEY"], "Confidence": 93.0,
         "Geometry": geometry(WORDS[0][1:5]),
         "Relationships": [{"Type": "VALUE", "Ids": ["v"]}, {"Type": "CHILD", "Ids": ["w0"]}]},
        {"BlockType": "KEY_VALUE_SET", "Id": "v", "EntityTypes": ["VALUE"], "Confidence": 93.0,
         "Geometry": geometry((200, 80, 440, 120)), "Relationships": [{"Type": "CHILD", "Ids": ["w1", "w2"]}]}]
    return json.dumps({"DocumentMetadata": {"Pages": 1}, "AnalyzeDocumentModelVersion": "1.0", "Blocks": blocks}).encode()


def azure_2() -> bytes:
    lines = [{"text": " ".join(WORDS[w][0] for w in line), "boundingBox": _polygon(_around(line)), "words": [
        {"text": WORDS[w][0], "boundingBox": _polygon(WORDS[w][1:5]), "confidence": WORDS[w][5] / 100} for w in line]}
        for line in LINES]
    pair = {"key": {"text": "Name:", "elements": ["#/readResults/0/lines/0/words/0"]},
            "value": {"text": "Test Patient", "elements": [f"#/readResults/0/lines/0/words/{at}" for at in (1, 2)]},
            "confidence": 0.93}
    mark = {"boundingBox": _polygon(MARK), "state": "selected", "confidence": 0.88}
    return json.dumps({"status": "succeeded", "createdDateTime": "2026-01-01T00:00:00Z", "analyzeResult": {
        "version": "2.1.0",
        "readResults": [{"page": 1, "angle": 0.2, "width": WIDTH, "height": HEIGHT, "unit": "pixel", "lines": lines,
                         "selectionMarks": [mark]}],
        "pageResults": [{"page": 1, "keyValuePairs": [pair]}]}}).encode()


def azure_4() -> bytes:
    content = " ".join(word[0] for word in WORDS)
    spans = [{"offset": content.index(word[0]), "length": len(word[0])} for word in WORDS]
    words = [{"content": w[0], "polygon": [p / 100 for p in _polygon(w[1:5])], "confidence": w[5] / 100, "span": spans[at]}
             for at, w in enumerate(WORDS)]
    lines = [{"content": " ".join(WORDS[w][0] for w in line), "polygon": [p / 100 for p in _polygon(_around(line))],
              "spans": [{"offset": spans[line[0]]["offset"],
                         "length": sum(spans[line[-1]].values()) - spans[line[0]]["offset"]}]} for line in LINES]
    mark = {"state": "selected", "polygon": [p / 100 for p in _polygon(MARK)], "confidence": 0.88,
            "span": {"offset": 900, "length": 10}}
    barcode = {"kind": "QRCode", "value": "FORM-7", "polygon": [8, 6, 9, 6, 9, 7, 8, 7], "confidence": 1}
    value = {"content": "Test Patient", "spans": [{"offset": spans[1]["offset"], "length": len("Test Patient")}]}
    return json.dumps({"status": "succeeded", "analyzeResult": {
        "apiVersion": "2024-11-30", "modelId": "prebuilt-layout", "content": content,
        "pages": [{"pageNumber": 1, "angle": -0.2, "width": WIDTH / 100, "height": HEIGHT / 100, "unit": "inch",
                   "words": words, "lines": lines, "selectionMarks": [mark], "barcodes": [barcode]}],
        "keyValuePairs": [{"key": {"content": "Name:", "spans": [spans[0]]}, "value": value, "confidence": 0.93}]}}).encode()


def text() -> bytes:
    return b"Name: Test Patient\n\n[x] Urgent\n\f"


def own() -> bytes:
    words = [Word(text=w[0], box=_box(w[1:5]), confidence=w[5] / 100) for w in WORDS]
    lines = tuple(Line(words=tuple(words[w] for w in line), box=_box(_around(line))) for line in LINES)
    page = Page(number=1, width=float(WIDTH), height=float(HEIGHT), lines=lines,
                marks=(Mark(state=MarkState.SELECTED, box=_box(MARK), confidence=0.88),))
    return to_json(PageDocument(source=SourceKind.OCR, producer="dragoman-ocr", producer_version="1", parent_id="M-1",
                                pages=(page,)))


#: Every format, and whether it tells boxes.
ALL = {"hocr": hocr, "alto": alto, "tsv": tsv, "textract": textract, "azure 2.1": azure_2, "azure 4.0": azure_4, "own": own,
       "text": text}
LOCATED = {name: make for name, make in ALL.items() if name != "text"}


def _around(line: tuple[int, ...]) -> tuple[float, float, float, float]:
    words = [WORDS[at] for at in line]
    return (min(w[1] for w in words), min(w[2] for w in words), max(w[3] for w in words), max(w[4] for w in words))


def _sized(box: tuple[float, ...]) -> tuple[float, float, float, float]:
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


def _polygon(box: tuple[float, ...]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right, top, right, bottom, left, bottom]


def _box(box: tuple[float, ...]) -> Box:
    return Box(box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT)
