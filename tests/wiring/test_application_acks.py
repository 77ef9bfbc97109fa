"""Application acknowledgements of enhanced mode: sent after processing, over a connection of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from canonical.findings import Severity, declare, finding
from connectors.hl7v2.er7 import parse
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.settings import ApplicationAck, MllpIn, MllpOut, Parked
from router.ids import MessageIds
from router.receive import Door
from router.site import Channel
from store.memory import MemoryLedger
from store.records import AuditEntry, MessageState, Processed
from tests.conformance.door import Door as PeerDoor
from tests.hl7v2.messages import siu
from tests.hl7v2.mllp import RawClient, raw_client
from tests.router.world import TestClock
from wiring.application_acks import Acknowledger, acknowledgers

TABLE = finding(declare("test.application_ack", Severity.FATAL, "test: it cannot be read", "none"), at="SCH-6")


class World:
    """A channel in enhanced mode, a ledger, and the sender's own port for application acknowledgements."""

    def __init__(self, **settings: Any) -> None:
        self.ledger, self.clock, self.peer = MemoryLedger(partitions=1), TestClock(), PeerDoor()
        self.peer_receiver = MllpReceiver("peer", MllpIn(port=0), self.peer.accept, self.peer.report)
        self.settings = settings
        self.receiver: MllpReceiver
        self.acks: Acknowledger

    async def __aenter__(self) -> World:
        await self.ledger.start()
        await self.peer_receiver.start()
        back = ApplicationAck(port=self.peer_receiver.port, **{"ack_timeout_s": 0.3, **self.settings})
        mllp = MllpIn(port=0, application_ack=back)
        channel = Channel(connector="mllp", mapping="x", settings=mllp)
        door = Door(self.ledger, {"in": channel}, 1, MessageIds(self.clock, 1), lambda _: None)
        self.receiver = MllpReceiver("in", mllp, door.accept, door.report)
        await self.receiver.start()
        [self.acks] = acknowledgers({"in": channel}, self.ledger, self.clock, lambda: (0,))
        await self.acks._sender.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.receiver.stop(1.0)
        await self.acks.stop(1.0)
        await self.peer_receiver.stop(1.0)

    @contextlib.asynccontextmanager
    async def sent(self, *messages: bytes) -> AsyncIterator[list[bytes]]:
        """Messages that were sent and accepted, with the answers on their own connection."""
        async with raw_client(self.receiver.port) as client:
            yield [await _told(client, message) for message in messages]

    async def becomes(self, control_id: str, state: MessageState, reason: Any = None) -> None:
        """The message is processed."""
        message = await self.ledger.message(control_id)
        assert message is not None
        lease = await self.ledger.acquire(0, "test", self.clock.now(), 10.0)
        assert lease is not None
        await self.ledger.commit(lease, [Processed(
            message_seq=message.seq, message_id=message.id, state=state, at=self.clock.now(),
            reason=reason.code if reason else "", findings=(reason,) if reason else ())])

    def told(self) -> list[tuple[str, str]]:
        """(MSA-1, MSA-2) of the application acknowledgements."""
        return list(_codes(self.peer.accepted))


def _codes(raws: Iterable[bytes]) -> Iterable[tuple[str, str]]:
    for raw in raws:
        msa = parse(raw).first("MSA")
        assert msa is not None
        yield msa.field(1), msa.field(2)


async def _told(client: RawClient, message: bytes) -> bytes:
    await client.send(message)
    return await client.answer()


ASKING = siu("M1", accept="AL", application="AL")


async def test_accepted_at_the_commit_and_acknowledged_after_processing() -> None:
    """A02: CA on the sender's connection; AA later, as a message of ours, over ours; confirmed by its CA (A04)."""
    async with World() as world:
        async with world.sent(ASKING) as (answer,):
            assert b"MSA|CA|M1" in answer
        await world.acks.turn()
        assert world.told() == [], "it has not been processed yet"
        await world.becomes("M1", MessageState.PROCESSED)
        await world.acks.turn()
        await world.acks.turn()
        assert world.told() == [("AA", "M1")]
        message = await world.ledger.message("M1")
        assert message is not None
        assert message.ack_code == "AA"
        header = parse(world.peer.accepted[0]).segments[0]
        assert [header.field(n) for n in (3, 5, 9, 15, 16)] == [
            "DRAGOMAN^7.8^ISO", "CADENCE^1.2.3^ISO", "ACK^S12^ACK", "AL", "NE"]
        assert header.field(10) != parse(answer).segments[0].field(10)
        assert world.peer.reports[0][1] == "CA", "the peer confirms that it has it, and nobody acknowledges that"


