"""The tables of the first release.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(sa.schema.CreateSequence(sa.Sequence("message_seq")))
    op.create_table("aliases",
        sa.Column("old", TEXT, nullable=False),
        sa.Column("new", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("old"),
        sqlite_with_rowid=False)
    op.create_table("attempts",
        sa.Column("delivery_id", TEXT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", TEXT, server_default="", nullable=False),
        sa.Column("code", TEXT, server_default="", nullable=False),
        sa.Column("finding", sa.LargeBinary(), nullable=True),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", "started_at", "number"),
        sqlite_with_rowid=False)
    op.create_table("audit",
        sa.Column("number", KEY, autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"))
    op.create_table("audit_head",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("one"))
    op.create_table("counters",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False)
    op.create_table("decisions",
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "id"),
        sqlite_with_rowid=False)
    op.create_table("deliveries",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("message_seq", sa.BigInteger(), nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("destination", TEXT, nullable=False),
        sa.Column("lane", TEXT, server_default="", nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, server_default="", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("reason", TEXT, server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("code", TEXT, server_default="", nullable=False),
        sa.Column("findings", sa.LargeBinary(), nullable=True),
        sa.Column("stands", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False)
    op.create_index("deliveries_message", "deliveries", ["message_seq"])
    where = sa.text("stands > 0")
    op.create_index("deliveries_open", "deliveries", ["partition", "message_seq"],
                    sqlite_where=where, postgresql_where=where)
    where = sa.text("stands = 2")
    op.create_index("deliveries_parked", "deliveries", ["destination", "reason", "message_seq"],
                    sqlite_where=where, postgresql_where=where)
    op.create_table("events",
        sa.Column("seq", KEY, autoincrement=True, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("message_seq", sa.BigInteger(), nullable=False),
        sa.Column("subject_key", TEXT, nullable=False),
        sa.Column("version_at", TEXT, nullable=False),
        sa.Column("version_tie", TEXT, nullable=False),
        sa.Column("published", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"))
    op.create_index("events_history", "events", ["subject_key", "version_at", "version_tie"])
    op.create_index("events_id", "events", ["id"], unique=True)
    op.create_index("events_message", "events", ["message_seq"])
    where = sa.text("published = 0")
    op.create_index("events_unpublished", "events", ["seq"],
                    sqlite_where=where, postgresql_where=where)
    op.create_table("fences",
        sa.Column("lane", TEXT, nullable=False),
        sa.Column("message_seq", sa.BigInteger(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("home", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("lane", "message_seq"),
        sqlite_with_rowid=False)
    op.create_index("fences_message", "fences", ["message_seq"])
    op.create_index("fences_partition", "fences", ["partition", "message_seq"])
    op.create_table("leases",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", TEXT, server_default="", nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition"))
    op.create_table("messages",
        sa.Column("seq", KEY, autoincrement=False, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("channel", TEXT, server_default="", nullable=False),
        sa.Column("control_id", TEXT, server_default="", nullable=False),
        sa.Column("message_type", TEXT, server_default="", nullable=False),
        sa.Column("sender", TEXT, server_default="", nullable=False),
        sa.Column("lane", TEXT, server_default="", nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("lanes", sa.LargeBinary(), nullable=True),
        sa.Column("charset", TEXT, server_default="", nullable=False),
        sa.Column("dedup", sa.LargeBinary(), nullable=True),
        sa.Column("peer", TEXT, server_default="", nullable=False),
        sa.Column("parent_id", TEXT, server_default="", nullable=False),
        sa.Column("replay_of", TEXT, server_default="", nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("state", TEXT, server_default="", nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("reason", TEXT, server_default="", nullable=False),
        sa.Column("ack_outcome", TEXT, server_default="", nullable=False),
        sa.Column("ack_code", TEXT, server_default="", nullable=False),
        sa.Column("revision", TEXT, server_default="", nullable=False),
        sa.Column("findings", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("seq"))
    op.create_index("messages_control_id", "messages", ["control_id", "seq"])
    where = sa.text("dedup IS NOT NULL")
    op.create_index("messages_dedup", "messages", ["dedup", "channel"], unique=True,
                    sqlite_where=where, postgresql_where=where)
    op.create_index("messages_id", "messages", ["id"], unique=True)
    where = sa.text("state = 'parked'")
    op.create_index("messages_parked", "messages", ["partition", "lane", "seq"],
                    sqlite_where=where, postgresql_where=where)
    where = sa.text("state = 'received'")
    op.create_index("messages_received", "messages", ["partition", "seq", "lane"],
                    sqlite_where=where, postgresql_where=where)
    op.create_index("messages_received_at", "messages", ["received_at"])
    op.create_table("raws",
        sa.Column("message_seq", KEY, autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_seq"))
    op.create_table("revisions",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest"))
    op.create_table("settings",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name"))
    op.create_table("states",
        sa.Column("subject_key", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("patient_key", TEXT, server_default="", nullable=False),
        sa.Column("closed", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject_key"))
    op.create_table("writers",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"))

    op.bulk_insert(sa.table("counters", sa.column("name"), sa.column("value")),
                   [{"name": "message_seq", "value": 0}])
    op.bulk_insert(sa.table("audit_head", sa.column("one"), sa.column("count"), sa.column("hash")),
                   [{"one": 1, "count": 0, "hash": bytes(32)}])
