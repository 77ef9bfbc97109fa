"""What a later word does to a delivery, on all three ledgers (A02, A11; decided in `router.afterwards`)."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from canonical.findings import Finding, Severity
from store.ledger import Ledger
from store.records import Conclusion, Delivery, DeliveryState
from tests.store.messages import NOW, accepted, audit, lease, processed, settlement

REASON = Finding("mllp.refused", Severity.ERROR, at="PID-3", detail="PID-3")
ID = "m0001.1>far"


async def sent(ledger: Ledger, state: DeliveryState = DeliveryState.DELIVERED, reason: str = "awaited") -> None:
    """Message 1 was delivered to a destination in enhanced mode and to another one."""
    stored = await accepted(ledger, 1)
    one = processed(stored, "far", "erp")
    named = tuple(replace(d, identity="0123456789abcd" if d.destination == "far" else "") for d in one.deliveries)
    mine = await lease(ledger)
    await ledger.commit(mine, [replace(one, deliveries=named)])
    if state is not DeliveryState.PENDING:
        await ledger.settle(mine, [settlement(ID, state, code="CA", reason=reason)])


def word(**changes: Any) -> Conclusion:
    given: dict[str, Any] = {"delivery_id": ID, "was": DeliveryState.DELIVERED, "was_reason": "awaited",
                             "state": DeliveryState.PARKED, "reason": "no", "code": "AE 102", "findings": (REASON,)}
    return Conclusion(**(given | changes))


async def says(ledger: Ledger, number: int, *words: Conclusion) -> None:
    stored = await accepted(ledger, number)
    await ledger.commit(await lease(ledger), [replace(processed(stored), concluded=words)])


async def delivery(ledger: Ledger) -> Delivery:
    (one,) = await ledger.find_deliveries(destination="far")
    return one


async def test_a_delivery_is_found_by_its_identity_and_only_where_it_has_one(ledger: Ledger) -> None:
    await sent(ledger)
    assert [(d.id, d.identity, d.reason) for d in await ledger.named(["0123456789abcd", "ffffffffffffff", ""])] == [
        (ID, "0123456789abcd", "awaited")]
    assert await ledger.named([]) == []
    assert await ledger.named([""]) == []


async def test_what_was_delivered_may_be_refused_later_and_waits_for_people_then(ledger: Ledger) -> None:
    await sent(ledger)
    await says(ledger, 2, word())
    one = await delivery(ledger)
    assert (one.state, one.reason, one.code) == (DeliveryState.PARKED, "no", "AE 102")
    assert (one.findings, one.since) == ((REASON,), NOW)
    assert ID in [d.id for d in await ledger.open_deliveries(0)]
    assert [row[:4] for row in await ledger.parked()] == [("delivery", "far", "no", 1)]
    assert await ledger.requeue_deliveries([ID], NOW, audit()) == 1


async def test_a_parked_one_may_turn_out_to_have_arrived(ledger: Ledger) -> None:
    await sent(ledger, DeliveryState.PARKED, "unknown")
    await says(ledger, 2, word(was=DeliveryState.PARKED, was_reason="unknown", state=DeliveryState.DELIVERED, reason="",
                               code="AA", findings=()))
    one = await delivery(ledger)
    assert (one.state, one.code, one.findings) == (DeliveryState.DELIVERED, "AA", ())
    assert ID not in [d.id for d in await ledger.open_deliveries(0)]
    assert await ledger.parked() == []


async def test_what_is_not_as_it_was_any_more_stays_as_it_is(ledger: Ledger) -> None:
    """A person or a worker was quicker; and of two words at once the first counts."""
    await sent(ledger, DeliveryState.PENDING)
    mine = await lease(ledger)
    await ledger.inflight(mine, [ID], NOW)
    await says(ledger, 2, word(was=DeliveryState.PENDING, was_reason="", state=DeliveryState.DELIVERED))
    assert (await delivery(ledger)).state is DeliveryState.INFLIGHT
    await ledger.settle(mine, [settlement(ID, code="CA", reason="awaited")])
    await asyncio.gather(says(ledger, 3, word(reason="first")), says(ledger, 4, word(reason="second")))
    assert (await delivery(ledger)).reason == "first"


async def test_a_message_that_was_processed_before_says_nothing_twice(ledger: Ledger) -> None:
    await sent(ledger)
    stored = await accepted(ledger, 2)
    mine = await lease(ledger)
    await ledger.commit(mine, [replace(processed(stored), concluded=(word(),))])
    await ledger.settle_deliveries([ID], DeliveryState.DELIVERED, "awaited", audit())
    await ledger.commit(mine, [replace(processed(stored), concluded=(word(),))])
    assert (await delivery(ledger)).state is DeliveryState.DELIVERED
