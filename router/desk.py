"""What a person does with a task: take it, give it back, answer it.

An answer is a message: it is committed with the change of the task, enters by the one door on the channel ``tasks``,
and its events are folded into what the task is about. So the flow goes on from there, in order, and the lineage of a
field that a person has corrected leads to the person. Commands and web pages call these methods; none of them prints.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from canonical.clock import Clock
from canonical.coverage import EligibilityCheck
from canonical.document import Document, Extracted, Validation, Verdict
from canonical.entities import AnyEntity
from canonical.findings import Severity, declare
from canonical.model import Instant
from canonical.presence import ABSENT
from canonical.task import TaskStatus, WorkTask
from router import internal
from router.correct import Impossible, patch
from router.flow_config import TASKS
from store.ledger import Desk, Work
from store.records import AuditEntry, StoredTask
from workflow.case import Command, identifier, key_of, number

#: How long a claim holds.
CLAIM_S: Final = 8 * 3600

TAKEN: Final = declare(
    "task.taken", Severity.ERROR, "Somebody else has the task, or it is closed.",
    "Look who has it; after its claim has run out anybody may take it.")
NOT_AN_ANSWER: Final = declare(
    "task.not_an_answer", Severity.ERROR, "The task cannot be answered so.", "Use one of the answers that it names.")
REFUSED: Final = declare(
    "task.value_refused", Severity.ERROR, "The value fails a check.",
    "Look at the page again; a value that fails its check is not taken from anybody.")
NO_MATCH: Final = declare(
    "task.no_match", Severity.ERROR, "There is no question that this could be the answer to.",
    "Give the trace number of a question of the same kind.")

#: What a value fails, by the validations that the field had when it was read. Injected: the checks live with the tables.
Recheck = Callable[[Extracted, str], Sequence[Validation]]


class Refusal(Exception):  # noqa: N818 - a verdict about what a person asked for
    """It was not done. `code` is a finding's; the text holds no value."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Books(Desk, Work, Protocol):
    """The parts of the ledger that a desk reads and writes."""


