"""Mapping tables and codecs as the router's translator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.findings import Finding, Rejection, Severity, finding
from canonical.phi import Phi
from connectors.base import Codec, Dispatch
from connectors.core.codes import INTERCHANGE, SET
from connectors.hl7v2.header import asking_twice
from connectors.hl7v2.validation import Validator
from connectors.x12.acknowledge import ACKNOWLEDGEMENTS, Disposition, told, verdicts
from connectors.x12.partner import Partner, addressed, scope
from mapper.extract.known import Known
from mapper.library import Library
from mapper.mapping import ReadContext, WriteContext
from router import internal
from router.identity import control_id
from router.site import Destination, Site, Tables, table_for, tables_of
from router.translate import Refused, Translation
from store.records import Delivery, Message
from wiring.codes import NO_TABLE, UNDECODABLE

Codecs = Mapping[str, Codec[Any]]
#: Message types of X12 that say nothing but what became of another one.
ACKNOWLEDGING: Final = ACKNOWLEDGEMENTS | {"TA1"}


class SiteTranslator:
    """Chooses the table by channel or destination and kind of message; the table does the work.

    Args:
        site: checked, so that every table it names exists.
        library: the tables of today.
        codecs: by format family.
        validators: of the profiles that channels name.
        partners: that destinations name.
        known: what values on pages are checked against.
    """

    def __init__(self, site: Site, library: Library, codecs: Codecs,
                 validators: Mapping[str, Validator] | None = None,
                 partners: Mapping[str, Partner] | None = None, known: Known | None = None) -> None:
        self._site = site
        self._library = library
        self._codecs: Final = codecs
        self._validators: Final = validators or {}
        self._partners: Final = partners or {}
        self._known: Final = known

    def read(self, message: Message) -> Translation:
        """What a stored message says. Raises `Rejection`, see `router.translate.Translator`."""
        if message.channel in internal.CHANNELS:
            return internal.read(message)
        channel = self._site.channels.get(message.channel)
        name = table_for(channel.mapping, message.message_type) if channel is not None else ""
        if channel is not None and acknowledges(channel.mapping, message.message_type):
            wire = self._codecs["x12"].decode(message.raw.reveal(), message.charset or channel.charset)
            refused = tuple(Refused(one.sequence, one.number, (INTERCHANGE if one.whole else SET).name, one.code)
                            for one in verdicts(wire) if one.disposition is Disposition.REJECTED)
            return Translation(findings=told(wire), refused=refused, revision=self._library.revision)
        if channel is None or not name:
            raise Rejection(finding(NO_TABLE, row=f"channels.{message.channel}", at="MSH-9"))
        mapping = self._library.mapping(name, overlay(self._library, channel.site))
        wire = self._codecs[mapping.format.family].decode(message.raw.reveal(), message.charset or channel.charset)
        departures = self._departures(channel.profile, wire)
        reading = mapping.read(wire, ReadContext(message_id=message.id, channel=message.channel,
                                                 received_at=message.received_at, known=self._known))
        remarks = getattr(self._codecs[mapping.format.family], "remarks", None)
        findings = (*departures, *(remarks(wire) if remarks is not None else ()), *reading.findings)
        if not message.raw.reveal().isascii():
            findings = (*findings, *(finding(UNDECODABLE, field=field) for event in reading.events
                                     for field in undecodable(msgspec.to_builtins(event.entity), "")))
        return Translation(events=reading.events, findings=findings, revision=reading.revision,
                           patience_s=channel.wait_for_unknown_s, unique_id=channel.reused_control_id == "park")

    def _departures(self, profile: str, wire: Any) -> tuple[Finding, ...]:
        """Where a message departs from what its partner agreed to send. Raises `Rejection` where a person must see it."""
        if not profile:
            return ()
        found = tuple(problem.finding for problem in self._validators[profile].validate(wire))
        if any(one.severity is Severity.FATAL for one in found):
            raise Rejection(*found)
        return found

    def write(self, delivery: Delivery, event: Event, state: AnyEntity | None) -> Dispatch:
        """The bytes of a delivery. Raises `Rejection`, see `router.translate.Translator`."""
        destination = self._site.destinations[delivery.destination]
        name = table_for(destination.mapping, event.type)
        if not name:
            raise Rejection(finding(NO_TABLE, row=f"destinations.{delivery.destination}"))
        mapping = self._library.mapping(name, overlay(self._library, destination.site))
        identity = control_id(delivery.id, state)
        # The time of writing is that of acceptance: a second attempt, tomorrow, has the same bytes (H28, D06).
        now = datetime.fromtimestamp(event.received_at / 1_000_000, UTC).isoformat(timespec="seconds")
        writing = mapping.write(event, WriteContext(identity=identity, now=now,
                                                    values=self._values(destination)), state=state)
        if writing.fatal:
            raise Rejection(*writing.findings)
        codec = self._codecs[mapping.format.family]
        if mapping.format.family == "x12":
            wire = addressed(writing.wire, self._partners.get(destination.partner), event.received_at)
            return Dispatch(identity=identity, body=Phi(codec.encode(wire)), content_type=codec.content_type,
                            attributes=writing.attributes, numbering=scope(wire))
        # What a partner can take is a matter of its connection, not of the tables (C04, L02).
        fit = getattr(destination.settings, "fit", None) if mapping.format.family == "hl7v2" else None
        body, lost = (codec.encode(writing.wire), ()) if fit is None else fit.apply(writing.wire)
        if destination.application_acks and mapping.format.family == "hl7v2":
            body = asking_twice(body)
        return Dispatch(identity=identity, body=Phi(body), content_type=codec.content_type,
                        attributes=writing.attributes, findings=lost)

    def _values(self, destination: Destination) -> Mapping[str, str]:
        """What tables of this destination write with ``$NAME``: its own values, and those of its partner."""
        partner = self._partners.get(destination.partner)
        return destination.context if partner is None else {**partner.context(), **destination.context}


def acknowledges(tables: Tables, kind: str) -> bool:
    """True for an acknowledgement that came where X12 is read, and that no table is named for."""
    named = () if isinstance(tables, str) else tuple(tables)
    return (kind in ACKNOWLEDGING and not any(kind.startswith(each) for each in named)
            and all(table.startswith("x12/") for table in tables_of(tables)))


def undecodable(value: object, field: str) -> Iterator[str]:
    """The fields of an entity that hold bytes without a character (lone surrogates, C03). They stay in the raw
    message; a fact that no destination could be told and no ledger can keep is for people."""
    if isinstance(value, str):
        if any("\udc80" <= character <= "\udcff" for character in value):
            yield field
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from undecodable(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from undecodable(inner, f"{field}({index})")


def overlay(library: Library, site: str) -> str:
    """The site to ask the library for: a site without tables of its own uses the standard ones."""
    return site if site in library.sites else ""
