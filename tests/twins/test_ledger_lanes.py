"""Lanes, fences, merges: what stands before what, on all three ledgers."""

from __future__ import annotations

import msgspec

from canonical.model import AppointmentStatus
from store.ledger import Ledger
from store.partition import partition_of
from store.records import DeliveryState, Fence, MessageState
from tests.store.messages import (
    accepted,
    audit,
    event,
    lane_of,
    lease,
    message,
    parked,
    processed,
    settlement,
)

HERE, THERE = lane_of(3, 16), lane_of(7, 16)


async def test_a_message_is_in_the_partition_of_its_first_lane(spread: Ledger) -> None:
    stored = await accepted(spread, 1, HERE, THERE)
    assert stored.partition == partition_of(HERE, 16) == 3
    assert stored.lanes == (HERE, THERE)
    assert [m.id for m in await spread.received(3, 0, 10)] == ["m0001"]
    assert await spread.received(7, 0, 10) == []


async def test_what_was_said_of_two_persons_is_kept_with_the_event_that_said_it(spread: Ledger) -> None:
    """D07: by each of the two, in one order; twice is once; a key may hold anything."""
    stored = await accepted(spread, 1, HERE)
    one = processed(stored)
    said = (("patient:A|1", "old", "patient:A|2", one.events[0].id), ("patient:A|2", "new", "patient:A|1", one.events[0].id),
            ("patient:A|\x00\udcff", "apart", "patient:A|1", one.events[0].id))
    await spread.commit(await lease(spread, 3), [msgspec.structs.replace(one, merges=(*said, said[0]))])
    assert await spread.merges(["patient:A|1", "patient:A|9"]) == [("patient:A|1", "old", "patient:A|2", one.events[0])]
    assert [row[:3] for row in await spread.merges([row[0] for row in said])] == sorted(row[:3] for row in said)
    assert await spread.merges([]) == []


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
    assert await spread.aliases(["a", "b", "c", "z"]) == {"a": "b", "b": "b", "c": "b"}
    await merge(3, ("c", "c"))
    assert await spread.aliases(["a", "b", "c"]) == {"a": "b", "b": "b", "c": "c"}


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


# -- after a merge ------------------------------------------------------------------------------------------


async def merged(ledger: Ledger, number: int, old: str = THERE, new: str = HERE) -> None:
    stored = await accepted(ledger, number, new, old)
    await ledger.commit(await lease(ledger, stored.partition), [processed(stored, aliases=((old, new),))])


async def test_what_comes_with_the_old_number_stands_in_the_lane_of_the_survivor(spread: Ledger) -> None:
    """A4.3: so that it keeps its place among what is said with the new one."""
    await merged(spread, 1)
    receipt = await spread.append(message(2, THERE))
    late = await spread.message(receipt.message_id)
    assert late is not None
    assert (late.lanes, late.partition, receipt.home) == ((HERE, THERE), 3, 3)
    behind = await accepted(spread, 3, HERE)
    assert not await spread.clear_before([HERE], behind.seq)
    assert await spread.fences(7) == [Fence(THERE, late.seq, 3)]
    await spread.commit(await lease(spread, 3), [processed(late, "sink")])
    assert await spread.clear_before([HERE, THERE], behind.seq)
    assert [d.lane for d in await spread.open_deliveries(3)] == [HERE]


async def test_what_already_waits_behind_a_merge_goes_on_in_the_lane_of_the_survivor(spread: Ledger) -> None:
    """A4.3, A4.8: received, born parked, and with a second lane of its own."""
    third = lane_of(11, 16)
    merge = await accepted(spread, 1, HERE, THERE)
    waiting = await accepted(spread, 2, THERE)
    broken = await accepted(spread, 3, THERE, state=MessageState.PARKED)
    second = await accepted(spread, 4, third, THERE)
    await spread.commit(await lease(spread, 3), [processed(merge, aliases=((THERE, HERE),))])
    for one, lanes, home in ((waiting, (HERE, THERE), 3), (broken, (HERE, THERE), 3),
                             (second, (third, HERE, THERE), 11)):
        now = await spread.message(one.id)
        assert now is not None
        assert (now.lanes, now.partition) == (lanes, home)
    assert [m.id for m in await spread.received(3, 0, 10)] == ["m0002"]
    assert await spread.received(7, 0, 10) == []
    assert await spread.fences(7) == [Fence(THERE, s.seq, h) for s, h in ((waiting, 3), (broken, 3), (second, 11))]
    assert await spread.fences(3) == [Fence(HERE, second.seq, 11)]


