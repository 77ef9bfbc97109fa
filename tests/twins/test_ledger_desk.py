"""What people see and decide, on all three ledgers."""

from __future__ import annotations

import pytest

from canonical.findings import Finding, Severity
from canonical.model import AppointmentStatus
from canonical.phi import Phi
from canonical.receipt import Verdict
from store.ledger import Ledger
from store.records import (
    AckOutcome,
    Attempt,
    AttemptOutcome,
    Decision,
    Delivery,
    DeliveryState,
    MessageQuery,
    MessageState,
    NewDelivery,
    Turnaround,
)
from tests.store.messages import NOW, accepted, audit, event, lease, message, parked, processed, settlement

FAR = NOW + 10**15
REASON = Finding("hl7.wrong_processing_id", Severity.ERROR, at="MSH-11", detail="expected P")


async def delivered(ledger: Ledger, number: int, *destinations: str, **fields: object) -> list[Delivery]:
    """A processed message with its deliveries, still pending."""
    stored = await accepted(ledger, number)
    await ledger.commit(await lease(ledger), [processed(stored, *destinations, **fields)])
    return list(await ledger.deliveries([stored.seq]))


async def state_of(ledger: Ledger, delivery_id: str) -> Delivery:
    return next(d for d in await ledger.find_deliveries() if d.id == delivery_id)


async def test_a_refused_message_is_stored_and_refused_each_time_it_comes(ledger: Ledger) -> None:
    """A10. Each resend is seen by people; the same id again (the ledger was away) is the same message."""
    refused = message(1, state=MessageState.REFUSED, findings=(REASON,))
    again = message(2, state=MessageState.REFUSED, findings=(REASON,), dedup=b"D1")
    for copy in (refused, again, refused):
        receipt = await ledger.append(copy)
        assert (receipt.verdict, receipt.message_id, receipt.finding) == (Verdict.REFUSED, copy.id, REASON)
        assert not receipt.positive
    assert await ledger.received(0, 0, 10) == []
    stored = await ledger.find(MessageQuery(state=MessageState.REFUSED))
    assert {one.id for one in stored} == {"m0001", "m0002"}
    assert {(one.reason, one.findings) for one in stored} == {("hl7.wrong_processing_id", (REASON,))}


async def test_the_same_content_on_another_channel_or_without_a_fingerprint_is_no_duplicate(
        ledger: Ledger) -> None:
    """D02: a manual reprocess carries no fingerprint."""
    receipts = [await ledger.append(one) for one in (
        message(1), message(2, dedup=b"D1", channel="lab"), message(3, dedup=b""), message(4, dedup=b""))]
    assert {r.verdict for r in receipts} == {Verdict.ACCEPTED}


async def test_the_same_id_twice_is_one_message(ledger: Ledger) -> None:
    """Whoever was told that the ledger is away may try again."""
    await ledger.append(message(1))
    again = await ledger.append(message(1, dedup=b"other"))
    assert (again.verdict, again.message_id) == (Verdict.DUPLICATE, "m0001")
    assert len(await ledger.find(MessageQuery())) == 1


async def test_messages_are_found_by_each_filter_newest_first(ledger: Ledger) -> None:
    await delivered(ledger, 1, "fhir")
    await delivered(ledger, 2, "erp")
    third = await accepted(ledger, 3, channel="lab", message_type="ADT^A08", control_id="other")
    await ledger.commit(await lease(ledger), [parked(third)])

    async def found(**fields: object) -> list[str]:
        return [m.id for m in await ledger.find(MessageQuery(**fields))]  # type: ignore[arg-type]  # one of many

    assert await found() == ["m0003", "m0002", "m0001"]
    assert await found(limit=2) == ["m0003", "m0002"]
    assert await found(channel="lab") == ["m0003"]
    assert await found(state=MessageState.PROCESSED) == ["m0002", "m0001"]
    assert await found(message_type="ADT^A08") == ["m0003"]
    assert await found(control_id="C2") == ["m0002"]
    assert await found(reason="map.unmapped") == ["m0003"]
    assert await found(destination="erp") == ["m0002"]
    assert await found(since=NOW + 2) == ["m0003", "m0002"]
    assert await found(until=NOW + 2) == ["m0001"]
    assert await found(before_seq=third.seq) == ["m0002", "m0001"]
    assert await found(channel="ehr", destination="fhir", since=NOW + 2) == []


