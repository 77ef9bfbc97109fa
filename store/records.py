"""What the ledger keeps, as plain records.

Times are microseconds since the epoch, UTC (SQLite loses zones; integers lose nothing). Bodies that may hold
PHI are boxed in `Phi`. A record is what a row means, not how it is laid out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.findings import Finding
from canonical.phi import MASK, Phi
from canonical.task import TaskStatus, WorkTask

#: Fields that hold what identifies a person, or the keys of his appointments.
_MASKED = frozenset({"lane", "lanes", "subject_key", "patient_key", "aliases", "merges", "dedup", "looks"})


class Record(msgspec.Struct, frozen=True):
    """Base of the records: shows itself in a traceback or a test without the keys of persons (`canonical.phi`)."""

    def __repr__(self) -> str:
        shown = (f"{name}={MASK if name in _MASKED else repr(getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(shown)})"


class MessageState(StrEnum):
    """What has become of a message on our side of the engine (its deliveries have states of their own)."""

    RECEIVED = "received"
    """Committed, to be processed. Behind a parked message of the same lane it is shown as *held*."""
    PARKED = "parked"
    """Cannot be processed; a person must act. Its lane waits."""
    PROCESSED = "processed"
    """Event, decisions and deliveries are in the ledger."""
    FILTERED = "filtered"
    """No route wants it. Accepted responsibility, nothing to do (A08)."""
    REFUSED = "refused"
    """Stored for the record; its sender was told no."""
    DISCARDED = "discarded"
    """A person decided to skip it, with a reason."""


class AckOutcome(StrEnum):
    """Whether the sender got its acknowledgement: independent of what became of the message."""

    PENDING = "pending"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    """The socket was gone. Not a failure of the message: a resend gets the same acknowledgement."""
    NOT_OWED = "not-owed"


class DeliveryState(StrEnum):
    """What has become of one delivery."""

    PENDING = "pending"
    """Due at `due_at`, in the order of its lane."""
    INFLIGHT = "inflight"
    """From the commit before the bytes touch the socket until its settlement."""
    DELIVERED = "delivered"
    PARKED = "parked"
    """Refused, unknown or out of attempts: a person must act. Its lane at this destination waits."""
    SUPERSEDED = "superseded"
    """A newer state of its subject is there already."""
    SKIPPED = "skipped"
    """A person decided, with a reason; or it was a `NewDelivery.barrier` that has done its duty."""

    @property
    def open(self) -> bool:
        """True while it stands before others of its lane."""
        return self in _OPEN


_OPEN = frozenset({DeliveryState.PENDING, DeliveryState.INFLIGHT, DeliveryState.PARKED})


class NewMessage(Record, frozen=True, kw_only=True, gc=False):
    """A message on its way into the ledger."""

    id: str
    channel: str
    raw: Phi[bytes]
    received_at: int
    control_id: str = ""
    message_type: str = ""
    sender: str = ""
    lanes: tuple[str, ...] = ()
    """Ordering keys; the first one is its lane, the others are fences. Never empty once stored."""
    charset: str = ""
    dedup: bytes = b""
    peer: str = ""
    parent_id: str = ""
    replay_of: str = ""
    state: MessageState = MessageState.RECEIVED
    findings: tuple[Finding, ...] = ()
    ack_outcome: AckOutcome = AckOutcome.PENDING


class Message(NewMessage, frozen=True, kw_only=True):
    """A stored message. `seq` is its place in the order of acceptance."""

    seq: int
    partition: int
    since: int
    """When it got into its state."""
    reason: str = ""
    """Finding code of the state, where one applies."""
    ack_code: str = ""
    revision: str = ""


class MessageQuery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Filter of a list of messages; what is empty, zero or None means *any*."""

    channel: str = ""
    state: MessageState | None = None
    message_type: str = ""
    control_id: str = ""
    reason: str = ""
    destination: str = ""
    """Messages with a delivery to it."""
    since: int = 0
    """Received at or after."""
    until: int = 0
    """Received before."""
    before_seq: int = 0
    """Older in the order of acceptance: for the next page."""
    limit: int = 100


