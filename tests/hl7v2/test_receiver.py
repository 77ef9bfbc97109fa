"""MLLP receiver: what is special to MLLP. The common part is in `test_conformance`."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from canonical.receipt import Receipt
from connectors.base import Submission, Unavailable
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.settings import AckMode, MllpIn, TlsServer
from tests.conformance.door import Door, until
from tests.hl7v2.messages import certificates, client_context, merge, siu
from tests.hl7v2.mllp import raw_client


@contextlib.asynccontextmanager
async def listening(door: Door, **settings: Any) -> AsyncIterator[MllpReceiver]:
    """A receiver on a free port."""
    receiver = MllpReceiver("from-ehr", MllpIn(port=0, **settings), door.accept, door.report,
                            clock=lambda: 1_773_144_900_000_000, new_id=lambda: "NEW1")
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop(1.0)


async def test_pipelined_messages_are_stored_side_by_side_and_answered_in_order() -> None:
    """F02: many frames in one read; their commits may be grouped."""
    door = Door()
    door.open.clear()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send_bytes(b"".join(b"\x0b" + siu(f"M{n}") + b"\x1c\r" for n in range(5)))
        await until(lambda: len(door.submissions) == 5)
        door.open.set()
        answers = [await client.answer() for _ in range(5)]
    assert [answer.split(b"MSA|AA|")[1].strip() for answer in answers] == [b"M0", b"M1", b"M2", b"M3", b"M4"]


async def test_answers_keep_their_order_when_commits_do_not() -> None:
    """F02, invariant 9: the second commit returns first."""
    door, gates = Door(), {"M0": asyncio.Event(), "M1": asyncio.Event()}

    async def accept(submission: Submission) -> Receipt:
        receipt = await door.accept(submission)
        await gates[submission.peek.control_id].wait()
        return receipt

    receiver = MllpReceiver("x", MllpIn(port=0), accept, door.report)
    await receiver.start()
    async with raw_client(receiver.port) as client:
        await client.send(siu("M0"))
        await client.send(siu("M1"))
        await until(lambda: len(door.submissions) == 2)
        gates["M1"].set()
        await asyncio.sleep(0.02)
        assert door.reports == []
        gates["M0"].set()
        assert b"MSA|AA|M0\r" in await client.answer()
        assert b"MSA|AA|M1\r" in await client.answer()
    await receiver.stop(1.0)


async def test_the_connection_stays_open_and_survives_cuts_and_stray_bytes() -> None:
    """F01, F03, F12"""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send_bytes(b"stray\r\n")
        for byte in range(0, len(siu()) + 3, 7):
            await client.send_bytes((b"\x0b" + siu() + b"\x1c\r")[byte:byte + 7])
        assert b"MSA|AA|" in await client.answer()
        await client.send(siu("2"))
        assert b"MSA|AA|2" in await client.answer()
        assert receiver.stray_bytes == 7
    assert door.accepted == [siu(), siu("2")]


async def test_an_answer_is_still_given_after_a_half_close() -> None:
    """F10: the peer has finished sending and still reads."""
    door = Door()
    door.open.clear()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(siu())
        client.writer.write_eof()
        await until(lambda: door.submissions)
        await asyncio.sleep(0.02)
        door.open.set()
        assert b"MSA|AA|" in await client.answer()
        assert await client.closed()


async def test_empty_frames_are_ignored() -> None:
    """F11: some senders keep a connection alive with them."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(b"")
        await client.send(b" \r\n ")
        await client.send(siu())
        assert b"MSA|AA|" in await client.answer()
        assert receiver.empty_frames == 2
    assert len(door.submissions) == 1


