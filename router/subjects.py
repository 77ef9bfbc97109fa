"""Present states under a lease: kept in memory, folded forward, written by the pump's commit.

While a partition is leased nobody else writes the states of its subjects, so what was once read or written
stays true until the lease ends. Only a merge that comes from another partition breaks that rule; then `forget`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from canonical import history
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.findings import Finding
from store.ledger import Work
from store.records import State

#: Subjects kept per partition. A state is about 5 KB.
KEPT: Final = 1_024


class Step(msgspec.Struct, frozen=True):
    """What one event did."""

    event: Event
    state: State
    late: bool
    """The event is older than what was known."""
    changed: bool
    """The state is another one than before."""


class Subjects:
    """States of the subjects of one leased partition."""

    def __init__(self, work: Work, kept: int = KEPT) -> None:
        self._work = work
        self._kept = kept
        self._states: OrderedDict[str, State | None] = OrderedDict()
        self._aliases: OrderedDict[str, str] = OrderedDict()

    def forget(self) -> None:
        """Read everything anew: somebody else may have written."""
        self._states.clear()
        self._aliases.clear()

    async def prepare(self, events: Iterable[Event]) -> Batch:
        """Everything that folding these events needs, read in two queries at most."""
        batch = list(events)
        people = {key for event in batch for key in (event.patient_key, event.subject_key)
                  if key.startswith("patient:") and key not in self._aliases}
        if people:
            found = await self._work.aliases(people)
            for key in people:
                self._aliases[key] = found.get(key, key)
        needed: set[str] = set()
        missing: set[str] = set()
        for event in batch:
            subject = self._aliases.get(event.subject_key, event.subject_key)
            needed.add(subject)
            if subject not in self._states:
                missing.add(subject)
            elif self._aliases.get(event.patient_key, event.patient_key) != event.patient_key:
                # Messages of a merged person come by two lanes: what is in memory may be half of it.
                missing.add(subject)
            else:
                self._states.move_to_end(subject)
        if missing:
            known = await self._work.states(missing)
            for subject in missing:
                self._states[subject] = known.get(subject)
                self._states.move_to_end(subject)
        self._trim(len(needed))
        return Batch(self._work, self._states, self._aliases)

    def keep(self, states: Iterable[State]) -> None:
        """These states have been committed."""
        for state in states:
            self._states[state.subject_key] = state
            self._states.move_to_end(state.subject_key)

    def _trim(self, needed: int) -> None:
        """Drop the subjects that were not asked for longest; those of the batch under way came last."""
        while len(self._states) > max(self._kept, needed):
            self._states.popitem(last=False)
        while len(self._aliases) > max(self._kept, needed) * 2:
            self._aliases.popitem(last=False)


class Batch:
    """The fold of one batch on top of what is committed; thrown away if the commit fails."""

    def __init__(self, work: Work, states: OrderedDict[str, State | None],
                 aliases: OrderedDict[str, str]) -> None:
        self._work = work
        self._states = states
        self._aliases = aliases
        self._fresh: dict[str, State] = {}
        self._events: dict[str, list[Event]] = {}

    async def fold(self, events: Sequence[Event], findings: list[Finding]) -> list[Step]:
        """Add the events of one message to their subjects: all of them, or none where one cannot be added.

        Raises:
            history.WrongSubject: an event is about another type of entity than its subject.
        """
        if len(events) == 1:
            return [await self._fold(events[0], findings)]
        fresh, known = dict(self._fresh), {key: list(told) for key, told in self._events.items()}
        try:
            return [await self._fold(event, findings) for event in events]
        except BaseException:
            self._fresh, self._events = fresh, known
            raise

    async def _fold(self, event: Event, findings: list[Finding]) -> Step:
        event = self._landed(event)
        subject = event.subject_key
        before = await self._before(subject)
        key = history.sort_key(event)
        entity: AnyEntity | None
        if late := before is not None and key <= before.version:
            known = [*await self._work.history(subject), *self._events.get(subject, ())]
            # Findings of a refold are about old messages: they were reported when those came.
            entity = history.fold([*known, event])
        else:
            entity = history.apply(before.entity if before is not None else None, event, findings)
        if entity is None:
            raise AssertionError("the fold of at least one event is a state")
        newest = before if before is not None and late else None
        state = State(
            subject_key=subject, entity=entity, version=newest.version if newest is not None else key,
            event_id=newest.event_id if newest is not None else event.id,
            patient_key=event.patient_key or (before.patient_key if before is not None else ""))
        self._fresh[subject] = state
        self._events.setdefault(subject, []).append(event)
        return Step(event, state, late, before is None or before.entity != entity)

    async def _before(self, subject: str) -> State | None:
        if (fresh := self._fresh.get(subject)) is not None:
            return fresh
        if subject not in self._states:  # a merge earlier in this batch led here
            self._states[subject] = (await self._work.states([subject])).get(subject)
        return self._states[subject]

    def merged(self, old: str, survivor: str) -> None:
        """From here on messages about `old` land on `survivor`; the same key twice ends that."""
        self._aliases[old] = survivor

    def _landed(self, event: Event) -> Event:
        """The event, about the survivor where its person was merged into another (A4.3)."""
        person = self._aliases.get(event.patient_key, event.patient_key)
        subject = self._aliases.get(event.subject_key, event.subject_key)
        if person == event.patient_key and subject == event.subject_key:
            return event
        return msgspec.structs.replace(event, patient_key=person, subject_key=subject)
