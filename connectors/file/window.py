"""Messages of a file on their way into the ledger: some at a time, results in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from canonical.receipt import Receipt
from connectors.base import Accept, Submission


class Window:
    """Stores side by side, but those of one lane one after another, so that a ledger that fails half way cannot
    store a later one before an earlier.

    Args:
        accept: the one door.
        size: messages under way at most.
    """

    def __init__(self, accept: Accept, size: int) -> None:
        self._accept = accept
        self._size = size
        self._under_way: deque[tuple[Submission, asyncio.Task[Receipt]]] = deque()
        self._last: dict[str, asyncio.Task[Receipt]] = {}

    async def add(self, submission: Submission) -> list[tuple[Submission, Receipt]]:
        """Begin one; what is stored by now is given back, in order. Raises `connectors.base.Unavailable`."""
        done = [await self._next()] if len(self._under_way) >= self._size else []
        lanes = submission.peek.lanes
        earlier = [self._last[lane] for lane in lanes if lane in self._last]
        task = asyncio.create_task(self._after(earlier, submission))
        self._last.update(dict.fromkeys(lanes, task))
        self._under_way.append((submission, task))
        return done

    async def rest(self) -> list[tuple[Submission, Receipt]]:
        """Wait for all that is under way. Raises `connectors.base.Unavailable`."""
        return [await self._next() for _ in range(len(self._under_way))]

    async def close(self) -> None:
        """Wait for what is under way after one has failed: nothing may be stored behind the caller's back."""
        await asyncio.gather(*[task for _, task in self._under_way], return_exceptions=True)
        self._under_way.clear()

    def cancel(self) -> None:
        """Give up what is under way."""
        for _, task in self._under_way:
            task.cancel()

    async def _next(self) -> tuple[Submission, Receipt]:
        submission, task = self._under_way[0]
        receipt = await asyncio.shield(task)
        self._under_way.popleft()
        for lane in submission.peek.lanes:
            if self._last.get(lane) is task:
                del self._last[lane]
        return submission, receipt

    async def _after(self, earlier: Iterable[asyncio.Task[Receipt]], submission: Submission) -> Receipt:
        for task in earlier:
            await asyncio.shield(task)
        return await self._accept(submission)
