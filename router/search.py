"""Which patients, appointments and slots a question means: pure tests of one record at a time.

A criterion that is not understood is refused, never passed over: whoever asks for *SMITH, born 1980* must not be told
of every SMITH.
"""

from __future__ import annotations

import calendar
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from canonical.model import (
    Address,
    Appointment,
    HumanName,
    Identifier,
    Participant,
    Patient,
    Place,
    Reference,
    Service,
    Slot,
    SlotStatus,
)
from canonical.query import Query, QueryParameter, QuerySubject

Holds: TypeAlias = Callable[[Patient], bool]

#: Table HL70001, as criteria are sent.
_SEX: Final = {"M": "male", "F": "female", "O": "other", "U": "unknown"}


class NotUnderstood(Exception):  # noqa: N818 - says what is wrong with the question
    """A criterion that cannot be kept: its place (``3.2`` is the second repetition of QPD-3), table HL70357."""

    def __init__(self, place: str, condition: str) -> None:
        super().__init__(condition)
        self.place = place
        self.condition = condition


# -- people -------------------------------------------------------------------------------------------------


def of_person(query: Query) -> Holds:
    """Whether a patient fulfils every criterion of a question.

    Raises:
        NotUnderstood: a criterion is unknown, or there is none at all.
    """
    asked = [(number, one) for number, one in enumerate(query.parameters or (), 1)
             if query.about is QuerySubject.CANDIDATES or (one.field or "").startswith("@")]
    tests = [_criterion(number, one) for number, one in asked]
    tests += [_has(one) for one in query.identifiers or () if one.value and not one.value.startswith("@")]
    if not tests:
        raise NotUnderstood("3", "101")
    return lambda patient: all(holds(patient) for holds in tests)


def _criterion(number: int, one: QueryParameter) -> Holds:
    field = (one.field or "").removeprefix("@").upper()
    value = (one.value or "").strip()
    if not value:
        raise NotUnderstood(f"3.{number}", "101")
    make = _CRITERIA.get(field)
    if make is None:
        raise NotUnderstood(f"3.{number}", "103")
    return make(value)


def _has(wanted: Identifier) -> Holds:
    return lambda patient: any(same(each, wanted) for each in patient.identifiers or ())


def _by_identifier(part: str) -> Callable[[str], Holds]:
    def make(value: str) -> Holds:
        return lambda patient: any(getattr(each, part) == value for each in patient.identifiers or ())

    return make


def _by_assigner_id(value: str) -> Holds:
    return lambda patient: any(each.system in (value, f"urn:oid:{value}") for each in patient.identifiers or ())


def _by_name(part: Callable[[HumanName], Iterable[str]]) -> Callable[[str], Holds]:
    def make(value: str) -> Holds:
        fits = _like(value)
        return lambda patient: any(fits(text) for name in patient.names or () for text in part(name))

    return make


def _by_address(part: str) -> Callable[[str], Holds]:
    def make(value: str) -> Holds:
        fits = _like(value)
        return lambda patient: any(fits(text) for address in patient.addresses or () for text in _texts(address, part))

    return make


def _texts(address: Address, part: str) -> Iterable[str]:
    found = getattr(address, part)
    return found or () if part == "line" else [found] if found else ()


def _by_birth(value: str) -> Holds:
    digits = "".join(character for character in value[:8] if character.isdigit())
    return lambda patient: str(patient.birth_date or "").replace("-", "")[:8].startswith(digits)


def _by_sex(value: str) -> Holds:
    wanted = _SEX.get(value.upper(), value.lower())
    return lambda patient: patient.sex == wanted


def _by_account(value: str) -> Holds:
    return lambda patient: bool(patient.account) and getattr(patient.account, "value", None) == value


def _by_phone(value: str) -> Holds:
    digits = "".join(character for character in value if character.isdigit())
    return lambda patient: any(
        digits and "".join(character for character in each.value if character.isdigit()).endswith(digits)
        for each in patient.telecom or () if each.value)


def _family(name: HumanName) -> Iterable[str]:
    return [name.family] if name.family else ()


def _given(name: HumanName) -> Iterable[str]:
    return (name.given or ())[:1]


