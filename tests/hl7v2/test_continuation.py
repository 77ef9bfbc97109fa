"""Messages that come in parts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from canonical.receipt import Receipt
from connectors.base import Accept, Kept, Submission, Unavailable
from connectors.file.settings import FileIn
from connectors.file.spec import build_receiver
from connectors.hl7v2.continuation import Continuation, Joiner, fragment_of, joined
from connectors.hl7v2.er7 import parse
from connectors.hl7v2.peek import peek
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.settings import MllpIn
from tests.conformance.door import Door, until
from tests.hl7v2.messages import siu
from tests.hl7v2.mllp import raw_client


def part(control_id: str, body: str, *, continues: str = "", continued: str = "", style: str = "F") -> bytes:
    """A part of an MDM; `continues` is MSH-14, `continued` DSC-1."""
    end = f"DSC|{continued}|{style}\r" if continued else ""
    return (rf"MSH|^~\&|TRANS|MERCY|HUB|X|20260310||MDM^T02|{control_id}|P|2.5.1||{continues}|"
            f"\r{body}\r{end}").encode()


THREE = (part("1", "EVN||20260310\rPID|1||77^^^MERCY^MR\rOBX|1|TX|||The first sen", continued="A"),
         part("2", "ADD|tence.\rOBX|2|TX|||The second.|", continues="A", continued="B"),
         part("3", "ADD|||||F\rOBX|3|TX|||The third.", continues="B"))
WHOLE = (b"MSH|^~\\&|TRANS|MERCY|HUB|X|20260310||MDM^T02|1|P|2.5.1|||\rEVN||20260310\rPID|1||77^^^MERCY^MR\r"
         b"OBX|1|TX|||The first sentence.\rOBX|2|TX|||The second.|||||F\rOBX|3|TX|||The third.\r")


class Ticking:
    """A clock."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def joiner(door: Door, clock: Ticking | None = None, accept: Accept | None = None, **settings: object) -> Joiner:
    return Joiner("in", msgspec.convert(settings, Continuation), accept or door.accept, now=clock or Ticking())


def submission(raw: bytes) -> Submission:
    from canonical.phi import Phi
    return Submission(channel="in", raw=Phi(raw), peek=peek(raw), peer="1.2.3.4:5")


def whole_of(door: Door) -> list[Submission]:
    """What was submitted to be processed."""
    return [one for one in door.submissions if one.record is None and one.refusal is None and one.park is None]


def test_parts_are_joined_in_mid_segment_and_in_mid_field() -> None:
    """K01: ADD continues the segment before it, whether it was broken off in a field or between two."""
    assert joined(THREE) == WHOLE


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_order_in_which_parts_come_does_not_matter(order: tuple[int, ...]) -> None:
    """K01: each part is kept and acknowledged; the whole is one message, linked to its first part."""
    door = Door()
    one = joiner(door)
    for index in order:
        assert (await one.accept(submission(THREE[index]))).positive
    one.close()
    assert [s.record.code for s in door.submissions if s.record] == ["hl7.fragment"] * 3
    [whole] = whole_of(door)
    assert whole.raw.reveal() == WHOLE
    assert whole.peek.control_id == "1"
    assert whole.peek.lanes == ("patient:MERCY|77",)
    assert whole.parent_id == f"message-{order.index(0) + 1}"
    assert {lane.partition(":")[0] for s in door.submissions if s.record for lane in s.peek.lanes} == {"part"}


async def test_messages_of_two_senders_with_the_same_pointers_are_not_mixed() -> None:
    """K01: pointers are the sender's own."""
    door = Door()
    one = joiner(door)
    await one.accept(submission(THREE[0].replace(b"|MERCY|", b"|LAKESIDE|")))
    for each in THREE[1:]:
        await one.accept(submission(each))
    one.close()
    assert whole_of(door) == []


async def test_the_last_part_is_not_acknowledged_before_the_whole_is_stored() -> None:
    """K01, invariant 1: the ledger goes away between the two; the part that comes again completes the message."""
    door, away = Door(), [True]

    async def accept(one: Submission) -> Receipt:
        if one.record is None and away[0]:
            raise Unavailable
        return await door.accept(one)

    one = joiner(door, accept=accept)
    await one.accept(submission(THREE[0]))
    await one.accept(submission(THREE[1]))
    with pytest.raises(Unavailable):
        await one.accept(submission(THREE[2]))
    away[0] = False
    assert (await one.accept(submission(THREE[2]))).positive
    one.close()
    assert [s.raw.reveal() for s in whole_of(door)] == [WHOLE]


async def test_parts_that_come_again_have_no_second_effect() -> None:
    """K01, invariant 7: after the whole is stored, too."""
    door = Door()
    one = joiner(door)
    for each in (*THREE, *THREE, THREE[0], THREE[1]):
        assert (await one.accept(submission(each))).positive
    one.close()
    assert len(whole_of(door)) == 1


