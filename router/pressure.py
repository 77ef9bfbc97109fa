"""Back-pressure: whoever sends faster than messages can be worked off waits a little for the acknowledgement.

Without it a crowd of senders takes the whole processor for accepting, and nothing is delivered until they pause.
Nobody is refused: a sender that waits for each acknowledgement slows down by itself, and a backlog that a
destination causes by being away does not count, since slowing the senders would not help it.

Where other processes share the work, they say over the broker how far behind they are (`Pressure.tell`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from router.broker import Broker

#: Work in progress that is healthy: enough for every stage to have full batches.
HEALTHY: Final = 512
#: Seconds an acknowledgement waits for each further `HEALTHY` of backlog, and at most.
STEP_S: Final = 0.05
LONGEST_S: Final = 0.2
#: Seconds between two words to the processes that accept, while there is something to say.
TELL_S: Final = 0.1


class Pressure:
    """What waits to be worked off.

    Args:
        outgoing: deliveries of this process that are due at destinations that take them.
        held: how many partitions this process works.
        broker: the way to the other processes.
    """

    def __init__(self, outgoing: Callable[[], int], held: Callable[[], int], broker: Broker) -> None:
        self._outgoing = outgoing
        self._held = held
        self._broker = broker
        self._incoming = 0

    def accepted(self) -> None:
        """One more message has been stored. Where others share the work, it may be theirs."""
        if self._broker.alone:
            self._incoming += 1

    def taken(self, count: int) -> None:
        """So many messages were found at one look at a partition: processed now, or found to have to wait."""
        if self._broker.alone:
            self._incoming = max(0, self._incoming - count)
        else:  # they had waited until now, and the other partitions held here are about as full
            self._incoming = count * self._held()

    def excess(self) -> int:
        """By how much more waits in this process than is healthy."""
        return max(0, self._incoming + self._outgoing() - HEALTHY)

    def delay(self) -> float:
        """Seconds the next acknowledgement should wait; 0 while all is well."""
        return min(LONGEST_S, STEP_S * max(self.excess(), self._broker.pressed()) / HEALTHY)

    async def tell(self) -> None:
        """Keep those informed who accept messages, until cancelled."""
        while True:
            await asyncio.sleep(TELL_S)
            if excess := self.excess():
                self._broker.press(excess)
