"""What receivers that look for themselves share: one task that goes on until it is told to stop, whatever happens."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from connectors.base import Unavailable

_log = logging.getLogger(__name__)


class Polling:
    """Looks again and again.

    What goes wrong with one look ends that look and nothing else: it is counted, told in the log by the type of the
    exception (its text may hold a value of a message), and after a pause comes the next look. A ledger that cannot
    commit is expected: what could not be stored is there at the next look.

    Args:
        channel: name of the channel, for the log.
        look: one look; True where there may be more to take at once. Ends soon after `stopping` is true.
        every_s: seconds between two looks.
    """

    def __init__(self, channel: str, look: Callable[[], Awaitable[bool]], every_s: float) -> None:
        self._channel = channel
        self._look = look
        self._every_s = every_s
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.failures: Counter[str] = Counter()
        """Looks that came to nothing, by finding code, or by type of what nobody foresaw."""

    @property
    def stopping(self) -> bool:
        """True from the moment that `end` was called."""
        return self._stop.is_set()

    def begin(self) -> None:
        """Start the task."""
        self._stop.clear()
        self._task = asyncio.create_task(self._run(), name=f"look-{self._channel}")

    async def pause(self, seconds: float) -> None:
        """Wait, but not longer than until the task is told to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def end(self, grace: float) -> None:
        """Tell the task to stop, wait `grace` seconds for it, then cancel it."""
        self._stop.set()
        if self._task is None:
            return
        done, _ = await asyncio.wait({self._task}, timeout=grace)
        if not done:
            self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    def failed(self, code: str, detail: str = "") -> None:
        """A look came to nothing, for a known reason: a finding's code."""
        self.failures[code] += 1
        _log.warning("nothing taken: channel %s, %s%s", self._channel, code, f" ({detail})" if detail else "")

    async def _run(self) -> None:
        while not self.stopping:
            more = False
            try:
                more = await self._look()
            except Unavailable:
                pass
            except Exception as error:  # a defect of ours must not end the looking without a word
                self.failures[type(error).__name__] += 1
                _log.error("a look failed: channel %s, %s", self._channel, type(error).__name__)
            if not more:
                await self.pause(self._every_s)
