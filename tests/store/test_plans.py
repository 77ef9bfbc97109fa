"""Query plans of the statements that production runs: they never read a whole table."""

from __future__ import annotations

import itertools
import re
import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from store.sql.migrate import migrate
from store.sql.postgres import HOT
from store.sql.shapes import Postgres, Sqlite
from store.sql.statements import Statements, every

SQLITE = every(Statements(Sqlite()))
POSTGRES = every(Statements(Postgres()))


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    path: Path = tmp_path_factory.mktemp("plans") / "ledger.sqlite3"
    migrate(make_url(f"sqlite:///{path}"))
    return sqlite3.connect(path)


@pytest.mark.parametrize("name", sorted(SQLITE))
def test_sqlite_finds_its_rows_by_an_index(connection: sqlite3.Connection, name: str) -> None:
    statement = SQLITE[name]
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", [0] * len(statement.parameters)).fetchall()
    steps = [row[3] for row in plan]
    # The keys of a statement are a table of their own, and reading all of them is what they are for.
    scans = [step for step in steps if step.startswith("SCAN") and "these_" not in step]
    if name == "unpublished":
        # A walk along the partial index of what is unpublished, from its oldest end.
        assert scans == ["SCAN events USING INDEX events_unpublished"]
    else:
        assert scans == []
    assert not any("AUTOMATIC" in step for step in steps)


@pytest.mark.parametrize("name", ["received", "unpublished", "open_deliveries", "finished", "history",
                                  "message_by_control_id", "deliveries_of"])
def test_what_is_read_in_order_is_stored_in_order(connection: sqlite3.Connection, name: str) -> None:
    statement = SQLITE[name]
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", [0] * len(statement.parameters)).fetchall()
    sorts = [row[3] for row in plan if "TEMP B-TREE" in row[3]]
    # Ties are few: the deliveries of one message, the events of one version.
    assert all("RIGHT PART" in sort or "LAST TERM" in sort for sort in sorts)


@pytest.mark.postgres
def test_postgresql_finds_its_rows_by_an_index(postgres: str) -> None:
    """Plans as the writer's connection gets them: prepared, generic, on tables without statistics."""
    migrate(make_url(postgres).set(drivername="postgresql+psycopg"))
    scanning = {}
    with psycopg.connect(postgres, autocommit=True, options=HOT) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        for name, statement in POSTGRES.items():
            number = itertools.count(1)
            query = re.sub("%[sb]", lambda _, n=number: f"${next(n)}", statement.text)  # type: ignore[misc]  # a lambda with a bound default
            connection.execute(f"PREPARE it AS {query}")
            nothing = ", ".join(["NULL"] * len(statement.parameters))
            plan = connection.execute(f"EXPLAIN EXECUTE it({nothing})" if nothing else "EXPLAIN EXECUTE it")
            scanned = {line[0].split("Seq Scan on ")[1].split()[0] for line in plan if "Seq Scan on " in line[0]}
            if scanned:
                scanning[name] = scanned
            connection.execute("DEALLOCATE it")
    assert scanning == {}
