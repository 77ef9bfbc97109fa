"""What a merge means: who lands on whom from now on, and what becomes of the open visits (ADT^A40, and the way back).

Pure. A merge is an event about the survivor that links the record given up. Everything else follows from it: later
messages with the old number land on the survivor, open visits are re-pointed (A4.1), visits that now collide are
marked (A4.2), and an unmerge gives back what came from the record that stands by itself again (A4.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from canonical.event import Event
from canonical.findings import Severity, declare
from canonical.history import PATIENT_UPDATED, REPOINTED
from canonical.keys import identifier_key, patient_key
from canonical.model import Appointment, Identifier, LinkType, Many, Patient, PatientLink, Reference
from canonical.presence import ABSENT
from store.records import State

MERGED: Final = "patient.merged"
UNMERGED: Final = "patient.unmerged"
UPDATED: Final = "patient.updated"

LANDED: Final = declare(
    "merge.landed", Severity.INFO, "The message has the number of a record that was merged into another.",
    "Nothing to do: it counts for the survivor. The sender should learn of the merge.")
DOUBLE_BOOKING: Final = declare(
    "merge.double_booking", Severity.WARNING, "The merge gives one person two open visits at the same time.",
    "Ask the clinic which visit stands, and cancel or move the other at its source.")

Pairs = tuple[tuple[str, str], ...]


def aliases_of(event: Event) -> Pairs:
    """(old key, surviving key) of a merge, (key, key) of an unmerge; nothing for other events."""
    if event.type not in {MERGED, UNMERGED}:
        return ()
    return tuple((old, event.subject_key if event.type == MERGED else old) for old, _ in given_up(event))


def lanes_of(pairs: Pairs, lanes: Sequence[str]) -> Pairs:
    """The same for lanes, where a lane is called otherwise than the key.

    Lanes are named at the door, from the bytes: first those of all PID, then those of all MRG. Where that is not what
    they are (an earlier merge has put others in front), the keys alone must do.
    """
    count = len(pairs)
    if len(lanes) != 2 * count:
        return ()
    return tuple((old, new if pair[0] != pair[1] else old)
                 for pair, new, old in zip(pairs, lanes[:count], lanes[count:], strict=True) if old not in pair)


def given_up(event: Event) -> Iterator[tuple[str, PatientLink]]:
    """(key, link) of each record that a merge gives up, or an unmerge sets free."""
    if isinstance(event.entity, Patient):
        for link in event.entity.links or ():
            key = patient_key(link.identifiers)
            if link.type is LinkType.REPLACES and key and key != event.subject_key:
                yield key, link


def directed(event: Event, end: Callable[[str], str]) -> Event:
    """The merge or unmerge, about the record it is to be about now that others were merged before.

    A merge into a record that was itself given up is one into its survivor, except the other way round (B into A after
    A into B): that makes A the survivor again. An unmerge frees the record that was given up, whichever of the two the
    message names first.
    """
    survivor = end(event.subject_key)
    if survivor == event.subject_key:
        return event
    freed = dict(given_up(event))
    if event.type == MERGED:
        if any(end(old) == survivor for old in freed):
            return event
        return msgspec.structs.replace(event, subject_key=survivor, patient_key=survivor)
    link = freed.get(survivor)
    if link is None or not isinstance(event.entity, Patient):
        return event
    turned = msgspec.structs.replace(event.entity, identifiers=link.identifiers, links=(
        msgspec.structs.replace(link, identifiers=event.entity.identifiers),))
    return msgspec.structs.replace(event, subject_key=survivor, patient_key=survivor, entity=turned)


def landed(event: Event, old: str, survivor: str, known: Many[Identifier]) -> Event:
    """An event that names a record given up, as one about its survivor (A4.3).

    Args:
        old: key of the record.
        survivor: key of the other.
        known: identifiers of the survivor, as far as anything is known of it.
    """
    subject = survivor if event.subject_key == old else event.subject_key
    entity = event.entity
    if isinstance(entity, Patient):
        entity = msgspec.structs.replace(entity, identifiers=_renamed(entity.identifiers, old, survivor, known))
    elif isinstance(entity, Appointment) and entity.patient:
        before = entity.patient.identifiers
        person = msgspec.structs.replace(
            entity.patient, identifiers=_renamed(before, old, survivor, known),
            links=(PatientLink(type=LinkType.REPLACES, identifiers=tuple(
                i for i in before or () if identifier_key("patient", i) == old)),))
        entity = msgspec.structs.replace(entity, patient=person)
    return msgspec.structs.replace(event, patient_key=survivor, subject_key=subject, entity=entity)


def _renamed(identifiers: Many[Identifier], old: str, survivor: str, known: Many[Identifier]) -> Many[Identifier]:
    if not identifiers:
        return identifiers
    return tuple(_number_of(survivor, i, known) if identifier_key("patient", i) == old else i for i in identifiers)


def _number_of(survivor: str, old: Identifier, known: Many[Identifier]) -> Identifier:
    """The survivor's number: as it was stated, else made from the key and the old one."""
    for identifier in known or ():
        if identifier_key("patient", identifier) == survivor:
            return identifier
    namespace, _, value = survivor.removeprefix("patient:").partition("|")
    if namespace == (old.assigner or old.system or ""):
        return msgspec.structs.replace(old, value=value)
    if namespace.startswith("urn:"):
        return Identifier(value=value, type=old.type, system=namespace)
    return Identifier(value=value, type=old.type, assigner=namespace or ABSENT)


