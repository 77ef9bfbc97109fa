"""Open visits are found by their person: a merge re-points them.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    open_ones = sa.text("closed = 0")
    op.create_index("states_open", "states", ["patient_key"], sqlite_where=open_ones, postgresql_where=open_ones)
