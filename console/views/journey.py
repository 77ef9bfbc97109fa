"""The whole path of one message: what came, what rule, what went, who touched it.

Everything that may identify a person is masked unless `reveal` is given (Z10); the caller has then written
the audit row that says who asked and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from canonical.event import Event
from canonical.phi import MASK
from console.clock import clock, distance, iso
from console.views.findings import FindingView, finding_view, finding_views
from console.views.messages import MessageRow, parked_messages, row
from console.views.tasks import TaskRow, task_row
from router.repeats import DUPLICATE, REVISION
from store.ledger import Desk, Ledger
from store.records import Attempt, Decision, Delivery, DeliveryState, Message, MessageState

#: Reasons of messages whose documents were linked to earlier ones.
LINKED: Final = frozenset({DUPLICATE.name, REVISION.name})


class LineageRow(msgspec.Struct, kw_only=True):
    """Where one canonical leaf came from."""

    field: str
    value: str
    source: str = ""
    """Path in the input."""
    row: str = ""
    """``file:line`` of the mapping row."""
    code_row: str = ""
    """``file:line`` of the code table's row that translated it."""
    how: str = ""
    """``value``, ``default``, ``rule``, ``row``: see `mapper.recorder.Lineage`."""


class Lineage(msgspec.Struct, kw_only=True):
    """A traced re-run: the hot path does not pay for it."""

    rows: list[LineageRow] = []
    unread: list[str] = []
    """Input that no row read."""
    note: str = ""
    """Which revision was used, or why there is no lineage."""


class Explainer(Protocol):
    """Recomputes what the ledger does not keep: the lineage of a message's events."""

    def lineage(self, message: Message, raw: bytes, files: Mapping[str, bytes] | None, *,
                reveal: bool) -> Lineage:
        """Trace the mapping of a channel again. Never raises for what is in the message.

        Args:
            message: as stored.
            raw: its bytes.
            files: the tables of its revision; None where they are not kept.
            reveal: with values.
        """


class AttemptView(msgspec.Struct, kw_only=True):
    """One attempt to deliver."""

    number: int
    started_at: str
    took: str
    outcome: str
    code: str = ""
    finding: FindingView | None = None
    response: str = ""


class DeliveryView(msgspec.Struct, kw_only=True):
    """One delivery: where it stands, why, and what happens next."""

    id: str
    destination: str
    state: str
    since: str
    attempts: int
    code: str = ""
    reason: str = ""
    next: str = ""
    """One sentence: what happens next and when."""
    command: str = ""
    """What a person may type about it."""
    findings: list[FindingView] = []
    tries: list[AttemptView] = []


class DecisionView(msgspec.Struct, kw_only=True):
    """What a rule, a scorer or the router said."""

    kind: str
    at: str
    body: dict[str, Any]


class EventView(msgspec.Struct, kw_only=True):
    """What the message became."""

    id: str
    type: str
    subject: str
    version: str
    basis: str
    occurred_at: str
    revision: str
    decisions: list[DecisionView] = []
    deliveries: list[DeliveryView] = []


class Journey(msgspec.Struct, kw_only=True):
    """One message on one screen."""

    message: MessageRow
    sender: str
    peer: str
    bytes: int
    revision: str
    replay_of: str = ""
    next: str = ""
    command: str = ""
    findings: list[FindingView] = []
    events: list[EventView] = []
    lineage: Lineage | None = None
    raw: str = ""
    """The message itself, one segment a line; only when revealed."""
    touched_by: list[str] = []
    """People's decisions about it, from the audit trail."""
    tasks: list[TaskRow] = []
    """What people have to do, or had, about the subjects of its events."""


def what_next(delivery: Delivery, older: Sequence[Delivery], now: int) -> tuple[str, str]:
    """What happens next to a delivery, and the command that changes it. `older`: open ones of its lane."""
    state = delivery.state
    if state is DeliveryState.PARKED:
        return ("waits for a person; later deliveries of its lane wait behind it",
                f"dragoman replay --delivery '{delivery.id}'")
    if state is DeliveryState.INFLIGHT:
        return "is being sent; settles with the answer, or is recovered when its worker dies", ""
    if state is not DeliveryState.PENDING:
        return "", ""
    if older:
        first = older[0]
        return (f"waits behind {first.id} ({first.state.value}) of the same lane",
                f"dragoman show '{first.id.split('.')[0]}'")
    number = f"attempt {delivery.attempts + 1}"
    if delivery.due_at <= now:
        return f"{number} is due now", ""
    return f"{number} in {distance(delivery.due_at - now)}, at {clock(delivery.due_at)} UTC", ""


