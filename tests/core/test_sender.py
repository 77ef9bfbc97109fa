"""The CORE sender does what every sender must do, and keeps the five layers of failure apart (X16)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aiohttp import web

from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Sender, Unknown
from connectors.core import soap
from connectors.core.sender import CoreSender, payload_type
from connectors.core.settings import CoreOut, Submitter
from connectors.http.settings import Secret
from simulators.faults import Plan
from simulators.payer import Payer
from tests.conformance.sender import Does, Peer, SenderConformance
from tests.core.messages import inquiry, request_278

_RULES = {Does.REFUSE: "reject", Does.BUSY: "envelope:Receiver", Does.SILENT: "silence", Does.DROP: "close"}


class _Scripted(Payer):
    """The payer, driven by a script, with every payload that was read."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[bytes] = []
        self.script: list[Does] = []

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        does = self.script.pop(0) if self.script else Does.ACCEPT
        payload = soap.parse(request.headers["Content-Type"], await request.read()).payload
        assert payload is not None
        self.received.append(payload.reveal())
        if does is Does.GARBAGE:
            return web.Response(body=b"<html>CANARY</html>", content_type="text/html")
        self.plan = Plan(f"{_RULES[does]} always") if does in _RULES else Plan()
        return await super()._serve(request)

    async def go_away(self) -> None:
        await self.__aexit__(None, None, None)

    async def come_back(self) -> None:
        await self.__aenter__()


class TestCoreSender(SenderConformance):
    """SOAP in real time."""

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        async with _Scripted() as peer:
            yield peer

    @asynccontextmanager
    async def running(self, peer: Peer) -> AsyncIterator[Sender]:
        async with _sending(CoreOut(url=cast("_Scripted", peer).url, sender_id="NORTHGATE", receiver_id="ACME",
                                    max_sessions=4, timeout_s=0.3)) as it:
            yield it

    def dispatch(self, number: int) -> Dispatch:
        return _dispatch(number)


@asynccontextmanager
async def _sending(settings: CoreOut) -> AsyncIterator[CoreSender]:
    it = CoreSender("payer", settings)
    await it.start()
    try:
        yield it
    finally:
        await it.stop(0.1)


def _dispatch(number: int, body: bytes = b"") -> Dispatch:
    return Dispatch(identity=f"d-{number}", body=Phi(body or inquiry(number)), content_type="application/EDI-X12")


async def _send(payer: Payer, *, form: str = "soap", body: bytes = b"", **settings: object) -> Outcome:
    made = CoreOut(url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", envelope=form,  # type: ignore[arg-type] # a literal, given as text
                   timeout_s=2.0, **settings)  # type: ignore[arg-type] # any setting
    async with _sending(made) as sender:
        return await sender.send(_dispatch(1, body))


@pytest.mark.parametrize("form", ["soap", "mime", "rest"])
async def test_an_inquiry_is_answered_in_the_same_exchange_in_every_envelope(form: str) -> None:
    """X16, 4.2: good in real time is a 271 and nothing else; it comes back as a message of its own."""
    async with Payer() as payer:
        outcome = await _send(payer, form=form)
    assert isinstance(outcome, Delivered)
    assert outcome.code == "271"
    assert outcome.response is not None
    assert b"*T1*" in outcome.response.reveal()
    assert payer.sink.arrivals[0].body == inquiry(1)


@pytest.mark.parametrize(("fault", "kind", "code"), [
    ("503:7", Retry, "http.busy"),
    ("500", Retry, "http.server_error"),
    ("404", Rejected, "http.refused"),
    ("lost", Unknown, "http.no_answer"),
    ("envelope:SenderIDIllegal", Rejected, "core.envelope_refused"),
    ("envelope:UnAuthorized", Rejected, "core.unauthorized"),
    ("envelope:Receiver", Retry, "core.payer_unavailable"),
    ("ta1:025", Rejected, "core.interchange_rejected"),
    ("reject", Rejected, "core.set_rejected"),
])
async def test_each_layer_that_fails_says_so_itself(fault: str, kind: type, code: str) -> None:
    """X16, X11: transport, envelope, TA1, 999 are four different failures."""
    async with Payer(plan=Plan(f"{fault} always")) as payer:
        outcome = await _send(payer)
    assert isinstance(outcome, kind)
    assert not isinstance(outcome, Delivered)
    assert outcome.finding.code == code


async def test_an_aaa_is_an_answer_and_no_failure_of_the_delivery() -> None:
    """4.2: syntax good, business reject: 271 with AAA, never a 999."""
    async with Payer(plan=Plan("aaa:75 always")) as payer:
        outcome = await _send(payer)
    assert isinstance(outcome, Delivered)
    assert outcome.response is not None
    assert b"AAA*N**75*C" in outcome.response.reveal()


async def test_refusals_of_the_payer_keep_their_answer() -> None:
    """X11: the 999 is there to be read, and becomes a message of the channel that takes answers."""
    async with Payer(plan=Plan("reject always")) as payer:
        outcome = await _send(payer)
    assert isinstance(outcome, Rejected)
    assert outcome.response is not None
    assert b"AK9*R" in outcome.response.reveal()
    assert not outcome.channel_wide


async def test_a_payer_that_is_away_is_not_asked_before_the_rule_allows() -> None:
    """X13: no retransmission before 90 s."""
    async with Payer(plan=Plan("envelope:Receiver once")) as payer:
        outcome = await _send(payer)
    assert isinstance(outcome, Retry)
    assert outcome.after == 90.0


