"""Looks and tasks of the ledger in memory (`store.memory`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from canonical.phi import Phi
from canonical.task import TaskStatus
from store.partition import partition_of
from store.records import AuditEntry, Lease, Look, Looked, NewMessage, StoredTask, TaskQuery
from store.rules import RESOLVED, opened, urgency


class MemoryTasks:
    """The part of `store.memory.MemoryLedger` that knows cases and tasks."""

    partitions: int

    def __init__(self) -> None:
        self._looks: dict[str, Look] = {}
        self._tasks: dict[str, StoredTask] = {}

    def _append(self, message: NewMessage) -> object:
        raise NotImplementedError

    def _guard(self, lease: Lease) -> None:
        raise NotImplementedError

    def _write(self, entry: AuditEntry) -> None:
        raise NotImplementedError

    # -- looks --------------------------------------------------------------------------------------------

    def _touch(self, subject_keys: Iterable[str], at: int, token: str) -> None:
        for key in subject_keys:
            self._looks[key] = Look(key, partition_of(key, self.partitions), at, token)

    async def due_looks(self, partition: int, now: int, limit: int) -> Sequence[Look]:
        due = [look for look in self._looks.values() if look.partition == partition and look.due_at <= now]
        return sorted(due, key=lambda look: (look.due_at, look.subject_key))[:limit]

    async def tasks_of(self, subject_keys: Collection[str]) -> Sequence[StoredTask]:
        return sorted((t for t in self._tasks.values() if t.subject_key in subject_keys), key=lambda t: t.id)

    async def commit_looks(self, lease: Lease, looked: Sequence[Looked]) -> None:
        self._guard(lease)
        for one in looked:
            for message in one.messages:
                self._append(message)
            for new in one.opened:
                known = self._tasks.get(new.id)
                if known is None or known.outcome == RESOLVED:
                    self._tasks[new.id] = opened(new)
            for task_id in one.closed:
                task = self._tasks.get(task_id)
                if task is not None and task.open:
                    self._tasks[task_id] = msgspec.structs.replace(
                        task, status=TaskStatus.CANCELLED, outcome=RESOLVED, completed_at=one.at, since=one.at)
            look = self._looks.get(one.subject_key)
            if look is not None and look.token == one.token:
                if one.next_at:
                    self._looks[one.subject_key] = Look(look.subject_key, look.partition, one.next_at, look.token)
                else:
                    del self._looks[one.subject_key]
            self._touch(one.looks, one.at, f"{one.subject_key}@{one.token}")

    # -- desk ---------------------------------------------------------------------------------------------

    async def tasks(self, query: TaskQuery) -> Sequence[StoredTask]:
        def fits(task: StoredTask) -> bool:
            return (task.open is not query.closed and task.queue == (query.queue or task.queue)
                    and task.type == (query.type or task.type) and task.reason.startswith(query.reason)
                    and task.assignee == (query.assignee or task.assignee)
                    and task.subject_key == (query.subject_key or task.subject_key)
                    and task.status is (query.status or task.status))

        return sorted(filter(fits, self._tasks.values()), key=urgency)[:query.limit]

    async def task(self, id_or_prefix: str) -> StoredTask | None:
        if (exact := self._tasks.get(id_or_prefix)) is not None:
            return exact
        found = [task for key, task in self._tasks.items() if id_or_prefix and key.startswith(id_or_prefix)]
        return found[0] if len(found) == 1 else None

    async def task_counts(self) -> Mapping[tuple[str, str], int]:
        return Counter((task.queue, task.status.value) for task in self._tasks.values())

    async def claim_task(self, task_id: str, actor: str, until: int, audit: AuditEntry) -> bool:
        return self._change(task_id, actor, audit, status=TaskStatus.CLAIMED, assignee=actor, claimed_until=until)

    async def release_task(self, task_id: str, actor: str, audit: AuditEntry) -> bool:
        task = self._tasks.get(task_id)
        if task is None or task.assignee != actor:
            return False
        return self._change(task_id, actor, audit, status=TaskStatus.READY, assignee="", claimed_until=0)

    async def finish_task(self, task_id: str, actor: str, outcome: str, note: str, message: NewMessage,
                          audit: AuditEntry) -> bool:
        done = self._change(task_id, actor, audit, status=TaskStatus.DONE, outcome=outcome, note=Phi(note),
                            completed_by=actor, completed_at=audit.at)
        if done:
            self._append(message)
        return done

    def _change(self, task_id: str, actor: str, audit: AuditEntry, **changes: object) -> bool:
        task = self._tasks.get(task_id)
        if task is None or not task.free_for(actor, audit.at):
            return False
        self._tasks[task_id] = msgspec.structs.replace(task, since=audit.at, **changes)
        self._write(audit)
        return True

    def _forget_tasks(self, before: int) -> None:
        for key in [key for key, task in self._tasks.items() if not task.open and task.since < before]:
            del self._tasks[key]