async def test_a_message_is_found_by_id_by_unique_prefix_and_by_control_id(ledger: Ledger) -> None:
    for number in (1, 2, 13):
        await accepted(ledger, number, control_id="SAME")

    async def found(key: str) -> str | None:
        one = await ledger.message(key)
        return None if one is None else one.id

    assert await found("m0001") == "m0001"
    assert await found("m001") == "m0013"
    assert await found("m000") is None
    assert await found("SAME") == "m0013"
    assert await found("") is None
    assert await found("%") is None
    assert await ledger.raw_bytes("m0013") == b"MSH|13"
    assert await ledger.raw_bytes("nothing") is None


async def test_acknowledgements_are_noted_apart_from_the_state(ledger: Ledger) -> None:
    await accepted(ledger, 1)
    ledger.note_ack("m0001", "AA", AckOutcome.UNDELIVERED)
    await accepted(ledger, 2)
    one = await ledger.message("m0001")
    assert one is not None
    assert (one.ack_code, one.ack_outcome, one.state) == ("AA", AckOutcome.UNDELIVERED, MessageState.RECEIVED)


async def test_findings_revision_and_decisions_of_a_message_are_kept(ledger: Ledger) -> None:
    verdicts = (Decision(id="d2", event_id="m0001.1", kind="route", body={"rules": ["r1"], "score": 0.5}, at=NOW),
                Decision(id="d1", event_id="m0001.1", kind="triage", body={}, at=NOW))
    await delivered(ledger, 1, findings=(REASON,), decisions=verdicts)
    stored = await ledger.message("m0001")
    assert stored is not None
    assert (stored.state, stored.findings, stored.revision, stored.since) == (
        MessageState.PROCESSED, (REASON,), "r1", NOW)
    assert await ledger.decisions(["m0001.1"]) == [verdicts[1], verdicts[0]]
    assert [e.id for e in await ledger.events_of(["m0001"])] == ["m0001.1"]


async def test_only_pending_deliveries_go_in_flight(ledger: Ledger) -> None:
    """A person may have skipped one while the worker held it in memory: it must not be sent."""
    fhir, erp = sorted(d.id for d in await delivered(ledger, 1, "fhir", "erp"))[::-1]
    await ledger.settle_deliveries([erp], DeliveryState.SKIPPED, "not.wanted", audit())
    mine = await lease(ledger)
    assert await ledger.inflight(mine, [fhir, erp, "nothing"], NOW) == {fhir}
    assert await ledger.inflight(mine, [fhir], NOW) == frozenset()
    await ledger.settle(mine, [settlement(erp)])
    assert (await state_of(ledger, erp)).state is DeliveryState.SKIPPED


async def test_newer_state_supersedes_what_is_pending_but_not_what_is_in_flight(ledger: Ledger) -> None:
    mine = await lease(ledger)
    sent, waiting = [d.id for d in await delivered(ledger, 1, "erp", "fhir")]
    await ledger.inflight(mine, [sent], NOW)
    await delivered(ledger, 2, "erp", superseded=(sent, waiting))
    assert (await state_of(ledger, sent)).state is DeliveryState.INFLIGHT
    assert (await state_of(ledger, waiting)).state is DeliveryState.SUPERSEDED
    assert [d.id for d in await ledger.open_deliveries(0)] == [sent, "m0002.1>erp"]


async def test_newer_state_supersedes_an_older_delivery_that_is_born_in_the_same_commit(ledger: Ledger) -> None:
    """Several messages about one appointment are often processed at once; only the last needs to go out."""
    mine = await lease(ledger)
    first, second = [await accepted(ledger, number) for number in (1, 2)]
    older = f"{first.id}.1>erp"
    await ledger.commit(mine, [processed(first, "erp"), processed(second, "erp", superseded=(older,))])
    assert (await state_of(ledger, older)).state is DeliveryState.SUPERSEDED
    assert [d.id for d in await ledger.open_deliveries(0)] == [f"{second.id}.1>erp"]


async def test_the_same_plan_twice_is_one_delivery(ledger: Ledger) -> None:
    """D06."""
    (one,) = await delivered(ledger, 1, "fhir")
    await ledger.settle(await lease(ledger), [settlement(one.id)])
    plan = NewDelivery(**{name: getattr(one, name) for name in NewDelivery.__struct_fields__})
    replay = NewDelivery(**{name: getattr(one, name) for name in NewDelivery.__struct_fields__} | {
        "id": f"{one.id}#2", "state": DeliveryState.PENDING, "due_at": NOW + 5})
    assert await ledger.add_deliveries([plan, replay], audit()) == 1
    assert [(d.id, d.due_at, d.attempts) for d in await ledger.open_deliveries(0)] == [(f"{one.id}#2", NOW + 5, 0)]
    assert (await state_of(ledger, one.id)).state is DeliveryState.DELIVERED


