"""What comes before that which it builds on, and what comes twice: D01, D02, D05, A4.4, with real messages."""

from __future__ import annotations

from canonical.model import AppointmentStatus
from store.records import MessageState
from tests.router.hospital import Hospital, adt, merge, numbers, siu

S = AppointmentStatus
HOUR = 3600


# -- unknown appointments (D05) -----------------------------------------------------------------------------


async def test_a_change_of_an_unknown_visit_creates_it_where_nothing_else_is_said() -> None:
    """D05, first policy."""
    for trigger in ("S13", "S14", "S15"):
        async with Hospital() as clinic:
            (one,) = await clinic.tell(siu(trigger, "V1", "P", at=2))
            assert (await clinic.visit("V1")).inferred is True
            assert "history.inferred" in await clinic.findings(one)


async def test_a_change_of_an_unknown_visit_waits_for_its_booking_and_holds_nobody_up() -> None:
    """D05, second policy: the S12 passes it in the lane of the same patient."""
    async with Hospital(wait_for_unknown_s=HOUR) as clinic:
        early = await clinic.accept(siu("S13", "V1", "P", at=2, start="20260421100000+0000"))
        other = await clinic.accept(siu("S12", "V2", "P", at=3))
        await clinic.is_in(other, MessageState.PROCESSED)
        assert (await clinic.message(early)).state is MessageState.RECEIVED
        booking = await clinic.accept(siu("S12", "V1", "P", at=1))
        await clinic.settled()
        visit = await clinic.visit("V1")
        assert visit.start == "2026-04-21T10:00:00+00:00"
        assert not visit.inferred
        assert "history.inferred" not in await clinic.findings(early)
        order = [body.split(b"|")[8] for body in clinic.sinks["events"].bodies]
        assert order == [b"SIU^S12^SIU_S12", b"SIU^S12^SIU_S12", b"SIU^S13^SIU_S12"]
        assert (await clinic.message(booking)).state is MessageState.PROCESSED


async def test_both_in_one_batch_need_no_second_look() -> None:
    async with Hospital(wait_for_unknown_s=HOUR) as clinic:
        for n in range(20):
            await clinic.accept(siu("S14", f"V{n}", "P", at=50 + n))
            await clinic.accept(siu("S12", f"V{n}", "P", at=n))
        await clinic.settled()
        for n in range(20):
            assert not (await clinic.visit(f"V{n}")).inferred


async def test_what_has_waited_long_enough_is_created_from_content() -> None:
    """D05: T seconds after it was received."""
    async with Hospital(wait_for_unknown_s=HOUR) as clinic:
        early = await clinic.accept(siu("S15", "V1", "P", at=2))
        other = await clinic.accept(siu("S12", "V2", "P", at=3))
        await clinic.is_in(other, MessageState.PROCESSED)
        assert (await clinic.message(early)).state is MessageState.RECEIVED
        clinic.clock.skew += HOUR * 1_000_000
        await clinic.settled()
        visit = await clinic.visit("V1")
        assert (visit.status, visit.inferred) == (S.CANCELLED, True)
        assert "history.inferred" in await clinic.findings(early)


async def test_what_waits_survives_the_process_that_set_it_aside() -> None:
    clinic = Hospital(wait_for_unknown_s=HOUR)
    await clinic.engine.start({})
    early = await clinic.accept(siu("S14", "V1", "P", at=2))
    other = await clinic.accept(siu("S12", "V2", "P", at=3))
    await clinic.is_in(other, MessageState.PROCESSED)
    await clinic.engine.stop(1.0)
    async with Hospital(wait_for_unknown_s=HOUR, ledger=clinic.ledger) as later:
        await later.tell(siu("S12", "V1", "P", at=1))
        assert not (await later.visit("V1")).inferred
        assert (await later.message(early)).state is MessageState.PROCESSED


# -- merges into somebody unknown (A4.4) --------------------------------------------------------------------