@pytest.mark.parametrize(("fault", "took"), [("silence", 0.3), ("lost", 0.0)])
async def test_what_may_have_been_heard_is_not_repeated_before_the_rule_allows_either(fault: str, took: float) -> None:
    """X13: the 90 s count from the question, the time that was waited for its answer included."""
    async with Payer(plan=Plan(f"{fault} once")) as payer, _sending(CoreOut(
            url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", timeout_s=0.3)) as sender:
        outcome = await sender.send(_dispatch(1))
    assert isinstance(outcome, Unknown)
    assert outcome.after is not None
    assert 60 < outcome.after <= 90 - took


async def test_an_answer_after_20_seconds_is_taken_and_said_to_be_slow(caplog: pytest.LogCaptureFixture) -> None:
    """X13: with a shorter clock."""
    async with Payer(plan=Plan("late:0.3 once")) as payer, _sending(CoreOut(
            url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", slow_s=0.1)) as sender:
        slow, quick = [await sender.send(_dispatch(number)) for number in (1, 2)]
    assert isinstance(slow, Delivered)
    assert isinstance(quick, Delivered)
    assert [record.getMessage().split(",")[0] for record in caplog.records if "core.slow" in record.getMessage()] == [
        "core.slow: destination payer"]


async def test_an_answer_after_60_seconds_is_none() -> None:
    """X13: the hard limit, with a shorter clock; what comes later comes another way."""
    async with Payer(plan=Plan("late:5 once")) as payer, _sending(CoreOut(
            url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", timeout_s=0.3)) as sender:
        outcome = await sender.send(_dispatch(1))
    assert isinstance(outcome, Unknown)
    assert outcome.finding.code == "http.no_answer"


def test_the_limits_are_those_of_the_rule() -> None:
    """X13: 20 s, 60 s, 90 s."""
    settings = CoreOut(url="http://127.0.0.1", sender_id="A", receiver_id="B")
    assert (settings.slow_s, settings.timeout_s, settings.retry_after_s) == (20.0, 60.0, 90.0)


async def test_a_repeated_inquiry_is_asked_once() -> None:
    """Invariant 8: the payload id is that of the delivery."""
    async with Payer() as payer:
        await _send(payer)
        await _send(payer)
    assert len(payer.sink.arrivals) == 2
    assert payer.sink.repeated() == {}


@pytest.mark.parametrize("form", ["soap", "mime"])
async def test_user_and_password_stand_in_the_envelope(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """X16: WS-Security UsernameToken, or the fields of the MIME form."""
    monkeypatch.setenv("PAYER_PASSWORD", "s3cret")
    token = Submitter(user="clinic", password=Secret(env="PAYER_PASSWORD"))
    async with Payer(user="clinic", password="s3cret") as payer:
        assert isinstance(await _send(payer, form=form, submitter=token), Delivered)
        refused = await _send(payer, form=form)
    assert isinstance(refused, Rejected)
    assert refused.channel_wide


def test_a_password_never_travels_without_tls() -> None:
    """Z10"""
    with pytest.raises(ValueError, match="https"):
        CoreOut(url="http://payer.example/core", sender_id="A", receiver_id="B",
                submitter=Submitter(user="u", password=Secret(env="X")))


async def test_inquiries_that_wait_together_leave_as_one_batch() -> None:
    """X14, X16: one submission, with length and checksum; the receipt is the acknowledgement."""
    async with Payer() as payer, _sending(CoreOut(
            url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", mode="batch", collect_s=0.2, max_batch=5,
            mtom=True)) as sender:
        outcomes = await asyncio.gather(*(sender.send(_dispatch(number)) for number in range(7)))
    assert {type(outcome) for outcome in outcomes} == {Delivered}
    assert [arrival.body.count(b"ST*270") for arrival in payer.sink.arrivals] == [5, 2]
    assert len(payer.results) == 7


async def test_a_batch_that_may_have_been_taken_is_repeated_as_it_was() -> None:
    """Invariant 8: its inquiries come again with others, one by one; the payer gets the same payload under the same id."""
    async with Payer(plan=Plan("lost once")) as payer, _sending(CoreOut(
            url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", mode="batch", collect_s=0.2)) as sender:
        first = await asyncio.gather(*(sender.send(_dispatch(number)) for number in (1, 2, 3)))
        assert {type(outcome) for outcome in first} == {Unknown}
        again = await asyncio.gather(*(sender.send(_dispatch(number)) for number in (2, 3, 4)))
        last = await sender.send(_dispatch(1))
    assert {type(outcome) for outcome in (*again, last)} == {Delivered}
    assert [arrival.body.count(b"ST*270") for arrival in payer.sink.arrivals] == [3, 3, 1]
    assert payer.sink.arrivals[0].identity == payer.sink.arrivals[1].identity
    assert [arrival.effect for arrival in payer.sink.arrivals] == [True, False, True]


@pytest.mark.parametrize("body", [b"not x12", b"ISA*broken~", b"\x00"])
async def test_what_is_no_interchange_does_not_leave(body: bytes) -> None:
    """core.not_x12"""
    async with Payer() as payer:
        outcome = await _send(payer, body=body)
    assert isinstance(outcome, Rejected)
    assert outcome.finding.code == "core.not_x12"
    assert payer.requests == 0


def test_the_payload_type_is_read_from_the_interchange() -> None:
    """CORE 270, table of payload types"""
    assert payload_type(inquiry(1)) == "X12_270_Request_005010X279A1"
    assert payload_type(request_278(1)) == "X12_278_Request_005010X217"
    assert payload_type(inquiry(1).replace(b"~", b"\n").replace(b"*", b"|")) == "X12_270_Request_005010X279A1"
