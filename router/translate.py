"""Where the router meets mappings and codecs, without knowing either.

`app.py` joins a mapping library and the codecs of the connectors into one `Translator`; the router only ever
sees events and dispatches.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from canonical.event import Event
from canonical.findings import Finding
from canonical.model import AnyEntity
from connectors.base import Dispatch
from store.records import Delivery, Message


class Translation(msgspec.Struct, frozen=True, kw_only=True):
    """What one message says."""

    events: tuple[Event, ...] = ()
    """In the order in which they happened. Ids are deterministic: the same message gives the same events."""
    findings: tuple[Finding, ...] = ()
    """A fatal one parks the message."""
    revision: str = ""
    """Content hash of the tables that were used."""


class Translator(Protocol):
    """Both directions. Pure: same input, same revision, same result."""

    def read(self, message: Message) -> Translation:
        """What a stored message says.

        Raises:
            canonical.findings.Rejection: it cannot be read at all; it is parked with these findings.
        """

    def write(self, delivery: Delivery, event: Event, state: AnyEntity | None) -> Dispatch:
        """The bytes of a delivery. The same arguments yield the same bytes, so that a repeated attempt is
        the same message (invariant 8): times come from the event, the identity from the delivery.

        Args:
            state: present state of the subject, for destinations whose content is ``state``; else None.

        Raises:
            canonical.findings.Rejection: it cannot be written; the delivery is parked with these findings.
        """
