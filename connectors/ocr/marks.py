"""Check boxes on a picture: small squares of four lines, and whether something is in them.

OCR engines read text; an empty box comes out as an O, a ticked one as an X or an &. So the boxes are found by their
lines. Works on one-bit or grey pictures that are upright; sizes are told in inches by the resolution.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

#: Side of a check box in inches: 2.5 to 6.5 mm.
SMALLEST: Final = 0.1
LARGEST: Final = 0.25
#: Share of each side that must be ink.
STRAIGHT: Final = 0.78
#: Ink inside, as a share: below the first it is empty, above the second ticked; between them it is told with less trust.
EMPTY: Final = 0.05
TICKED: Final = 0.11
#: Thickest line of a box in inches, and how much ink may be just within it. Bold letters, which hold squares of their
#: own, have thicker strokes.
LINE: Final = 0.02
RING: Final = 0.4
#: A square that is all ink is no letter: somebody filled it.
SOLID: Final = 0.8
#: More candidates than this is no form but a texture: the rest is not looked at.
MOST: Final = 20_000

Picture = npt.NDArray[np.bool_]


class Square(msgspec.Struct, frozen=True):
    """A check box, in pixels."""

    left: int
    top: int
    right: int
    bottom: int
    ticked: bool
    confidence: float
    """How clearly it is one or the other, 0.5 to 1."""


def squares(ink: Picture, dpi: float) -> list[Square]:
    """The check boxes of a picture, from the top.

    Args:
        ink: True where it is dark; rows from the top.
        dpi: dots an inch, the same both ways.
    """
    smallest, largest = int(SMALLEST * dpi), int(LARGEST * dpi)
    slack = max(2, round(dpi / 75))
    found: list[Square] = []
    runs = _runs(_closed(ink, slack), smallest, largest)
    by_row: dict[int, list[tuple[int, int]]] = {}
    for row, start, end in runs:
        by_row.setdefault(row, []).append((start, end))
    for row, start, end in runs:
        lower = _below(by_row, row, start, end, slack)
        if lower is None:
            continue
        below, left, right = lower
        if _side(ink, left, row, below, slack) < STRAIGHT or _side(ink, right - 1, row, below, slack) < STRAIGHT:
            continue
        if _ring(ink, left, row, right, below, round(LINE * dpi)) > RING and ink[row:below, left:right].mean() < SOLID:
            continue
        found.append(_judged(ink, left, row, right, below, dpi))
    return _apart(found)


def _apart(found: list[Square]) -> list[Square]:
    """One square a place: the largest, as lines within a box make smaller ones of it."""
    kept: list[Square] = []
    for one in sorted(found, key=lambda each: each.left - each.right):
        if not any(abs(other.left + other.right - one.left - one.right) < other.right - other.left
                   and abs(other.top + other.bottom - one.top - one.bottom) < other.right - other.left for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda each: (each.top, each.left))


def _closed(ink: Picture, gap: int) -> Picture:
    """Gaps of up to `gap` pixels within a row filled: a fax loses dots of thin lines."""
    grown = ink.copy()
    for shift in range(1, gap + 1):
        grown[:, shift:] |= ink[:, :-shift]
    shrunk = grown.copy()
    for shift in range(1, gap + 1):
        shrunk[:, :-shift] &= grown[:, shift:]
    return shrunk


def _runs(ink: Picture, smallest: int, largest: int) -> list[tuple[int, int, int]]:
    """(row, start, end) of the horizontal runs of a length that the side of a box can have."""
    edges: npt.NDArray[Any] = np.diff(np.pad(ink, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    lengths = ends - starts
    fits = (lengths >= smallest) & (lengths <= largest)
    return list(zip(rows[fits][:MOST].tolist(), starts[fits][:MOST].tolist(), ends[fits][:MOST].tolist(), strict=True))


def _below(by_row: dict[int, list[tuple[int, int]]], row: int, start: int, end: int,
           slack: int) -> tuple[int, int, int] | None:
    """Row, start and end of the lower side that goes with an upper one. A tick drawn over a corner makes one of them
    longer: the box is where both are."""
    side = end - start
    for lower in range(row + int(side * 1.15), row + int(side * 0.65), -1):
        for left, right in by_row.get(lower, ()):
            first, last = max(left, start), min(right, end)
            if abs(left - start) <= slack * 1.5 and abs(right - end) <= max(slack * 2.5, side * 0.35) and \
                    0.8 * (last - first) <= lower - row <= 1.2 * (last - first):
                return lower, first, last
    return None


def _side(ink: Picture, column: int, top: int, bottom: int, slack: int) -> float:
    """The share of a vertical side that is ink, a little crookedness allowed."""
    band = ink[top:bottom, max(0, column - slack):column + slack + 1]
    return float(band.any(axis=1).mean()) if band.size else 0.0


def _ring(ink: Picture, left: int, top: int, right: int, bottom: int, line: int) -> float:
    """The share of ink just within the four lines."""
    left, top, right, bottom = left + line, top + line, right - line, bottom - line
    parts = (ink[top:top + 2, left:right], ink[bottom - 2:bottom, left:right],
             ink[top:bottom, left:left + 2], ink[top:bottom, right - 2:right])
    return float(np.concatenate([part.ravel() for part in parts]).mean())


def _judged(ink: Picture, left: int, top: int, right: int, bottom: int, dpi: float) -> Square:
    line = max(3, round(dpi / 50))
    inside = ink[top + line:bottom - line, left + line:right - line]
    share = float(inside.mean()) if inside.size else 0.0
    ticked = share > (EMPTY + TICKED) / 2
    edge = (share - EMPTY) / (TICKED - EMPTY)
    sure = min(1.0, max(0.5, 0.5 + abs(edge - 0.5)))
    return Square(left, top, right, bottom, ticked, sure)
