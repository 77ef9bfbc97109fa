"""MLLP sender: what is special to MLLP. The common part is in `test_conformance`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Rejected, Retry, Unknown
from connectors.hl7v2.disposition import Disposition, DispositionRule
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.sender import MllpSender
from connectors.hl7v2.settings import MllpIn, MllpOut, TlsClient, TlsServer
from tests.conformance.door import Door
from tests.conformance.sender import Does
from tests.hl7v2.messages import acknowledgement, certificates, siu
from tests.hl7v2.mllp import scripted_peer


def dispatch(control_id: str = "1", body: bytes | None = None) -> Dispatch:
    return Dispatch(identity=f"D-{control_id}", body=Phi(siu(control_id) if body is None else body),
                    content_type="x-application/hl7-v2+er7")


@contextlib.asynccontextmanager
async def sending(port: int, **settings: Any) -> AsyncIterator[MllpSender]:
    """A sender that gives up after 0.3 s."""
    sender = MllpSender("to-lab", MllpOut(port=port, **{"ack_timeout_s": 0.3, **settings}), jitter=lambda: 1.0)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop(1.0)


async def test_an_answer_to_another_message_is_dropped_and_the_wait_goes_on() -> None:
    """F15: never paired by position."""
    async with scripted_peer() as peer, sending(peer.port) as sender:
        peer.before = acknowledgement("AE", "OTHER") + b"noise" + b"\x0bno message\x1c\r"
        assert isinstance(await sender.send(dispatch()), Delivered)
        assert sender.strange_answers == 2


async def test_an_answer_to_another_message_alone_is_unknown() -> None:
    """F14, F15: until the time is up."""
    async with scripted_peer() as peer, sending(peer.port) as sender:
        peer.replies = [acknowledgement("AA", "OTHER")]
        outcome = await sender.send(dispatch())
        assert isinstance(outcome, Unknown)
        assert outcome.finding.code == "mllp.no_answer"


async def test_answers_that_nobody_waits_for_are_drained() -> None:
    """F17: the peer answers each message twice; the second answer is never the next message's."""
    async with scripted_peer() as peer, sending(peer.port) as sender:
        for number in range(3):
            peer.replies = [acknowledgement("AA", str(number)) + acknowledgement("AE", str(number), error="103")]
            assert isinstance(await sender.send(dispatch(str(number))), Delivered)
            await asyncio.sleep(0.01)
        assert sender.strange_answers == 3


async def test_one_connection_is_kept_and_used_for_one_message_at_a_time() -> None:
    """F12, F13: never two in flight unless configured."""
    connections = 0
    flying = most = 0
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, flying, most
        connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                content = await reader.readuntil(b"\x1c\r")
                flying += 1
                most = max(most, flying)
                await asyncio.sleep(0.005)
                flying -= 1
                writer.write(acknowledgement("AA", content.split(b"|")[9].decode()))
        writer.close()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with sending(server.sockets[0].getsockname()[1]) as sender:
        outcomes = await asyncio.gather(*(sender.send(dispatch(str(n))) for n in range(6)))
    server.close()
    await gone.wait()
    await asyncio.sleep(0)
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    assert (connections, most) == (1, 1)


async def test_reconnecting_backs_off_without_waiting_in_the_sender() -> None:
    """F13: the pause doubles up to its limit and is told to the router."""
    async with scripted_peer() as peer, sending(peer.port, reconnect_min_s=5.0, reconnect_max_s=8.0) as sender:
        await peer.go_away()
        first, second = await sender.send(dispatch()), await sender.send(dispatch())
        await peer.come_back()
    assert isinstance(first, Retry)
    assert isinstance(second, Retry)
    assert first.after == 5.0
    assert second.after is not None
    assert 0 < second.after <= 5.0
    assert peer.received == []


@pytest.mark.parametrize(("code", "error", "kind", "finding"), [
    ("AE", "103", Rejected, "mllp.refused"), ("AR", "202", Rejected, "mllp.refused_all"),
    ("AE", "205", Rejected, "mllp.duplicate_key"), ("AE", "206", Retry, "mllp.try_again"),
    ("AR", "", Retry, "mllp.try_again"), ("OK", "", Unknown, "mllp.unclear_answer")])