@pytest.mark.parametrize("header", [True, False])
async def test_a_frame_over_the_limit_is_kept_refused_and_closes_the_connection(header: bool) -> None:
    """F07: while reading, not after; a negative answer if the header can be read."""
    door = Door()
    content = (siu("BIG") if header else b"") + b"x" * 5000
    async with listening(door, max_bytes=2000) as receiver, raw_client(receiver.port) as client:
        await client.send_bytes(b"\x0b" + content)
        answer = await client.answer()
        assert (b"MSA|AE|BIG" in answer) is header, "permanent: AE, and not 207, which asks to be sent again (A09)"
        assert (b"|104^" in answer) is header
        assert await client.closed()
    [submission] = door.submissions
    assert submission.refusal is not None
    assert submission.refusal.code == "mllp.frame_too_large"
    assert submission.peek.dedup == b""
    assert content.startswith(submission.raw.reveal())


async def test_a_cut_off_message_is_visible_and_does_not_stand_in_the_way_of_the_whole_one() -> None:
    """F09: nothing is processed, nothing acknowledged; the repetition is no duplicate and waits for nothing."""
    door = Door()
    async with listening(door) as receiver:
        async with raw_client(receiver.port) as client:
            await client.send_bytes(b"\x0b" + siu())  # all of it, but for the end of the frame
            client.writer.write_eof()
            assert await client.closed()
        async with raw_client(receiver.port) as client:
            await client.send(siu())
            assert b"MSA|AA|" in await client.answer()
    partial, whole = door.submissions
    assert partial.refusal is not None
    assert partial.refusal.code == "mllp.frame_incomplete"
    assert partial.peek.control_id == "MSG00001"
    assert set(partial.peek.lanes).isdisjoint(whole.peek.lanes)
    assert door.accepted == [siu()]


async def test_a_slow_frame_and_a_silent_connection_are_closed() -> None:
    """F08: slow-loris."""
    door = Door()
    async with (listening(door, frame_timeout_s=0.1, idle_timeout_s=0.3) as receiver,
                raw_client(receiver.port) as slow, raw_client(receiver.port) as silent):
        await slow.send_bytes(b"\x0bMSH|")
        assert await slow.closed()
        assert await silent.closed()
    assert [submission.refusal.code for submission in door.submissions if submission.refusal] == [
        "mllp.frame_incomplete"]


async def test_a_frame_without_header_is_stored_and_not_answered() -> None:
    """A06: no answer is possible; the connection goes on."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(b"GET / HTTP/1.1")
        await client.send(siu())
        assert b"MSA|AA|MSG00001" in await client.answer()
    assert [submission.refusal.code if submission.refusal else "" for submission in door.submissions] == [
        "mllp.no_header", ""]
    assert [code for _, code, _ in door.reports] == ["", "AA"]


async def test_a_message_without_control_id_is_refused() -> None:
    """A06: AR with empty MSA-2, condition 101."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(siu(""))
        answer = await client.answer()
    assert b"\rMSA|AR||" in answer
    assert b"|101^" in answer
    assert door.accepted == []


async def test_a_ledger_that_is_away_is_said_to_be_transient() -> None:
    """A09: AR 207 with a stamp of its own; CR in enhanced mode."""
    door = Door()
    door.unavailable = True
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(siu())
        answer = await client.answer()
        assert b"|20260310121500.0000+0000||ACK^S12^ACK|NEW1|" in answer
        assert b"MSA|AR|MSG00001" in answer
        assert b"|207^" in answer
        await client.send(siu(accept="AL"))
        assert b"MSA|CR|MSG00001" in await client.answer()
    assert door.reports == []


@pytest.mark.parametrize(("accept", "content"), [("NE", siu(accept="NE")), ("SU", siu(accept="SU")), ("", b"junk")])
async def test_where_no_negative_answer_can_be_given_the_connection_is_closed(accept: str, content: bytes) -> None:
    """Invariant 1: the sender must not believe that all is well."""
    door = Door()
    door.unavailable = True
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(content)
        assert await client.closed()


@pytest.mark.parametrize(("accept", "application", "code"), [
    ("AL", "NE", "CA"), ("SU", "AL", "CA"), ("NE", "AL", ""), ("ER", "NE", "")])
