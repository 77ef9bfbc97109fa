"""Doorbells and events: in process and over RabbitMQ, one class."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pika
import pytest

from router.broker import Broker, BrokerAway, Envelope
from router.broker_local import LocalBroker
from router.broker_rabbitmq import RabbitBroker
from tests import services

PARTITIONS = 3


async def until(condition: Callable[[], bool], timeout: float = 15.0) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.01)


def envelope(n: int) -> Envelope:
    return Envelope(event_id=f"e{n}", routing_key="appointment.booked.ehr", body=b'{"n": %d}' % n)


def delete(prefix: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(services.RABBITMQ))
    channel = connection.channel()
    for name in [f"{prefix}.workers", *[f"{prefix}.partition.{n}" for n in range(PARTITIONS)]]:
        channel.queue_delete(name)
    channel.exchange_delete(f"{prefix}.events")
    channel.exchange_delete(f"{prefix}.pressure")
    connection.close()


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["local", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
async def broker(request: pytest.FixtureRequest, prefix: str) -> AsyncIterator[Broker]:
    if request.param == "local":
        made: Broker = LocalBroker()
        await made.start()
        yield made
        await made.stop()
        return
    if not services.rabbitmq_answers(services.RABBITMQ):
        pytest.skip("no RabbitMQ answers on loopback")
    rabbit = RabbitBroker(services.RABBITMQ, prefix=prefix, partitions=PARTITIONS)
    await rabbit.start()
    await asyncio.wait_for(rabbit.connected.wait(), 15)
    yield rabbit
    await rabbit.stop()
    delete(prefix)


class TestBroker:
    async def test_a_ring_reaches_whoever_consumes(self, broker: Broker) -> None:
        rung: list[int] = []
        broker.consume(rung.append, lambda _: None)
        broker.ring([1])
        await until(lambda: 1 in rung)

    async def test_a_ring_before_anybody_consumes_is_kept(self, broker: Broker) -> None:
        rung: list[int] = []
        broker.ring([2])
        await asyncio.sleep(0.1)
        broker.consume(rung.append, lambda _: None)
        await until(lambda: 2 in rung)

    async def test_many_rings_are_few_doorbells(self, broker: Broker) -> None:
        rung: list[int] = []
        broker.consume(rung.append, lambda _: None)
        for _ in range(5_000):
            broker.ring([0])
        await until(lambda: 0 in rung)
        await asyncio.sleep(0.2)
        assert len(rung) < 50

    async def test_a_ring_during_unfinished_work_is_heard(self, broker: Broker) -> None:
        rung: list[int] = []
        broker.consume(rung.append, lambda _: None)
        broker.ring([0])
        await until(lambda: 0 in rung)
        await asyncio.sleep(0.1)
        rung.clear()
        broker.ring([0])
        await until(lambda: 0 in rung)

    async def test_a_ring_after_finished_work_is_heard(self, broker: Broker) -> None:
        rung: list[int] = []
        broker.consume(rung.append, lambda _: None)
        broker.ring([0])
        await until(lambda: 0 in rung)
        await asyncio.sleep(0.1)
        broker.done(0)
        rung.clear()
        broker.ring([0])
        await until(lambda: 0 in rung)

    async def test_publishing_returns_when_all_is_confirmed(self, broker: Broker) -> None:
        await asyncio.wait_for(broker.publish([envelope(n) for n in range(500)]), 10)


@pytest.mark.rabbitmq
class TestRabbit:
    """What only a broker between processes can show."""

    @pytest.fixture(autouse=True)
    def _there(self, prefix: str) -> object:
        if not services.rabbitmq_answers(services.RABBITMQ):
            pytest.skip("no RabbitMQ answers on loopback")
        yield
        delete(prefix)

    async def _made(self, prefix: str) -> RabbitBroker:
        made = RabbitBroker(services.RABBITMQ, prefix=prefix, partitions=PARTITIONS)
        await made.start()
        await asyncio.wait_for(made.connected.wait(), 15)
        return made

    async def test_a_partition_has_one_worker_and_goes_to_the_next_when_it_dies(self, prefix: str) -> None:
        """Invariant 5; unfinished work is handed over by RabbitMQ."""
        one, two = await self._made(prefix), await self._made(prefix)
        first: list[int] = []
        second: list[int] = []
        one.consume(first.append, lambda _: None)
        await until(lambda: len(set(first)) == PARTITIONS)
        two.consume(second.append, lambda _: None)
        one.ring([0, 1, 2])
        await asyncio.sleep(0.3)
        assert not second
        await one.stop()  # its doorbells were never done
        await until(lambda: len(set(second)) == PARTITIONS)
        await two.stop()

    async def test_finished_work_is_not_handed_over(self, prefix: str) -> None:
        one, two = await self._made(prefix), await self._made(prefix)
        first: list[int] = []
        second: list[int] = []
        one.consume(first.append, lambda _: None)
        await until(lambda: len(set(first)) == PARTITIONS)
        two.consume(second.append, lambda _: None)
        await asyncio.sleep(0.3)
        for partition in range(PARTITIONS):
            one.done(partition)
        await asyncio.sleep(0.1)
        await one.stop()
        await asyncio.sleep(0.5)
        assert not second
        await two.stop()

    async def test_a_second_worker_gets_its_share(self, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("router.broker_rabbitmq.FAIR_S", 0.1)
        one, two = await self._made(prefix), await self._made(prefix)
        first: list[int] = []
        second: list[int] = []
        one.consume(first.append, one.give_back)
        await until(lambda: len(set(first)) == PARTITIONS)
        two.consume(second.append, two.give_back)
        await until(lambda: len(set(second)) == 1)
        await asyncio.sleep(0.5)
        assert len(set(second)) == 1
        await one.stop()
        await two.stop()

    async def test_subscribers_get_what_they_bind_to(self, prefix: str) -> None:
        broker = await self._made(prefix)
        connection = pika.BlockingConnection(pika.URLParameters(services.RABBITMQ))
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, f"{prefix}.events", "appointment.*.ehr")
        other = Envelope(event_id="e2", routing_key="patient.updated.ehr", body=b"{}")
        await broker.publish([envelope(1), other])
        _, properties, body = channel.basic_get(queue, auto_ack=True)
        assert (properties.message_id, body) == ("e1", b'{"n": 1}')
        assert channel.basic_get(queue, auto_ack=True)[0] is None
        connection.close()
        await broker.stop()

    async def test_a_key_without_a_binding_is_not_wanted_until_it_is_asked_again(
            self, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("router.broker_rabbitmq.UNBOUND_S", 0.2)
        broker = await self._made(prefix)
        key = envelope(1).routing_key
        assert broker.wanted(key)  # nobody knows yet
        await broker.publish([envelope(1)])
        assert not broker.wanted(key)
        assert broker.wanted("patient.updated.ehr")
        connection = pika.BlockingConnection(pika.URLParameters(services.RABBITMQ))
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, f"{prefix}.events", key)
        await until(lambda: broker.wanted(key))
        await broker.publish([envelope(2)])
        assert broker.wanted(key)
        assert channel.basic_get(queue, auto_ack=True)[1].message_id == "e2"
        connection.close()
        await broker.stop()

    async def test_a_backlog_is_heard_by_all_and_forgotten(
            self, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("router.broker_rabbitmq.PRESSED_S", 0.3)
        one, two = await self._made(prefix), await self._made(prefix)
        one.press(7)
        await until(lambda: two.pressed() == 7)
        await until(lambda: two.pressed() == 0)
        await one.stop()
        await two.stop()

    async def test_a_broken_connection_is_made_again_and_nothing_rung_is_lost(self, prefix: str) -> None:
        async with relay() as (port, cut):
            url = services.RABBITMQ.replace(":5672", f":{port}")
            broker = RabbitBroker(url, prefix=prefix, partitions=PARTITIONS)
            await broker.start()
            rung: list[int] = []
            surplus: list[int] = []

            def give_back(partition: int) -> None:
                surplus.append(partition)
                broker.give_back(partition)

            broker.consume(rung.append, give_back)
            await until(lambda: len(set(rung)) == PARTITIONS)
            rung.clear()
            cut()
            await until(lambda: not broker.connected.is_set())
            broker.ring([1])
            with pytest.raises(BrokerAway):
                await broker.publish([envelope(1)])
            await until(lambda: 1 in rung)
            assert sorted(set(surplus)) == [0, 1, 2]  # dealt out anew
            await broker.publish([envelope(1)])
            await broker.stop()


@asynccontextmanager
async def relay() -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """A way to RabbitMQ that can be cut: (port, cut)."""
    wires: set[asyncio.StreamWriter] = set()

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        wires.add(to)
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                to.write(data)
                await to.drain()
        to.close()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", 5672)
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

    def cut() -> None:
        for wire in wires:
            wire.transport.abort()
        wires.clear()

    server = await asyncio.start_server(joined, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        server.close()
        cut()


async def test_without_a_broker_publishing_says_so_and_ringing_waits() -> None:
    broker = RabbitBroker(f"amqp://guest:guest@127.0.0.1:{services.free_port()}/%2F", prefix="test-none",
                          partitions=1)
    await broker.start()
    broker.ring([0])
    with pytest.raises(BrokerAway):
        await broker.publish([envelope(1)])
    await broker.stop()
