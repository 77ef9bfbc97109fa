"""One page as rows of words, and phrases found on it although OCR misread a letter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from canonical.page import Box, Page, Word, box_around

#: Words on one line: their middles differ by at most this share of their height.
SAME_ROW: Final = 0.55
#: Blank between two words of one phrase, in heights of a letter.
PHRASE_GAP: Final = 2.5
#: What is left of a label's fit that stands in the middle of a sentence and has no colon.
WITHIN: Final = 0.6
_JOINED: Final = re.compile(r"([A-Za-z]{2,20}[:;])([A-Za-z0-9(].*)")
_KEPT: Final = re.compile(r"[^a-z0-9]+")
_NOISE: Final = re.compile(r"[^0-9A-Za-z]+\Z")


def plain(text: str) -> str:
    """Letters and digits only, lower case: what phrases are compared by."""
    return _KEPT.sub("", text.lower())


def distance(one: str, other: str, limit: int) -> int:
    """Edit distance (Levenshtein); anything above `limit` is ``limit + 1``."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for column, against in enumerate(other, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (letter != against)))
        if min(now) > limit:
            return limit + 1
        before = now
    return before[-1]


def tolerance(length: int) -> int:
    """How many letters of a phrase may be misread."""
    return 0 if length < 3 else 1 if length < 6 else length // 4


class Phrase(msgspec.Struct, frozen=True):
    """A label to look for."""

    text: str
    plain: str
    words: int

    @classmethod
    def of(cls, text: str) -> Phrase:
        """From its text."""
        return cls(text, plain(text), len(text.split()))


class Hit(msgspec.Struct, frozen=True):
    """A phrase found on a page."""

    phrase: Phrase
    row: int
    first: int
    """Index of its first word in the row."""
    end: int
    """Index behind its last word."""
    box: Box
    quality: float
    """1 where every letter is right."""
    exact: int
    """Letters that differ."""


class Row(msgspec.Struct, frozen=True):
    """Words on one line, left to right."""

    words: tuple[Word, ...]
    middle: float
    height: float


class Sheet:
    """A page ready for looking things up."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.rows = rows_of(page.words)

    def find(self, phrases: Iterable[Phrase]) -> list[Hit]:
        """Where phrases stand. A place belongs to one phrase: the longest, then the best, has it."""
        hits = [hit for phrase in phrases for hit in self._hits(phrase)]
        hits.sort(key=lambda hit: (-len(hit.phrase.plain), hit.exact, hit.row, hit.first))
        taken: set[tuple[int, int]] = set()
        kept = []
        for hit in hits:
            places = {(hit.row, index) for index in range(hit.first, hit.end)}
            if not places & taken:
                taken |= places
                kept.append(hit)
        return kept

    def _hits(self, phrase: Phrase) -> Iterable[Hit]:
        if not phrase.plain:
            return
        limit = tolerance(len(phrase.plain))
        bigrams = {phrase.plain[at:at + 2] for at in range(len(phrase.plain) - 1)}
        for number, row in enumerate(self.rows):
            for first in range(len(row.words)):
                best: Hit | None = None
                text = ""
                for end in range(first + 1, min(len(row.words), first + phrase.words + 2) + 1):
                    if end > first + 1 and _far(row.words[end - 2], row.words[end - 1], row.height, self.page):
                        break
                    piece = plain(row.words[end - 1].text)
                    if not piece and end == first + 1:
                        break
                    text += piece
                    if len(text) > len(phrase.plain) + limit:
                        break
                    if len(text) < len(phrase.plain) - limit:
                        continue
                    if limit and len(bigrams) > 4 and sum(part in text for part in bigrams) * 3 < len(bigrams):
                        continue
                    off = distance(text, phrase.plain, limit)
                    # A short word with a wrong letter is another word ("six", "MRI"), unless it is written as a label.
                    if off and len(phrase.plain) < 5 and not row.words[end - 1].text.endswith((":", ";", ".")):
                        continue
                    if off <= limit and (best is None or off <= best.exact):
                        box = box_around(word.box for word in row.words[first:end])
                        quality = 1 - 0.5 * off / len(phrase.plain)
                        if first and not _far(row.words[first - 1], row.words[first], row.height * 0.5, self.page) and \
                                not row.words[end - 1].text.endswith((":", ";")):
                            quality *= WITHIN
                        best = Hit(phrase, number, first, end, box, quality, off)
                if best is not None:
                    yield best


def _far(one: Word, other: Word, height: float, page: Page) -> bool:
    """Whether two neighbours are too far apart for one phrase; height and width are shares of different lengths."""
    ratio = page.height / page.width if page.width and page.height else 1.3
    return other.box.left - one.box.right > PHRASE_GAP * height * ratio


def rows_of(words: Iterable[Word]) -> list[Row]:
    """Words grouped into lines by where they stand, whatever the source took for a line."""
    all_ = sorted((part for word in words for part in parted(word)), key=lambda each: (each.box.centre[1], each.box.left))
    heights = sorted(word.box.height for word in all_)
    if not heights:
        return []
    typical = heights[len(heights) // 2]
    groups: list[list[Word]] = []
    middles: list[float] = []
    for word in all_:
        middle = word.box.centre[1]
        for index in range(len(groups) - 1, max(-1, len(groups) - 5), -1):
            if abs(middles[index] - middle) <= SAME_ROW * max(typical, 0.004):
                groups[index].append(word)
                middles[index] += (middle - middles[index]) / len(groups[index])
                break
        else:
            groups.append([word])
            middles.append(middle)
    return [Row(tuple(sorted(group, key=lambda word: word.box.left)), middle, typical)
            for group, middle in sorted(zip(groups, middles, strict=True), key=lambda pair: pair[1])]


def parted(word: Word) -> tuple[Word, ...]:
    """``Sex:Male`` as two words: OCR does not always see the blank behind a colon."""
    match = _JOINED.fullmatch(word.text)
    if match is None:
        return (word,)
    box = word.box
    middle = box.left + box.width * len(match[1]) / len(word.text)
    return (msgspec.structs.replace(word, text=match[1], box=Box(box.left, box.top, middle, box.bottom), estimated=True),
            msgspec.structs.replace(word, text=match[2], box=Box(middle, box.top, box.right, box.bottom), estimated=True))


def tidy(words: Sequence[Word]) -> list[Word]:
    """Words without what lines and dots of the form left at both ends."""
    kept = list(words)
    while kept and _NOISE.match(kept[0].text):
        kept.pop(0)
    while kept and _NOISE.match(kept[-1].text):
        kept.pop()
    return kept