async def test_enhanced_mode_gives_the_accept_acknowledgement_that_is_asked_for(accept: str, application: str,
                                                                               code: str) -> None:
    """A02, A03"""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(siu("1", accept=accept, application=application))
        await client.send(siu("2"))
        answers = [await client.answer() for _ in range(2 if code else 1)]
    if code:
        assert f"MSA|{code}|1\r".encode() in answers[0]
    assert b"MSA|AA|2\r" in answers[-1]
    assert [reported for _, reported, _ in door.reports] == [code, "AA"]
    assert all(delivered for _, _, delivered in door.reports)


async def test_a_partner_may_be_answered_in_original_mode_whatever_it_says() -> None:
    """A01 by profile; an acknowledgement is still not acknowledged (A04)."""
    door = Door()
    async with listening(door, ack_mode=AckMode.ORIGINAL) as receiver, raw_client(receiver.port) as client:
        await client.send(b"MSH|^~\\&|A|B|C|D|20260310||ACK|1|P|2.5\rMSA|AA|9\r")
        await client.send(siu(accept="NE", application="NE"))
        assert b"MSA|AA|MSG00001" in await client.answer()
    assert len(door.accepted) == 2


async def test_release_2_commit_bytes_come_before_the_acknowledgement() -> None:
    """F16"""
    door = Door()
    async with listening(door, commit_bytes=True) as receiver, raw_client(receiver.port) as client:
        await client.send(siu())
        assert await client.answer() == b"\x06"
        assert b"MSA|AA|" in await client.answer()
        door.unavailable = True
        await client.send(siu("2", accept="NE"))
        assert await client.answer() == b"\x15"


async def test_a_peer_of_release_2_may_confirm_our_acknowledgement() -> None:
    """F16: its commit bytes are no message."""
    door = Door()
    async with listening(door, commit_bytes=True) as receiver, raw_client(receiver.port) as client:
        await client.send(siu())
        assert await client.answer() == b"\x06"
        assert b"MSA|AA|" in await client.answer()
        await client.send(b"\x06")
        await client.send(siu("2"))
        assert await client.answer() == b"\x06"
    assert len(door.submissions) == 2


async def test_a_lenient_port_takes_frames_that_end_early() -> None:
    """F05"""
    door = Door()
    async with listening(door, strict_end=False) as receiver, raw_client(receiver.port) as client:
        await client.send_bytes(b"\x0b" + siu() + b"\x1c")
        assert b"MSA|AA|" in await client.answer()


async def test_reading_stops_while_too_much_is_under_way() -> None:
    """Backpressure: a fast sender waits in its own socket, not in our memory."""
    door = Door()
    door.open.clear()
    async with listening(door, max_in_flight=4) as receiver, raw_client(receiver.port) as client:
        for n in range(4):
            await client.send(siu(f"M{n}"))
        await until(lambda: len(door.submissions) == 4)
        for n in range(4, 12):
            await client.send(siu(f"M{n}"))
        await asyncio.sleep(0.05)
        assert len(door.submissions) < 12
        door.open.set()
        for n in range(12):
            assert f"MSA|AA|M{n}\r".encode() in await client.answer()
    assert len(door.accepted) == 12


async def test_connections_over_the_limit_are_closed() -> None:
    """The limit protects those that are there."""
    door = Door()
    async with listening(door, max_connections=1) as receiver, raw_client(receiver.port) as first:
        async with raw_client(receiver.port) as second:
            assert await second.closed()
        await first.send(siu())
        assert b"MSA|AA|" in await first.answer()
        assert receiver.refused_connections == 1


