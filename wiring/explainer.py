"""Lineage on demand: the mapping of a channel traced again, with the tables that read the message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from canonical.findings import Rejection
from canonical.phi import MASK
from console.views.journey import Lineage, LineageRow
from console.views.tables import lineage_rows
from mapper.extract.known import Known
from mapper.library import Library
from mapper.mapping import Mapping as Table
from mapper.mapping import ReadContext, Trace
from router import internal
from router.site import Site, table_for
from store.records import Message
from wiring.assembly import formats
from wiring.translator import Codecs, overlay

#: A leaf of an HL7 v2 message: ``RESOURCES(2)/AIS-3.1``. A line of text that came between two segments is none.
_LEAF: Final = re.compile(r"([A-Z][A-Z0-9_]*(\(\d+\))?/)*[A-Z][A-Z0-9]{2}(\(\d+\))?-\d[\d.()]*")
_NO_SEGMENT: Final = "a line that is no segment"


class SiteExplainer:
    """Recomputes what the ledger does not keep (house: raw and revision are sufficient).

    Args:
        site: of today: it says which table a channel uses.
        library: the tables of today, for messages whose own are not kept.
        codecs: by format family.
        known: what values on pages are checked against, today.
    """

    def __init__(self, site: Site, library: Library, codecs: Codecs, known: Known | None = None) -> None:
        self._site = site
        self._library = library
        self._codecs = codecs
        self._known = known

    def lineage(self, message: Message, raw: bytes, files: Mapping[str, bytes] | None, *,
                reveal: bool) -> Lineage:
        """Where each leaf of the message's events came from. Never raises for what is in the message."""
        if message.channel in internal.CHANNELS:
            return _said(message, raw, reveal=reveal)
        library, note = self._library, ""
        if message.revision and message.revision != library.revision:
            note = "traced with the tables of today: those that read it are not kept"
            if files is not None:
                library = Library(files, formats())
                note = "traced with the tables that read it; those of today are different"
        try:
            mapping, trace = self._trace(library, message, raw)
        except Rejection as rejection:
            return Lineage(note=f"no lineage: {', '.join(found.code for found in rejection.findings)}")
        if mapping is None or trace is None:
            return Lineage(note="no lineage: the configuration names no table for this kind of message")
        rows = [row for event, leaves in zip(trace.reading.events, trace.lineage, strict=False)
                for row in lineage_rows(leaves, event, mask=not reveal)]
        return Lineage(rows=rows, unread=self._unread(mapping, trace), note=note)

    def _unread(self, mapping: Table, trace: Trace) -> list[str]:
        """What no row read; a line that is no segment is not named by its own text."""
        if mapping.format.family != "hl7v2":
            return list(trace.undeclared)
        return list(dict.fromkeys(one if _LEAF.fullmatch(one) else _NO_SEGMENT for one in trace.undeclared))

    def _trace(self, library: Library, message: Message, raw: bytes) -> tuple[Table | None, Trace | None]:
        channel = self._site.channels.get(message.channel)
        name = table_for(channel.mapping, message.message_type) if channel is not None else ""
        if channel is None or not name:
            return None, None
        mapping = library.mapping(name, overlay(library, channel.site))
        wire: Any = self._codecs[mapping.format.family].decode(raw, message.charset or channel.charset)
        return mapping, mapping.trace(wire, ReadContext(message_id=message.id, channel=message.channel,
                                                        received_at=message.received_at, known=self._known))


def _said(message: Message, raw: bytes, *, reveal: bool) -> Lineage:
    """Lineage of a message of ours: every leaf comes from the person who answered, or from the rules."""
    try:
        letter = internal.open_letter(raw)
    except Rejection as rejection:
        return Lineage(note=f"no lineage: {rejection.findings[0].code}")
    source = f"{letter.by}, answering task {letter.task}" if letter.by else "the rules of the site"
    if letter.forwards:
        source = f"message {letter.forwards}"
    rows = [LineageRow(field=field, value=value if reveal else MASK, source=source,
                       how="person" if letter.by else "rule")
            for event in letter.says for field, value in _leaves(msgspec.to_builtins(event.entity), "")]
    return Lineage(rows=rows, note=f"said by {source}; no table is needed for it")


def _leaves(value: object, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "entity":
                yield from _leaves(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{at}({place})")
    else:
        yield at, str(value)
