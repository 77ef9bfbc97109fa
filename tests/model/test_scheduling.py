"""D07, whole: real messages through real tables and a real engine, in any order and any number of times.

Compared with the same messages in order: everything that is known of every visit and of every person. Versions are
those of EVN-2. What an A08 said under a number that had been given up is not among the messages: where it arrives
before the merge it stays with the old record (docs/hl7v2.md).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.router.hospital import Hospital, adt, aip, merge, siu, unmerge

TIMES = {f"V{n}": {"start": f"202604{n:02}100000+0000", "end": f"202604{n:02}103000+0000"} for n in range(1, 5)}
ROOM = "AIL|1|{}|CLINIC^{}"

#: (what it is, bytes) in the order in which it happened.
HISTORY = [
    siu("S12", "V1", "OLD", at=1, resources=[aip(1, "A"), aip(2, "B"), ROOM.format("", "R1")], **TIMES["V1"]),
    siu("S12", "V2", "NEW", at=2, resources=[aip(1, "A")], **TIMES["V2"]),
    siu("S14", "V1", "OLD", at=3, resources=[aip(1, "C", "A"), aip(2, "B", "D"), ROOM.format("U", "R2")], **TIMES["V1"]),
    siu("S18", "V1", "OLD", at=4, resources=[aip(3, "D", "A")], **TIMES["V1"]),
    siu("S27", "V2", "NEW", at=5, status="Started", resources=[aip(1, "E")], **TIMES["V2"]),
    merge("NEW", "OLD", at=6),
    siu("S13", "V1", "OLD", at=7, **TIMES["V4"]),
    siu("S12", "V3", "OLD", at=8, **TIMES["V3"]),
    siu("S22", "V1", "NEW", at=9, resources=[aip(1, "C", "D")], **TIMES["V4"]),
    siu("S15", "V2", "NEW", at=10, **TIMES["V2"]),
    siu("S14", "V2", "NEW", at=11, status="Booked", resources=[aip(1, "F", "A"), aip(2, "A")], **TIMES["V2"]),
    adt("A08", "NEW", at=12, sex="F"),
    siu("S26", "V2", "NEW", at=13, **TIMES["V2"]),
    siu("S27", "V2", "NEW", at=14, status="Booked", **TIMES["V2"]),
    unmerge("NEW", "OLD", at=15),
    siu("S14", "V1", "OLD", at=16, resources=[aip(1, "G", "A")], **TIMES["V4"]),
]
STEPS = range(len(HISTORY))


async def known_after(order: list[int], at_once: bool, partitions: int) -> dict[str, Any]:
    async with Hospital(partitions=partitions, delivers=False) as clinic:
        for step in order:
            await clinic.accept(HISTORY[step])
            if not at_once:
                await clinic.processed()
        await clinic.processed()
        found: dict[str, Any] = {}
        for key in (*(f"appointment:MERCY|{visit}" for visit in TIMES), "patient:MERCY|NEW", "patient:MERCY|OLD"):
            state = await clinic.ledger.state_of(key)
            found[key] = (state.patient_key, state.entity) if state is not None else None
        return found


MERGED, AS_MERGED = 5, 8


def without_copies(known: dict[str, Any]) -> dict[str, Any]:
    """The copy of the person's data in a visit depends on when the visit was known; who the person is does not."""
    return {key: one if one is None or not key.startswith("appointment:") or not one[1].patient else (
        one[0], replace(one[1], patient=replace(one[1].patient, sex="")))
        for key, one in known.items()}


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_order_and_any_duplication_of_a_history_ends_as_if_it_had_come_in_order(data: st.DataObject) -> None:
    """D07: bookings, moves, action codes, resources, broadcasts, ends, a merge and its undoing."""
    steps = sorted(data.draw(st.sets(st.sampled_from(STEPS), min_size=2), label="what happened"))
    if MERGED not in steps:  # without the merge nobody would tell of this visit under the other number
        steps = [step for step in steps if step != AS_MERGED] or steps
    twice = data.draw(st.lists(st.sampled_from(steps), max_size=4), label="came twice")
    order = list(data.draw(st.permutations([*steps, *twice]), label="order of arrival"))
    at_once, partitions = data.draw(st.booleans(), label="at once"), data.draw(st.sampled_from([1, 8]))
    assert without_copies(asyncio.run(known_after(order, at_once, partitions))) == without_copies(
        asyncio.run(known_after(steps, True, 1)))
