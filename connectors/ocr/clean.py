"""A picture as it should be read: grey, square dots, without specks, straight. And what that tells of its quality.

Specks are dots with at most one dark neighbour. The usual 3x3 median takes the thin strokes of small print with them: on
a page of 10 point print at 204 dpi it cost one word in twenty.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from canonical.page import Quality

#: What the engine reads best.
DPI: Final = 300
DARK: Final = 128
#: Degrees within which a page is straightened; what is fed more askew than that is turned over by hand.
MOST_SKEW: Final = 7.0
LEAST_SKEW: Final = 0.05
_WIDTH_IN: Final = 8.5
_FAX_WIDTHS: Final = frozenset({1728, 1734, 2048, 2432})
"""ITU-T T.4: dots of a line for A4/letter, B4 and A3."""
_POINTS: Final = 60_000
_HASH: Final = 16
_EDGE: Final = 4
"""Shades of 256 that make an edge."""

Ink = npt.NDArray[np.bool_]


class Clean(msgspec.Struct, frozen=True):
    """A picture that is ready to be read."""

    picture: Image.Image
    """Grey, `dpi` dots an inch both ways."""
    dpi: float
    quality: Quality


def grey(image: Image.Image) -> Image.Image:
    """Any picture in shades of grey; what is transparent is white paper."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        drawn = image.convert("RGBA")
        paper = Image.new("RGBA", drawn.size, "white")
        paper.alpha_composite(drawn)
        return paper.convert("L")
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more: to 8
        shades: npt.NDArray[Any] = np.asarray(image, dtype=np.float64)
        top = float(shades.max(initial=1.0)) or 1.0
        return Image.fromarray((shades * (255.0 / top)).clip(0, 255).astype(np.uint8))
    return image.convert("L")


def resolution(width: int, height: int, stated: object) -> tuple[float, float]:
    """Dots an inch across and down: as stated where that can be, else those that make it a sheet of paper."""
    try:
        across, down = (float(each) for each in stated)  # type: ignore[attr-defined] # not a pair: below
    except (TypeError, ValueError):
        across = down = 0.0
    narrow = across > 0 and width > 1200 and width / across < _WIDTH_IN / 2
    if 50 <= across <= 1200 and 50 <= down <= 1200 and not narrow:
        return across, down
    if width in _FAX_WIDTHS:
        across = width / _WIDTH_IN
        return across, across / 2 if height < width * 0.9 else across  # T.4 standard resolution: 3.85 lines a mm
    across = min(max(width / _WIDTH_IN, 150.0), 600.0)
    return across, across


def clean(image: Image.Image, dpi: tuple[float, float], max_pixels: int) -> Clean:
    """Prepare a picture that lies the right way up."""
    shades = np.asarray(image, dtype=np.uint8)
    ink: Ink = shades < DARK
    specks = _specks(ink)
    dark = int(ink.sum())
    if specks.any():
        shades = np.where(specks, np.uint8(255), shades).astype(np.uint8)
    low, high = (float(edge) for edge in np.percentile(shades, (5, 95))) if shades.size else (0.0, 255.0)
    if dark > 0.01 * ink.size:  # print covers less than a twentieth of a page
        low = min(low, float(shades.min()))
    picture = _squared(Image.fromarray(shades), dpi, max_pixels)
    skew = skew_of(picture)
    if abs(skew) >= LEAST_SKEW:
        picture = picture.rotate(skew, Image.Resampling.BICUBIC, fillcolor=255)
    across = picture.width / max(image.width, 1) * dpi[0]
    return Clean(picture, across, Quality(
        skew=round(skew, 2), ink=round(dark / max(ink.size, 1), 6), noise=round(int(specks.sum()) / max(dark, 1), 4),
        contrast=round(max(high - low, 0.0) / 255, 4)))


def _specks(ink: Ink) -> Ink:
    padded = np.pad(ink, 1).astype(np.int8)
    height, width = padded.shape
    around = np.zeros(ink.shape, dtype=np.int8)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dx or dy:
                around += padded[1 + dy:height - 1 + dy, 1 + dx:width - 1 + dx]
    found: Ink = ink & (around <= 1)
    return found


def _squared(picture: Image.Image, dpi: tuple[float, float], max_pixels: int) -> Image.Image:
    """Dots as wide as high, as many an inch as are read best; never more than are allowed."""
    across, down = DPI / dpi[0], DPI / dpi[1]
    if across == down == 1.0:
        return picture
    room = math.sqrt(max_pixels / max(picture.width * across * picture.height * down, 1))
    across, down = across * min(room, 1.0), down * min(room, 1.0)
    size = max(1, round(picture.width * across)), max(1, round(picture.height * down))
    return picture.resize(size, Image.Resampling.BICUBIC)


def skew_of(picture: Image.Image) -> float:
    """Degrees clockwise by which the rows of text lie askew: where a shear makes the rows of dots densest."""
    small = picture.resize((max(1, picture.width // 3), max(1, picture.height // 3)), Image.Resampling.BOX)
    rows, columns = np.nonzero(np.asarray(small) < DARK)
    if rows.size < 200:
        return 0.0
    step = max(1, rows.size // _POINTS)
    y, x = rows[::step].astype(np.float64), columns[::step].astype(np.float64)
    x -= small.width / 2

    def density(angle: float) -> float:
        shifted = y - x * math.tan(math.radians(angle))
        counts = np.bincount((shifted - shifted.min()).astype(np.int64)).astype(np.float64)
        return float(np.square(np.diff(counts)).sum())

    best = max(np.arange(-MOST_SKEW, MOST_SKEW + 0.01, 0.5), key=density)
    best = max(np.arange(best - 0.5, best + 0.51, 0.1), key=density)
    return float(round(best, 2))


def hash_of(picture: Image.Image) -> str:
    """256 bits, hexadecimal: where it gets lighter from left to right, in a grid of 16 x 16. Near copies differ in few;
    paper without print is all alike, whatever specks are on it."""
    small = np.asarray(picture.resize((_HASH + 1, _HASH), Image.Resampling.BOX), dtype=np.int16)
    bits = np.packbits(small[:, 1:] > small[:, :-1] + _EDGE)
    return bits.tobytes().hex()
