"""One transaction's worth of operations: few large statements instead of many small ones.

The order inside a batch is by kind. That is sound because nobody who waits for one operation of a batch can
have caused another one of it: an operation is queued only after what it builds on was committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from canonical.receipt import ReceiptMint, Verdict
from store.aliases import landed
from store.ledger import LeaseLost
from store.partition import partition_of
from store.records import DeliveryState, Message
from store.retention import UNPROCESSED
from store.rules import receipt_for
from store.sql import rows
from store.sql.driver import Again, Answer, Row, Transaction
from store.sql.numbers import reserve
from store.sql.operations import Append, Commit, Inflight, Operation, Published, Settle, Task
from store.sql.statements import Statements

_INFLIGHT: Final = DeliveryState.INFLIGHT.value


class Batch:
    """Operations that share a transaction.

    Args:
        statements: of the database in use.
        mint: issues the receipts of this ledger.
        partitions: of this ledger.
        operations: in the order in which they came.
        acks: what became of acknowledgements, by message id.
    """

    def __init__(self, statements: Statements, mint: ReceiptMint, partitions: int,
                 operations: Sequence[Operation[object]], acks: Sequence[Row]) -> None:
        self._is, self._mint, self._partitions, self._acks = statements, mint, partitions, acks
        self._appends = [o for o in operations if isinstance(o, Append)]
        self._commits = [o for o in operations if isinstance(o, Commit)]
        self._inflights = [o for o in operations if isinstance(o, Inflight)]
        self._settles = [o for o in operations if isinstance(o, Settle)]
        self._published = [o for o in operations if isinstance(o, Published)]
        self._tasks = [o for o in operations if isinstance(o, Task)]

    async def run(self, tx: Transaction) -> None:
        """Execute everything, up to but without the commit; sets result or error of each operation."""
        keys, text = self._is.shapes.keys, self._is

        # 1. What must be known first.
        if text.lock_aliases and any(p.aliases for o in self._commits for p in o.prepared):
            await tx.ask(text.lock_aliases)
        lanes = {rows.text_in(lane) for o in self._appends for lane in o.message.lanes}
        merged = await tx.ask(text.aliases, keys(sorted(lanes))) if lanes else None
        guarded: list[Commit | Inflight | Settle] = [*self._commits, *self._inflights, *self._settles]
        held = (await tx.ask(text.leases, keys(sorted({o.lease.partition for o in guarded})))
                if guarded else None)
        seqs = await tx.ask(text.next_seqs, len(self._appends)) if self._appends else None
        asked = [p.seq for o in self._commits for p in o.prepared]
        received = await tx.ask(text.still_received, keys(asked)) if asked else None
        if guarded or self._appends:
            await tx.flush()
        self._guard(guarded, held)
        if merged is not None and merged.rows:
            await self._land(tx, lanes)

        # 2. The writes.
        inserted = await self._insert(tx, seqs) if seqs is not None else None
        if received is not None:
            await self._commit(tx, {row[0] for row in received.rows})
        marked = await self._mark(tx)
        settled = await self._settle(tx)
        if self._acks:
            await tx.many(text.note_acks, self._acks)
        if confirmed := [key for o in self._published for key in o.ids]:
            await tx.ask(text.mark_published, keys(confirmed))
        if inserted is not None or marked is not None or settled is not None:
            await tx.flush()

        # 3. What depends on how they went.
        if inserted is not None:
            await self._receive(tx, {row[0] for row in inserted.rows})
        if marked is not None:
            self._tell_marked({row[0] for row in marked.rows})
            await self._number(tx)
        if settled is not None:
            await self._attempts(tx, {row[0] for row in settled.rows})
        for task in self._tasks:
            task.error = None
            try:
                task.result = await task.run(tx)
            except LeaseLost as lost:
                task.error = lost

    def _guard(self, operations: Iterable[Commit | Inflight | Settle], held: Answer | None) -> None:
        owners = {} if held is None else {row[0]: (row[1], row[2]) for row in held.rows}
        for operation in operations:
            lease = operation.lease
            mine = owners.get(lease.partition) == (lease.owner, lease.epoch)
            operation.error = None if mine else LeaseLost(f"partition {lease.partition} has a new owner")

    # -- intake -------------------------------------------------------------------------------------------

    async def _insert(self, tx: Transaction, seqs: Answer) -> Answer:
        numbers = sorted(row[0] for row in seqs.rows)
        # SQLite answers with the last number, PostgreSQL with each of them.
        first = numbers[-1] - len(self._appends) + 1
        if len(numbers) == 1:
            numbers = list(range(first, first + len(self._appends)))
        for operation, seq in zip(self._appends, numbers, strict=True):
            operation.seq = seq
        return await tx.each(self._is.insert_messages, [(o.seq, *o.row) for o in self._appends])

    async def _land(self, tx: Transaction, lanes: Iterable[str]) -> None:
        """Put messages about merged patients into the lanes of their survivors (`store.aliases.landed`)."""
        ends = await self._ends(tx, lanes)
        for operation in self._appends:
            message = operation.message
            there = {lane: rows.text_out(end) for lane in message.lanes if (end := ends.get(rows.text_in(lane)))}
            if there:
                operation.row, operation.message = rows.message_row(
                    msgspec.structs.replace(message, lanes=landed(message.lanes, there)), self._partitions)

    async def _ends(self, tx: Transaction, lanes: Iterable[str]) -> dict[str, str]:
        """Survivors of the lanes that were merged away; chains are followed to their end."""
        ends: dict[str, str] = {}
        open_ends = {lane: lane for lane in lanes}
        while open_ends:
            answer = await tx.ask(self._is.aliases, self._is.shapes.keys(sorted(set(open_ends.values()))))
            await tx.flush()
            step = {row[0]: row[1] for row in answer.rows if row[0] != row[1]}
            open_ends = {lane: step[end] for lane, end in open_ends.items() if end in step}
            ends |= open_ends
        return ends

    async def _receive(self, tx: Transaction, new: set[int]) -> None:
        fresh = [o for o in self._appends if o.seq in new]
        if fresh:
            await tx.many(self._is.insert_raws, [(o.seq, o.message.raw.reveal()) for o in fresh])
        if fences := [fence for o in fresh if len(o.message.lanes) > 1 for fence in self._fences(o)]:
            await tx.many(self._is.insert_fences, fences)
        for operation in fresh:
            operation.result = receipt_for(self._mint, operation.message, Verdict.ACCEPTED)
        for operation in self._appends:
            if operation.seq not in new:
                operation.result = await self._first(tx, operation.message)

    def _fences(self, append: Append) -> Iterable[Row]:
        message = append.message
        if message.state in UNPROCESSED:
            for lane in message.lanes[1:]:
                yield (rows.text_in(lane), append.seq, partition_of(lane, self._partitions), message.partition)

    async def _first(self, tx: Transaction, message: Message) -> object:
        """The receipt of what was here before. On PostgreSQL another process may have committed it just now."""
        by_id = await tx.ask(self._is.first_by_id, message.id)
        by_dedup = await tx.ask(self._is.first_by_dedup, message.dedup, message.channel)
        await tx.flush()
        found = [*by_id.rows, *by_dedup.rows]
        if not found:
            raise Again  # it was purged between the two statements
        return rows.first_receipt(self._mint, found[0])

    # -- work ---------------------------------------------------------------------------------------------

    async def _commit(self, tx: Transaction, received: set[int]) -> None:
        text, chosen = self._is, []
        for operation in self._commits:
            if operation.error is None:
                for one in operation.prepared:
                    if one.seq in received:
                        received.discard(one.seq)
                        chosen.append(one)
        if not chosen:
            return
        await tx.many(text.move_messages, [one.move for one in chosen])
        if events := [row for one in chosen for row in one.events]:
            await tx.many(text.insert_events, events)
        if decisions := [row for one in chosen for row in one.decisions]:
            await tx.many(text.insert_decisions, decisions)
        if states := {row[0]: row for one in chosen for row in one.states}:
            await tx.many(text.replace_states, list(states.values()))
        if deliveries := [row for one in chosen for row in one.deliveries]:
            await tx.many(text.insert_deliveries, deliveries)
        # After the deliveries: a newer state may make an older delivery of the same batch pointless.
        if superseded := {row[-1]: row for one in chosen for row in one.superseded}:
            await tx.many(text.supersede, list(superseded.values()))
        for conclusion in [values for one in chosen for values in one.concluded]:
            await tx.ask(text.conclude, *text.conclude.values(**conclusion))
        if looks := {row[0]: row for one in chosen for row in one.looks}:
            await tx.many(text.tasks.touch, [looks[key] for key in sorted(looks)])
        if ours := [new for one in chosen for new in one.messages]:
            appends = [Append(asyncio.get_running_loop().create_future(), row, new) for row, new in ours]
            await Batch(text, self._mint, self._partitions, appends, ()).run(tx)
        if lifted := [one.seq for one in chosen if one.lifts]:
            await tx.ask(text.lift_fences, text.shapes.keys(lifted))
        if merges := [row for one in chosen for row in one.merges]:
            await tx.many(text.insert_merges, merges)
        for one in chosen:
            for old, new in one.aliases:
                await self._link(tx, old, new)
                if old != new:
                    await self._relane(tx, old)

    async def _relane(self, tx: Transaction, old: str) -> None:
        """What waits in the lane of a merged patient goes on in that of the survivor (`store.aliases.landed`)."""
        home = partition_of(rows.text_out(old), self._partitions)
        found = [await tx.ask(self._is.received_in, home, old), await tx.ask(self._is.parked_in, home, old),
                 await tx.ask(self._is.fenced_in, old)]
        await tx.flush()
        waiting = {row[0]: rows.lanes_out(row[1], row[2]) for answer in found for row in answer.rows}
        if not waiting:
            return
        ends = await self._ends(tx, {lane for lanes in waiting.values() for lane in lanes})
        moved, fences = [], []
        for seq, lanes in sorted(waiting.items()):
            now = landed(lanes, ends)
            at = [partition_of(rows.text_out(lane), self._partitions) for lane in now]
            moved.append((now[0], at[0], rows.lanes_in(now), seq))
            fences += [(lane, seq, there, at[0]) for lane, there in zip(now[1:], at[1:], strict=True)]
        await tx.ask(self._is.lift_fences, self._is.shapes.keys(sorted(waiting)))
        await tx.many(self._is.move_lanes, moved)
        await tx.many(self._is.insert_fences, fences)

    async def _link(self, tx: Transaction, old: str, new: str) -> None:
        """See `store.aliases.link`: merges are rare, so each is walked by itself."""
        links, last = [(old, new)], new
        while old != new:
            answer = await tx.ask(self._is.alias, last)
            await tx.flush()
            following = answer.rows[0][0] if answer.rows else last
            if following == old:
                links.append((last, last))
            if following in {old, last}:
                break
            last = following
        await tx.many(self._is.set_aliases, links)

    async def _mark(self, tx: Transaction) -> Answer | None:
        wanted = {key: (_INFLIGHT, o.at, key)
                  for o in reversed(self._inflights) if o.error is None for key in o.ids}
        return await tx.each(self._is.mark_inflight, list(wanted.values())) if wanted else None

    def _tell_marked(self, marked: set[str]) -> None:
        for operation in self._inflights:
            if operation.error is None:
                operation.result = frozenset(operation.ids) & marked
                marked -= operation.result

    async def _number(self, tx: Transaction) -> None:
        """Control numbers of what is in flight now. In one order for everybody, so that nobody waits in a circle."""
        wanted = {(o.scopes[key], key, o.at) for o in self._inflights if o.error is None and o.result and o.scopes
                  for key in o.result if key in o.scopes}
        for scope, holder, at in sorted(wanted):
            await reserve(tx, self._is.numbers, scope, holder, at)

    async def _settle(self, tx: Transaction) -> Answer | None:
        last = {row[-1]: row for o in self._settles if o.error is None for row in o.rows}
        return await tx.each(self._is.settle, list(last.values())) if last else None

    async def _attempts(self, tx: Transaction, settled: set[str]) -> None:
        attempts = [rows.attempt_row(a) for o in self._settles if o.error is None for a in o.attempts
                    if a.delivery_id in settled]
        if attempts:
            await tx.many(self._is.insert_attempts, attempts)