async def test_negative_answers_are_read_by_the_table(code: str, error: str, kind: type, finding: str) -> None:
    """A11, end to end; the answer is kept and masked."""
    async with scripted_peer() as peer, sending(peer.port) as sender:
        peer.replies = [acknowledgement(code, "1", error=error, text="CANARY")]
        outcome = await sender.send(dispatch())
    assert isinstance(outcome, kind)
    assert isinstance(outcome, Rejected | Retry | Unknown)
    assert outcome.finding.code == finding
    assert outcome.code == f"{code} {error}".strip()
    assert "CANARY" not in repr(outcome)
    if isinstance(outcome, Rejected):
        assert outcome.channel_wide is (error == "202")
        assert outcome.response is not None
        assert b"CANARY" in outcome.response.reveal()


async def test_the_place_a_peer_complains_about_is_shown() -> None:
    """A07: ERR-2, if it is a place; never words."""
    async with scripted_peer() as peer, sending(peer.port) as sender:
        peer.replies = [acknowledgement("AE", "1", error="103", text="CANARY")]
        outcome = await sender.send(dispatch())
    assert isinstance(outcome, Rejected)
    assert outcome.finding.detail.endswith(": SCH-2")


async def test_a_partner_s_own_rows_decide_first() -> None:
    """A11: by text."""
    row = DispositionRule(text="already booked", disposition=Disposition.DELIVERED)
    async with scripted_peer() as peer, sending(peer.port, dispositions=(row,)) as sender:
        peer.replies = [acknowledgement("AE", "1", error="103", text="Already Booked")]
        assert isinstance(await sender.send(dispatch()), Delivered)


async def test_a_duplicate_key_after_silence_means_that_it_had_arrived() -> None:
    """A11, 205: delivered if the same bytes were sent before without answer; else somebody must look."""
    async with scripted_peer() as peer, sending(peer.port) as sender:
        peer.script = [Does.SILENT]
        assert isinstance(await sender.send(dispatch()), Unknown)
        peer.replies = [acknowledgement("AE", "1", error="205")]
        assert isinstance(await sender.send(dispatch()), Delivered)
        peer.replies = [acknowledgement("AE", "1", error="205")]
        assert isinstance(await sender.send(dispatch()), Rejected)


async def test_an_answer_that_is_a_message_of_its_own_is_handed_on() -> None:
    """SRR, RSP: it goes through the one door."""
    reply = b"\x0bMSH|^~\\&|A|B|C|D|20260310||SRR^S01|9|P|2.5\rMSA|AA|1\rSCH|1\r\x1c\r"
    async with scripted_peer() as peer, sending(peer.port) as sender:
        peer.replies = [reply]
        outcome = await sender.send(dispatch())
    assert isinstance(outcome, Delivered)
    assert outcome.response is not None
    assert outcome.response.reveal() == reply[1:-2]


@pytest.mark.parametrize("body", [b"no header", siu(""), siu() + b"x\x1c\ry"])
async def test_what_cannot_be_framed_or_matched_is_not_sent(body: bytes) -> None:
    """F06, F15"""
    async with scripted_peer() as peer, sending(peer.port) as sender:
        outcome = await sender.send(dispatch(body=body))
        assert isinstance(outcome, Rejected)
        assert outcome.finding.code == "mllp.not_sendable"
        assert peer.received == []


async def test_a_connection_out_of_use_is_opened_anew() -> None:
    """Something between may have dropped it: that would make the next message unknown for nothing."""
    async with scripted_peer() as peer, sending(peer.port, idle_close_s=0.02) as sender:
        assert isinstance(await sender.send(dispatch("1")), Delivered)
        await asyncio.sleep(0.05)
        assert isinstance(await sender.send(dispatch("2")), Delivered)


async def test_commit_bytes_of_release_2() -> None:
    """F16: 06 is not yet the acknowledgement; 15 means that nothing was stored."""
    async with scripted_peer() as peer, sending(peer.port, commit_bytes=True) as sender:
        peer.replies = [b"\x0b\x06\x1c\r" + acknowledgement("AA", "1"), b"\x0b\x15\x1c\r"]
        assert isinstance(await sender.send(dispatch()), Delivered)
        assert isinstance(await sender.send(dispatch()), Retry)


