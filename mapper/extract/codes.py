"""Findings about documents, and about what was read from them."""

from __future__ import annotations

from typing import Final

from canonical.findings import Severity, declare

UNKNOWN_FORM: Final = declare("extract.unknown_form", Severity.WARNING, "no template recognises the document",
                              "a person must look at it; if such forms come often, write a template")
GUESSED_FORM: Final = declare("extract.guessed_form", Severity.INFO,
                              "the form is not known: fields were taken by their labels",
                              "write a template, if such forms come often")
SEVERAL_REFERRALS: Final = declare("extract.several_forms", Severity.WARNING, "several forms came in one document",
                                   "each became a document of its own; a person checks the split")
STRAY_PAGE: Final = declare("extract.stray_page", Severity.WARNING,
                            "a page of a document with several forms belongs to none for certain",
                            "it went with the form before it, and nothing was read from it; a person checks the split")
NO_PAGES: Final = declare("extract.no_pages", Severity.FATAL, "the document has no page that could be read",
                          "see the findings of its reading; ask the sender to send it again")