def _further(name: HumanName) -> Iterable[str]:
    return (name.given or ())[1:]


#: Fields that may be asked by: those of the IHE patient demographics query, and a little more.
_CRITERIA: Final[dict[str, Callable[[str], Holds]]] = {
    "PID.3": _by_identifier("value"), "PID.3.1": _by_identifier("value"), "PID.3.4": _by_identifier("assigner"),
    "PID.3.4.1": _by_identifier("assigner"), "PID.3.4.2": _by_assigner_id, "PID.3.5": _by_identifier("type"),
    "PID.5": _by_name(_family), "PID.5.1": _by_name(_family), "PID.5.1.1": _by_name(_family),
    "PID.5.2": _by_name(_given), "PID.5.3": _by_name(_further),
    "PID.7": _by_birth, "PID.7.1": _by_birth, "PID.8": _by_sex,
    "PID.11.1": _by_address("line"), "PID.11.1.1": _by_address("line"), "PID.11.3": _by_address("city"),
    "PID.11.4": _by_address("state"), "PID.11.5": _by_address("postal_code"), "PID.11.6": _by_address("country"),
    "PID.13": _by_phone, "PID.13.1": _by_phone, "PID.18": _by_account, "PID.18.1": _by_account,
}


def _like(value: str) -> Callable[[str], bool]:
    """Equal but for case and accents; a trailing ``*`` stands for anything."""
    plain = _plain(value.rstrip("*"))
    if value.endswith("*"):
        return lambda text: _plain(text).startswith(plain)
    return lambda text: _plain(text) == plain


def _plain(text: str) -> str:
    return "".join(character for character in unicodedata.normalize("NFKD", text.casefold())
                   if not unicodedata.combining(character)).strip()


def same(one: Identifier, other: Identifier) -> bool:
    """The same number, where either side says no more than the other contradicts."""
    return bool(one.value) and one.value == other.value and all(
        not mine or not theirs or mine == theirs
        for mine, theirs in ((one.assigner, other.assigner), (one.system, other.system)))


def shown(patient: Patient, domains: Sequence[Identifier]) -> tuple[Identifier, ...]:
    """The identifiers that may be told: of the assigners that were asked for, or all."""
    wanted = [(each.assigner, each.system) for each in domains if each.assigner or each.system]
    return tuple(each for each in patient.identifiers or () if not wanted or any(
        (assigner and each.assigner == assigner) or (system and each.system == system) for assigner, system in wanted))


# -- schedules ----------------------------------------------------------------------------------------------


#: Table HL70048: what kinds of entries a schedule query wants. Others, and no code at all, want all.
_OPEN_ONLY: Final = frozenset({"SOP", "SOF", "SSA", "SSR"})
_BOOKED_ONLY: Final = frozenset({"SBK"})
_BLOCKED_ONLY: Final = frozenset({"SBL"})


