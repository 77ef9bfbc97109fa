"""Documents by SFTP, from a real server: the conformance of every receiver, and what is peculiar to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import asyncssh
import msgspec
import pytest

from connectors.base import Receiver
from connectors.sftp.receiver import SftpReceiver
from connectors.sftp.settings import SftpIn
from connectors.x12.reception import Reception
from store.memory import MemoryLedger
from tests.conformance.door import Door, until
from tests.conformance.receiver import Client, ReceiverConformance
from tests.ocr import sheets
from tests.sftp.server import Server

_names = count()


class Dropper:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part = folder / f".{next(_names)}.part"

    async def send(self, content: bytes) -> None:
        self._part.write_bytes(content)
        self._part.rename(self._folder / f"{next(_names):04d}.pdf")

    async def send_part(self, content: bytes) -> None:
        self._part.write_bytes(content[:len(content) // 2])

    async def leave(self) -> None:
        pass

    async def answer(self) -> bytes:
        raise NotImplementedError("a folder does not answer")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    acceptor = await made.start()
    yield made
    acceptor.close()
    await acceptor.wait_closed()


@asynccontextmanager
async def taking(door: Door, settings: SftpIn) -> AsyncIterator[SftpReceiver]:
    receiver = SftpReceiver("faxes", settings, door.accept, door.report, Reception((), MemoryLedger(partitions=1)))
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop(1)


class TestSftpReceiver(ReceiverConformance):
    """SFTP does what every receiver must do."""

    answers = False

    @pytest.fixture(autouse=True)
    def _at(self, server: Server) -> None:
        self.server = server

    @asynccontextmanager
    async def running(self, door: Door, like: Receiver | None = None) -> AsyncIterator[Receiver]:
        async with taking(door, self.server.settings()) as receiver:
            yield receiver

    @asynccontextmanager
    async def client(self, receiver: Receiver) -> AsyncIterator[Client]:
        yield Dropper(self.server.files)

    def message(self, number: int) -> bytes:
        return sheets.text_pdf([f"Referral number {number}"])

    def refused_message(self) -> bytes:
        return b"PK\x03\x04 an archive"

    def is_positive(self, answer: bytes) -> bool:
        raise NotImplementedError("a folder does not answer")


async def test_a_stored_file_is_moved_away_on_the_server_and_a_refused_one_apart(server: Server) -> None:
    door = Door()
    (server.files / "a.pdf").write_bytes(b"%PDF-1.7")
    (server.files / "b.zip").write_bytes(b"PK\x03\x04")
    async with taking(door, server.settings()):
        await until(lambda: len(door.reports) == 2)
    assert [path.name for path in (server.files / "done").iterdir()] == ["a.pdf"]
    assert [path.name for path in (server.files / "failed").iterdir()] == ["b.zip"]
    assert {code for _, code, _ in door.reports} == {"done", "failed"}


async def test_a_stored_file_is_removed_where_the_partner_wants_that_and_a_refused_one_is_kept(server: Server) -> None:
    """No folder is made before it is needed."""
    door = Door()
    (server.files / "a.pdf").write_bytes(b"%PDF-1.7")
    async with taking(door, server.settings(taken="remove")):
        await until(lambda: len(door.reports) == 1)
        assert list(server.files.iterdir()) == []
        (server.files / "b.zip").write_bytes(b"PK\x03\x04")
        await until(lambda: len(door.reports) == 2)
    assert [path.name for path in server.files.rglob("*") if path.is_file()] == ["b.zip"]


async def test_a_file_that_is_too_large_is_moved_aside_unread(server: Server) -> None:
    door = Door()
    (server.files / "large.pdf").write_bytes(b"%PDF-1.7" + b"x" * 5000)
    async with taking(door, server.settings(max_bytes=1000)):
        await until((server.files / "failed" / "large.pdf").exists)
    assert door.submissions == []


async def test_a_file_whose_storing_failed_is_taken_again_and_known(server: Server) -> None:
    """Invariants 1 and 7"""
    door = Door()
    door.unavailable = True
    (server.files / "a.pdf").write_bytes(b"%PDF-1.7")
    async with taking(door, server.settings()):
        await asyncio.sleep(0.2)
        assert (server.files / "a.pdf").exists()
        door.unavailable = False
        await until((server.files / "done" / "a.pdf").exists)
    [only] = door.submissions
    assert only.peek.dedup


async def test_a_server_with_another_key_is_not_talked_to(server: Server) -> None:
    """Z08"""
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    server.known.write_text(f"[127.0.0.1]:{server.port} {other}")
    door = Door()
    (server.files / "a.pdf").write_bytes(b"%PDF-1.7")
    async with taking(door, server.settings()):
        await asyncio.sleep(0.3)
    assert door.submissions == []


def test_credentials_are_one_of_two() -> None:
    with pytest.raises(msgspec.ValidationError, match="either key or password"):
        msgspec.convert({"host": "h", "user": "u", "known_hosts": "k"}, SftpIn)
