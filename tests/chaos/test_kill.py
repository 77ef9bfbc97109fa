"""kill -9 at every named fail point, then count (invariants 1, 4, 6, 7, 8)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from canonical.failpoints import points
from store.opening import open_ledger
from store.records import DeliveryState
from tests.chaos import victim  # declares every fail point it passes

KEYS = "ABC"
COUNT = 12
#: ``make chaos`` raises it: deaths at so many later passages, too.
ROUNDS = int(os.environ.get("DRAGOMAN_CHAOS_ROUNDS", "1"))
PASSAGES = [1, 4, *range(7, 4 + 3 * ROUNDS, 3)]
#: Passed only by a replay, or where rules set something in motion: they have tests of their own
#: (tests/router/test_replay.py, tests/workflow/test_kill.py).
ELSEWHERE = {"replay.between_steps", "flow.before_commit", "flow.after_commit"}
POINTS = sorted(name for name in points() if name.split(".")[0] not in {"test"} and name not in ELSEWHERE)


async def run(database: str, folder: Path, fail: str, wanted: list[tuple[str, int]]) -> bool:
    """Feed a victim what is not acknowledged yet; True if it lived to the end."""
    environment = {**os.environ, "DRAGOMAN_FAILPOINTS": fail}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.victim", database, str(folder), env=environment,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    lines = "".join(f"{key} {number}\n" for key, number in wanted) + "settle\n"
    with contextlib.suppress(OSError):
        process.stdin.write(lines.encode())
        await process.stdin.drain()
    settled = False
    try:
        async with asyncio.timeout(60):
            async for raw in process.stdout:
                word, *rest = raw.decode().split()
                if word == "ack":
                    wanted.remove((rest[0], int(rest[1])))
                elif word == "settled":
                    settled = True
                    process.stdin.close()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return settled


@pytest.mark.slow
@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("passage", PASSAGES)
async def test_a_process_killed_anywhere_loses_nothing_and_repeats_nothing_unseen(
        name: str, passage: int, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'ledger.db'}"
    wanted = [(key, number) for number in range(COUNT) for key in KEYS]
    lived = await run(database, tmp_path, f"{name}=kill@{passage}", wanted)
    if lived and passage == 1:
        assert name in {"worker.after_recover"}, f"nothing passes {name}"
    # The peer of an MLLP sender resends what was not acknowledged; the lease of the dead runs out meanwhile.
    for _ in range(3):
        if await run(database, tmp_path, "", wanted):
            break
    assert not wanted

    ledger = open_ledger(database, partitions=2)
    await ledger.start()
    try:
        parked = await ledger.find_deliveries(state=DeliveryState.PARKED)
        counts = await ledger.counts()
    finally:
        await ledger.stop()
    assert {d.reason for d in parked} <= {"delivery.unknown"}
    assert {d.destination for d in parked} <= {"once"}, "an idempotent destination heals by itself"
    assert sum(counts["messages"].values()) == len(KEYS) * COUNT, "a resend became a second message"

    held_back = {key: min((int(n) for k, n in missing(tmp_path / "once") if k == key), default=COUNT)
                 for key in KEYS}
    for place in ("once", "twice"):
        seen = effects(tmp_path / place)
        times = Counter((e["subject"], e["note"]) for e in seen)
        if place == "once":
            assert set(times.values()) <= {1}, "a second effect at a destination that is not idempotent"
        for key in KEYS:
            order = list(dict.fromkeys(int(e["note"]) for e in seen if e["subject"].endswith(f"|{key}")))
            expected = range(COUNT) if place == "twice" else range(held_back[key])
            assert order == list(expected), f"{place} {key}: lost or out of order"
    # Whatever is missing at the other destination waits behind one that is parked for a person.
    blocked = [key for key in KEYS if held_back[key] < COUNT]
    assert len(blocked) <= len(parked)


def effects(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def missing(path: Path) -> list[tuple[str, str]]:
    there = {(e["subject"].rpartition("|")[2], e["note"]) for e in effects(path)}
    return [(key, str(n)) for key in KEYS for n in range(COUNT) if (key, str(n)) not in there]


def test_the_victim_passes_every_point_there_is() -> None:
    assert victim.SITE.partitions == 2
    assert len(POINTS) >= 13