class NewDelivery(Record, frozen=True, kw_only=True, gc=False):
    """A planned delivery, born in the transaction that stores its event."""

    id: str
    """``EVENT_ID>DESTINATION``: deterministic, so that the same plan twice is one delivery (D06)."""
    message_seq: int
    event_id: str
    destination: str
    lane: str
    partition: int
    due_at: int
    state: DeliveryState = DeliveryState.PENDING
    reason: str = ""
    priority: int = 0
    identity: str = ""
    """What an application acknowledgement names it by (the stem of its control id), where the destination gives one
    beside that of the commit; empty elsewhere."""

    @property
    def barrier(self) -> bool:
        """True for one that sends nothing: ``MESSAGE_ID!DESTINATION`` holds the lane of a survivor until the
        deliveries planned before the merge in the lane of the old number are done (A4.8)."""
        return "!" in self.id


def event_of(delivery_id: str) -> str:
    """The event of a delivery (`NewDelivery.id`)."""
    return delivery_id.partition(">")[0]


class Delivery(NewDelivery, frozen=True, kw_only=True):
    """A stored delivery."""

    attempts: int = 0
    since: int = 0
    code: str = ""
    """The peer's last word: AA, 201, AE …"""
    findings: tuple[Finding, ...] = ()


class AttemptOutcome(StrEnum):
    """The four words of a sender, and what recovery adds."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    RETRY = "retry"
    UNKNOWN = "unknown"


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt that is worth a row: every one that did not deliver, and the one that did after others."""

    delivery_id: str
    number: int
    started_at: int
    ended_at: int
    outcome: AttemptOutcome
    code: str = ""
    finding: Finding | None = None
    response: Phi[bytes] | None = None


class Turnaround(msgspec.Struct, frozen=True, gc=False):
    """How long a destination took to answer in the exchange, over all attempts of a time."""

    destination: str
    answered: int
    within: int
    """Of those: within the limit that was asked for."""
    unanswered: int
    """Attempts whose answer never came."""
    longest: int
    """Microseconds, of the slowest answer."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one attempt did to a delivery."""

    delivery_id: str
    state: DeliveryState
    attempts: int
    at: int
    due_at: int = 0
    code: str = ""
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    attempt: Attempt | None = None


class Conclusion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a word that came apart does to a delivery that is not under way: only if it still is as it was."""

    delivery_id: str
    was: DeliveryState
    was_reason: str
    state: DeliveryState
    reason: str = ""
    code: str = ""
    findings: tuple[Finding, ...] = ()


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a rule or a scorer said about an event, with everything needed to say it again."""

    id: str
    event_id: str
    kind: str
    """triage, score, route"""
    body: dict[str, Any]
    """Rule ids with revision, scorer name and version, answer, threshold, outcome. Names and codes, no PHI."""
    at: int


class State(Record, frozen=True, kw_only=True, gc=False):
    """The present state of one subject: the fold of its events (see `canonical.history`)."""

    subject_key: str
    version: str
    """Sort key of the newest event folded in (`canonical.event.Version.at`/`tie`)."""
    event_id: str
    entity: AnyEntity
    patient_key: str = ""


