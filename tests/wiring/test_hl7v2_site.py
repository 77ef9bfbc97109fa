"""A site of real connectors and tables: what the settings of the wire half do to messages that go all the way through."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from canonical.clock import SystemClock
from connectors.hl7v2.er7 import parse
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.sender import MllpSender
from connectors.hl7v2.settings import MllpIn, MllpOut
from router.broker_local import LocalBroker
from router.engine import Engine
from router.site import Channel, Destination, Route, Site
from store.memory import MemoryLedger
from store.records import DeliveryState, Message, MessageQuery, MessageState
from tests.conformance.door import Door
from tests.hl7v2.messages import siu
from tests.hl7v2.mllp import raw_client
from tests.mappings.tables import CONTEXT, library
from wiring.assembly import codecs
from wiring.translator import SiteTranslator


class Running:
    """The site, and the peer behind its destination."""

    def __init__(self, ledger: MemoryLedger, port: int, peer: Door) -> None:
        self.ledger, self.port, self.peer = ledger, port, peer

    async def settled(self) -> None:
        """Nothing waits."""
        async with asyncio.timeout(20):
            while True:
                counts = await self.ledger.counts()
                open_ = [key for key, count in counts["deliveries"].items() if count and "deliver" not in key]
                if not counts["messages"].get("received") and not open_:
                    return
                await asyncio.sleep(0.01)

    async def all(self) -> list[Message]:
        """Messages, oldest first."""
        return list(reversed(await self.ledger.find(MessageQuery())))


@contextlib.asynccontextmanager
async def running(incoming: dict[str, Any], outgoing: dict[str, Any]) -> AsyncIterator[Running]:
    """One channel, one HL7 destination, everything goes there."""
    ledger, peer = MemoryLedger(partitions=1, outbox=False), Door()
    far = MllpReceiver("far", MllpIn(port=0), peer.accept, peer.report)
    await far.start()
    mllp_in = msgspec.convert({"port": 0, **incoming}, MllpIn)
    mllp_out = msgspec.convert({"port": far.port, **outgoing}, MllpOut)
    site = Site(site="test", partitions=1, routes=(Route(route="all", to=("far",)),),
                channels={"in": Channel(connector="mllp", mapping="hl7v2/siu", settings=mllp_in)},
                destinations={"far": Destination(connector="mllp", mapping="hl7v2/siu", settings=mllp_out,
                                                 context=dict(CONTEXT))})
    engine = Engine(site, "r", ledger, LocalBroker(), SiteTranslator(site, library(), codecs()),
                    {"far": MllpSender("far", mllp_out)}, {}, SystemClock(), "test", sweep_s=0.05)
    receiver = MllpReceiver("in", mllp_in, engine.door.accept, engine.door.report)
    await engine.start({"in": receiver})
    try:
        yield Running(ledger, receiver.port, peer)
    finally:
        await engine.stop(1.0)
        await far.stop(1.0)


async def test_what_a_partner_cannot_take_is_told_with_the_delivery() -> None:
    """C04, L02: the loss report is in the ledger, also of what was delivered."""
    fit = {"charset": "8859/1", "unencodable": "transliterate", "lengths": {"NTE-3": 10}}
    async with running({}, {"fit": fit}) as site:
        async with raw_client(site.port) as client:
            await client.send(siu(charset="UNICODE UTF-8").replace(b"CANARY^Eve", "Łukasz^Ève".encode()))
            assert b"MSA|AA|" in await client.answer()
        await site.settled()
        [message] = await site.all()
        [delivery] = await site.ledger.deliveries([message.seq])
    assert delivery.state is DeliveryState.DELIVERED
    told = {(found.code, found.at) for found in delivery.findings}
    assert ("hl7.shortened", "NTE-3") in told
    assert ("hl7.transliterated", "PID-5") in told
    written = parse(site.peer.accepted[0])
    patient = written.first("PID")
    assert patient is not None
    assert patient.field(5).startswith("Lukasz^Ève")
    assert written.segments[0].field(18) == "8859/1"


async def test_what_does_not_fit_is_parked_where_the_site_says_so() -> None:
    """L02: too_long: reject."""
    async with running({}, {"fit": {"lengths": {"NTE-3": 10}, "too_long": "reject"}}) as site:
        async with raw_client(site.port) as client:
            await client.send(siu())
            await client.answer()
        async with asyncio.timeout(10):
            while not (parked := await site.ledger.find_deliveries(state=DeliveryState.PARKED)):
                await asyncio.sleep(0.01)
    assert {found.code for found in parked[0].findings} == {"hl7.too_long"}
    assert site.peer.accepted == []


async def test_each_message_of_a_batch_goes_its_own_way() -> None:
    """B05: the envelope is kept and not processed; a message that no table reads parks alone."""
    async with running({"batch_counts": "reject"}, {}) as site:
        good = [siu("B1", patient="P1"), siu("B2", patient="P2")]
        bad = siu("B3", patient="P3").replace(b"SIU^S12^SIU_S12", b"SIU^S99^SIU_S12")
        async with raw_client(site.port) as client:
            await client.send(b"BHS|^~\\&|EHR|MERCY|HUB|X|||||B\r" + good[0] + bad + good[1] + b"BTS|3\r")
            assert (await client.answer()).count(b"MSA|AA|") == 3
        await site.settled()
        envelope, *messages = await site.all()
    assert (envelope.state, envelope.reason) == (MessageState.FILTERED, "hl7.batch")
    assert [message.state for message in messages] == [
        MessageState.PROCESSED, MessageState.PARKED, MessageState.PROCESSED]
    assert {message.parent_id for message in messages} == {envelope.id}
    assert len(site.peer.accepted) == 2


async def test_a_message_in_parts_has_one_effect() -> None:
    """K01: the parts are kept, the whole is processed."""
    whole = siu("W1")
    head, tail = whole.split(b"RGS|", 1)
    first = head + b"DSC|PTR1|F\r"
    msh = whole.split(b"\r", 1)[0].replace(b"|W1|", b"|W2|").split(b"|")
    msh[13] = b"PTR1"
    async with running({}, {}) as site:
        async with raw_client(site.port) as client:
            for part in (b"|".join(msh) + b"\rRGS|" + tail, first):
                await client.send(part)
                assert b"MSA|AA|" in await client.answer()
        await site.settled()
        one, two, joined = await site.all()
    assert [(one.state, one.reason), (two.state, two.reason)] == [(MessageState.FILTERED, "hl7.fragment")] * 2
    assert joined.state is MessageState.PROCESSED
    assert joined.parent_id == two.id
    assert joined.raw.reveal() == whole
    assert len(site.peer.accepted) == 1


async def test_odd_form_is_recorded_with_the_message() -> None:
    """P02, C03"""
    async with running({}, {}) as site:
        async with raw_client(site.port) as client:
            await client.send(siu().replace(b"\r", b"\r\n"))
            await client.answer()
        await site.settled()
        [message] = await site.all()
    assert "hl7.line_ends" in {found.code for found in message.findings}
