"""What the engine and the reading process say to each other: one order in, one line a step out.

The order is a line of JSON, then the document until the end of the stream. Each step is a line of JSON too.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from canonical.findings import Finding
from canonical.page import Page


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to read, and how much it may take."""

    first: int
    """Number of the first page to read; those before it have been."""
    last: int
    languages: str
    tessdata: str
    """Empty: no OCR, text layers only."""
    sha256: str
    message_id: str
    max_pixels: int
    max_objects: int
    document_s: float
    memory_mb: int
    priority: int


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """At work on this page: if nothing more comes, it is to blame."""

    number: int


class Read(msgspec.Struct, frozen=True, tag="read"):
    """A page is read."""

    page: Page
    by_ocr: bool
    """False where its text layer was taken."""


class Left(msgspec.Struct, frozen=True, tag="left"):
    """A page (or, with number 0, the document) cannot be read."""

    number: int
    finding: Finding


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Nothing more comes."""


Step: TypeAlias = Begun | Read | Left | Done

encoder: Final = msgspec.json.Encoder()
steps: Final = msgspec.json.Decoder(Step)
orders: Final = msgspec.json.Decoder(Order)
