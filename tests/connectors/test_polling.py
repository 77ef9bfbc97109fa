"""Receivers that look for themselves go on whatever happens, and say what happened without a value of any message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from canonical.receipt import Receipt
from connectors.base import Submission, Unavailable
from connectors.core.receiver import CoreReceiver
from connectors.core.settings import CoreIn
from connectors.file.settings import FileIn
from connectors.file.spec import build_receiver
from connectors.polling import Polling
from connectors.sftp.receiver import SftpReceiver
from connectors.x12.reception import Reception
from simulators.payer import Payer
from store.memory import MemoryLedger
from tests.conformance.door import Door, until
from tests.sftp.server import Server
from tests.x12.messages import answer


class _Polls(Protocol):
    _polling: Polling

    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None: ...


class _Defect(Door):
    """A door that fails once in a way that nobody foresaw, with a value in its text."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = True

    async def accept(self, submission: Submission) -> Receipt:
        if self.fails:
            self.fails = False
            raise KeyError("CANARY")
        return await super().accept(submission)


@asynccontextmanager
async def _file(folder: Path, door: Door) -> AsyncIterator[_Polls]:
    (folder / "a.x12").write_bytes(answer())
    yield build_receiver("in", FileIn(path=str(folder), ready="rename", poll_s=0.01, format="x12"), door.accept, door.report,
                         Reception((), MemoryLedger(partitions=1)))


@asynccontextmanager
async def _sftp(folder: Path, door: Door) -> AsyncIterator[_Polls]:
    server = Server(folder)
    acceptor = await server.start()
    (server.files / "a.x12").write_bytes(answer())
    yield SftpReceiver("in", server.settings(format="x12"), door.accept, door.report,
                       Reception((), MemoryLedger(partitions=1)))
    acceptor.close()
    await acceptor.wait_closed()


@asynccontextmanager
async def _core(folder: Path, door: Door) -> AsyncIterator[_Polls]:
    async with Payer() as payer:
        payer.results.append(answer())
        yield CoreReceiver("in", CoreIn(url=payer.url, sender_id="CLINIC", receiver_id="PAYER", every_s=0.05), door.accept,
                           door.report, Reception((), MemoryLedger(partitions=1)))


@pytest.mark.parametrize("kind", [_file, _sftp, _core])
async def test_what_nobody_foresaw_is_counted_and_logged_without_a_value_and_the_looking_goes_on(
        kind: Callable[[Path, Door], AsyncIterator[_Polls]], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Invariants 1 and 12: file, SFTP and CORE alike; the message is stored at the next look."""
    door = _Defect()
    with caplog.at_level(logging.WARNING):
        async with kind(tmp_path, door) as receiver:  # type: ignore[attr-defined] # decorated: a context manager
            await receiver.start()
            try:
                await until(lambda: len(door.submissions) == 1)
            finally:
                await receiver.stop(1)
    assert receiver._polling.failures == {"KeyError": 1}
    assert "channel in, KeyError" in caplog.text
    assert "CANARY" not in caplog.text


async def test_a_ledger_that_is_away_is_no_failure() -> None:
    """What could not be stored is there at the next look; so long nothing is counted."""
    looks = 0

    async def look() -> bool:
        nonlocal looks
        looks += 1
        raise Unavailable

    polling = Polling("in", look, 0.001)
    polling.begin()
    await until(lambda: looks > 2)
    await polling.end(1)
    assert not polling.failures


async def test_where_there_may_be_more_nobody_waits() -> None:
    more = [True, True, False]
    looks = 0

    async def look() -> bool:
        nonlocal looks
        looks += 1
        return more.pop(0) if more else False

    polling = Polling("in", look, 3600)
    polling.begin()
    await until(lambda: looks == 3)
    await asyncio.sleep(0.02)
    assert looks == 3
    await polling.end(1)


