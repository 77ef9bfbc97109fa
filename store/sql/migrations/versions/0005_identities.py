"""Deliveries whose application acknowledgement comes later are found by the control id it names.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("identity", TEXT, server_default="", nullable=False))
    op.create_index("deliveries_identity", "deliveries", ["identity"],
                    sqlite_where=sa.text("identity != ''"), postgresql_where=sa.text("identity != ''"))
