"""What receivers that look for themselves share: one task that goes on until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress


class Polling:
    """The task of one receiver. What it does is a coroutine that ends soon after `stopping` is true."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def stopping(self) -> bool:
        """True from the moment that `end` was called."""
        return self._stop.is_set()

    def begin(self, run: Callable[[], Coroutine[None, None, None]]) -> None:
        """Start the task."""
        self._stop.clear()
        self._task = asyncio.create_task(run())

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
