"""Tables of the ledger. ``docs/ledger.md`` draws them; ``migrations/`` brings a database here.

What changes often is kept apart from what is large: a message's bytes are written once into `raws`, so that a
change of state rewrites a small row only. Partial indexes hold what is unfinished and nothing else: they stay
as small as the backlog, whatever the size of the tables.

There are no foreign keys: all rows of a message are written by one statement sequence in one transaction, and
a check per row would double the price of the hottest inserts. `purge` is the only thing that deletes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    literal_column,
)
from sqlalchemy.dialects import postgresql

from store.records import MessageState

metadata: Final = MetaData()

#: Text by code point: the same order in every database, and the cheapest to compare.
TEXT: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
#: SQLite numbers its rows itself where the key is called INTEGER; either holds 64 bits.
KEY: Final = BigInteger().with_variant(Integer(), "sqlite")


def word(value: str) -> ColumnElement[str]:
    """A constant spelled out: a planner takes a partial index only where it can read its condition."""
    return literal_column(f"'{value}'", Text)


def words(values: Iterable[str]) -> list[ColumnElement[str]]:
    """Several of them, in a stable order."""
    return [word(value) for value in sorted(values)]


#: The flag that is looked for: what has not happened yet.
NO: Final = literal_column("0", SmallInteger)


def _text(name: str) -> Column[str]:
    return Column(name, TEXT, nullable=False, server_default="")


def _time(name: str) -> Column[int]:
    """Microseconds since the epoch, UTC."""
    return Column(name, BigInteger, nullable=False)


def _number(name: str, default: int = 0) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=str(default))


#: Rows found by their key alone live in the key's tree; saves a second look-up on SQLite.
_CLUSTERED: Final[dict[str, Any]] = {"sqlite_with_rowid": False}


def _partial(name: str, *columns: Column[Any], where: ColumnElement[bool], unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


#: Where a message's `seq` comes from on PostgreSQL; on SQLite it is a row of `counters`.
message_seq: Final = Sequence("message_seq", metadata=metadata)
counters: Final = Table(
    "counters", metadata,
    Column("name", TEXT, nullable=False, primary_key=True),
    Column("value", BigInteger, nullable=False),
    **_CLUSTERED)

messages: Final = Table(
    "messages", metadata,
    Column("seq", KEY, primary_key=True, autoincrement=False),
    Column("id", TEXT, nullable=False),
    _text("channel"), _text("control_id"), _text("message_type"), _text("sender"),
    _text("lane"), Column("partition", Integer, nullable=False),
    Column("lanes", LargeBinary),
    _text("charset"), Column("dedup", LargeBinary), _text("peer"), _text("parent_id"), _text("replay_of"),
    _time("received_at"), _text("state"), _time("since"), _text("reason"),
    _text("ack_outcome"), _text("ack_code"), _text("revision"), Column("findings", LargeBinary))
Index("messages_id", messages.c.id, unique=True)
Index("messages_control_id", messages.c.control_id, messages.c.seq)
Index("messages_received_at", messages.c.received_at)
_partial("messages_dedup", messages.c.dedup, messages.c.channel, unique=True,
         where=messages.c.dedup.is_not(None))
_partial("messages_received", messages.c.partition, messages.c.seq, messages.c.lane,
         where=messages.c.state == word(MessageState.RECEIVED))
_partial("messages_parked", messages.c.partition, messages.c.lane, messages.c.seq,
         where=messages.c.state == word(MessageState.PARKED))

raws: Final = Table(
    "raws", metadata,
    Column("message_seq", KEY, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False))

fences: Final = Table(
    "fences", metadata,
    Column("lane", TEXT, nullable=False),
    Column("message_seq", BigInteger, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("home", Integer, nullable=False),
    PrimaryKeyConstraint("lane", "message_seq"),
    **_CLUSTERED)
Index("fences_partition", fences.c.partition, fences.c.message_seq)
Index("fences_message", fences.c.message_seq)

events: Final = Table(
    "events", metadata,
    Column("seq", KEY, primary_key=True, autoincrement=True),
    Column("id", TEXT, nullable=False),
    Column("message_seq", BigInteger, nullable=False),
    Column("subject_key", TEXT, nullable=False),
    Column("version_at", TEXT, nullable=False),
    Column("version_tie", TEXT, nullable=False),
    Column("published", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False))
Index("events_id", events.c.id, unique=True)
Index("events_message", events.c.message_seq)
Index("events_history", events.c.subject_key, events.c.version_at, events.c.version_tie)
_partial("events_unpublished", events.c.seq, where=events.c.published == NO)

decisions: Final = Table(
    "decisions", metadata,
    Column("event_id", TEXT, nullable=False),
    Column("id", TEXT, nullable=False),
    Column("kind", TEXT, nullable=False),
    _time("at"),
    Column("body", LargeBinary, nullable=False),
    PrimaryKeyConstraint("event_id", "id"),
    **_CLUSTERED)

states: Final = Table(
    "states", metadata,
    Column("subject_key", TEXT, primary_key=True),
    Column("version", TEXT, nullable=False),
    Column("event_id", TEXT, nullable=False),
    _text("patient_key"),
    Column("closed", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False))

#: Who has open visits: a merge or new contact data must find them.
_partial("states_open", states.c.patient_key, where=states.c.closed == NO)

aliases: Final = Table(
    "aliases", metadata,
    Column("old", TEXT, nullable=False, primary_key=True),
    Column("new", TEXT, nullable=False),
    **_CLUSTERED)

#: What was ever said of two persons being one, or two again: see `store.records.Processed.merges`.
merges: Final = Table(
    "merges", metadata,
    Column("key", TEXT, nullable=False),
    Column("event_id", TEXT, nullable=False),
    Column("role", TEXT, nullable=False),
    Column("other", TEXT, nullable=False),
    PrimaryKeyConstraint("key", "event_id", "role", "other"),
    **_CLUSTERED)

deliveries: Final = Table(
    "deliveries", metadata,
    Column("id", TEXT, nullable=False, primary_key=True),
    Column("message_seq", BigInteger, nullable=False),
    Column("event_id", TEXT, nullable=False),
    Column("destination", TEXT, nullable=False),
    _text("lane"), Column("partition", Integer, nullable=False), _number("priority"),
    _time("due_at"), _text("state"), _time("since"), _text("reason"),
    _number("attempts"), _text("code"), Column("findings", LargeBinary),
    # 0 settled, 1 at work, 2 parked. Said apart from `state`, so that the step from pending to in flight, which
    # every delivery takes, touches no index (and stays in its page on PostgreSQL).
    Column("stands", SmallInteger, nullable=False),
    # Only of what is acknowledged twice, at commit and by the application (`NewDelivery.identity`).
    _text("identity"),
    **_CLUSTERED)
OPEN: Final = deliveries.c.stands > literal_column("0", SmallInteger)
STUCK: Final = deliveries.c.stands == literal_column("2", SmallInteger)
Index("deliveries_message", deliveries.c.message_seq)
_partial("deliveries_open", deliveries.c.partition, deliveries.c.message_seq,
         where=OPEN)
_partial("deliveries_identity", deliveries.c.identity, where=deliveries.c.identity != word(""))
_partial("deliveries_parked", deliveries.c.destination, deliveries.c.reason, deliveries.c.message_seq,
         where=STUCK)

attempts: Final = Table(
    "attempts", metadata,
    Column("delivery_id", TEXT, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    _time("ended_at"), _text("outcome"), _text("code"),
    Column("finding", LargeBinary), Column("response", LargeBinary),
    PrimaryKeyConstraint("delivery_id", "started_at", "number"),
    **_CLUSTERED)

#: Cases that must be looked at; see `store.records.Look`.
looks: Final = Table(
    "looks", metadata,
    Column("subject_key", TEXT, nullable=False, primary_key=True),
    Column("partition", Integer, nullable=False),
    _time("due_at"), Column("token", TEXT, nullable=False),
    **_CLUSTERED)
Index("looks_due", looks.c.partition, looks.c.due_at, looks.c.subject_key)

tasks: Final = Table(
    "tasks", metadata,
    Column("id", TEXT, nullable=False, primary_key=True),
    Column("subject_key", TEXT, nullable=False),
    _text("type"), _text("reason"), _text("queue"), _number("priority"), _time("created_at"), _time("due_at"),
    _text("message_id"), _text("status"), _time("since"), _text("assignee"), _time("claimed_until"),
    _text("outcome"), _text("completed_by"), _time("completed_at"), _text("note"),
    # 1 while it waits for somebody: said apart from `status`, so that the partial index is one of open ones.
    Column("stands", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False))
WAITING: Final = tasks.c.stands == literal_column("1", SmallInteger)
Index("tasks_subject", tasks.c.subject_key)
_partial("tasks_open", tasks.c.queue, tasks.c.priority, where=WAITING)
_partial("tasks_closed", tasks.c.since, where=tasks.c.stands == NO)

leases: Final = Table(
    "leases", metadata,
    Column("partition", Integer, primary_key=True, autoincrement=False),
    _text("owner"), Column("epoch", BigInteger, nullable=False), _time("expires_at"))

audit: Final = Table(
    "audit", metadata,
    Column("number", KEY, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False))

audit_head: Final = Table(
    "audit_head", metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False))

#: Numbers that partners see (ISA13): which holder has which number of a sequence, ours (the `counters` row of the
#: sequence says how far it is) and those that came in.
control_numbers: Final = Table(
    "control_numbers", metadata,
    Column("scope", TEXT, nullable=False),
    Column("number", BigInteger, nullable=False),
    _text("holder"), _time("at"),
    PrimaryKeyConstraint("scope", "number"),
    **_CLUSTERED)
Index("control_numbers_holder", control_numbers.c.scope, control_numbers.c.holder)
Index("control_numbers_at", control_numbers.c.at)

revisions: Final = Table(
    "revisions", metadata,
    Column("digest", TEXT, nullable=False, primary_key=True),
    Column("body", LargeBinary, nullable=False))

writers: Final = Table(
    "writers", metadata,
    Column("id", TEXT, nullable=False, primary_key=True),
    Column("batch", BigInteger, nullable=False))

settings: Final = Table(
    "settings", metadata,
    Column("name", TEXT, nullable=False, primary_key=True),
    Column("value", TEXT, nullable=False))
