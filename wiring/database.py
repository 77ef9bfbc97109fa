"""Which ledger belongs to a site, and opening it with an error a person can act on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from canonical.findings import Rejection, finding
from store.ledger import Ledger, LedgerUnavailable
from store.opening import open_ledger
from wiring.codes import DATABASE, NO_LEDGER

VARIABLE: Final = "DRAGOMAN_DATABASE"
_SQLITE: Final = "sqlite:///"


def address(folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Where the site's ledger is: the variable, or a file in ``var`` beside the configuration."""
    return environment.get(VARIABLE) or f"{_SQLITE}{folder.resolve() / 'var' / 'ledger.sqlite3'}"


def file_of(url: str) -> Path | None:
    """The file of an SQLite address; None for any other."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def prepare(url: str) -> None:
    """Make the folder of an SQLite file, for its owner only: what is in there is PHI.

    Raises:
        Rejection: it cannot be made.
    """
    file = file_of(url)
    if file is None:
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Rejection(finding(DATABASE, row=VARIABLE, detail=f"{file.parent}: {error.strerror}")) from None


async def start(url: str, *, partitions: int, outbox: bool) -> Ledger:
    """An open ledger.

    Raises:
        Rejection: the address makes no sense, or the database is away.
    """
    try:
        ledger = open_ledger(url, partitions=partitions, outbox=outbox)
        await ledger.start()
    except ValueError as error:  # about the address's form; the address itself may hold a password
        raise Rejection(finding(DATABASE, row=VARIABLE, detail=str(error))) from None
    except LedgerUnavailable as error:
        raise Rejection(finding(DATABASE, row=VARIABLE, detail=str(error))) from None
    return ledger


@asynccontextmanager
async def existing(folder: Path, url: str, *, partitions: int, outbox: bool) -> AsyncIterator[Ledger]:
    """The ledger of a site that has run before, for a command; works beside the running engine.

    Raises:
        Rejection: there is none, or the database is away.
    """
    file = file_of(url)
    if file is not None and not file.exists():
        raise Rejection(finding(NO_LEDGER, row=str(folder), detail=f"no ledger at {file}"))
    ledger = await start(url, partitions=partitions, outbox=outbox)
    try:
        yield ledger
    finally:
        await ledger.stop()
