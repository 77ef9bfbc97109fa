"""The outbox: events that are committed and that the broker has not confirmed yet.

Publishing comes after the commit and is repeated until confirmed: a subscriber may see an event twice (same
id), never not at all. The pump hands over what it has committed, so the ledger need not be asked for it. What
a dead process or a failure has left behind is found there by a look now and then. Events to which nobody is
bound are not kept for publishing in the first place.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from canonical.event import Event
from canonical.failpoints import point
from router.broker import Broker, BrokerAway, Envelope
from store.ledger import LedgerUnavailable, Work

BATCH: Final = 256
#: Events that wait in memory at most; with more of them, they are read from the ledger when their turn comes.
KEPT: Final = 4_096
#: Seconds between looks at the ledger, and between attempts while it or the broker is away.
LOOK_S: Final = 1.0

_BEFORE_PUBLISH: Final = point("outbox.before_publish")
_AFTER_PUBLISH: Final = point("outbox.after_publish")


def routing_key(event: Event) -> str:
    """What subscribers bind to: ``appointment.booked.CHANNEL``."""
    return f"{event.type}.{event.source.channel}"


def envelope(event: Event, *, full: bool) -> Envelope:
    """An event as subscribers get it: the whole, or a reference with attributes that are no PHI."""
    body: Mapping[str, Any] | Event = event if full else {
        "id": event.id, "type": event.type, "message_id": event.message_id, "channel": event.source.channel,
        "entity": type(event.entity).__name__, "revision": event.revision, "received_at": event.received_at,
        "schema": event.schema}
    return Envelope(event_id=event.id, routing_key=routing_key(event), body=msgspec.json.encode(body),
                    headers={"type": event.type, "channel": event.source.channel, "schema": event.schema})


class Outbox:
    """Publishes what is unpublished, in the order of the commits. Each process publishes its own.

    Args:
        work: the ledger.
        broker: confirms.
        full: subscribers get whole events.
    """

    def __init__(self, work: Work, broker: Broker, *, full: bool = False) -> None:
        self._work = work
        self._broker = broker
        self._full = full
        self._fresh: deque[Event] = deque()
        self._behind = True
        """The ledger may hold events of ours that are not in memory: they come before any new one."""
        self._seen: frozenset[str] = frozenset()
        """Unpublished at the last look. Who is still there at the next has nobody who publishes it."""
        self._looked_at = 0.0
        self._wake = asyncio.Event()

    def wanted(self, event: Event) -> bool:
        """False where nobody is bound to such events; then they need not be kept for publishing."""
        return self._broker.wanted(routing_key(event))

    def add(self, events: Sequence[Event]) -> None:
        """These have been committed as unpublished."""
        if not self._behind:
            self._fresh.extend(events)
            if len(self._fresh) > KEPT:
                self._fall_behind()
        self._wake.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            self._wake.clear()
            try:
                while await self.turn():
                    pass
            except (BrokerAway, LedgerUnavailable):
                await asyncio.sleep(LOOK_S)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_S)

    async def turn(self) -> bool:
        """Publish one batch; False where there was nothing.

        Raises:
            BrokerAway, LedgerUnavailable: it will be published again.
        """
        try:
            if self._behind or asyncio.get_running_loop().time() - self._looked_at >= LOOK_S:
                return await self._look()
            batch = [self._fresh.popleft() for _ in range(min(BATCH, len(self._fresh)))]
            await self._publish(batch)
        except (BrokerAway, LedgerUnavailable):
            self._fall_behind()
            raise
        return bool(batch)

    async def _look(self) -> bool:
        """Publish what the ledger holds and nobody has in hand."""
        # From here on new ones are kept: what is committed during the read may be missing in its answer.
        behind, self._behind = self._behind, False
        events = await self._work.unpublished(BATCH)
        self._looked_at = asyncio.get_running_loop().time()
        left = [event for event in events if behind or event.id in self._seen]
        self._seen = frozenset(event.id for event in events)
        await self._publish(left)
        if left and len(events) == BATCH:
            self._fall_behind()
        return bool(left or self._fresh)

    def _fall_behind(self) -> None:
        self._behind = True
        self._fresh.clear()

    async def _publish(self, events: Sequence[Event]) -> None:
        if events:
            _BEFORE_PUBLISH()
            await self._broker.publish([envelope(event, full=self._full) for event in events])
            _AFTER_PUBLISH()
            await self._work.published([event.id for event in events])
