"""Pages with the fields that a template found on them, as one HTML file that needs nothing else: no script, no network.

Without `reveal` the file shows no word of the page but those that the templates name themselves; other words are bars.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import msgspec

from canonical.document import Extracted, PageBox, Verdict
from canonical.page import Box, MarkState, Page, PageDocument
from canonical.phi import MASK
from mapper.extract.finders import Finder
from mapper.extract.reading import FormReading
from workflow.policy import Policy, invalid

#: Width of a drawn page, in the units of its drawing; its height follows its shape.
WIDTH: Final = 1000
#: Height over width where the source does not tell: US Letter.
LETTER: Final = 11 / 8.5
_SIGNS: Final = {Verdict.VALID: "✓", Verdict.INVALID: "✗", Verdict.UNKNOWN: "?"}
_WORDS: Final = {"refused": "refused by a validator", "doubtful": "below the shipped threshold", "missing": "not found",
                 "sure": "taken"}
_STYLE: Final = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #1c2530; background: #f4f5f7; }
section { display: grid; grid-template-columns: minmax(20rem, 1fr) minmax(24rem, 1fr); gap: 1.5rem; align-items: start; }
svg { width: 100%; position: sticky; top: 1rem; background: #fff; border: 1px solid #b9c1cb; }
svg text { font-family: sans-serif; fill: #333; }
.bar { fill: #c9ced6; }
.mark { fill: none; stroke: #333; stroke-width: 2; }
.mark.selected { fill: #333; }
.field rect { fill-opacity: .18; stroke-width: 2; }
.field text { font-size: 13px; font-weight: bold; }
.sure rect { fill: #1a7f4b; stroke: #1a7f4b; } .doubtful rect { fill: #b87400; stroke: #b87400; }
.refused rect { fill: #b3261e; stroke: #b3261e; stroke-dasharray: 6 3; }
.field:target rect, .field:hover rect { fill-opacity: .5; stroke-width: 4; }
table { border-collapse: collapse; width: 100%; background: #fff; }
th, td { text-align: left; vertical-align: top; padding: .3rem .5rem; border-bottom: 1px solid #dde1e6; }
tr:target { background: #fff3c4; }
td.sure { border-left: 5px solid #1a7f4b; } td.doubtful { border-left: 5px solid #b87400; }
td.refused { border-left: 5px solid #b3261e; } td.missing { border-left: 5px solid #6b7480; }
small { color: #56606c; } code { overflow-wrap: anywhere; }
"""


class Picture(msgspec.Struct, frozen=True):
    """A picture that browsers show."""

    media_type: str
    raw: bytes
    sha256: str


class Sheet(msgspec.Struct, frozen=True):
    """One form and the pages it was read from."""

    reading: FormReading
    pages: tuple[Page, ...]


def html(source: PageDocument, sheets: Sequence[Sheet], *, name: str, reveal: bool, picture: Picture | None = None) -> str:
    """The file. `picture`: drawn behind the words of the page that was read from it."""
    numbered = list(enumerate((sheet, each) for sheet in sheets for each in sheet.reading.evidence))
    parts = [_page(page, sheets, [(number, each) for number, (_, each) in numbered if _on(each, page)], reveal, picture)
             for page in source.pages]
    unplaced = [(number, each) for number, (_, each) in numbered if not isinstance(each.box, PageBox)]
    forms = ", ".join(f"{sheet.reading.template.name} on page {sheet.pages[0].number}" for sheet in sheets)
    about = f"{forms or 'No form is recognised'}. " + (
        "Values are shown: this file holds what the pages hold." if reveal else "Values are masked.")
    absent = f"<h2>Not found</h2>{_table(unplaced, reveal)}" if unplaced else ""
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(name)}</title>'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'; '
            f'img-src data:"><style>{_STYLE}</style></head><body><h1>{escape(name)}</h1><p>{escape(about)}</p>'
            f'{"".join(parts)}{absent}</body></html>\n')


def _on(each: Extracted, page: Page) -> bool:
    return isinstance(each.box, PageBox) and each.box.page == page.number


def _state(each: Extracted) -> str:
    if invalid(each):
        return "refused"
    if not isinstance(each.value, str):
        return "missing"
    return "doubtful" if Policy().doubtful(each) else "sure"


def _page(page: Page, sheets: Sequence[Sheet], fields: Sequence[tuple[int, Extracted]], reveal: bool,
          picture: Picture | None) -> str:
    height = WIDTH * (page.height / page.width if page.width and page.height else LETTER)
    drawing = list(_background(page, height, picture)) or list(_words(page, sheets, height, reveal=reveal))
    drawing += [_field(number, each, height) for number, each in fields if _drawn(each, reveal)]
    return (f'<h2>Page {page.number}</h2><section><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
            f'aria-label="page {page.number}">{"".join(drawing)}</svg>{_table(fields, reveal)}</section>')


