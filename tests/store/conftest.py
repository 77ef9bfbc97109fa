"""Fixtures of the store's own tests; what both kinds of database must do alike is in ``tests/twins``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.databases import postgres_database


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """Address of a SQLite ledger that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[str]:
    """Address of an empty PostgreSQL database."""
    with postgres_database(postgres_url) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    """Either of them."""
    return str(request.getfixturevalue(request.param))
