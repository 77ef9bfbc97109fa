"""What a fax machine does to a page: resolution, one bit a dot, skew, noise, edges."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np
from PIL import Image, ImageFilter

from simulators.forms.canvas import DPI


class Quality(StrEnum):
    """How good the line and the machine are."""

    FINE = "fine"
    STANDARD = "standard"
    POOR = "poor"


class Spoiling(msgspec.Struct, frozen=True):
    """How a quality spoils a page (ITU-T T.4: 204 x 196 lines an inch fine, 204 x 98 standard)."""

    lines: int
    """Vertical resolution, dots an inch."""
    skew: float
    """Degrees either way."""
    blur: float
    """Radius in dots before the threshold."""
    specks: float
    """Share of dots that flip."""
    bands: int
    """At most so many lost lines."""
    cut: float
    """Chance that an edge is cut off."""


SPOILING: Final = {
    Quality.FINE: Spoiling(196, 0.6, 0.0, 0.0002, 0, 0.02),
    Quality.STANDARD: Spoiling(98, 1.2, 0.4, 0.0008, 1, 0.04),
    Quality.POOR: Spoiling(98, 2.2, 1.1, 0.006, 5, 0.12),
}


def sent(page: Image.Image, quality: Quality, draw: random.Random) -> Image.Image:
    """The page as it arrives: one bit a dot, with its resolution in ``info["dpi"]``."""
    spoiling = SPOILING[quality]
    image = page.convert("L").rotate(draw.uniform(-spoiling.skew, spoiling.skew), Image.Resampling.BICUBIC, fillcolor=255)
    if draw.random() < spoiling.cut:
        shift = round(image.width * draw.uniform(0.02, 0.06)) * draw.choice((-1, 1))
        moved = Image.new("L", image.size, 255)
        moved.paste(image, (shift, 0))
        image = moved
    if spoiling.blur:
        image = image.filter(ImageFilter.GaussianBlur(spoiling.blur))
    image = image.resize((image.width, round(image.height * spoiling.lines / DPI)), Image.Resampling.BILINEAR)
    noise = np.random.default_rng(draw.randrange(2**32))
    grey = np.asarray(image).astype(np.float64)
    grey += noise.normal(0, 14 if quality is Quality.POOR else 6, grey.shape)
    black = grey < (140 if quality is not Quality.POOR else draw.uniform(120, 165))
    black ^= noise.random(black.shape) < spoiling.specks
    for _ in range(draw.randrange(spoiling.bands + 1)):
        row = draw.randrange(black.shape[0] - 2)
        black[row:row + 1] = draw.random() < 0.3
    result = Image.fromarray((~black).astype(np.uint8) * 255).convert("1")
    result.info["dpi"] = (DPI, spoiling.lines)
    return result
