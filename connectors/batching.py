"""What senders of batches share: dispatches that wait together leave together, and each learns what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from canonical.findings import Finding
from connectors.base import Dispatch, Outcome, Retry, Unknown

Submit = Callable[[Sequence[Dispatch]], Awaitable[Sequence[Outcome]]]


class Batching:
    """Collects, one batch after the other.

    Args:
        submit: sends a batch; one outcome each, in order.
        collect_s: seconds to wait for more before what there is leaves.
        most: dispatches of one batch.
    """

    def __init__(self, submit: Submit, collect_s: float, most: int) -> None:
        self._submit = submit
        self._collect_s = collect_s
        self._most = most
        self._waiting: list[tuple[Dispatch, asyncio.Future[Outcome]]] = []
        self._under_way: list[tuple[Dispatch, asyncio.Future[Outcome]]] = []
        self._submitting: asyncio.Task[None] | None = None
        self._full = asyncio.Event()
        self._stopped: Finding | None = None

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Let it leave with the next batch; returns what became of it."""
        if self._stopped is not None:
            return Retry("", self._stopped, free=True)
        result: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((dispatch, result))
        if len(self._waiting) >= self._most:
            self._full.set()
        if self._submitting is None or self._submitting.done():
            self._submitting = asyncio.create_task(self._run())
        return await asyncio.shield(result)

    async def stop(self, grace: float, waits: Finding, gone: Finding) -> None:
        """Submit what waits, within `grace` seconds.

        Args:
            waits: said of what did not leave any more.
            gone: said of what was leaving when the time was over.
        """
        self._full.set()
        if self._submitting is not None:
            await asyncio.wait([self._submitting], timeout=grace)
            self._submitting.cancel()
            await asyncio.wait([self._submitting])
        self._stopped = waits
        for _, result in self._under_way:
            _tell(result, Unknown(gone))
        for _, result in self._waiting:
            _tell(result, Retry("", waits, free=True))
        self._waiting, self._under_way = [], []

    async def _run(self) -> None:
        while self._waiting:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._collect_s)
            batch = self._under_way = self._waiting[:self._most]
            del self._waiting[:len(batch)]
            if len(self._waiting) < self._most:
                self._full.clear()
            try:
                outcomes = await self._submit([dispatch for dispatch, _ in batch])
            except Exception as error:  # a sender must not raise: each of the batch tells its caller
                for _, result in batch:
                    if not result.done():
                        result.set_exception(error)
                continue
            for (_, result), outcome in zip(batch, outcomes, strict=True):
                _tell(result, outcome)
            self._under_way = []


def _tell(result: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not result.done():
        result.set_result(outcome)
