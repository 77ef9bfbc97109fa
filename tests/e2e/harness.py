"""Whole programs: a site of its own, the engine as a process, the command line as a user types it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from app import command_line
from console import frame
from simulators.downstream import DownstreamHl7
from simulators.erp import Erp
from simulators.faults import Plan
from simulators.fhir_server import FhirServer
from store.ledger import Ledger
from store.records import DeliveryState, MessageState
from wiring import database
from wiring.demo.process import EngineProcess
from wiring.demo.stage import ROOT, Stage
from wiring.demo.verify import verify

SETTLE_S = 60.0


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what would lead a command to another site or make its output another one."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("DRAGOMAN_", "COLUMNS", "FORCE_COLOR"))}
    return {**kept, **(more or {})}


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Standard error, line by line."""
        return self.err.splitlines()


def dragoman(*arguments: str, within_s: float = 60, more: Mapping[str, str] | None = None) -> Said:
    """One command in a process of its own."""
    return Said(subprocess.run([sys.executable, "-m", "app", *arguments], cwd=ROOT, env=environment(more),
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                               timeout=within_s))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Lines on standard error of a command that must fail before it does anything: in this very process, since
    starting one takes longer than the command."""
    code = frame.run(command_line(), arguments)
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    return captured.err.splitlines()


async def typed(*arguments: str, more: Mapping[str, str] | None = None) -> Said:
    """The same, while this process goes on being the partners."""
    return await asyncio.to_thread(partial(dragoman, *arguments, more=more))


class Partners:
    """The three partners of the demo site."""

    def __init__(self, stage: Stage, **plans: Plan) -> None:
        ports = stage.ports
        self.fhir = FhirServer(ports["scheduler"], plan=plans.get("scheduler"))
        self.harbor = DownstreamHl7(ports["harbor"], plan=plans.get("harbor"))
        self.erp = Erp(ports["staffing"], plan=plans.get("staffing"))

    async def __aenter__(self) -> Partners:
        for one in (self.fhir, self.harbor, self.erp):
            await one.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        for one in (self.fhir, self.harbor, self.erp):
            await one.__aexit__(None, None, None)


@asynccontextmanager
async def engine(stage: Stage, *arguments: str,
                 more: Mapping[str, str] | None = None) -> AsyncIterator[EngineProcess]:
    """An engine for the time of a block."""
    ports = [stage.ports["mercy"], stage.ports["lakeside"]]
    own = {database.VARIABLE: database.address(stage.config, {}), **(more or {})}
    process = EngineProcess(stage.config, stage.log, ports, arguments=arguments, environment=own)
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


@asynccontextmanager
async def ledger(stage: Stage, url: str = "") -> AsyncIterator[Ledger]:
    """The ledger of a stage, beside the engine."""
    async with database.existing(stage.config, url or database.address(stage.config, {}), partitions=0,
                                 outbox=False) as opened:
        yield opened


async def settled(opened: Ledger, count: int) -> None:
    """Wait until `count` messages are there and nothing is to be done any more."""
    moving = {state.value for state in (DeliveryState.PENDING, DeliveryState.INFLIGHT)}
    counts: Mapping[str, Mapping[str, int]] = {}

    async def done() -> bool:
        nonlocal counts
        counts = await opened.counts()
        messages, deliveries = counts["messages"], counts["deliveries"]
        return (sum(messages.values()) >= count and not messages.get(MessageState.RECEIVED.value)
                and not any(number for key, number in deliveries.items() if key.rpartition("/")[2] in moving))

    try:
        await until(done)
    except TimeoutError:
        pytest.fail(f"of {count} messages, some never came to rest: {counts}")


async def everything_arrived(opened: Ledger, acknowledged: Collection[str], partners: Partners) -> None:
    """The demo's own count at the partners, as assertions."""
    checks = await verify(opened, acknowledged, partners.fhir, partners.harbor.sink, partners.erp.sink)
    assert all(check.holds for check in checks), [check.text for check in checks if not check.holds]


async def until(what: Callable[[], Awaitable[bool]] | Callable[[], bool], within_s: float = SETTLE_S) -> None:
    """Wait for something that has no event to wait for, because it happens in another process."""
    async with asyncio.timeout(within_s):
        while True:
            now = what()
            if (await now) if isinstance(now, Awaitable) else now:
                return
            await asyncio.sleep(0.05)
