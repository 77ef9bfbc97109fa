"""Lanes, fences, merges: what stands before what, on all three ledgers."""

from __future__ import annotations

import msgspec

from store.ledger import Ledger
from store.partition import partition_of
from store.records import Fence, MessageState
from tests.store.messages import accepted, audit, event, lane_of, lease, message, parked, processed

HERE, THERE = lane_of(3, 16), lane_of(7, 16)


async def test_a_message_is_in_the_partition_of_its_first_lane(spread: Ledger) -> None:
    stored = await accepted(spread, 1, HERE, THERE)
    assert stored.partition == partition_of(HERE, 16) == 3
    assert stored.lanes == (HERE, THERE)
    assert [m.id for m in await spread.received(3, 0, 10)] == ["m0001"]
    assert await spread.received(7, 0, 10) == []


async def test_a_message_without_a_key_has_a_lane_of_its_own(spread: Ledger) -> None:
    await spread.append(msgspec.structs.replace(message(1), lanes=()))
    stored = await spread.message("m0001")
    assert stored is not None
    assert stored.lanes == ("m0001",)


async def test_after_seq_and_limit_cut_what_is_read(spread: Ledger) -> None:
    stored = [await accepted(spread, number, HERE) for number in range(1, 6)]
    assert [m.id for m in await spread.received(3, stored[1].seq, 2)] == ["m0003", "m0004"]


async def test_a_merge_is_a_fence_in_the_lane_of_the_other_patient_until_it_is_processed(spread: Ledger) -> None:
    """A4.8: an A40 is a barrier for both of its patients."""
    before = await accepted(spread, 1, THERE)
    merge = await accepted(spread, 2, HERE, THERE)
    after = await accepted(spread, 3, THERE)
    assert await spread.fences(7) == [Fence(THERE, merge.seq, 3)]
    assert await spread.fences(3) == []
    assert not await spread.clear_before(merge.lanes, merge.seq)
    assert await spread.clear_before([THERE], before.seq)
    assert not await spread.clear_before([THERE], after.seq)

    await spread.commit(await lease(spread, 7), [processed(before)])
    assert await spread.clear_before(merge.lanes, merge.seq)
    assert not await spread.clear_before([THERE], after.seq)
    await spread.commit(await lease(spread, 3), [processed(merge)])
    assert await spread.fences(7) == []
    assert await spread.clear_before([THERE], after.seq)


async def test_a_parked_merge_holds_both_lanes_until_it_is_discarded(spread: Ledger) -> None:
    merge = await accepted(spread, 1, HERE, THERE)
    after = await accepted(spread, 2, THERE)
    await spread.commit(await lease(spread, 3), [parked(merge)])
    assert await spread.parked_lanes(3) == {HERE: merge.seq, THERE: merge.seq}
    assert await spread.fences(7) == [Fence(THERE, merge.seq, 3)]
    assert not await spread.clear_before([THERE], after.seq)
    assert await spread.discard_messages(["m0001"], audit()) == 1
    assert await spread.parked_lanes(3) == {}
    assert await spread.fences(7) == []
    assert await spread.clear_before([THERE], after.seq)
    discarded = await spread.message("m0001")
    assert discarded is not None
    assert (discarded.state, discarded.reason) == (MessageState.DISCARDED, "map.unmapped")


async def test_a_message_stands_in_its_lane_while_received_and_while_parked(spread: Ledger) -> None:
    first = await accepted(spread, 1, HERE)
    second = await accepted(spread, 2, HERE)
    assert not await spread.clear_before([HERE], second.seq)
    await spread.commit(await lease(spread, 3), [parked(first)])
    assert not await spread.clear_before([HERE], second.seq)
    assert await spread.clear_before([HERE], first.seq)
    await spread.requeue_messages(["m0001"], audit())
    await spread.commit(await lease(spread, 3), [processed(first)])
    assert await spread.clear_before([HERE], second.seq)


async def test_of_two_parked_messages_of_a_lane_the_oldest_is_told(spread: Ledger) -> None:
    first, second = await accepted(spread, 1, HERE), await accepted(spread, 2, HERE)
    await spread.commit(await lease(spread, 3), [parked(second), parked(first)])
    assert await spread.parked_lanes(3) == {HERE: first.seq}


async def test_merges_chain_turn_round_and_are_undone(spread: Ledger) -> None:
    """A4.3, A4.5."""
    mine = await lease(spread, 3)

    async def merge(number: int, *pairs: tuple[str, str]) -> None:
        await spread.commit(mine, [processed(await accepted(spread, number, HERE), aliases=pairs)])

    await merge(1, ("a", "b"), ("b", "c"))
    assert await spread.aliases(["a", "b", "c", "z"]) == {"a": "c", "b": "c"}
    await merge(2, ("c", "a"))
    assert await spread.aliases(["a", "b", "c"]) == {"a": "b", "c": "b"}
    await merge(3, ("c", "c"))
    assert await spread.aliases(["a", "b", "c"]) == {"a": "b"}


async def test_history_is_in_the_order_of_versions_not_of_arrival(spread: Ledger) -> None:
    """D03, D07."""
    mine = await lease(spread, 3)
    for number, version in ((1, 30), (2, 10), (3, 20)):
        stored = await accepted(spread, number, HERE)
        await spread.commit(mine, [processed(stored, event=event(number, version=version))])
    assert [e.id for e in await spread.history("appointment:A|V1")] == ["m0002.1", "m0003.1", "m0001.1"]
    assert await spread.history("appointment:A|nobody") == []
    assert set(await spread.events(["m0001.1", "m0003.1", "nothing"])) == {"m0001.1", "m0003.1"}


async def test_text_that_no_database_takes_comes_back_as_it_was(spread: Ledger) -> None:
    """A broken sender's control id: NUL, bytes of no charset."""
    odd = "A\x00B\udcff\x01"
    lanes = (f"patient:{odd}", f"patient:{odd}|2")
    await spread.append(message(1, *lanes, control_id=odd, sender=odd, message_type=odd, peer=odd))
    stored = await spread.message(odd)
    assert stored is not None
    assert (stored.control_id, stored.sender, stored.message_type, stored.peer) == (odd,) * 4
    assert stored.lanes == lanes
    assert [f.lane for f in await spread.fences(partition_of(lanes[1], 16))] == (
        [lanes[1]] if partition_of(lanes[1], 16) != stored.partition else [])
    again = await spread.append(message(2, dedup=b"D1"))
    assert again.control_id == odd
