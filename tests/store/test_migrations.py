"""Migrations bring an empty database to exactly the tables that the code declares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, make_url, pool, text

from store.sql.migrate import migrate, upgrade
from store.sql.schema import metadata


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    url = make_url(database)
    one = create_engine(url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url,
                        poolclass=pool.NullPool)
    yield one
    one.dispose()


def indexes(connection: Connection) -> set[str]:
    """Every index as the database itself words it: alembic's comparison does not see conditions."""
    query = ("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
             if connection.dialect.name == "sqlite" else
             "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
    return {" ".join(row[0].split()) for row in connection.execute(text(query))}


def test_an_empty_database_becomes_what_the_schema_declares(engine: Engine) -> None:
    migrate(engine.url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        migrated = indexes(connection)
    with engine.begin() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert indexes(connection) == migrated


def test_a_second_start_finds_nothing_to_do(engine: Engine) -> None:
    migrate(engine.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE counters SET value = 41"))
        upgrade(connection)
        assert connection.execute(text("SELECT value FROM counters")).scalar_one() == 41


def test_a_migration_that_fails_leaves_nothing_half_done(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE writers (mine INTEGER)"))
    with pytest.raises(Exception, match="writers"):
        migrate(engine.url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE writers"))
    migrate(engine.url)
