"""The twins: each test of a ledger runs on all three of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from store.ledger import Ledger
from store.opening import open_ledger
from tests.store.databases import postgres_database


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty ledger."""
    if request.param == "postgres":
        with postgres_database(request.getfixturevalue("postgres_url")) as database:
            yield database
    else:
        yield "memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    """A ledger of one partition."""
    one = open_ledger(url, partitions=1)
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def spread(url: str) -> AsyncIterator[Ledger]:
    """A ledger of 16 partitions."""
    one = open_ledger(url, partitions=16)
    await one.start()
    yield one
    await one.stop()
