"""What a merge means for keys: who lands on whom from now on (ADT^A40, and the way back)."""

from __future__ import annotations

from typing import Final

from canonical.event import Event
from canonical.keys import patient_key
from canonical.model import LinkType, Patient

MERGED: Final = "patient.merged"
UNMERGED: Final = "patient.unmerged"


def aliases_of(event: Event) -> tuple[tuple[str, str], ...]:
    """(old key, surviving key) of a merge, (key, key) of an unmerge; nothing for other events."""
    if event.type not in {MERGED, UNMERGED} or not isinstance(event.entity, Patient):
        return ()
    pairs = []
    for link in event.entity.links or ():
        old = patient_key(link.identifiers)
        if link.type is LinkType.REPLACES and old and old != event.subject_key:
            pairs.append((old, event.subject_key if event.type == MERGED else old))
    return tuple(pairs)
