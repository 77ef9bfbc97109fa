"""Bring a database to the newest schema with alembic; the steps are in ``migrations/versions``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, event, pool, text
from sqlalchemy.engine.interfaces import DBAPIConnection

_SCRIPTS: Final = Path(__file__).with_name("migrations")
#: Any constant: processes that start together migrate one after the other.
_LOCK: Final = 0x44524147


def migrate(url: URL) -> None:
    """Upgrade to the newest revision; no effect where it is there already.

    Args:
        url: as SQLAlchemy takes it, driver included.
    """
    engine = create_engine(url, poolclass=pool.NullPool)
    if engine.dialect.name == "sqlite":
        # Python's sqlite3 opens a transaction before INSERT but not before CREATE TABLE: ours holds all of it.
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            upgrade(connection)
    finally:
        engine.dispose()


def _leave_transactions_to_us(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def upgrade(connection: Connection) -> None:
    """The same inside an open transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    newest = ScriptDirectory.from_config(config).get_current_head()
    if MigrationContext.configure(connection).get_current_revision() != newest:
        command.upgrade(config, "head")
