"""Our own form of pages: `canonical.page` as JSON, one way to write a document."""

from __future__ import annotations

import msgspec

from canonical.page import VERSION, PageDocument, from_json, to_json
from connectors.fax.readers.limits import Budget, complete, malformed


def read(raw: bytes, charset: str = "") -> PageDocument:
    """Raises `Rejection` where it is not that form to the byte: it is written by a program of this house."""
    try:
        document = from_json(raw)
        if to_json(document) != raw:
            raise malformed("", "not in the form in which it is written")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise malformed("", "not the JSON of a page document") from None
    if document.schema != VERSION:
        raise malformed("/schema", "a version that is not known here")
    budget = Budget()
    for page in document.pages:
        budget.page(f"page {page.number}")
        budget.words(sum(len(line.words) for line in page.lines), f"page {page.number}")
    return complete(document)
