"""Enhanced mode, outgoing: the peer says CA on the connection, and its application AA or AE in a message of its own.

Real sockets both ways: a site with one destination in enhanced mode, the peer behind it, and the channel by which the peer's
application acknowledgements come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from canonical.clock import SystemClock
from connectors.hl7v2.er7 import parse
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.sender import MllpSender
from connectors.hl7v2.settings import MllpIn, MllpOut
from router.afterwards import AWAITED, NO_DELIVERY, REFUSED, REPEATED, SETTLED
from router.broker_local import LocalBroker
from router.engine import Engine
from router.identity import control_id
from router.site import Channel, Destination, Route, Site
from store.ledger import Ledger
from store.memory import MemoryLedger
from store.records import AuditEntry, Delivery, DeliveryState, MessageQuery, MessageState
from tests.conformance.door import Door
from tests.hl7v2.messages import siu
from tests.hl7v2.mllp import raw_client
from tests.mappings.tables import CONTEXT, library
from tests.services import free_port
from wiring.assembly import codecs
from wiring.translator import SiteTranslator

ACKS = {"ACK": "hl7v2/ack", "SIU": "hl7v2/siu"}


def acknowledgement(code: str, about: str, control_id: str, error: str = "") -> bytes:
    """One that asks for its own commit to be acknowledged (A04), so that the test knows when it is stored."""
    err = f"ERR||PID^1^3|{error}^^HL70357|E||||CANARY\r" if error else ""
    return (f"MSH|^~\\&|FAR|F|DRAGOMAN|HUB|20260310120000-0500||ACK^S12^ACK|{control_id}|P|2.5.1|||AL|NE\r"
            f"MSA|{code}|{about}\r{err}").encode()


class Running:
    """The site, and the peer behind its destination."""

    def __init__(self, ledger: Ledger, far: Door, ports: dict[str, int]) -> None:
        self.ledger, self.far, self.ports = ledger, far, ports

    async def told(self, body: bytes, channel: str = "in") -> str:
        """Send over a socket; MSA-1 of the answer."""
        async with raw_client(self.ports[channel]) as client:
            await client.send(body)
            msa = parse(await client.answer()).first("MSA")
        await self.quiet()
        assert msa is not None
        return msa.field(1)

    async def says(self, code: str, about: str, *, as_: str, channel: str = "back", error: str = "") -> None:
        """The peer's application acknowledges `about`, in a message with control id `as_`."""
        await self.told(acknowledgement(code, about, as_, error), channel)

    async def quiet(self) -> None:
        async with asyncio.timeout(20):
            while True:
                counts = await self.ledger.counts()
                if not counts["messages"].get("received") and not sum(
                        count for key, count in counts["deliveries"].items() if key.endswith(("pending", "inflight"))):
                    return
                await asyncio.sleep(0.01)

    @property
    def sent(self) -> list[str]:
        """Control ids of what the peer got."""
        return [parse(raw).segments[0].field(10) for raw in self.far.accepted]

    async def delivery(self, number: int = 0) -> Delivery:
        return (await self.ledger.find_deliveries(destination="far"))[number]

    async def is_(self, state: DeliveryState, reason: str = "", number: int = 0) -> Delivery:
        one = await self.delivery(number)
        assert (one.state, one.reason) == (state, reason)
        return one

    async def findings(self, control_id: str) -> list[str]:
        message = await self.ledger.message(control_id)
        assert message is not None
        return [one.code for one in message.findings]