def _drawn(each: Extracted, reveal: bool) -> bool:
    """Around a box that is ticked, the place tells the value."""
    return isinstance(each.box, PageBox) and (reveal or each.method != "checkbox")


def _background(page: Page, height: float, picture: Picture | None) -> Iterator[str]:
    """The picture, turned upright as the boxes are."""
    image = page.image
    if picture is None or image is None or image.index or image.sha256 != picture.sha256:
        return
    across = page.rotation % 180 == 90
    wide, tall = (height, float(WIDTH)) if across else (float(WIDTH), height)
    data = base64.b64encode(picture.raw).decode()
    yield (f'<image href="data:{picture.media_type};base64,{data}" x="{(WIDTH - wide) / 2:.1f}" '
           f'y="{(height - tall) / 2:.1f}" width="{wide:.1f}" height="{tall:.1f}" preserveAspectRatio="none" '
           f'transform="rotate({page.rotation} {WIDTH / 2} {height / 2:.1f})"/>')


def _words(page: Page, sheets: Sequence[Sheet], height: float, *, reveal: bool) -> Iterator[str]:
    if reveal:
        for word in page.words:
            yield _text(word.text, word.box, height)
    else:
        labels = tuple(label for sheet in sheets for label in sheet.reading.template.labels)
        hits = Finder(page, labels).hits
        for hit in hits:
            yield _text(hit.phrase.text, hit.box, height)
        for word in page.words:
            if not any(hit.box.contains(word.box) for hit in hits):
                yield f'<rect class="bar" {_place(word.box, height)}/>'
    for mark in page.marks:
        # Which box is ticked is a value as well.
        ticked = " selected" if reveal and mark.state is MarkState.SELECTED else ""
        yield f'<rect class="mark{ticked}" {_place(mark.box, height)}/>'


def _text(text: str, box: Box, height: float) -> str:
    return (f'<text x="{box.left * WIDTH:.1f}" y="{box.bottom * height:.1f}" font-size="{box.height * height:.1f}" '
            f'textLength="{max(box.width * WIDTH, 1):.1f}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>')


def _place(box: Box, height: float) -> str:
    return (f'x="{box.left * WIDTH:.1f}" y="{box.top * height:.1f}" width="{box.width * WIDTH:.1f}" '
            f'height="{box.height * height:.1f}"')


def _field(number: int, each: Extracted, height: float) -> str:
    box = each.box
    assert isinstance(box, PageBox)
    x, y = box.left * WIDTH / 1000, box.top * height / 1000
    return (f'<a href="#row{number}"><g class="field {_state(each)}" id="box{number}"><title>{escape(each.field)}</title>'
            f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="{box.width * WIDTH / 1000 + 6:.1f}" '
            f'height="{box.height * height / 1000 + 6:.1f}"/>'
            f'<text x="{x - 3:.1f}" y="{y - 6:.1f}">{number + 1}</text></g></a>')


def _table(fields: Sequence[tuple[int, Extracted]], reveal: bool) -> str:
    if not fields:
        return "<p>No field was read from this page.</p>"
    rows = "".join(_row(number, each, reveal) for number, each in fields)
    return f"<table><thead><tr><th>#<th>field<th>value<th>trust<th>verdicts</tr></thead><tbody>{rows}</tbody></table>"


def _row(number: int, each: Extracted, reveal: bool) -> str:
    value = _shown(each.value, reveal)
    differs = isinstance(each.raw, str) and each.raw != each.value
    raw = f"<br><small>read: {_shown(each.raw, reveal)}</small>" if differs else ""
    others = "".join(f"<br><small>or {_shown(one.value, reveal)} ({_trust(one.confidence)})</small>"
                     for one in each.alternatives or ())
    verdicts = "<br>".join(
        f"{_SIGNS.get(one.verdict, '?') if isinstance(one.verdict, Verdict) else '?'} {escape(str(one.validator or ''))}"
        + (f" <small>{escape(one.finding)}</small>" if isinstance(one.finding, str) else "")
        for one in each.validations or ())
    state = _state(each)
    link = f'<a href="#box{number}">{number + 1}</a>' if _drawn(each, reveal) else f"{number + 1}"
    how = f"<br><small>{escape(str(each.method or ''))}, {escape(str(each.template or ''))}</small>"
    return (f'<tr id="row{number}"><td class="{state}" title="{_WORDS[state]}">{link}'
            f"<td><code>{escape(each.field)}</code>{how}<td>{value}{raw}{others}<td>{_trust(each.confidence)}<br><small>{_WORDS[state]}</small><td>{verdicts}</tr>")


def _shown(value: object, reveal: bool) -> str:
    return (escape(value) if reveal else MASK) if isinstance(value, str) and value else "<small>none</small>"


def _trust(thousandths: object) -> str:
    return f"{thousandths / 10:.1f} %" if isinstance(thousandths, int) else ""
