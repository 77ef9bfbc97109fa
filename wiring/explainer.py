"""Lineage on demand: the mapping of a channel traced again, with the tables of today."""

from __future__ import annotations

from canonical.findings import Rejection
from connectors.base import Codec
from console.views.journey import Lineage, LineageRow
from mapper.library import Library
from mapper.mapping import ReadContext
from mapper.recorder import Lineage as Leaf
from router.site import Site, table_for
from store.records import Message
from wiring.translator import Codecs, overlay

MASK = "‹phi›"


class SiteExplainer:
    """Recomputes what the ledger does not keep (house: raw and revision are sufficient)."""

    def __init__(self, site: Site, library: Library, codecs: Codecs) -> None:
        self._site = site
        self._library = library
        self._codecs = codecs

    def lineage(self, message: Message, raw: bytes, revision: str, *, reveal: bool) -> Lineage:
        """Where each leaf of the message's events came from. Never raises for what is in the message."""
        channel = self._site.channels.get(message.channel)
        name = table_for(channel.mapping, message.message_type) if channel is not None else ""
        if channel is None or not name:
            return Lineage(note="the configuration names no table for this kind of message")
        try:
            mapping = self._library.mapping(name, overlay(self._library, channel.site))
            codec: Codec[object] = self._codecs[mapping.format.family]
            wire = codec.decode(raw, message.charset or channel.charset)
            trace = mapping.trace(wire, ReadContext(message_id=message.id, channel=message.channel,
                                                    received_at=message.received_at))
        except Rejection as rejection:
            return Lineage(note="; ".join(found.code for found in rejection.findings))
        note = "" if revision in {"", self._library.revision} else "the tables have changed since it was processed"
        return Lineage(rows=[_row(leaf, reveal) for leaves in trace.lineage for leaf in leaves],
                       unread=list(trace.undeclared), note=note)


def _row(leaf: Leaf, reveal: bool) -> LineageRow:
    how = f"{leaf.how}, {leaf.code_row}" if leaf.code_row else leaf.how
    return LineageRow(field=leaf.field, value=str(getattr(leaf, "value", "")) if reveal else MASK,
                      source=leaf.source, row=leaf.row, how=how)
