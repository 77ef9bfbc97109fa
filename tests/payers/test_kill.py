"""Killed in the middle of a conversation over the real envelope: no second inquiry at the payer (issue C)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from canonical.failpoints import ENVIRONMENT
from connectors.x12.edi import parse
from simulators.payer import Payer
from tests.payers.clinic import Clinic, booked, insured, written
from wiring import database
from wiring.demo.process import EngineProcess
from wiring.demo.stage import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
PATIENTS = 4
DEATHS = ("deliver.before_send=kill@1", "deliver.after_send=kill@2")


async def dies(folder: Path, port: int, death: str, messages: list[bytes]) -> None:
    """A process that is told things, oldest first, and dies where it must; what it did not acknowledge is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "run", "--config", str(folder), cwd=ROOT, env={**os.environ, ENVIRONMENT: death},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(40):
            while process.returncode is None:
                if messages and await said(port, messages[0]):
                    del messages[0]
                else:
                    await asyncio.sleep(0.05)
            assert await process.wait() == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(port: int, message: bytes) -> bool:
    """Whether it could be said, and was acknowledged."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"\x0b" + message + b"\x1c\r")
    try:
        return b"MSA|" in await reader.readuntil(b"\x1c\r")
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    finally:
        writer.close()


async def test_a_process_killed_in_the_middle_asks_the_payer_nothing_twice(tmp_path: Path) -> None:
    """Invariants 5, 6 and 8, X07: by payload id and by trace each inquiry has one effect, its repetition the same bytes
    and the same control number, and every question is answered."""
    async with Payer() as payer:
        port = written(tmp_path, payer.url)
        database.prepare(database.address(tmp_path, {}))
        everything = [message for number in range(1, PATIENTS + 1) for message in (insured(number), booked(number))]
        await dies(tmp_path, port, DEATHS[0], everything)
        await dies(tmp_path, port, DEATHS[1], everything)
        last = EngineProcess(tmp_path, tmp_path / "log", [port])
        await last.start()
        try:
            async with database.existing(tmp_path, database.address(tmp_path, {}), partitions=2, outbox=False) as ledger:
                site = Clinic(port, payer, ledger, tmp_path / "inbox")
                await site.tell(*everything)

                async def all_answered() -> bool:
                    return sum(1 for check in await site.checks() if check.result) == PATIENTS

                await site.until(all_answered, 40)

                async def nothing_to_do() -> bool:
                    return await site.reasons() == []

                # Deadlines may have passed while nobody ran: what was said of them goes away with the answers.
                await site.until(nothing_to_do, 20)
        finally:
            await last.stop()
        assert payer.sink.repeated() == {}
        assert Counter(one.key for one in payer.sink.arrivals if one.effect) == dict.fromkeys(payer.sink.all_keys(), 1)
        assert len(payer.sink.all_keys()) == PATIENTS
        assert payer.sink.count > PATIENTS, "one was asked and not heard: it was repeated"
        bodies = {one.identity: {other.body for other in payer.sink.arrivals if other.identity == one.identity}
                  for one in payer.sink.arrivals}
        assert all(len(each) == 1 for each in bodies.values())
        controls = sorted(parse(body).interchanges[0].header.element(13) for each in bodies.values() for body in each)
        assert controls == sorted({f"{number:09d}" for number in range(1, PATIENTS + 1)})
