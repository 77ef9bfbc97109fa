"""State is the fold of history: what is true now, from everything that was said.

Events are ordered by `sort_key`, which is total, and folded in that order, each exactly once. So the result
does not depend on the order in which messages arrived, nor on how often (D07). In order, `apply` adds one
event to a state; an event that is older than the state needs the whole history and `fold`.

The rules of scheduling live here and nowhere else: the status rules of the SIU event map (spec 3.12), the
rule that no late message undoes a terminal state (D04), creation from content for an unknown appointment
(D05), and snapshot against update mode of resources (M01 to M05).
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from canonical.authorization import Authorization, AuthorizedService
from canonical.coverage import EligibilityCheck
from canonical.document import Extracted
from canonical.eligibility import concluded
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.findings import Finding, Severity, declare, finding
from canonical.keys import identifier_key
from canonical.model import (
    Action,
    Address,
    Appointment,
    AppointmentStatus,
    Contact,
    Identifier,
    Instant,
    LinkType,
    Participant,
    Patient,
    PatientLink,
    Place,
    Service,
    Visit,
)
from canonical.presence import ABSENT, CLEAR

V = TypeVar("V", bound=msgspec.Struct)
R = TypeVar("R", Participant, Service)
Status = AppointmentStatus

UNKNOWN_RESOURCE: Final = declare(
    "history.unknown_resource", Severity.WARNING, "An update names a resource the appointment does not have.",
    "Look whether an earlier message of this appointment is missing (M02).")
MIXED_ACTIONS: Final = declare(
    "history.mixed_actions", Severity.WARNING, "Some resources carry an action code and others do not.",
    "Agree with the sender on one mode and say it in the overlay: `mixed_actions` (M05).")
BOOKED_AGAIN: Final = declare(
    "history.booked_again", Severity.INFO, "A booking of an appointment that is known already.",
    "It was taken as a modification. Normal after a resend; otherwise the sender uses one number twice.")
INFERRED: Final = declare(
    "history.inferred", Severity.WARNING, "The appointment was not known; it was created from this message.",
    "Normal after a first connection; otherwise look for the missing booking (D05).")

#: Events that say a booking came into being.
CREATING: Final = frozenset({"appointment.booked", "appointment.held", "appointment.snapshot"})
#: The only events that may take an appointment out of a terminal state, and only to *booked* (D04).
_REBOOKING: Final = frozenset({"appointment.booked", "appointment.rescheduled", "appointment.modified"})
#: Events whose type alone decides the status, whatever SCH-25 says (spec 3.12).
_FORCED: Final = {
    "appointment.cancelled": Status.CANCELLED,
    "appointment.deleted": Status.ENTERED_IN_ERROR,
    "appointment.noshow": Status.NOSHOW,
    "appointment.fulfilled": Status.FULFILLED,
}
#: Events with a status of their own where the message states none.
_DEFAULT: Final = {
    "appointment.rescheduled": Status.BOOKED,
    "appointment.held": Status.PENDING,
    "appointment.arrived": Status.ARRIVED,
    "appointment.checkedin": Status.CHECKED_IN,
}
_NOT_YET_BOOKED: Final = frozenset({Status.PROPOSED, Status.PENDING, Status.WAITLIST})
_RESOURCE_PREFIX: Final = "appointment.resource."
#: What an ADT makes of an open appointment: who the person is, never the visit itself (A4.1, A4.7).
REPOINTED: Final = "appointment.repointed"
PATIENT_UPDATED: Final = "appointment.patient_updated"
#: What S18 to S22 do to a resource that carries no action code.
_RESOURCE_ACTION: Final = {
    "added": Action.ADD, "modified": Action.UPDATE, "cancelled": Action.DELETE,
    "discontinued": Action.DELETE, "deleted": Action.DELETE,
}


class WrongSubject(TypeError):  # noqa: N818 - a verdict about the input
    """An event about another type of entity than the state of its subject."""


def sort_key(event: Event) -> str:
    """The place of an event in the history of its subject: sortable text, total, the same on every replay."""
    return f"{event.version.at} {event.version.tie} {event.id}"


def fold(events: Iterable[Event], findings: list[Finding] | None = None) -> AnyEntity | None:
    """The state that a set of events adds up to; None for no events. Order and duplicates do not matter."""
    state: AnyEntity | None = None
    for event in sorted({event.id: event for event in events}.values(), key=sort_key):
        state = apply(state, event, findings)
    return state


def apply(state: AnyEntity | None, event: Event, findings: list[Finding] | None = None) -> AnyEntity:
    """The state after one more event, which must be newer than all that the state is made of.

    Args:
        state: the fold of all older events; None where there are none.
        event: the next one, by `sort_key`.
        findings: receives what is worth knowing about this step.

    Raises:
        WrongSubject: the event is about another type of entity than the state.
    """
    entity = event.entity
    if isinstance(entity, Appointment):
        if state is not None and not isinstance(state, Appointment):
            raise WrongSubject("an appointment event for a subject that is no appointment")
        return _appointment(state, entity, event, [] if findings is None else findings)
    if isinstance(entity, EligibilityCheck) and (state is None or isinstance(state, EligibilityCheck)):
        answered = _answered(entity, event, state)
        return concluded(answered if state is None else _patched(state, answered))
    if state is None:
        return _changed(entity, links=_unlinked(entity)) if isinstance(entity, Patient) else entity
    if type(state) is not type(entity):
        raise WrongSubject("an event about another type of entity than the state of its subject")
    if isinstance(entity, Patient) and isinstance(state, Patient):
        return _patient(state, entity, event)
    if isinstance(entity, Authorization) and isinstance(state, Authorization):
        return _authorization(state, entity)
    return _patched(state, entity)


def _answered(check: EligibilityCheck, event: Event, before: EligibilityCheck | None) -> EligibilityCheck:
    """With the moment of the answer: a payer's own message has none that could be trusted, so it is that of its coming;
    what only repeats the answer that is known changes nothing."""
    result = check.result
    if not result or result.answered_at:
        return check
    known = before.result if before is not None else None
    if known and (known.benefits, known.errors, known.patient) == (result.benefits, result.errors, result.patient):
        return _changed(check, result=_changed(result, answered_at=known.answered_at))
    came = datetime.fromtimestamp(event.received_at / 1e6, UTC).isoformat(timespec="seconds")
    return _changed(check, result=_changed(result, answered_at=Instant(came)))


# -- patches ------------------------------------------------------------------------------------------------


def _patched(old: V, new: V) -> V:
    """`old` with everything that `new` states: absent keeps, a value replaces, CLEAR removes.

    What was cleared stays marked as cleared, so that a state can still tell *known to be nothing* from
    *never stated*.
    """
    changes = _changes(old, new)
    return _changed(old, **changes) if changes else old


def _changed(value: V, **changes: Any) -> V:
    return msgspec.structs.replace(value, **changes)


def _changes(old: msgspec.Struct, new: msgspec.Struct) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, nothing, merge in _PLAN[type(new)]:
        stated = getattr(new, name)
        if stated is nothing or stated == nothing:
            continue
        before = getattr(old, name)
        changes[name] = stated if merge is None or stated is CLEAR or not before else merge(before, stated)
    return changes


def _whole_or_clears(old: msgspec.Struct, new: msgspec.Struct) -> msgspec.Struct:
    """A field of several components is replaced as a whole, unless it only clears some of them (P06)."""
    values = [getattr(new, name) for name in new.__struct_fields__]
    return _patched(old, new) if all(v is ABSENT or v is CLEAR or v == () for v in values) else new


def _identifiers(old: tuple[Identifier, ...], new: tuple[Identifier, ...]) -> tuple[Identifier, ...]:
    """Identifiers of the kinds that are stated are replaced; those of other kinds stay."""
    stated = {(i.type, i.system, i.assigner) for i in new}
    return (*(i for i in old if (i.type, i.system, i.assigner) not in stated), *new)


def _contacts(old: tuple[Contact, ...], new: tuple[Contact, ...]) -> tuple[Contact, ...]:
    stated = {c.role for c in new}
    return (*(c for c in old if c.role not in stated), *new)


def _extensions(old: dict[str, str | None], new: dict[str, str | None]) -> dict[str, str | None]:
    return {**old, **new}


def _person(old: Patient, new: Patient) -> Patient:
    """The person of an appointment. A number that was given up in a merge does not come back (A4.3)."""
    gone = frozenset(_numbered(i) for link in old.links or () if link.type is LinkType.REPLACES
                     for i in link.identifiers or ())
    if gone and any(_numbered(i) in gone for i in new.identifiers or ()):
        new = _changed(new, identifiers=tuple(i for i in new.identifiers or () if _numbered(i) not in gone))
    person = _patched(old, new)
    return _changed(person, links=_joined(old.links, new.links)) if new.links else person


def _numbered(identifier: Identifier) -> str:
    return identifier_key("patient", identifier)


def _evidence(old: tuple[Extracted, ...], new: tuple[Extracted, ...]) -> tuple[Extracted, ...]:
    """Fields that are stated are replaced; those of other fields stay: two people may correct two of them."""
    stated = {e.field for e in new}
    return (*(e for e in old if e.field not in stated), *new)


_MERGES: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "evidence": _evidence, "fields": _evidence,
    "identifiers": _identifiers, "contacts": _contacts, "extensions": _extensions,
    "visit": _patched, "patient": _person, "location": _whole_or_clears, "place": _whole_or_clears,
    "address": _whole_or_clears,
}
#: Fields that `_appointment` and `_patient` decide themselves.
_DECIDED: Final = {Appointment: frozenset({"status", "services", "participants", "update_mode", "mixed_actions",
                                           "conflicts", "inferred"}),
                   Patient: frozenset({"links"})}


def _plan(of: type[msgspec.Struct]) -> tuple[tuple[str, Any, Callable[[Any, Any], Any] | None], ...]:
    plan = []
    for field in msgspec.structs.fields(of):
        if field.name in _DECIDED.get(of, frozenset()):
            continue
        nothing: Any = {} if field.name == "extensions" else field.default
        plan.append((field.name, nothing, _MERGES.get(field.name)))
    return tuple(plan)


_PLAN: Final[dict[type[msgspec.Struct], tuple[tuple[str, Any, Callable[[Any, Any], Any] | None], ...]]] = {
    of: _plan(of)
    for of in (*typing.get_args(AnyEntity), Visit, Participant, Service, AuthorizedService, Place, Address)}


# -- appointments -------------------------------------------------------------------------------------------


def _appointment(old: Appointment | None, new: Appointment, event: Event,
                 findings: list[Finding]) -> Appointment:
    if event.type in {REPOINTED, PATIENT_UPDATED}:
        return _about_the_person(old or Appointment(), new, event)
    if old is not None and old.status is ABSENT:
        # So far only the person was known: what an ADT said, before the first word of the sender of the visit.
        born = _appointment(None, new, event, findings)
        return _changed(born, conflicts=old.conflicts, patient=(
            _person(old.patient, born.patient or Patient()) if old.patient else born.patient))
    resources_only = event.type.startswith(_RESOURCE_PREFIX)
    updating = new.update_mode is True or resources_only
    default = _RESOURCE_ACTION.get(event.type.removeprefix(_RESOURCE_PREFIX)) if resources_only else None
    if old is None:
        changes: dict[str, Any] = {"update_mode": ABSENT, "mixed_actions": ABSENT,
                                   "status": _status(None, new, event)}
        if event.type not in CREATING:
            changes["inferred"] = True
            findings.append(finding(INFERRED))
        first = default or Action.ADD
        if new.services:
            changes["services"] = _resources((), new.services, updating, first, None, "services")
        if new.participants:
            changes["participants"] = _resources((), new.participants, updating, first, None, "participants")
        if event.type == "appointment.discontinued":
            changes["substatus"] = "discontinued"
        return _changed(new, **changes)

    if event.type == "appointment.booked" and not (
            old.inferred or old.status in _NOT_YET_BOOKED or (isinstance(old.status, Status) and old.status.terminal)):
        findings.append(finding(BOOKED_AGAIN))
    if updating and not resources_only:
        updating, default = _mode(new, findings)
    changes = {} if resources_only else _changes(old, new)
    if new.services is CLEAR or new.services:
        changes["services"] = _resources(old.services, new.services, updating, default, findings, "services")
    if new.participants is CLEAR or new.participants:
        changes["participants"] = _resources(old.participants, new.participants, updating, default, findings,
                                             "participants")
    if not resources_only:
        _status_changes(old, new, event, changes)
    if old.conflicts and ("start" in changes or "end" in changes or (
            isinstance(status := changes.get("status"), Status) and status.terminal)):
        changes["conflicts"] = ()
    if old.inferred is True and event.type in CREATING:
        changes["inferred"] = ABSENT
    return _changed(old, **changes) if changes else old


def _about_the_person(old: Appointment, new: Appointment, event: Event) -> Appointment:
    """A08, A31, A40: nothing but the person changes; least of all the status (A4.7)."""
    person, stated = old.patient or Patient(), new.patient or Patient()
    if event.type == PATIENT_UPDATED:
        return _changed(old, patient=_person(person, stated))
    # Another record: its numbers take the place of those given up; one that is taken up again is given up no longer.
    gone = {_numbered(i) for link in stated.links or () for i in link.identifiers or ()}
    taken = {_numbered(i) for i in stated.identifiers or ()}
    identifiers = _identifiers(tuple(i for i in person.identifiers or () if _numbered(i) not in gone),
                               stated.identifiers or ())
    links = tuple(k for k in person.links or () if taken.isdisjoint(_numbered(i) for i in k.identifiers or ()))
    added = tuple(k for k in stated.links or () if k.type is LinkType.REPLACES)
    return _changed(old, patient=_changed(person, identifiers=identifiers, links=_joined(links, added)),
                    conflicts=new.conflicts or old.conflicts)


def _mode(new: Appointment, findings: list[Finding]) -> tuple[bool, Action | None]:
    """Whether a message with action codes updates, and what a resource without one means there (M01, M05)."""
    items: tuple[Service | Participant, ...] = (*(new.services or ()), *(new.participants or ()))
    if all(item.action for item in items):
        return True, None
    findings.append(finding(MIXED_ACTIONS))
    if new.mixed_actions is Action.SNAPSHOT:
        return False, None
    return True, new.mixed_actions or Action.UPDATE


def _status_changes(old: Appointment, new: Appointment, event: Event, changes: dict[str, Any]) -> None:
    status = _status(old, new, event)
    if status != old.status:
        changes["status"] = status
    if event.type == "appointment.deleted":
        # A deletion must not take the times away: FHIR app-3 demands them of everything but a proposal.
        for name in ("start", "end"):
            if changes.get(name, ABSENT) is CLEAR:
                del changes[name]
    elif event.type == "appointment.discontinued":
        if status is Status.CANCELLED:
            changes["substatus"] = "discontinued"
        else:  # it had begun: the table says `discontinued` of every occurrence the message names
            changes.pop("substatus", None)
    if isinstance(old.status, Status) and old.status.terminal and status is Status.BOOKED:
        # Booked again: why it was cancelled is history now.
        changes.setdefault("substatus", ABSENT)
        changes.setdefault("event_reason", ABSENT)


def _status(old: Appointment | None, new: Appointment, event: Event) -> Any:
    before: Status | None = old.status or None if old is not None else None
    stated: Status | None = new.status or None
    kind = event.type
    wanted: Status | None = _FORCED.get(kind)
    if wanted is None:
        if kind == "appointment.discontinued":
            wanted = before if before and _is_past(old, new, event) else Status.CANCELLED
        elif stated is not None:
            wanted = stated
        elif kind == "appointment.booked":
            wanted = before
            if before is None or before in _NOT_YET_BOOKED or before.terminal:
                wanted = Status.BOOKED
        else:
            wanted = _DEFAULT.get(kind) or before or Status.BOOKED
    if before is not None and before.terminal and wanted is not None and not wanted.terminal and not (
            kind in _REBOOKING and wanted is Status.BOOKED):
        return before
    return wanted


def _is_past(old: Appointment | None, new: Appointment, event: Event) -> bool:
    """True for an occurrence that had begun when the rest of its series was given up (S16)."""
    start = new.start or (old.start if old is not None else None)
    try:
        return bool(start) and datetime.fromisoformat(str(start)) < datetime.fromisoformat(event.occurred_at)
    except (ValueError, TypeError):  # a date without time, or no offset on one side: not known to be past
        return False


# -- resources (AIS, AIG, AIL, AIP) -------------------------------------------------------------------------


def _resources(old: tuple[R, ...] | None, new: tuple[R, ...] | None, updating: bool, default: Action | None,
               findings: list[Finding] | None, field: str) -> tuple[R, ...] | None:
    if new is None:
        return None
    if not updating:
        return tuple(_changed(item, action=ABSENT) if item.action else item for item in new
                     if item.action is not Action.DELETE)
    items = list(old or ())
    for item in new:
        action = item.action or default or Action.UPDATE
        if action is Action.NO_CHANGE:
            if findings is not None:
                continue
            action = Action.ADD  # nothing is known of the appointment yet: what has not changed is news
        index = _find(items, item, by_set_id=action in {Action.UPDATE, Action.SNAPSHOT})
        plain = _changed(item, action=ABSENT)
        if action is Action.DELETE:
            if index is None:
                if findings is not None:
                    findings.append(finding(UNKNOWN_RESOURCE, field=field))
            else:
                del items[index]
        elif index is None:
            if action is Action.UPDATE and findings is not None:
                findings.append(finding(UNKNOWN_RESOURCE, field=field))
            items.append(plain)
        else:
            items[index] = plain if action is Action.SNAPSHOT else _patched(items[index], plain)
    return tuple(items)


def _find(items: list[R], wanted: R, by_set_id: bool) -> int | None:
    """The item that `wanted` is about: by what it names, else by its set id.

    Set ids start again in every message, so an addition or a deletion that names its resource is never
    matched by set id alone: it would hit somebody else's (M02).
    """
    kind, identity = _identity(wanted)
    for index, item in enumerate(items):
        if identity is not None and _identity(item) == (kind, identity):
            return index
    if wanted.set_id and (by_set_id or identity is None):
        for index, item in enumerate(items):
            if item.set_id == wanted.set_id and _identity(item)[0] == kind:
                return index
    return None


def _identity(item: Participant | Service) -> tuple[str, object]:
    if isinstance(item, Service):
        code = item.code
        if not code:
            return "service", None
        return "service", (code.coding[0].code, code.coding[0].system) if code.coding else code.text or None
    if item.place:
        return item.kind, item.place
    who = item.who
    if not who:
        return item.kind, None
    if who.identifiers:
        first = who.identifiers[0]
        return item.kind, (first.value, first.assigner or first.system or "")
    return item.kind, who.display or who.name or None


# -- patients -----------------------------------------------------------------------------------------------


def _patient(old: Patient, new: Patient, event: Event) -> Patient:
    changes = _changes(old, new)
    if new.links:
        if event.type == "patient.unmerged":
            gone = {_numbered(i) for link in new.links for i in link.identifiers or ()}
            changes["links"] = tuple(k for k in old.links or ()
                                     if gone.isdisjoint(_numbered(i) for i in k.identifiers or ()))
        else:
            changes["links"] = _joined(old.links, new.links)
    return _changed(old, **changes) if changes else old


def _authorization(old: Authorization, new: Authorization) -> Authorization:
    """A new number takes the place of the one before, which is kept (A3.9, X45)."""
    state = _changed(_patched(old, new), services=_services(old.services, new.services))
    if not old.number or not new.number or old.number == new.number:
        return state
    superseded = dict.fromkeys([*(old.superseded_numbers or ()), *(new.superseded_numbers or ()), old.number])
    superseded.pop(new.number, None)
    return _changed(state, superseded_numbers=tuple(superseded))


def _services(old: tuple[AuthorizedService, ...] | None,
              new: tuple[AuthorizedService, ...] | None) -> tuple[AuthorizedService, ...] | None:
    """Each service with what was asked and what was decided about it (X38): found by its number, by its code where it has
    none, and by its place where it has neither."""
    if not old or not new:
        return old if new == () else new
    merged = list(old)
    for place, service in enumerate(new):
        at = next((n for n, known in enumerate(merged) if _same_service(known, service, n == place)), None)
        if at is None:
            merged.append(service)
        else:
            merged[at] = _patched(merged[at], service)
    return tuple(merged)


def _same_service(known: AuthorizedService, said: AuthorizedService, in_place: bool) -> bool:
    if known.sequence and said.sequence:
        return known.sequence == said.sequence
    if known.code and said.code:
        return [c.code for c in known.code.coding or ()] == [c.code for c in said.code.coding or ()]
    return in_place


def _joined(old: tuple[PatientLink, ...] | None, new: tuple[PatientLink, ...] | None) -> tuple[PatientLink, ...]:
    """Links of both, each once."""
    known = {(link.type, link.identifiers) for link in old or ()}
    return (*(old or ()), *(k for k in new or () if (k.type, k.identifiers) not in known))


def _unlinked(entity: Patient) -> tuple[PatientLink, ...] | None:
    """The links of a first state, each once."""
    if not entity.links:
        return entity.links
    return tuple({(k.type, k.identifiers): k for k in entity.links}.values())
