"""The sequence number protocol, both sides."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Kept, Rejected, Retry, Unknown
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.sender import MllpSender
from connectors.hl7v2.sequence import last_of, rule
from connectors.hl7v2.settings import MllpIn, MllpOut
from router.ids import MessageIds
from router.receive import Door as RealDoor
from router.site import Channel
from tests.conformance.door import Door, until
from tests.hl7v2.messages import siu
from tests.hl7v2.mllp import RawClient, raw_client
from tests.router.world import TestClock
from wiring import database
from wiring.recall import recall


def numbered(number: object, control_id: str = "", **given: str) -> bytes:
    """A SIU with MSH-13."""
    raw = siu(control_id or f"M{number}", **given)
    fields = raw.split(b"|", 13)
    fields[12] = str(number).encode()
    return b"|".join(fields)


async def told(client: RawClient, raw: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-4 of the answer."""
    await client.send(raw)
    answer = await client.answer()
    fields = [*answer.decode().split("\rMSA|")[1].split("\r")[0].split("|"), "", "", ""]
    return fields[0], fields[3]


@contextlib.asynccontextmanager
async def listening(door: Door, *, sequence: bool = True) -> AsyncIterator[MllpReceiver]:
    receiver = MllpReceiver("in", MllpIn(port=0, sequence=sequence), door.accept, door.report)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop(1.0)


async def test_a_link_starts_with_a_question() -> None:
    """S01: MSH-13 is 0; MSA-4 is one more than the last number, or -1 where there is none yet."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        assert await told(client, numbered(0, "Q1")) == ("AA", "-1")
        assert await told(client, numbered(41)) == ("AA", "41")
        assert await told(client, numbered(0, "Q2")) == ("AA", "42")
        assert await told(client, numbered(42)) == ("AA", "42")
    processed = [s.peek.control_id for s in door.submissions if s.record is None]
    assert processed == ["M41", "M42"], "a question is kept, and not processed"


async def test_minus_one_resynchronises() -> None:
    """S02: the next number counts, whatever it is."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        assert await told(client, numbered(7)) == ("AA", "7")
        assert await told(client, numbered(-1, "R")) == ("AA", "-1")
        assert await told(client, numbered(1_999_999_999)) == ("AA", "1999999999")


async def test_a_gap_is_refused_until_what_is_missing_has_come() -> None:
    """S03: NAK and stop; MSA-4 says what is expected; what was refused is new when it comes in order."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await told(client, numbered(1))
        for _ in range(2):
            assert await told(client, numbered(3)) == ("AR", "2")
        assert await told(client, numbered(2)) == ("AA", "2")
        assert await told(client, numbered(3)) == ("AA", "3")
    assert [s.refusal.code for s in door.submissions if s.refusal] == ["hl7.sequence_gap"] * 2
    assert {s.refusal.detail for s in door.submissions if s.refusal} == {"3 came, 2 was expected"}


async def test_a_number_that_was_taken_is_acknowledged_and_not_processed() -> None:
    """S03, invariant 7: the same bytes get the stored answer; other bytes under an old number are flagged."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await told(client, numbered(1))
        await told(client, numbered(2))
        assert await told(client, numbered(1)) == ("AA", "1")
        assert await told(client, numbered(1, "OTHER")) == ("AA", "1")
        assert await told(client, numbered(3)) == ("AA", "3")
    assert [s.peek.control_id for s in door.submissions if s.record is None] == ["M1", "M2", "M3"]
    assert door.submissions[-2].record is not None
    assert door.submissions[-2].record.code == "hl7.sequence_repeated"


async def test_pipelined_numbers_are_taken_one_after_another() -> None:
    """S03, F02"""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send_bytes(b"".join(b"\x0b" + numbered(n) + b"\x1c\r" for n in range(1, 6)))
        answers = [await client.answer() for _ in range(5)]
    assert all(b"MSA|AA|" in answer for answer in answers)
    assert len(door.accepted) == 5


async def test_a_message_that_was_not_stored_leaves_the_number_as_it_was() -> None:
    """S04: the number moves with the commit, not before."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await told(client, numbered(1))
        door.unavailable = True
        assert (await told(client, numbered(2)))[0] == "AR"
        door.unavailable = False
        assert await told(client, numbered(3)) == ("AR", "2")
        assert await told(client, numbered(2)) == ("AA", "2")


@pytest.mark.parametrize("number", ["", "x", "-2"])
async def test_a_message_without_a_number_is_refused(number: str) -> None:
    """S03: AE 101; it would be a hole nobody sees."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        assert (await told(client, numbered(number, "X")))[0] == "AE"
    assert door.accepted == []


async def test_the_protocol_is_off_by_default() -> None:
    """S05: MSH-13 is then nobody's business."""
    assert MllpIn(port=0).sequence is MllpOut(port=0).sequence is False
    door = Door()
    async with listening(door, sequence=False) as receiver, raw_client(receiver.port) as client:
        for number in (5, 3, 0, ""):
            assert await told(client, numbered(number, f"C{number}")) == ("AA", "")
    assert len(door.accepted) == 4


