"""Settings of our own reader of pictures and PDFs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

#: Where the system's packages put the language data, newest first.
TESSDATA: Final = ("/usr/share/tesseract-ocr/5/tessdata", "/usr/share/tesseract-ocr/4.00/tessdata",
                   "/usr/share/tessdata", "/usr/local/share/tessdata", "/opt/homebrew/share/tessdata")


class OcrOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reads a document, page by page, in a process of its own, and gives the pages as its answer."""

    languages: Annotated[str, Meta(pattern=r"^[a-z_]{3,}(\+[a-z_]{3,})*$",
                                   description="Languages of the print, in Tesseract's words: eng, eng+spa.")] = "eng"
    tessdata: Annotated[str, Meta(description="Folder of the language data; empty: where the system's packages put it."
                                  )] = ""
    max_bytes: Annotated[int, Meta(ge=1, description="Bytes of a document at most.")] = 67_108_864
    max_pages: Annotated[int, Meta(ge=1, le=10_000, description="Pages of a document that are read.")] = 100
    max_pixels: Annotated[int, Meta(ge=1, description="Dots of a page at most; looked at before it is decoded."
                                    )] = 40_000_000
    max_objects: Annotated[int, Meta(ge=1, description="Objects on a page of a PDF at most.")] = 200_000
    page_s: Annotated[float, Meta(gt=0, description="Seconds a page may take.")] = 60.0
    document_s: Annotated[float, Meta(gt=0, description="Seconds of processor time a document may take.")] = 900.0
    memory_mb: Annotated[int, Meta(ge=256, description="Address space of the reading process, in MiB.")] = 2_048
    priority: Annotated[int, Meta(ge=0, le=19, description="How far it stands back behind everything else on the machine "
                                                           "(nice).")] = 15
    max_sessions: Annotated[int, Meta(ge=1, le=64, description="Documents read at the same time.")] = 1

    @property
    def data(self) -> str:
        """The folder of the language data; empty where there is none with all languages."""
        names = [f"{name}.traineddata" for name in self.languages.split("+")]
        for folder in (self.tessdata,) if self.tessdata else TESSDATA:
            if all(Path(folder, name).is_file() for name in names):
                return folder
        return ""
