"""What every sender must do."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from enum import Enum, auto
from typing import Protocol

from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Sender, Unknown


class Does(Enum):
    """What the peer does with a message it has read."""

    ACCEPT = auto()
    REFUSE = auto()
    """For good: a person must act."""
    BUSY = auto()
    """Not now."""
    SILENT = auto()
    """No answer; the connection stays open."""
    DROP = auto()
    """No answer; the connection is closed."""
    GARBAGE = auto()
    """An answer that is none."""


class Peer(Protocol):
    """A peer that does as it is told, and accepts where it is told nothing."""

    received: list[bytes]
    """Bodies of the messages read, in order."""
    script: list[Does]
    """What to do with the next messages, first one first."""

    async def go_away(self) -> None:
        """Stop listening and close all connections."""

    async def come_back(self) -> None:
        """Listen again, on the same address."""


class SenderConformance(ABC):
    """Subclass as ``Test…`` and fill in the abstract methods."""

    @abstractmethod
    def peer(self) -> AbstractAsyncContextManager[Peer]:
        """A listening peer."""

    @abstractmethod
    def running(self, peer: Peer) -> AbstractAsyncContextManager[Sender]:
        """A started sender towards `peer` with four sessions, that waits for an answer about 0.3 s and tries
        to reconnect after not more than 0.1 s."""

    @abstractmethod
    def dispatch(self, number: int) -> Dispatch:
        """A dispatch; another one for each number. Its body holds the word CANARY."""

    def body(self, dispatch: Dispatch) -> bytes:
        """What the peer should receive for a dispatch."""
        return dispatch.body.reveal()

    async def test_an_accepted_message_is_delivered_byte_for_byte(self) -> None:
        """The plain case."""
        async with self.peer() as peer, self.running(peer) as sender:
            outcome = await sender.send(self.dispatch(1))
        assert isinstance(outcome, Delivered)
        assert outcome.code
        assert peer.received == [self.body(self.dispatch(1))]

    async def test_a_refusal_is_rejected_and_not_repeated(self) -> None:
        """A11: a person must act."""
        async with self.peer() as peer, self.running(peer) as sender:
            peer.script = [Does.REFUSE]
            outcome = await sender.send(self.dispatch(1))
        assert isinstance(outcome, Rejected)
        assert len(peer.received) == 1

    async def test_a_busy_peer_is_tried_again(self) -> None:
        """A11: it had no effect, and says so."""
        async with self.peer() as peer, self.running(peer) as sender:
            peer.script = [Does.BUSY]
            assert isinstance(await sender.send(self.dispatch(1)), Retry)
            assert isinstance(await sender.send(self.dispatch(1)), Delivered)

    async def test_silence_is_unknown_and_not_retry(self) -> None:
        """Invariant 6, F14."""
        async with self.peer() as peer, self.running(peer) as sender:
            peer.script = [Does.SILENT]
            assert isinstance(await sender.send(self.dispatch(1)), Unknown)
        assert peer.received == [self.body(self.dispatch(1))]

    async def test_a_connection_lost_after_sending_is_unknown(self) -> None:
        """Invariant 6"""
        async with self.peer() as peer, self.running(peer) as sender:
            peer.script = [Does.DROP]
            assert isinstance(await sender.send(self.dispatch(1)), Unknown)

    async def test_after_silence_the_next_answer_belongs_to_the_next_message(self) -> None:
        """Invariant 9, F17"""
        async with self.peer() as peer, self.running(peer) as sender:
            peer.script = [Does.SILENT, Does.REFUSE, Does.ACCEPT]
            outcomes = [await sender.send(self.dispatch(number)) for number in range(3)]
        assert [type(outcome) for outcome in outcomes] == [Unknown, Rejected, Delivered]

    async def test_an_absent_peer_is_a_free_retry(self) -> None:
        """No byte left, so there was no effect, and nobody's budget is spent."""
        async with self.peer() as peer, self.running(peer) as sender:
            await peer.go_away()
            outcome = await sender.send(self.dispatch(1))
        assert isinstance(outcome, Retry)
        assert outcome.free
        assert peer.received == []

    async def test_a_peer_that_returns_is_found_again(self) -> None:
        """F13"""
        async with self.peer() as peer, self.running(peer) as sender:
            assert isinstance(await sender.send(self.dispatch(1)), Delivered)
            await peer.go_away()
            assert isinstance(await sender.send(self.dispatch(2)), Retry | Unknown)
            await peer.come_back()
            async with asyncio.timeout(5):
                while not isinstance(outcome := await sender.send(self.dispatch(3)), Delivered):
                    assert isinstance(outcome, Retry)
                    await asyncio.sleep(0.02)
        assert peer.received[-1] == self.body(self.dispatch(3))

    async def test_a_repeated_attempt_carries_the_same_identity_and_bytes(self) -> None:
        """Invariant 8"""
        async with self.peer() as peer, self.running(peer) as sender:
            peer.script = [Does.SILENT]
            await sender.send(self.dispatch(1))
            await sender.send(self.dispatch(1))
        assert len(peer.received) == 2
        assert peer.received[0] == peer.received[1]

    async def test_answers_are_never_given_to_another_message(self) -> None:
        """Invariant 9: four at a time, each with its own fate."""
        async with self.peer() as peer, self.running(peer) as sender:
            outcomes = await asyncio.gather(*(sender.send(self.dispatch(number)) for number in range(12)))
        assert all(isinstance(outcome, Delivered) for outcome in outcomes)
        assert sorted(peer.received) == sorted(self.body(self.dispatch(number)) for number in range(12))

    async def test_an_answer_that_is_none_is_never_taken_for_one(self) -> None:
        """The peer's faults are outcomes, not exceptions."""
        async with self.peer() as peer, self.running(peer) as sender:
            peer.script = [Does.GARBAGE]
            outcome = await sender.send(self.dispatch(1))
        assert isinstance(outcome, Unknown | Retry)

    async def test_no_outcome_prints_what_was_sent(self) -> None:
        """Invariant 12"""
        outcomes: list[Outcome] = []
        async with self.peer() as peer, self.running(peer) as sender:
            peer.script = [Does.ACCEPT, Does.REFUSE, Does.BUSY, Does.DROP]
            outcomes += [await sender.send(self.dispatch(number)) for number in range(4)]
        assert len(peer.received) == 4
        for outcome in outcomes:
            assert "CANARY" not in repr(outcome)

    async def test_stopping_takes_no_longer_than_its_grace(self) -> None:
        """A peer that never answers cannot keep the process alive; what was sent is unknown."""
        async with self.peer() as peer, self.running(peer) as sender:
            peer.script = [Does.SILENT]
            sending = asyncio.ensure_future(sender.send(self.dispatch(1)))
            while not peer.received:
                await asyncio.sleep(0.01)
            async with asyncio.timeout(5):
                await sender.stop(0.05)
            assert isinstance(await sending, Unknown)
