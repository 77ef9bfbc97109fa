"""Visits to come that a change of a master touches. Without `--reveal` neither person nor number is shown."""

from __future__ import annotations

import msgspec

from canonical.phi import MASK
from router.impact import Impact


class TouchedVisit(msgspec.Struct, kw_only=True):
    """One visit."""

    start: str
    message: str
    """Id of the message that spoke of it last: `dragoman show` tells all about it."""
    subject: str = MASK


class Change(msgspec.Struct, kw_only=True):
    """One record of the master file, and what it touches."""

    event: str
    type: str
    subject: str = MASK
    since: str
    urgent: bool
    visits: list[TouchedVisit]


class ImpactView(msgspec.Struct, kw_only=True):
    """Everything one message touches."""

    message: str
    changes: list[Change]


def impact_view(message: str, impacts: list[Impact], *, reveal: bool) -> ImpactView:
    """For people."""
    return ImpactView(message=message, changes=[
        Change(event=one.event.id, type=one.event.type, since=one.since, urgent=one.urgent,
               subject=one.event.subject_key if reveal else MASK,
               visits=[TouchedVisit(start=each.start, message=each.message_id,
                                    subject=each.state.subject_key if reveal else MASK) for each in one.touched])
        for one in impacts])