@contextlib.asynccontextmanager
async def running(ledger: Ledger | None = None) -> AsyncIterator[Running]:
    """Everything goes to `far`; what its application says comes by `back`. `other` is a channel of somebody else."""
    books = ledger or MemoryLedger(partitions=4, outbox=False)
    far_door = Door()
    far = MllpReceiver("far", MllpIn(port=0), far_door.accept, far_door.report)
    await far.start()
    out = MllpOut(port=far.port, ack_timeout_s=2.0)
    site = Site(site="test", partitions=4, routes=(Route(route="all", to=("far",), when={"event": "starts appointment."}),),
                channels={name: Channel(connector="mllp", mapping=ACKS, settings=MllpIn(port=0))
                          for name in ("in", "back", "other")},
                destinations={"far": Destination(connector="mllp", mapping="hl7v2/siu", settings=out, context=dict(CONTEXT),
                                                 application_acks="back")})
    engine = Engine(site, "r", books, LocalBroker(), SiteTranslator(site, library(), codecs()),
                    {"far": MllpSender("far", out)}, {}, SystemClock(), "test", sweep_s=0.05)
    doors = {name: MllpReceiver(name, MllpIn(port=free_port()), engine.door.accept, engine.door.report)
             for name in site.channels}
    await engine.start(doors)
    try:
        yield Running(books, far_door, {name: one.port for name, one in doors.items()})
    finally:
        await engine.stop(1.0)
        await far.stop(1.0)


async def test_each_message_asks_for_both_acknowledgements_and_is_not_done_with_the_first() -> None:
    """A02: MSH-15 and MSH-16 are AL; after the CA it is known that the application has not spoken."""
    async with running() as site:
        assert await site.told(siu("M1")) == "AA"
        header = parse(site.far.accepted[0]).segments[0]
        assert (header.field(15), header.field(16)) == ("AL", "AL")
        one = await site.is_(DeliveryState.DELIVERED, AWAITED.name)
        assert one.code == "CA"


async def test_a_late_yes_settles_the_delivery_and_a_second_one_changes_nothing() -> None:
    async with running() as site:
        await site.told(siu("M1"))
        await site.says("AA", site.sent[0], as_="A1")
        before = await site.is_(DeliveryState.DELIVERED)
        assert before.code == "AA"
        assert SETTLED.name in await site.findings("A1")
        await site.says("AE", site.sent[0], as_="A2", error="102")
        assert await site.delivery() == before, "yes is the last word"
        assert REPEATED.name in await site.findings("A2")


async def test_a_late_no_parks_what_was_delivered_and_says_why() -> None:
    """A11: state, reason, place; never the peer's words (invariant 12)."""
    async with running() as site:
        await site.told(siu("M1"))
        await site.says("AE", site.sent[0], as_="A1", error="102")
        one = await site.is_(DeliveryState.PARKED, REFUSED.name)
        assert one.code == "AE 102"
        assert any("PID-3" in found.detail for found in one.findings)
        ack = await site.ledger.message("A1")
        assert ack is not None
        assert any(found.detail == f"acknowledgement {ack.id}" for found in one.findings)
        assert not any("CANARY" in str(found) for found in (*one.findings, *ack.findings))
        assert ("delivery", "far", REFUSED.name, 1) in [row[:4] for row in await site.ledger.parked()]


async def test_what_is_refused_late_holds_its_lane_until_a_person_has_decided() -> None:
    """A11, *park key*: what comes behind it waits; another patient's goes out; after the decision the order is kept."""
    async with running() as site:
        await site.told(siu("M1"))
        await site.says("AE", site.sent[0], as_="A1", error="102")
        await asyncio.sleep(0.2)  # its lane waits from the next look at the ledger on
        async with raw_client(site.ports["in"]) as client:
            await client.send(siu("M2", event="S14"))
            await client.answer()
            await client.send(siu("M3", patient="MRN999"))
            await client.answer()
        async with asyncio.timeout(20):
            while len(site.far.accepted) < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert [b"MRN999" in raw for raw in site.far.accepted] == [False, True]
        await site.ledger.requeue_deliveries([(await site.delivery()).id], 0, AuditEntry(
            at=1, actor="ada", action="test", subject=""))
        async with asyncio.timeout(20):
            while len(site.far.accepted) < 4:
                await asyncio.sleep(0.01)
        await site.quiet()
        assert [parse(raw).segments[0].field(9)[:7] for raw in site.far.accepted[2:]] == ["SIU^S12", "SIU^S14"]
        assert site.sent[2] == site.sent[0], "a repetition: the peer knows it and has one effect (invariant 8)"
        await site.is_(DeliveryState.DELIVERED, AWAITED.name)