async def test_a_parked_delivery_starts_afresh_when_it_is_queued_again(ledger: Ledger) -> None:
    (one,) = await delivered(ledger, 1, "fhir")
    mine = await lease(ledger)

    async def fail(number: int) -> None:
        await ledger.settle(mine, [settlement(
            one.id, DeliveryState.PARKED, attempts=number, reason="delivery.rejected", findings=(REASON,),
            attempt=Attempt(delivery_id=one.id, number=number, started_at=NOW + number, ended_at=NOW + number + 1,
                            outcome=AttemptOutcome.REJECTED, code="422", finding=REASON,
                            response=Phi(b"\x00 why \xff")))])

    await fail(1)
    await fail(2)
    (stuck,) = await ledger.find_deliveries(destination="fhir", state=DeliveryState.PARKED,
                                            reason="delivery.rejected")
    assert (stuck.attempts, stuck.findings, stuck.code) == (2, (REASON,), "201")
    assert await ledger.find_deliveries(destination="erp") == []
    assert await ledger.requeue_deliveries([one.id, "nothing"], NOW + 7, audit()) == 1
    again = await state_of(ledger, one.id)
    assert (again.state, again.attempts, again.due_at, again.reason) == (DeliveryState.PENDING, 0, NOW + 7, "")
    tried = await ledger.attempts([one.id])
    assert [(a.number, a.outcome, a.finding) for a in tried] == [
        (1, AttemptOutcome.REJECTED, REASON), (2, AttemptOutcome.REJECTED, REASON)]
    assert tried[0].response is not None
    assert tried[0].response.reveal() == b"\x00 why \xff"


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.INFLIGHT, DeliveryState.PARKED])
async def test_a_person_can_only_end_a_delivery(ledger: Ledger, state: DeliveryState) -> None:
    with pytest.raises(ValueError, match=state.value):
        await ledger.settle_deliveries(["x"], state, "", audit())


async def test_what_waits_for_people_is_counted_and_clustered(ledger: Ledger) -> None:
    first, second = await delivered(ledger, 1, "erp", "fhir")
    mine = await lease(ledger)
    await ledger.settle(mine, [settlement(first.id), settlement(second.id, DeliveryState.PARKED, reason="no.way")])
    for number in (2, 3):
        await ledger.commit(mine, [parked(await accepted(ledger, number))])
    assert await ledger.parked() == [("delivery", "fhir", "no.way", 1, NOW + 10, NOW + 10),
                                     ("message", "ehr", "map.unmapped", 2, NOW, NOW)]
    assert await ledger.counts() == {
        "messages": {"processed": 1, "parked": 2},
        "deliveries": {"erp/delivered": 1, "fhir/parked": 1}, "outbox": {"unpublished": 1}}


async def test_every_decision_leaves_an_entry_even_one_that_changed_nothing(ledger: Ledger) -> None:
    await ledger.requeue_messages(["nothing"], audit("one"))
    await ledger.discard_messages([], audit("two"))
    await ledger.requeue_deliveries([], NOW, audit("three"))
    await ledger.settle_deliveries([], DeliveryState.SKIPPED, "", audit("four"))
    await ledger.add_deliveries([], audit("five"))
    trail = [(number, entry.action) async for number, entry, _ in ledger.audit_trail()]
    assert trail == [(1, "one"), (2, "two"), (3, "three"), (4, "four"), (5, "five")]
    assert [number async for number, _, _ in ledger.audit_trail(3)] == [4, 5]


async def test_events_come_from_the_outbox_oldest_first(ledger: Ledger) -> None:
    for number in (2, 1, 3):
        await delivered(ledger, number)
    assert [e.id for e in await ledger.unpublished(2)] == ["m0002.1", "m0001.1"]
    await ledger.published(["m0002.1", "m0003.1"])
    assert [e.id for e in await ledger.unpublished(9)] == ["m0001.1"]


async def test_a_lease_is_renewed_released_and_taken(ledger: Ledger) -> None:
    mine = await lease(ledger)
    assert await ledger.acquire(0, "one", NOW, 60) == mine
    renewed = await ledger.renew(mine, NOW + 30_000_000, 60)
    assert renewed.expires_at == NOW + 90_000_000
    assert await ledger.acquire(0, "two", NOW + 61_000_000, 60) is None
    await ledger.release(mine)
    other = await ledger.acquire(0, "two", NOW, 60)
    assert other is not None
    assert other.epoch == mine.epoch + 1
    await ledger.release(mine)
    assert await ledger.acquire(0, "three", NOW, 60) is None


