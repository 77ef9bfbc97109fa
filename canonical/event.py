"""Events: what happened, to what, in which order.

An event states what one message said (its `entity` is a patch, see `canonical.presence`). The state of an
entity is the fold of its events in version order (`canonical.history`), so it does not depend on the order
in which the messages arrived (D07).
"""

from __future__ import annotations

from enum import StrEnum

from canonical.entities import AnyEntity
from canonical.phi import Value


class Basis(StrEnum):
    """What orders the versions of one entity, best first (D03)."""

    SEQUENCE = "msh13"
    EVENT_TIME = "event-time"
    MESSAGE_TIME = "msh7"
    ARRIVAL = "arrival"


class Version(Value, frozen=True, kw_only=True, order=True):
    """Position of an event in the history of its entity. Compared as a whole: ties break on the message id."""

    at: str
    """UTC instant ``YYYYMMDDHHMMSS.ffffff`` (sortable text), or the zero-padded sequence number."""
    tie: str
    """Id of the message: makes the order total and the same on every replay."""
    basis: Basis = Basis.ARRIVAL


class Source(Value, frozen=True, kw_only=True):
    """Who said it, by which way."""

    channel: str
    system: str = ""
    """Sending application as the sender writes it (MSH-3)."""
    facility: str = ""
    """MSH-4"""
    control_id: str = ""
    message_type: str = ""
    """``SIU^S12``"""
    processing_id: str = ""


class Event(Value, frozen=True, kw_only=True):
    """One thing that happened. Immutable; recomputable from the raw message and `revision`."""

    id: str
    """``MESSAGE_ID.N``: deterministic, so that a second run of the mapping yields the same event."""
    type: str
    """Past tense: ``appointment.booked`` (``docs/canonical.md`` lists them)."""
    subject_key: str
    """``appointment:SYSTEM|VALUE``, ``patient:…``, ``slot:…``: what the event is about."""
    version: Version
    entity: AnyEntity
    source: Source
    message_id: str
    occurred_at: str
    """ISO 8601 with offset."""
    received_at: int
    """Microseconds since the epoch."""
    revision: str
    """Content hash of the mapping tables that made it."""
    patient_key: str = ""
    schema: str = "1"


