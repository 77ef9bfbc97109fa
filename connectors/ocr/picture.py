"""From one picture of a page to the page model."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import zxingcpp
from PIL import Image

from canonical.page import Barcode, Box, Line, Mark, MarkState, Page, PageImage, Unit
from connectors.fax.frame import turn_of_lines
from connectors.ocr import engine as ocr
from connectors.ocr.clean import DARK, Clean, clean, grey, hash_of, resolution
from connectors.ocr.engine import Engine
from connectors.ocr.marks import squares

#: Share of dark dots below which a page is empty, and nothing is looked for.
_EMPTY: Final = 0.0003
_BARCODES: Final = 20
_DIGITS: Final = 6
TURNS: Final = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
"""Clockwise degrees; Pillow counts the other way."""


def read_picture(image: Image.Image, number: int, source: PageImage, engine: Engine, max_pixels: int) -> Page:
    """The page on a picture.

    Args:
        image: decoded.
        number: of the page.
        source: where the picture is; its size, resolution and hash are filled in.
        engine: reads.
        max_pixels: dots of the enlarged picture at most.
    """
    dpi = resolution(image.width, image.height, image.info.get("dpi"))
    shades = grey(image)
    turn, made, lines = _upright(shades, dpi, engine, max_pixels)
    marks = _marks(made)
    width, height = made.picture.size
    return Page(
        number=number, width=float(width), height=float(height), unit=Unit.PIXEL, rotation=turn,
        lines=tuple(ocr.without_marks(lines, marks)), marks=tuple(marks), barcodes=tuple(_barcodes(made.picture)),
        quality=made.quality,
        image=PageImage(message_id=source.message_id, sha256=source.sha256, index=source.index, width=image.width,
                        height=image.height, dpi=(round(dpi[0], 2), round(dpi[1], 2)),
                        perceptual_hash=hash_of(made.picture)))


def _upright(shades: Image.Image, dpi: tuple[float, float], engine: Engine,
             max_pixels: int) -> tuple[int, Clean, list[Line]]:
    """The turn that makes it upright, the picture so turned, and its lines.

    Most pages lie right: they are read as they are, and only where that gives doubtful words is it asked which way up
    they are. That costs a second for those and nothing for the others.
    """
    best = _turned(shades, dpi, 0, engine, max_pixels)
    if best[1].quality.ink < _EMPTY:
        return best
    # The engine reads columns of sideways print by itself: then their order tells how the page lies.
    sure = ocr.trust(best[2]) >= ocr.DOUBTFUL
    turn = turn_of_lines([[word.box.centre for word in line.words] for line in best[2]]) if sure \
        else engine.turn(best[1].picture)
    if turn:
        other = _turned(shades, dpi, turn, engine, max_pixels)
        if ocr.trust(other[2]) > (ocr.DOUBTFUL if sure else ocr.trust(best[2])):
            return other
    return best


def _turned(shades: Image.Image, dpi: tuple[float, float], turn: int, engine: Engine,
            max_pixels: int) -> tuple[int, Clean, list[Line]]:
    if turn:
        shades = shades.transpose(TURNS[turn])
        if turn != 180:
            dpi = dpi[1], dpi[0]
    made = clean(shades, dpi, max_pixels)
    lines = engine.read(made.picture, made.dpi) if made.quality.ink >= _EMPTY else []
    return turn, made, lines


def _marks(made: Clean) -> list[Mark]:
    return [Mark(state=MarkState.SELECTED if one.ticked else MarkState.UNSELECTED, confidence=round(one.confidence, 4),
                 box=_box(one.left, one.top, one.right, one.bottom, made.picture))
            for one in squares(np.asarray(made.picture) < DARK, made.dpi)]


def _barcodes(picture: Image.Image) -> list[Barcode]:
    found = []
    for one in zxingcpp.read_barcodes(np.asarray(picture))[:_BARCODES]:
        place: Any = one.position
        corners = (place.top_left, place.top_right, place.bottom_left, place.bottom_right)
        across, down = [corner.x for corner in corners], [corner.y for corner in corners]
        found.append(Barcode(text=one.text.replace("\0", ""), kind=str(one.format).rpartition(".")[2],
                             box=_box(min(across), min(down), max(across), max(down), picture)))
    return found


def _box(left: float, top: float, right: float, bottom: float, picture: Image.Image) -> Box:
    edges = (left / picture.width, top / picture.height, right / picture.width, bottom / picture.height)
    return Box(*(round(min(max(edge, 0.0), 1.0), _DIGITS) for edge in edges))