async def test_a_yes_after_a_no_releases_it() -> None:
    """The peer's people mended it on their side."""
    async with running() as site:
        await site.told(siu("M1"))
        await site.says("AE", site.sent[0], as_="A1", error="102")
        await site.is_(DeliveryState.PARKED, REFUSED.name)
        await site.says("AA", site.sent[0], as_="A2")
        assert (await site.is_(DeliveryState.DELIVERED)).code == "AA"
        await site.says("AE", site.sent[0], as_="A3", error="102")
        await site.is_(DeliveryState.DELIVERED)


async def test_it_is_matched_by_control_id_and_destination_never_by_turn() -> None:
    """Invariant 9: the second of two is refused first; a channel that the destination does not name says nothing of it."""
    async with running() as site:
        await site.told(siu("M1", patient="A"))
        await site.told(siu("M2", patient="B"))
        await site.says("AE", site.sent[1], as_="A1", channel="other", error="102")
        await site.says("AE", "0123456789abcdef0123", as_="A2", error="102")
        await site.says("AR", "M1", as_="A3")
        for number in (0, 1):
            await site.is_(DeliveryState.DELIVERED, AWAITED.name, number)
        assert NO_DELIVERY.name in await site.findings("A2")
        assert NO_DELIVERY.name in await site.findings("A3")
        await site.says("AE", site.sent[1], as_="A4", error="102")
        await site.is_(DeliveryState.DELIVERED, AWAITED.name, 0)
        await site.is_(DeliveryState.PARKED, REFUSED.name, 1)


async def test_what_a_person_has_settled_is_not_undone() -> None:
    async with running() as site:
        await site.told(siu("M1"))
        await site.says("AE", site.sent[0], as_="A1", error="102")
        await site.ledger.settle_deliveries([(await site.delivery()).id], DeliveryState.SKIPPED, "test", AuditEntry(
            at=1, actor="ada", action="test", subject=""))
        await site.says("AE", site.sent[0], as_="A2", error="102")
        await site.says("AA", site.sent[0], as_="A3")
        await site.is_(DeliveryState.SKIPPED, "test")


async def test_a_word_that_is_faster_than_the_commit_waits_for_it() -> None:
    """The peer's application answers before we have read the CA: in flight is not delivered yet."""
    async with running() as site:
        site.far.open.clear()
        async with raw_client(site.ports["in"]) as client:
            await client.send(siu("M1"))
            await client.answer()
        async with asyncio.timeout(20):
            while not (found := await site.ledger.find_deliveries(destination="far")) or (
                    found[0].state is not DeliveryState.INFLIGHT):
                await asyncio.sleep(0.01)
        name = control_id(found[0].id)
        async with raw_client(site.ports["back"]) as client:
            await client.send(acknowledgement("AE", name, "A1"))
            await client.answer()
        await asyncio.sleep(0.2)
        assert (await site.delivery()).state is DeliveryState.INFLIGHT
        site.far.open.set()
        await site.quiet()
        await site.is_(DeliveryState.PARKED, REFUSED.name)


async def test_a_word_that_says_neither_yes_nor_no_is_kept() -> None:
    async with running() as site:
        await site.told(siu("M1"))
        await site.says("XX", site.sent[0], as_="A1")
        message = await site.ledger.message("A1")
        assert message is not None
        assert message.state is not MessageState.PARKED
        assert len(await site.ledger.find(MessageQuery())) == 2
        await site.is_(DeliveryState.DELIVERED, AWAITED.name)
