"""What a change of a master means for visits that are booked already.

A clinician leaves, a room closes, a department moves: the master says so from a day on (MFE-3), and every visit from
that day on that names the person or the place has to be looked at by somebody. Nothing is changed here: the list is
shown, and it makes work for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from canonical.event import Event
from canonical.model import Appointment, AppointmentStatus, Identifier, Location, ParticipantKind, Practitioner
from canonical.task import TaskStatus, WorkTask
from router.search import before, moment, same, same_place
from store.ledger import Lookup
from store.records import State

#: States read at a time.
PAGE: Final = 500
#: Visits that are still to come.
_OPEN: Final = frozenset({AppointmentStatus.PROPOSED, AppointmentStatus.PENDING, AppointmentStatus.BOOKED,
                          AppointmentStatus.WAITLIST})
#: Types of events after which the person or place can no longer be booked.
_GONE: Final = ("deactivated", "deleted")


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """One visit that names the person or place."""

    state: State
    start: str
    roles: tuple[str, ...]
    """As what it is named there: practitioner, location."""

    @property
    def message_id(self) -> str:
        """The message that spoke of the visit last."""
        return self.state.event_id.rpartition(".")[0]


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """What one event of a master touches."""

    event: Event
    since: str
    """From when on: the day the change takes effect, else the time it was said. Visits before are not touched."""
    touched: tuple[Touched, ...] = ()

    @property
    def urgent(self) -> bool:
        """True where the visits cannot take place as they are booked."""
        return self.event.type.endswith(_GONE)

    def task(self) -> WorkTask | None:
        """Work for a person: one task a change, the same however often it is asked. None where nothing is touched."""
        if not self.touched:
            return None
        return WorkTask(
            identifiers=(Identifier(value=f"impact:{self.event.id}", type="TASK"),), type="master-impact",
            reason=f"MASTER_IMPACT:{self.event.type}", cause=self.event.id, status=TaskStatus.READY,
            subjects=(self.event.subject_key, *(one.state.subject_key for one in self.touched)),
            message_id=self.event.message_id, actions=("done",))


async def impact(lookup: Lookup, event: Event, now: int) -> Impact:
    """The visits to come that name the person or place of a master event, in the order of time.

    Args:
        event: about a Practitioner or a Location; any other touches nothing.
        now: microseconds since the epoch.
    """
    master = event.entity
    effective = master.effective_at if isinstance(master, Practitioner | Location) else None
    since = datetime.fromtimestamp(now / 1_000_000, UTC).isoformat(timespec="seconds")
    for later in (event.occurred_at, str(effective or "")):
        one, other = moment(since), moment(later)
        if one is not None and other is not None and before(one, other):
            since = later
    if not isinstance(master, Practitioner | Location):
        return Impact(event=event, since=since)
    first = moment(since)
    touched = []
    after = ""
    while page := await lookup.subjects("appointment", after, PAGE):
        for state in page:
            entity = state.entity
            if not isinstance(entity, Appointment) or entity.status not in _OPEN:
                continue
            begins = moment(str(entity.start or ""))
            if begins is None or (first is not None and before(begins, first)):
                continue
            if roles := _roles(entity, master):
                touched.append(Touched(state=state, start=str(entity.start), roles=roles))
        after = page[-1].subject_key
    touched.sort(key=lambda one: (one.start, one.state.subject_key))
    return Impact(event=event, since=since, touched=tuple(touched))


def _roles(visit: Appointment, master: Practitioner | Location) -> tuple[str, ...]:
    if isinstance(master, Practitioner):
        named = any(_numbers(master.identifiers or (), each.who.identifiers or ())
                    for each in visit.participants or () if each.kind == ParticipantKind.PRACTITIONER and each.who)
        return ("practitioner",) if named else ()
    if not master.place:
        return ()
    places = [each.place for each in visit.participants or () if each.kind == ParticipantKind.LOCATION and each.place]
    if visit.location:
        places.append(visit.location)
    return ("location",) if any(same_place(master.place, each) for each in places) else ()


def _numbers(mine: Sequence[Identifier], theirs: Sequence[Identifier]) -> bool:
    return any(same(a, b) for a in mine for b in theirs)