def message_next(line: MessageRow) -> tuple[str, str]:
    """What happens next to a message on our side, and the command that changes it."""
    if line.held_behind:
        return f"held until {line.held_behind} is replayed or skipped", f"dragoman show {line.held_behind}"
    if line.state == MessageState.PARKED.value:
        return ("waits for a person, and holds its lane: fix the cause, then replay; or skip it",
                f"dragoman replay {line.id}")
    if line.state == MessageState.RECEIVED.value:
        return "is processed next in its lane", ""
    return "", ""


def _attempt(attempt: Attempt, reveal: bool) -> AttemptView:
    response = ""
    if attempt.response is not None:
        response = attempt.response.reveal().decode("utf-8", "replace") if reveal else MASK
    return AttemptView(
        number=attempt.number, started_at=iso(attempt.started_at),
        took=distance(attempt.ended_at - attempt.started_at), outcome=attempt.outcome.value, code=attempt.code,
        finding=finding_view(attempt.finding) if attempt.finding else None, response=response)


async def _older(desk: Desk, delivery: Delivery) -> list[Delivery]:
    """Open deliveries of the same lane and destination that stand before this one."""
    if delivery.state is not DeliveryState.PENDING:
        return []
    found: list[Delivery] = []
    for state in (DeliveryState.PARKED, DeliveryState.INFLIGHT, DeliveryState.PENDING):
        found += await desk.find_deliveries(destination=delivery.destination, state=state)
    place = (delivery.message_seq, delivery.id)
    return sorted((other for other in found
                   if other.lane == delivery.lane and (other.message_seq, other.id) < place),
                  key=lambda other: (other.message_seq, other.id))


async def _delivery(desk: Desk, delivery: Delivery, tries: Sequence[Attempt], now: int,
                    reveal: bool) -> DeliveryView:
    sentence, command = what_next(delivery, await _older(desk, delivery), now)
    return DeliveryView(
        id=delivery.id, destination=delivery.destination, state=delivery.state.value,
        since=iso(delivery.since), attempts=delivery.attempts, code=delivery.code, reason=delivery.reason,
        next=sentence, command=command, findings=finding_views(delivery.findings),
        tries=[_attempt(attempt, reveal) for attempt in tries])


def _event(event: Event, decisions: Sequence[Decision], deliveries: list[DeliveryView],
           reveal: bool) -> EventView:
    kind = event.subject_key.partition(":")[0]
    return EventView(
        id=event.id, type=event.type, subject=event.subject_key if reveal else f"{kind}:{MASK}",
        version=event.version.at, basis=event.version.basis.value, occurred_at=event.occurred_at,
        revision=event.revision, deliveries=deliveries,
        decisions=[DecisionView(kind=item.kind, at=iso(item.at), body=item.body) for item in decisions])


async def _touched(desk: Desk, message_id: str, limit: int = 20) -> list[str]:
    """The newest audit entries about a message or its deliveries."""
    lines: list[str] = []
    async for _, entry, _ in desk.audit_trail():
        about = entry.detail.get("ids") or ()
        if entry.subject.startswith(message_id) or any(str(item).startswith(message_id) for item in about):
            reason = f": {entry.reason}" if entry.reason else ""
            lines.append(f"{iso(entry.at)} {entry.actor} {entry.action}{reason}")
    return lines[-limit:]


async def journey(desk: Ledger, message: Message, explainer: Explainer, now: int, *,
                  reveal: bool = False) -> Journey:
    """Everything the ledger knows of a message, and the lineage it need not keep."""
    raw = await desk.raw_bytes(message.id) or b""
    events = await desk.events_of([message.id])
    deliveries = await desk.deliveries([message.seq])
    attempts = await desk.attempts([delivery.id for delivery in deliveries])
    decisions = await desk.decisions([event.id for event in events])
    views: dict[str, list[DeliveryView]] = {}
    counts: dict[str, int] = {}
    for delivery in deliveries:
        tries = [attempt for attempt in attempts if attempt.delivery_id == delivery.id]
        views.setdefault(delivery.event_id, []).append(await _delivery(desk, delivery, tries, now, reveal))
        counts[delivery.state.value] = counts.get(delivery.state.value, 0) + 1
    files = await desk.revision(message.revision) if message.revision else None
    line = row(message, await parked_messages(desk), counts)
    sentence, command = message_next(line)
    if message.reason in LINKED:
        command = command or f"dragoman release {message.id} --reason TEXT   (only if it is another one)"
    return Journey(
        message=line, sender=message.sender, peer=message.peer, bytes=len(raw), revision=message.revision,
        replay_of=message.replay_of, next=sentence, command=command, findings=finding_views(message.findings),
        events=[_event(event, [item for item in decisions if item.event_id == event.id],
                       views.get(event.id, []), reveal) for event in events],
        lineage=explainer.lineage(message, raw, files, reveal=reveal),
        raw=raw.decode(message.charset or "utf-8", "replace").replace("\r", "\n") if reveal else "",
        touched_by=await _touched(desk, message.id),
        tasks=[task_row(task, now) for task in await desk.tasks_of({event.subject_key for event in events})])
