"""What should be so for a case: every decider is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from canonical.authorization import Authorization
from canonical.coverage import Coverage, EligibilityCheck
from canonical.document import Document
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.model import Appointment, Patient
from canonical.referral import Referral
from canonical.task import TaskStatus, WorkTask
from workflow import authorization, eligibility
from workflow.case import Case, Command, Question, Wish, ours
from workflow.facts import day_ends, micros
from workflow.policy import Handling, Policy
from workflow.review import review, revised
from workflow.waits import waits

APPROVAL: Final = "approval"
_ALWAYS: Final = (Referral, Document, EligibilityCheck, Authorization)


def touched(event: Event, state: AnyEntity, *, visits: bool) -> tuple[str, ...]:
    """Cases that must be looked at because of an event.

    Args:
        state: of its subject afterwards.
        visits: True where the site has rules that may be about appointments.
    """
    if isinstance(state, Appointment):
        return (event.subject_key,) if visits or state.conflicts else ()
    if isinstance(state, _ALWAYS):
        return (event.subject_key,)
    if isinstance(state, Coverage):
        return (event.patient_key,) if visits and event.patient_key else ()
    if isinstance(state, WorkTask):
        return (state.subjects or ())[:1]
    return ()


def keys(case: Case, policy: Policy) -> tuple[str, ...]:
    """Keys of what the case may have asked for: their states belong to `Case.related`."""
    if isinstance(case.entity, Document):
        return (revised(case.entity),) if case.entity.revision_of else ()
    if not isinstance(case.entity, Appointment | Referral):
        return ()
    return (*eligibility.keys(case, policy), *authorization.keys(case, policy.requests))


def unsent(case: Case) -> tuple[str, ...]:
    """Keys of questions of a case that wait and are not known to have left."""
    return tuple(key for key, entity in case.related.items() if isinstance(entity, EligibilityCheck | Authorization)
                 and entity.cause == case.key and not entity.sent_at and waits(entity))


def decide(case: Case, policy: Policy) -> Wish:
    """What should be so now."""
    wish = Wish()
    entity = case.entity
    if isinstance(entity, Referral | Document):
        review(case, policy, wish)
    if isinstance(entity, Appointment):
        _conflicts(case, entity, wish)
    if isinstance(entity, Appointment | Referral):
        rests_on: set[str] = set()
        for rule in policy.requests:
            if rule.test(case):
                if rule.request == eligibility.TYPE:
                    rests_on.update(eligibility.decide(case, rule, policy, wish))
                else:
                    authorization.decide(case, rule, policy, wish)
        eligibility.close(case, frozenset(rests_on), wish)
    if isinstance(entity, EligibilityCheck | Authorization):
        _answer(case, entity, wish)
    if isinstance(entity, Patient):
        wish.looks += [key for key, known in case.related.items() if isinstance(known, Appointment | Referral)]
    for task in policy.tasks:
        if task.test(case):
            wish.questions.append(Question(
                type=task.type, reason=task.reason, facts=(task.name, *_moment(entity)), queue=task.queue,
                priority=task.priority, playbook=task.playbook, actions=task.actions, blocks=task.blocks,
                due_at=case.event.received_at + task.due_s * 1_000_000 if task.due_s else 0))
    wish.commands = list(_allowed(case, policy, wish))
    wish.questions = [_handled(case, question, policy) for question in wish.questions]
    return wish


def _answer(case: Case, entity: EligibilityCheck | Authorization, wish: Wish) -> None:
    """An answer is a matter of what it was asked for; one that nobody asked for is for a person (X27, A3.6)."""
    if isinstance(entity, EligibilityCheck):
        _outlived(case, entity, wish)
    if entity.cause:
        wish.looks.append(entity.cause)
        return
    kind = "eligibility" if isinstance(entity, EligibilityCheck) else "authorization"
    if ours(case.key):
        question = Question(type="orphan-answer", reason=f"ORPHAN:{kind}", playbook="orphan-answer",
                            actions=("match", "reject"))
        wish.questions.append(question)
        answer = case.tasks.get(question.id(case.key))
        if answer is not None and answer.outcome == "reject" and isinstance(entity, EligibilityCheck):
            eligibility.ended(case.key, entity, wish)
    elif isinstance(entity, Authorization):
        authorization.judge(case, case.key, entity, wish)


def _outlived(case: Case, check: EligibilityCheck, wish: Wish) -> None:
    """A check ends at the latest with the day it is about, whoever asked for it."""
    day = micros(check.service_date)
    if day and case.now < day_ends(day):
        wish.remind(day_ends(day), case.now)
    elif day:
        eligibility.ended(case.key, check, wish)


def _moment(entity: AnyEntity) -> tuple[str, ...]:
    """What makes a rule's task another one than the last: a visit that has moved, or stands otherwise."""
    return tuple(str(getattr(entity, name, "") or "") for name in ("status", "start"))


def _conflicts(case: Case, entity: Appointment, wish: Wish) -> None:
    """Visits at the same time that a merge has brought together: one question, asked by the first of them (A4.2)."""
    others = sorted(key for key, known in case.related_of(Appointment)
                    if key != case.key and _named(entity, known))
    if entity.conflicts and not (others and others[0] < case.key):
        wish.questions.append(Question(type="merge-conflict", reason="MERGE:double-booking", blocks=True,
                                       subjects=tuple(others), facts=tuple(others), playbook="merge-conflict"))


def _named(entity: Appointment, other: Appointment) -> bool:
    """True where `entity` and `other` are in conflict, whichever of them says so."""
    def says(one: Appointment, about: Appointment) -> bool:
        numbers = {(i.type, i.value) for reference in one.conflicts or () for i in reference.identifiers or ()}
        return any((i.type, i.value) in numbers for i in about.identifiers or ())

    return says(entity, other) or says(other, entity)


def _allowed(case: Case, policy: Policy, wish: Wish) -> Iterator[Command]:
    """Commands that may be given; for the others a person is asked first (invariant 13)."""
    for command in wish.commands:
        if not command.decision or command.decision in policy.automatic:
            yield command
            continue
        question = Question(type=APPROVAL, reason=f"APPROVAL:{command.decision}", facts=command.effect,
                            actions=("approve", "reject"))
        answer = case.tasks.get(question.id(case.key))
        if answer is None or answer.status is not TaskStatus.DONE or answer.outcome != "approve":
            wish.questions.append(question)
        else:
            yield command


def _handled(case: Case, question: Question, policy: Policy) -> Question:
    """The question with its queue, priority and date, as the site says for its type."""
    handling = policy.handling.get(question.type) or Handling(queue=question.type)
    due_at = question.due_at or (case.event.received_at + handling.due_s * 1_000_000 if handling.due_s else 0)
    return msgspec.structs.replace(
        question, queue=question.queue or handling.queue, priority=question.priority or handling.priority,
        due_at=due_at, playbook=question.playbook or handling.playbook)
