"""Time, as a thing that is handed in.

Pure code never asks what time it is: it is told. Loops are given a `Clock`, so that tests decide.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the house needs to know about time."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back: for durations and deadlines inside one process."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()
