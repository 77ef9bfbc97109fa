"""The drop folder: claimed by renaming, stored, and only then moved away."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from canonical.findings import finding
from connectors.file.codes import NO_HEADER
from connectors.file.receiver import FileReceiver
from connectors.file.settings import FileIn
from connectors.file.spec import build_receiver
from tests.conformance.door import until
from tests.http.door import Door

BATCH_HEAD, BATCH_END = b"FHS|^~\\&\rBHS|^~\\&\r", b"BTS|3\rFTS|1\r"


def message(number: int, patient: int | None = None) -> bytes:
    who = number if patient is None else patient
    return (f"MSH|^~\\&|EHR|MERCY|HUB|X|20260302070000||SIU^S12^SIU_S12|C-{number}|P|2.5.1\r"
            f"PID|1||{who}^^^MERCY^MR\r").encode()


@asynccontextmanager
async def receiver(folder: Path, door: Door, **settings: object) -> AsyncIterator[FileReceiver]:
    given = {"path": str(folder), "ready": "rename", "poll_s": 0.01, **settings}
    it = build_receiver("in", msgspec.convert(given, FileIn), door.accept, door.report)
    await it.start()
    try:
        yield it
    finally:
        await it.stop(1)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_file()) if folder.exists() else []


async def test_a_file_is_stored_and_then_moved(tmp_path: Path) -> None:
    """Invariant 1, for files."""
    door = Door()
    door.held = asyncio.Event()
    (tmp_path / "a.hl7").write_bytes(message(1))
    async with receiver(tmp_path, door):
        await until(lambda: door.offered)
        assert names(tmp_path / "done") == names(tmp_path) == []
        door.held.set()
        await until(lambda: names(tmp_path / "done"))
    assert (tmp_path / "done/a.hl7").read_bytes() == message(1)
    assert door.submissions[0].raw.reveal() == message(1)
    assert door.submissions[0].peer == "a.hl7"
    assert door.reports == [("m1", "done", True)]
    assert names(tmp_path / ".work") == []


async def test_files_are_taken_oldest_first(tmp_path: Path) -> None:
    """D03: the time of a file is the order of arrival."""
    door = Door()
    for age, name in ((3, "z"), (2, "m"), (1, "a")):
        (tmp_path / name).write_bytes(message(age))
        os.utime(tmp_path / name, ns=(0, 1_000_000_000_000 - age * 1_000_000_000))
    async with receiver(tmp_path, door):
        await until(lambda: len(names(tmp_path / "done")) == 3)
    assert [s.peer for s in door.submissions] == ["z", "m", "a"]


async def test_a_batch_becomes_its_messages(tmp_path: Path) -> None:
    """B01, B05: each its own envelope, with its parent."""
    door = Door()
    (tmp_path / "b.hl7").write_bytes(BATCH_HEAD + message(1) + message(2) + message(3) + BATCH_END)
    async with receiver(tmp_path, door):
        await until(lambda: names(tmp_path / "done"))
    assert [s.raw.reveal() for s in door.submissions] == [message(1), message(2), message(3)]
    assert len({s.parent_id for s in door.submissions}) == 1
    assert all(s.parent_id.endswith(".b.hl7") for s in door.submissions)


async def test_an_empty_batch_is_valid(tmp_path: Path) -> None:
    """B07"""
    door = Door()
    (tmp_path / "b.hl7").write_bytes(BATCH_HEAD + b"BTS|0\rFTS|1\r")
    async with receiver(tmp_path, door):
        await until(lambda: names(tmp_path / "done"))
    assert door.submissions == []


async def test_messages_of_one_patient_are_stored_one_after_another(tmp_path: Path) -> None:
    """Invariant 4: even where the ledger fails in the middle of a file."""
    door = Door()
    door.fail_after = 2
    (tmp_path / "b.hl7").write_bytes(b"".join(message(n, patient=7) for n in range(6)))
    async with receiver(tmp_path, door):
        await until(lambda: door.failures)
        assert [s.peek.control_id for s in door.submissions] == ["C-0", "C-1"]
        door.fail_after = None
        await until(lambda: names(tmp_path / "done"))
    assert [s.peek.control_id for s in door.submissions] == [f"C-{n}" for n in range(6)]


async def test_while_nothing_can_be_stored_the_file_waits(tmp_path: Path) -> None:
    """House: if the database is down, nothing is lost."""
    door = Door()
    door.open = False
    (tmp_path / "a.hl7").write_bytes(message(1))
    async with receiver(tmp_path, door):
        await until(lambda: door.offered >= 2)
        assert len(names(tmp_path / ".work")) == 1
        door.open = True
        await until(lambda: names(tmp_path / "done"))
    assert len(door.submissions) == 1


@pytest.mark.parametrize("content", [message(1), message(1).replace(b"|C-1|", b"||"), message(1) + message(2)])
async def test_a_file_left_by_a_crash_is_taken_again_harmlessly(tmp_path: Path, content: bytes) -> None:
    """Killed between commit and move: invariants 1 and 7; also for a message without a control id."""
    door = Door()
    (tmp_path / "a.hl7").write_bytes(content)
    async with receiver(tmp_path, door):
        await until(lambda: names(tmp_path / "done"))
    stored = len(door.submissions)
    claimed = f"{(tmp_path / 'done/a.hl7').stat().st_mtime_ns}.a.hl7"
    (tmp_path / "done/a.hl7").rename(tmp_path / ".work" / claimed)
    async with receiver(tmp_path, door):
        await until(lambda: names(tmp_path / "done"))
    assert names(tmp_path / "done") == ["a.hl7"]
    assert len(door.submissions) == stored


async def test_a_stop_in_the_middle_leaves_the_file_for_the_next_start(tmp_path: Path) -> None:
    door = Door()
    door.held = asyncio.Event()
    (tmp_path / "a.hl7").write_bytes(message(1))
    async with receiver(tmp_path, door) as it:
        await until(lambda: door.offered)
        await it.stop(0.01)
        assert len(names(tmp_path / ".work")) == 1
    door.held = None
    async with receiver(tmp_path, door):
        await until(lambda: names(tmp_path / "done") == ["a.hl7"])
    assert len(door.submissions) == 1


@pytest.mark.parametrize(("content", "code"), [
    (b"", "file.empty"), (b" \r\n", "file.empty"), (b"x" * 2000, "file.too_large")])
async def test_what_cannot_be_taken_is_set_aside_with_why(tmp_path: Path, content: bytes, code: str) -> None:
    door = Door()
    (tmp_path / "a.hl7").write_bytes(content)
    (tmp_path / "b.hl7").write_bytes(message(2))
    async with receiver(tmp_path, door, max_bytes=1000):
        await until(lambda: names(tmp_path / "done") == ["b.hl7"])
    assert names(tmp_path / "failed") == ["a.hl7", "a.hl7.finding.json"]
    findings = json.loads((tmp_path / "failed/a.hl7.finding.json").read_bytes())
    assert [f["code"] for f in findings] == [code]


async def test_what_is_no_message_is_stored_as_refused_and_set_aside(tmp_path: Path) -> None:
    """Invariant 2: everything that arrives is visible."""
    door = Door()
    (tmp_path / "a.hl7").write_bytes(b"dear colleague")
    async with receiver(tmp_path, door):
        await until(lambda: names(tmp_path / "failed"))
        await until(lambda: door.reports)
    assert door.submissions[0].refusal == finding(NO_HEADER, at="byte 0")
    assert door.reports == [("m1", "failed", True)]


async def test_a_file_of_any_format_is_one_message(tmp_path: Path) -> None:
    door = Door()
    (tmp_path / "a.json").write_bytes(b'{"MSH":1}')
    async with receiver(tmp_path, door, format="any", pattern="*.json"):
        await until(lambda: names(tmp_path / "done"))
    assert [s.raw.reveal() for s in door.submissions] == [b'{"MSH":1}']
    assert door.submissions[0].peek.lanes


async def test_only_files_of_the_pattern_are_taken(tmp_path: Path) -> None:
    door = Door()
    secret = tmp_path.parent / "secret"
    secret.write_bytes(message(9))
    for name in ("a.hl7", "b.txt", ".c.hl7"):
        (tmp_path / name).write_bytes(message(1))
    (tmp_path / "link.hl7").symlink_to(secret)
    (tmp_path / "folder.hl7").mkdir()
    async with receiver(tmp_path, door, pattern="*.hl7"):
        await until(lambda: names(tmp_path / "done"))
    assert names(tmp_path / "done") == ["a.hl7"]
    assert len(door.submissions) == 1
    assert (tmp_path / "link.hl7").is_symlink()


async def test_a_growing_file_is_not_taken(tmp_path: Path) -> None:
    """`ready: stable`: size and time must stay the same for a while, by an injected clock."""
    door, clock = Door(), [100.0]
    settings = FileIn(path=str(tmp_path), stable_s=5, poll_s=0.005)
    spec = build_receiver("in", settings, door.accept, door.report)
    it = FileReceiver("in", settings, door.accept, door.report, peek=spec._peek, split=spec._split,
                      now=lambda: clock[0])
    path = tmp_path / "a.hl7"
    path.write_bytes(message(1)[:20])
    await it.start()
    for clock[0] in (103.0, 106.0, 109.0):
        with path.open("ab") as file:
            file.write(b"x")
        await asyncio.sleep(0.03)
        assert path.exists()
    path.write_bytes(message(1))
    await asyncio.sleep(0.03)
    clock[0] += 5
    await until(lambda: names(tmp_path / "done"))
    await it.stop(1)
    assert door.submissions[0].raw.reveal() == message(1)


async def test_a_second_file_of_the_same_name_does_not_replace_the_first(tmp_path: Path) -> None:
    door = Door()
    async with receiver(tmp_path, door):
        for number in (1, 2):
            (tmp_path / ".part").write_bytes(message(number))
            (tmp_path / ".part").rename(tmp_path / "a.hl7")
            await until(lambda: len(names(tmp_path / "done")) == number)  # noqa: B023 - awaited in the loop
    assert names(tmp_path / "done") == ["a.hl7", "a.hl7.1"]
    assert len(door.submissions) == 2


async def test_a_folder_that_is_missing_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        async with receiver(tmp_path / "none", Door()):
            pass
    assert not (tmp_path / "none").exists()


async def test_no_name_and_no_content_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Invariant 12: names of files can name patients."""
    caplog.set_level(logging.DEBUG)
    door = Door()
    for name, content in (("CANARY.hl7", b""), ("CANARY2.hl7", b"CANARY"), ("CANARY3.hl7", message(1))):
        (tmp_path / name).write_bytes(content)
    async with receiver(tmp_path, door):
        await until(lambda: names(tmp_path / "done"))
        (tmp_path / "done").rename(tmp_path / "gone")
        (tmp_path / "CANARY4.hl7").write_bytes(message(2))
        await until(lambda: "cannot be used" in caplog.text)
    assert "CANARY" not in caplog.text
