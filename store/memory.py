"""The ledger in memory: same words, same answers, nothing survives.

For tests and for dry runs. It is also the shortest full description of what the SQL ledger must do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

import msgspec

from canonical.event import Event
from canonical.receipt import Receipt, ReceiptMint, Verdict
from store import audit as chain
from store.aliases import landed, link, survivor
from store.ledger import LeaseLost
from store.memory_tasks import MemoryTasks
from store.partition import partition_of
from store.records import (
    AckOutcome,
    Attempt,
    AttemptOutcome,
    AuditEntry,
    Decision,
    Delivery,
    DeliveryState,
    Fence,
    Lease,
    Message,
    MessageQuery,
    MessageState,
    NewDelivery,
    NewMessage,
    Processed,
    Settlement,
    State,
    Turnaround,
)
from store.retention import FINISHED, UNPROCESSED, closed
from store.rules import ANSWERED, DECIDED, receipt_for, stored

_PENDING, _INFLIGHT, _PARKED = DeliveryState.PENDING, DeliveryState.INFLIGHT, DeliveryState.PARKED


class MemoryLedger(MemoryTasks):
    """See `store.ledger.Ledger` for the meaning of every method.

    Args:
        partitions: how many partitions lanes are spread over.
        outbox: False where no subscriber takes events: they count as published at once.
    """

    def __init__(self, *, partitions: int = 16, outbox: bool = True) -> None:
        super().__init__()
        self.partitions = partitions
        self._outbox = outbox
        self._mint = ReceiptMint()
        self._seq = 0
        self._messages: dict[int, Message] = {}
        self._seq_by_id: dict[str, int] = {}
        self._seq_by_dedup: dict[tuple[str, bytes], int] = {}
        self._first_said: dict[tuple[str, str, str], int] = {}
        self._unprocessed: set[int] = set()
        self._leases: dict[int, Lease] = {}
        self._events: dict[str, Event] = {}
        self._unpublished: dict[str, None] = {}
        self._decisions: dict[str, Decision] = {}
        self._states: dict[str, State] = {}
        self._aliases: dict[str, str] = {}
        self._merges: dict[tuple[str, str, str, str], None] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._attempts: dict[tuple[str, int, int], Attempt] = {}
        self._numbers: dict[tuple[str, int], tuple[str, int]] = {}
        """(scope, number) → (holder, since when)."""
        self._last_numbers: Counter[str] = Counter()
        self._trail: list[chain.Link] = []
        self._head = chain.Head()
        self._revisions: dict[str, dict[str, bytes]] = {}

    # -- intake -------------------------------------------------------------------------------------------

    async def append(self, message: NewMessage) -> Receipt:
        return self._append(message)

    def _append(self, message: NewMessage) -> Receipt:
        first = self._seq_by_id.get(message.id)
        if first is None and message.dedup:
            first = self._seq_by_dedup.get((message.channel, message.dedup))
        if first is not None:
            return receipt_for(self._mint, self._messages[first], Verdict.DUPLICATE)
        self._seq += 1
        self._messages[self._seq] = new = self._landed(stored(message, self._seq, self.partitions))
        self._seq_by_id[new.id] = new.seq
        if new.control_id and new.state is not MessageState.REFUSED:
            self._first_said.setdefault((new.channel, new.sender, new.control_id), new.seq)
        if new.dedup:
            self._seq_by_dedup[new.channel, new.dedup] = new.seq
        if new.state in UNPROCESSED:
            self._unprocessed.add(new.seq)
        return receipt_for(self._mint, new, Verdict.ACCEPTED)

    def _landed(self, message: Message) -> Message:
        lanes = landed(message.lanes, {lane: survivor(self._aliases, lane) for lane in message.lanes
                                       if lane in self._aliases})
        if lanes == message.lanes:
            return message
        return msgspec.structs.replace(message, lanes=lanes, partition=partition_of(lanes[0], self.partitions))

    def note_ack(self, message_id: str, code: str, outcome: AckOutcome) -> None:
        if (seq := self._seq_by_id.get(message_id)) is not None:
            self._messages[seq] = msgspec.structs.replace(
                self._messages[seq], ack_code=code, ack_outcome=outcome)

    # -- work ---------------------------------------------------------------------------------------------

    async def acquire(self, partition: int, owner: str, now: int, ttl_s: float) -> Lease | None:
        held = self._leases.get(partition)
        if held is not None and held.owner not in {owner, ""} and held.expires_at > now:
            return None
        epoch = 1 if held is None else held.epoch if held.owner == owner else held.epoch + 1
        lease = Lease(partition=partition, owner=owner, epoch=epoch, expires_at=now + int(ttl_s * 1e6))
        self._leases[partition] = lease
        return lease

    async def renew(self, lease: Lease, now: int, ttl_s: float) -> Lease:
        self._guard(lease)
        renewed = msgspec.structs.replace(lease, expires_at=now + int(ttl_s * 1e6))
        self._leases[lease.partition] = renewed
        return renewed

    async def release(self, lease: Lease) -> None:
        if self._holds(lease):
            self._leases[lease.partition] = msgspec.structs.replace(lease, owner="", expires_at=0)

    def _holds(self, lease: Lease) -> bool:
        held = self._leases.get(lease.partition)
        return held is not None and (held.owner, held.epoch) == (lease.owner, lease.epoch)

    def _guard(self, lease: Lease) -> None:
        if not self._holds(lease):
            raise LeaseLost(f"partition {lease.partition} has a new owner")

    async def received(self, partition: int, after_seq: int, limit: int) -> Sequence[Message]:
        waiting = (self._messages[seq] for seq in sorted(self._unprocessed) if seq > after_seq)
        return [m for m in waiting
                if m.partition == partition and m.state is MessageState.RECEIVED][:limit]

    async def parked_lanes(self, partition: int) -> Mapping[str, int]:
        oldest: dict[str, int] = {}
        for seq in sorted(self._unprocessed):
            message = self._messages[seq]
            if message.partition == partition and message.state is MessageState.PARKED:
                for lane in message.lanes:
                    oldest.setdefault(lane, seq)
        return oldest

    async def fences(self, partition: int) -> Sequence[Fence]:
        return [Fence(lane, seq, message.partition)
                for seq in sorted(self._unprocessed)
                if (message := self._messages[seq]).partition != partition
                for lane in sorted(message.lanes[1:])
                if partition_of(lane, self.partitions) == partition]

    async def clear_before(self, lanes: Collection[str], seq: int) -> bool:
        wanted = frozenset(lanes)
        return all(wanted.isdisjoint(self._messages[older].lanes)
                   for older in self._unprocessed if older < seq)

    async def reused(self, seqs: Collection[int]) -> Collection[int]:
        asked = [self._messages[seq] for seq in seqs if not self._messages[seq].replay_of]
        return {m.seq for m in asked if self._first_said.get((m.channel, m.sender, m.control_id), m.seq) < m.seq}

    async def states(self, subject_keys: Collection[str]) -> Mapping[str, State]:
        return {key: self._states[key] for key in subject_keys if key in self._states}

    async def subjects(self, kind: str, after: str, limit: int) -> Sequence[State]:
        prefix = f"{kind}:"
        return [self._states[key] for key in sorted(self._states) if key.startswith(prefix) and key > after][:limit]

    async def aliases(self, subject_keys: Collection[str]) -> Mapping[str, str]:
        return {key: survivor(self._aliases, key) for key in subject_keys if key in self._aliases}

    async def merges(self, subject_keys: Collection[str]) -> Sequence[tuple[str, str, str, Event]]:
        wanted = frozenset(subject_keys)
        return [(key, role, other, self._events[event_id]) for key, role, other, event_id in sorted(self._merges)
                if key in wanted and event_id in self._events]

    async def history(self, subject_key: str) -> Sequence[Event]:
        return sorted((e for e in self._events.values() if e.subject_key == subject_key),
                      key=lambda e: (e.version.at, e.version.tie, e.id))

    async def open_of(self, patient_keys: Collection[str]) -> Sequence[State]:
        wanted = frozenset(patient_keys)
        return sorted((state for state in self._states.values()
                       if state.patient_key in wanted and not closed(state.entity)), key=lambda s: s.subject_key)

    async def commit(self, lease: Lease, processed: Sequence[Processed]) -> None:
        self._guard(lease)
        for one in processed:
            message = self._messages.get(one.message_seq)
            if message is not None and message.state is MessageState.RECEIVED:
                self._commit(message, one)

    def _commit(self, message: Message, one: Processed) -> None:
        self._move(message, one.state, one.at, one.reason,
                   findings=one.findings, revision=one.revision)
        for event in one.events:
            if event.id not in self._events:
                self._events[event.id] = event
                if self._outbox and one.wanted:
                    self._unpublished[event.id] = None
        for decision in one.decisions:
            self._decisions.setdefault(decision.id, decision)
        for state in one.states:
            self._states[state.subject_key] = state
        for old, new in one.aliases:
            link(self._aliases, old, new)
        self._merges.update(dict.fromkeys(one.merges))
        if one.aliases:
            for seq in self._unprocessed:
                self._messages[seq] = self._landed(self._messages[seq])
        for follows in one.messages:
            self._append(follows)
        self._touch(one.looks, one.at, one.message_id)
        self._plan(one.deliveries, one.at)
        for delivery_id in one.superseded:
            delivery = self._deliveries.get(delivery_id)
            if delivery is not None and delivery.state is _PENDING:
                self._set(delivery, state=DeliveryState.SUPERSEDED, since=one.at)

        for word in one.concluded:
            delivery = self._deliveries.get(word.delivery_id)
            if delivery is not None and (delivery.state, delivery.reason) == (word.was, word.was_reason):
                self._set(delivery, state=word.state, since=one.at, reason=word.reason, code=word.code,
                          findings=word.findings)

    def _plan(self, deliveries: Iterable[NewDelivery], at: int) -> int:
        new = 0
        for planned in deliveries:
            if planned.id not in self._deliveries:
                fields = {name: getattr(planned, name) for name in NewDelivery.__struct_fields__}
                self._deliveries[planned.id] = Delivery(**fields, since=at)
                new += 1
        return new

    def _move(self, message: Message, state: MessageState, at: int, reason: str, **others: object) -> None:
        self._messages[message.seq] = msgspec.structs.replace(
            message, state=state, since=at, reason=reason, **others)
        if state in UNPROCESSED:
            self._unprocessed.add(message.seq)
        else:
            self._unprocessed.discard(message.seq)

    def _set(self, delivery: Delivery, **changes: object) -> None:
        self._deliveries[delivery.id] = msgspec.structs.replace(delivery, **changes)

    async def open_deliveries(self, partition: int) -> Sequence[Delivery]:
        return self._ordered(d for d in self._deliveries.values() if d.partition == partition and d.state.open)

    async def named(self, identities: Collection[str]) -> Sequence[Delivery]:
        wanted = frozenset(identities) - {""}
        return self._ordered(d for d in self._deliveries.values() if d.identity in wanted)

    async def behind(self, message_seq: int) -> Collection[str]:
        lanes = frozenset(self._messages[message_seq].lanes[1:])
        return {d.destination for d in self._deliveries.values()
                if d.lane in lanes and d.message_seq < message_seq and d.state.open}

    @staticmethod
    def _ordered(deliveries: Iterable[Delivery]) -> list[Delivery]:
        return sorted(deliveries, key=lambda d: (d.message_seq, d.id))

    async def events(self, event_ids: Collection[str]) -> Mapping[str, Event]:
        return {key: self._events[key] for key in event_ids if key in self._events}

    async def inflight(self, lease: Lease, delivery_ids: Sequence[str], at: int,
                       scopes: Mapping[str, str] | None = None) -> Collection[str]:
        self._guard(lease)
        marked = [d for d in self._known(delivery_ids) if d.state is _PENDING]
        for delivery in sorted(marked, key=lambda d: d.id):
            self._set(delivery, state=_INFLIGHT, since=at)
            if scopes and delivery.id in scopes:
                await self.number(scopes[delivery.id], delivery.id, at)
        return frozenset(d.id for d in marked)

    async def number(self, scope: str, holder: str, at: int) -> int:
        for (name, number), (who, _) in self._numbers.items():
            if name == scope and who == holder:
                return number
        self._last_numbers[scope] += 1
        self._numbers[scope, self._last_numbers[scope]] = (holder, at)
        return self._last_numbers[scope]

    async def claim(self, scope: str, number: int, holder: str, at: int) -> str:
        return self._numbers.setdefault((scope, number), (holder, at))[0]

    async def numbered(self, scope: str, since: int, limit: int) -> Sequence[tuple[int, str, int]]:
        found = [(number, holder, at) for (name, number), (holder, at) in self._numbers.items()
                 if name == scope and at >= since]
        return sorted(found, key=lambda one: (one[2], one[0]))[:limit]

    async def holder(self, scope: str, number: int) -> str:
        return self._numbers.get((scope, number), ("", 0))[0]

    def _known(self, delivery_ids: Collection[str]) -> list[Delivery]:
        unique = dict.fromkeys(delivery_ids)
        return [self._deliveries[key] for key in unique if key in self._deliveries]

    async def settle(self, lease: Lease, settlements: Sequence[Settlement]) -> None:
        self._guard(lease)
        for one in settlements:
            delivery = self._deliveries.get(one.delivery_id)
            if delivery is None or not delivery.state.open:
                continue
            self._set(delivery, state=one.state, attempts=one.attempts, since=one.at, due_at=one.due_at,
                      code=one.code, reason=one.reason, findings=one.findings)
            if one.attempt is not None:
                attempt = one.attempt
                self._attempts.setdefault((attempt.delivery_id, attempt.started_at, attempt.number), attempt)

    async def unpublished(self, limit: int) -> Sequence[Event]:
        return [self._events[key] for key in list(self._unpublished)[:limit]]

    async def published(self, event_ids: Sequence[str]) -> None:
        for key in event_ids:
            self._unpublished.pop(key, None)

    # -- desk ---------------------------------------------------------------------------------------------

    async def find(self, query: MessageQuery) -> Sequence[Message]:
        to = {d.message_seq for d in self._deliveries.values() if d.destination == query.destination}
        return [m for m in reversed(self._messages.values())
                if (not query.channel or m.channel == query.channel)
                and (query.state is None or m.state is query.state)
                and (not query.message_type or m.message_type == query.message_type)
                and (not query.control_id or m.control_id == query.control_id)
                and (not query.reason or m.reason == query.reason)
                and (not query.destination or m.seq in to)
                and m.received_at >= query.since
                and (not query.until or m.received_at < query.until)
                and (not query.before_seq or m.seq < query.before_seq)][:query.limit]

    async def message(self, id_or_control_id: str) -> Message | None:
        if not id_or_control_id:
            return None
        if (seq := self._seq_by_id.get(id_or_control_id)) is not None:
            return self._messages[seq]
        starting = [seq for key, seq in self._seq_by_id.items() if key.startswith(id_or_control_id)]
        if len(starting) == 1:
            return self._messages[starting[0]]
        return next((m for m in reversed(self._messages.values()) if m.control_id == id_or_control_id), None)

    async def raw_bytes(self, message_id: str) -> bytes | None:
        seq = self._seq_by_id.get(message_id)
        return None if seq is None else self._messages[seq].raw.reveal()

    async def deliveries(self, message_seqs: Collection[int]) -> Sequence[Delivery]:
        wanted = frozenset(message_seqs)
        return self._ordered(d for d in self._deliveries.values() if d.message_seq in wanted)

    async def find_deliveries(self, *, destination: str = "", state: DeliveryState | None = None,
                              reason: str = "", limit: int = 1000) -> Sequence[Delivery]:
        return self._ordered(d for d in self._deliveries.values()
                             if (not destination or d.destination == destination)
                             and (state is None or d.state is state)
                             and (not reason or d.reason == reason))[:limit]

    async def attempts(self, delivery_ids: Collection[str]) -> Sequence[Attempt]:
        wanted = frozenset(delivery_ids)
        return [attempt for key, attempt in sorted(self._attempts.items()) if key[0] in wanted]

    async def turnaround(self, destinations: Collection[str], since: int, until: int, limit: int) -> Sequence[Turnaround]:
        took: dict[str, list[int]] = {}
        lost: Counter[str] = Counter()
        for attempt in self._attempts.values():
            delivery = self._deliveries.get(attempt.delivery_id)
            if delivery is None or delivery.destination not in destinations or not since <= attempt.started_at < until:
                continue
            if attempt.outcome in ANSWERED:
                took.setdefault(delivery.destination, []).append(attempt.ended_at - attempt.started_at)
            elif attempt.outcome is AttemptOutcome.UNKNOWN:
                lost[delivery.destination] += 1
        return [Turnaround(name, len(times := took.get(name, [])), sum(one <= limit for one in times), lost[name],
                           max(times, default=0)) for name in sorted({*took, *lost})]

    async def events_of(self, message_ids: Collection[str]) -> Sequence[Event]:
        wanted = frozenset(message_ids)
        return [e for e in self._events.values() if e.message_id in wanted]

    async def decisions(self, event_ids: Collection[str]) -> Sequence[Decision]:
        wanted = frozenset(event_ids)
        return sorted((d for d in self._decisions.values() if d.event_id in wanted), key=lambda d: (d.at, d.id))

    async def state_of(self, subject_key: str) -> State | None:
        return self._states.get(subject_key)

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        return {
            "messages": Counter(m.state.value for m in self._messages.values()),
            "deliveries": Counter(f"{d.destination}/{d.state.value}" for d in self._deliveries.values()),
            "outbox": {"unpublished": len(self._unpublished)},
        }

    async def parked(self) -> Sequence[tuple[str, str, str, int, int, int]]:
        since: dict[tuple[str, str, str], list[int]] = {}
        for m in self._messages.values():
            if m.state is MessageState.PARKED:
                since.setdefault(("message", m.channel, m.reason), []).append(m.since)
        for d in self._deliveries.values():
            if d.state is _PARKED:
                since.setdefault(("delivery", d.destination, d.reason), []).append(d.since)
        return [(*key, len(times), min(times), max(times)) for key, times in sorted(since.items())]

    async def requeue_messages(self, message_ids: Sequence[str], audit: AuditEntry) -> int:
        return self._decide_messages(message_ids, MessageState.RECEIVED, audit)

    async def discard_messages(self, message_ids: Sequence[str], audit: AuditEntry) -> int:
        return self._decide_messages(message_ids, MessageState.DISCARDED, audit)

    def _decide_messages(self, ids: Sequence[str], state: MessageState, entry: AuditEntry) -> int:
        found = [self._messages[self._seq_by_id[key]] for key in dict.fromkeys(ids) if key in self._seq_by_id]
        parked = [m for m in found if m.state is MessageState.PARKED]
        for message in parked:
            self._move(message, state, entry.at, message.reason if state is MessageState.DISCARDED else "")
        self._write(entry)
        return len(parked)

    async def requeue_deliveries(self, delivery_ids: Sequence[str], due_at: int, audit: AuditEntry) -> int:
        parked = [d for d in self._known(delivery_ids) if d.state is _PARKED]
        for delivery in parked:
            self._set(delivery, state=_PENDING, due_at=due_at, attempts=0, reason="", since=audit.at)
        self._write(audit)
        return len(parked)

    async def settle_deliveries(self, delivery_ids: Sequence[str], state: DeliveryState, reason: str,
                                audit: AuditEntry) -> int:
        if state not in DECIDED:
            raise ValueError(f"a person cannot put a delivery into state {state.value}")
        waiting = [d for d in self._known(delivery_ids) if d.state in {_PARKED, _PENDING}]
        for delivery in waiting:
            self._set(delivery, state=state, reason=reason, since=audit.at)
        self._write(audit)
        return len(waiting)

    async def add_deliveries(self, deliveries: Sequence[NewDelivery], audit: AuditEntry) -> int:
        added = self._plan(deliveries, audit.at)
        self._write(audit)
        return added

    async def audit(self, entry: AuditEntry) -> None:
        self._write(entry)

    def _write(self, entry: AuditEntry) -> None:
        new = chain.append(self._head, entry)
        self._trail.append(new)
        self._head = chain.Head(new.number, new.hash)

    async def audit_trail(self, after: int = 0) -> AsyncIterator[tuple[int, AuditEntry, bytes]]:
        for one in self._trail[after:]:
            yield one.number, one.entry, one.hash

    async def verify_audit(self) -> tuple[int, int | None]:
        return chain.verify(self._trail, self._head)

    # -- keeper -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close: what was stored can still be read."""

    async def keep_revision(self, digest: str, files: Mapping[str, bytes]) -> None:
        self._revisions.setdefault(digest, dict(files))

    async def revision(self, digest: str) -> Mapping[str, bytes] | None:
        return self._revisions.get(digest)

    async def purge(self, before: int, limit: int) -> int:
        busy = {d.message_seq for d in self._deliveries.values() if d.state.open}
        busy |= {self._seq_by_id[e.message_id] for e in self._events.values()
                 if e.id in self._unpublished and e.message_id in self._seq_by_id}
        gone = [m for m in self._messages.values()
                if m.received_at < before and m.state in FINISHED and m.seq not in busy][:limit]
        self._forget_tasks(before)
        busy_ids = {d.id for d in self._deliveries.values() if d.state.open}
        for taken in [taken for taken, (holder, at) in self._numbers.items()
                      if at < before and holder not in busy_ids]:
            del self._numbers[taken]
        ids = {m.id for m in gone}
        over = {e.subject_key for e in self._events.values()
                if e.message_id in ids and self._over(e.subject_key)}
        for message in gone:
            del self._messages[message.seq], self._seq_by_id[message.id]
            if self._first_said.get(said := (message.channel, message.sender, message.control_id)) == message.seq:
                del self._first_said[said]
            if message.dedup:
                del self._seq_by_dedup[message.channel, message.dedup]
        seqs = {m.seq for m in gone}
        for delivery in [d for d in self._deliveries.values() if d.message_seq in seqs]:
            del self._deliveries[delivery.id]
            for key in [k for k in self._attempts if k[0] == delivery.id]:
                del self._attempts[key]
        for event in [e for e in self._events.values()
                      if e.subject_key in over and e.message_id not in self._seq_by_id]:
            del self._events[event.id]
            for decision in [d for d in self._decisions.values() if d.event_id == event.id]:
                del self._decisions[decision.id]
        return len(gone)

    def _over(self, subject_key: str) -> bool:
        state = self._states.get(subject_key)
        return state is None or closed(state.entity)
