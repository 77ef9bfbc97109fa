"""The road: doorbells for partitions, events for subscribers. The ledger stays the truth.

A doorbell says *there is work in partition N*, nothing else; ringing twice is ringing once. Losing one costs
time, never a message: workers look for themselves now and then. While a worker has unfinished work in a
partition it keeps the doorbell, so that the broker gives it to somebody else should the worker die.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way to subscribers."""

    event_id: str
    routing_key: str
    """``appointment.booked.CHANNEL``: no PHI."""
    body: bytes
    headers: dict[str, str] = {}


class BrokerAway(Exception):  # noqa: N818 - a state of the world, expected and handled
    """The broker did not confirm. Intake and leased work go on; try again later."""


class Broker(Protocol):
    """In process (`router.broker_local`) or RabbitMQ (`router.broker_rabbitmq`)."""

    alone: bool
    """True where no other process shares the work."""

    async def start(self) -> None:
        """Begin to connect; does not need the broker to be there."""

    async def stop(self) -> None:
        """Give everything back and close."""

    def ring(self, partitions: Iterable[int]) -> None:
        """Wake whoever works these partitions. Never blocks; rings later where the broker is away."""

    def consume(self, on_ring: Callable[[int], None], on_surplus: Callable[[int], None]) -> None:
        """Stand in line for every partition.

        Args:
            on_ring: there is work in this partition, and it is ours to do. Keep at it until `done`.
            on_surplus: others wait for work: finish what is under way in this partition, then `give_back`.
        """

    def done(self, partition: int) -> None:
        """No unfinished work is left in the partition: the doorbell is given up."""

    def give_back(self, partition: int) -> None:
        """Go to the end of the line for this partition."""

    def press(self, backlog: int) -> None:
        """Tell whoever accepts messages that so much more waits in this process than is healthy.

        It is forgotten after a moment, and may be lost.
        """

    def pressed(self) -> int:
        """The sum of what all processes have told of late."""

    def wanted(self, routing_key: str) -> bool:
        """False where nobody is bound to it, as far as was known a second ago; True in doubt."""

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Publish to subscribers; returns after all are confirmed. Raises BrokerAway."""
