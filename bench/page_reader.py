"""The pages of a generated fax as the page model: read by our own OCR, kept in ``var/`` by the hash of the file."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image

from canonical.page import PageDocument, PageImage, SourceKind, from_json, to_json
from connectors.ocr.engine import Engine
from connectors.ocr.picture import read_picture
from connectors.ocr.settings import OcrOut

#: Raised where `connectors.ocr` reads differently: what is kept is then read again.
VERSION: Final = "20"
CACHE: Final = Path("var/bench/ocr")
_SETTINGS: Final = OcrOut()


def read(raw: bytes) -> PageDocument:
    """All pages of a TIFF."""
    digest = hashlib.sha256(raw).hexdigest()
    kept = CACHE / f"{digest}-{VERSION}.json"
    if kept.is_file():
        return from_json(kept.read_bytes())
    pages = []
    with Image.open(io.BytesIO(raw)) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            pages.append(read_picture(image, index + 1, PageImage(sha256=digest, index=index), _engine(),
                                      _SETTINGS.max_pixels))
    document = PageDocument(source=SourceKind.OCR, producer="tesseract", producer_version=version(),
                            model=_SETTINGS.languages, pages=tuple(pages))
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(to_json(document))
    return document


@cache
def version() -> str:
    """Of the engine: ``5.5.0``."""
    import tesserocr

    return str(tesserocr.tesseract_version().split()[1])


@cache
def _engine() -> Engine:
    return Engine(_SETTINGS.data, _SETTINGS.languages)
