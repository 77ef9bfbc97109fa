"""Tesseract: words with boxes and confidences, and which way up a page lies."""

from __future__ import annotations

import os
from typing import Any, Final

from PIL import Image, ImageFilter

from canonical.page import Box, Line, Mark, Word, box_around

#: Mean confidence below which a page may lie the wrong way up. Print that lies right is above it even on a poor fax.
DOUBTFUL: Final = 0.7
_BLUR: Final = 0.6
"""Dots: rounds the stairs that a fax makes of a slanted stroke."""
_DIGITS: Final = 6


class Engine:
    """One engine, for one document.

    Args:
        tessdata: folder of the language data.
        languages: ``eng+spa``.

    Raises:
        RuntimeError: the language data cannot be used.
        ImportError: there is no engine.
    """

    def __init__(self, tessdata: str, languages: str) -> None:
        os.environ["OMP_THREAD_LIMIT"] = "1"
        import tesserocr  # where it is not installed, documents with a text layer can still be read

        self._tesserocr: Any = tesserocr
        self._tessdata = tessdata
        self._api: Any = tesserocr.PyTessBaseAPI(path=tessdata, lang=languages, psm=tesserocr.PSM.AUTO)
        self._compass: Any = None

    def read(self, picture: Image.Image, dpi: float) -> list[Line]:
        """The lines of an upright picture."""
        level = self._tesserocr.RIL
        self._api.SetImage(picture.filter(ImageFilter.GaussianBlur(_BLUR)))
        self._api.SetSourceResolution(round(dpi))
        self._api.Recognize()
        found: list[Line] = []
        words: list[Word] = []
        iterator = self._api.GetIterator()
        for each in self._tesserocr.iterate_level(iterator, level.WORD) if iterator is not None else ():
            if words and each.IsAtBeginningOf(level.TEXTLINE):
                found.append(_line(words))
                words = []
            text = _text(each, level.WORD)
            corners = each.BoundingBox(level.WORD)
            if text and corners:
                words.append(Word(text=text, box=_box(corners, picture.size),
                                  confidence=round(min(max(each.Confidence(level.WORD) / 100, 0.0), 1.0), 4)))
        if words:
            found.append(_line(words))
        return found

    def turn(self, picture: Image.Image) -> int | None:
        """Clockwise degrees by which a picture should be turned to be upright; None where it cannot be told."""
        if self._compass is None:
            try:
                self._compass = self._tesserocr.PyTessBaseAPI(path=self._tessdata, lang="osd",
                                                              psm=self._tesserocr.PSM.OSD_ONLY)
            except RuntimeError:  # its data is a package of its own
                return None
        self._compass.SetImage(picture)
        told = self._compass.DetectOrientationScript()
        return -int(told["orient_deg"]) % 360 if told else None


def _text(iterator: Any, level: Any) -> str:
    try:
        return " ".join(iterator.GetUTF8Text(level).split())
    except RuntimeError:  # it has a place and no letters: a rule, a picture
        return ""


def trust(lines: list[Line]) -> float:
    """Mean confidence, weighed by length; 0 for no words."""
    words = [word for line in lines for word in line.words]
    total = sum(len(word.text) for word in words)
    return sum((word.confidence or 0.0) * len(word.text) for word in words) / total if total else 0.0


def without_marks(lines: list[Line], marks: list[Mark]) -> list[Line]:
    """Lines without the letters that the engine takes check boxes for."""
    kept = []
    for line in lines:
        words = tuple(word for word in line.words if not any(_covered(word.box, mark.box) for mark in marks))
        if words:
            kept.append(line if len(words) == len(line.words) else _line(list(words)))
    return kept


def _covered(word: Box, mark: Box) -> bool:
    """Whether most of a word lies in a mark."""
    width = min(word.right, mark.right) - max(word.left, mark.left)
    height = min(word.bottom, mark.bottom) - max(word.top, mark.top)
    return width > 0 and height > 0 and width * height > 0.5 * word.width * word.height


def _line(words: list[Word]) -> Line:
    return Line(words=tuple(words), box=box_around(word.box for word in words))


def _box(corners: tuple[int, int, int, int], size: tuple[int, int]) -> Box:
    left, top, right, bottom = (round(min(max(edge / side, 0.0), 1.0), _DIGITS)
                                for edge, side in zip(corners, (*size, *size), strict=True))
    return Box(left, top, right, bottom)