async def test_chains_of_merges_are_followed_at_the_door(spread: Ledger) -> None:
    third = lane_of(11, 16)
    await merged(spread, 1, THERE, HERE)
    await merged(spread, 2, HERE, third)
    late = await accepted(spread, 3, THERE)
    assert (late.lanes, late.partition) == ((third, THERE), 11)


async def test_after_an_unmerge_the_old_number_has_its_own_lane_again(spread: Ledger) -> None:
    """A4.5: and waits for what came before the merge was undone."""
    await merged(spread, 1)
    before = await accepted(spread, 2, THERE)
    undo = await accepted(spread, 3, HERE, THERE)
    mine = await lease(spread, 3)
    assert not await spread.clear_before(undo.lanes, undo.seq)
    await spread.commit(mine, [processed(before)])
    await spread.commit(mine, [processed(undo, aliases=((THERE, THERE),))])
    after = await accepted(spread, 4, THERE)
    assert (after.lanes, after.partition) == ((THERE,), 7)


async def test_the_open_visits_of_a_person_are_found(spread: Ledger) -> None:
    """A4.1"""
    mine = await lease(spread, 3)
    for number, status in ((1, AppointmentStatus.BOOKED), (2, AppointmentStatus.CANCELLED)):
        stored = await accepted(spread, number, HERE)
        one = event(number, f"appointment:A|V{number}", status=status)
        await spread.commit(mine, [processed(stored, event=one)])
    assert [s.subject_key for s in await spread.open_of([HERE])] == ["appointment:A|V1"]
    assert await spread.open_of([THERE]) == []
    assert await spread.open_of([]) == []


async def test_what_is_still_owed_to_the_old_number_is_told_by_destination(spread: Ledger) -> None:
    """A4.8: older deliveries in the further lanes of a merge, not its own and not later ones."""
    before = await accepted(spread, 1, THERE)
    await spread.commit(await lease(spread, 7), [processed(before, "fhir", "ehr")])
    merge = await accepted(spread, 2, HERE, THERE)
    late = await accepted(spread, 3, THERE)
    await spread.commit(await lease(spread, 7), [processed(late, "sms")])
    await spread.commit(await lease(spread, 3), [processed(merge, "erp")])
    assert set(await spread.behind(merge.seq)) == {"fhir", "ehr"}
    await spread.settle(await lease(spread, 7), [settlement("m0001.1>fhir")])
    assert set(await spread.behind(merge.seq)) == {"ehr"}
    await spread.settle(await lease(spread, 7), [settlement("m0001.1>ehr", DeliveryState.PARKED)])
    assert set(await spread.behind(merge.seq)) == {"ehr"}
    assert set(await spread.behind(before.seq)) == set()


async def test_a_control_id_that_was_used_for_something_else_is_told(spread: Ledger) -> None:
    """D01: by the same sender on the same channel; refused messages and what people replay do not count."""
    refused = await accepted(spread, 1, control_id="7", state=MessageState.REFUSED)
    first = await accepted(spread, 2, control_id="7")
    second = await accepted(spread, 3, control_id="7")
    others = [await accepted(spread, 4, control_id="7", sender="B|C"),
              await accepted(spread, 5, control_id="7", channel="x"),
              await accepted(spread, 6, control_id=""), await accepted(spread, 7, control_id=""),
              await accepted(spread, 8, control_id="7", replay_of="m0002")]
    asked = [one.seq for one in (refused, first, second, *others)]
    assert set(await spread.reused(asked)) == {second.seq}
    assert set(await spread.reused([])) == set()
