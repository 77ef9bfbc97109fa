"""Work for a person: what must be decided, why, by when, and how it ended (FHIR Task; canonical model, 7.3)."""

from __future__ import annotations

from enum import StrEnum

from canonical.coverage import Difference
from canonical.document import Extracted
from canonical.model import Entity, Identifier, Instant, Many
from canonical.phi import Value
from canonical.presence import ABSENT, Tri


class TaskStatus(StrEnum):
    """Where a task stands."""

    READY = "ready"
    CLAIMED = "claimed"
    IN_PROGRESS = "in-progress"
    WAITING = "waiting"
    DONE = "done"
    CANCELLED = "cancelled"
    ESCALATED = "escalated"

    @property
    def terminal(self) -> bool:
        """True where nothing more is to be done."""
        return self in {TaskStatus.DONE, TaskStatus.CANCELLED}


class PriorityTerm(Value, frozen=True, kw_only=True):
    """One reason why a task is urgent, and what it adds."""

    name: str
    weight: int


class WorkTask(Entity, frozen=True, kw_only=True):
    """One question to a person. It has one reason and ends once."""

    identifiers: Many[Identifier] = ()
    """Our own number (type ``TASK``), the same for the same question however often it is asked."""
    type: Tri[str] = ABSENT
    """review-field, split-document, eligibility, authorization, orphan-answer, merge-conflict …"""
    reason: Tri[str] = ABSENT
    """``FIELD_CONFIDENCE:patient.birth_date``, ``ELIGIBILITY:inactive``: what differs, differs here (A1.4)."""
    subjects: Many[str] = ()
    """Keys of what it is about; the first is the one its outcome goes to."""
    cause: Tri[str] = ABSENT
    """Id of the event that raised it."""
    status: Tri[TaskStatus] = ABSENT
    queue: Tri[str] = ABSENT
    priority: Many[PriorityTerm] = ()
    assignee: Tri[str] = ABSENT
    created_at: Tri[Instant] = ABSENT
    due_at: Tri[Instant] = ABSENT
    waiting_until: Tri[Instant] = ABSENT
    playbook: Tri[str] = ABSENT
    """Page of the runbook that says what to do."""
    evidence: Many[Extracted] = ()
    """What the person must look at: for a doubtful field, where it stands on the page."""
    differences: Many[Difference] = ()
    """Ours and theirs side by side (X28, X39)."""
    blocks: Tri[bool] = ABSENT
    """True where the case must not go on before it is answered."""
    message_id: Tri[str] = ABSENT
    """The message it came from."""
    actions: Many[str] = ()
    """What may be answered: correct, confirm, reject, done …"""
    outcome: Tri[str] = ABSENT
    completed_by: Tri[str] = ABSENT
    completed_at: Tri[Instant] = ABSENT
    note: Tri[str] = ABSENT
