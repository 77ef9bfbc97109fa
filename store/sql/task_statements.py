"""Statements about cases and tasks, by name; see `store.sql.statements`."""

from __future__ import annotations

from sqlalchemy import BigInteger, and_, bindparam, delete, literal_column, or_, select, update

from canonical.task import TaskStatus
from store.rules import RESOLVED
from store.sql import schema as s
from store.sql.schema import word
from store.sql.shapes import Shapes

LOOK: tuple[str, ...] = ("subject_key", "partition", "due_at", "token")
TASK: tuple[str, ...] = (
    "id", "subject_key", "type", "reason", "queue", "priority", "created_at", "due_at", "message_id", "status",
    "since", "assignee", "claimed_until", "outcome", "completed_by", "completed_at", "note", "stands", "body")
_t, _l = s.tasks.c, s.looks.c
#: What is read of a task, in this order (`store.sql.tasks` turns it into a record).
TASK_READ = tuple(_t[name] for name in TASK if name != "stands")


class TaskStatements:
    """All of them, compiled for one database."""

    def __init__(self, shapes: Shapes) -> None:
        text, among = shapes.compile, shapes.among
        self.touch = shapes.insert(s.looks, LOOK, replace=True)
        self.due_looks = text(
            select(*(_l[name] for name in LOOK))
            .where(_l.partition == bindparam("partition"), _l.due_at <= bindparam("now"))
            .order_by(_l.due_at, _l.subject_key).limit(bindparam("limit")))
        seen = [_l.subject_key == bindparam("key"), _l.token == bindparam("seen")]
        self.looked = text(delete(s.looks).where(*seen))
        self.look_later = text(update(s.looks).where(*seen).values(due_at=bindparam("next", type_=BigInteger)))

        read = select(*TASK_READ)
        self.tasks_of = text(read.where(among(_t.subject_key, "keys")).order_by(_t.id))
        self.task = text(read.where(_t.id == bindparam("id")))
        self.tasks_between = text(
            read.where(_t.id >= bindparam("first"), _t.id < bindparam("end")).limit(literal_column("2")))
        self.drop_resolved = text(delete(s.tasks).where(among(_t.id, "ids"), _t.outcome == word(RESOLVED)))
        self.open_tasks = shapes.insert(s.tasks, TASK)
        self.resolve_tasks = text(
            update(s.tasks).where(among(_t.id, "ids"), s.WAITING)
            .values(status=word(TaskStatus.CANCELLED), since=bindparam("at", type_=BigInteger), outcome=word(RESOLVED),
                    completed_at=bindparam("at_", type_=BigInteger), stands=literal_column("0")))
        mine = and_(_t.id == bindparam("id"), s.WAITING,
                    or_(_t.assignee == word(""), _t.assignee == bindparam("actor"),
                        _t.claimed_until <= bindparam("now", type_=BigInteger)))
        self.claim_task = text(
            update(s.tasks).where(mine)
            .values(status=word(TaskStatus.CLAIMED), since=bindparam("at", type_=BigInteger),
                    assignee=bindparam("new_assignee"), claimed_until=bindparam("until", type_=BigInteger))
            .returning(_t.id))
        self.release_task = text(
            update(s.tasks)
            .where(_t.id == bindparam("id"), s.WAITING, _t.assignee == bindparam("actor"))
            .values(status=word(TaskStatus.READY), since=bindparam("at", type_=BigInteger), assignee=word(""),
                    claimed_until=literal_column("0"))
            .returning(_t.id))
        self.finish_task = text(
            update(s.tasks).where(mine)
            .values(status=word(TaskStatus.DONE), since=bindparam("at", type_=BigInteger),
                    outcome=bindparam("how"), note=bindparam("why"), completed_by=bindparam("who"),
                    completed_at=bindparam("at_", type_=BigInteger), stands=literal_column("0"))
            .returning(_t.id))
        self.forget_tasks = text(
            delete(s.tasks).where(_t.stands == s.NO, _t.since < bindparam("before")))