# -- consequences for open visits ---------------------------------------------------------------------------


def consequences(event: Event, open_visits: Mapping[str, State]) -> list[Event]:
    """What a merge, an unmerge or an update of a person does to visits: one event each, derived and repeatable.

    Args:
        event: about the person.
        open_visits: states of the visits of everybody concerned that are not closed, by subject.
    """
    visits = [(state, state.entity) for state in open_visits.values() if isinstance(state.entity, Appointment)]
    made: list[tuple[State, str, str, Appointment]] = []
    if event.type == MERGED and isinstance(event.entity, Patient):
        links = dict(given_up(event))
        staying = [visit for state, visit in visits if not _whose(state, visit, links)]
        for state, visit in visits:
            if (link := links.get(_whose(state, visit, links))) is not None:
                made.append((state, event.subject_key, REPOINTED, Appointment(
                    patient=Patient(identifiers=event.entity.identifiers, links=(
                        PatientLink(type=LinkType.REPLACES, identifiers=link.identifiers),)),
                    conflicts=tuple(_named(other) for other in staying if _collide(visit, other, event.occurred_at)))))
    elif event.type == UNMERGED and isinstance(event.entity, Patient):
        for key, link in given_up(event):
            made += [(state, key, REPOINTED, Appointment(patient=Patient(identifiers=link.identifiers, links=(
                PatientLink(type=LinkType.SEEALSO, identifiers=event.entity.identifiers),))))
                for state, visit in visits if _came_from(visit, key)]
    elif event.type == UPDATED and isinstance(event.entity, Patient):
        # Not the number she was found by: which one the visit was booked with is for a merge and its undoing to know.
        told = msgspec.structs.replace(event.entity, visit=ABSENT, links=(), extensions={}, identifiers=tuple(
            i for i in event.entity.identifiers or () if identifier_key("patient", i) != event.subject_key))
        made = [(state, event.subject_key, PATIENT_UPDATED, Appointment(patient=told)) for state, visit in visits
                if _ahead(visit, event.occurred_at)]
    return [msgspec.structs.replace(
        event, id=f"{event.id}+{number}", type=kind, subject_key=state.subject_key, entity=entity, patient_key=person)
        for number, (state, person, kind, entity) in enumerate(made, 1)]


def concerned(event: Event) -> tuple[str, ...]:
    """Keys of the persons whose visits `consequences` must see; empty for events without any."""
    if event.type == UPDATED:
        return (event.subject_key,)
    if event.type in {MERGED, UNMERGED}:
        return (event.subject_key, *(key for key, _ in given_up(event)))
    return ()


def _whose(state: State, visit: Appointment, links: Mapping[str, PatientLink]) -> str:
    """Which of the records that are given up a visit belongs to; empty for none.

    A visit may be known by the survivor's number already, and name the old one: its last message was of the few that
    touch a resource only (S18 to S22).
    """
    named = (identifier_key("patient", i) for i in (visit.patient.identifiers if visit.patient else ()) or ())
    return next((key for key in (state.patient_key, *named) if key in links), "")


def _came_from(visit: Appointment, key: str) -> bool:
    """True for a visit that was booked with the number `key` and re-pointed since."""
    links = visit.patient.links if visit.patient else ()
    return any(identifier_key("patient", i) == key for link in links or () for i in link.identifiers or ())


def _named(visit: Appointment) -> Reference:
    return Reference(identifiers=visit.identifiers)


def _times(visit: Appointment) -> tuple[datetime, datetime] | None:
    """From, to; None where the start is not known as an instant. Without an end it is a moment."""
    try:
        start = datetime.fromisoformat(visit.start or "")
        if start.tzinfo is None:
            return None
        if visit.end:
            return start, max(datetime.fromisoformat(visit.end), start)
        return start, start + timedelta(minutes=visit.duration or 0)
    except (ValueError, TypeError):
        return None


def _ahead(visit: Appointment, now: str) -> bool:
    """True for a visit that has not begun, or whose start nobody knows."""
    times = _times(visit)
    try:
        return times is None or times[0] >= datetime.fromisoformat(now)
    except (ValueError, TypeError):
        return True


def _collide(one: Appointment, other: Appointment, now: str) -> bool:
    mine, theirs = _times(one), _times(other)
    if mine is None or theirs is None or not (_ahead(one, now) or _ahead(other, now)):
        return False
    return mine[0] == theirs[0] or (mine[0] < theirs[1] and theirs[0] < mine[1])
