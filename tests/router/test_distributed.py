"""Several engines on one ledger and RabbitMQ: shares, hand-over, subscribers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pika
import pytest

from router.broker_rabbitmq import RabbitBroker
from store.memory import MemoryLedger
from tests import services
from tests.router.world import Peer, World, destination, site

PARTITIONS = 4

pytestmark = pytest.mark.rabbitmq


@pytest.fixture
def prefix(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if not services.rabbitmq_answers(services.RABBITMQ):
        pytest.skip("no RabbitMQ answers on loopback")
    monkeypatch.setattr("router.broker_rabbitmq.FAIR_S", 0.1)
    monkeypatch.setattr("router.worker.AGAIN_S", 0.05)
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    connection = pika.BlockingConnection(pika.URLParameters(services.RABBITMQ))
    channel = connection.channel()
    for queue in [f"{name}.workers", *[f"{name}.partition.{n}" for n in range(PARTITIONS)]]:
        channel.queue_delete(queue)
    channel.exchange_delete(f"{name}.events")
    channel.exchange_delete(f"{name}.pressure")
    connection.close()


def world(prefix: str, ledger: MemoryLedger, peer: Peer, owner: str) -> World:
    config = site(partitions=PARTITIONS, destinations={"sink": destination(idempotent=True)})
    return World(config, ledger=ledger, peers={"sink": peer}, owner=owner,
                 broker=RabbitBroker(services.RABBITMQ, prefix=prefix, partitions=PARTITIONS, owner=owner))


async def test_two_workers_share_the_partitions_and_keep_every_key_in_order(prefix: str) -> None:
    """Invariants 4 and 5."""
    ledger, peer = MemoryLedger(partitions=PARTITIONS), Peer()
    async with world(prefix, ledger, peer, "one") as one, world(prefix, ledger, peer, "two") as two:
        count = 0
        async with asyncio.timeout(30):
            while {len(one.engine.worker.held), len(two.engine.worker.held)} != {PARTITIONS // 2}:
                for key in range(12):
                    await (one if key % 2 else two).say(visit=f"V{key}", note=str(count))
                count += 1
                await asyncio.sleep(0.02)
        await one.settled()
        assert len(peer.bodies) == len(peer.effects) == count * 12
        for key in range(12):
            assert peer.notes(f"V{key}") == [str(n) for n in range(count)]


async def test_when_a_worker_goes_the_other_takes_over_its_partitions(prefix: str) -> None:
    ledger, peer = MemoryLedger(partitions=PARTITIONS), Peer()
    two = world(prefix, ledger, peer, "two")
    async with world(prefix, ledger, peer, "one") as one:
        await two.engine.start({})
        await one.until(lambda: len(two.engine.worker.held) == PARTITIONS // 2)
        for n in range(40):
            await one.say(visit=f"V{n % 8}", note=str(n))
        await two.engine.stop(5.0)
        await one.settled()
        await one.until(lambda: len(one.engine.worker.held) == PARTITIONS)
        assert len(peer.effects) == 40
        for key in range(8):
            assert peer.notes(f"V{key}") == [str(n) for n in range(40) if n % 8 == key]


async def test_every_event_reaches_the_exchange_and_leaves_the_outbox(prefix: str) -> None:
    ledger = MemoryLedger(partitions=PARTITIONS)
    async with world(prefix, ledger, Peer(), "one") as one:
        connection = pika.BlockingConnection(pika.URLParameters(services.RABBITMQ))
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        async with asyncio.timeout(10):
            while True:
                try:
                    channel.queue_bind(queue, f"{prefix}.events", "appointment.#")
                    break
                except pika.exceptions.ChannelClosedByBroker:  # not declared yet
                    channel = connection.channel()
                    queue = channel.queue_declare("", exclusive=True).method.queue
                    await asyncio.sleep(0.05)
        for n in range(20):
            await one.say(visit=f"V{n}", note="CANARY")
        async with asyncio.timeout(15):
            while (await ledger.counts())["messages"].get("processed") != 20 or await ledger.unpublished(1):
                await asyncio.sleep(0.02)
        bodies = []
        while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
            bodies.append(got[2])
        assert len(bodies) == 20
        assert not any(b"CANARY" in body for body in bodies)
        connection.close()