async def test_a_defect_behind_the_door_closes_the_connection_and_is_reported() -> None:
    """It must neither look like an acknowledgement nor hang the peer."""
    reported: list[dict[str, Any]] = []

    async def broken(_: Submission) -> Receipt:
        raise RuntimeError("a defect")

    receiver = MllpReceiver("x", MllpIn(port=0), broken, lambda *_: None)
    await receiver.start()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with raw_client(receiver.port) as client:
        await client.send(siu())
        assert await client.closed()
    await receiver.stop(1.0)
    assert isinstance(reported[0]["exception"], RuntimeError)


async def test_a_ledger_that_is_away_does_not_hide_a_broken_frame() -> None:
    """It cannot be kept; it is counted."""
    async def away(_: Submission) -> Receipt:
        raise Unavailable

    receiver = MllpReceiver("x", MllpIn(port=0), away, lambda *_: None)
    await receiver.start()
    async with raw_client(receiver.port) as client:
        await client.send_part(siu())
        client.writer.write_eof()
        assert await client.closed()
    await until(lambda: receiver.unstored == 1)
    await receiver.stop(1.0)


BATCH = (b"FHS|^~\\&|EHR|MERCY|HUB|X|20260302||||F1\rBHS|^~\\&|EHR|MERCY|HUB|X|20260302||||B1\r", b"BTS|%d\rFTS|1\r")


