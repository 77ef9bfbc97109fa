"""The outbox: events the ledger holds and the broker has not confirmed yet.

Publishing comes after the commit and is repeated until confirmed: a subscriber may see an event twice (same
id), never not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from canonical.event import Event
from canonical.failpoints import point
from router.broker import Broker, BrokerAway, Envelope
from store.ledger import LedgerUnavailable, Work

BATCH: Final = 256
#: Seconds between looks when nobody calls, and between attempts while the broker is away.
LOOK_S: Final = 1.0

_BEFORE_PUBLISH: Final = point("outbox.before_publish")
_AFTER_PUBLISH: Final = point("outbox.after_publish")


def envelope(event: Event, *, full: bool) -> Envelope:
    """An event as subscribers get it: the whole, or a reference with attributes that are no PHI."""
    key = f"{event.type}.{event.source.channel}"
    body: Mapping[str, Any] | Event = event if full else {
        "id": event.id, "type": event.type, "message_id": event.message_id, "channel": event.source.channel,
        "entity": type(event.entity).__name__, "revision": event.revision, "received_at": event.received_at,
        "schema": event.schema}
    return Envelope(event_id=event.id, routing_key=key, body=msgspec.json.encode(body),
                    headers={"type": event.type, "channel": event.source.channel, "schema": event.schema})


class Outbox:
    """Publishes what is unpublished, in order. One a process is enough; several do no harm.

    Args:
        work: the ledger.
        broker: confirms.
        full: subscribers get whole events.
    """

    def __init__(self, work: Work, broker: Broker, *, full: bool = False) -> None:
        self._work = work
        self._broker = broker
        self._full = full
        self._wake = asyncio.Event()

    def notify(self) -> None:
        """There may be something to publish."""
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
        events = await self._work.unpublished(BATCH)
        if not events:
            return False
        _BEFORE_PUBLISH()
        await self._broker.publish([envelope(event, full=self._full) for event in events])
        _AFTER_PUBLISH()
        await self._work.published([event.id for event in events])
        return True
