"""Run by alembic: applies the steps on the connection that `store.sql.migrate` has opened."""

from __future__ import annotations

from alembic import context

from store.sql.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
