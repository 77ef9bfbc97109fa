"""Files that appear whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry
from connectors.file.sender import FileSender, file_name
from connectors.file.settings import FileOut


def dispatch(identity: str = "d-1", body: bytes = b"MSH|CANARY\r") -> Dispatch:
    return Dispatch(identity=identity, body=Phi(body), content_type="x-application/hl7-v2+er7")


@asynccontextmanager
async def sender(folder: Path, **settings: object) -> AsyncIterator[FileSender]:
    it = FileSender("out", msgspec.convert({"path": str(folder), **settings}, FileOut))
    await it.start()
    try:
        yield it
    finally:
        await it.stop(1)


async def test_a_message_becomes_a_file_named_by_its_identity(tmp_path: Path) -> None:
    async with sender(tmp_path) as it:
        assert await it.send(dispatch()) == Delivered("written", "d-1.hl7")
    assert [p.name for p in tmp_path.iterdir()] == ["d-1.hl7"]
    assert (tmp_path / "d-1.hl7").read_bytes() == b"MSH|CANARY\r"
    assert (tmp_path / "d-1.hl7").stat().st_mode & 0o777 & 0o137 == 0


async def test_a_repeated_attempt_meets_its_own_file(tmp_path: Path) -> None:
    """Invariant 8"""
    async with sender(tmp_path) as it:
        await it.send(dispatch())
        before = (tmp_path / "d-1.hl7").stat().st_mtime_ns
        assert await it.send(dispatch()) == Delivered("exists", "d-1.hl7")
    assert (tmp_path / "d-1.hl7").stat().st_mtime_ns == before


async def test_a_file_with_other_content_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "d-1.hl7").write_bytes(b"theirs")
    async with sender(tmp_path) as it:
        verdict = await it.send(dispatch())
    assert isinstance(verdict, Rejected)
    assert verdict.finding.code == "file.differs"
    assert (tmp_path / "d-1.hl7").read_bytes() == b"theirs"


async def test_half_a_file_of_an_earlier_crash_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".d-1.hl7.part").write_bytes(b"MS" * 1000)
    async with sender(tmp_path) as it:
        await it.send(dispatch())
    assert [p.name for p in tmp_path.iterdir()] == ["d-1.hl7"]
    assert (tmp_path / "d-1.hl7").read_bytes() == b"MSH|CANARY\r"


async def test_a_missing_folder_is_waited_for(tmp_path: Path) -> None:
    """A share that is not mounted: no effect, and nobody's budget is spent."""
    folder = tmp_path / "share"
    async with sender(folder) as it:
        verdict = await it.send(dispatch())
        assert isinstance(verdict, Retry)
        assert verdict.free
        assert "CANARY" not in repr(verdict)
        folder.mkdir()
        assert isinstance(await it.send(dispatch()), Delivered)


async def test_whoever_watches_sees_only_complete_files(tmp_path: Path) -> None:
    body = b"x" * 2_000_000
    seen: set[int] = set()
    async with sender(tmp_path, suffix=".dat") as it:
        sending = [asyncio.create_task(it.send(dispatch(f"d-{n}", body))) for n in range(8)]
        while not all(task.done() for task in sending):
            seen |= {p.stat().st_size for p in tmp_path.glob("d-*.dat")}
            await asyncio.sleep(0)
        outcomes: list[Outcome] = [await task for task in sending]
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert seen <= {len(body)}


async def test_a_stopped_sender_writes_nothing(tmp_path: Path) -> None:
    async with sender(tmp_path) as it:
        pass
    assert isinstance(await it.send(dispatch()), Retry)
    assert list(tmp_path.iterdir()) == []


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_names_are_legal_visible_and_never_shared(one: str, two: str) -> None:
    """Z16: no identity can lead out of the folder."""
    names = [file_name(identity, ".hl7") for identity in (one, two)]
    for name in names:
        assert len(name) < 255
        assert "/" not in name
        assert "\0" not in name
        assert not name.startswith(".")
    assert (names[0] == names[1]) == (one == two)


@pytest.mark.parametrize("settings", [{"suffix": "hl7"}, {"suffix": ".a/b"}, {"mode": "640"}, {"path": ""}])
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"path": "/out", **settings}, FileOut)
