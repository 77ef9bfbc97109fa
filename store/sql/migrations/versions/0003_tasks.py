"""Cases to look at, and tasks for people.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, server_default="", nullable=False)


def _time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    op.create_table("looks",
        sa.Column("subject_key", TEXT, nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        _time("due_at"),
        sa.Column("token", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("subject_key"),
        sqlite_with_rowid=False)
    op.create_index("looks_due", "looks", ["partition", "due_at", "subject_key"])
    op.create_table("tasks",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("subject_key", TEXT, nullable=False),
        _text("type"), _text("reason"), _text("queue"),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        _time("created_at"), _time("due_at"), _text("message_id"), _text("status"), _time("since"),
        _text("assignee"), _time("claimed_until"), _text("outcome"), _text("completed_by"),
        _time("completed_at"), _text("note"),
        sa.Column("stands", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"))
    op.create_index("tasks_subject", "tasks", ["subject_key"])
    waiting, over = sa.text("stands = 1"), sa.text("stands = 0")
    op.create_index("tasks_open", "tasks", ["queue", "priority"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_index("tasks_closed", "tasks", ["since"], sqlite_where=over, postgresql_where=over)
