"""Ties it together for the partitions this process holds: doorbell, lease, recovery, pump, gatekeepers.

A partition is taken when its doorbell rings and kept until somebody else should have it, the process stops,
or the lease is lost. A worker that lost a lease stops at once; whatever it still tries is refused by the
ledger (invariant 5).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from canonical.clock import Clock
from canonical.event import Event
from canonical.failpoints import point
from canonical.query import Acknowledgement
from connectors.base import Outcome
from router.afterwards import Afterwards
from router.broker import Broker
from router.deliver import Gatekeeper, Status
from router.faults import report
from router.flow import Books, Flow, Playbook
from router.holding import Holding
from router.outbox import Outbox
from router.pump import Pump
from router.recover import mend
from router.scoring import Panel
from router.site import Destination
from router.translate import Bureau
from router.triage import Rulebook
from store.ledger import LeaseLost, LedgerUnavailable
from store.records import NewDelivery

#: Seconds a lease lasts; it is renewed three times as often.
LEASE_S: Final = 10.0
#: Seconds between looks at the ledger for what no doorbell told: decisions of people, late commits.
SWEEP_S: Final = 2.0
#: Seconds before a lease that somebody else holds, or a ledger that is away, is asked again.
AGAIN_S: Final = 0.5

_AFTER_ACQUIRE: Final = point("worker.after_acquire")
_AFTER_RECOVER: Final = point("worker.after_recover")


class Outgoing:
    """All gatekeepers of a process, as the pump sees them."""

    def __init__(self, gatekeepers: Mapping[str, Gatekeeper], outbox: Outbox) -> None:
        self._gatekeepers = gatekeepers
        self._outbox = outbox

    def waiting(self, destination: str, subject_key: str) -> Sequence[str]:
        """See `router.pump.Outbound`."""
        return self._gatekeepers[destination].waiting(subject_key)

    def add(self, holding: Holding, planned: Sequence[tuple[NewDelivery, Event | None]]) -> None:
        """See `router.pump.Outbound`."""
        for name, gatekeeper in self._gatekeepers.items():
            if mine := [pair for pair in planned if pair[0].destination == name]:
                gatekeeper.add(holding, mine)

    def concluded(self, destination: str, said: Acknowledgement) -> Outcome:
        """See `router.afterwards.Judge`."""
        return self._gatekeepers[destination].concluded(said)

    def wanted(self, event: Event) -> bool:
        """See `router.pump.Outbound`."""
        return self._outbox.wanted(event)

    def announce(self, events: Sequence[Event]) -> None:
        """See `router.pump.Outbound`."""
        self._outbox.add(events)

    def withdraw(self, delivery_ids: Iterable[str]) -> None:
        """See `router.pump.Outbound`."""
        ids = list(delivery_ids)
        for gatekeeper in self._gatekeepers.values():
            gatekeeper.withdraw(ids)


class Worker:
    """Works partitions until told to stop.

    Args:
        owner: name of this process, unique among all that share the ledger.
        work: the ledger.
        broker: rings; not started or stopped here.
        outbox: told when events were committed.
        gatekeepers: by destination; started and stopped here.
        bureau, rulebook, playbook, panel, destinations, clock: see `router.pump.Pump`.
        partitions: of the ledger.
        taken: see `router.pump.Pump`.
    """

    def __init__(self, owner: str, work: Books, broker: Broker, outbox: Outbox,
                 gatekeepers: Mapping[str, Gatekeeper], bureau: Bureau, rulebook: Rulebook,
                 playbook: Playbook, panel: Panel, destinations: Mapping[str, Destination], clock: Clock, partitions: int, *,
                 lease_s: float = LEASE_S, sweep_s: float = SWEEP_S,
                 taken: Callable[[int], None] = lambda _: None) -> None:
        self._taken = taken
        self._owner = owner
        self._work = work
        self._broker = broker
        self._gatekeepers = gatekeepers
        self._outgoing = Outgoing(gatekeepers, outbox)
        self._bureau = bureau
        self._rulebook = rulebook
        self._playbook = playbook
        self._panel = panel
        self._destinations = destinations
        self._clock = clock
        self._partitions = partitions
        self._lease_s = lease_s
        self._sweep_s = sweep_s
        self._bells: dict[int, asyncio.Event] = {}
        self._surplus: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._holdings: dict[int, Holding] = {}
        self._renewer: asyncio.Task[None] | None = None
        self._stopping = False
        self._leases = 0
        self._grace = lease_s

    async def start(self) -> None:
        """Stand in line for partitions."""
        for gatekeeper in self._gatekeepers.values():
            gatekeeper.start()
        self._renewer = asyncio.create_task(self._renew(), name="renew-leases")
        self._broker.consume(self._rung, self._too_many)
        # Whatever was left when everybody was away has no doorbell of its own.
        self._broker.ring(range(self._partitions))

    async def stop(self, grace: float) -> None:
        """Finish what is under way within `grace` seconds and give the partitions up."""
        self._stopping = True
        self._grace = grace
        for bell in self._bells.values():
            bell.set()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=grace)
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.gather(*[g.stop(grace) for g in self._gatekeepers.values()])
        if self._renewer is not None:
            self._renewer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewer

    @property
    def held(self) -> tuple[int, ...]:
        """Partitions this process works now."""
        return tuple(sorted(self._holdings))

    def statuses(self) -> list[Status]:
        """How the destinations are."""
        return [gatekeeper.status() for gatekeeper in self._gatekeepers.values()]

    # -- doorbells ----------------------------------------------------------------------------------------

    def _rung(self, partition: int) -> None:
        bell = self._bells.setdefault(partition, asyncio.Event())
        bell.set()
        if partition not in self._tasks and not self._stopping:
            task = asyncio.create_task(self._keep(partition), name=f"partition-{partition}")
            self._tasks[partition] = task
            task.add_done_callback(report)
            task.add_done_callback(lambda _: self._ended(partition))

    def _too_many(self, partition: int) -> None:
        if partition not in self._tasks:
            self._broker.give_back(partition)
            return
        self._surplus.add(partition)
        self._bells[partition].set()

    def _ended(self, partition: int) -> None:
        task = self._tasks.pop(partition)
        self._holdings.pop(partition, None)
        if not self._stopping and not task.cancelled() and task.exception() is not None:
            # A partition must not stay unworked because of a defect: leave it to the lease and begin anew.
            asyncio.get_running_loop().call_later(AGAIN_S, self._rung, partition)

    # -- one partition ------------------------------------------------------------------------------------

    async def _keep(self, partition: int) -> None:
        holding = await self._acquire(partition)
        if holding is None:
            self._return(partition)
            return
        self._holdings[partition] = holding
        try:
            await self._hold(holding)
        except LeaseLost:
            holding.lose()
        finally:
            await asyncio.gather(*[g.drop(holding, self._grace) for g in self._gatekeepers.values()])
            with contextlib.suppress(LedgerUnavailable):
                await self._work.release(holding.lease)
            self._holdings.pop(partition, None)
        if not self._return(partition) and holding.lost.is_set() and not self._stopping:
            asyncio.get_running_loop().call_later(AGAIN_S, self._rung, partition)

    def _return(self, partition: int) -> bool:
        """Give a surplus partition back to the broker; False where it is none."""
        if partition not in self._surplus:
            return False
        self._surplus.discard(partition)
        self._broker.give_back(partition)
        return True

    async def _acquire(self, partition: int) -> Holding | None:
        while not self._stopping and partition not in self._surplus:
            with contextlib.suppress(LedgerUnavailable):
                # A name of its own for every holding: what an earlier one of this very process left under
                # way must not pass for ours.
                self._leases += 1
                lease = await self._work.acquire(partition, f"{self._owner}/{self._leases}", self._clock.now(),
                                                 self._lease_s)
                if lease is not None:
                    _AFTER_ACQUIRE()
                    return Holding(lease)
            await asyncio.sleep(AGAIN_S)
        return None

    async def _hold(self, holding: Holding) -> None:
        await self._recover(holding)
        pump = Pump(holding, self._work, self._bureau, self._rulebook, self._playbook, self._panel,
                    self._destinations, self._outgoing, Afterwards(self._destinations, self._work, self._outgoing),
                    self._broker.ring, self._clock, self._partitions, self._taken)
        flow = Flow(holding, self._work, self._playbook, self._broker.ring, self._clock, self._partitions)
        await self._started(pump)
        bell = self._bells[holding.partition]
        swept = self._clock.monotonic()
        while not self._stopping and not holding.lost.is_set() and holding.partition not in self._surplus:
            bell.clear()
            try:
                busy = await pump.turn()
                sweep = self._clock.monotonic() - swept > self._sweep_s
                if sweep or self._playbook.stirred(holding.partition):
                    busy = await flow.turn() or busy
                if sweep:
                    swept = self._clock.monotonic()
                    pump.rewind()
                    await self._reconcile(holding)
                if sweep or not busy:
                    busy = await pump.reconsider(thoroughly=sweep) or sweep
            except LedgerUnavailable:
                await asyncio.sleep(AGAIN_S)
                continue
            if busy:
                continue
            if not self._unfinished(holding):
                self._broker.done(holding.partition)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), self._sweep_s)

    async def _recover(self, holding: Holding) -> None:
        """Settle what a dead process left, then take over its open deliveries."""
        while True:
            try:
                stored = await self._work.open_deliveries(holding.partition)
                settlements = mend(stored, self._destinations, self._clock.now())
                if settlements:
                    await self._work.settle(holding.lease, settlements)
                    stored = await self._work.open_deliveries(holding.partition)
                break
            except LedgerUnavailable:
                await asyncio.sleep(AGAIN_S)
        _AFTER_RECOVER()
        for name, gatekeeper in self._gatekeepers.items():
            gatekeeper.add(holding, [(d, None) for d in stored if d.destination == name])

    async def _reconcile(self, holding: Holding) -> None:
        as_of = self._clock.now()
        stored = await self._work.open_deliveries(holding.partition)
        for gatekeeper in self._gatekeepers.values():
            gatekeeper.reconcile(holding, stored, as_of)

    def _unfinished(self, holding: Holding) -> bool:
        return any(gatekeeper.unfinished(holding) for gatekeeper in self._gatekeepers.values())


    async def _started(self, pump: Pump) -> None:
        while True:
            try:
                await pump.start()
            except LedgerUnavailable:
                await asyncio.sleep(AGAIN_S)
            else:
                return

    # -- leases -------------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            for holding in list(self._holdings.values()):
                try:
                    holding.lease = await self._work.renew(holding.lease, self._clock.now(), self._lease_s)
                except LeaseLost:
                    holding.lose()
                except LedgerUnavailable:
                    if self._clock.now() >= holding.lease.expires_at:
                        holding.lose()  # it may be somebody else's by now
                if holding.lost.is_set() and (bell := self._bells.get(holding.partition)):
                    bell.set()
