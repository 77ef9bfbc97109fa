"""What can be found when pictures and PDFs are read. Places are pages, never words."""

from __future__ import annotations

from typing import Final

from canonical.findings import Code, Severity, declare

ENGINE: Final[Code] = declare(
    "ocr.engine_missing", Severity.WARNING,
    "The OCR engine or its language data is not installed here; pictures cannot be read, everything else works.",
    "Install tesserocr (a part of the requirements) and, on Debian, tesseract-ocr-eng; or name the folder in `tessdata`.")
CANNOT_START: Final[Code] = declare(
    "ocr.cannot_start", Severity.WARNING, "The process that reads documents could not be started.",
    "Look at the memory and process limits of this machine; it is tried again by itself.")
NO_DOCUMENT: Final[Code] = declare(
    "ocr.no_document", Severity.FATAL, "The delivery names no document, or one that the ledger does not hold.",
    "Check the destination's table: it must write message_id; purged messages cannot be read again.")
DAMAGED: Final[Code] = declare(
    "ocr.damaged", Severity.ERROR, "A picture or PDF is damaged: it cannot be opened, or breaks off.",
    "Ask the sender for the page again.")
ENCRYPTED: Final[Code] = declare(
    "ocr.encrypted", Severity.ERROR, "A PDF is protected by a password.", "Ask the sender for one without.")
TOO_MANY_PAGES: Final[Code] = declare(
    "ocr.too_many_pages", Severity.ERROR, "The document has more pages than are read; the first ones were.",
    "Raise max_pages of the destination if such documents are expected, then replay.")
TOO_MANY_PIXELS: Final[Code] = declare(
    "ocr.too_many_pixels", Severity.ERROR, "A page has more dots than are decoded; it was left out unread.",
    "A sheet at 600 dpi has 35 million. Ask the sender for a lower resolution, or raise max_pixels.")
TOO_MANY_OBJECTS: Final[Code] = declare(
    "ocr.too_many_objects", Severity.ERROR, "A page of a PDF holds more objects than are drawn; it was left out.",
    "Ask the sender for a scan or a simpler print; or raise max_objects.")
TOO_SLOW: Final[Code] = declare(
    "ocr.too_slow", Severity.ERROR, "Reading took longer than is allowed; the page was left out.",
    "Look at the page; raise page_s or document_s if the machine is slow, then replay.")
TOO_MUCH_MEMORY: Final[Code] = declare(
    "ocr.too_much_memory", Severity.ERROR, "Reading a page took more memory than is allowed; it was left out.",
    "Look at the page; raise memory_mb if such pages are expected, then replay.")
CRASHED: Final[Code] = declare(
    "ocr.crashed", Severity.ERROR, "The process that reads documents died at a page; the page was left out.",
    "Keep the document and report it; the engine itself was not touched.")
TOO_LARGE: Final[Code] = declare(
    "ocr.too_large", Severity.ERROR, "The document has more bytes than are read.",
    "Raise max_bytes of the destination if such documents are expected, then replay.")
TURNED_AWAY: Final[Code] = declare(
    "ocr.stopped", Severity.INFO, "Reading was broken off because the engine stops; it begins again at the next start.",
    "Nothing to do.")
