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
from canonical.findings import Finding, finding
from canonical.model import Appointment, Patient
from router.merges import (
    DOUBLE_BOOKING,
    LANDED,
    MERGED,
    UNMERGED,
    aliases_of,
    concerned,
    consequences,
    directed,
    given_up,
    landed,
)
from router.persons import NOW, Fact, as_said, resolved, told, woven
from store.aliases import link, survivor
from store.ledger import Work
from store.records import State
from store.retention import closed

#: Subjects kept per partition. A state is about 16 KB, and who is spoken of again soon was spoken of lately.
KEPT: Final = 128


class Step(msgspec.Struct, frozen=True):
    """What one event did."""

    event: Event
    state: State
    late: bool
    """The event is older than what was known."""
    changed: bool
    """The state is another one than before."""
    stands: bool = True
    """False for a merge or unmerge that a newer one had overtaken before it came (D07): it moves no lane."""
    merges: tuple[tuple[str, str, str, str], ...] = ()
    """What it says of two persons (`store.records.Processed.merges`)."""
    derived: bool = False
    """No sender said it: it follows from what was said about the person of the visit."""


class Subjects:
    """States of the subjects of one leased partition."""

    def __init__(self, work: Work, kept: int = KEPT) -> None:
        self._work = work
        self._kept = kept
        self._states: OrderedDict[str, State | None] = OrderedDict()

    def forget(self) -> None:
        """Read everything anew: somebody else may have written."""
        self._states.clear()

    async def prepare(self, events: Iterable[Event]) -> Batch:
        """Everything that folding these events needs, read in two queries at most."""
        batch = list(events)
        people = {key for event in batch for key in (event.patient_key, event.subject_key, *concerned(event))
                  if key.startswith("patient:")}
        # Never from memory: a merge is processed elsewhere, and this would be the last to hear of it.
        aliases = dict(await self._work.aliases(people)) if people else {}
        needed: set[str] = set()
        missing: set[str] = set()
        for event in batch:
            subject = aliases.get(event.subject_key, event.subject_key)
            needed.add(subject)
            if event.patient_key in aliases or event.subject_key in aliases:
                # Messages of a person who was merged, once, came by two lanes: what is in memory may be half of it.
                missing.add(subject)
                if (end := aliases.get(event.patient_key)) is not None and end != event.patient_key:
                    needed.add(end)
                    missing.add(end)
            elif subject not in self._states:
                missing.add(subject)
            else:
                self._states.move_to_end(subject)
        if missing:
            known = await self._work.states(missing)
            for subject in missing:
                self._states[subject] = known.get(subject)
                self._states.move_to_end(subject)
        self._trim(len(needed))
        whose = {key for event in batch for key in concerned(event)}
        whose |= {aliases[key] for key in whose if key in aliases}
        visits = await self._work.open_of(whose) if whose else ()
        made = Batch(self._work, self._states, aliases, visits)
        await made.learn(aliases)
        return made

    def keep(self, states: Iterable[State]) -> None:
        """These states have been committed."""
        for state in states:
            self._states[state.subject_key] = state
            self._states.move_to_end(state.subject_key)

    def _trim(self, needed: int) -> None:
        """Drop the subjects that were not asked for longest; those of the batch under way came last."""
        while len(self._states) > max(self._kept, needed):
            self._states.popitem(last=False)


