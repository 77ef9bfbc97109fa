"""What every receiver must do."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest

from connectors.base import Receiver
from tests.conformance.door import Door, until


class Client(Protocol):
    """A peer that speaks the receiver's protocol, byte by byte."""

    async def send(self, content: bytes) -> None:
        """Send one message."""

    async def answer(self) -> bytes:
        """The next answer; empty when the receiver closed the connection instead."""

    async def send_part(self, content: bytes) -> None:
        """Send the beginning of a message."""

    async def leave(self) -> None:
        """Close the connection at once, both ways: over TCP with a reset."""


class ReceiverConformance(ABC):
    """Subclass as ``Test…`` and fill in the abstract methods.

    Set `answers` to False for a receiver whose peer gets no answer (a folder); `commits_partial` says that
    the end of the connection is a legal end of a message.
    """

    answers = True

    @abstractmethod
    def running(self, door: Door, like: Receiver | None = None) -> AbstractAsyncContextManager[Receiver]:
        """A receiver in front of `door`, started and stopped; on the same resources as `like`, if given."""

    @abstractmethod
    def client(self, receiver: Receiver) -> AbstractAsyncContextManager[Client]:
        """A connected peer."""

    @abstractmethod
    def message(self, number: int) -> bytes:
        """A valid message; another one for each number."""

    @abstractmethod
    def refused_message(self) -> bytes:
        """A message this receiver does not take by configuration, or because it is none."""

    @abstractmethod
    def is_positive(self, answer: bytes) -> bool:
        """Whether an answer says that the sender may forget the message."""

    def is_about(self, answer: bytes, number: int) -> bool:
        """Whether an answer belongs to message `number`, where the protocol can say so."""
        return True

    async def test_what_arrives_is_submitted_byte_for_byte(self) -> None:
        """Invariant 3: raw is what the peer sent."""
        door = Door()
        async with self.running(door) as receiver, self.client(receiver) as client:
            await client.send(self.message(1))
            await until(lambda: door.submissions)
        assert door.accepted == [self.message(1)]
        assert door.submissions[0].channel
        assert door.submissions[0].peek.lanes

    async def test_content_is_masked_wherever_it_is_printed(self) -> None:
        """Invariant 12."""
        door = Door()
        async with self.running(door) as receiver, self.client(receiver) as client:
            await client.send(self.message(1))
            await until(lambda: door.submissions)
        assert repr(door.submissions[0].raw) == "‹phi›"

    async def test_no_positive_answer_leaves_before_the_commit_returns(self) -> None:
        """Invariant 1, A03."""
        if not self.answers:
            pytest.skip("this receiver's peer gets no answer")
        door = Door()
        door.open.clear()
        async with self.running(door) as receiver, self.client(receiver) as client:
            await client.send(self.message(1))
            await until(lambda: door.submissions)
            waiting = asyncio.ensure_future(client.answer())
            done, _ = await asyncio.wait({waiting}, timeout=0.1)
            assert not done
            door.open.set()
            assert self.is_positive(await waiting)

    async def test_a_message_that_could_not_be_stored_gets_no_positive_answer(self) -> None:
        """Invariant 1: if the database is down, nothing is acknowledged; the next message is."""
        if not self.answers:
            pytest.skip("this receiver's peer gets no answer")
        door = Door()
        door.unavailable = True
        async with self.running(door) as receiver:
            async with self.client(receiver) as client:
                await client.send(self.message(1))
                assert not self.is_positive(await client.answer())
            door.unavailable = False
            async with self.client(receiver) as client:
                await client.send(self.message(1))
                assert self.is_positive(await client.answer())
        assert door.accepted == [self.message(1)]

    async def test_a_refused_message_is_stored_and_gets_no_positive_answer(self) -> None:
        """Everything that arrives is visible (invariant 2)."""
        door = Door()
        async with self.running(door) as receiver, self.client(receiver) as client:
            await client.send(self.refused_message())
            await until(lambda: door.submissions)
            assert door.refused == [self.refused_message()]
            if self.answers:
                await client.send(self.message(1))
                answers = [await client.answer()]
                if not self.is_positive(answers[-1]):
                    answers.append(await client.answer())
                assert [self.is_positive(answer) for answer in answers][-1]

    async def test_a_duplicate_gets_the_stored_acknowledgement(self) -> None:
        """Invariant 7, D01: the same bytes again, over another connection."""
        if not self.answers:
            pytest.skip("this receiver's peer gets no answer")
        door = Door()
        answers = []
        async with self.running(door) as receiver:
            for _ in range(2):
                async with self.client(receiver) as client:
                    await client.send(self.message(1))
                    answers.append(await client.answer())
        assert answers[0] == answers[1]
        assert self.is_positive(answers[0])

    async def test_a_message_cut_off_by_the_peer_is_not_accepted(self) -> None:
        """F09"""
        door = Door()
        async with self.running(door) as receiver:
            async with self.client(receiver) as client:
                await client.send_part(self.message(1))
                await client.leave()
            async with self.client(receiver) as client:
                await client.send(self.message(2))
                await until(lambda: self.message(2) in door.accepted)
        assert door.accepted == [self.message(2)]

    async def test_many_peers_at_once_each_get_their_own_answer(self) -> None:
        """Invariant 9"""
        door = Door()

        async def one(receiver: Receiver, number: int) -> None:
            async with self.client(receiver) as client:
                await client.send(self.message(number))
                if self.answers:
                    answer = await client.answer()
                    assert self.is_positive(answer)
                    assert self.is_about(answer, number)

        async with self.running(door) as receiver:
            await asyncio.gather(*(one(receiver, number) for number in range(20)))
            await until(lambda: len(door.submissions) == 20)
        assert sorted(door.accepted) == sorted(self.message(number) for number in range(20))

    async def test_the_fate_of_an_answer_is_reported(self) -> None:
        """Two independent axes: the message is stored, and its sender got the acknowledgement."""
        if not self.answers:
            pytest.skip("this receiver's peer gets no answer")
        door = Door()
        async with self.running(door) as receiver, self.client(receiver) as client:
            await client.send(self.message(1))
            await client.answer()
            await until(lambda: door.reports)
        [(receipt, code, delivered)] = door.reports
        assert receipt.message_id == "message-1"
        assert code
        assert delivered

    async def test_an_answer_that_finds_nobody_is_reported_as_undelivered(self) -> None:
        """The peer left before its answer: that is no failure of the message."""
        if not self.answers:
            pytest.skip("this receiver's peer gets no answer")
        door = Door()
        door.open.clear()
        async with self.running(door) as receiver:
            async with self.client(receiver) as client:
                await client.send(self.message(1))
                await until(lambda: door.submissions)
                await client.leave()
            await asyncio.sleep(0.05)
            door.open.set()
            await until(lambda: door.reports)
        [(_, _, delivered)] = door.reports
        assert not delivered
        assert door.accepted == [self.message(1)]

    async def test_a_taken_resource_is_an_error_at_the_start(self) -> None:
        """Port in use, folder taken: before any effect."""
        async with self.running(Door()) as receiver:
            with pytest.raises(OSError):
                async with self.running(Door(), like=receiver):
                    pass
            assert receiver.resources

    async def test_stopping_finishes_what_has_begun_and_releases_the_resources(self) -> None:
        """A restart loses nothing, and the next process can start at once."""
        door = Door()
        door.open.clear()
        async with self.running(door) as receiver, self.client(receiver) as client:
            await client.send(self.message(1))
            await until(lambda: door.submissions)
            stopping = asyncio.ensure_future(receiver.stop(5.0))
            await asyncio.sleep(0.05)
            door.open.set()
            if self.answers:
                assert self.is_positive(await client.answer())
            await stopping
            again = Door()
            async with self.running(again, like=receiver) as second, self.client(second) as late:
                await late.send(self.message(2))
                await until(lambda: again.accepted == [self.message(2)])

    async def test_stopping_takes_no_longer_than_its_grace(self) -> None:
        """A peer that never finishes cannot keep the process alive."""
        door = Door()
        door.open.clear()
        async with self.running(door) as receiver, self.client(receiver) as client:
            await client.send(self.message(1))
            await until(lambda: door.submissions)
            async with asyncio.timeout(5):
                await receiver.stop(0.05)
