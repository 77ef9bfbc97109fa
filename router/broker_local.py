"""Doorbells and events within one process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from router.broker import Envelope


class LocalBroker:
    """See `router.broker.Broker`. The first to consume has every partition; nobody else is there.

    Doorbells rung before anybody consumes are kept.
    """

    alone = True

    def __init__(self) -> None:
        self._rung: set[int] = set()
        self._scheduled = False
        self._on_ring: Callable[[int], None] | None = None
        self._subscribers: list[Callable[[Envelope], Awaitable[None]]] = []

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        self._on_ring = None

    def ring(self, partitions: Iterable[int]) -> None:
        self._rung.update(partitions)
        self._schedule()

    def consume(self, on_ring: Callable[[int], None], on_surplus: Callable[[int], None]) -> None:
        self._on_ring = on_ring
        self._schedule()

    def done(self, partition: int) -> None:
        """Nothing is kept that could be given up."""

    def give_back(self, partition: int) -> None:
        """There is no line."""

    def press(self, backlog: int) -> None:
        """Whoever accepts is in this process and knows."""

    def pressed(self) -> int:
        return 0

    def wanted(self, routing_key: str) -> bool:
        return bool(self._subscribers)

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            for subscriber in self._subscribers:
                await subscriber(envelope)

    def subscribe(self, subscriber: Callable[[Envelope], Awaitable[None]]) -> None:
        """Get every event from now on; awaited before it counts as published."""
        self._subscribers.append(subscriber)

    def _schedule(self) -> None:
        """Deliver at the next turn of the loop: whoever rings is never called back from inside."""
        if self._on_ring is not None and self._rung and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._on_ring is None:
            return
        rung, self._rung = self._rung, set()
        for partition in sorted(rung):
            self._on_ring(partition)