async def test_a_restart_in_the_middle_loses_no_part() -> None:
    """K01: the parts are in the ledger; a set that was complete but not joined is joined, and only once."""
    door = Door()
    first = joiner(door)
    for each in THREE[:2]:
        await first.accept(submission(each))
    first.close()

    async def recall(code: str, since: int, limit: int) -> Sequence[Kept]:
        assert code == "hl7.fragment"
        return [Kept(message_id=f"message-{n}", raw=s.raw, received_at=10**12, refused=False)
                for n, s in reversed(list(enumerate(door.submissions, 1))) if s.record is not None]

    second = joiner(door)
    await second.resume(recall)
    await second.accept(submission(THREE[2]))
    second.close()
    assert [s.raw.reveal() for s in whole_of(door)] == [WHOLE]
    third = joiner(door)
    await third.resume(recall)
    third.close()
    assert len({s.peek.dedup for s in whole_of(door)}) == 1, "the ledger knows it by its content"


async def test_an_incomplete_set_is_parked_once_after_its_time() -> None:
    """K02: somebody is told; the parts are there to look at; no value is in the text."""
    door, clock = Door(), Ticking()
    one = joiner(door, clock, wait_s=60.0)
    await one.accept(submission(THREE[0]))
    await one.accept(submission(THREE[2]))
    clock.now += 59
    await one.alert()
    assert [s.park for s in door.submissions] == [None, None]
    clock.now += 2
    await one.alert()
    await one.alert()
    parked = [s for s in door.submissions if s.park is not None]
    assert [s.park.code for s in parked if s.park] == ["hl7.fragment_orphan"] * 2, "two that do not know of each other"
    assert parked[0].raw.reveal() == THREE[0]
    assert parked[0].parent_id == "message-1"
    await one.accept(submission(THREE[1]))
    one.close()
    assert [s.raw.reveal() for s in whole_of(door)] == [WHOLE], "late is better than never"


async def test_the_alarm_comes_by_itself() -> None:
    """K02: nothing else has to happen on the channel."""
    import time

    door = Door()
    one = Joiner("in", Continuation(wait_s=0.05), door.accept, now=time.time)
    await one.accept(submission(THREE[0]))
    await until(lambda: any(s.park for s in door.submissions))
    one.close()


async def test_parts_over_the_limit_are_refused() -> None:
    """K03: across the parts, before memory is gone; the refusal is AE 104, as for one message that is too large."""
    door = Door()
    one = joiner(door, max_bytes=1024)
    assert (await one.accept(submission(THREE[0]))).positive
    large = part("2", "OBX|2|TX|||" + "x" * 2000, continues="A", continued="B")
    receipt = await one.accept(submission(large))
    one.close()
    assert not receipt.positive
    assert receipt.finding is not None
    assert receipt.finding.code == "hl7.fragments_too_large"
    assert whole_of(door) == []


@pytest.mark.parametrize(("raw", "is_part"), [
    (part("1", "QAK|1", continued="A", style="I"), False), (part("1", "QAK|1", continued="A", style="F"), True),
    (part("1", "OBX|1", continued="A", style=""), True), (part("1", "MSA|AA|9", continued="A", style=""), False),
    (part("1", "MSA|AA|9", continued="A", style="F"), True), (part("1", "OBX|1|TX|||DSC|A|F"), False), (siu(), False),
    (part("1", "OBX|1", continues="A"), True), (b"no header", False)])
def test_only_fragments_are_parts(raw: bytes, is_part: bool) -> None:
    """K04: DSC-2 F is a fragment; I (interactive) is a whole answer with more to be asked for."""
    assert (fragment_of(raw) is not None) is is_part


async def test_where_the_channel_does_not_join_parts_are_ordinary_messages() -> None:
    """K01 by configuration."""
    door = Door()
    one = joiner(door, join=False)
    for each in THREE:
        await one.accept(submission(each))
    assert len(whole_of(door)) == 3


async def test_parts_over_mllp_are_joined() -> None:
    """K01 end to end: pipelined, each with its own acknowledgement."""
    door = Door()
    receiver = MllpReceiver("in", MllpIn(port=0), door.accept, door.report)
    await receiver.start()
    async with raw_client(receiver.port) as client:
        await client.send_bytes(b"".join(b"\x0b" + each + b"\x1c\r" for each in THREE))
        answers = [await client.answer() for _ in THREE]
    await receiver.stop(1.0)
    assert [answer.split(b"MSA|")[1][:4] for answer in answers] == [b"AA|1", b"AA|2", b"AA|3"]
    assert [s.raw.reveal() for s in whole_of(door)] == [WHOLE]


async def test_parts_in_a_file_are_joined(tmp_path: Path) -> None:
    """K01, B01"""
    door = Door()
    (tmp_path / "a.hl7").write_bytes(b"".join(THREE))
    receiver = build_receiver("in", FileIn(path=str(tmp_path), ready="rename", poll_s=0.01), door.accept, door.report)
    await receiver.start()
    await until(lambda: whole_of(door))
    await receiver.stop(1.0)
    assert [s.raw.reveal() for s in whole_of(door)] == [WHOLE]


def test_the_whole_reads_as_one_message() -> None:
    """K01, P13"""
    message = parse(WHOLE)
    assert message.findings == ()
    assert [segment.field(5) for segment in message.all("OBX")] == [
        "The first sentence.", "The second.", "The third."]
