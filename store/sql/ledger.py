"""The ledger on a database: writes go through the single writer, reads go around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import URL, Select, exists, false, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from canonical.event import Event
from canonical.receipt import Receipt, ReceiptMint
from store import audit as chain
from store.ledger import LeaseLost, LedgerUnavailable
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
from store.rules import ANSWERED, DECIDED
from store.sql import rows
from store.sql import schema as s
from store.sql.driver import Again, Broken, Driver, Row, Transaction
from store.sql.migrate import migrate
from store.sql.numbers import claim, reserve
from store.sql.operations import Append, Commit, Inflight, Published, Settle
from store.sql.schema import word
from store.sql.shapes import Statement
from store.sql.statements import DELIVERY_READ, MESSAGE_READ, MESSAGES, Statements
from store.sql.tasks import SqlTasks
from store.sql.writer import Writer

T = TypeVar("T")

#: Audit entries read at a time.
_PAGE: Final = 1000


class SqlLedger(SqlTasks):
    """See `store.ledger.Ledger` for the meaning of every method.

    Args:
        driver: the database.
        address: the same database as SQLAlchemy takes it, for migrations.
        name: unique among all processes that write to this database.
        partitions: how many partitions lanes are spread over.
        fixed: True where a database that was made with another number must be refused, False where its own will do.
        outbox: False where no subscriber takes events: they count as published at once.
        linger_s: while several operations come at a time, wait this long for more of them before a commit.
    """

    def __init__(self, driver: Driver, address: URL, *, name: str, partitions: int = 16, fixed: bool = True,
                 outbox: bool = True, linger_s: float = 0.001) -> None:
        self.partitions = partitions
        self._fixed = fixed
        self._driver, self._address, self._outbox = driver, address, outbox
        self._is = Statements(driver.shapes)
        self._keys = driver.shapes.keys
        self._mint = ReceiptMint()
        self._writer = Writer(driver, self._is, self._mint, partitions, name=name, linger_s=linger_s)

    # -- keeper: start and stop ---------------------------------------------------------------------------

    async def start(self) -> None:
        try:
            await asyncio.to_thread(migrate, self._address)
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            first = (str(cause).splitlines() or [type(cause).__name__])[0]
            raise LedgerUnavailable(f"cannot open the ledger: {first}") from error
        try:
            await self._driver.open()
            made_with = int(await self._setting("partitions", str(self.partitions)))
            if made_with != self.partitions and self._fixed:
                raise LedgerUnavailable(
                    f"the ledger was made with {made_with} partitions and is opened with {self.partitions}: "
                    "the number cannot change, because the place of every message depends on it")
            self.partitions = self._writer.partitions = made_with
            await self._writer.start()
        except Broken as error:
            await self._driver.close()
            raise LedgerUnavailable(str(error)) from error
        except LedgerUnavailable:
            await self._driver.close()
            raise

    async def _setting(self, name: str, default: str) -> str:
        """A setting of the database, made now if it is new."""
        tx = await self._driver.begin()
        await tx.many(self._is.new_setting, [(name, default)])
        answer = await tx.ask(self._is.setting, name)
        await tx.flush()
        await self._driver.commit()
        return str(answer.rows[0][0])

    async def stop(self) -> None:
        try:
            await self._writer.stop()
        finally:
            await self._driver.close()

    # -- intake -------------------------------------------------------------------------------------------

    async def append(self, message: NewMessage) -> Receipt:
        if message.state is MessageState.REFUSED and message.dedup:
            # Its row has no identity that the insertion could meet; it is rare enough for a look of its own.
            first = await self._read(self._is.first_by_dedup, message.dedup, message.channel)
            if first:
                return rows.first_receipt(self._mint, first[0])
        row, new = rows.message_row(message, self.partitions)
        receipt: Receipt = await self._writer.submit(Append(_future(), row, new))
        return receipt

    def note_ack(self, message_id: str, code: str, outcome: AckOutcome) -> None:
        self._writer.note(message_id, code, outcome)

    # -- work: leases -------------------------------------------------------------------------------------

    async def acquire(self, partition: int, owner: str, now: int, ttl_s: float) -> Lease | None:
        expires = now + int(ttl_s * 1e6)

        async def run(tx: Transaction) -> Lease | None:
            answer = await tx.ask(self._is.lease, partition)
            await tx.flush()
            if not answer.rows:
                new = await tx.each(self._is.new_lease, [(partition, owner, 1, expires)])
                await tx.flush()
                if not new.rows:
                    raise Again  # another process was first: look at its lease
                return Lease(partition=partition, owner=owner, epoch=1, expires_at=expires)
            held_by, epoch, until = answer.rows[0]
            if held_by not in {owner, ""} and until > now:
                return None
            if held_by != owner:
                epoch += 1
            await tx.many(self._is.set_lease, [(owner, epoch, expires, partition)])
            return Lease(partition=partition, owner=owner, epoch=epoch, expires_at=expires)

        return await self._writer.task(run)

    async def renew(self, lease: Lease, now: int, ttl_s: float) -> Lease:
        renewed = msgspec.structs.replace(lease, expires_at=now + int(ttl_s * 1e6))

        async def run(tx: Transaction) -> Lease:
            if not await self._holds(tx, lease):
                raise LeaseLost(f"partition {lease.partition} has a new owner")
            await tx.many(self._is.set_lease,
                          [(renewed.owner, renewed.epoch, renewed.expires_at, renewed.partition)])
            return renewed

        return await self._writer.task(run)

    async def release(self, lease: Lease) -> None:
        async def run(tx: Transaction) -> None:
            if await self._holds(tx, lease):
                await tx.many(self._is.set_lease, [("", lease.epoch, 0, lease.partition)])

        await self._writer.task(run)

    async def _holds(self, tx: Transaction, lease: Lease) -> bool:
        answer = await tx.ask(self._is.lease, lease.partition)
        await tx.flush()
        return [row[:2] for row in answer.rows] == [(lease.owner, lease.epoch)]

    # -- work: reads --------------------------------------------------------------------------------------

    async def _read(self, statement: Statement, *parameters: Any) -> Sequence[Row]:
        try:
            return await self._driver.read(statement, *parameters)
        except Broken as error:
            raise LedgerUnavailable(str(error)) from error

    async def received(self, partition: int, after_seq: int, limit: int) -> Sequence[Message]:
        return [rows.message(row) for row in await self._read(self._is.received, partition, after_seq, limit)]

    async def parked_lanes(self, partition: int) -> Mapping[str, int]:
        oldest: dict[str, int] = {}
        for statement in (self._is.parked_lanes, self._is.parked_fences):
            for lane, seq in await self._read(statement, partition):
                key = rows.text_out(lane)
                oldest[key] = min(seq, oldest.get(key, seq))
        return oldest

    async def fences(self, partition: int) -> Sequence[Fence]:
        return [Fence(rows.text_out(lane), seq, home)
                for lane, seq, home in await self._read(self._is.fences, partition)]

    async def clear_before(self, lanes: Collection[str], seq: int) -> bool:
        for lane in lanes:
            key, home = rows.text_in(lane), partition_of(lane, self.partitions)
            if (await self._read(self._is.received_before, home, key, seq)
                    or await self._read(self._is.parked_before, home, key, seq)
                    or await self._read(self._is.fenced_before, key, seq)):
                return False
        return True

    async def reused(self, seqs: Collection[int]) -> Collection[int]:
        found = await self._read(self._is.reused, self._keys(list(seqs))) if seqs else ()
        return {row[0] for row in found}

    async def states(self, subject_keys: Collection[str]) -> Mapping[str, State]:
        keys = self._keys([rows.text_in(key) for key in subject_keys])
        found = (rows.state(row) for row in await self._read(self._is.states, keys))
        return {state.subject_key: state for state in found}

    async def subjects(self, kind: str, after: str, limit: int) -> Sequence[State]:
        # A key begins with its kind and a colon; what follows a colon in the order of code points is a semicolon.
        first = max(rows.text_in(after), f"{kind}:")
        return [rows.state(row) for row in await self._read(self._is.subjects, first, f"{kind};", limit)]

    async def aliases(self, subject_keys: Collection[str]) -> Mapping[str, str]:
        ends: dict[str, str] = {}
        open_ends = {key: key for key in map(rows.text_in, subject_keys)}
        while open_ends:
            found = await self._read(self._is.aliases, self._keys(sorted(set(open_ends.values()))))
            step = {row[0]: row[1] for row in found}
            open_ends = {key: step[end] for key, end in open_ends.items() if end in step}
            ends |= open_ends
            open_ends = {key: end for key, end in open_ends.items() if step.get(end) != end}
        return {rows.text_out(key): rows.text_out(end) for key, end in ends.items()}

    async def merges(self, subject_keys: Collection[str]) -> Sequence[tuple[str, str, str, Event]]:
        found = await self._read(self._is.merges, self._keys([rows.text_in(key) for key in subject_keys]))
        return [(rows.text_out(key), role, rows.text_out(other), rows.event(body)) for key, role, other, body in found]

    async def history(self, subject_key: str) -> Sequence[Event]:
        return [rows.event(row[0]) for row in await self._read(self._is.history, rows.text_in(subject_key))]

    async def open_of(self, patient_keys: Collection[str]) -> Sequence[State]:
        keys = self._keys([rows.text_in(key) for key in patient_keys])
        return [rows.state(row) for row in await self._read(self._is.open_of, keys)]

    async def open_deliveries(self, partition: int) -> Sequence[Delivery]:
        return [rows.delivery(row) for row in await self._read(self._is.open_deliveries, partition)]

    async def named(self, identities: Collection[str]) -> Sequence[Delivery]:
        found = await self._read(self._is.named, self._keys(list(identities))) if identities else ()
        return list(map(rows.delivery, found))

    async def behind(self, message_seq: int) -> Collection[str]:
        found: set[str] = set()
        for row in await self._read(self._is.lanes_of, message_seq):
            for lane in rows.lanes_out(row[0], row[1])[1:]:
                home = partition_of(rows.text_out(lane), self.partitions)
                found.update(name for name, in await self._read(self._is.open_before, home, message_seq, lane))
        return found

    async def events(self, event_ids: Collection[str]) -> Mapping[str, Event]:
        found = await self._read(self._is.events, self._keys(list(event_ids)))
        return {event_id: rows.event(body) for event_id, body in found}

    async def unpublished(self, limit: int) -> Sequence[Event]:
        return [rows.event(row[0]) for row in await self._read(self._is.unpublished, limit)]

    # -- work: writes -------------------------------------------------------------------------------------

    async def commit(self, lease: Lease, processed: Sequence[Processed]) -> None:
        prepared = [rows.prepared(one, self.partitions, published=not (self._outbox and one.wanted))
                    for one in processed]
        await self._writer.submit(Commit(_future(), lease, prepared))

    async def inflight(self, lease: Lease, delivery_ids: Sequence[str], at: int,
                       scopes: Mapping[str, str] | None = None) -> Collection[str]:
        return await self._writer.submit(Inflight(_future(), lease, delivery_ids, at, scopes or {}))

    async def settle(self, lease: Lease, settlements: Sequence[Settlement]) -> None:
        await self._writer.submit(Settle(
            _future(), lease, [rows.settlement_row(one) for one in settlements],
            [one.attempt for one in settlements if one.attempt is not None]))

    async def published(self, event_ids: Sequence[str]) -> None:
        await self._writer.submit(Published(_future(), event_ids))

    # -- control numbers ----------------------------------------------------------------------------------

    async def number(self, scope: str, holder: str, at: int) -> int:
        return await self._writer.task(lambda tx: reserve(tx, self._is.numbers, scope, holder, at))

    async def claim(self, scope: str, number: int, holder: str, at: int) -> str:
        return await self._writer.task(lambda tx: claim(tx, self._is.numbers, scope, number, holder, at))

    async def numbered(self, scope: str, since: int, limit: int) -> Sequence[tuple[int, str, int]]:
        found = await self._read(self._is.numbers.numbered, rows.text_in(scope), since, limit)
        return [(number, rows.text_out(holder), at) for number, holder, at in found]

    async def holder(self, scope: str, number: int) -> str:
        found = await self._read(self._is.numbers.holder_of, rows.text_in(scope), number)
        return rows.text_out(found[0][0]) if found else ""

    # -- desk: look ---------------------------------------------------------------------------------------

    async def _search(self, query: Select[Any]) -> Sequence[Row]:
        try:
            return await self._driver.search(*self._driver.shapes.bound(query))
        except Broken as error:
            raise LedgerUnavailable(str(error)) from error

    async def find(self, query: MessageQuery) -> Sequence[Message]:
        m, d = s.messages.c, s.deliveries.c
        found = select(*MESSAGE_READ).select_from(MESSAGES).order_by(m.seq.desc()).limit(query.limit)
        for column, wanted in ((m.channel, query.channel), (m.message_type, query.message_type),
                               (m.control_id, query.control_id), (m.reason, query.reason)):
            if wanted:
                found = found.where(column == rows.text_in(wanted))
        if query.state is not None:
            # Spelled out, so that the few received and parked ones are found by their partial index.
            found = found.where(m.state == word(query.state))
        if query.destination:
            found = found.where(exists().where(d.message_seq == m.seq, d.destination == query.destination))
        if query.since:
            found = found.where(m.received_at >= query.since)
        if query.until:
            found = found.where(m.received_at < query.until)
        if query.before_seq:
            found = found.where(m.seq < query.before_seq)
        return [rows.message(row) for row in await self._search(found)]

    async def message(self, id_or_control_id: str) -> Message | None:
        if not id_or_control_id:
            return None
        key = rows.text_in(id_or_control_id)
        found = await self._read(self._is.message_by_id, key)
        if not found and key.isascii():
            end = key[:-1] + chr(ord(key[-1]) + 1)
            starting = await self._read(self._is.messages_between, key, end)
            found = starting if len(starting) == 1 else ()
        if not found:
            found = await self._read(self._is.message_by_control_id, key)
        return rows.message(found[0]) if found else None

    async def raw_bytes(self, message_id: str) -> bytes | None:
        found = await self._read(self._is.raw_bytes, rows.text_in(message_id))
        return found[0][0] if found else None

    async def deliveries(self, message_seqs: Collection[int]) -> Sequence[Delivery]:
        return [rows.delivery(row)
                for row in await self._read(self._is.deliveries_of, self._keys(list(message_seqs)))]

    async def find_deliveries(self, *, destination: str = "", state: DeliveryState | None = None,
                              reason: str = "", limit: int = 1000) -> Sequence[Delivery]:
        d = s.deliveries.c
        found = select(*DELIVERY_READ).order_by(d.message_seq, d.id).limit(limit)
        if destination:
            found = found.where(d.destination == destination)
        if state is not None:
            found = found.where(d.state == word(state))
            if state.open:
                found = found.where(s.STUCK if state is DeliveryState.PARKED else s.OPEN)
        if reason:
            found = found.where(d.reason == reason)
        return [rows.delivery(row) for row in await self._search(found)]

    async def attempts(self, delivery_ids: Collection[str]) -> Sequence[Attempt]:
        return [rows.attempt(row)
                for row in await self._read(self._is.attempts_of, self._keys(list(delivery_ids)))]

    async def turnaround(self, destinations: Collection[str], since: int, until: int, limit: int) -> Sequence[Turnaround]:
        a, d, n = s.attempts.c, s.deliveries.c, func.count()
        took, answered = a.ended_at - a.started_at, a.outcome.in_(s.words(ANSWERED))
        theirs = or_(false(), *[d.destination == name for name in sorted(destinations)])
        found = select(d.destination, n.filter(answered), n.filter(answered, took <= limit),
                       n.filter(a.outcome == word(AttemptOutcome.UNKNOWN)), func.max(took).filter(answered)).select_from(
            s.attempts.join(s.deliveries, d.id == a.delivery_id)).where(
            a.started_at >= since, a.started_at < until, theirs,
            a.outcome.in_(s.words({*ANSWERED, AttemptOutcome.UNKNOWN}))).group_by(d.destination).order_by(d.destination)
        return [Turnaround(name, answered, within, unanswered, longest or 0)
                for name, answered, within, unanswered, longest in await self._search(found)]

    async def events_of(self, message_ids: Collection[str]) -> Sequence[Event]:
        return [rows.event(row[0])
                for row in await self._read(self._is.events_of, self._keys(list(message_ids)))]

    async def decisions(self, event_ids: Collection[str]) -> Sequence[Decision]:
        return [rows.decision(row)
                for row in await self._read(self._is.decisions_of, self._keys(list(event_ids)))]

    async def state_of(self, subject_key: str) -> State | None:
        return (await self.states([subject_key])).get(subject_key)

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        m, d, e = s.messages.c, s.deliveries.c, s.events.c
        n = func.count()
        messages = await self._search(select(m.state, n).group_by(m.state))
        deliveries = await self._search(select(d.destination, d.state, n).group_by(d.destination, d.state))
        waiting = await self._search(select(n).select_from(s.events).where(e.published == s.NO))
        return {"messages": dict(messages),
                "deliveries": {f"{destination}/{state}": count for destination, state, count in deliveries},
                "outbox": {"unpublished": waiting[0][0]}}

    async def parked(self) -> Sequence[tuple[str, str, str, int, int, int]]:
        m, d = s.messages.c, s.deliveries.c
        messages = select(m.channel, m.reason, func.count(), func.min(m.since), func.max(m.since)).where(
            m.state == word(MessageState.PARKED)).group_by(m.channel, m.reason)
        deliveries = select(
            d.destination, d.reason, func.count(), func.min(d.since), func.max(d.since)).where(
            s.STUCK).group_by(d.destination, d.reason)
        found = [("message", *row) for row in await self._search(messages)]
        found += [("delivery", *row) for row in await self._search(deliveries)]
        return sorted(found)

    # -- desk: decide -------------------------------------------------------------------------------------

    async def _decide(self, audit: AuditEntry, statement: Statement, after: Statement | None = None,
                      **parameters: Any) -> int:
        """Run a statement that tells what it changed, and write the entry, in one transaction."""
        async def run(tx: Transaction) -> int:
            changed = await tx.ask(statement, *statement.values(**parameters))
            await tx.flush()
            if after is not None and changed.rows:
                await tx.ask(after, self._keys([row[0] for row in changed.rows]))
            await self._write(tx, audit)
            return len(changed.rows)

        return await self._writer.task(run)

    async def _write(self, tx: Transaction, entry: AuditEntry) -> None:
        answer = await tx.ask(self._is.lock_audit_head)
        await tx.flush()
        link = chain.append(chain.Head(*answer.rows[0]), entry)
        await tx.ask(self._is.append_audit, link.number, link.body, link.hash)
        await tx.many(self._is.move_audit_head, [(link.number, link.hash, 1)])

    async def requeue_messages(self, message_ids: Sequence[str], audit: AuditEntry) -> int:
        return await self._decide(audit, self._is.requeue_messages, ids=self._keys(message_ids), at=audit.at)

    async def discard_messages(self, message_ids: Sequence[str], audit: AuditEntry) -> int:
        return await self._decide(audit, self._is.discard_messages, self._is.lift_fences,
                                  ids=self._keys(message_ids), at=audit.at)

    async def requeue_deliveries(self, delivery_ids: Sequence[str], due_at: int, audit: AuditEntry) -> int:
        return await self._decide(audit, self._is.requeue_deliveries, ids=self._keys(delivery_ids),
                                  due=due_at, at=audit.at)

    async def settle_deliveries(self, delivery_ids: Sequence[str], state: DeliveryState, reason: str,
                                audit: AuditEntry) -> int:
        if state not in DECIDED:
            raise ValueError(f"a person cannot put a delivery into state {state.value}")
        return await self._decide(audit, self._is.settle_waiting, ids=self._keys(delivery_ids),
                                  new_state=state.value, at=audit.at, why=reason)

    async def add_deliveries(self, deliveries: Sequence[NewDelivery], audit: AuditEntry) -> int:
        planned = [rows.delivery_row(one, audit.at) for one in deliveries]

        async def run(tx: Transaction) -> int:
            added = await tx.each(self._is.insert_deliveries, planned) if planned else None
            await self._write(tx, audit)
            return 0 if added is None else len(added.rows)

        return await self._writer.task(run)

    async def audit(self, entry: AuditEntry) -> None:
        await self._writer.task(lambda tx: self._write(tx, entry))

    async def audit_trail(self, after: int = 0) -> AsyncIterator[tuple[int, AuditEntry, bytes]]:
        async for link in self._links(after):
            yield link.number, link.entry, link.hash

    async def _links(self, after: int = 0) -> AsyncIterator[chain.Link]:
        while page := await self._read(self._is.audit_after, after, _PAGE):
            for row in page:
                number, body, hashed = row
                yield chain.Link(number, _bytes(body), _bytes(hashed))
            after = page[-1][0]

    async def verify_audit(self) -> tuple[int, int | None]:
        # The head first: entries that come while we read are not missing, and not yet ours to judge.
        count, hashed = (await self._read(self._is.audit_head))[0]
        verifier = chain.Verifier()
        async for link in self._links():
            if link.number > count or not verifier.take(link):
                break
        return verifier.end(chain.Head(count, _bytes(hashed)))

    # -- keeper -------------------------------------------------------------------------------------------

    async def keep_revision(self, digest: str, files: Mapping[str, bytes]) -> None:
        body = rows.files_in(files)
        await self._writer.task(lambda tx: tx.many(self._is.keep_revision, [(digest, body)]))

    async def revision(self, digest: str) -> Mapping[str, bytes] | None:
        found = await self._read(self._is.revision, digest)
        return rows.files_out(found[0][0]) if found else None

    async def purge(self, before: int, limit: int) -> int:
        async def run(tx: Transaction) -> int:
            finished = await tx.ask(self._is.finished, before, limit)
            await tx.ask(self._is.tasks.forget_tasks, before)
            await tx.ask(self._is.numbers.forget_numbers, before)
            await tx.flush()
            if not finished.rows:
                return 0
            seqs = self._keys([row[0] for row in finished.rows])
            over = await tx.ask(self._is.subjects_over, seqs)
            for statement in self._is.forget:
                await tx.ask(statement, seqs)
            await tx.flush()
            if over.rows:
                for statement in self._is.forget_subjects:
                    await tx.ask(statement, self._keys([row[0] for row in over.rows]))
            return len(finished.rows)

        return await self._writer.task(run)


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def _bytes(value: object) -> bytes:
    """A column as bytes even where somebody's edit made it text: SQLite does not mind the type."""
    return value if isinstance(value, bytes) else str(value).encode()
