"""Processes that die in the middle of a conversation with a payer (issue C: no second inquiry under kill -9)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from canonical.failpoints import ENVIRONMENT
from store.records import TaskQuery
from tests.workflow.test_site import HttpPayer, folder, payer, until
from wiring import database
from wiring.demo.process import EngineProcess
from wiring.demo.stage import ROOT

__all__ = ["folder", "payer"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
REFERRALS = 6


async def lives(folder: Path, death: str) -> int | None:
    """Run a process until it dies; its exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "run", "--config", str(folder), cwd=ROOT, env={**os.environ, ENVIRONMENT: death},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    try:
        return await asyncio.wait_for(process.wait(), 30)
    except TimeoutError:
        process.kill()
        return await process.wait() and None


DEATHS = ("flow.before_commit=kill@2", "flow.after_commit=kill@1", "deliver.after_send=kill@2")


async def test_a_process_killed_anywhere_asks_nothing_twice_and_loses_no_task(
        folder: Path, payer: tuple[HttpPayer, int], tmp_path: Path) -> None:
    url = database.address(folder, {})
    for number in range(REFERRALS):
        (folder / "inbox" / f"r{number}.json").write_text(json.dumps({
            "kind": "referral", "number": f"R{number}", "chart": f"C{number}", "status": "complete",
            "member": f"W{number}", "payer": "ACME", "born": "1980-01-20"}))
    died = [await lives(folder, death) for death in DEATHS]
    assert died == [-signal.SIGKILL] * len(DEATHS), "each must have died where it was told to"
    last = EngineProcess(folder, tmp_path / "log", [])
    await last.start()
    try:
        async with database.existing(folder, url, partitions=4, outbox=False) as ledger:
            async def all_there() -> bool:
                return len(await ledger.tasks(TaskQuery(reason="ELIGIBILITY:inactive"))) == REFERRALS

            await until(all_there, 40)
    finally:
        await last.stop()
    members = [question["member"] for question in payer[0].asked]
    assert sorted(members) == [f"W{number}" for number in range(REFERRALS)]