async def test_finished_messages_go_with_all_that_hangs_on_them(ledger: Ledger) -> None:
    """Events of a subject whose story is over go with their messages."""
    done = event(2, status=AppointmentStatus.CANCELLED)
    (first,) = await delivered(ledger, 1, "fhir")
    (second,) = await delivered(ledger, 2, "fhir", event=done)
    mine = await lease(ledger)
    await ledger.settle(mine, [settlement(first.id, DeliveryState.PARKED, attempt=Attempt(
        delivery_id=first.id, number=1, started_at=NOW, ended_at=NOW, outcome=AttemptOutcome.RETRY))])
    await ledger.settle(mine, [settlement(first.id), settlement(second.id)])
    await ledger.published(["m0001.1", "m0002.1"])
    await accepted(ledger, 3)
    assert await ledger.purge(FAR, 100) == 2
    assert [m.id for m in await ledger.find(MessageQuery())] == ["m0003"]
    assert await ledger.find_deliveries() == []
    assert await ledger.attempts([first.id]) == []
    assert await ledger.history("appointment:A|V1") == []
    assert await ledger.raw_bytes("m0001") is None
    assert await ledger.state_of("appointment:A|V1") is not None
    assert (await ledger.append(message(1))).verdict is Verdict.ACCEPTED


async def test_events_of_an_open_subject_outlive_their_messages(ledger: Ledger) -> None:
    """D07: a late message is folded into all that was said before."""
    (one,) = await delivered(ledger, 1, "fhir")
    await ledger.settle(await lease(ledger), [settlement(one.id)])
    await ledger.published(["m0001.1"])
    assert await ledger.purge(FAR, 100) == 1
    assert [e.id for e in await ledger.history("appointment:A|V1")] == ["m0001.1"]


async def test_a_purge_takes_its_time_and_spares_the_young(ledger: Ledger) -> None:
    for number in range(1, 8):
        await delivered(ledger, number)
        await ledger.published([f"m{number:04}.1"])
    assert await ledger.purge(NOW + 6, 3) == 3
    assert await ledger.purge(NOW + 6, 3) == 2
    assert await ledger.purge(NOW + 6, 3) == 0
    assert [m.id for m in await ledger.find(MessageQuery())] == ["m0007", "m0006"]


async def test_nothing_that_waits_is_purged(ledger: Ledger) -> None:
    """Received, parked, an open delivery, an unpublished event."""
    mine = await lease(ledger)
    await ledger.commit(mine, [parked(await accepted(ledger, 1))])
    await accepted(ledger, 2)
    await delivered(ledger, 3, "fhir")
    await ledger.published(["m0003.1"])
    await delivered(ledger, 4)
    assert await ledger.purge(FAR, 100) == 0
    assert len(await ledger.find(MessageQuery())) == 4


async def test_how_long_destinations_took_to_answer_is_told_for_a_time(ledger: Ledger) -> None:
    """X13: refusals are answers; what was tried again without having been heard is not."""
    planned = await delivered(ledger, 1, "payer", "other", "third")
    second = 1_000_000
    for delivery, start, took, outcome in (
            (planned[0], 0, 25, AttemptOutcome.UNKNOWN), (planned[0], 100, 21, AttemptOutcome.DELIVERED),
            (planned[1], 0, 20, AttemptOutcome.REJECTED), (planned[2], 0, 1, AttemptOutcome.RETRY)):
        await ledger.settle(await lease(ledger), [settlement(
            delivery.id, DeliveryState.PENDING, attempt=Attempt(
                delivery_id=delivery.id, number=start + 1, started_at=NOW + start * second,
                ended_at=NOW + (start + took) * second, outcome=outcome))])
    names = {one.destination for one in planned}
    found = {one.destination: one for one in await ledger.turnaround(names, NOW, FAR, 20 * second)}
    assert found == {
        planned[0].destination: Turnaround(planned[0].destination, 1, 0, 1, 21 * second),
        planned[1].destination: Turnaround(planned[1].destination, 1, 1, 0, 20 * second)}
    assert await ledger.turnaround(names, NOW + 200 * second, FAR, 20 * second) == []
    assert await ledger.turnaround((), NOW, FAR, 20 * second) == []
