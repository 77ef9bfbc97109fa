"""Looks and tasks of the ledger on a database (`store.sql.ledger`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Select, and_, func, select

from canonical.phi import Phi
from canonical.receipt import ReceiptMint
from canonical.task import TaskStatus, WorkTask
from store.ledger import LeaseLost
from store.partition import partition_of
from store.records import AuditEntry, Lease, Look, Looked, NewMessage, NewTask, StoredTask, TaskQuery
from store.rules import opened
from store.sql import schema as s
from store.sql.batch import Batch
from store.sql.driver import Row, Transaction
from store.sql.operations import Append
from store.sql.rows import message_row, text_in, text_out
from store.sql.shapes import Statement
from store.sql.statements import Statements
from store.sql.task_statements import TASK_READ
from store.sql.writer import Writer

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(WorkTask).decode


def task_row(new: NewTask) -> Row:
    """The row of a task that begins."""
    one = opened(new)
    return (one.id, text_in(one.subject_key), one.type, text_in(one.reason), text_in(one.queue), one.priority,
            one.created_at, one.due_at, one.message_id, one.status.value, one.since, "", 0, "", "", 0, "", 1,
            _encode(one.task))


def stored_task(row: Row) -> StoredTask:
    """From `store.sql.task_statements.TASK_READ`."""
    (id_, subject_key, type_, reason, queue, priority, created_at, due_at, message_id, status, since, assignee,
     claimed_until, outcome, completed_by, completed_at, note, body) = row
    return StoredTask(
        id=id_, subject_key=text_out(subject_key), type=type_, reason=text_out(reason), queue=text_out(queue),
        priority=priority, created_at=created_at, due_at=due_at, message_id=message_id, status=TaskStatus(status),
        since=since, assignee=text_out(assignee), claimed_until=claimed_until, outcome=outcome,
        completed_by=text_out(completed_by), completed_at=completed_at, note=Phi(text_out(note)), task=_decode(body))


class SqlTasks:
    """The part of `store.sql.ledger.SqlLedger` that knows cases and tasks."""

    partitions: int
    _is: Statements
    _keys: Callable[[Sequence[Any]], Any]
    _mint: ReceiptMint
    _writer: Writer

    async def _read(self, statement: Statement, *parameters: Any) -> Sequence[Row]:
        raise NotImplementedError

    async def _search(self, query: Select[Any]) -> Sequence[Row]:
        raise NotImplementedError

    async def _write(self, tx: Transaction, entry: AuditEntry) -> None:
        raise NotImplementedError

    async def _holds(self, tx: Transaction, lease: Lease) -> bool:
        raise NotImplementedError

    # -- looks --------------------------------------------------------------------------------------------

    async def due_looks(self, partition: int, now: int, limit: int) -> Sequence[Look]:
        return [Look(text_out(key), home, due_at, token)
                for key, home, due_at, token in await self._read(self._is.tasks.due_looks, partition, now, limit)]

    async def tasks_of(self, subject_keys: Collection[str]) -> Sequence[StoredTask]:
        keys = self._keys([text_in(key) for key in subject_keys])
        return [stored_task(row) for row in await self._read(self._is.tasks.tasks_of, keys)]

    async def commit_looks(self, lease: Lease, looked: Sequence[Looked]) -> None:
        new = [task_row(task) for one in looked for task in one.opened]
        appends = [self._appended(message) for one in looked for message in one.messages]
        further = {key: (text_in(key), partition_of(key, self.partitions), one.at,
                         f"{text_in(one.subject_key)}@{one.token}") for one in looked for key in one.looks}

        async def run(tx: Transaction) -> None:
            if not await self._holds(tx, lease):
                raise LeaseLost(f"partition {lease.partition} has a new owner")
            text = self._is.tasks
            if appends:
                await self._append_all(tx, appends)
            if new:
                await tx.ask(text.drop_resolved, self._keys(sorted({row[0] for row in new})))
                await tx.many(text.open_tasks, list({row[0]: row for row in new}.values()))
            for one in looked:
                if one.closed:
                    await tx.ask(text.resolve_tasks, *text.resolve_tasks.values(
                        ids=self._keys(sorted(one.closed)), at=one.at, at_=one.at))
                if one.next_at:
                    await tx.ask(text.look_later, *text.look_later.values(
                        key=text_in(one.subject_key), seen=one.token, next=one.next_at))
                else:
                    await tx.ask(text.looked, *text.looked.values(key=text_in(one.subject_key), seen=one.token))
            if further:
                await tx.many(text.touch, [further[key] for key in sorted(further)])

        await self._writer.task(run)

    def _appended(self, message: NewMessage) -> Append:
        row, new = message_row(message, self.partitions)
        return Append(asyncio.get_running_loop().create_future(), row, new)

    async def _append_all(self, tx: Transaction, appends: Sequence[Append]) -> None:
        """Accept messages of ours inside a transaction; those that are known already are left alone."""
        await Batch(self._is, self._mint, self.partitions, appends, ()).run(tx)

    # -- desk ---------------------------------------------------------------------------------------------

    async def tasks(self, query: TaskQuery) -> Sequence[StoredTask]:
        t = s.tasks.c
        found = select(*TASK_READ).where(t.stands == s.NO if query.closed else s.WAITING).limit(query.limit)
        for column, wanted in ((t.queue, query.queue), (t.type, query.type), (t.assignee, query.assignee),
                               (t.subject_key, query.subject_key)):
            if wanted:
                found = found.where(column == text_in(wanted))
        if query.reason:
            reason = text_in(query.reason)
            found = found.where(and_(t.reason >= reason, t.reason < reason[:-1] + chr(ord(reason[-1]) + 1)))
        if query.status is not None:
            found = found.where(t.status == query.status.value)
        found = found.order_by(t.priority.desc(), func.coalesce(func.nullif(t.due_at, 0), 1 << 62), t.created_at, t.id)
        return [stored_task(row) for row in await self._search(found)]

    async def task(self, id_or_prefix: str) -> StoredTask | None:
        key = text_in(id_or_prefix)
        if not key or not key.isascii():
            return None
        found = await self._read(self._is.tasks.task, key)
        if not found:
            starting = await self._read(self._is.tasks.tasks_between, key, key[:-1] + chr(ord(key[-1]) + 1))
            found = starting if len(starting) == 1 else ()
        return stored_task(found[0]) if found else None

    async def task_counts(self) -> Mapping[tuple[str, str], int]:
        t = s.tasks.c
        found = await self._search(select(t.queue, t.status, func.count()).group_by(t.queue, t.status))
        return {(text_out(queue), status): count for queue, status, count in found}

    async def claim_task(self, task_id: str, actor: str, until: int, audit: AuditEntry) -> bool:
        who = text_in(actor)
        return await self._change(self._is.tasks.claim_task, audit, id=text_in(task_id), actor=who, now=audit.at,
                                  at=audit.at, new_assignee=who, until=until)

    async def release_task(self, task_id: str, actor: str, audit: AuditEntry) -> bool:
        return await self._change(self._is.tasks.release_task, audit, id=text_in(task_id), actor=text_in(actor),
                                  at=audit.at)

    async def finish_task(self, task_id: str, actor: str, outcome: str, note: str, message: NewMessage,
                          audit: AuditEntry) -> bool:
        who = text_in(actor)
        return await self._change(self._is.tasks.finish_task, audit, message, id=text_in(task_id), actor=who,
                                  now=audit.at, at=audit.at, at_=audit.at, how=outcome, why=text_in(note), who=who)

    async def _change(self, statement: Statement, audit: AuditEntry, message: NewMessage | None = None,
                      **parameters: Any) -> bool:
        """Compare and set: the statement touches the row only where it may; the rest follows if it did."""
        async def run(tx: Transaction) -> bool:
            changed = await tx.ask(statement, *statement.values(**parameters))
            await tx.flush()
            if not changed.rows:
                return False
            if message is not None:
                await self._append_all(tx, [self._appended(message)])
            await self._write(tx, audit)
            return True

        return await self._writer.task(run)
