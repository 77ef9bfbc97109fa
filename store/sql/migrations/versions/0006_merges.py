"""Merges and their undoing as facts with a version: whose a late message is does not depend on when it came.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table("merges",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("event_id", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("other", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("key", "event_id", "role", "other"),
        sqlite_with_rowid=False)
