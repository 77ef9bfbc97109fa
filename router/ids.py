"""Ids of messages: unique without asking anybody, sortable by time, safe to show and to log."""

from __future__ import annotations

from canonical.clock import Clock


class MessageIds:
    """Makes ids of 20 hexadecimal digits: 14 of microseconds, 6 of the process that made them.

    Strictly increasing within a process, so that ties in a history break in the order of acceptance.

    Args:
        clock: for the time.
        node: a random number below 2**24, one a process.
    """

    def __init__(self, clock: Clock, node: int) -> None:
        self._clock = clock
        self._suffix = f"{node & 0xFFFFFF:06x}"
        self._last = 0

    def __call__(self) -> tuple[str, int]:
        """A new id and the time in it (microseconds since the epoch)."""
        self._last = now = max(self._clock.now(), self._last + 1)
        return f"{now:014x}{self._suffix}", now
