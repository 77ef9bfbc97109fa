"""A message's way through the engine, whole: door, pump, gatekeepers, on the ledger in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any, cast

import pytest

from canonical.findings import Finding, Severity
from canonical.receipt import Verdict
from connectors.base import Rejected, Retry, Unavailable, Unknown
from router.deliver import Health
from router.site import Channel, Route, Rule, ScorerEntry
from store.ledger import Ledger, LedgerUnavailable
from store.memory import MemoryLedger
from store.records import AuditEntry, Delivery, DeliveryState, Lease, MessageState, Processed
from tests.router.world import Peer, World, destination, site, submission

NOTED = Finding("test.noted", Severity.ERROR)


def by_a_person() -> AuditEntry:
    return AuditEntry(at=1, actor="test", action="test", subject="")


async def deliveries(world: World, destination: str = "") -> list[Delivery]:
    return list(await world.ledger.find_deliveries(destination=destination))


# -- order (invariants 4, 10) --------------------------------------------------------------------------------


async def test_messages_of_a_key_arrive_in_order_however_many_keys_there_are() -> None:
    """Invariant 4."""
    async with World(site(destinations={"sink": destination(max_in_flight=16)})) as world:
        dice = random.Random(3)
        world.peer.script = lambda _: Retry("busy", NOTED) if dice.random() < 0.2 else None
        for n in range(40):
            for key in "ABCDE":
                await world.say(visit=key, note=str(n))
        await world.settled()
        for key in "ABCDE":
            assert world.peer.notes(key) == [str(n) for n in range(40)]


async def test_a_poison_message_holds_up_its_own_key_only() -> None:
    """Invariant 10; finding 8: per-key parking."""
    async with World() as world:
        bad = await world.say(visit="A", note="1", poison="x")
        await world.say(visit="A", note="2")
        await world.say(visit="B", note="1")
        await world.until(lambda: world.peer.notes("B") == ["1"])
        parked = await world.ledger.message(bad)
        assert parked is not None
        assert (parked.state, parked.reason) == (MessageState.PARKED, "test.broken")
        assert world.peer.notes("A") == []

        world.translator.fixed.add("x")
        await world.ledger.requeue_messages([bad], by_a_person())
        await world.until(lambda: world.peer.notes("A") == ["1", "2"])


async def test_a_discarded_message_lets_its_key_flow() -> None:
    async with World() as world:
        bad = await world.say(visit="A", note="1", poison="x")
        await world.say(visit="A", note="2")
        await asyncio.sleep(0.05)
        await world.ledger.discard_messages([bad], by_a_person())
        await world.until(lambda: world.peer.notes("A") == ["2"])


async def test_a_defect_of_ours_costs_one_message_and_tells_no_value() -> None:
    """Invariant 12: type and place, never the text of an exception."""
    async with World() as world:
        bad = await world.say(visit="A", poison="crash")
        await world.say(visit="B", note="1")
        await world.until(lambda: world.peer.notes("B") == ["1"])
        parked = await world.ledger.message(bad)
        assert parked is not None
        assert parked.reason == "route.internal_error"
        assert "KeyError at world.py" in parked.findings[0].detail
        assert "value from the message" not in str(parked.findings[0])


class Picky:
    """A ledger that cannot store what one message became, as a database that refuses a value would."""

    def __init__(self, inside: Ledger) -> None:
        self._inside = inside
        self.refuses = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inside, name)

    async def commit(self, lease: Lease, processed: Sequence[Processed]) -> None:
        if any(one.message_id == self.refuses and one.events for one in processed):
            raise ValueError("value from the message")
        await self._inside.commit(lease, processed)


async def test_what_the_ledger_cannot_store_costs_one_message_and_not_its_partition() -> None:
    """Invariant 10: the rest of the batch is stored, the culprit is parked with type and place."""
    picky = Picky(MemoryLedger(partitions=1, outbox=False))
    async with World(site(partitions=1), ledger=cast("Ledger", picky)) as world:
        picky.refuses = bad = await world.say(visit="A", note="bad")
        for n in range(20):
            await world.say(visit=f"V{n % 4}", note=str(n))
        await world.until(lambda: len(world.peer.effects) == 20)
        parked = await world.ledger.message(bad)
        assert parked is not None
        assert parked.state is MessageState.PARKED
        assert parked.findings[0].detail.startswith("ValueError at test_flow.py")
        assert "value from the message" not in str(parked.findings)


async def test_a_dead_destination_delays_nobody_else() -> None:
    """Invariant 10."""
    config = site(destinations={"dead": destination(), "alive": destination()})
    async with World(config) as world:
        world.peers["dead"].script = lambda _: Retry("", NOTED, free=True)
        for n in range(50):
            await world.say(visit=f"V{n % 7}", note=str(n))
        await world.until(lambda: len(world.peers["alive"].effects) == 50)
        world.peers["dead"].script = lambda _: None
        await world.settled()
        assert len(world.peers["dead"].effects) == 50
        for key in range(7):
            assert world.peers["dead"].notes(f"V{key}") == world.peers["alive"].notes(f"V{key}")


async def test_a_slow_destination_delays_nobody_else() -> None:
    config = site(destinations={"slow": destination(), "fast": destination()})
    async with World(config) as world:
        world.peers["slow"].gate = asyncio.Event()
        for n in range(20):
            await world.say(visit=f"V{n}", note=str(n))
        await world.until(lambda: len(world.peers["fast"].effects) == 20)
        world.peers["slow"].gate.set()
        await world.settled()


async def test_a_channel_may_be_one_queue() -> None:
    config = site(channels={"ehr": Channel(connector="c", mapping="json/x", order_by="channel")})
    async with World(config) as world:
        for n in range(30):
            await world.say(visit=f"V{n}", note=str(n))
        await world.settled()
        assert world.peer.notes() == [str(n) for n in range(30)]
        assert world.peer.most_under_way == 1


# -- merges (A4.3, A4.8) -------------------------------------------------------------------------------------


async def test_a_merge_waits_for_both_patients_and_both_wait_for_it() -> None:
    """A4.8: A40 is a barrier."""
    async with World(site(partitions=8)) as world:
        seen: list[str] = []
        world.peer.script = lambda body: seen.append(body["event"])
        for turn in range(10):
            old, new = f"old{turn}", f"new{turn}"
            first = await world.say(visit=f"a{turn}", patient=old, poison="x")
            merge = await world.say(type="merged", patient=new, old=old,
                                    lanes=(f"patient:M|{new}", f"patient:M|{old}"))
            behind = [await world.say(visit=f"b{turn}", patient=old),
                      await world.say(visit=f"c{turn}", patient=new)]
            await world.say(visit=f"d{turn}", patient=f"other{turn}")
            await world.until(lambda t=turn: f"appointment:EHR|d{t}" in [  # type: ignore[misc]  # a lambda with a bound default
                e["subject"] for e in world.peer.effects])
            await asyncio.sleep(0.05)
            assert not {f"{m}.0" for m in (first, merge, *behind)} & set(seen)

            await world.ledger.discard_messages([first], by_a_person())
            await world.until(lambda b=behind: {f"{m}.0" for m in b} <= set(seen))  # type: ignore[misc]  # a lambda with a bound default
            assert seen.index(f"{merge}.0") < min(seen.index(f"{m}.0") for m in behind)


async def test_a_late_message_with_the_old_number_lands_on_the_survivor() -> None:
    """A4.3."""
    async with World() as world:
        await world.say(type="merged", patient="new", old="old", lanes=("patient:M|new", "patient:M|old"))
        late = await world.say(visit="V9", patient="old")
        await world.settled()
        (event,) = await world.ledger.events_of([late])
        assert event.patient_key == "patient:M|new"
        state = await world.ledger.state_of("appointment:EHR|V9")
        assert state is not None
        assert state.patient_key == "patient:M|new"


# -- late messages (A2.3, D04, D07) --------------------------------------------------------------------------


async def test_a_late_booking_does_not_undo_a_cancellation() -> None:
    """A2.3: S15, then the older S12: it stays cancelled and the S12 is marked superseded."""
    config = site(destinations={"events": destination(), "states": destination(content="state"),
                                "stale": destination(accepts_stale=True)})
    async with World(config) as world:
        await world.say(type="cancelled", at=20)
        await world.settled()
        late = await world.say(type="booked", at=10, note="")
        await world.settled()
        state = await world.ledger.state_of("appointment:EHR|V1")
        assert state is not None
        assert state.entity.status == "cancelled"  # type: ignore[union-attr]  # an appointment, or the test fails
        assert [e["type"] for e in world.peers["events"].effects] == ["appointment.cancelled"]
        assert [e["type"] for e in world.peers["stale"].effects] == [
            "appointment.cancelled", "appointment.booked"]
        (overtaken,) = [d for d in await deliveries(world, "events") if d.event_id == f"{late}.0"]
        assert (overtaken.state, overtaken.reason) == (DeliveryState.SUPERSEDED, "route.superseded")


async def test_any_order_of_arrival_ends_in_the_same_state_at_the_destination() -> None:
    """D07, whole: the last thing a state destination hears is the same for every order."""
    said: list[dict[str, Any]] = [
        {"type": "booked", "at": 1, "note": "a"}, {"type": "rescheduled", "at": 2, "note": "b"},
        {"type": "cancelled", "at": 3, "note": ""}, {"type": "booked", "at": 4, "note": "c"},
        {"type": "modified", "at": 5, "note": "d"}]
    ends = set()
    for seed in range(8):
        async with World(site(destinations={"s": destination(content="state", idempotent=True)})) as world:
            order = said * 2
            random.Random(seed).shuffle(order)
            for one in order:
                await world.say(**one)
            await world.settled()
            last = world.peer.effects[-1]
            ends.add((last["status"], last["note"]))
    assert ends == {("booked", "d")}


async def test_waiting_states_of_a_subject_are_replaced_by_the_newest() -> None:
    config = site(destinations={"s": destination(content="state", idempotent=True)})
    async with World(config) as world:
        world.peer.gate = asyncio.Event()
        await world.say(visit="A", note="0")
        await world.until(lambda: world.peer.under_way == 1)
        for n in range(1, 6):
            await world.say(visit="A", note=str(n))
        await asyncio.sleep(0.1)
        world.peer.gate.set()
        await world.settled()
        assert world.peer.notes("A") == ["0", "5"]
        states = sorted(d.state for d in await deliveries(world))
        assert states == [DeliveryState.DELIVERED] * 2 + [DeliveryState.SUPERSEDED] * 4


# -- outcomes (invariants 6, 8) ------------------------------------------------------------------------------


async def test_unknown_is_parked_and_the_key_waits() -> None:
    """Invariant 6."""
    async with World() as world:
        world.peer.after = lambda body: Unknown(NOTED) if body["note"] == "1" else None
        await world.say(visit="A", note="1")
        await world.say(visit="A", note="2")
        await world.say(visit="B", note="3")
        await world.until(lambda: world.peer.notes("B") == ["3"])
        await asyncio.sleep(0.05)
        first, second, _ = await deliveries(world)
        assert (first.state, first.reason) == (DeliveryState.PARKED, "delivery.unknown")
        assert second.state is DeliveryState.PENDING
        assert len([i for i, _ in world.peer.bodies if i == first.id]) == 1

        await world.ledger.settle_deliveries([first.id], DeliveryState.DELIVERED, "seen there", by_a_person())
        await world.until(lambda: world.peer.notes("A") == ["1", "2"])


async def test_an_idempotent_destination_gets_the_same_bytes_again_and_has_one_effect() -> None:
    """Invariant 8; the state moves on between the attempts, the bytes do not."""
    config = site(destinations={"s": destination(content="state", idempotent=True)})
    async with World(config) as world:
        times = iter(range(100))
        world.peer.after = lambda _: Unknown(NOTED) if next(times) < 3 else None
        await world.say(visit="A", note="1")
        await world.until(lambda: len(world.peer.bodies) >= 1)
        await world.say(visit="A", note="2")
        await world.settled()
        first = [body for identity, body in world.peer.bodies if identity == world.peer.bodies[0][0]]
        assert len(first) == 4
        assert len(set(first)) == 1
        assert world.peer.notes("A") == ["1", "2"]


async def test_a_rejected_delivery_is_parked_with_the_answer_and_can_be_replayed() -> None:
    async with World() as world:
        world.peer.script = lambda body: Rejected("AE", NOTED) if body["note"] == "1" else None
        await world.say(visit="A", note="1")
        await world.say(visit="A", note="2")
        await asyncio.sleep(0.1)
        first, _ = await deliveries(world)
        assert (first.state, first.reason, first.code) == (DeliveryState.PARKED, "delivery.rejected", "AE")
        assert [a.outcome.value for a in await world.ledger.attempts([first.id])] == ["rejected"]
        world.peer.script = lambda _: None
        await world.ledger.requeue_deliveries([first.id], 0, by_a_person())
        await world.until(lambda: world.peer.notes("A") == ["1", "2"])


async def test_a_destination_that_refuses_everything_stops_and_starts_again_by_itself() -> None:
    """A11: AR 200 to 203; no delivery is burnt."""
    async with World() as world:
        world.peer.script = lambda _: Rejected("AR", NOTED, channel_wide=True)
        for n in range(30):
            await world.say(visit=f"V{n}", note=str(n))
        await world.until(lambda: world.engine.statuses()[0].health is Health.STOPPED)
        await asyncio.sleep(0.1)
        assert {d.state for d in await deliveries(world)} <= {DeliveryState.PENDING, DeliveryState.INFLIGHT}
        assert max(d.attempts for d in await deliveries(world)) == 0
        world.peer.script = lambda _: None
        await world.settled()
        assert world.engine.statuses()[0].health is Health.OPEN
        assert len(world.peer.effects) == 30


async def test_what_cannot_be_written_is_parked_at_that_destination_only() -> None:
    config = site(destinations={"a": destination(), "b": destination()})
    async with World(config) as world:
        world.translator.unwritable.add("1")
        await world.say(visit="A", note="1")
        await world.say(visit="B", note="2")
        await world.until(lambda: len(world.peers["a"].effects) == 1)
        reasons = sorted((d.destination, d.state.value, d.reason) for d in await deliveries(world)
                         if d.state is DeliveryState.PARKED)
        assert reasons == [("a", "parked", "delivery.unwritable"), ("b", "parked", "delivery.unwritable")]


async def test_a_sender_that_raises_is_unknown_not_delivered() -> None:
    async with World() as world:
        def explode(_: object) -> None:
            raise ZeroDivisionError("secret")
        world.peer.script = explode
        await world.say(visit="A")
        await asyncio.sleep(0.1)
        (delivery,) = await deliveries(world)
        assert (delivery.state, delivery.reason) == (DeliveryState.PARKED, "delivery.unknown")
        assert "secret" not in repr(delivery)


# -- the door (invariants 1, 7; A10) -------------------------------------------------------------------------


async def test_a_duplicate_gets_the_first_receipt_and_has_no_effect() -> None:
    """Invariant 7, D01."""
    async with World() as world:
        first = await world.engine.door.accept(submission(note="1", dedup=b"x"))
        again = await world.engine.door.accept(submission(note="1", dedup=b"x"))
        await world.settled()
        assert (again.verdict, again.message_id) == (Verdict.DUPLICATE, first.message_id)
        assert world.peer.notes() == ["1"]


@pytest.mark.parametrize(("sent", "code"), [
    ({"processing_id": "T"}, "receive.processing_id"),
    ({"message_type": "ORU^R01"}, "receive.unsupported_type"),
    ({"message_type": "ADT^A081"}, "receive.unsupported_type")])
async def test_what_a_channel_does_not_take_is_stored_and_refused(sent: dict[str, Any], code: str) -> None:
    """A09, A10."""
    config = site(channels={"ehr": Channel(connector="c", mapping="json/x", accepts=("SIU", "ADT^A08"))})
    async with World(config) as world:
        receipt = await world.engine.door.accept(submission(**sent))
        assert (receipt.verdict, receipt.positive) == (Verdict.REFUSED, False)
        assert receipt.finding is not None
        assert receipt.finding.code == code
        stored = await world.ledger.message(receipt.message_id)
        assert stored is not None
        assert stored.state is MessageState.REFUSED
        assert (await world.engine.door.accept(submission(processing_id="P^T"))).positive


async def test_a_resend_is_taken_once_the_configuration_is_mended() -> None:
    """A refusal is an answer, not a memory: the second engine has the ledger of the first and takes ADT, too."""
    ledger = MemoryLedger(partitions=4, outbox=False)
    sent = submission(message_type="ADT^A08", dedup=b"x")
    verdicts = []
    for accepts in (("SIU",), ("SIU", "ADT"), ("SIU",)):
        config = site(channels={"ehr": Channel(connector="c", mapping="json/x", accepts=accepts)})
        async with World(config, ledger=ledger) as world:
            verdicts.append((await world.engine.door.accept(sent)).verdict)
            await world.settled()
    assert verdicts == [Verdict.REFUSED, Verdict.ACCEPTED, Verdict.DUPLICATE]


async def test_without_the_ledger_nothing_is_accepted() -> None:
    """Invariant 1."""
    class Away(MemoryLedger):
        async def append(self, message: Any) -> Any:
            raise LedgerUnavailable("away")

    async with World(ledger=Away(partitions=4)) as world:
        with pytest.raises(Unavailable):
            await world.engine.door.accept(submission())


# -- rules and scores (invariant 13) -------------------------------------------------------------------------


class Oracle:
    name, version = "oracle", "v7"

    def __init__(self, answer: float = 0.9, after: float = 0.0) -> None:
        self.answer = answer
        self.after = after
        self.asked = 0

    async def score(self, event: object, state: object) -> float:
        self.asked += 1
        await asyncio.sleep(self.after)
        return self.answer


SCORED: dict[str, Any] = {"scorers": {"oracle": ScorerEntry(default="0.1", deadline_ms=30)},
          "triage": (Rule(rule="risky", when={"score.oracle": "above 0.5"}, priority=7, queue="calls",
                          tags=("t",), to=("calls",)),
                     Rule(rule="private", when={"priority": "S"}, keep_from=("sink",)))}


async def test_a_rule_decides_on_a_score_and_everything_is_recorded() -> None:
    config = site(destinations={"sink": destination(), "calls": destination()},
                  routes=(Route(route="all", to=("sink",)),), **SCORED)
    async with World(config, scorers={"oracle": Oracle()}) as world:
        message = await world.say(visit="A", note="1")
        await world.settled()
        (decision,) = await world.ledger.decisions([f"{message}.0"])
        assert decision.body == {
            "revision": "rev", "rules": ["risky"], "routes": ["all"], "to": ["sink", "calls"], "priority": 7,
            "queue": "calls", "tags": ["t"],
            "scores": [{"scorer": "oracle", "version": "v7", "answer": 0.9, "source": "scorer"}]}
        assert {d.priority for d in await deliveries(world)} == {7}


async def test_a_rule_keeps_an_event_from_a_destination() -> None:
    config = site(destinations={"sink": destination(), "calls": destination()},
                  routes=(Route(route="all", to=("sink",)),), **SCORED)
    async with World(config, scorers={"oracle": Oracle(0.2)}) as world:
        message = await world.say(visit="A", priority="S")
        await world.settled()
        stored = await world.ledger.message(message)
        assert stored is not None
        assert stored.state is MessageState.FILTERED
        assert not world.peers["sink"].effects


async def test_a_scorer_that_hangs_costs_its_deadline_and_then_nothing() -> None:
    """Invariant 13; A7.6: the written default counts, nothing is lost, and it is left alone for a while."""
    config = site(destinations={"sink": destination(), "calls": destination()},
                  routes=(Route(route="all", to=("sink",)),), **SCORED)
    oracle = Oracle(after=60)
    async with World(config, scorers={"oracle": oracle}) as world:
        sources = []
        for n in range(5):
            message = await world.say(visit="A", note=str(n))
            await world.settled()
            (decision,) = await world.ledger.decisions([f"{message}.0"])
            sources.append(decision.body["scores"][0]["source"])
            assert decision.body["scores"][0]["answer"] == 0.1
        assert sources == ["timeout", "timeout", "timeout", "resting", "resting"]
        assert oracle.asked == 3
        assert world.peers["sink"].notes("A") == list("01234")


async def test_what_no_route_wants_is_filtered_not_lost() -> None:
    """A08."""
    async with World(site(routes=())) as world:
        message = await world.say(visit="A")
        await world.settled()
        stored = await world.ledger.message(message)
        assert stored is not None
        assert stored.state is MessageState.FILTERED
        assert await world.ledger.events_of([message])


# -- leases and stopping (invariant 5) -----------------------------------------------------------------------


async def test_a_stopped_engine_leaves_nothing_in_flight_and_another_goes_on() -> None:
    ledger = MemoryLedger(partitions=4, outbox=False)
    peer = Peer()
    first = World(ledger=ledger, peers={"sink": peer}, owner="one")
    await first.engine.start({})
    for n in range(200):
        await first.say(visit=f"V{n % 10}", note=str(n))
    await asyncio.sleep(0.01)
    await first.engine.stop(5.0)
    assert not await ledger.find_deliveries(state=DeliveryState.INFLIGHT)
    async with World(ledger=ledger, peers={"sink": peer}, owner="two") as second:
        await second.settled()
        assert len(peer.effects) == 200
        for key in range(10):
            assert peer.notes(f"V{key}") == [str(n) for n in range(200) if n % 10 == key]


async def test_two_engines_on_one_ledger_never_have_a_delivery_twice() -> None:
    """Invariant 5."""
    ledger = MemoryLedger(partitions=4, outbox=False)
    peer = Peer()
    async with World(ledger=ledger, peers={"sink": peer}, owner="one") as one, \
            World(ledger=ledger, peers={"sink": peer}, owner="two") as two:
        for n in range(100):
            await (one if n % 2 else two).say(visit=f"V{n % 5}", note=str(n))
        await one.settled()
        assert len(peer.bodies) == len(peer.effects) == 100
        assert sorted(one.engine.worker.held + two.engine.worker.held) == [0, 1, 2, 3]


async def test_a_worker_that_lost_its_lease_stops_and_comes_back_in_line() -> None:
    async with World() as world:
        await world.say(visit="A", note="1")
        await world.settled()
        for partition in range(4):  # somebody takes everything over for a moment
            world.ledger._leases[partition] = (  # type: ignore[attr-defined]  # the twin's inside, to take a lease away
                await _stolen(world, partition))
        await world.say(visit="A", note="2")
        await asyncio.sleep(0.1)
        assert world.peer.notes("A") == ["1"]
        for partition in range(4):
            await world.ledger.release(world.ledger._leases[partition])  # type: ignore[attr-defined]  # the twin's inside, to take a lease away
        await world.until(lambda: world.peer.notes("A") == ["1", "2"])


async def _stolen(world: World, partition: int) -> Any:
    lease = await world.ledger.acquire(partition, "thief", world.clock.now() + 3_600_000_000, 3600)
    assert lease is not None
    return lease


async def test_when_the_ledger_is_away_for_a_while_nothing_is_lost_or_doubled() -> None:
    class Flaky(MemoryLedger):
        def __init__(self) -> None:
            super().__init__(partitions=4, outbox=False)
            self.dice = random.Random(5)

        def _roll(self) -> None:
            if self.dice.random() < 0.3:
                raise LedgerUnavailable("away")

        async def commit(self, lease: Any, processed: Any) -> None:
            self._roll()
            await super().commit(lease, processed)

        async def inflight(self, lease: Any, delivery_ids: Any, at: int, scopes: Any = None) -> Any:
            self._roll()
            return await super().inflight(lease, delivery_ids, at, scopes)

        async def settle(self, lease: Any, settlements: Any) -> None:
            self._roll()
            await super().settle(lease, settlements)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("router.deliver.LEDGER_RETRY_S", 0.01)
        patch.setattr("router.worker.AGAIN_S", 0.01)
        async with World(ledger=Flaky()) as world:
            for n in range(60):
                await world.say(visit=f"V{n % 6}", note=str(n))
                await asyncio.sleep(0.001)
            await world.settled()
            for key in range(6):
                assert world.peer.notes(f"V{key}") == [str(n) for n in range(60) if n % 6 == key]
            assert len(world.peer.bodies) == 60
