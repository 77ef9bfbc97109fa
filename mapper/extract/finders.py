"""Where a row's value stands on a page: by label, region, pattern, check boxes, table column, the source's own pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from canonical.page import Box, Mark, Page, Word, box_around, text_of
from mapper.extract.sheet import Hit, Phrase, Row, Sheet, plain, tidy
from mapper.extract.template import Place

#: Blank, in shares of the page's width, that ends a value to the right of its label.
GAP: Final = 0.055
#: Trust in a word whose source states none.
UNSTATED: Final = 0.9
#: Lines of a table are further apart than this share of the page's height.
SAME_LINE: Final = 0.013
#: Longest line a pattern is tried on.
LONGEST: Final = 400


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A text that may be the value."""

    text: str
    page: int
    box: Box
    confidence: float
    """The source's own, the weakest word's."""
    method: str
    """label, region, pattern, checkbox, table, key-value"""
    fit: float = 1.0
    """How well the place fits: the label's letters, the distance."""
    value: str = ""
    """Already known (check boxes)."""
    problem: str = ""
    """Code of a finding about the place itself: several boxes ticked."""


class Finder:
    """One page and the labels that stand on it."""

    def __init__(self, page: Page, labels: Sequence[Phrase]) -> None:
        self.page = page
        self.sheet = Sheet(page)
        self.hits = self.sheet.find(labels)
        self._claimed = {(hit.row, index) for hit in self.hits for index in range(hit.first, hit.end)}

    def of(self, phrases: Sequence[Phrase]) -> list[Hit]:
        """The hits of some labels, best first."""
        wanted = {phrase.plain for phrase in phrases}
        return sorted((hit for hit in self.hits if hit.phrase.plain in wanted), key=lambda hit: (-hit.quality, hit.row))

    def find(self, place: Place) -> Iterator[Found]:
        """Candidates for a row, best first."""
        if place.labels:
            yield from self._pairs(place)
            for hit in self.of(place.labels):
                words = self.below(hit, place.reach) if place.below else self.right(hit)
                yield from self._within(words, place.pattern, "label", hit.quality)
        elif place.region is not None:
            yield from self._within(self._region(place), place.pattern, "region", 1.0)
        elif place.options:
            yield from self.boxes(place)
        elif place.pattern is not None:
            yield from self.matches(place.pattern)

    # -- words ----------------------------------------------------------------------------------------------

    def right(self, hit: Hit) -> list[Word]:
        """Words to the right of a label: to the next label or a wide blank."""
        found: list[Word] = []
        edge = hit.box.right
        for index, word in enumerate(self.sheet.rows[hit.row].words[hit.end:], hit.end):
            if (hit.row, index) in self._claimed:
                break
            if word.box.left - edge > GAP * (1 if found else 2.5):
                break
            found.append(word)
            edge = max(edge, word.box.right)
        return tidy(found)

    def below(self, hit: Hit, reach: float) -> list[Word]:
        """Words under a label: to the right as far as the next label of its line, downwards as far as `reach`."""
        right = min((other.box.left for other in self.hits
                     if other.row == hit.row and other.box.left > hit.box.right), default=1.0)
        found: list[Word] = []
        for number, row in enumerate(self.sheet.rows):
            if not hit.box.bottom < row.middle <= hit.box.bottom + reach or number == hit.row:
                continue
            words = [word for index, word in enumerate(row.words) if (number, index) not in self._claimed
                     and hit.box.left - 0.015 <= word.box.centre[0] < right - 0.005]
            if any(other.row == number and hit.box.left - 0.02 <= other.box.centre[0] < right for other in self.hits):
                break
            words = tidy(words)
            if words:
                found = words
                break
        return found

    def _region(self, place: Place) -> list[Word]:
        assert place.region is not None
        left, top, right, bottom = msgspec.structs.astuple(place.region)
        if place.anchor is not None:
            hits = self.of([place.anchor])
            if not hits:
                return []
            left, right = left + hits[0].box.left, right + hits[0].box.left
            top, bottom = top + hits[0].box.top, bottom + hits[0].box.top
        return tidy([word for number, row in enumerate(self.sheet.rows) for index, word in enumerate(row.words)
                     if left <= word.box.centre[0] <= right and top <= word.box.centre[1] <= bottom
                     and (number, index) not in self._claimed])

    def _within(self, words: list[Word], wanted: re.Pattern[str] | None, method: str, fit: float) -> Iterator[Found]:
        if not words:
            return
        if wanted is None:
            yield self.text(words, method, fit)
            return
        found = _matched(words, wanted)
        if found:
            yield self.text(found[0][1], method, fit, found[0][0])

    def text(self, words: Sequence[Word], method: str, fit: float = 1.0, text: str = "") -> Found:
        """Words as a candidate."""
        return Found(text=text or text_of(words), page=self.page.number, box=box_around(word.box for word in words),
                     confidence=weakest(words), method=method, fit=fit)

    def matches(self, wanted: re.Pattern[str]) -> Iterator[Found]:
        """What a pattern finds, line by line."""
        for row in self.sheet.rows:
            for text, words in _matched(row.words, wanted):
                yield self.text(words, "pattern", 1.0, text)

    def _pairs(self, place: Place) -> Iterator[Found]:
        """Pairs that the source itself made (Textract, Azure)."""
        wanted = {phrase.plain for phrase in place.labels}
        for pair in self.page.pairs:
            if plain(pair.key_text) not in wanted or not pair.value_text:
                continue
            words = pair.value or pair.key
            yield Found(text=pair.value_text, page=self.page.number, method="key-value",
                        box=box_around(word.box for word in words) if words else Box(0.0, 0.0, 1.0, 1.0),
                        confidence=min(weakest(pair.value), pair.confidence if pair.confidence is not None else 1.0))

    # -- check boxes ----------------------------------------------------------------------------------------

    def boxes(self, place: Place) -> Iterator[Found]:
        """Which box of a group is ticked."""
        near = self.of([place.near]) if place.near is not None else []
        zone = self._zone(near[0], place.reach) if near else None
        marks = sorted((mark for mark in self.page.marks if zone is None or zone.contains(mark.box)),
                       key=lambda mark: (round(mark.box.centre[1] / 0.02), mark.box.left))
        chosen: list[tuple[Mark, str]] = []
        if zone is not None and len(marks) == len(place.options):
            # As many boxes as the form has: the order tells which is which, whatever OCR made of their texts.
            chosen = [(mark, value) for mark, (_, value) in zip(marks, place.options, strict=True)]
        else:
            for phrase, value in place.options:
                mark = self._box_of(phrase, marks, zone)
                if mark is not None:
                    chosen.append((mark, value))
        ticked = [(mark, value) for mark, value in chosen if mark.selected]
        sure = min((mark.confidence if mark.confidence is not None else UNSTATED for mark, _ in chosen), default=0.0)
        whole = len(chosen) == len(place.options)
        for mark, value in ticked:
            yield Found(text=next(phrase.text for phrase, code in place.options if code == value), value=value,
                        page=self.page.number, box=mark.box, method="checkbox", confidence=sure,
                        fit=1.0 if whole else 0.7, problem="several" if len(ticked) > 1 else "")

    def _zone(self, hit: Hit, reach: float) -> Box:
        """Around a group's heading: its line to the right as far as the next heading, and what stands under it."""
        others = {other.box.left for other in self.hits if other.row == hit.row and other.box.left > hit.box.right
                  and other.phrase.words > 0}
        options = {other.box.left for other in self.hits if other.row == hit.row and self._is_option(other)}
        right = min(others - options, default=1.0)
        return Box(max(0.0, hit.box.left - 0.03), max(0.0, hit.box.top - 0.012), max(hit.box.right, right - 0.02),
                   min(1.0, hit.box.bottom + (reach if not self._marks_right(hit, right) else 0.008)))

    def _marks_right(self, hit: Hit, right: float) -> bool:
        return any(abs(mark.box.centre[1] - hit.box.centre[1]) < 0.012 and hit.box.right < mark.box.left < right
                   for mark in self.page.marks)

    def _is_option(self, hit: Hit) -> bool:
        return any(abs(mark.box.centre[1] - hit.box.centre[1]) < 0.012 and -0.05 < hit.box.left - mark.box.right < 0.05
                   for mark in self.page.marks)

    def _box_of(self, phrase: Phrase, marks: Sequence[Mark], zone: Box | None) -> Mark | None:
        """The box beside an option's text."""
        places = [hit.box for hit in self.of([phrase])]
        # "[X]Male": OCR took the box for letters of the word.
        places += [word.box for row in self.sheet.rows for word in row.words
                   if len(phrase.plain) > 3 and plain(word.text).endswith(phrase.plain)]
        best: tuple[float, Mark] | None = None
        for box in places:
            if zone is not None and not zone.contains(box):
                continue
            for mark in marks:
                gap = box.left - mark.box.right
                if abs(mark.box.centre[1] - box.centre[1]) < 0.012 and -mark.box.width * 3 < gap < 0.05 and (
                        best is None or abs(gap) < best[0]):
                    best = (abs(gap), mark)
        return best[1] if best is not None else None

    # -- lists ----------------------------------------------------------------------------------------------

    def items(self, each: Place) -> list[dict[str, Found]]:
        """The items of a list: by column header (`plain` text), or under ``""`` where an item is one text."""
        if each.heads:
            found = self._table(each) or self._drawn(each)
        elif each.labels:
            found = []
            for hit in self.of(each.labels)[:1]:
                words = self.below(hit, each.reach) if each.below else self.right(hit)
                groups = [words for _, words in _matched(words, each.pattern)] if each.pattern is not None else \
                    _split(words)
                found = [{"": self.text(group, "label", hit.quality)} for group in groups]
        else:
            assert each.pattern is not None
            found = [{"": match} for match in self.matches(each.pattern)]
        return found[:each.most]

    def _table(self, each: Place) -> list[dict[str, Found]]:
        """A table that the source recognised as one."""
        for table in self.page.tables:
            heads = {plain(cell.text): cell.column for cell in table.cells if cell.row == 0}
            columns = {head.plain: heads[head.plain] for head in each.heads if head.plain in heads}
            if not columns:
                continue
            rows = []
            for number in range(1, table.rows):
                cells = {cell.column: cell for cell in table.cells if cell.row == number and cell.words}
                row = {name: self.text(cells[column].words, "table") for name, column in columns.items() if column in cells}
                if row:
                    rows.append(row)
            return rows
        return []

    def _drawn(self, each: Place) -> list[dict[str, Found]]:
        """Columns by the header's words: lines below it as long as they follow closely."""
        heads = self._head(each)
        if not heads:
            return []
        order = sorted(heads.values(), key=lambda hit: hit.box.left)
        ends = [*(hit.box.left - 0.005 for hit in order[1:]), 1.0]
        edges = {hit.phrase.plain: (hit.box.left - 0.02, end) for hit, end in zip(order, ends, strict=True)}
        line = order[0].row
        last = max(hit.box.bottom for hit in order)
        step = 0.045
        rows: list[tuple[float, dict[str, Found]]] = []
        for number in range(line + 1, len(self.sheet.rows)):
            row: Row = self.sheet.rows[number]
            if row.middle - last > step or any(hit.row == number for hit in self.hits):
                break
            cells = {}
            for name, (left, right) in edges.items():
                words = tidy([word for word in row.words if left <= word.box.centre[0] < right])
                if words:
                    cells[name] = self.text(words, "table", heads[name].quality)
            if not cells:
                continue
            if rows and row.middle - rows[-1][0] < SAME_LINE:  # one line of the table, its cells a little askew
                rows[-1][1].update({name: cell for name, cell in cells.items() if name not in rows[-1][1]})
                continue
            # A line whose first cell could not be read is a line all the same; a few dots are none.
            if order[0].phrase.plain in cells or any(len(plain(cell.text)) > 3 for cell in cells.values()):
                rows.append((row.middle, cells))
                last = row.middle
        return [cells for _, cells in rows]

    def _head(self, each: Place) -> dict[str, Hit]:
        for first in self.of(each.heads[:1]):
            line = {first.phrase.plain: first}
            for head in each.heads[1:]:
                for hit in self.of([head]):
                    if abs(hit.box.centre[1] - first.box.centre[1]) < 0.012:
                        line[head.plain] = hit
            return line
        return {}


def weakest(words: Sequence[Word]) -> float:
    """The trust of the least certain word that has a letter or a digit."""
    return min((word.confidence if word.confidence is not None else UNSTATED for word in words if plain(word.text)),
               default=0.0)


def _split(words: Sequence[Word]) -> list[list[Word]]:
    """Words as items: a wide blank begins another; so does a comma."""
    groups: list[list[Word]] = []
    for word in words:
        if not plain(word.text):
            continue
        before = groups[-1][-1] if groups else None
        close = before is not None and word.box.left - before.box.right < 1.6 * before.box.height and \
            not before.text.endswith((",", ";"))
        if close:
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _matched(words: Sequence[Word], wanted: re.Pattern[str]) -> list[tuple[str, list[Word]]]:
    """What a pattern matches in a line of words, with the words it touches."""
    starts, text = [], ""
    for word in words:
        if text:
            text += " "
        starts.append(len(text))
        text += word.text
    if len(text) > LONGEST:
        return []
    found = []
    for match in wanted.finditer(text):
        first, end = match.span(1 if wanted.groups else 0)
        touched = [word for start, word in zip(starts, words, strict=True) if start < end and start + len(word.text) > first]
        if touched:
            found.append((text[first:end], touched))
    return found
