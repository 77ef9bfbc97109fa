"""Control numbers that partners see: persistent, never twice, without gaps.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table("control_numbers",
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("holder", TEXT, server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "number"),
        sqlite_with_rowid=False)
    op.create_index("control_numbers_holder", "control_numbers", ["scope", "holder"])
    op.create_index("control_numbers_at", "control_numbers", ["at"])