class Processed(Record, frozen=True, kw_only=True, gc=False):
    """Everything that one message sets in motion: stored in one transaction (step 5 of its life)."""

    message_seq: int
    message_id: str
    state: MessageState
    at: int
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    revision: str = ""
    events: tuple[Event, ...] = ()
    states: tuple[State, ...] = ()
    deliveries: tuple[NewDelivery, ...] = ()
    decisions: tuple[Decision, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    """(old subject key, surviving subject key), from merges; a pair (key, key) undoes one."""
    merges: tuple[tuple[str, str, str, str], ...] = ()
    """(key of a person, ``old``, ``new`` or ``apart``, key of the other, id of the event that says so): what was ever said
    of two records being one, or two again. Kept for good, so that whose a late message is can be told by its version."""
    superseded: tuple[str, ...] = ()
    """Ids of pending deliveries that newer state makes pointless."""
    fences: bool = False
    """True for a message with more than one lane: its fences are lifted in the same transaction."""
    wanted: bool = True
    """False where nobody is bound to its events: they count as published at once."""
    messages: tuple[NewMessage, ...] = ()
    """Messages of ours that follow from it. One whose id is known already is not stored again."""
    looks: tuple[str, ...] = ()
    """Keys of the cases that must be looked at because of it (`Look`)."""
    concluded: tuple[Conclusion, ...] = ()
    """What it says of deliveries of ours: an application acknowledgement that came as a message."""


class Look(Record, frozen=True, gc=False):
    """A case that must be looked at, at `due_at` or as soon after as can be. One a case: a newer one replaces it."""

    subject_key: str
    partition: int
    """That of the key: all looks at a case have one worker, wherever the messages about it are processed."""
    due_at: int
    token: str
    """Changes whenever somebody asks anew: what was asked for during a look is not forgotten by it."""


class NewTask(Record, frozen=True, kw_only=True, gc=False):
    """A question to a person, as the rules ask it (`workflow`)."""

    id: str
    """Deterministic: the same question is the same task however often it is asked."""
    subject_key: str
    """The case it belongs to."""
    type: str
    reason: str
    queue: str
    priority: int
    created_at: int
    due_at: int = 0
    """0: whenever there is time."""
    message_id: str = ""
    task: WorkTask
    """The whole question with its evidence, as it was when it was asked."""


class StoredTask(NewTask, frozen=True, kw_only=True):
    """A task with what became of it."""

    status: TaskStatus = TaskStatus.READY
    since: int = 0
    assignee: str = ""
    claimed_until: int = 0
    """After that somebody else may claim it."""
    outcome: str = ""
    """correct, confirm, reject, done, match; ``resolved`` where the reason for it went away by itself."""
    completed_by: str = ""
    completed_at: int = 0
    note: Phi[str] = Phi("")

    @property
    def open(self) -> bool:
        """True while it waits for somebody."""
        return not self.status.terminal

    def free_for(self, actor: str, now: int) -> bool:
        """True where `actor` may take it or answer it: nobody else holds it."""
        return self.open and (self.assignee in {"", actor} or self.claimed_until <= now)


class TaskQuery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Filter of a list of tasks; what is empty means *any*, but only open ones unless `closed`."""

    queue: str = ""
    type: str = ""
    reason: str = ""
    """The reason or its beginning: ``ELIGIBILITY:``."""
    assignee: str = ""
    subject_key: str = ""
    status: TaskStatus | None = None
    closed: bool = False
    """Those that are done or cancelled instead."""
    limit: int = 100


class Looked(Record, frozen=True, kw_only=True, gc=False):
    """What one look at a case came to: stored in one transaction."""

    subject_key: str
    token: str
    """Of the look: where somebody asked anew meanwhile, the case stays due."""
    at: int
    next_at: int = 0
    """When time alone may change the answer; 0: never."""
    opened: tuple[NewTask, ...] = ()
    """Asked for the first time, or again after its reason had gone away by itself."""
    closed: tuple[str, ...] = ()
    """Ids of tasks whose reason has gone away."""
    messages: tuple[NewMessage, ...] = ()
    """Commands and what else follows: see `Processed.messages`."""
    looks: tuple[str, ...] = ()
    """Further cases that must be looked at."""


class Fence(Record, frozen=True, gc=False):
    """A message of another partition that stands in a lane of this one until it is processed."""

    lane: str
    message_seq: int
    home: int
    """The partition that processes it."""


class Lease(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The right to process one partition. Every mutation of dispatch takes one and fails without it."""

    partition: int
    owner: str
    epoch: int
    expires_at: int


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who did what to what, when and why. Chained by hash: see `store.audit`."""

    at: int
    actor: str
    action: str
    """``message.viewed``, ``delivery.replayed``, ``delivery.skipped``, ``config.applied`` …"""
    subject: str
    reason: str = ""
    detail: dict[str, Any] = msgspec.field(default_factory=dict)
