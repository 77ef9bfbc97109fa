"""The drop folder: claimed by renaming, stored, and only then moved away."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from canonical.findings import finding
from canonical.receipt import Receipt
from connectors.base import Submission
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
    *messages, envelope = door.submissions
    assert [s.raw.reveal() for s in messages] == [message(1), message(2), message(3)]
    assert len({s.parent_id for s in door.submissions}) == 1
    assert all(s.parent_id.endswith(".b.hl7") for s in door.submissions)
    assert envelope.raw.reveal() == BATCH_HEAD + BATCH_END
    assert envelope.record is not None
    assert envelope.record.code == "hl7.batch"
    assert envelope.peek.findings == ()
    assert [s.record for s in messages] == [None] * 3


async def test_an_empty_batch_is_valid(tmp_path: Path) -> None:
    """B07"""
    door = Door()
    (tmp_path / "b.hl7").write_bytes(BATCH_HEAD + b"BTS|0\rFTS|1\r")
    async with receiver(tmp_path, door, batch_counts="reject"):
        await until(lambda: names(tmp_path / "done"))
    [envelope] = door.submissions
    assert envelope.record is not None
    assert envelope.refusal is None


def reply_of(folder: Path, name: str = "b.hl7.ack") -> list[str]:
    return (folder / name).read_bytes().decode().rstrip("\r").split("\r")


async def test_a_response_batch_answers_every_message(tmp_path: Path) -> None:
    """B03, B04, B05: own delimiters of the batch, references to it, an acknowledgement a message; what is wrong with
    one message costs the others nothing."""
    door, answers = Door(), tmp_path / "answers"
    bad = b"MSH|^~\\&|EHR|MERCY\r"
    head = b"FHS#!~\\&#EHR#MERCY#HUB#X#20260302###name#FILE7\rBHS#!~\\&#EHR#MERCY#HUB#X#20260302####BATCH9\r"
    (tmp_path / "b.hl7").write_bytes(head + message(1) + bad + message(2) + b"BTS#3\rFTS#1\r")
    async with receiver(tmp_path, door, responses=str(answers)):
        await until(lambda: names(answers))
    lines = reply_of(answers)
    assert [line[:3] for line in lines] == [
        "FHS", "BHS", "MSH", "MSA", "MSH", "MSA", "MSH", "MSA", "BTS", "FTS"]
    file, batch = lines[0].split("#"), lines[1].split("#")
    assert file[1:6] == batch[1:6] == ["!~\\&", "HUB", "X", "EHR", "MERCY"]
    assert (file[11], batch[11]) == ("FILE7", "BATCH9")
    assert file[10] != batch[10]
    assert lines[-2:] == ["BTS#3", "FTS#1"]
    assert [line for line in lines if line.startswith("MSA")] == ["MSA|AA|C-1", "MSA|AA|", "MSA|AA|C-2"]
    assert {s.parent_id.partition(".")[2] for s in door.submissions} == {"b.hl7"}


async def test_a_file_taken_again_after_a_crash_has_the_same_answer(tmp_path: Path) -> None:
    """B04, invariant 7"""
    door, answers = Door(), tmp_path / "answers"
    (tmp_path / "b.hl7").write_bytes(BATCH_HEAD + message(1) + message(2) + message(3) + BATCH_END)
    async with receiver(tmp_path, door, responses=str(answers)):
        await until(lambda: names(tmp_path / "done"))
    before, stored = reply_of(answers), len(door.submissions)
    done = tmp_path / "done/b.hl7"
    done.rename(tmp_path / ".work" / f"{done.stat().st_mtime_ns}.b.hl7")
    (answers / "b.hl7.ack").unlink()
    async with receiver(tmp_path, door, responses=str(answers)):
        await until(lambda: names(tmp_path / "done"))
    assert reply_of(answers) == before
    assert len(door.submissions) == stored
    assert names(answers) == ["b.hl7.ack"]


@pytest.mark.parametrize("end", [b"BTS|4\rFTS|1\r", b"BTS|3\rFTS|2\r", b"BTS|x\rFTS|1\r", b"BTS|3\r", b""])
async def test_a_batch_that_counts_otherwise_is_flagged(tmp_path: Path, end: bytes) -> None:
    """B02: too few, too many batches, no number, no trailer: something was lost on the way."""
    door = Door()
    (tmp_path / "b.hl7").write_bytes(BATCH_HEAD + message(1) + message(2) + message(3) + end)
    async with receiver(tmp_path, door):
        await until(lambda: names(tmp_path / "done"))
    *messages, envelope = door.submissions
    assert [s.refusal for s in messages] == [None] * 3
    assert {found.code for found in envelope.peek.findings} == {"hl7.batch_count"}


async def test_a_batch_that_counts_otherwise_is_refused_as_a_whole_where_the_channel_says_so(tmp_path: Path) -> None:
    """B02: nothing of it is accepted; everything of it is kept; each message is told AE."""
    door, answers = Door(), tmp_path / "answers"
    (tmp_path / "b.hl7").write_bytes(BATCH_HEAD + message(1) + message(2) + b"BTS|3\rFTS|1\r")
    async with receiver(tmp_path, door, batch_counts="reject", responses=str(answers)):
        await until(lambda: names(tmp_path / "failed"))
    assert {s.refusal.code if s.refusal else "" for s in door.submissions} == {"hl7.batch_count"}
    assert len(door.submissions) == 3
    assert [s.peek.dedup for s in door.submissions] == [b""] * 3, "mended and sent again it is new"
    assert [line.split("|")[1] for line in reply_of(answers) if line.startswith("MSA")] == ["AE", "AE"]


async def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """B06: what is held is the messages under way, not the file. (`python -m bench.batch` takes a million.)"""
    class Counting(Door):
        async def accept(self, submission: Submission) -> Receipt:
            self.offered += 1
            await asyncio.sleep(0)
            return self._mint.issue("m", submission.peek.control_id, 1)

        def report(self, receipt: Receipt, code: str, delivered: bool) -> None:
            return

    peaks = []
    for count in (2_000, 20_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        with (folder / "b.hl7").open("wb") as file:
            file.writelines(message(number) for number in range(count))
        door = Counting()
        tracemalloc.start()
        async with receiver(folder, door):
            await until(lambda folder=folder: names(folder / "done"), 60)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert door.offered == count
    assert peaks[1] < peaks[0] * 1.5 + 500_000


async def test_one_message_of_a_file_may_not_exceed_its_limit(tmp_path: Path) -> None:
    """B06, F07: its file is set aside; what stood before it is stored."""
    door = Door()
    (tmp_path / "b.hl7").write_bytes(message(1) + message(2) + b"x" * 600_000 + message(3))
    async with receiver(tmp_path, door, max_message_bytes=1000):
        await until(lambda: names(tmp_path / "failed"))
    findings = json.loads((tmp_path / "failed/b.hl7.finding.json").read_bytes())
    assert [f["code"] for f in findings] == ["hl7.message_too_large"]


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


async def test_a_folder_of_documents_takes_faxes_and_readings_and_sets_aside_what_is_neither(tmp_path: Path) -> None:
    """Z16: an archive is kept and refused, and is not unpacked."""
    door = Door()
    given = {"a.pdf": b"II*\0 a fax whatever its name", "b.txt": b"Referral\nto cardiology\n", "c.tif": b"PK\x03\x04 a zip",
             "d.tif": b""}
    for age, (name, content) in enumerate(given.items()):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1_000 + age, 1_000 + age))
    async with receiver(tmp_path, door, format="document"):
        await until(lambda: len(names(tmp_path / "done")) == 2 and len(names(tmp_path / "failed")) == 4)
    kinds = {one.peer: one.peek.message_type for one in door.submissions if one.refusal is None}
    assert kinds == {"a.pdf": "DOCUMENT^TIFF", "b.txt": "PAGES^TEXT"}
    assert {one.peer: one.refusal.code for one in door.submissions if one.refusal is not None}["c.tif"] == "fax.archive"
    assert names(tmp_path / "done") == ["a.pdf", "b.txt"]
    assert names(tmp_path / "failed") == ["c.tif", "c.tif.finding.json", "d.tif", "d.tif.finding.json"]


async def test_a_document_in_a_folder_may_not_exceed_its_limit(tmp_path: Path) -> None:
    door = Door()
    (tmp_path / "a.tif").write_bytes(b"II*\0" + b"x" * 100)
    async with receiver(tmp_path, door, format="document", max_message_bytes=50):
        await until(lambda: names(tmp_path / "failed"))
    assert names(tmp_path / "failed")[0] == "a.tif"
    assert names(tmp_path / "done") == []


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
    it = FileReceiver("in", settings, door.accept, door.report, kind=spec.kind, now=lambda: clock[0])
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
