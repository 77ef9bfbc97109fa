"""Control numbers that partners see (X07): on all twins."""

from __future__ import annotations

import asyncio

import pytest

from store.ledger import LeaseLost, Ledger
from store.opening import open_ledger
from tests.store.messages import NOW, message, processed

ISA = "x12:ISA:ZZ/CLINIC:ZZ/PAYER"


async def test_numbers_count_from_one_without_gaps_and_each_holder_keeps_its_own(ledger: Ledger) -> None:
    """X07: a repeated attempt has the number of the first."""
    assert [await ledger.number(ISA, holder, NOW) for holder in ("a", "b", "a", "c", "b")] == [1, 2, 1, 3, 2]
    assert await ledger.number("x12:ISA:other", "a", NOW) == 1


async def test_numbers_asked_for_at_once_are_all_different_and_none_is_left_out(ledger: Ledger) -> None:
    """X07"""
    numbers = await asyncio.gather(*[ledger.number(ISA, f"d{n}", NOW) for n in range(50)])
    assert sorted(numbers) == list(range(1, 51))


async def test_numbers_go_on_after_a_restart(url: str) -> None:
    """X07: never reset. The ledger in memory has no restart."""
    if url == "memory:":
        pytest.skip("nothing in memory survives, by design")
    for expected in (1, 2, 3):
        one = open_ledger(url, partitions=1)
        await one.start()
        assert await one.number(ISA, f"start {expected}", NOW) == expected
        assert await one.number(ISA, "start 1", NOW) == 1
        await one.stop()


@pytest.mark.postgres
async def test_two_processes_never_give_the_same_number(url: str) -> None:
    """X07: nor leave one out, nor give one holder two."""
    if not url.startswith("postgres"):
        pytest.skip("only PostgreSQL has several writers")
    two = [open_ledger(url, partitions=1) for _ in range(2)]
    for one in two:
        await one.start()
    numbers = await asyncio.gather(*[one.number(ISA, f"{n % 30}", NOW) for n in range(60) for one in two])
    assert sorted(set(numbers)) == list(range(1, 31))
    for one in two:
        await one.stop()


async def test_a_number_is_reserved_in_the_commit_that_marks_the_delivery(ledger: Ledger) -> None:
    """X07: what is not marked uses no number up."""
    await ledger.append(message(1))
    lease = await ledger.acquire(0, "me", NOW, 60)
    assert lease is not None
    [stored] = await ledger.received(0, 0, 10)
    await ledger.commit(lease, [processed(stored, "payer")])
    delivery = "m0001.1>payer"
    scopes = {delivery: ISA, "nothing": ISA}
    assert await ledger.inflight(lease, [delivery, "nothing"], NOW, scopes) == {delivery}
    assert await ledger.inflight(lease, [delivery], NOW, scopes) == frozenset(), "not PENDING any more"
    assert await ledger.number(ISA, "another", NOW) == 2
    assert await ledger.number(ISA, delivery, NOW) == 1
    await ledger.acquire(0, "somebody else", NOW + 120_000_000, 60)
    with pytest.raises(LeaseLost):
        await ledger.inflight(lease, [delivery], NOW, scopes)
    assert await ledger.number(ISA, "a third", NOW) == 3


async def test_a_number_of_a_partner_belongs_to_the_first_content_that_came_with_it(ledger: Ledger) -> None:
    """X07: note 025 is for other content; the same interchange again is no duplicate number."""
    assert await ledger.claim("x12:in:ZZ/PAYER", 907, "hash 1", NOW) == "hash 1"
    assert await ledger.claim("x12:in:ZZ/PAYER", 907, "hash 1", NOW) == "hash 1"
    assert await ledger.claim("x12:in:ZZ/PAYER", 907, "hash 2", NOW) == "hash 1"
    assert await ledger.claim("x12:in:ZZ/OTHER", 907, "hash 2", NOW) == "hash 2"


async def test_a_number_tells_whose_it_is_also_after_a_restart(url: str) -> None:
    """X11: an acknowledgement names the number, days later; what nobody has is nobody's."""
    one = open_ledger(url, partitions=1)
    await one.start()
    assert await one.number(ISA, "m0001.1>payer", NOW) == 1
    if url != "memory:":
        await one.stop()
        one = open_ledger(url, partitions=1)
        await one.start()
    assert await one.holder(ISA, 1) == "m0001.1>payer"
    assert await one.holder(ISA, 2) == ""
    assert await one.holder("x12:ISA:other", 1) == ""
    await one.stop()


async def test_what_got_numbers_since_a_moment_is_told_in_order(ledger: Ledger) -> None:
    """X14: what was sent when."""
    for place, holder in enumerate(("a", "b", "c")):
        await ledger.number(ISA, holder, NOW + place)
    await ledger.number("x12:ISA:other", "a", NOW)
    assert await ledger.numbered(ISA, NOW + 1, 10) == [(2, "b", NOW + 1), (3, "c", NOW + 2)]
    assert await ledger.numbered(ISA, 0, 2) == [(1, "a", NOW), (2, "b", NOW + 1)]


async def test_old_numbers_are_forgotten_and_the_count_goes_on(ledger: Ledger) -> None:
    """A partner's numbers come round again after 999,999,999: what is older than the retention is no duplicate."""
    assert await ledger.number(ISA, "old", NOW) == 1
    assert await ledger.claim("x12:in:ZZ/PAYER", 1, "old", NOW) == "old"
    await ledger.purge(NOW + 1, 100)
    assert await ledger.number(ISA, "new", NOW + 2) == 2
    assert await ledger.claim("x12:in:ZZ/PAYER", 1, "new", NOW + 2) == "new"
