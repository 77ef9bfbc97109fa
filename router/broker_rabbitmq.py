"""Doorbells and events over RabbitMQ (3.10 or newer).

* ``PREFIX.partition.N``: a quorum queue with a single active consumer and room for one waiting doorbell
  (``x-max-length: 1``, the older one is dropped), so that a thousand rings are one. Whoever consumes it works
  the partition. The last doorbell stays unacknowledged while work is unfinished: when the worker dies,
  RabbitMQ hands doorbell and partition to the next in line. Every new doorbell acknowledges the one before.
* ``PREFIX.workers``: nothing is ever in it. Every worker consumes it, so its consumer count is how many there
  are, and each can tell its fair share. (The count of a queue with a single active consumer is 1.)
* ``PREFIX.pressure``: a fanout exchange on which workers that fall behind say by how much (`router.pressure`).
  Every process hears it on a queue of its own that ends with the connection.
* ``PREFIX.events``: a durable topic exchange for subscribers, published to with confirms. Once a second, one
  event of each routing key goes out as *mandatory*: if RabbitMQ returns it, nobody is bound to that key, and
  events of the key need not be published until the next one is due. A new binding counts after a second.

A connection that breaks is made again with back-off. Leased work goes on meanwhile; afterwards the partitions
are dealt out anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any, Final

import pika
import structlog
from pika.adapters.asyncio_connection import AsyncioConnection

from router.broker import BrokerAway, Envelope
from router.faults import report

#: Seconds between attempts to connect: first, longest.
RECONNECT_S: Final = (0.2, 10.0)
#: Rings of one partition closer together than this are one. Each is a few writes to the disk of RabbitMQ and a
#: turn of the pump with its reads; only the second of two close ones waits.
COALESCE_S: Final = 0.025
#: A doorbell is held no longer than this before it is exchanged for a new one: RabbitMQ closes the channel of
#: a consumer that holds a delivery for 30 minutes (``consumer_timeout``).
HOLD_S: Final = 600.0
#: Seconds between looks at the fair share.
FAIR_S: Final = 3.0
#: Seconds a publish waits for its confirms.
CONFIRM_S: Final = 10.0
#: Seconds for which a process that has told of a backlog is taken to have it.
PRESSED_S: Final = 0.5
#: Seconds for which the answer holds that nobody is bound to a routing key.
UNBOUND_S: Final = 1.0

_QUEUE: Final = {"x-queue-type": "quorum", "x-single-active-consumer": True, "x-max-length": 1}


class _Waits:
    """Turns pika's callbacks into futures; all of them fail when the connection does."""

    def __init__(self) -> None:
        self._futures: set[asyncio.Future[Any]] = set()

    def new(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future

    async def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a method that takes a ``callback`` and wait for it."""
        future = self.new()
        method(*args, callback=lambda result: _resolve(future, result), **kwargs)
        return await future

    def fail(self, error: BaseException) -> None:
        for future in list(self._futures):
            if not future.done():
                future.set_exception(error)


class _Batch:
    """Envelopes published together: done when the last of them is confirmed."""

    def __init__(self, size: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = size

    def confirm(self) -> None:
        """One of them is."""
        self._left -= 1
        if not self._left:
            _resolve(self.done, None)

    def fail(self, error: BrokerAway) -> None:
        """One of them was not and will not be."""
        if not self.done.done():
            self.done.set_exception(error)


class RabbitBroker:
    """See `router.broker.Broker`.

    Args:
        url: ``amqp://…`` or ``amqps://…``.
        prefix: of queues and exchange.
        partitions: how many there are.
        owner: name of this process, shown as the connection's name in RabbitMQ.
    """

    alone = False

    def __init__(self, url: str, *, prefix: str, partitions: int, owner: str = "") -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.client_properties = {"connection_name": owner}
        self._prefix = prefix
        self._partitions = partitions
        self._connection: AsyncioConnection | None = None
        self._bells: Any = None
        self._events: Any = None
        self._closed = asyncio.Event()
        self._waits = _Waits()
        self._unconfirmed: dict[int, _Batch] = {}
        self._published = 0
        self._pressed: dict[str, tuple[float, int]] = {}
        """When a process told last of its backlog, and how large it was."""
        self._owner = owner
        self._probed: dict[str, float] = {}
        """When a routing key was last asked about."""
        self._unbound: dict[str, float] = {}
        """Until when it holds that nobody is bound to a routing key."""
        self._rung: set[int] = set()
        self._flushing = False
        self._on_ring: Callable[[int], None] | None = None
        self._on_surplus: Callable[[int], None] | None = None
        self._tags: dict[int, str] = {}
        self._held: dict[int, tuple[int, float]] = {}
        self._mine: set[int] = set()
        self._returning: set[int] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self.connected = asyncio.Event()
        """Set while there is a connection and everything is declared."""

    # -- life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name="rabbitmq")
        self._watcher = asyncio.create_task(self._watch(), name="rabbitmq-share")
        for task in (self._keeper, self._watcher):
            task.add_done_callback(report)

    async def stop(self) -> None:
        self._flush()
        for task in (self._watcher, self._keeper, *self._chores):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, BrokerAway):
                    await task
        if self._connection is not None and not (self._connection.is_closed or self._connection.is_closing):
            self._connection.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), 2.0)

    async def _keep(self) -> None:
        """Be connected."""
        pause = RECONNECT_S[0]
        while True:
            self._closed.clear()
            try:
                await self._connect()
                pause = RECONNECT_S[0]
                await self._closed.wait()
            except BrokerAway as away:
                structlog.get_logger().warning("broker away", delay_s=pause, reason=str(away))
            finally:
                self._disconnected()
            await asyncio.sleep(pause)
            pause = min(pause * 2, RECONNECT_S[1])

    async def _connect(self) -> None:
        opened = self._waits.new()
        connection = AsyncioConnection(
            self._parameters, custom_ioloop=asyncio.get_running_loop(),
            on_open_callback=lambda _: _resolve(opened, None),
            on_open_error_callback=lambda _, error: self._waits.fail(_away(error)),
            on_close_callback=lambda _, error: self._ended(error))
        self._connection = connection
        await opened
        bells = await self._channel(connection)
        for partition in range(self._partitions):
            await self._waits.call(bells.queue_declare, self._queue(partition), durable=True, arguments=_QUEUE)
        await self._waits.call(bells.queue_declare, f"{self._prefix}.workers", durable=True,
                               arguments={"x-queue-type": "quorum"})
        # Two: the one that is held, and the one that replaces it.
        await self._waits.call(bells.basic_qos, prefetch_count=2)
        events = await self._channel(connection)
        await self._waits.call(events.exchange_declare, f"{self._prefix}.events", "topic", durable=True)
        await self._waits.call(bells.exchange_declare, f"{self._prefix}.pressure", "fanout", durable=True)
        own = await self._waits.call(bells.queue_declare, "", exclusive=True)
        await self._waits.call(bells.queue_bind, own.method.queue, f"{self._prefix}.pressure")
        await self._waits.call(bells.basic_consume, own.method.queue,
                               lambda _, __, properties, body: self._heard(properties.app_id or "", body),
                               auto_ack=True)
        self._published = 0
        await self._waits.call(events.confirm_delivery, self._confirmed)
        events.add_on_return_callback(lambda _, method, __, ___: self._returned(method.routing_key))
        self._bells, self._events = bells, events
        self.connected.set()
        if self._on_ring is not None:
            await self._stand_in_line()
        self._rung.update(range(self._partitions))  # whatever was rung while we were away
        self._flush()

    async def _channel(self, connection: AsyncioConnection) -> Any:
        opened = self._waits.new()
        channel = connection.channel(on_open_callback=lambda c: _resolve(opened, c))
        channel.add_on_close_callback(lambda _, error: self._lost(error))
        return await opened

    def _lost(self, error: BaseException) -> None:
        """A channel is gone: not worth keeping the connection for."""
        self._waits.fail(_away(error))
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

    def _ended(self, error: BaseException) -> None:
        self._waits.fail(_away(error))
        self._closed.set()

    def _disconnected(self) -> None:
        self.connected.clear()
        self._bells = self._events = None
        self._tags.clear()
        self._held.clear()
        for batch in self._unconfirmed.values():
            batch.fail(BrokerAway("connection lost"))
        self._unconfirmed.clear()
        self._probed.clear()
        self._unbound.clear()

    # -- doorbells ----------------------------------------------------------------------------------------

    def ring(self, partitions: Iterable[int]) -> None:
        before = len(self._rung)
        self._rung.update(partitions)
        if not self._flushing and len(self._rung) > before:
            self._flush()

    def _flush(self) -> None:
        """Send what is rung, then gather for a moment."""
        if self._bells is None:
            self._flushing = False
            return
        rung, self._rung = self._rung, set()
        for partition in rung:
            self._bells.basic_publish("", self._queue(partition), b"")
        if rung:
            self._flushing = True
            asyncio.get_running_loop().call_later(COALESCE_S, self._flush)
        else:
            self._flushing = False

    def consume(self, on_ring: Callable[[int], None], on_surplus: Callable[[int], None]) -> None:
        self._on_ring, self._on_surplus = on_ring, on_surplus
        if self._bells is not None:
            self._chore(self._stand_in_line())

    async def _stand_in_line(self) -> None:
        """Consume everything; what we worked before a broken connection only after it was given back."""
        await self._waits.call(self._bells.basic_consume, f"{self._prefix}.workers", lambda *_: None)
        before, self._mine = self._mine, set()
        self._returning |= before
        for partition in range(self._partitions):
            if partition not in self._returning:
                await self._line_up(partition)
        if self._on_surplus is not None:
            for partition in before:
                self._on_surplus(partition)

    async def _line_up(self, partition: int) -> None:
        if self._bells is None or partition in self._tags:
            return
        tag = self._bells.basic_consume(
            self._queue(partition), lambda _, method, __, ___: self._delivered(partition, method.delivery_tag))
        self._tags[partition] = tag

    def _delivered(self, partition: int, delivery_tag: int) -> None:
        if self._bells is None or self._on_ring is None:
            return
        if (held := self._held.get(partition)) is not None:
            self._bells.basic_ack(held[0])
        self._held[partition] = delivery_tag, asyncio.get_running_loop().time()
        if partition in self._tags:  # else it is on its way to somebody else
            self._mine.add(partition)
            self._on_ring(partition)

    def done(self, partition: int) -> None:
        held = self._held.pop(partition, None)
        if held is not None and self._bells is not None:
            self._bells.basic_ack(held[0])

    def give_back(self, partition: int) -> None:
        self._mine.discard(partition)
        self._returning.discard(partition)
        if self._bells is not None:
            self._chore(self._to_the_end(partition))

    async def _to_the_end(self, partition: int) -> None:
        bells = self._bells
        tag = self._tags.pop(partition, None)
        if tag is not None:
            await self._waits.call(bells.basic_cancel, tag)
        held = self._held.pop(partition, None)
        if held is not None and bells.is_open:
            bells.basic_nack(held[0], requeue=True)
        self.ring((partition,))
        await self._line_up(partition)

    async def _watch(self) -> None:
        """Exchange doorbells before they grow too old; give back what is more than our share."""
        while True:
            await asyncio.sleep(FAIR_S)
            if self._bells is None or self._on_surplus is None:
                continue
            old = asyncio.get_running_loop().time() - HOLD_S
            self.ring([partition for partition, (_, since) in self._held.items() if since < old])
            with contextlib.suppress(BrokerAway):
                frame = await self._waits.call(
                    self._bells.queue_declare, f"{self._prefix}.workers", passive=True)
                workers = max(1, int(frame.method.consumer_count))
                surplus = len(self._mine) - -(-self._partitions // workers)
                # Idle ones first: handing them over interrupts nothing.
                for partition in sorted(self._mine, key=lambda p: p in self._held)[:max(0, surplus)]:
                    self._mine.discard(partition)
                    self._on_surplus(partition)

    # -- pressure -----------------------------------------------------------------------------------------

    def press(self, backlog: int) -> None:
        if self._bells is not None:
            self._bells.basic_publish(f"{self._prefix}.pressure", "", str(backlog).encode(),
                                      pika.BasicProperties(app_id=self._owner))

    def _heard(self, owner: str, body: bytes) -> None:
        if body.isdigit():
            self._pressed[owner] = asyncio.get_running_loop().time(), int(body)

    def pressed(self) -> int:
        since = asyncio.get_running_loop().time() - PRESSED_S
        return sum(backlog for told, backlog in self._pressed.values() if told > since)

    # -- events -------------------------------------------------------------------------------------------

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        channel = self._events
        if channel is None:
            raise BrokerAway("not connected")
        if not envelopes:
            return
        batch = _Batch(len(envelopes))
        exchange = f"{self._prefix}.events"
        for envelope in envelopes:
            self._published += 1
            self._unconfirmed[self._published] = batch
            channel.basic_publish(
                exchange, envelope.routing_key, envelope.body,
                pika.BasicProperties(content_type="application/json", delivery_mode=2,
                                     message_id=envelope.event_id, headers=dict(envelope.headers)),
                mandatory=self._probes(envelope.routing_key))
        try:
            await asyncio.wait_for(batch.done, CONFIRM_S)
        except TimeoutError:
            raise BrokerAway("not confirmed") from None

    def wanted(self, routing_key: str) -> bool:
        return asyncio.get_running_loop().time() >= self._unbound.get(routing_key, 0.0)

    def _probes(self, routing_key: str) -> bool:
        """Whether the event about to be published shall ask if anybody is bound."""
        now = asyncio.get_running_loop().time()
        if now - self._probed.get(routing_key, -UNBOUND_S) < UNBOUND_S:
            return False
        self._probed[routing_key] = now
        return True

    def _returned(self, routing_key: str) -> None:
        """Nobody was bound when the event came to the exchange, which was after it had been sent."""
        if (probed := self._probed.get(routing_key)) is not None:
            self._unbound[routing_key] = probed + UNBOUND_S

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        last = method.delivery_tag
        # Tags grow, and a dict keeps their order.
        tags = list(takewhile(lambda tag: tag <= last, self._unconfirmed)) if method.multiple else [last]
        for tag in tags:
            batch = self._unconfirmed.pop(tag, None)
            if batch is None:
                continue
            if isinstance(method, pika.spec.Basic.Ack):
                batch.confirm()
            else:
                batch.fail(BrokerAway("refused"))

    # -- small things -------------------------------------------------------------------------------------

    def _queue(self, partition: int) -> str:
        return f"{self._prefix}.partition.{partition}"

    def _chore(self, what: Any) -> None:
        async def quietly() -> None:
            with contextlib.suppress(BrokerAway):
                await what

        task = asyncio.create_task(quietly())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        task.add_done_callback(report)


def _resolve(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _away(error: BaseException) -> BrokerAway:
    """The type of what happened; texts of the library may hold the address with its password."""
    return BrokerAway(type(error).__name__)
