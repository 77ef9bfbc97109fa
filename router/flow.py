"""Looks at cases: what should be so now, made so in one transaction (`workflow`).

One `Flow` a leased partition. The pump leaves a note for every case that a message touches, in the transaction that
stores the message; the flow takes the notes that are due, reads the present states, asks the deciders, and commits
tasks, commands and the next date together. All looks at a case have one worker, the partition of its key, wherever
the messages about it are processed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from canonical.authorization import Authorization
from canonical.clock import Clock
from canonical.coverage import EligibilityCheck
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.failpoints import point
from canonical.model import Appointment, Instant
from canonical.presence import ABSENT
from canonical.referral import Referral
from canonical.task import PriorityTerm, TaskStatus, WorkTask
from router import internal
from router.conditions import Facts
from router.flow_config import TaskHandling, WorkflowRule
from router.holding import Holding
from router.retry import STOPPED
from router.site import Site, compile_when
from router.triage import Rulebook
from store.ledger import Desk, Numbers, Work
from store.partition import partition_of
from store.records import (
    Delivery,
    DeliveryState,
    Look,
    Looked,
    MessageState,
    NewMessage,
    NewTask,
    State,
    StoredTask,
)
from workflow import decide
from workflow.case import Answered, Case, Command, Question, Unsent, Wish, identifier, key_of
from workflow.policy import Clock as PayerTime
from workflow.policy import Handling, Policy, RequestRule, TaskRule, Terms, Test

#: Cases a turn.
BATCH: Final = 64
#: Of deliveries that nobody has to do anything about.
_UNDER_WAY: Final = frozenset({DeliveryState.PENDING, DeliveryState.INFLIGHT})

_BEFORE_COMMIT: Final = point("flow.before_commit")
_AFTER_COMMIT: Final = point("flow.after_commit")


class Books(Work, Desk, Numbers, Protocol):
    """The parts of the ledger that looks read and write."""


class Playbook:
    """The workflow rules of a site, compiled.

    Args:
        site: checked (see `router.site.load`).
        rulebook: its routes, which say which payer a question goes to.
        terms: how payers want to be asked, by destination.
    """

    def __init__(self, site: Site, rulebook: Rulebook, terms: Mapping[str, Terms]) -> None:
        self._rulebook = rulebook
        self._terms = terms
        requests = tuple(_request(rule) for rule in site.workflow if rule.request)
        tasks = tuple(_task(rule) for rule in site.workflow if rule.task is not None)
        self.policy = Policy(
            tasks=tasks, requests=requests,
            automatic=frozenset(name for name, entry in site.decisions.items() if entry.automatic),
            threshold=round(site.review.threshold * 1000),
            thresholds={name: round(value * 1000) for name, value in site.review.fields.items()},
            handling={kind: _handling(entry) for kind, entry in site.tasks.items()}, terms=self._of_payer)
        self._visits = bool(site.workflow)
        self._stirred: set[int] = set()

    def _of_payer(self, case: Case, question: EligibilityCheck | Authorization) -> Terms:
        """The terms of the payer that a question would go to."""
        if not self._terms:
            return Terms()
        kind = "eligibility.requested" if isinstance(question, EligibilityCheck) else "authorization.submitted"
        asked = msgspec.structs.replace(case.event, type=kind, entity=question)
        to = self._rulebook.judge(Facts(asked, question, {})).destinations
        return next((self._terms[name] for name in to if name in self._terms), Terms())

    def touched(self, event: Event, state: AnyEntity) -> tuple[str, ...]:
        """Cases that must be looked at because of an event."""
        return decide.touched(event, state, visits=self._visits)

    def stir(self, partitions: Iterable[int]) -> None:
        """There are cases to look at in these partitions, as far as this process knows."""
        self._stirred.update(partitions)

    def stirred(self, partition: int) -> bool:
        """Whether it is worth to ask the ledger for cases. Sites without rules do not pay for the question."""
        if partition in self._stirred:
            self._stirred.discard(partition)
            return True
        return self._visits


def _test(rule: WorkflowRule) -> Test:
    holds = compile_when(rule.when, ())
    return lambda case: holds(Facts(case.event, case.entity, {}))


def _request(rule: WorkflowRule) -> RequestRule:
    return RequestRule(
        name=rule.rule, test=_test(rule), request=rule.request, service_types=rule.service_types,
        deadline_s=rule.deadline_s, attempts=rule.attempts, again_s=rule.again_s,
        cache_s=round(rule.cache_h * 3600), clocks=tuple(PayerTime(
            rule=name, seconds=round(one.hours * 3600), business_days=one.business_days,
            after_documents=one.after == "documents") for name, one in rule.clocks.items()))


def _task(rule: WorkflowRule) -> TaskRule:
    if rule.task is None:
        raise AssertionError("only rules with a task")
    spec = rule.task
    return TaskRule(
        name=rule.rule, test=_test(rule), type=spec.type, reason=spec.reason or f"RULE:{rule.rule}", queue=spec.queue,
        priority=spec.priority, due_s=round(spec.due_h * 3600), playbook=spec.playbook, actions=spec.actions,
        blocks=spec.blocks)


def _handling(entry: TaskHandling) -> Handling:
    return Handling(queue=entry.queue, priority=entry.priority, due_s=round(entry.due_h * 3600), playbook=entry.playbook)


def _leaving(one: Delivery) -> bool:
    """True for the first attempt, while it lasts, and for one of which the outcome is just being told."""
    return one.state is DeliveryState.DELIVERED or (one.state is DeliveryState.INFLIGHT and not (one.code or one.reason))


class Flow:
    """Works the cases of one partition while it is held.

    Args:
        holding: the lease.
        books: the ledger.
        playbook: decides.
        ring: wakes the workers of partitions.
        clock: for the time.
        partitions: of the ledger.
    """

    def __init__(self, holding: Holding, books: Books, playbook: Playbook, ring: Callable[[Iterable[int]], None],
                 clock: Clock, partitions: int) -> None:
        self._holding = holding
        self._books = books
        self._playbook = playbook
        self._policy = playbook.policy
        self._ring = ring
        self._clock = clock
        self._partitions = partitions

    async def turn(self) -> bool:
        """Look at what is due. False where nothing more is.

        Raises:
            LeaseLost, LedgerUnavailable: nothing was stored; what was due stays due.
        """
        now = self._clock.now()
        due = await self._books.due_looks(self._holding.partition, now, BATCH)
        if not due:
            return False
        looked = [self._look(look, case, tasks, lane) for look, case, tasks, lane in await self._cases(due, now)]
        _BEFORE_COMMIT()
        await self._books.commit_looks(self._holding.lease, looked)
        _AFTER_COMMIT()
        further = {partition_of(key, self._partitions) for one in looked for key in one.looks}
        self._playbook.stir(further)
        lanes = {lane for one in looked for message in one.messages for lane in message.lanes}
        if rung := further | {partition_of(lane, self._partitions) for lane in lanes}:
            self._ring(rung)
        return len(due) == BATCH

    # -- reading ------------------------------------------------------------------------------------------

    async def _cases(self, due: Sequence[Look], now: int) -> list[
            tuple[Look, Case | tuple[str, ...], Sequence[StoredTask], str]]:
        """Each look with its case (or the cases to look at instead), its tasks, and the lane its subject stands in."""
        books = self._books
        keys = [look.subject_key for look in due]
        states = await books.states(keys)
        events = await books.events({state.event_id for state in states.values()})
        tasks: dict[str, list[StoredTask]] = {}
        for task in await books.tasks_of(keys):
            tasks.setdefault(task.subject_key, []).append(task)
        people = {key: states[key].patient_key if key in states else key for key in keys}
        people |= {key: key for key in keys if key.startswith("patient:")}
        related = await self._related({person for person in people.values() if person})
        found: list[tuple[Look, Case | tuple[str, ...], Sequence[StoredTask], str]] = []
        for look in due:
            key = look.subject_key
            of_person = related.get(people[key], {})
            state, event = states.get(key), None
            if state is not None:
                event = events.get(state.event_id)
            if state is None or event is None:
                # A person of whom nothing but their coverage is known; or what was purged meanwhile.
                further = tuple(k for k, entity in of_person.items() if isinstance(entity, Appointment | Referral))
                found.append((look, further if key.startswith("patient:") else (), (), ""))
                continue
            mine = tasks.get(key, [])
            case = Case(key=key, entity=state.entity, event=event, patient_key=people[key], now=now,
                        related=of_person, tasks={
                            t.id: Answered(t.status, t.outcome, t.created_at, t.completed_at) for t in mine})
            case = await self._completed(case)
            if waiting := decide.unsent(case):
                case = msgspec.structs.replace(case, unsent=await self._unsent(waiting))
            found.append((look, case, mine, await self._lane(event)))
        return found

    async def _related(self, people: Collection[str]) -> Mapping[str, dict[str, AnyEntity]]:
        if not people:
            return {}
        related: dict[str, dict[str, AnyEntity]] = {}
        # The newest first: of two coverages that both say they come first, the one stated last counts.
        for state in sorted(await self._books.open_of(people), key=lambda one: (one.version, one.subject_key), reverse=True):
            related.setdefault(state.patient_key, {})[state.subject_key] = state.entity
        return related

    async def _completed(self, case: Case) -> Case:
        """With the states of what the case may have asked for, also where its person is not known by a key."""
        missing = [key for key in decide.keys(case, self._policy) if key not in case.related]
        if not missing:
            return case
        states: Mapping[str, State] = await self._books.states(missing)
        return msgspec.structs.replace(
            case, related={**case.related, **{key: state.entity for key, state in states.items()}})

    async def _unsent(self, keys: Iterable[str]) -> Mapping[str, Unsent]:
        """Where these questions are, which nothing is known to have left of."""
        found: dict[str, Unsent] = {}
        for key in keys:
            message = await self._books.message(internal.asked(key))
            if message is None:  # purged
                continue
            blocked, leaving = message.state is MessageState.PARKED, message.state is MessageState.RECEIVED
            if not blocked and not leaving:
                deliveries = [one for one in await self._books.deliveries([message.seq]) if not one.barrier]
                leaving = any(_leaving(one) for one in deliveries)
                blocked = not leaving and not any([await self._goes_by_itself(one) for one in deliveries])
            found[key] = Unsent(message.received_at, blocked, leaving)
        return found

    async def _goes_by_itself(self, one: Delivery) -> bool:
        """True for a delivery that needs nobody: it leaves as soon as the payer is back."""
        return one.state in _UNDER_WAY and one.reason != STOPPED.name and not await self._books.find_deliveries(
            destination=one.destination, state=DeliveryState.PENDING, reason=STOPPED.name, limit=1)

    async def _lane(self, event: Event) -> str:
        """Where messages about the subject of an event stand: where the last one stood."""
        message = await self._books.message(event.message_id)
        return message.lanes[0] if message is not None else event.patient_key or event.subject_key

    # -- deciding -----------------------------------------------------------------------------------------

    def _look(self, look: Look, case: Case | tuple[str, ...], tasks: Sequence[StoredTask], lane: str) -> Looked:
        now = self._clock.now()
        if not isinstance(case, Case):
            return Looked(subject_key=look.subject_key, token=look.token, at=now, looks=case)
        wish = decide.decide(case, self._policy)
        known = {task.id: task for task in tasks}
        wanted = {question.id(case.key): question for question in wish.questions}
        opened = [new_task(task_id, question, case) for task_id, question in wanted.items()
                  if task_id not in known or known[task_id].outcome == "resolved"]
        closed = [task.id for task in tasks if task.open and task.id not in wanted]
        messages = [self._command(command, case, lane) for command in wish.commands]
        messages += [_told("task.opened", task.id, task.task, case) for task in opened]
        messages += [_told("task.cancelled", task_id, _ended(known[task_id], case.now), case) for task_id in closed]
        messages += self._overdue(case, wish, wanted, known)
        return Looked(
            subject_key=case.key, token=look.token, at=now, next_at=wish.next_at, opened=tuple(opened),
            closed=tuple(closed), messages=tuple(messages), looks=tuple(dict.fromkeys(wish.looks)))

    def _overdue(self, case: Case, wish: Wish, wanted: Mapping[str, Question],
                 known: Mapping[str, StoredTask]) -> list[NewMessage]:
        """Dates of open tasks: each that passes is told once (A3.10)."""
        told = []
        for task_id, question in wanted.items():
            task = known.get(task_id)
            due_at = task.due_at if task is not None else question.due_at
            if not due_at or (task is not None and not task.open and task.outcome != "resolved"):
                continue
            if case.now < due_at:
                wish.remind(due_at, case.now)
            else:
                entity = task.task if task is not None else new_task(task_id, question, case).task
                told.append(internal.command(Command(
                    event="task.overdue", subject_key=key_of("worktask", task_id), effect=("task.overdue", task_id),
                    entity=msgspec.structs.replace(entity, status=TaskStatus.ESCALATED)),
                    key_of("worktask", task_id), case.now, patient_key=case.patient_key))
        return told

    def _command(self, command: Command, case: Case, lane: str) -> NewMessage:
        of_case = command.subject_key == case.key
        return internal.command(command, command.lane or (lane if of_case else command.subject_key), case.now,
                                patient_key=case.patient_key)


def _told(event: str, task_id: str, task: WorkTask, case: Case) -> NewMessage:
    """A change of a task, for whoever routes it. It is stored with the change, so the moment is identity enough."""
    key = key_of("worktask", task_id)
    return internal.command(Command(event=event, subject_key=key, entity=task, effect=(event, task_id, str(case.now))),
                            key, case.now, patient_key=case.patient_key)


def _ended(task: StoredTask, now: int) -> WorkTask:
    return msgspec.structs.replace(task.task, status=TaskStatus.CANCELLED, outcome="resolved",
                                   completed_at=Instant(internal.iso(now)))


def new_task(task_id: str, question: Question, case: Case) -> NewTask:
    """A question as the task that it becomes."""
    task = WorkTask(
        identifiers=(identifier(task_id, "TASK"),), type=question.type, reason=question.reason,
        subjects=(case.key, *question.subjects), cause=case.event.id, status=TaskStatus.READY, queue=question.queue,
        priority=(PriorityTerm(name=question.type, weight=question.priority),) if question.priority else (),
        created_at=Instant(internal.iso(case.now)), playbook=question.playbook, evidence=question.evidence,
        differences=question.differences, message_id=case.event.message_id, actions=question.actions,
        due_at=Instant(internal.iso(question.due_at)) if question.due_at else ABSENT,
        blocks=question.blocks or ABSENT)
    return NewTask(id=task_id, subject_key=case.key, type=question.type, reason=question.reason, queue=question.queue,
                   priority=question.priority, created_at=case.now, due_at=question.due_at,
                   message_id=case.event.message_id, task=task)
