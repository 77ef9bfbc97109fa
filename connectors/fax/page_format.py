"""Pages as a format of the mapping language: what extraction templates read. There is nothing to write."""

from __future__ import annotations

from typing import Any, Final

from canonical.page import PageDocument
from connectors.fax.codec import PageCodec

_CODEC: Final = PageCodec()


class PageFormat:
    """The part of `mapper.format.Format` that tables of documents use: paths are the templates' own."""

    family = "page"
    absent: Any = None
    clear: Any = None
    can_clear = False

    def decode(self, raw: bytes) -> PageDocument:
        """Pages in any format that is read. Raises Rejection."""
        return _CODEC.decode(raw)

    def leaves(self, wire: PageDocument, name: str) -> list[str]:
        """None: a page is full of words that are nobody's value."""
        return []

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a page has no {name}")
