"""The ledger: the queue and the truth. The only room that speaks SQL.

Three twins fulfil this contract and pass one test suite: `store.memory`, and `store.sql` on SQLite and on
PostgreSQL. Every write is one of a few kinds of operation; a single writer commits whatever has gathered in
one transaction (group commit), so the price of a commit is shared by all connections and all stages.

A method that writes returns after the commit that made it durable, and not before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from canonical.event import Event
from canonical.receipt import Receipt
from store.records import (
    AckOutcome,
    Attempt,
    AuditEntry,
    Decision,
    Delivery,
    DeliveryState,
    Fence,
    Lease,
    Look,
    Looked,
    Message,
    MessageQuery,
    NewDelivery,
    NewMessage,
    Processed,
    Settlement,
    State,
    StoredTask,
    TaskQuery,
    Turnaround,
)


class LedgerUnavailable(Exception):  # noqa: N818 - a state of the world, expected and handled
    """The database is away or refuses to commit. Nothing of the operation was stored."""


class LeaseLost(Exception):  # noqa: N818 - a state of the world, expected and handled
    """The partition has a new owner; the operation was not carried out. Stop working on the partition."""


class Intake(Protocol):
    """What the one door needs."""

    async def append(self, message: NewMessage) -> Receipt:
        """Commit a message; duplicates (same channel and `dedup`, or same id) get the first receipt again.

        Lanes of merged patients become those of their survivors (`store.aliases.landed`); the receipt says where it
        is processed.

        The verdict of a message stored as REFUSED is REFUSED with its finding. It may itself be a duplicate of an
        accepted one (and gets its receipt), but nothing is ever a duplicate of it: once the cause of the refusal is
        mended, a resend is a new message.

        Raises:
            LedgerUnavailable: it is not stored.
        """

    def note_ack(self, message_id: str, code: str, outcome: AckOutcome) -> None:
        """Remember what became of the acknowledgement. Not awaited: it travels with a later commit."""


class Work(Protocol):
    """What the worker of a partition needs. `lease` guards every write."""

    async def acquire(self, partition: int, owner: str, now: int, ttl_s: float) -> Lease | None:
        """Take the lease if it is free, expired or ours already (epoch + 1 unless ours); None otherwise."""

    async def renew(self, lease: Lease, now: int, ttl_s: float) -> Lease:
        """Prolong. Raises LeaseLost."""

    async def release(self, lease: Lease) -> None:
        """Give up at once; a lost lease is no error."""

    async def received(self, partition: int, after_seq: int, limit: int) -> Sequence[Message]:
        """Messages in state RECEIVED of a partition with ``seq > after_seq``, oldest first.

        `after_seq` only saves reading again what the caller holds in memory. It is no cursor: where several
        processes accept messages, a lower seq can become visible after a higher one, and a requeued message
        keeps its seq. Whoever remembers a seq must read from 0 again every now and then.
        """

    async def parked_lanes(self, partition: int) -> Mapping[str, int]:
        """Lanes with a parked message, and the seq of the oldest: later messages of the lane are held."""

    async def fences(self, partition: int) -> Sequence[Fence]:
        """Unprocessed messages of other partitions that stand in lanes of this one."""

    async def reused(self, seqs: Collection[int]) -> Collection[int]:
        """Those of some messages whose control id the same sender has used before on the same channel, for another
        content (D01): what is the same in all is a duplicate and no message of its own. Refused ones do not count."""

    async def clear_before(self, lanes: Collection[str], seq: int) -> bool:
        """True where no unprocessed (received or parked) message older than `seq` stands in a lane."""

    async def states(self, subject_keys: Collection[str]) -> Mapping[str, State]:
        """Present state of subjects; unknown ones are missing."""

    async def aliases(self, subject_keys: Collection[str]) -> Mapping[str, str]:
        """Survivors of merged subjects; those never merged are missing. Chains are followed to the end; a subject
        whose merge was undone is its own survivor."""

    async def merges(self, subject_keys: Collection[str]) -> Sequence[tuple[str, str, str, Event]]:
        """What was ever said of these persons being one with another (`Processed.merges`), with the events."""

    async def history(self, subject_key: str) -> Sequence[Event]:
        """All events of a subject in version order."""

    async def open_of(self, patient_keys: Collection[str]) -> Sequence[State]:
        """States of persons that are not closed (`store.retention.closed`): their visits, and they themselves."""

    async def commit(self, lease: Lease, processed: Sequence[Processed]) -> None:
        """Store what messages set in motion, each whole or not at all. Raises LeaseLost, LedgerUnavailable.

        A message that is no longer RECEIVED is left as it is, so a second commit of the same has no effect. With the
        aliases of a merge, in the same transaction, what waits in the lane of the old number is put into that of the
        survivor as well (`store.aliases.landed`).
        """

    async def due_looks(self, partition: int, now: int, limit: int) -> Sequence[Look]:
        """Cases of a partition that are due to be looked at, longest due first."""

    async def tasks_of(self, subject_keys: Collection[str]) -> Sequence[StoredTask]:
        """Every task of these cases, open or not, by id."""

    async def commit_looks(self, lease: Lease, looked: Sequence[Looked]) -> None:
        """Store what looks came to, in one transaction. Raises LeaseLost, LedgerUnavailable.

        A task that a person has answered stays answered; one that had closed by itself is opened again. A task that
        a person answers at the same time is not closed by it.
        """

    async def open_deliveries(self, partition: int) -> Sequence[Delivery]:
        """Everything PENDING, INFLIGHT or PARKED of a partition, in (message_seq, id) order."""

    async def named(self, identities: Collection[str]) -> Sequence[Delivery]:
        """Deliveries by `NewDelivery.identity`, in order; those of an empty one cannot be asked for."""

    async def behind(self, message_seq: int) -> Collection[str]:
        """Destinations with an open delivery of an older message in a further lane of this message."""

    async def events(self, event_ids: Collection[str]) -> Mapping[str, Event]:
        """Events by id."""

    async def inflight(self, lease: Lease, delivery_ids: Sequence[str], at: int,
                       scopes: Mapping[str, str] | None = None) -> Collection[str]:
        """Mark as in flight: called, and committed, before the first byte leaves.

        Args:
            scopes: delivery id → sequence in which it needs a control number. Those that are marked have it reserved
                in the same transaction; `Numbers.number` tells it.

        Returns:
            The ids that are in flight now. One that is missing was not PENDING any more (a person skipped it
            meanwhile): it must not be sent.
        """

    async def settle(self, lease: Lease, settlements: Sequence[Settlement]) -> None:
        """Store what attempts came to. A delivery that is no longer open is left as it is."""

    async def unpublished(self, limit: int) -> Sequence[Event]:
        """Outbox: events that the broker has not confirmed yet, oldest first."""

    async def published(self, event_ids: Sequence[str]) -> None:
        """The broker has confirmed them."""


class Lookup(Protocol):
    """What answering a question needs: it reads and nothing else."""

    async def states(self, subject_keys: Collection[str]) -> Mapping[str, State]:
        """Present state of subjects; unknown ones are missing."""

    async def aliases(self, subject_keys: Collection[str]) -> Mapping[str, str]:
        """Survivors of merged subjects (see `Work`)."""

    async def subjects(self, kind: str, after: str, limit: int) -> Sequence[State]:
        """Present states of the subjects of a kind (``patient``) in the order of their keys.

        Args:
            after: the last key read before; empty to begin.
        """


class Desk(Protocol):
    """What people need: look, understand, decide. Every decision is audited in the same transaction."""

    async def find(self, query: MessageQuery) -> Sequence[Message]:
        """Newest first."""

    async def message(self, id_or_control_id: str) -> Message | None:
        """By id, by unique prefix of an id, or the newest with that control id."""

    async def raw_bytes(self, message_id: str) -> bytes | None:
        """The immutable raw content."""

    async def deliveries(self, message_seqs: Collection[int]) -> Sequence[Delivery]:
        """Deliveries of messages, in order."""

    async def find_deliveries(self, *, destination: str = "", state: DeliveryState | None = None,
                              reason: str = "", limit: int = 1000) -> Sequence[Delivery]:
        """Deliveries by destination, state and reason, oldest first."""

    async def attempts(self, delivery_ids: Collection[str]) -> Sequence[Attempt]:
        """Attempts in order."""

    async def turnaround(self, destinations: Collection[str], since: int, until: int, limit: int) -> Sequence[Turnaround]:
        """How long some destinations took to answer attempts that began from `since` on and before `until`.

        Answers are those that were worth an `Attempt` although they delivered, and refusals.

        Args:
            limit: microseconds that an answer may take.
        """

    async def events_of(self, message_ids: Collection[str]) -> Sequence[Event]:
        """Events that messages became."""

    async def decisions(self, event_ids: Collection[str]) -> Sequence[Decision]:
        """What rules and scorers said."""

    async def state_of(self, subject_key: str) -> State | None:
        """Present state of a subject."""

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """``{"messages": {state: n}, "deliveries": {"DESTINATION/STATE": n}, "outbox": {"unpublished": n}}``"""

    async def parked(self) -> Sequence[tuple[str, str, str, int, int, int]]:
        """Clusters of what waits for people: (what, channel or destination, reason, count, oldest, newest)."""

    async def requeue_messages(self, message_ids: Sequence[str], audit: AuditEntry) -> int:
        """PARKED -> RECEIVED. Returns how many were parked."""

    async def discard_messages(self, message_ids: Sequence[str], audit: AuditEntry) -> int:
        """PARKED -> DISCARDED; the lane flows again."""

    async def requeue_deliveries(self, delivery_ids: Sequence[str], due_at: int, audit: AuditEntry) -> int:
        """PARKED -> PENDING with a fresh budget of attempts."""

    async def settle_deliveries(self, delivery_ids: Sequence[str], state: DeliveryState, reason: str,
                                audit: AuditEntry) -> int:
        """PARKED or PENDING -> SKIPPED or SUPERSEDED; DELIVERED where a person knows the peer has it."""

    async def add_deliveries(self, deliveries: Sequence[NewDelivery], audit: AuditEntry) -> int:
        """Replay of delivered work: new deliveries of old events (ids end in ``#N``)."""

    async def tasks(self, query: TaskQuery) -> Sequence[StoredTask]:
        """Highest priority first, then the one due soonest (those without a date last), then the oldest."""

    async def task(self, id_or_prefix: str) -> StoredTask | None:
        """By id or unique prefix of one."""

    async def task_counts(self) -> Mapping[tuple[str, str], int]:
        """{(queue, status): how many}"""

    async def claim_task(self, task_id: str, actor: str, until: int, audit: AuditEntry) -> bool:
        """Take a task that nobody else holds; False where somebody does, or it is closed. Of two people who claim
        one at the same moment, one gets True. Audited where True."""

    async def release_task(self, task_id: str, actor: str, audit: AuditEntry) -> bool:
        """Give a task back that `actor` holds. Audited where True."""

    async def finish_task(self, task_id: str, actor: str, outcome: str, note: str, message: NewMessage,
                          audit: AuditEntry) -> bool:
        """Answer a task that nobody else holds, and accept `message`, which says so to the engine, in one
        transaction. False where somebody else holds it, or it is closed: then nothing is stored. Audited where True.
        """

    async def audit(self, entry: AuditEntry) -> None:
        """Append to the audit trail."""

    def audit_trail(self, after: int = 0) -> AsyncIterator[tuple[int, AuditEntry, bytes]]:
        """(number, entry, hash) in order."""

    async def verify_audit(self) -> tuple[int, int | None]:
        """(entries read, number of the first that does not fit its chain or None)."""


class Keeper(Protocol):
    """What the house itself needs: start, stop, tidy up, remember revisions."""

    async def start(self) -> None:
        """Open, migrate to the newest schema. Raises LedgerUnavailable with a clear reason."""

    async def stop(self) -> None:
        """Commit what has gathered, then close."""

    async def keep_revision(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Store the content of mapping and configuration files under their hash; again is no effect."""

    async def revision(self, digest: str) -> Mapping[str, bytes] | None:
        """Files of a revision."""

    async def purge(self, before: int, limit: int) -> int:
        """Delete finished messages received before `before` with all that hangs on them; never unfinished
        work, never the audit trail, never the events of a subject that is still open. Returns how many."""


class Numbers(Protocol):
    """Numbers that partners see (X07): persistent, never twice, without gaps, never reset by a restart.

    A `scope` names a sequence: ``x12:ISA:SENDER:RECEIVER``. A `holder` is what a number belongs to: the id of a
    delivery or of the message that an acknowledgement answers; for what came in, a hash of the content.
    """

    async def number(self, scope: str, holder: str, at: int) -> int:
        """The number of `holder` in a sequence: the next one, from 1, at the first call, and the same ever after.

        The number and its holder are one commit. What is not committed uses no number up, so that there are no gaps;
        a repeated attempt has the number of the first. (`Work.inflight` reserves in the commit that marks a delivery.)
        """

    async def claim(self, scope: str, number: int, holder: str, at: int) -> str:
        """Whose a number of a partner is: `holder`'s, if nobody had it before; otherwise the first holder's.

        Another answer than `holder` is a duplicate control number with other content.
        """

    async def numbered(self, scope: str, since: int, limit: int) -> Sequence[tuple[int, str, int]]:
        """(number, holder, when) of a sequence, since a moment, oldest first."""

    async def holder(self, scope: str, number: int) -> str:
        """Whose a number is: what a partner's acknowledgement speaks of. Empty where nobody has it (any more)."""


class Ledger(Intake, Work, Lookup, Desk, Keeper, Numbers, Protocol):
    """All of it. Callers take the part they need."""

    partitions: int
    """Over how many of them lanes are spread; known once it has started."""