class TaskDesk:
    """Everything that can be done with tasks. Every act is audited with the person.

    Args:
        books: the ledger.
        recheck: judges a corrected value.
        clock: for the time.
        claim_s: how long a claim holds.
    """

    def __init__(self, books: Books, recheck: Recheck, clock: Clock, claim_s: int = CLAIM_S) -> None:
        self._books = books
        self._recheck = recheck
        self._clock = clock
        self._claim_s = claim_s

    async def claim(self, task: StoredTask, actor: str) -> StoredTask:
        """Take a task. Raises Refusal where somebody else has it."""
        now = self._clock.now()
        return await self._done(task, self._books.claim_task(
            task.id, actor, now + self._claim_s * 1_000_000, self._entry("task.claimed", task, actor)))

    async def release(self, task: StoredTask, actor: str) -> StoredTask:
        """Give a task back. Raises Refusal where `actor` does not have it."""
        return await self._done(task, self._books.release_task(
            task.id, actor, self._entry("task.released", task, actor)))

    async def correct(self, task: StoredTask, actor: str, value: str, note: str = "") -> StoredTask:
        """Say what the field of a review really is. What the machine read is kept beside it.

        Raises:
            Refusal: the value fails a check, or the field cannot have it.
        """
        self._may(task, "correct")
        field, state = await self._field(task)
        validations = tuple(self._recheck(field, value))
        if failed := [one for one in validations if one.verdict is Verdict.INVALID]:
            raise Refusal(REFUSED.name, f"the value fails {', '.join(one.validator for one in failed)}"
                          + "".join(f" ({one.finding})" for one in failed if one.finding))
        try:
            changes = patch(state, field.field, value)
        except Impossible as impossible:
            raise Refusal(REFUSED.name, str(impossible)) from None
        reviewed = msgspec.structs.replace(
            _reviewed(field, actor), value=value, method="person", confidence=ABSENT, validations=validations,
            alternatives=(), producer=ABSENT)
        return await self._answer(task, actor, "correct", note, self._revised(task, state, reviewed, changes))

    async def confirm(self, task: StoredTask, actor: str, note: str = "") -> StoredTask:
        """Say that a doubtful field is right as it was read."""
        self._may(task, "confirm")
        if not task.task.evidence:
            return await self._answer(task, actor, "confirm", note)
        field, state = await self._field(task)
        return await self._answer(task, actor, "confirm", note,
                                  self._revised(task, state, _reviewed(field, actor), {}))

    async def match(self, task: StoredTask, actor: str, to: str, note: str = "") -> StoredTask:
        """Say which question an answer belongs to that nobody could match (A3.6).

        Args:
            to: its trace number or key.

        Raises:
            Refusal: there is no such question of the same kind.
        """
        self._may(task, "match")
        orphan = await self._state(task.subject_key)
        kind = task.subject_key.partition(":")[0]
        key = to if ":" in to else key_of(kind, to.upper())
        asked = await self._books.state_of(key)
        if asked is None or type(asked.entity) is not type(orphan) or key == task.subject_key:
            raise Refusal(NO_MATCH.name, "there is no such question")
        cause = getattr(asked.entity, "cause", ABSENT)
        if not cause:
            raise Refusal(NO_MATCH.name, "that is no question of ours either")
        event = "eligibility.answered" if isinstance(orphan, EligibilityCheck) else "authorization.decided"
        answer = msgspec.structs.replace(orphan, identifiers=(), cause=ABSENT)
        own = msgspec.convert({"entity": type(orphan).__name__, "cause": cause,
                               **({"status": "closed"} if isinstance(orphan, EligibilityCheck) else {})}, type(orphan))
        return await self._answer(
            task, actor, "match", note,
            (Command(event=event, subject_key=key, entity=answer, effect=()),
             Command(event=event, subject_key=task.subject_key, entity=own, effect=())))

    async def finish(self, task: StoredTask, actor: str, outcome: str, note: str = "") -> StoredTask:
        """Any other answer: done, reject, approve, appeal.

        Raises:
            Refusal: the task does not take it.
        """
        self._may(task, outcome)
        return await self._answer(task, actor, outcome, note)

    # -- parts --------------------------------------------------------------------------------------------

    def _may(self, task: StoredTask, outcome: str) -> None:
        if outcome not in (task.task.actions or ()):
            raise Refusal(NOT_AN_ANSWER.name, f"this task takes {', '.join(task.task.actions or ())}")

    async def _state(self, subject_key: str) -> AnyEntity:
        state = await self._books.state_of(subject_key)
        if state is None:
            raise Refusal(TAKEN.name, "what it is about is not in the ledger any more")
        return state.entity

    async def _field(self, task: StoredTask) -> tuple[Extracted, AnyEntity]:
        """The field as it is now, and the entity it belongs to."""
        if not task.task.evidence:
            raise Refusal(NOT_AN_ANSWER.name, "this task is about no field")
        asked, state = task.task.evidence[0], await self._state(task.subject_key)
        fields: Any = getattr(state, "evidence", ()) or getattr(state, "fields", ()) or ()
        return next((one for one in fields if one.field == asked.field), asked), state

    def _revised(self, task: StoredTask, state: AnyEntity, field: Extracted,
                 changes: dict[str, Any]) -> tuple[Command, ...]:
        of_document = isinstance(state, Document)
        told = {"entity": type(state).__name__, **changes,
                ("fields" if of_document else "evidence"): [msgspec.to_builtins(field)]}
        if (missing := getattr(state, "missing", ())) and field.field in missing:
            told["missing"] = [name for name in missing if name != field.field] or None
        entity = msgspec.convert(told, type(state))
        return (Command(event="document.reviewed" if of_document else "referral.revised", subject_key=task.subject_key,
                        entity=entity, effect=()),)

    async def _answer(self, task: StoredTask, actor: str, outcome: str, note: str,
                      says: tuple[Command, ...] = ()) -> StoredTask:
        now = self._clock.now()
        ended = WorkTask(
            identifiers=(identifier(task.id, "TASK"),), type=task.type, reason=task.reason,
            subjects=task.task.subjects, status=TaskStatus.DONE, queue=task.queue, outcome=outcome, completed_by=actor,
            completed_at=Instant(internal.iso(now)), note=note or ABSENT)
        said = (*says, Command(event="task.completed", subject_key=key_of("worktask", task.id), entity=ended, effect=()))
        message_id = number("answer", task.id, now).lower()
        home, patient = await self._home(task)
        events = tuple(internal.event(message_id, place, one, now, patient_key=patient, channel=TASKS, by=actor)
                       for place, one in enumerate(said))
        message = internal.message(message_id, internal.Letter(says=events, by=actor, task=task.id), home, now,
                                   channel=TASKS, parent_id=task.message_id)
        return await self._done(task, self._books.finish_task(
            task.id, actor, outcome, note, message, self._entry(f"task.{outcome}", task, actor, note, message=message_id)))

    async def _home(self, task: StoredTask) -> tuple[str, str]:
        """The lane in which messages about the case stand, and whom it is about."""
        lane = internal.home(task.subject_key)
        state = await self._books.state_of(task.subject_key)
        if not lane and state is not None:
            event = (await self._books.events([state.event_id])).get(state.event_id)
            message = await self._books.message(event.message_id) if event is not None else None
            lane = message.lanes[0] if message is not None else ""
        return lane or task.subject_key, state.patient_key if state is not None else ""

    def _entry(self, action: str, task: StoredTask, actor: str, reason: str = "", **detail: Any) -> AuditEntry:
        return AuditEntry(at=self._clock.now(), actor=actor, action=action, subject=task.id, reason=reason,
                          detail={"reason": task.reason, **detail})

    async def _done(self, task: StoredTask, act: Awaitable[bool]) -> StoredTask:
        if not await act:
            now = await self._books.task(task.id)
            who = f"{now.assignee} has it" if now is not None and now.open and now.assignee else "it is closed"
            raise Refusal(TAKEN.name, who)
        changed = await self._books.task(task.id)
        if changed is None:
            raise AssertionError("a task is never deleted while it is open")
        return changed


def _reviewed(field: Extracted, actor: str) -> Extracted:
    kept = field.machine_value if field.machine_value else field.value
    return msgspec.structs.replace(field, reviewed_by=actor, machine_value=kept)
