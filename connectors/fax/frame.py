"""From a source's coordinates to the upright page of the model (`canonical.page`)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from canonical.page import Box, Word

#: Digits kept of a coordinate: a hundredth of a pixel of a page scanned at 600 dpi.
DIGITS: Final = 6
#: How far outside the page a box may lie before it counts, as a share of the page: rounding of the source.
SLACK: Final = 0.002


class Frame:
    """One page's coordinates.

    Args:
        width: of the page as the source sees it, in any unit.
        height: the same.
        rotation: clockwise degrees, by quarters, by which the page must be turned to be upright.
    """

    def __init__(self, width: float, height: float, rotation: int = 0, origin: tuple[float, float] = (0.0, 0.0)) -> None:
        self.width = width if width > 0 and math.isfinite(width) else 1.0
        self.height = height if height > 0 and math.isfinite(height) else 1.0
        self.rotation = rotation % 360
        self.outside = 0
        """Boxes that lay outside the page."""
        self._origin = origin

    @property
    def upright(self) -> tuple[float, float]:
        """Width and height of the upright page."""
        return (self.height, self.width) if self.rotation in (90, 270) else (self.width, self.height)

    def box(self, left: float, top: float, right: float, bottom: float) -> Box:
        """A box from its edges."""
        x, y = self._origin
        edges = ((left - x) / self.width, (top - y) / self.height, (right - x) / self.width, (bottom - y) / self.height)
        if any(not -SLACK <= edge <= 1 + SLACK for edge in edges):
            self.outside += 1
        left, top, right, bottom = map(_clipped, edges)
        made = Box(min(left, right), min(top, bottom), max(left, right), max(top, bottom)).turned(self.rotation)
        return Box(*(round(edge, DIGITS) for edge in (made.left, made.top, made.right, made.bottom)))

    def around(self, points: Sequence[float]) -> Box | None:
        """The box around a polygon ``x1, y1, x2, y2, …``; None where there are no two points."""
        if len(points) < 4 or len(points) % 2:
            return None
        xs, ys = points[::2], points[1::2]
        return self.box(min(xs), min(ys), max(xs), max(ys))


def _clipped(share: float) -> float:
    return min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0


def quarter(degrees: float) -> int:
    """The nearest of 0, 90, 180 and 270."""
    return round(degrees / 90) % 4 * 90 if math.isfinite(degrees) else 0


def turn_of_polygons(polygons: Iterable[Sequence[float]]) -> int:
    """The rotation of a page whose words are polygons that begin at the word's own upper left corner and go on
    along its upper edge (Textract, Azure): that of most words, weighed by their length."""
    votes = {0: 0.0, 90: 0.0, 180: 0.0, 270: 0.0}
    for points in polygons:
        if len(points) >= 8:
            dx, dy = points[2] - points[0], points[3] - points[1]
            votes[-quarter(math.degrees(math.atan2(dy, dx))) % 360] += math.hypot(dx, dy)
    return max(votes, key=lambda turn: votes[turn])


def turn_of_lines(lines: Sequence[Sequence[tuple[float, float]]]) -> int:
    """The rotation of a page of which only the order is known: lines of centres ``(x, y)`` of words, in reading order.

    On a page that lies upside down, words follow each other to the left *and* lines follow each other upwards; a page
    that is written from right to left has only the former.
    """
    along: Counter[tuple[int, int]] = Counter()
    across: Counter[tuple[int, int]] = Counter()
    for words in lines:
        for one, other in pairwise(words):
            along[_way(one, other)] += 1
    heads = [words[0] for words in lines if words]
    for one, other in pairwise(heads):
        across[_way(one, other)] += 1
    if not along or not across:
        return 0
    reading, next_line = max(along, key=along.__getitem__), max(across, key=across.__getitem__)
    for (dx, dy), rotation in (((-1, 0), 180), ((0, 1), 270), ((0, -1), 90)):
        # The lines must follow each other at a right angle, clockwise: below, as one reads.
        if reading == (dx, dy) and next_line == (-dy, dx):
            return rotation
    return 0


def _way(one: tuple[float, float], other: tuple[float, float]) -> tuple[int, int]:
    dx, dy = other[0] - one[0], other[1] - one[1]
    if abs(dx) >= abs(dy):
        return (1 if dx >= 0 else -1, 0)
    return (0, 1 if dy >= 0 else -1)


def words_of(text: str, box: Box, confidence: float | None = None, *, handwritten: bool | None = None) -> tuple[Word, ...]:
    """The words of a text of which only the box as a whole is known, cut by the lengths of the words."""
    parts = text.split()
    if len(parts) == 1:
        return (Word(text=parts[0], box=box, confidence=confidence, handwritten=handwritten),)
    total = sum(map(len, parts)) + len(parts) - 1
    words, at = [], 0
    for part in parts:
        left = box.left + box.width * at / total
        right = box.left + box.width * (at + len(part)) / total
        words.append(Word(text=part, box=Box(round(left, DIGITS), box.top, round(min(right, 1.0), DIGITS), box.bottom),
                          confidence=confidence, handwritten=handwritten, estimated=True))
        at += len(part) + 1
    return tuple(words)


def percent(value: object) -> float | None:
    """A confidence from 0 to 100 as one from 0 to 1; None where it is none (Tesseract writes -1)."""
    return share(value / 100) if isinstance(value, int | float) else None


def share(value: object) -> float | None:
    """A confidence from 0 to 1; None where it is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value < 0:
        return None
    return round(min(float(value), 1.0), 4)