async def test_a_batch_in_a_frame_is_answered_by_one_response_batch() -> None:
    """B01, B04, B05: each message is an entry of its own, with the envelope as its parent; one that cannot be
    acknowledged positively stands in nobody's way."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(BATCH[0] + siu("1") + siu("") + siu("3") + BATCH[1] % 3)
        answer = (await client.answer()).decode()
        await client.send(siu("4"))
        assert b"MSA|AA|4\r" in await client.answer()
    envelope, *messages = door.submissions
    assert [s.parent_id for s in messages] == ["message-1"] * 3 + [""]
    assert envelope.record is not None
    assert envelope.raw.reveal() == BATCH[0] + BATCH[1] % 3
    assert (envelope.peek.message_type, envelope.peek.control_id) == ("FHS", "F1")
    lines = answer.rstrip("\r").split("\r")
    assert [line[:3] for line in lines] == ["FHS", "BHS", "MSH", "MSA", "MSH", "MSA", "ERR", "MSH", "MSA", "BTS", "FTS"]
    assert [line[:8] for line in lines if line.startswith("MSA")] == ["MSA|AA|1", "MSA|AR||", "MSA|AA|3"]
    assert lines[1].split("|")[1:6] == ["^~\\&", "HUB", "X", "EHR", "MERCY"]
    assert lines[1].split("|")[11] == "B1"
    assert lines[0].split("|")[11] == "F1"
    assert lines[-2:] == ["BTS|3", "FTS|1"]
    assert [code for _, code, _ in door.reports] == ["", "AA", "AR", "AA", "AA"]


async def test_messages_one_after_another_in_a_frame_are_answered_one_after_another() -> None:
    """B01: bare concatenation."""
    door = Door()
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(siu("1") + siu("2"))
        assert b"MSA|AA|1\r" in await client.answer()
        assert b"MSA|AA|2\r" in await client.answer()
    assert door.accepted == [siu("1"), siu("2")]


async def test_an_empty_batch_gets_an_empty_response_batch() -> None:
    """B07"""
    async with listening(Door()) as receiver, raw_client(receiver.port) as client:
        await client.send(b"BHS|^~\\&|A|B|C|D|||||7\rBTS|0\r")
        answer = await client.answer()
    assert answer.startswith(b"BHS|^~\\&|C|D|A|B|")
    assert answer.endswith(b"|7\rBTS|0\r")


@pytest.mark.parametrize(("policy", "code"), [("flag", b"AA"), ("reject", b"AE")])
async def test_a_batch_that_counts_otherwise_follows_the_channel_s_policy(policy: str, code: bytes) -> None:
    """B02: reject refuses every message of it, and keeps all."""
    door = Door()
    async with listening(door, batch_counts=policy) as receiver, raw_client(receiver.port) as client:
        await client.send(BATCH[0] + siu("1") + siu("2") + BATCH[1] % 5)
        answer = await client.answer()
    assert [line[:6] for line in answer.split(b"\r") if line.startswith(b"MSA")] == [b"MSA|" + code] * 2
    assert len(door.submissions) == 3
    refusals = {submission.refusal.code if submission.refusal else "" for submission in door.submissions}
    assert refusals == ({""} if policy == "flag" else {"hl7.batch_count"})
    if policy == "flag":
        assert [found.code for found in door.submissions[0].peek.findings] == ["hl7.batch_count"]


async def test_the_same_batch_again_gets_the_same_response_batch() -> None:
    """B04, invariant 7"""
    door, batch, answers = Door(), BATCH[0] + siu("1") + siu("2") + BATCH[1] % 2, []
    async with listening(door) as receiver:
        for _ in range(2):
            async with raw_client(receiver.port) as client:
                await client.send(batch)
                answers.append(await client.answer())
    assert answers[0] == answers[1]


async def test_a_message_of_a_batch_that_could_not_be_stored_is_told_alone() -> None:
    """B05: the ledger goes away in the middle; what is stored is acknowledged, the rest is to be sent again."""
    door = Door()

    async def accept(submission: Submission) -> Receipt:
        if submission.peek.control_id == "2":
            raise Unavailable
        return await door.accept(submission)

    receiver = MllpReceiver("x", MllpIn(port=0), accept, door.report)
    await receiver.start()
    async with raw_client(receiver.port) as client:
        await client.send(BATCH[0] + siu("1") + siu("2") + siu("3") + BATCH[1] % 3)
        answer = await client.answer()
    await receiver.stop(1.0)
    assert [line[:8] for line in answer.split(b"\r") if line.startswith(b"MSA")] == [
        b"MSA|AA|1", b"MSA|AR|2", b"MSA|AA|3"]
    assert b"|207^" in answer


async def test_a_batch_whose_envelope_cannot_be_stored_is_answered_by_closing() -> None:
    """Invariant 1: no message of it was stored."""
    door = Door()
    door.unavailable = True
    async with listening(door) as receiver, raw_client(receiver.port) as client:
        await client.send(BATCH[0] + siu("1") + BATCH[1] % 1)
        assert await client.closed()


@pytest.mark.parametrize("mutual", [False, True])
async def test_tls_and_mutual_tls(tmp_path: Path, mutual: bool) -> None:
    """F18: a client without certificate gets nowhere where one is required."""
    door = Door()
    with certificates(tmp_path) as files:
        tls = TlsServer(cert=files["cert"], key=files["key"], ca=files["ca"], require_client=mutual)
        async with listening(door, tls=tls) as receiver:
            context = client_context(files, with_certificate=mutual)
            async with raw_client(receiver.port, context) as client:
                await client.send(merge())
                assert b"MSA|AA|MRG00001" in await client.answer()
            if mutual:
                asyncio.get_running_loop().set_exception_handler(lambda *_: None)
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    async with raw_client(receiver.port, client_context(files, with_certificate=False)) as client:
                        await client.send(siu())
                        assert await client.answer() == b""
    assert door.accepted == [merge()]


async def test_a_certificate_that_cannot_be_read_is_an_error_at_the_start(tmp_path: Path) -> None:
    """Bad configuration is one clear line, and no port is taken."""
    tls = TlsServer(cert=str(tmp_path / "none.pem"), key=str(tmp_path / "none.pem"))
    receiver = MllpReceiver("x", MllpIn(port=0, tls=tls), Door().accept, Door().report)
    with pytest.raises(OSError, match="No such file"):
        await receiver.start()
    await receiver.stop(1.0)


def test_require_client_needs_authorities() -> None:
    """Found when the configuration is read."""
    with pytest.raises(ValueError, match="needs ca"):
        TlsServer(cert="c", key="k", require_client=True)
