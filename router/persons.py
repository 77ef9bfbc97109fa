"""Whose a visit is, by versions: merges and their undoing as facts that hold from one moment of the history to another.

Pure. What a message is about is decided by when it was said, not by when it came (D07): a message under the old number
counts for the survivor if it was said while the two were one, and for the old record if it was said before or after. So
the state of a visit is the fold of what was said of it, with the facts about its persons in their places (`woven`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import msgspec

from canonical import history
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.keys import identifier_key
from canonical.model import Appointment, Identifier, LinkType, Patient, PatientLink
from router.merges import MERGED, UNMERGED, given_up, landed
from store.retention import closed

#: After whatever was said.
NOW: Final = "\U0010ffff"
OLD, NEW, APART = "old", "new", "apart"


class Fact(NamedTuple):
    """What was said of one person: that it is another one (`OLD`), that another one is it (`NEW`), or neither (`APART`)."""

    role: str
    other: str
    at: str
    """Its place in the history (`canonical.history.sort_key`)."""
    event: Event


Facts: TypeAlias = Mapping[str, Sequence[Fact]]


def told(said: Event) -> tuple[tuple[str, str, str], ...]:
    """(person, role, other) of a merge or unmerge as it was said, from the side of both; nothing for other events."""
    pairs = [(old, said.subject_key) for old, _ in given_up(said)]
    if said.type == MERGED:
        return tuple(row for old, new in pairs for row in ((old, OLD, new), (new, NEW, old)))
    if said.type == UNMERGED:
        return tuple(row for one, other in pairs for row in ((one, APART, other), (other, APART, one)))
    return ()


def resolved(key: str, at: str, facts: Facts) -> str:
    """The person that `key` stood for at a place in the history; itself where nothing else was said."""
    seen: set[str] = set()
    while key not in seen:
        seen.add(key)
        into = ""
        for fact in sorted(facts.get(key, ()), key=lambda one: one.at):
            if fact.at > at:
                break
            if fact.role == OLD:
                into = fact.other
            elif into and fact.other in {into, resolved(into, fact.at, {k: v for k, v in facts.items() if k not in seen})}:
                into = ""  # set free, or made the survivor of its survivor
        if not into:
            return key
        key = into
    return key


def woven(events: Iterable[Event], facts: Facts) -> tuple[AnyEntity | None, str]:
    """The state of a visit and whose it is, from all that was said of it and of the persons it names.

    A visit that had ended when two persons became one keeps its number (A4.1): *had ended* by version, too.
    """
    told_of = sorted({event.id: event for event in events}.values(), key=history.sort_key)
    numbers = _numbers(facts)
    walk: list[tuple[str, str, Event | tuple[str, Fact]]] = [(history.sort_key(event), "", event) for event in told_of]
    walk += [(fact.at, key, (key, fact)) for key, each in facts.items() for fact in each if fact.role != NEW]
    state: AnyEntity | None = None
    whose = ""
    for at, _, step in sorted(walk, key=lambda one: one[:2]):
        if isinstance(step, tuple):
            if isinstance(state, Appointment) and state.status and not closed(state):
                state, whose = _moved(state, whose, *step, facts, numbers)
        elif step.type == history.REPOINTED:
            state = state and history.apply(state, msgspec.structs.replace(step, entity=_clashes(step)))
        elif step.type == history.PATIENT_UPDATED:
            state = history.apply(state, _without_numbers(step, facts))
        else:
            event = as_said(step)
            if event.patient_key and (end := resolved(event.patient_key, at, facts)) != event.patient_key:
                event = landed(event, event.patient_key, end, numbers.get(end, ()))
            state, whose = history.apply(state, event), event.patient_key or whose
    return state, whose


def as_said(event: Event) -> Event:
    """The event with the number it was said under, where it landed on a survivor when it came (`router.merges.landed`)."""
    entity = event.entity
    if not isinstance(entity, Appointment) or not entity.patient or event.type in {
            history.REPOINTED, history.PATIENT_UPDATED}:
        return event
    before = next((link.identifiers for link in entity.patient.links or () if link.type is LinkType.REPLACES), ())
    if not before:
        return event
    rest = tuple(i for i in entity.patient.identifiers or () if _key(i) != event.patient_key)
    person = msgspec.structs.replace(entity.patient, identifiers=(*before, *rest), links=())
    return msgspec.structs.replace(event, patient_key=_key(before[0]),
                                   entity=msgspec.structs.replace(entity, patient=person))


def _moved(state: Appointment, whose: str, key: str, fact: Fact, facts: Facts,
           numbers: Mapping[str, tuple[Identifier, ...]]) -> tuple[Appointment, str]:
    person = state.patient or Patient()
    named = {_key(i) for i in person.identifiers or ()} | {whose}
    if fact.role == OLD and key in named:
        return _repointed(state, fact, numbers.get(fact.other, ()), LinkType.REPLACES, numbers.get(key, ())), fact.other
    if fact.role == APART:
        came = {_key(i) for link in person.links or () if link.type is LinkType.REPLACES for i in link.identifiers or ()}
        for freed, kept in ((key, fact.other), (fact.other, key)):
            if freed in came and kept in named and resolved(freed, fact.at, facts) == freed:
                return _repointed(state, fact, numbers.get(freed, ()), LinkType.SEEALSO, numbers.get(kept, ())), freed
    return state, whose


def _repointed(state: Appointment, fact: Fact, to: tuple[Identifier, ...], link: LinkType,
               gone: tuple[Identifier, ...]) -> Appointment:
    moved = history.apply(state, msgspec.structs.replace(
        fact.event, type=history.REPOINTED, entity=Appointment(
            patient=Patient(identifiers=to, links=(PatientLink(type=link, identifiers=gone),)))))
    if not isinstance(moved, Appointment):
        raise AssertionError("a visit stays a visit")
    return moved


def _clashes(event: Event) -> Appointment:
    """What is left of a consequence that was drawn when a merge came: the visits that collide (A4.2)."""
    return Appointment(conflicts=event.entity.conflicts if isinstance(event.entity, Appointment) else ())


def _without_numbers(event: Event, facts: Facts) -> Event:
    """An update of the person, without the numbers that the facts decide."""
    entity = event.entity
    if not facts or not isinstance(entity, Appointment) or not entity.patient:
        return event
    decided = {*facts, *(fact.other for each in facts.values() for fact in each)}
    kept = tuple(i for i in entity.patient.identifiers or () if _key(i) not in decided)
    return msgspec.structs.replace(event, entity=msgspec.structs.replace(
        entity, patient=msgspec.structs.replace(entity.patient, identifiers=kept)))


def _numbers(facts: Facts) -> dict[str, tuple[Identifier, ...]]:
    """The numbers of the persons, as they were first said in a merge."""
    numbers: dict[str, tuple[Identifier, ...]] = {}
    for fact in sorted((one for each in facts.values() for one in each), key=lambda one: one.at):
        entity = fact.event.entity
        if isinstance(entity, Patient):
            for identifiers in (entity.identifiers, *(link.identifiers for link in entity.links or ())):
                for one in identifiers or ():
                    numbers.setdefault(_key(one), (one,))
    return numbers


def _key(identifier: Identifier) -> str:
    return identifier_key("patient", identifier)