async def test_commit_bytes_are_the_answer_where_no_other_was_asked_for() -> None:
    """F16, A02: MSH-15 is NE, so 06 says all; where AL is asked for, the wait goes on."""
    async with scripted_peer() as peer, sending(peer.port, commit_bytes=True) as sender:
        peer.replies = [b"\x0b\x06\x1c\r"] * 2
        assert await sender.send(dispatch(body=siu("1", accept="NE", application="NE"))) == Delivered("ACK")
        assert isinstance(await sender.send(dispatch(body=siu("2", accept="AL"))), Unknown)


@pytest.mark.parametrize(("accept", "answers", "outcome"), [
    ("NE", [], Delivered("unconfirmed")), ("ER", [], Delivered("unconfirmed")),
    ("ER", [acknowledgement("CE", "1", error="103")], None)])
async def test_what_is_waited_for_follows_msh_15(accept: str, answers: list[bytes], outcome: Delivered | None) -> None:
    """A02: NE asks for no answer, so none is waited for; ER for one on error, so silence is a yes."""
    async with scripted_peer() as peer, sending(peer.port) as sender:
        peer.script, peer.replies = [Does.SILENT], answers
        said = await sender.send(dispatch(body=siu("1", accept=accept, application="NE")))
        assert said == outcome if outcome else isinstance(said, Rejected)


async def test_a_silent_peer_is_asked_by_tcp_whether_it_is_there() -> None:
    """Keep-alive: `keep_alive_s` reaches the socket."""
    async with scripted_peer() as peer, sending(peer.port, keep_alive_s=33) as sender:
        await sender.send(dispatch())
        [session] = sender._sessions
        assert session.transport is not None
        sock = session.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 33


async def test_as_many_sessions_as_allowed_are_used_and_no_more() -> None:
    """F13: `max_sessions`."""
    async with scripted_peer() as peer, sending(peer.port, max_sessions=2, ack_timeout_s=0.2) as sender:
        peer.script = [Does.SILENT] * 3
        outcomes = await asyncio.gather(*(sender.send(dispatch(str(n))) for n in range(3)))
        assert len(peer.received) == 3
        assert all(isinstance(outcome, Unknown) for outcome in outcomes)
        assert len(sender._sessions) == 2


async def test_messages_are_sent_no_faster_than_the_peer_may_get_them() -> None:
    """The rate is kept across sessions."""
    async with scripted_peer() as peer, sending(peer.port, max_rate_per_s=50.0, max_sessions=4) as sender:
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(sender.send(dispatch(str(n))) for n in range(6)))
        assert asyncio.get_running_loop().time() - began >= 5 / 50


@pytest.mark.parametrize("mutual", [False, True])
async def test_tls_and_mutual_tls(tmp_path: Path, mutual: bool) -> None:
    """F18: our sender to our receiver."""
    door = Door()
    with certificates(tmp_path) as files:
        server = TlsServer(cert=files["cert"], key=files["key"], ca=files["ca"], require_client=mutual)
        receiver = MllpReceiver("in", MllpIn(port=0, tls=server), door.accept, door.report)
        await receiver.start()
        ours = (TlsClient(ca=files["ca"], cert=files["client_cert"], key=files["client_key"]) if mutual
                else TlsClient(ca=files["ca"]))
        async with sending(receiver.port, tls=ours) as sender:
            assert isinstance(await sender.send(dispatch()), Delivered)
        await receiver.stop(1.0)
    assert door.accepted == [siu("1")]


async def test_a_peer_whose_certificate_is_not_trusted_gets_no_message(tmp_path: Path) -> None:
    """F18: it is like a peer that is not there."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    door = Door()
    with certificates(tmp_path) as files:
        receiver = MllpReceiver("in", MllpIn(port=0, tls=TlsServer(cert=files["cert"], key=files["key"])),
                                door.accept, door.report)
        await receiver.start()
        for client in (TlsClient(), TlsClient(ca=files["ca"], server_name="other.example")):
            async with sending(receiver.port, tls=client) as sender:
                outcome = await sender.send(dispatch())
                assert isinstance(outcome, Retry)
                assert outcome.free
        await receiver.stop(1.0)
        await asyncio.sleep(0.05)  # the other end of a failed handshake closes by itself
    assert door.submissions == []


def test_a_certificate_needs_its_key() -> None:
    """Found when the configuration is read."""
    with pytest.raises(ValueError, match="go together"):
        TlsClient(cert="c")
