"""Replay: plan, refuse what newer state has overtaken, execute in steps, again without harm (W6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canonical.failpoints import Injected, armed
from canonical.findings import Finding, Severity
from connectors.base import Rejected
from router.replay import Kind, Planner, Prospect, Replayer, Scope
from router.triage import Rulebook
from store.memory import MemoryLedger
from store.records import DeliveryState, MessageQuery, MessageState
from tests.router.world import World, destination, site

NOTED = Finding("test.noted", Severity.ERROR)


def tools(world: World) -> tuple[Planner, Replayer]:
    planner = Planner(world.ledger, world.translator, world.site, Rulebook(world.site, "rev"), world.clock)
    return planner, Replayer(world.ledger, world.broker.ring, world.clock)


async def states(world: World) -> dict[str, int]:
    return dict((await world.ledger.counts())["messages"])


async def parked(world: World, count: int) -> None:
    async with asyncio.timeout(10):
        while (await states(world)).get("parked", 0) < count:
            await asyncio.sleep(0.005)


async def test_a_plan_changes_nothing_and_says_what_would_come_out() -> None:
    async with World() as world:
        await world.say(visit="A", poison="x", note="1", priority="S")
        await world.say(visit="B", poison="y")
        await parked(world, 2)
        planner, _ = tools(world)
        world.translator.fixed.add("x")
        plan = await planner.plan(Kind.REPROCESS, Scope(reason="test.broken"))
        passes, fails = plan.items
        assert (passes.prospect, passes.events, passes.destinations) == (
            Prospect.PASSES, ("appointment.booked",), ("sink",))
        assert {"status", "priority", "comments", "identifiers"} <= set(passes.changes)
        assert (fails.prospect, fails.reason) == (Prospect.FAILS, "test.broken")
        assert await states(world) == {"parked": 2}


async def test_only_what_passes_is_reprocessed_and_every_step_is_audited() -> None:
    """A6.3."""
    async with World() as world:
        for n in range(120):
            await world.say(visit=f"V{n}", poison="x" if n % 2 else "y", note=str(n))
        await parked(world, 120)
        planner, replayer = tools(world)
        world.translator.fixed.add("x")
        plan = await planner.plan(Kind.REPROCESS, Scope(channel="ehr"))
        assert (plan.count(Prospect.PASSES), plan.count(Prospect.FAILS)) == (60, 60)
        progress = await replayer.execute(plan, "ana", "row added", per_second=100_000)
        assert (progress.done, progress.skipped, progress.total) == (60, 0, 60)
        await world.settled()
        assert await states(world) == {"parked": 60, "processed": 60}
        trail = [entry async for _, entry, _ in world.ledger.audit_trail()]
        assert [(e.actor, e.action, e.reason, len(e.detail["ids"])) for e in trail] == [
            ("ana", "replay.reprocess", "row added", 50), ("ana", "replay.reprocess", "row added", 10)]


async def overtaken(world: World) -> str:
    """A parked booking, with a newer cancellation that came by another lane."""
    old = await world.say(visit="A", poison="x", at=10, lanes=("patient:M|one",))
    await world.say(type="cancelled", visit="A", at=20, lanes=("patient:M|two",))
    await parked(world, 1)
    await world.until(lambda: len(world.peer.effects) == 1)
    world.translator.fixed.add("x")
    return old


async def test_what_newer_state_has_overtaken_is_refused_unless_allowed() -> None:
    """Invariant 11, finding 9: a stale S12 does not un-cancel a visit."""
    async with World() as world:
        old = await overtaken(world)
        planner, replayer = tools(world)
        plan = await planner.plan(Kind.REPROCESS, Scope(message_ids=(old,)))
        assert [i.prospect for i in plan.items] == [Prospect.SUPERSEDED]
        assert (await replayer.execute(plan, "ana", "why")).total == 0
        assert (await states(world))["parked"] == 1
        await replayer.execute(plan, "ana", "why", allow_superseded=True)
        await world.settled()
        state = await world.ledger.state_of("appointment:EHR|A")
        assert state is not None
        assert state.entity.status == "cancelled"  # type: ignore[union-attr]  # an appointment, or the test fails


async def test_what_is_overtaken_can_be_closed() -> None:
    """A6.3: the 12 are closed superseded."""
    async with World() as world:
        old = await overtaken(world)
        planner, replayer = tools(world)
        plan = await planner.plan(Kind.REPROCESS, Scope(message_ids=(old,)))
        assert (await replayer.execute(plan, "ana", "why", close_superseded=True)).done == 1
        stored = await world.ledger.message(old)
        assert stored is not None
        assert stored.state is MessageState.DISCARDED


async def test_parked_deliveries_go_again_under_the_same_identity() -> None:
    async with World() as world:
        world.peer.script = lambda _: Rejected("AE", NOTED)
        await world.say(visit="A", note="1")
        await world.until(lambda: len(world.peer.bodies) == 1)
        await asyncio.sleep(0.05)
        world.peer.script = lambda _: None
        planner, replayer = tools(world)
        plan = await planner.plan(Kind.REDELIVER, Scope(destination="sink", reason="delivery.rejected"))
        await replayer.execute(plan, "ana", "mended")
        await world.settled()
        assert world.peer.notes("A") == ["1"]
        assert len({identity for identity, _ in world.peer.bodies}) == 1


async def test_delivered_work_is_sent_again_as_a_linked_delivery_of_its_own() -> None:
    """Invariant 11; A6.6: executing the plan twice sends once."""
    async with World() as world:
        await world.say(visit="A", note="1")
        await world.settled()
        (first,) = await world.ledger.find_deliveries()
        planner, replayer = tools(world)
        plan = await planner.plan(Kind.REDELIVER, Scope(delivery_ids=(first.id,)))
        assert plan.items[0].new_id == f"{first.id}#2"
        await replayer.execute(plan, "ana", "they lost it")
        again = await replayer.execute(plan, "ana", "they lost it")
        assert (again.done, again.skipped) == (0, 1)
        await world.settled()
        assert world.peer.identities == [first.id, f"{first.id}#2"]


async def test_an_old_event_is_not_sent_over_a_newer_one() -> None:
    """Invariant 11: never overwrites newer state unseen."""
    config = site(destinations={"sink": destination(), "state": destination(content="state")})
    async with World(config) as world:
        await world.say(visit="A", note="1", at=1)
        await world.settled()
        await world.say(type="cancelled", visit="A", at=2)
        await world.settled()
        planner, _ = tools(world)
        prospects = {}
        for name in ("sink", "state"):
            found = await world.ledger.find_deliveries(destination=name)
            plan = await planner.plan(Kind.REDELIVER, Scope(delivery_ids=(found[0].id,)))
            prospects[name] = plan.items[0].prospect
        assert prospects == {"sink": Prospect.SUPERSEDED, "state": Prospect.PASSES}


async def test_skipping_lets_the_key_flow() -> None:
    async with World() as world:
        world.peer.script = lambda body: Rejected("AE", NOTED) if body["note"] == "1" else None
        await world.say(visit="A", note="1")
        await world.say(visit="A", note="2")
        await world.until(lambda: len(world.peer.bodies) == 1)
        await asyncio.sleep(0.05)
        planner, replayer = tools(world)
        plan = await planner.plan(Kind.SKIP_DELIVERIES, Scope(destination="sink"))
        await replayer.execute(plan, "ana", "not needed")
        await world.until(lambda: world.peer.notes("A") == ["2"])
        (skipped,) = await world.ledger.find_deliveries(state=DeliveryState.SKIPPED)
        assert skipped.reason == "replay.skipped"


async def test_a_replay_that_crashed_is_resumed_without_gaps_or_doubles() -> None:
    """A6.8."""
    async with World() as world:
        for n in range(120):
            await world.say(visit=f"V{n}", poison="x", note=str(n))
        await parked(world, 120)
        world.translator.fixed.add("x")
        planner, replayer = tools(world)
        plan = await planner.plan(Kind.REPROCESS, Scope(channel="ehr"))
        with armed("replay.between_steps", passage=2), pytest.raises(Injected):
            await replayer.execute(plan, "ana", "first try", per_second=100_000)
        assert replayer.progress.done == 100
        progress = await replayer.execute(plan, "ana", "second try", per_second=100_000)
        assert (progress.done, progress.skipped) == (20, 100)
        await world.settled()
        assert sorted(world.peer.notes(), key=int) == [str(n) for n in range(120)]


async def test_a_paused_replay_waits() -> None:
    async with World() as world:
        await world.say(visit="A", poison="x")
        await parked(world, 1)
        world.translator.fixed.add("x")
        planner, replayer = tools(world)
        plan = await planner.plan(Kind.REPROCESS, Scope(channel="ehr"))
        replayer.pause()
        running = asyncio.create_task(replayer.execute(plan, "ana", "why"))
        await asyncio.sleep(0.05)
        assert replayer.progress.done == 0
        replayer.resume()
        assert (await running).done == 1


@pytest.mark.parametrize("scope", [Scope(), Scope(limit=5), Scope(channel="c", state=DeliveryState.INFLIGHT)])
async def test_there_is_no_replay_of_everything(scope: Scope) -> None:
    planner, _ = tools(World(ledger=MemoryLedger()))
    with pytest.raises(ValueError):
        await planner.plan(Kind.REPROCESS, scope)


@pytest.mark.parametrize("who", [("", "why"), ("ana", "")])
async def test_a_replay_needs_an_actor_and_a_reason(who: tuple[str, str]) -> None:
    planner, replayer = tools(World())
    plan = await planner.plan(Kind.REPROCESS, Scope(channel="c"))
    with pytest.raises(ValueError):
        await replayer.execute(plan, *who)


async def test_a_plan_holds_no_value_of_a_message() -> None:
    """Invariant 12."""
    async with World() as world:
        await world.say(visit="CANARY", poison="x", note="CANARY")
        await parked(world, 1)
        world.translator.fixed.add("x")
        planner, _ = tools(world)
        found: Any = await world.ledger.find(MessageQuery(state=MessageState.PARKED))
        plan = await planner.plan(Kind.REPROCESS, Scope(message_ids=(found[0].id,)))
        assert "CANARY" not in repr(plan)