class Schedule:
    """A schedule query as two tests.

    Raises:
        NotUnderstood: it names neither a schedule nor a resource, a service, a patient or an appointment.
    """

    def __init__(self, query: Query) -> None:
        wanted = query.wanted or None
        codes = {coding.code for coding in (query.subject.coding or ()) if coding.code} if query.subject else set()
        self._open_only, self._booked_only = bool(codes & _OPEN_ONLY), bool(codes & _BOOKED_ONLY)
        self._blocked_only = bool(codes & _BLOCKED_ONLY)
        self._periods = [(each.start or "", each.end or "") for each in [query.period or None, *(
            (wanted.windows or ()) if wanted else ())] if each is not None]
        self._people = [each for each in (query.identifiers or ()) if each.value]
        self._appointments: list[Identifier] = []
        self._schedules: set[str] = set()
        self._services: set[str] = set()
        self._resources: list[Participant] = []
        if wanted is not None:
            self._people += [each for each in (wanted.patient.identifiers or ()) if each.value] if wanted.patient else []
            self._schedules = _codes(wanted.schedule)
            self._services = {code for each in wanted.services or () for code in _codes(each.code)}
            self._resources = list(wanted.participants or ())
            # The placer's number (ARQ-1) is often that of the request to come: it counts where nothing else is said.
            numbers = [each for each in wanted.identifiers or () if each.value]
            self._appointments = [each for each in numbers if each.type == "FILL"]
            if not (self._appointments or self._people or self._schedules or self._services or wanted.participants):
                self._appointments = numbers
        if not (self._appointments or self._people or self._schedules or self._services or self._resources):
            raise NotUnderstood("", "101")

    def appointment(self, one: Appointment) -> bool:
        """Whether a booked visit is meant."""
        if self._open_only or self._blocked_only:
            return False
        person = one.patient.identifiers or () if one.patient else ()
        return (
            (not self._appointments or any(same(a, b) for a in self._appointments for b in one.identifiers or ()))
            and (not self._people or any(same(a, b) for a in self._people for b in person))
            and self._fits(one.schedule, one.services, one.participants, one.start, one.end))

    def slot(self, one: Slot) -> bool:
        """Whether a stretch of a schedule is meant."""
        if self._booked_only or self._appointments or self._people:
            return False
        free = one.status == SlotStatus.FREE
        if (self._open_only and not free) or (self._blocked_only and free):
            return False
        return self._fits(one.schedule, one.services, one.participants, one.start, one.end)

    def _fits(self, schedule: object, services: Iterable[Service] | None, participants: Iterable[Participant] | None,
              start: object, end: object) -> bool:
        named = tuple(participants or ())
        return (
            (not self._schedules or bool(self._schedules & _codes(schedule)))
            and (not self._services or bool(self._services & {
                code for each in services or () for code in _codes(each.code)}))
            and all(any(_is(wanted, each) for each in named) for wanted in self._resources)
            and (not self._periods or any(_overlaps(str(start or ""), str(end or ""), *each)
                                          for each in self._periods)))


def _codes(concept: object) -> set[str]:
    coding = getattr(concept, "coding", None) or ()
    return {each.code for each in coding if each.code}


def _is(wanted: Participant, one: Participant) -> bool:
    """The person, place or thing that is asked for."""
    if wanted.kind != one.kind:
        return False
    if wanted.place and one.place:
        return same_place(wanted.place, one.place)
    return bool(wanted.who and one.who) and names_the_same(wanted.who, one.who)


def same_place(wanted: Place, one: Place) -> bool:
    """Whether a place is the wanted one, or in it: a unit that is wanted without a room is all of its rooms."""
    parts = ("facility", "building", "floor", "point_of_care", "room", "bed")
    stated = [part for part in parts if getattr(wanted, part)]
    return bool(stated) and all(getattr(wanted, part) == getattr(one, part) for part in stated)


def names_the_same(one: object, other: object) -> bool:
    """Whether two references share a number."""
    if not isinstance(one, Reference) or not isinstance(other, Reference):
        return False
    return any(same(a, b) for a in one.identifiers or () for b in other.identifiers or ())


def _overlaps(start: str, end: str, first: str, last: str) -> bool:
    """Whether a stretch of time touches a period; either end may be open, and a day counts whole."""
    begins = moment(start)
    if begins is None:
        return False
    ends = moment(end) or begins
    earliest, latest = moment(first), moment(last, to_end=True)
    return (earliest is None or not before(ends, earliest)) and (latest is None or not before(latest, begins))


def moment(text: str, *, to_end: bool = False) -> datetime | None:
    """The moment a date means: its beginning, or its end. None where it means none."""
    day, _, clock = text.partition("T")
    if not clock:
        year, month = day[:4], day[5:7]
        if not year.isdecimal():
            return None
        if to_end:
            month = month or "12"
            text = f"{year}-{month}-{day[8:10] or calendar.monthrange(int(year), int(month))[1]}T23:59:59"
        else:
            text = f"{year}-{month or '01'}-{day[8:10] or '01'}"
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def before(one: datetime, other: datetime) -> bool:
    """By the instant where both have an offset, else by the clock on the wall: without offset the place is meant."""
    if one.tzinfo is None or other.tzinfo is None:
        one, other = one.replace(tzinfo=None), other.replace(tzinfo=None)
    return one < other