async def test_the_number_survives_a_restart_because_it_is_in_the_message(tmp_path: Path) -> None:
    """S04: on a real ledger; refused, repeated and link messages do not count."""
    url = f"sqlite:///{tmp_path}/ledger.sqlite3"
    database.prepare(url)
    clock = TestClock()

    @contextlib.asynccontextmanager
    async def engine() -> AsyncIterator[int]:
        ledger = await database.start(url, partitions=1, outbox=False)
        door = RealDoor(ledger, {"in": Channel(connector="mllp", mapping="x")}, 1, MessageIds(clock, 1), lambda _: None)
        receiver = MllpReceiver("in", MllpIn(port=0, sequence=True), door.accept, door.report)
        await receiver.resume(recall(ledger, "in"))
        await receiver.start()
        try:
            yield receiver.port
        finally:
            await receiver.stop(1.0)
            await ledger.stop()

    async with engine() as port, raw_client(port) as client:
        assert await told(client, numbered(0, "Q1")) == ("AA", "-1")
        for number in (10, 11):
            assert await told(client, numbered(number)) == ("AA", str(number))
        assert await told(client, numbered(10, "OTHER")) == ("AA", "10")
        assert await told(client, numbered(13)) == ("AR", "12")
    async with engine() as port, raw_client(port) as client:
        assert await told(client, numbered(0, "Q2")) == ("AA", "12")
        assert await told(client, numbered(13)) == ("AR", "12")
        assert await told(client, numbered(-1, "R")) == ("AA", "-1")
    async with engine() as port, raw_client(port) as client:
        assert await told(client, numbered(0, "Q3")) == ("AA", "-1")
        assert await told(client, numbered(3)) == ("AA", "3")


def test_what_a_channel_has_stored_tells_the_last_number() -> None:
    """S04"""
    def kept(number: int, *, refused: bool = False, reason: str = "") -> Kept:
        return Kept(message_id="m", raw=Phi(numbered(number)), received_at=1, refused=refused, reason=reason)

    stored: Sequence[Kept] = [kept(0), kept(9, refused=True), kept(2, reason="hl7.sequence_repeated"), kept(5), kept(4)]
    assert last_of(stored) == 5
    assert last_of([kept(-1), kept(5)]) is None
    assert last_of([]) is None
    assert rule(1, None).last == 1


# -- the sending side


def dispatch(control_id: str) -> Dispatch:
    return Dispatch(identity=f"D-{control_id}", body=Phi(siu(control_id)), content_type="x-application/hl7-v2+er7")


@contextlib.asynccontextmanager
async def sending(port: int, **settings: Any) -> AsyncIterator[MllpSender]:
    sender = MllpSender("out", MllpOut(port=port, sequence=True, **{"ack_timeout_s": 0.3, **settings}))
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop(1.0)


def numbers(door: Door) -> list[bytes]:
    """MSH-13 of what was taken to be processed."""
    return [raw.split(b"|", 13)[12] for raw, s in zip(door.accepted, [s for s in door.submissions if s.refusal is None],
                                                      strict=True) if s.record is None]


async def test_we_number_what_we_send_and_begin_where_the_peer_is() -> None:
    """S01: our sender to our receiver; a new connection asks again."""
    door = Door()
    async with listening(door) as receiver:
        receiver.last_number = 99
        async with sending(receiver.port) as sender:
            for control_id in ("A", "B"):
                assert isinstance(await sender.send(dispatch(control_id)), Delivered)
        async with sending(receiver.port) as sender:
            assert isinstance(await sender.send(dispatch("C")), Delivered)
    assert numbers(door) == [b"100", b"101", b"102"]


async def test_a_lost_acknowledgement_is_recognised_and_the_message_not_sent_twice() -> None:
    """S01, S03, F14: the peer took it; asked again, it expects the next number."""
    door = Door()
    door.open.clear()
    async with listening(door) as receiver, sending(receiver.port) as sender:
        receiver.last_number = 0
        door.open.set()
        assert isinstance(await sender.send(dispatch("A")), Delivered)
        door.open.clear()
        assert isinstance(await sender.send(dispatch("B")), Unknown)
        door.open.set()
        await until(lambda: receiver.last_number == 2)
        stored = len(numbers(door))
        assert await sender.send(dispatch("B")) == Delivered("AA")
        assert len(numbers(door)) == stored
        assert isinstance(await sender.send(dispatch("C")), Delivered)
    assert numbers(door) == [b"1", b"2", b"3"]


async def test_a_peer_that_expects_another_number_is_asked_and_obeyed() -> None:
    """S03: its number is the truth."""
    door = Door()
    async with listening(door) as receiver, sending(receiver.port) as sender:
        assert isinstance(await sender.send(dispatch("A")), Delivered)
        receiver.last_number = 0  # somebody has reset it
        outcome = await sender.send(dispatch("B"))
        assert isinstance(outcome, Retry)
        assert isinstance(await sender.send(dispatch("B")), Delivered)
    assert numbers(door)[-1] == b"1"


async def test_nothing_is_sent_to_a_peer_that_does_not_speak_it() -> None:
    """S01: no MSA-4, no message."""
    door = Door()
    async with listening(door, sequence=False) as receiver, sending(receiver.port) as sender:
        outcome = await sender.send(dispatch("A"))
    assert isinstance(outcome, Retry)
    assert not isinstance(outcome, Rejected)
    assert outcome.finding.code == "hl7.sequence_no_link"
    assert [raw.split(b"|", 13)[12] for raw in door.accepted] == [b"0"]


def test_numbers_are_one_stream() -> None:
    """S01: found when the configuration is read."""
    with pytest.raises(ValueError, match="max_sessions"):
        MllpOut(port=1, sequence=True, max_sessions=2)
