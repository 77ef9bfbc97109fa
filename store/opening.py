"""The front door of the store: a ledger from its address."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlalchemy import URL, make_url

from store.ledger import Ledger
from store.memory import MemoryLedger
from store.sql.ledger import SqlLedger
from store.sql.postgres import PostgresDriver
from store.sql.sqlite import SqliteDriver

#: Partitions of a new ledger where nobody has said how many. One process works all of a SQLite ledger: every further
#: partition cuts its batches smaller, and a few are enough for one stage to go on while another waits (ADR 11).
SQLITE_PARTITIONS: Final = 4
#: Several workers share those of a server, and each should have some.
POSTGRES_PARTITIONS: Final = 16


def open_ledger(url: str, *, partitions: int = 0, outbox: bool = True) -> Ledger:
    """The ledger at `url`; nothing is opened before `start()`.

    Args:
        url: ``sqlite:///PATH``, ``postgresql://USER@HOST/NAME`` or ``memory:``.
        partitions: how many partitions lanes are spread over: what the database was made with, or it is refused.
            0: as many as it was made with; if it is new, as suits its kind.
        outbox: False where no subscriber takes events: they count as published at once.

    Raises:
        ValueError: the address is of no known kind.
    """
    if url == "memory:":
        return MemoryLedger(partitions=partitions or SQLITE_PARTITIONS, outbox=outbox)
    if url.startswith("sqlite:///"):
        return _sqlite(url, partitions, outbox)
    if url.startswith(("postgresql://", "postgres://")):
        return _postgres(url, partitions, outbox)
    raise ValueError("a ledger's address starts with sqlite:///, postgresql:// or is memory:")


def _sqlite(url: str, partitions: int, outbox: bool) -> Ledger:
    path = Path(url.removeprefix("sqlite:///"))
    address = URL.create("sqlite+pysqlite", database=str(path))
    return SqlLedger(SqliteDriver(path), address, name=_name(), partitions=partitions or SQLITE_PARTITIONS,
                     fixed=bool(partitions), outbox=outbox)


def _postgres(url: str, partitions: int, outbox: bool) -> Ledger:
    address = make_url(url).set(drivername="postgresql+psycopg")
    return SqlLedger(PostgresDriver(url), address, name=_name(), partitions=partitions or POSTGRES_PARTITIONS,
                     fixed=bool(partitions), outbox=outbox)


def _name() -> str:
    """Unique among all writers, for ever: two processes of the same host and number must not be mixed up."""
    return uuid4().hex