@pytest.mark.parametrize(("application", "state", "said"), [
    ("AL", MessageState.FILTERED, [("AA", "M1")]), ("NE", MessageState.PROCESSED, []), ("ER", MessageState.PROCESSED, []),
    ("SU", MessageState.PROCESSED, [("AA", "M1")]), ("", MessageState.PROCESSED, [])])
async def test_what_is_said_follows_msh_16(application: str, state: MessageState, said: list[tuple[str, str]]) -> None:
    """A02, A08: AL, NE, ER, SU; a message that no route wants is AA."""
    async with World() as world:
        async with world.sent(siu("M1", accept="AL", application=application)):
            pass
        await world.becomes("M1", state)
        await world.acks.turn()
        assert world.told() == said


async def test_a_parked_message_waits_for_a_person() -> None:
    """A02: mended, it is AA: the sender need not do anything. Discarded, it is AE."""
    async with World() as world:
        async with world.sent(ASKING, siu("M2", accept="AL", application="ER", patient="OTHER")):
            pass
        for control_id in ("M1", "M2"):
            await world.becomes(control_id, MessageState.PARKED, TABLE)
        await world.acks.turn()
        assert world.told() == []
        ids = [(await world.ledger.message(control_id)).id for control_id in ("M1", "M2")]  # type: ignore[union-attr] # both are there
        audit = AuditEntry(at=world.clock.now(), actor="a", action="b", subject="c", reason="d")
        await world.ledger.requeue_messages(ids[:1], audit)
        await world.ledger.discard_messages(ids[1:], audit)
        await world.becomes("M1", MessageState.PROCESSED)
        await world.acks.turn()
        assert sorted(world.told()) == [("AA", "M1"), ("AE", "M2")]


async def test_or_is_given_back_at_once() -> None:
    """A02, A07, A09: when_parked: error; why and where, never a value, and not 207, which asks to try again."""
    async with World(when_parked=Parked.ERROR) as world:
        async with world.sent(ASKING):
            pass
        await world.becomes("M1", MessageState.PARKED, TABLE)
        await world.acks.turn()
        assert world.told() == [("AE", "M1")]
        assert b"ERR||SCH^1^6|102^Data type error^HL70357|E|" in world.peer.accepted[0]


async def test_a_peer_that_is_away_is_told_when_it_is_back() -> None:
    """A02: what is owed is in the ledger, so a restart forgets nothing; again means the same bytes."""
    async with World() as world:
        async with world.sent(ASKING):
            pass
        await world.becomes("M1", MessageState.PROCESSED)
        world.peer.open.clear()  # it takes the message, and does not answer in time
        await world.acks.turn()
        world.peer.open.set()
        again = Acknowledger("in", world.acks._settings, world.ledger, world.clock, lambda: (0,))
        await again._sender.start()
        await again.turn()
        await again.stop(1.0)
        assert [code for code, _ in world.told()] == ["AA", "AA"]
        assert world.peer.accepted[0] == world.peer.accepted[1]


async def test_an_acknowledgement_that_asks_for_none_counts_when_it_is_written() -> None:
    """A04: confirm: false, for peers that do not acknowledge acknowledgements."""
    async with World(confirm=False) as world:
        async with world.sent(ASKING):
            pass
        await world.becomes("M1", MessageState.PROCESSED)
        await world.acks.turn()
        await asyncio.sleep(0.05)
        assert world.told() == [("AA", "M1")]
        assert [code for _, code, _ in world.peer.reports] == [""]


async def test_another_process_s_partition_is_acknowledged_there() -> None:
    """Of several processes, one acknowledges."""
    async with World() as world:
        async with world.sent(ASKING):
            pass
        await world.becomes("M1", MessageState.PROCESSED)
        other = Acknowledger("in", world.acks._settings, world.ledger, world.clock, lambda: ())
        await other.turn()
        assert world.told() == []


async def test_it_runs_by_itself_and_an_old_message_is_given_up() -> None:
    """A02: `give_up_s`."""
    async with World(give_up_s=3600.0) as world:
        async with world.sent(ASKING):
            pass
        world.clock.skew = 2 * 3_600_000_000
        async with world.sent(siu("M2", accept="AL", application="AL", patient="OTHER")):
            pass
        for control_id in ("M1", "M2"):
            await world.becomes(control_id, MessageState.PROCESSED)
        await world.acks.start()
        async with asyncio.timeout(5):
            while not world.told():
                await asyncio.sleep(0.02)
        assert world.told() == [("AA", "M2")]


def test_only_channels_that_say_so_have_one() -> None:
    """A02 by configuration."""
    channel = Channel(connector="mllp", mapping="x", settings=MllpIn(port=0))
    assert acknowledgers({"in": channel}, MemoryLedger(), TestClock(), lambda: ()) == []
    assert issubclass(ApplicationAck, MllpOut)
