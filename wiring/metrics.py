"""Metrics for Prometheus on a loopback port: counts and ages, labelled by names of the configuration only.

Everything is read from the ledger when somebody asks (at most once a second), so a number means the same
whichever process answers, and the hot path pays nothing. Labels are channels, destinations, states and finding
codes, never anything from a message (invariant 12).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from store.ledger import Desk

#: Seconds for which an answer is repeated.
FRESH_S: Final = 1.0
HOST: Final = "127.0.0.1"


async def exposition(desk: Desk, now_s: float) -> bytes:
    """The ledger's counts in the text format."""
    registry = CollectorRegistry()
    messages = Gauge("dragoman_messages", "Messages by state.", ["state"], registry=registry)
    deliveries = Gauge("dragoman_deliveries", "Deliveries by destination and state.", ["destination", "state"],
                       registry=registry)
    outbox = Gauge("dragoman_outbox_unpublished", "Events the broker has not confirmed.", registry=registry)
    waiting = Gauge("dragoman_parked", "What waits for a person.", ["what", "where", "reason"],
                    registry=registry)
    oldest = Gauge("dragoman_parked_oldest_seconds", "Since when the oldest of them has waited.",
                   ["what", "where", "reason"], registry=registry)
    tasks = Gauge("dragoman_tasks", "Tasks for people by queue and status.", ["queue", "status"], registry=registry)
    counts = await desk.counts()
    for state, count in counts["messages"].items():
        messages.labels(state).set(count)
    for key, count in counts["deliveries"].items():
        deliveries.labels(*key.rsplit("/", 1)).set(count)
    outbox.set(counts["outbox"].get("unpublished", 0))
    for (queue, status), count in (await desk.task_counts()).items():
        tasks.labels(queue, status).set(count)
    for what, where, reason, count, first, _ in await desk.parked():
        waiting.labels(what, where, reason).set(count)
        oldest.labels(what, where, reason).set(max(0.0, now_s - first / 1e6))
    return generate_latest(registry)


class MetricsServer:
    """Serves ``/metrics`` on loopback."""

    def __init__(self, desk: Desk, port: int, clock: Callable[[], float] = time.time) -> None:
        self._desk = desk
        self._port = port
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._text = b""
        self._at = 0.0

    async def start(self) -> None:
        """Bind the port. Raises OSError where it is in use."""
        app = web.Application()
        app.router.add_get("/metrics", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()

    async def stop(self) -> None:
        """Release the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, _: web.Request) -> web.Response:
        if self._clock() - self._at >= FRESH_S:
            self._text, self._at = await exposition(self._desk, self._clock()), self._clock()
        return web.Response(body=self._text, headers={"Content-Type": "text/plain; version=0.0.4"})
