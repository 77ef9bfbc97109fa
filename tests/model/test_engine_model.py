"""The engine against a model: accept, process, send, crash, settle, decide, in any order.

The model knows what was accepted, in which order, per key, and what a careful person decided. Whatever happens
in between (answers lost, refusals, processes that die at any call to the ledger or the peer), in the end:

* everything accepted has had its effect at every destination, or a person has discarded it (invariant 2);
* exactly one effect, at the idempotent destination and at the other one (invariants 6 and 8);
* per destination and key in the order of acceptance (invariant 4).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from canonical.findings import Finding, Severity
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Unknown
from store.ledger import Ledger
from store.memory import MemoryLedger
from store.opening import open_ledger
from store.records import AuditEntry, DeliveryState, MessageQuery, MessageState
from tests.router.world import Peer, World, destination, site, submission

NOTED = Finding("test.noted", Severity.ERROR)
KEYS = "ABC"
SITE = site(partitions=2, destinations={"twice": destination(idempotent=True), "once": destination()})


class Mortal:
    """A process's view of something that outlives it. When the fuse is burnt, the process is dead: no call
    returns any more. Half of the deaths come before the call has its effect, half after."""

    def __init__(self, inside: Any, fuse: Fuse) -> None:
        self._inside = inside
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inside, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._fuse.burn()
            result = await found(*args, **kwargs)
            await self._fuse.burn()
            return result
        return call


class Fuse:
    def __init__(self) -> None:
        self.left = -1

    async def burn(self) -> None:
        if self.left > 0:
            self.left -= 1
        if self.left == 0:
            await asyncio.get_running_loop().create_future()


class Partner(Peer):
    """Answers as it is told; the last resort is to behave."""

    def __init__(self, idempotent: bool) -> None:
        super().__init__()
        self.idempotent = idempotent
        self.moods: list[str] = []
        self.effects_of: dict[str, int] = {}

    async def send(self, dispatch: Dispatch) -> Outcome:
        await asyncio.sleep(0)
        mood = self.moods.pop(0) if self.moods else "ok"
        if mood == "busy":
            return Retry("busy", NOTED)
        if mood == "away":
            return Retry("away", NOTED, free=True)
        if mood == "refuse":
            return Rejected("AE", NOTED)
        if mood == "lost":  # on the way there
            return Unknown(NOTED)
        note = dispatch.identity
        if not (self.idempotent and note in self.effects_of):
            self.effects_of[note] = self.effects_of.get(note, 0) + 1
            self.identities.append(note)
        return Unknown(NOTED) if mood == "unanswered" else Delivered(code="AA")


class EngineModel(RuleBasedStateMachine):
    make: Callable[[str], Ledger]

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.ledger = type(self).make(self.folder.name)
        self.runner.run(self.ledger.start())
        self.peers = {"twice": Partner(True), "once": Partner(False)}
        self.accepted: dict[str, list[str]] = {key: [] for key in KEYS}
        self.discarded: set[str] = set()
        self.fixed = False
        self.late = 0
        self.born()

    def born(self) -> None:
        """A new process."""
        self.fuse = Fuse()
        self.world = World(SITE, ledger=Mortal(self.ledger, self.fuse),
                           peers={name: Mortal(peer, self.fuse)  # type: ignore[misc]  # a lambda with a bound default
                                  for name, peer in self.peers.items()})
        self.world.clock.skew = self.late
        if self.fixed:
            self.world.translator.fixed.add("x")
        self.runner.run(self.world.engine.start({}))

    def dies(self) -> None:
        """No farewell: leases stay until they run out."""
        async def kill() -> None:
            self.fuse.left = 0
            while tasks := [t for t in asyncio.all_tasks() if t is not asyncio.current_task()
                            and t.get_name() != "ledger-writer"]:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks, timeout=0.05)
        self.runner.run(kill())
        self.late += 11_000_000  # longer than a lease

    # -- what may happen ------------------------------------------------------------------------------------

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 4), poison=st.sampled_from(["", "", "", "x"]),
          resend=st.booleans())
    def accept(self, key: str, count: int, poison: str, resend: bool) -> None:
        for _ in range(count):
            number = len(self.accepted[key])
            says: dict[str, Any] = {"visit": key, "note": str(number), "dedup": f"{key}{number}".encode(),
                                    "poison": poison if number % 3 == 1 else ""}
            receipts = [self.runner.run(self.outside().accept(submission(**says))) for _ in range(1 + resend)]
            assert len({r.message_id for r in receipts}) == 1  # invariant 7
            self.accepted[key].append(receipts[0].message_id)

    def outside(self) -> Any:
        """The door of a process that does not die: intake is another role."""
        if not hasattr(self, "intake"):
            self.intake = World(SITE, ledger=self.ledger).engine.door
        return self.intake

    @rule(name=st.sampled_from(["twice", "once"]), key=st.sampled_from(KEYS), moods=st.lists(
        st.sampled_from(["ok", "busy", "away", "refuse", "lost", "unanswered"]), min_size=1, max_size=4))
    def a_bad_moment(self, name: str, key: str, moods: list[str]) -> None:
        self.peers[name].moods = moods
        self.accept(key, len(moods), "", False)
        self.work(15)

    @rule(ms=st.integers(1, 20))
    def work(self, ms: int) -> None:
        async def some() -> None:
            self.world.broker.ring(range(2))
            await asyncio.sleep(ms / 1000)
        self.runner.run(some())

    @rule(calls=st.integers(1, 40))
    def crash(self, calls: int) -> None:
        self.fuse.left = calls
        self.work(10)
        self.dies()
        self.born()

    @rule()
    def stop_in_good_order(self) -> None:
        self.runner.run(self.world.engine.stop(5.0))
        assert not self.runner.run(self.ledger.find_deliveries(state=DeliveryState.INFLIGHT))
        self.born()

    @rule(discard=st.booleans())
    def a_person_looks(self, discard: bool) -> None:
        self.runner.run(self.decide(discard))

    async def decide(self, discard: bool) -> None:
        """A careful person: looks at the destination before deciding what an unknown outcome was."""
        for message in await self.ledger.find(MessageQuery(state=MessageState.PARKED)):
            if discard:
                self.discarded.add(message.id)
                await self.ledger.discard_messages([message.id], by_a_person())
            else:
                self.fixed = True
                self.world.translator.fixed.add("x")
                await self.ledger.requeue_messages([message.id], by_a_person())
        for delivery in await self.ledger.find_deliveries(state=DeliveryState.PARKED):
            if delivery.id in self.peers[delivery.destination].effects_of:
                await self.ledger.settle_deliveries(
                    [delivery.id], DeliveryState.DELIVERED, "seen", by_a_person())
            else:
                await self.ledger.requeue_deliveries([delivery.id], 0, by_a_person())

    # -- what must be true ------------------------------------------------------------------------------------

    def check_so_far(self) -> None:
        for peer in self.peers.values():
            assert all(count == 1 for count in peer.effects_of.values()), "a second effect"
            seen = [identity.split(".")[0] for identity in peer.identities]
            for order in self.accepted.values():
                places = [seen.index(message) for message in order if message in seen]
                assert places == sorted(places), "out of order"

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.check_so_far()
            self.runner.run(self.finish())
            self.check_so_far()
            for peer in self.peers.values():
                done = {identity.split(".")[0] for identity in peer.identities}
                everything = {message for order in self.accepted.values() for message in order}
                assert done == everything - self.discarded, "lost"
        finally:
            with contextlib.suppress(Exception):
                self.runner.run(self.world.engine.stop(1.0))
            self.runner.run(self.ledger.stop())
            self.runner.close()
            self.folder.cleanup()

    async def finish(self) -> None:
        """Everybody behaves; people decide what waits for them."""
        for peer in self.peers.values():
            peer.moods = []
        async with asyncio.timeout(20):
            while True:
                await self.decide(discard=False)
                self.world.broker.ring(range(2))
                await asyncio.sleep(0.01)
                counts = await self.ledger.counts()
                open_messages = sum(counts["messages"].get(s, 0) for s in ("received", "parked"))
                open_deliveries = sum(n for key, n in counts["deliveries"].items()
                                      if key.endswith(("/pending", "/inflight", "/parked")))
                if not open_messages and not open_deliveries:
                    return


def by_a_person() -> AuditEntry:
    return AuditEntry(at=1, actor="test", action="test", subject="")


class OnMemory(EngineModel):
    make = staticmethod(lambda _: MemoryLedger(partitions=2, outbox=False))


class OnSqlite(EngineModel):
    make = staticmethod(lambda folder: open_ledger(
        f"sqlite:///{Path(folder) / 'l.db'}", partitions=2, outbox=False))


#: ``make chaos`` raises it: so many times the examples of an ordinary run.
ROUNDS = int(os.environ.get("DRAGOMAN_CHAOS_ROUNDS", "1"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 * ROUNDS)]

_PACE = settings(stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
TestModelOnMemory = OnMemory.TestCase
TestModelOnMemory.settings = settings(_PACE, max_examples=40 * ROUNDS)
TestModelOnSqlite = OnSqlite.TestCase
TestModelOnSqlite.settings = settings(_PACE, max_examples=15 * ROUNDS)
