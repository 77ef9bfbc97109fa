"""Interchanges dropped on an SFTP server: the conformance of every sender, and what is peculiar to it (X07, X14, X17)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import asyncssh
import pytest

from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Rejected, Retry, Sender, Unknown
from connectors.sftp.sender import SftpSender
from connectors.sftp.settings import SftpOut
from tests.conformance.sender import Does, Peer, SenderConformance
from tests.core.messages import inquiry
from tests.sftp.server import Server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    acceptor = await made.start()
    yield made
    acceptor.close()
    await acceptor.wait_closed()


@asynccontextmanager
async def dropping(settings: SftpOut) -> AsyncIterator[SftpSender]:
    sender = SftpSender("payer", settings)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop(0.1)


def dispatch(number: int) -> Dispatch:
    return Dispatch(identity=f"d-{number}", body=Phi(inquiry(number)), content_type="application/EDI-X12")


class TestSftpSender(SenderConformance):
    """SFTP does what every sender must do; here each file holds one message."""

    @pytest.fixture(autouse=True)
    def _at(self, server: Server) -> None:
        self.server = server

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        yield self.server

    @asynccontextmanager
    async def running(self, peer: Peer) -> AsyncIterator[Sender]:
        async with dropping(cast("Server", peer).out(max_batch=1, timeout_s=1.0)) as sender:
            yield sender

    def dispatch(self, number: int) -> Dispatch:
        return dispatch(number)


async def test_what_waits_together_leaves_as_one_file_and_not_more_than_allowed(server: Server) -> None:
    """X14, X17: `collect_s` and `max_batch`, as with the CORE batch."""
    async with dropping(server.out(collect_s=0.3, max_batch=5, prefix="270_")) as sender:
        outcomes = await asyncio.gather(*(sender.send(dispatch(number)) for number in range(1, 8)))
    assert {type(outcome) for outcome in outcomes} == {Delivered}
    files = server.dropped()
    assert sorted(path.read_bytes().count(b"ST*270") for path in files) == [2, 5]
    assert b"".join(server.received) == b"".join(inquiry(number) for number in range(1, 8))
    assert all(path.name.startswith("270_") and path.name.endswith(".x12") for path in files)
    assert server.flushed == 2, "fsync where the server offers it"


async def test_nobody_sees_a_file_before_it_is_complete(server: Server) -> None:
    """It gets its name when it is complete: what the server names is what was sent."""
    async with dropping(server.out()) as sender:
        await sender.send(dispatch(1))
    assert server.received == [inquiry(1)]
    assert [path.name for path in server.files.iterdir()] == [path.name for path in server.dropped()]


@pytest.mark.parametrize("taken", [False, True])
async def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(server: Server, taken: bool) -> None:
    """Invariants 6 and 8: a hidden file that is still there was not named; one that has gone was named, and taken."""
    server.script, server.renames, server.taken = [Does.DROP], False, taken
    async with dropping(server.out()) as sender:
        outcome = await sender.send(dispatch(1))
        assert isinstance(outcome, Delivered if taken else Retry)
        if not taken:
            assert list(server.files.iterdir()) == []
            assert isinstance(await sender.send(dispatch(1)), Delivered)
    assert len(server.received) == (1 if taken else 2)


@pytest.mark.parametrize("taken", [False, True])
async def test_what_could_not_be_looked_up_is_unknown_and_looked_up_at_the_next_attempt(
        server: Server, taken: bool) -> None:
    """Invariants 6 and 8: two of three come again with others, in another batch; what was taken is not sent again."""
    server.script, server.taken = [Does.DROP], taken
    async with dropping(server.out(collect_s=0.2)) as sender:
        first = await asyncio.gather(*(sender.send(dispatch(number)) for number in (1, 2, 3)))
        assert {type(outcome) for outcome in first} == {Unknown}
        again = await asyncio.gather(*(sender.send(dispatch(number)) for number in (2, 3, 4)))
        assert {type(outcome) for outcome in again} == {Delivered}
    expected = [1, 2, 3, 4] if taken else [2, 3, 4]
    told = server.received[1:] if not taken else server.received
    assert b"".join(told) == b"".join(inquiry(number) for number in expected)


async def test_a_file_that_an_earlier_process_dropped_is_not_dropped_again(server: Server) -> None:
    """Invariant 8: it was killed between naming the file and saying so; the question comes again, with others."""
    async with dropping(server.out(collect_s=0.2)) as sender:
        await asyncio.gather(*(sender.send(dispatch(number)) for number in (1, 2)))
    async with dropping(server.out(collect_s=0.2)) as sender:
        outcomes = await asyncio.gather(*(sender.send(dispatch(number)) for number in (2, 3)))
    assert [outcome.code for outcome in outcomes if isinstance(outcome, Delivered)] == ["exists", "dropped"]
    assert b"".join(server.received) == b"".join(inquiry(number) for number in (1, 2, 3))


async def test_a_file_of_somebody_else_is_never_overwritten(server: Server) -> None:
    async with dropping(server.out()) as sender:
        await sender.send(dispatch(1))
    path, = server.dropped()
    path.write_bytes(b"something else")
    async with dropping(server.out()) as sender:
        outcome = await sender.send(dispatch(1))
    assert isinstance(outcome, Rejected)
    assert outcome.finding.code == "sftp.differs"
    assert path.read_bytes() == b"something else"


async def test_the_same_batch_has_the_same_name(server: Server) -> None:
    """Invariant 8"""
    names = []
    for _ in range(2):
        async with dropping(server.out(collect_s=0.2)) as sender:
            await asyncio.gather(*(sender.send(dispatch(number)) for number in (1, 2)))
        path, = server.dropped()
        names.append(path.name)
        path.unlink()
    assert len(set(names)) == 1


async def test_a_server_with_another_key_gets_nothing_and_stops_the_destination(server: Server) -> None:
    """Z08"""
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    server.known.write_text(f"[127.0.0.1]:{server.port} {other}")
    async with dropping(server.out()) as sender:
        outcome = await sender.send(dispatch(1))
    assert isinstance(outcome, Rejected)
    assert outcome.channel_wide
    assert outcome.finding.code == "sftp.access"
    assert list(server.files.iterdir()) == []


async def test_a_folder_that_is_not_there_stops_the_destination(server: Server) -> None:
    async with dropping(server.out(path="inbound")) as sender:
        outcome = await sender.send(dispatch(1))
    assert isinstance(outcome, Rejected)
    assert outcome.channel_wide


async def test_what_does_not_leave_before_the_stop_leaves_after_the_next_start(server: Server) -> None:
    """Stopping does not wait out `collect_s`: what waits leaves at once, if it can."""
    async with dropping(server.out(collect_s=3600)) as sender:
        sending = asyncio.ensure_future(sender.send(dispatch(1)))
        await asyncio.sleep(0.01)
        await sender.stop(5)
        assert isinstance(await sending, Delivered)
        outcome = await sender.send(dispatch(2))
    assert isinstance(outcome, Retry)
    assert outcome.free
