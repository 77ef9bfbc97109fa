"""Tasks as people see them: what is asked, why, by when, and on what evidence. Values are masked unless revealed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from canonical.document import Extracted, PageBox
from canonical.phi import MASK
from console.clock import iso
from store.ledger import Desk
from store.records import StoredTask, TaskQuery
from workflow.case import ours


class TaskRow(msgspec.Struct, kw_only=True):
    """One task in a list."""

    id: str
    type: str
    reason: str
    queue: str
    priority: int
    status: str
    created: str
    due: str = ""
    overdue: bool = False
    assignee: str = ""
    claimed_until: str = ""
    blocks: bool = False
    """The case must not go on before it is answered."""
    message: str = ""
    """Id of the message it came from."""


class TaskList(msgspec.Struct, kw_only=True):
    """The most urgent first; and how many wait in each queue."""

    tasks: list[TaskRow]
    queues: dict[str, int] = {}


class EvidenceView(msgspec.Struct, kw_only=True):
    """One field as it was read, and where it stands."""

    field: str
    page: int = 0
    box: list[int] = []
    """Left, top, width, height in thousandths of the page."""
    confidence: int | None = None
    """Thousandths."""
    value: str = ""
    raw: str = ""
    alternatives: list[str] = []
    template: str = ""
    checks: list[str] = []
    """``npi: invalid (extract.check_digit)``"""


class DifferenceView(msgspec.Struct, kw_only=True):
    """Ours and theirs."""

    field: str
    ours: str = ""
    theirs: str = ""


class TaskView(msgspec.Struct, kw_only=True):
    """One task on one screen."""

    task: TaskRow
    subjects: list[str]
    evidence: list[EvidenceView] = []
    differences: list[DifferenceView] = []
    playbook: str = ""
    actions: list[str] = []
    outcome: str = ""
    completed_by: str = ""
    completed: str = ""
    note: str = ""
    commands: list[str] = []
    """What may be typed about it."""
    touched_by: list[str] = []


class Judged(msgspec.Struct, kw_only=True):
    """What a person said of what the machine had read."""

    task: str
    field: str
    template: str
    confidence: int | None
    right: bool
    """The machine's value was confirmed."""
    by: str
    at: str
    machine: str = ""
    """Only where revealed."""


class JudgedList(msgspec.Struct, kw_only=True):
    """For calibration: promised confidence against what people found."""

    judged: list[Judged]
    bands: dict[str, list[int]] = {}
    """By tenth of confidence: how many were right, of how many."""


def task_row(task: StoredTask, now: int) -> TaskRow:
    """One line."""
    return TaskRow(
        id=task.id, type=task.type, reason=task.reason, queue=task.queue, priority=task.priority,
        status=task.status.value, created=iso(task.created_at), due=iso(task.due_at),
        overdue=bool(task.open and task.due_at and task.due_at <= now), assignee=task.assignee,
        claimed_until=iso(task.claimed_until), blocks=task.task.blocks is True, message=task.message_id)


async def task_list(desk: Desk, query: TaskQuery, now: int) -> TaskList:
    """Tasks that fit."""
    queues: dict[str, int] = {}
    for (queue, status), count in sorted((await desk.task_counts()).items()):
        if status not in {"done", "cancelled"}:
            queues[queue] = queues.get(queue, 0) + count
    return TaskList(tasks=[task_row(task, now) for task in await desk.tasks(query)], queues=queues)


def _shown(value: object, reveal: bool) -> str:
    text = str(value or "")
    return text if reveal or not text else MASK


def subject(key: str, reveal: bool) -> str:
    """A key as it may be shown: numbers of ours name nobody."""
    return key if reveal or ours(key) else f"{key.partition(':')[0]}:{MASK}"


def _evidence(field: Extracted, reveal: bool) -> EvidenceView:
    box = field.box if isinstance(field.box, PageBox) else None
    return EvidenceView(
        field=field.field, page=box.page if box else 0,
        box=[box.left, box.top, box.width, box.height] if box else [],
        confidence=field.confidence if isinstance(field.confidence, int) else None,
        value=_shown(field.value, reveal), raw=_shown(field.raw, reveal),
        alternatives=[_shown(one.value, reveal) for one in field.alternatives or ()], template=str(field.template or ""),
        checks=[f"{one.validator}: {one.verdict.value}" + (f" ({one.finding})" if one.finding else "")
                for one in field.validations or ()])


async def task_view(desk: Desk, task: StoredTask, now: int, *, reveal: bool) -> TaskView:
    """One task whole."""
    of = task.task
    touched = [f"{iso(entry.at)} {entry.actor}: {entry.action}" + (f" ({entry.reason})" if entry.reason else "")
               async for _, entry, _ in desk.audit_trail() if entry.subject == task.id]
    return TaskView(
        task=task_row(task, now), subjects=[subject(key, reveal) for key in of.subjects or ()],
        evidence=[_evidence(field, reveal) for field in of.evidence or ()],
        differences=[DifferenceView(field=one.field, ours=_shown(one.ours, reveal), theirs=_shown(one.theirs, reveal))
                     for one in of.differences or ()],
        playbook=str(of.playbook or ""), actions=list(of.actions or ()), outcome=task.outcome,
        completed_by=task.completed_by, completed=iso(task.completed_at), note=_shown(task.note.reveal(), reveal),
        commands=_commands(task) if task.open else [], touched_by=touched)


def _commands(task: StoredTask) -> list[str]:
    more = {"correct": " --value TEXT", "match": " --to TRACE", "reject": " --note TEXT"}
    claim = [] if task.assignee else [f"dragoman tasks claim {task.id}"]
    return claim + [f"dragoman tasks {action} {task.id}{more.get(action, '')}" for action in task.task.actions or ()]


def judged_list(tasks: Sequence[StoredTask], *, reveal: bool) -> JudgedList:
    """Every field that a person has judged, the newest first."""
    found = []
    bands: dict[str, list[int]] = {}
    for task in sorted(tasks, key=lambda one: -one.completed_at):
        field = next(iter(task.task.evidence or ()), None)
        if field is None or task.outcome not in {"correct", "confirm"}:
            continue
        confidence = field.confidence if isinstance(field.confidence, int) else None
        right = task.outcome == "confirm"
        found.append(Judged(task=task.id, field=field.field, template=str(field.template or ""), confidence=confidence,
                            right=right, by=task.completed_by, at=iso(task.completed_at),
                            machine=_shown(field.value, reveal) if reveal else ""))
        if confidence is not None:
            low = min(confidence // 100, 9) / 10
            band = bands.setdefault(f"{low:.1f}-{low + 0.1:.1f}", [0, 0])
            band[0] += right
            band[1] += 1
    return JudgedList(judged=found, bands=dict(sorted(bands.items())))
