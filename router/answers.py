"""A peer's answers come back in by the one door, in the lane of what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from canonical.phi import Phi
from connectors.base import Arrival, Hear, Peek, Submission
from router.receive import Door
from router.site import Site
from store.records import Delivery


class Peeking(Protocol):
    """The part of a codec that is needed here."""

    def peek(self, raw: bytes) -> Peek:
        """See `connectors.base.Codec`."""


class Answers:
    """Takes answers for the destinations that have a channel for them (`router.deliver.Respond`).

    Args:
        door: the one door.
        site: for the channel of each destination.
        peeking: by channel; one that is missing learns nothing of its messages before they are read.
        hearing: by channel, where a trading partner answers: what is against the agreement goes its own way.
    """

    def __init__(self, door: Door, site: Site, peeking: Mapping[str, Peeking],
                 hearing: Mapping[str, Hear] | None = None) -> None:
        self._door = door
        self._site = site
        self._peeking = peeking
        self._hearing = hearing or {}

    async def __call__(self, delivery: Delivery, answer: Phi[bytes]) -> None:
        """Accept one answer. Raises `connectors.base.Unavailable` where it is not stored."""
        channel = self._site.destinations[delivery.destination].responses
        hear, codec = self._hearing.get(channel), self._peeking.get(channel)
        raw = answer.reveal()
        arrivals = (await hear(raw) if hear is not None else
                    (Arrival(raw, codec.peek(raw) if codec is not None else Peek()),))
        for one in arrivals:
            lanes = (delivery.lane,) if one.park is None else one.peek.lanes
            await self._door.accept(Submission(
                channel=channel, raw=Phi(one.raw), peer=delivery.destination, park=one.park,
                parent_id=delivery.event_id.rpartition(".")[0],
                peek=msgspec.structs.replace(one.peek, lanes=lanes, processing_id="")))