class Batch:
    """The fold of one batch on top of what is committed; thrown away if the commit fails."""

    def __init__(self, work: Work, states: OrderedDict[str, State | None], aliases: dict[str, str],
                 visits: Iterable[State]) -> None:
        self._work = work
        self._states = states
        self._aliases = aliases
        self._visits = {state.subject_key: state for state in visits}
        self._fresh: dict[str, State] = {}
        self._events: dict[str, list[Event]] = {}
        self._facts: dict[str, list[Fact]] = {}
        self._learnt: set[str] = set()

    async def learn(self, people: Iterable[str]) -> None:
        """Read what was ever said of these persons being one with others, and of those with others again."""
        while wanted := {key for key in people if key.startswith("patient:")} - self._learnt:
            self._learnt |= wanted
            found = await self._work.merges(wanted)
            for key, role, other, event in found:
                self._facts.setdefault(key, []).append(Fact(role, other, history.sort_key(event), event))
            people = {other for _, _, other, _ in found}

    async def fold(self, events: Sequence[Event], findings: list[Finding]) -> list[Step]:
        """Add the events of one message to their subjects: all of them, or none where one cannot be added.

        What they mean for the open visits of their persons follows each of them (`router.merges.consequences`).

        Raises:
            history.WrongSubject: an event is about another type of entity than its subject.
        """
        if len(events) == 1 and events[0].type not in {MERGED, UNMERGED}:
            event = self._landed(events[0], findings)
            step = await self._fold(event, findings)
            return [step, *(await self._follow(event, findings) if concerned(event) else ())]
        fresh, known = dict(self._fresh), {key: list(each) for key, each in self._events.items()}
        aliases, facts = dict(self._aliases), {key: list(each) for key, each in self._facts.items()}
        steps: list[Step] = []
        try:
            for said in events:
                event = self._landed(said, findings)
                step = await self._fold(event, findings)
                if rows := told(said):
                    step = await self._said(step, rows)
                steps.append(step)
                for old, new in aliases_of(event) if step.stands else ():
                    link(self._aliases, old, new)
                if concerned(event):
                    steps += await self._follow(event, findings)
        except BaseException:
            self._fresh, self._events, self._aliases, self._facts = fresh, known, aliases, facts
            raise
        return steps

    async def _said(self, step: Step, rows: Iterable[tuple[str, str, str]]) -> Step:
        """A merge or an unmerge is a fact from now on; whether it stands is for all facts together to say (D07)."""
        event, at = step.event, history.sort_key(step.event)
        rows = list(rows)
        await self.learn({key for key, _, _ in rows})
        for key, role, other in rows:
            if all(fact.event.id != event.id or (fact.role, fact.other) != (role, other)
                   for fact in self._facts.setdefault(key, [])):
                self._facts[key].append(Fact(role, other, at, event))
        freed = [old for old, _ in given_up(event)]
        alone = [resolved(old, NOW, self._facts) == old for old in freed]
        return msgspec.structs.replace(step, merges=tuple((*row, event.id) for row in rows),
                                       stands=not any(alone) if event.type == MERGED else all(alone))

    async def _follow(self, event: Event, findings: list[Finding]) -> list[Step]:
        """What an event about a person does to the open visits."""
        steps, clashes = [], 0
        for derived in consequences(event, self._open(frozenset(concerned(event)))):
            step = await self._fold(derived, findings)
            if step.changed:
                steps.append(msgspec.structs.replace(step, derived=True))
                if isinstance(derived.entity, Appointment):
                    clashes += len(derived.entity.conflicts or ())
        if clashes:
            findings.append(finding(DOUBLE_BOOKING, detail=f"pairs: {clashes}"))
        return steps

    def _open(self, people: frozenset[str]) -> dict[str, State]:
        """States of the open visits of some people, as they are in this batch."""
        visits = {**self._visits, **self._fresh}
        return {subject: state for subject, state in sorted(visits.items())
                if state.patient_key in people and isinstance(state.entity, Appointment) and state.entity.status
                and not closed(state.entity)}

    async def _fold(self, event: Event, findings: list[Finding]) -> Step:
        subject = event.subject_key
        before = await self._before(subject)
        key = history.sort_key(event)
        entity: AnyEntity | None
        late = before is not None and key <= before.version
        person = _person_of(event, before, late=late)
        newest = before.version if before is not None and late else key
        if isinstance(event.entity, Appointment) and (
                late or event.type == history.REPOINTED or as_said(event).patient_key in self._facts):
            # Findings of a refold are about old messages: they were reported when those came.
            known = [*await self._work.history(subject), *self._events.get(subject, ()), event]
            people = {as_said(one).patient_key for one in known}
            await self.learn(people)
            if any(one in self._facts for one in people):
                entity, person = woven(known, self._facts)
                newest = max(newest, *(fact.at for one in people for fact in self._facts.get(one, ())))
            else:
                entity = history.fold(known)
        elif late:
            entity = history.fold([*await self._work.history(subject), *self._events.get(subject, ()), event])
        else:
            entity = history.apply(before.entity if before is not None else None, event, findings)
        if entity is None:
            raise AssertionError("the fold of at least one event is a state")
        state = State(
            subject_key=subject, entity=entity, version=newest, patient_key=person,
            event_id=before.event_id if before is not None and late else event.id)
        self._fresh[subject] = state
        self._events.setdefault(subject, []).append(event)
        changed = before is None or (before.entity, before.patient_key) != (entity, person)
        return Step(event, state, late, changed)

    async def _before(self, subject: str) -> State | None:
        if (fresh := self._fresh.get(subject)) is not None:
            return fresh
        if (visit := self._visits.get(subject)) is not None:
            return visit
        if subject not in self._states:  # a merge earlier in this batch led here
            self._states[subject] = (await self._work.states([subject])).get(subject)
        return self._states[subject]

    def builds_on_nothing(self, event: Event) -> bool:
        """True for a change of an appointment, or a merge into a person, of which nothing is known (D05, A4.4)."""
        if event.type == MERGED:
            return self._known(self._end(event.subject_key)) is None
        if not isinstance(event.entity, Appointment) or event.type in history.CREATING:
            return False
        state = self._known(event.subject_key)
        return state is None or not (isinstance(state.entity, Appointment) and state.entity.status)

    def _known(self, subject: str) -> State | None:
        return self._fresh.get(subject) or self._states.get(subject) or self._visits.get(subject)

    def _end(self, key: str) -> str:
        return survivor(self._aliases, key)

    def _landed(self, event: Event, findings: list[Finding]) -> Event:
        """The event, about the survivor where its person was merged into another (A4.3)."""
        if event.type in {MERGED, UNMERGED}:
            return directed(event, self._end)
        old = event.patient_key or event.subject_key
        # As of now, for whoever is told of it; whose the visit is, its place in the history decides (`router.persons`).
        end = self._end(old)
        if end == old or not old.startswith("patient:"):
            return event
        findings.append(finding(LANDED))
        known = self._fresh.get(end) or self._states.get(end)
        return landed(event, old, end, known.entity.identifiers
                      if known is not None and isinstance(known.entity, Patient) else ())


def _person_of(event: Event, before: State | None, *, late: bool) -> str:
    """Whose the subject is: as the newest message says that names somebody; a merge counts whenever it comes."""
    known = before.patient_key if before is not None else ""
    if late and event.type != history.REPOINTED:
        return known or event.patient_key
    return event.patient_key or known
