"""The simulated partners and the engine's own edges understand each other."""

from __future__ import annotations

from itertools import islice

import pytest

from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Unknown
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.sender import MllpSender
from connectors.hl7v2.settings import MllpIn, MllpOut
from connectors.http.sender import HttpSender
from connectors.http.settings import HttpOut
from simulators.downstream import DownstreamHl7
from simulators.ehr import Ehr, Sent, feed
from simulators.erp import Erp
from simulators.faults import Plan
from tests.conformance.door import Door


@pytest.mark.parametrize("style", ["lakeside", "mercy"])
async def test_the_ehr_is_received_byte_for_byte_and_acknowledged(style: str) -> None:
    """Invariants 1, 3, 9"""
    messages = list(islice(Ehr(style).histories(), 200))
    door = Door()
    receiver = MllpReceiver("ehr", MllpIn(port=0), door.accept, door.report)
    await receiver.start()
    try:
        tally = await feed(messages, "127.0.0.1", receiver.port, connections=4)
    finally:
        await receiver.stop(1)
    assert tally.accepted == 200
    assert tally.stray == tally.repeated == 0
    assert sorted(door.accepted) == sorted(m.body for m in messages)


def dispatch(message: Sent) -> Dispatch:
    return Dispatch(identity=message.control_id, body=Phi(message.body),
                    content_type="x-application/hl7-v2+er7")


@pytest.mark.parametrize(("rule", "word"), [
    ("late:0.05 once", Delivered), ("duplicate once", Delivered), ("ae:101 once", Rejected),
    ("ar:207 once", Retry), ("silence once", Unknown), ("lost once", Unknown),
    ("wrong-id once", Unknown), ("partial once", Unknown),
    ("close once", Unknown)])
async def test_the_downstream_system_can_misbehave_and_is_understood(rule: str, word: type[Outcome]) -> None:
    """A11, F14, F15, invariants 6 and 8."""
    message = next(Ehr().bookings())
    async with DownstreamHl7(plan=Plan(rule)) as sim:
        sender = MllpSender("down", MllpOut(port=sim.port, ack_timeout_s=0.3, reconnect_min_s=0.01))
        await sender.start()
        try:
            assert type(await sender.send(dispatch(message))) is word
            for _ in range(5):
                again = await sender.send(dispatch(message))
                if isinstance(again, Delivered):
                    break
        finally:
            await sender.stop(1)
    assert isinstance(again, Delivered)
    assert sim.sink.effects == {message.control_id: 1}


@pytest.mark.parametrize(("rule", "word"), [
    ("late:0.05 once", Delivered), ("422 once", Rejected), ("500 once", Retry), ("429:1 once", Retry),
    ("silence once", Unknown), ("lost once", Unknown), ("close once", Unknown)])
async def test_the_erp_can_misbehave_and_is_understood(rule: str, word: type[Outcome]) -> None:
    """H17, invariants 6 and 8."""
    body = Dispatch(identity="d-1", body=Phi(b'{"key": "a"}'), content_type="application/json")
    async with Erp(plan=Plan(rule)) as erp:
        sender = HttpSender("erp", HttpOut(url=erp.url, timeout_s=0.3))
        await sender.start()
        try:
            assert type(await sender.send(body)) is word
            assert isinstance(await sender.send(body), Delivered)
        finally:
            await sender.stop(1)
    assert erp.sink.effects == {"d-1": 1}
