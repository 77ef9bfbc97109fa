"""Questions answered from what the ledger knows: one page of records, in the exchange that asked.

Answering reads and changes nothing. It has a deadline and a limit, so that no question can hold up a connection or
empty the ledger; whoever needs more asks again with the continuation pointer (HL7 v2.5.1 §5.6.3). The pointer is a
hash of the last record told: it means nothing to anybody else, and records that come or go between two pages are
neither skipped nor told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from typing import Any, Final, TypeVar

import msgspec

from canonical.keys import identifier_key
from canonical.model import Appointment, CodeableConcept, Coding, Patient, Slot
from canonical.query import Query, QueryAnswer, QueryStatus, QuerySubject
from router.search import NotUnderstood, Schedule, of_person, shown
from store.ledger import Lookup
from store.records import State

#: States read at a time; between two reads others get their turn.
PAGE: Final = 500

#: Table HL70357.
_CONDITIONS: Final = {
    "101": "Required field missing", "102": "Data type error", "103": "Table value not found",
    "200": "Unsupported message type", "201": "Unsupported event code", "204": "Unknown key identifier",
    "207": "Application internal error",
}

E = TypeVar("E", Patient, Appointment, Slot)


class Questions:
    """Answers questions.

    Args:
        lookup: the ledger.
        limit: records in one answer, whatever the question wants.
        deadline_s: after that long a question is refused as too broad.
    """

    def __init__(self, lookup: Lookup, limit: int, deadline_s: float) -> None:
        self._lookup = lookup
        self._limit = limit
        self._deadline_s = deadline_s

    async def answer(self, query: Query) -> QueryAnswer:
        """One page. Never raises for what the question says."""
        given = QueryAnswer(tag=query.tag, control_id=query.control_id, name=query.name)
        try:
            if query.unit not in ("RD", None, msgspec.UNSET, ""):
                raise NotUnderstood("RCP^1^2", "102")
            if query.priority == "D":
                raise NotUnderstood("RCP^1^1", "207")
            async with asyncio.timeout(self._deadline_s):
                if query.about is QuerySubject.SCHEDULE:
                    return self._page(given, query, await self._schedule(query))
                return self._page(given, query, await self._people(query))
        except NotUnderstood as refused:
            return refusal(query, refused.condition, refused.place)
        except TimeoutError:
            return refusal(query, "207", "")

    # -- finding

    async def _people(self, query: Query) -> list[tuple[str, Patient]]:
        holds = of_person(query)
        keys = [identifier_key("patient", one) for one in query.identifiers or ()
                if one.value and not one.value.startswith("@") and (one.assigner or one.system)]
        if keys and not any((one.field or "").startswith("@") for one in query.parameters or ()):
            found = await self._named(keys)
        else:
            found = [(state.subject_key, state.entity) async for state in self._all("patient")
                     if isinstance(state.entity, Patient) and holds(state.entity)]
        gone = await self._lookup.aliases([key for key, _ in found])
        people = []
        for key, patient in found:
            if gone.get(key, key) != key:  # given up in a merge: the survivor is told
                continue
            numbers = shown(patient, query.domains or ())
            if numbers:
                people.append((key, msgspec.structs.replace(patient, identifiers=numbers)))
        return people

    async def _named(self, keys: Sequence[str]) -> list[tuple[str, Patient]]:
        """Records by number and assigner: the survivor's, where the number was given up in a merge."""
        survivors = await self._lookup.aliases(keys)
        states = await self._lookup.states({survivors.get(key, key) for key in keys})
        return [(key, state.entity) for key, state in sorted(states.items()) if isinstance(state.entity, Patient)]

    async def _schedule(self, query: Query) -> list[tuple[str, Appointment | Slot]]:
        schedule = Schedule(query)
        found: list[tuple[str, Appointment | Slot]] = [
            (state.subject_key, state.entity) async for state in self._all("appointment")
            if isinstance(state.entity, Appointment) and schedule.appointment(state.entity)]
        found += [(state.subject_key, state.entity) async for state in self._all("slot")
                  if isinstance(state.entity, Slot) and schedule.slot(state.entity)]
        found.sort(key=lambda each: (str(each[1].start or ""), each[0]))
        first = query.subject.coding[0].code if query.subject and query.subject.coding else ""
        return found[:1] if first == "SOF" else found

    async def _all(self, kind: str) -> AsyncIterator[State]:
        after = ""
        while page := await self._lookup.subjects(kind, after, PAGE):
            for state in page:
                yield state
            after = page[-1].subject_key
            await asyncio.sleep(0)

    # -- telling

    def _page(self, given: QueryAnswer, query: Query, found: Sequence[tuple[str, Any]]) -> QueryAnswer:
        begin = 0
        if query.continuation:
            begin = next((number for number, (key, _) in enumerate(found, 1) if pointer(key) == query.continuation), 0)
            if not begin:
                raise NotUnderstood("DSC^1^1", "204")
        size = min(query.limit, self._limit) if query.limit and query.limit > 0 else self._limit
        page = found[begin:begin + size]
        remaining = len(found) - begin - len(page)
        told = [entity for _, entity in page]
        return msgspec.structs.replace(
            given, acknowledgement="AA", status=QueryStatus.OK if found else QueryStatus.NOTHING,
            hits=len(found), shown=len(page), remaining=remaining,
            patients=_of(told, Patient), appointments=_of(told, Appointment), slots=_of(told, Slot),
            continuation=pointer(page[-1][0]) if remaining and page else msgspec.UNSET)


def _of(entities: Sequence[Any], kind: type[E]) -> tuple[E, ...]:
    return tuple(each for each in entities if isinstance(each, kind))


def pointer(key: str) -> str:
    """The continuation pointer of a record: says nothing about it."""
    return blake2b(key.encode(), digest_size=10).hexdigest()


def refusal(query: Query, condition: str, place: str) -> QueryAnswer:
    """The answer to a question that cannot be kept.

    Args:
        place: a place within QPD-3 (``3``, ``3.2``) or a whole ERL (``RCP^1^2``).
    """
    number, _, repetition = place.partition(".")
    where = place if "^" in place else "^".join(part for part in ("QPD", "1", number, repetition) if part)
    return QueryAnswer(
        tag=query.tag, control_id=query.control_id, name=query.name, acknowledgement="AE", status=QueryStatus.ERROR,
        error=CodeableConcept(coding=(Coding(code=condition, display=_CONDITIONS[condition], system="HL70357"),)),
        error_place=where, hits=0, shown=0, remaining=0)

