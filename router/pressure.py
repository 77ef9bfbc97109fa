"""Back-pressure: whoever sends faster than this process can work waits a little longer for the acknowledgement.

Without it a crowd of senders takes the whole processor for accepting, and nothing is delivered until they pause.
Nobody is refused: a sender that waits for each acknowledgement slows down by itself, and a backlog that a
destination causes by being away does not count, since slowing the senders would not help it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Work in progress that is healthy: enough for every stage to have full batches.
HEALTHY: Final = 512
#: Seconds an acknowledgement waits for each further `HEALTHY` of backlog, and at most.
STEP_S: Final = 0.02
LONGEST_S: Final = 0.2


class Pressure:
    """What this process has accepted and not yet worked off.

    Args:
        outgoing: deliveries that are due at destinations that take them.
    """

    def __init__(self, outgoing: Callable[[], int]) -> None:
        self._outgoing = outgoing
        self._incoming = 0

    def accepted(self) -> None:
        """One more message has been stored."""
        self._incoming += 1

    def taken(self, count: int) -> None:
        """So many messages have been processed, or found to have to wait. An estimate: some may be of others."""
        self._incoming = max(0, self._incoming - count)

    def delay(self) -> float:
        """Seconds the next acknowledgement should wait; 0 while all is well."""
        excess = self._incoming + self._outgoing() - HEALTHY
        return 0.0 if excess <= 0 else min(LONGEST_S, STEP_S * excess / HEALTHY)
