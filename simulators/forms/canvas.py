"""A sheet to draw a form on, which remembers where every value was put."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import msgspec
from PIL import Image, ImageDraw, ImageFont

#: US letter at 204 dots an inch.
WIDTH: Final = 1734
HEIGHT: Final = 2244
DPI: Final = 204

_FOLDERS: Final = (Path("/usr/share/fonts/truetype/dejavu"), Path("/usr/share/fonts/dejavu"))
_FILES: Final = {"sans": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf", "serif": "DejaVuSerif.ttf",
                 "mono": "DejaVuSansMono.ttf", "hand": "DejaVuSerif-Italic.ttf", "condensed": "DejaVuSansCondensed.ttf"}

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font(name: str, points: float) -> Font:
    """A typeface at a size in points. Without DejaVu (Debian: fonts-dejavu-core, -extra) the one within Pillow."""
    pixels = round(points * DPI / 72)
    for folder in _FOLDERS:
        if (file := folder / _FILES[name]).is_file():
            return ImageFont.truetype(str(file), pixels)
    return ImageFont.load_default(pixels)


class Spot(msgspec.Struct, frozen=True):
    """Where a value stands: parts of width and height of the undistorted page."""

    field: str
    box: tuple[float, float, float, float]


class Canvas:
    """One page."""

    def __init__(self, draw: random.Random, *, face: str = "sans") -> None:
        self.image = Image.new("L", (WIDTH, HEIGHT), 255)
        self.pen = ImageDraw.Draw(self.image)
        self.draw = draw
        self.face = face
        self.spots: list[Spot] = []
        self.handwritten: set[str] = set()
        """Fields that are written by hand on this page."""

    def label(self, x: float, y: float, text: str, *, points: float = 9.5, name: str = "", fill: int = 0) -> float:
        """Printed text. Returns the x where it ends."""
        face = font(name or self.face, points)
        self.pen.text((x, y), text, font=face, fill=fill)
        return x + float(self.pen.textlength(text, font=face))

    def value(self, x: float, y: float, text: str, field: str, *, points: float = 11.5) -> float:
        """A filled-in value. Returns the x where it ends."""
        if field in self.handwritten:
            return self._by_hand(x, y, text, field, points)
        face = font(self.face, points)
        self.pen.text((x, y), text, font=face, fill=0)
        self._note(field, self.pen.textbbox((x, y), text, font=face))
        return x + float(self.pen.textlength(text, font=face))

    def _by_hand(self, x: float, y: float, text: str, field: str, points: float) -> float:
        left = x
        for letter in text:
            face = font("hand", points * self.draw.uniform(1.0, 1.2))
            size = int(points * DPI / 72 * 1.8)
            tile = Image.new("L", (size, size), 0)
            ImageDraw.Draw(tile).text((size * 0.2, size * 0.1), letter, font=face, fill=255)
            tile = tile.rotate(self.draw.uniform(-7, 7), Image.Resampling.BICUBIC)
            place = (round(x - size * 0.2), round(y - size * 0.12 + self.draw.uniform(-3, 3)))
            self.image.paste(0, (place[0], place[1], place[0] + size, place[1] + size), tile)
            x += float(self.pen.textlength(letter, font=face)) * self.draw.uniform(0.92, 1.08)
        self._note(field, (left, y, x, y + points * DPI / 72 * 1.25))
        return x

    def _note(self, field: str, box: tuple[float, float, float, float]) -> None:
        left, top, right, bottom = box
        self.spots.append(Spot(field, (left / WIDTH, top / HEIGHT, min(1.0, right / WIDTH), min(1.0, bottom / HEIGHT))))

    def box(self, x: float, y: float, text: str, field: str, *, ticked: bool, points: float = 10) -> float:
        """A check box with its text to the right. Returns the x where the text ends."""
        side = 32
        self.pen.rectangle((x, y, x + side, y + side), outline=0, width=3)
        if ticked:
            style = self.draw.choice(("cross", "tick", "filled"))
            shift = self.draw.uniform(-2, 2)
            if style == "cross":
                self.pen.line((x + 5, y + 5 + shift, x + side - 5, y + side - 5 + shift), fill=0, width=5)
                self.pen.line((x + 5, y + side - 5 + shift, x + side - 5, y + 5 + shift), fill=0, width=5)
            elif style == "tick":
                self.pen.line((x + 5, y + 16 + shift, x + 13, y + 27, x + side + 4, y - 4 + shift), fill=0, width=5)
            else:
                self.pen.rectangle((x + 7, y + 7, x + side - 7, y + side - 7), fill=0)
            self._note(field, (x, y, x + side, y + side))
        return self.label(x + side + 12, y - 1, text, points=points)

    def rule(self, x: float, y: float, right: float, *, width: int = 2) -> None:
        """A horizontal line."""
        self.pen.line((x, y, right, y), fill=0, width=width)

    def frame(self, x: float, y: float, right: float, bottom: float, *, width: int = 2) -> None:
        """A rectangle."""
        self.pen.rectangle((x, y, right, bottom), outline=0, width=width)

    def bar(self, y: float, text: str) -> None:
        """A section's heading: white on black, across the page."""
        self.pen.rectangle((90, y, WIDTH - 90, y + 44), fill=0)
        self.label(110, y + 6, text, points=10, name="bold", fill=255)

    def stamp(self, x: float, y: float, text: str) -> None:
        """A rubber stamp, askew, over whatever is there."""
        face = font("bold", 14)
        width = int(self.pen.textlength(text, font=face)) + 40
        tile = Image.new("L", (width, 84), 0)
        pen = ImageDraw.Draw(tile)
        pen.rectangle((3, 3, width - 4, 80), outline=255, width=5)
        pen.text((20, 18), text, font=face, fill=255)
        grain = Image.effect_noise(tile.size, 90).point(lambda value: 255 if value > 70 else 0)
        tile = Image.composite(tile, Image.new("L", tile.size, 0), grain)
        tile = tile.rotate(self.draw.uniform(-14, 14), Image.Resampling.BICUBIC, expand=True)
        self.image.paste(0, (int(x), int(y), int(x) + tile.width, int(y) + tile.height), tile)
