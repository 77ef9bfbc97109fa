"""The simulated EHR against the simulated downstream system, over real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from itertools import islice

import pytest

from simulators.downstream import DownstreamHl7, key_of
from simulators.ehr import Ehr, Sent, Tally, feed
from simulators.faults import Plan
from simulators.mllp import field, first, segments


async def run(messages: Iterable[Sent], *rules: str, connections: int = 1, timeout_s: float = 5.0,
              attempts: int = 10) -> tuple[Tally, DownstreamHl7]:
    async with DownstreamHl7(plan=Plan(*rules)) as sim:
        tally = await feed(messages, "127.0.0.1", sim.port, connections=connections, timeout_s=timeout_s,
                           attempts=attempts, pause_s=0.01)
    return tally, sim


def histories(count: int, style: str = "mercy", seed: int = 1) -> list[Sent]:
    return list(islice(Ehr(style, seed=seed).histories(wave=20), count))


@pytest.mark.parametrize("style", ["lakeside", "mercy"])
def test_the_same_seed_tells_the_same_story(style: str) -> None:
    assert histories(300, style) == histories(300, style)
    one, two = ({m.control_id for m in histories(50, style, seed)} for seed in (1, 2))
    assert not one & two


@pytest.mark.parametrize("style", ["lakeside", "mercy"])
def test_every_scheduling_and_registration_trigger_is_told(style: str) -> None:
    told = {message.trigger for message in islice(Ehr(style).histories(), 5000)}
    assert told == {"S12", "S13", "S14", "S15", "S16", "S17", "S18", "S19", "S20", "S21", "S22", "S23", "S24",
                    "S26", "S27", "A01", "A03", "A04", "A05", "A08", "A28", "A31", "A40"}


def test_an_appointment_is_booked_before_anything_else_happens_to_it() -> None:
    booked: set[str] = set()
    for message in histories(1000):
        number = field(first(segments(message.body), "SCH"), 2)
        if message.trigger == "S12":
            booked.add(number)
        elif number and message.trigger not in {"S23", "S24"}:
            assert number in booked


def test_lakeside_is_an_old_system() -> None:
    for message in histories(400, "lakeside"):
        parts = segments(message.body)
        assert field(parts[0], 12) == "2.3"
        assert field(parts[0], 18) == ""
        assert not first(parts, "TQ1")
        assert not re.search(r"\d{14}[+-]\d{4}", message.body.decode("latin-1"))
        if message.trigger == "S12":
            assert re.fullmatch(r"\^\^\d+\^\d{14}\^\d{14}", field(first(parts, "SCH"), 11))


def test_mercy_is_a_newer_one() -> None:
    for message in histories(400):
        parts = segments(message.body)
        assert field(parts[0], 12) == "2.5.1"
        assert field(parts[0], 18) == "UNICODE UTF-8"
        assert re.fullmatch(r"\d{14}-0[45]00", field(parts[0], 7))
        if message.trigger == "S12":
            assert re.fullmatch(r"\d{14}-0[45]00", field(first(parts, "TQ1"), 7))
            assert first(parts, "ZAP")
            assert field(first(parts, "SCH"), 11) == ""


@pytest.mark.parametrize("style", ["lakeside", "mercy"])
def test_some_messages_are_broken_on_purpose_and_say_so(style: str) -> None:
    messages = list(islice(Ehr(style, spoil_every=3).bookings(), 9))
    assert [m.spoiled for m in messages] == [False, False, True] * 3
    assert all((re.search(rb"\d{4}13\d{8}", m.body) is not None) == m.spoiled for m in messages)


@pytest.mark.parametrize("connections", [1, 8])
async def test_messages_of_a_patient_arrive_in_order(connections: int) -> None:
    """Invariant 4, as seen by a partner."""
    messages = histories(300)
    tally, sim = await run(messages, connections=connections)
    assert tally.sent == tally.accepted == 300
    assert sorted(tally.acknowledged) == sorted(m.control_id for m in messages)
    assert sim.connections == connections
    for key in sim.sink.all_keys():
        sent = [m.control_id for m in messages if key_of(segments(m.body)) == key]
        assert sim.sink.order(key) == sent


@pytest.mark.parametrize("rule", ["silence every 7", "close every 7", "lost every 7", "partial every 7",
                                  "wrong-id every 7"])
async def test_what_was_not_acknowledged_is_sent_again_unchanged(rule: str) -> None:
    """F14: the same MSH-10; F15: an acknowledgement for something else does not count."""
    messages = histories(40)
    tally, sim = await run(messages, rule, timeout_s=0.1)
    assert tally.accepted == 40
    assert tally.repeated >= 5
    assert sim.sink.repeated() == {}
    assert set(sim.sink.effects) == {m.control_id for m in messages}
    assert (tally.stray > 0) == rule.startswith("wrong-id")


@pytest.mark.parametrize(("rule", "code"), [("ae:101 at 3", "AE"), ("ar:202 at 3", "AR")])
async def test_a_refusal_is_counted_and_has_no_effect(rule: str, code: str) -> None:
    messages = histories(5)
    tally, sim = await run(messages, rule)
    assert tally.refused == {code: 1}
    assert tally.accepted == 4
    assert messages[2].control_id not in sim.sink.effects


async def test_a_second_acknowledgement_is_stray() -> None:
    tally, _ = await run(histories(5), "duplicate first 4")
    assert tally.accepted == 5
    assert tally.stray == 4


async def test_a_late_acknowledgement_is_waited_for() -> None:
    tally, _ = await run(histories(3), "late:0.05 always")
    assert tally.accepted == 3
    assert tally.repeated == 0


async def test_without_any_acknowledgement_the_ehr_gives_up_and_says_which() -> None:
    messages = histories(2)
    tally, _ = await run(messages, "silence always", timeout_s=0.02, attempts=2)
    assert tally.given_up == [m.control_id for m in messages]
    assert tally.acknowledged == []


def test_the_simulators_run_on_uvloop_too() -> None:
    """The engine runs on it where it is installed."""
    uvloop = pytest.importorskip("uvloop")
    tally, sim = uvloop.run(run(histories(20), "close at 5", connections=2))
    assert tally.accepted == 20
    assert sim.sink.repeated() == {}


async def test_frames_may_come_in_any_pieces() -> None:
    """F01, F02, F03: the partner's own framing."""
    first_message, second_message = histories(2)
    async with DownstreamHl7() as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
        stream = b"noise\x0b" + first_message.body + b"\x1c\r\n\x0b" + second_message.body + b"\x1c\r"
        for cut in range(0, len(stream), 97):
            writer.write(stream[cut:cut + 97])
            await writer.drain()
        answers = [await reader.readuntil(b"\x1c\r") for _ in range(2)]
        writer.close()
    assert [m.control_id.encode() in a for m, a in zip((first_message, second_message), answers, strict=True)] \
        == [True, True]
    assert [a.body for a in sim.sink.arrivals] == [first_message.body, second_message.body]