async def test_a_merge_waits_for_a_survivor_nobody_knows_and_its_registration_releases_it() -> None:
    """A4.4"""
    for partitions in (1, 8):
        async with Hospital(wait_for_unknown_s=HOUR, partitions=partitions) as clinic:
            await clinic.tell(siu("S12", "V1", "OLD", at=1))
            held = await clinic.accept(merge("NEW", "OLD", at=2))
            free = await clinic.accept(siu("S12", "V2", "NEW", at=3))
            await clinic.is_in(free, MessageState.PROCESSED)
            assert (await clinic.message(held)).state is MessageState.RECEIVED
            assert numbers(await clinic.visit("V1")) == ["OLD"]
            await clinic.tell(adt("A28", "NEW", at=4, sex="F"))
            assert numbers(await clinic.visit("V1")) == ["NEW"]
            await clinic.tell(siu("S14", "V1", "OLD", at=5))
            assert numbers(await clinic.visit("V1")) == ["NEW"]


# -- identities (D01, D02) ----------------------------------------------------------------------------------


def renumbered(raw: bytes, control: bytes) -> bytes:
    fields = raw.split(b"|")
    fields[9] = control
    return b"|".join(fields)


async def test_a_control_id_with_another_content_is_processed_and_told() -> None:
    """D01: many senders begin to count anew."""
    async with Hospital() as clinic:
        first, again, second = await clinic.tell(
            renumbered(siu("S12", "V1", "P", at=1), b"77"), renumbered(siu("S12", "V1", "P", at=1), b"77"),
            renumbered(siu("S12", "V2", "P", at=2), b"77"))
        assert first == again
        assert second != first
        assert "receive.control_id_reused" not in await clinic.findings(first)
        assert "receive.control_id_reused" in await clinic.findings(second)
        assert (await clinic.visit("V2")).status == S.BOOKED


async def test_a_channel_may_park_a_control_id_with_another_content() -> None:
    """D01: a person decides, and what is released is not parked again for the same reason."""
    async with Hospital(reused_control_id="park") as clinic:
        _, second = await clinic.tell(renumbered(siu("S12", "V1", "P", at=1), b"77"),
                                      renumbered(siu("S12", "V2", "P", at=2), b"77"))
        assert (await clinic.message(second)).reason == "receive.control_id_parked"
        await clinic.release(second)
        assert (await clinic.visit("V2")).status == S.BOOKED


async def test_the_same_content_under_another_control_id_changes_nothing() -> None:
    """D01: a suspected resend."""
    async with Hospital() as clinic:
        raw = siu("S12", "V1", "P", at=1)
        await clinic.tell(raw)
        before = await clinic.visit("V1")
        (again,) = await clinic.tell(renumbered(raw, b"other"))
        assert await clinic.visit("V1") == before
        assert "history.booked_again" in await clinic.findings(again)


async def test_a_duplicate_is_known_for_as_long_as_the_first_copy_is_kept() -> None:
    """D02: `retention.days`, which must not be shorter than a partner repeats."""
    async with Hospital() as clinic:
        raw = siu("S12", "V1", "P", at=1)
        (first,) = await clinic.tell(raw)
        received = (await clinic.message(first)).received_at
        assert await clinic.ledger.purge(received, 100) == 0
        assert await clinic.tell(raw) == [first]
        assert await clinic.ledger.purge(received + 1, 100) == 1
        assert await clinic.tell(raw) != [first]


async def test_a_message_that_is_none_of_our_business_is_filtered_and_says_why() -> None:
    """A08: a swap of beds (A17) is accepted, waits for nobody, and is found by its reason."""
    async with Hospital() as clinic:
        (swap,) = await clinic.tell(adt("A17", "P", at=1))
        stored = await clinic.message(swap)
        assert (stored.state, stored.reason) == (MessageState.FILTERED, "route.not_looked_at")
        assert await clinic.findings(swap) == ["route.not_looked_at"]


async def test_nothing_is_lost_by_a_change_of_number() -> None:
    """A46, A47: later messages by either number find the person; A50 changes the number of a visit and no person."""
    async with Hospital() as clinic:
        change = merge("NEW", "OLD", at=2).replace(b"ADT^A40^ADT_A39", b"ADT^A47^ADT_A30")
        stay = merge("P2", "P2", at=3).replace(b"ADT^A40^ADT_A39", b"ADT^A50^ADT_A50")
        await clinic.tell(siu("S12", "V1", "OLD", at=1), change, siu("S12", "V2", "NEW", at=4), stay,
                          siu("S12", "V3", "OLD", at=5), siu("S12", "V4", "P2", at=6))
        whose = [(await clinic.state(visit)).patient_key for visit in ("V1", "V2", "V3", "V4")]
        assert whose == ["patient:MERCY|NEW"] * 3 + ["patient:MERCY|P2"]
