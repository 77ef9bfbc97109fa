"""The 999 that tells a payer that its batch results were taken (CORE 270, batch interaction; X10)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from canonical.findings import Rejection
from connectors.x12.acknowledge import Ta1, acknowledge
from connectors.x12.build import Stamp
from connectors.x12.edi import parse
from connectors.x12.judge import judge


class Confirmation:
    """Writes the 999 of a payload.

    A receiver has no ledger to take numbers from, so its control numbers are tenths of a second since the epoch, each
    used once and none before its time: no restart can use one twice. They come round after three years.

    Args:
        now: time in seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._last = int(now() * 10)

    async def __call__(self, payload: bytes) -> bytes:
        """The answer to all interchanges of a payload; empty where nothing is owed, or where it is no X12."""
        try:
            message = parse(payload)
        except Rejection:
            return b""
        answers = []
        for each in message.interchanges:
            said = acknowledge(judge(each), await self._stamp(), ta1=Ta1.REJECTED)
            if said is not None:
                answers.append(said.emit())
        return b"".join(answers)

    async def _stamp(self) -> Stamp:
        self._last = max(self._last + 1, int(self._now() * 10))
        while (early := self._last / 10 - self._now()) > 0:  # noqa: ASYNC110 - the clock is what is waited for
            await asyncio.sleep(early)
        at = datetime.fromtimestamp(self._now(), UTC)
        return Stamp(interchange=self._last, date=f"{at:%Y%m%d}", time=f"{at:%H%M}")
