"""The HTTP receiver: who it is comes before what it says, stored comes before answered."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import trustme

from canonical.findings import Rejection, finding
from connectors.http.codes import NO_HEADER
from connectors.http.receiver import HttpReceiver
from connectors.http.settings import HttpIn
from tests.http.door import Door

NOW = 1_790_000_000.0
HL7 = (b"MSH|^~\\&|EHR|MERCY|HUB|X|20260302070000||SIU^S12^SIU_S12|C-1|P|2.5.1\r"
       b"SCH|W-1|MA-1\rPID|1||77^^^MERCY^MR\r")
ER7 = "x-application/hl7-v2+er7"


@asynccontextmanager
async def receiver(door: Door, **settings: object) -> AsyncIterator[HttpReceiver]:
    it = HttpReceiver("orders", msgspec.convert({"port": 0, "path": "/in", **settings}, HttpIn), door.accept,
                      door.report, now=lambda: NOW)
    await it.start()
    try:
        yield it
    finally:
        await it.stop(1)


class Reply(msgspec.Struct):
    status: int
    headers: Any
    body: bytes


async def post(it: HttpReceiver, body: bytes = b"{}", *, path: str = "/in", method: str = "POST",
               content_type: str = "application/json", **headers: str) -> Reply:
    sent = {"Content-Type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}}
    async with aiohttp.ClientSession() as session, session.request(
            method, f"http://127.0.0.1:{it.port}{path}", data=body, headers=sent) as reply:
        return Reply(reply.status, reply.headers, await reply.read())


HEAD = "POST /in HTTP/1.1\nHost: x\nContent-Type: application/json\n"


async def raw(it: HttpReceiver, head: str, body: bytes = b"") -> bytes:
    """An exchange byte by byte; everything the receiver says until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer


async def test_a_stored_message_is_answered_with_its_receipt() -> None:
    """Invariant 1"""
    door = Door()
    async with receiver(door) as it:
        reply = await post(it, b'{"n":1}', Idempotency_Key="k1")
    assert reply.status == 202
    assert json.loads(reply.body) == {"message_id": "m1"}
    submission, = door.submissions
    assert submission.channel == "orders"
    assert submission.raw.reveal() == b'{"n":1}'
    assert submission.peek.control_id == "k1"
    assert submission.peer == "127.0.0.1"
    assert door.reports == [("m1", "202", True)]


async def test_no_answer_comes_before_the_commit() -> None:
    """Invariant 1"""
    door = Door()
    door.held = asyncio.Event()
    async with receiver(door) as it:
        asking = asyncio.create_task(post(it))
        while not door.offered:
            await asyncio.sleep(0.001)
        assert not asking.done()
        door.held.set()
        assert (await asking).status == 202


async def test_a_repetition_is_recognised_by_its_key_and_content() -> None:
    """Invariant 7"""
    door = Door()
    async with receiver(door) as it:
        replies = [await post(it, body, Idempotency_Key="k1") for body in (b"{}", b"{}", b'{"other":1}')]
    assert [(r.status, json.loads(r.body)) for r in replies] == [
        (202, {"message_id": "m1"}), (202, {"message_id": "m1"}), (202, {"message_id": "m2"})]


async def test_without_a_key_nothing_is_taken_for_a_repetition() -> None:
    door = Door()
    async with receiver(door) as it:
        assert [(await post(it)).status for _ in range(2)] == [202, 202]


async def test_when_nothing_can_be_stored_the_client_is_asked_to_come_again() -> None:
    """House: if the database is down, nothing is acknowledged."""
    door = Door()
    door.open = False
    async with receiver(door, retry_after_s=9) as it:
        reply = await post(it)
    assert reply.status == 503
    assert reply.headers["Retry-After"] == "9"
    assert door.reports == []


async def test_hl7_over_http_is_answered_with_an_acknowledgement() -> None:
    """A01, A03, A05: built from the receipt, matched by control id."""
    door = Door()
    async with receiver(door) as it:
        first, again = [await post(it, HL7, content_type=ER7) for _ in range(2)]
    assert (first.status, again.status) == (200, 200)
    assert first.headers["Content-Type"] == ER7
    assert b"\rMSA|AA|C-1\r" in first.body
    assert again.body == first.body
    assert door.submissions[0].peek.message_type == "SIU^S12"
    assert door.submissions[0].peek.lanes == ("patient:MERCY|77",)
    assert door.reports == [("m1", "AA", True)] * 2


async def test_what_the_site_refuses_gets_a_negative_acknowledgement() -> None:
    """A09: the door refuses, the receiver says so."""
    door = Door()
    door.refusing = finding(NO_HEADER, at="MSH-11")
    async with receiver(door) as it:
        reply = await post(it, HL7, content_type=ER7)
    assert reply.status == 422
    assert b"\rMSA|AR|C-1" in reply.body
    assert b"MSH^1^11" in reply.body


async def test_er7_without_a_header_is_stored_as_refused() -> None:
    """A06: no acknowledgement can be built, and nothing that arrived is lost."""
    door = Door()
    async with receiver(door) as it:
        reply = await post(it, b"PID|1\r", content_type=ER7)
    assert reply.status == 422
    assert json.loads(reply.body) == {"message_id": "m1", "refused": "http.no_header"}
    assert door.submissions[0].raw.reveal() == b"PID|1\r"


@pytest.fixture
def bearer(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("IN_TOKEN", "s3cret")
    return {"type": "bearer", "token": {"env": "IN_TOKEN"}}


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret"])
async def test_strangers_are_turned_away_and_told_how_to_come_in(bearer: dict[str, Any], given: str) -> None:
    """Z20"""
    door = Door()
    async with receiver(door, auth=bearer) as it:
        reply = await post(it, Authorization=given)
        assert it.refused == {"credentials": 1}
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert door.offered == 0


async def test_those_with_the_token_are_admitted(bearer: dict[str, Any]) -> None:
    async with receiver(Door(), auth=bearer) as it:
        assert (await post(it, Authorization="Bearer s3cret")).status == 202


async def test_a_stranger_is_answered_before_any_of_the_body_is_read(bearer: dict[str, Any]) -> None:
    """Z20, invariant 14: the body is announced and never sent, yet the answer comes."""
    async with receiver(Door(), auth=bearer) as it:
        answer = await raw(it, HEAD + "Content-Length: 100000")
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_stranger_is_not_asked_to_continue(bearer: dict[str, Any]) -> None:
    """Z20"""
    head = HEAD + "Content-Length: 5\nExpect: 100-continue"
    async with receiver(Door(), auth=bearer) as it:
        assert (await raw(it, head)).startswith(b"HTTP/1.1 401 ")
        assert (await raw(it, head + "\nAuthorization: Bearer s3cret")).startswith(b"HTTP/1.1 100 ")


async def test_basic_credentials_can_be_rotated_while_it_runs(tmp_path: Path) -> None:
    """Z13"""
    secret, clock = tmp_path / "secret", [NOW]
    secret.write_text("old")
    door = Door()
    it = HttpReceiver("orders", msgspec.convert({"port": 0, "path": "/in", "auth": {
        "type": "basic", "user": "ehr", "password": {"file": str(secret)}}}, HttpIn), door.accept, door.report,
        now=lambda: clock[0])
    await it.start()
    old, new = (f"Basic {base64.b64encode(f'ehr:{word}'.encode()).decode()}" for word in ("old", "new"))
    statuses = [(await post(it, Authorization=old)).status]
    secret.write_text("new")
    statuses.append((await post(it, Authorization=new)).status)
    clock[0] += 10
    statuses += [(await post(it, Authorization=word)).status for word in (new, old)]
    await it.stop(1)
    assert statuses == [202, 401, 202, 401]


def signed(body: bytes, at: float = NOW, secret: str = "k") -> dict[str, str]:
    stamp = str(int(at))
    return {"X_Timestamp": stamp,
            "X_Signature": hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()}


@pytest.mark.parametrize(("headers", "status"), [
    (signed(b"{}"), 202),
    ({**signed(b"{}"), "X_Signature": "sha256=" + signed(b"{}")["X_Signature"].upper()}, 202),
    (signed(b"{}", NOW - 299), 202),
    (signed(b"{}", NOW - 301), 401),
    (signed(b"{}", NOW + 301), 401),
    (signed(b"[]"), 401),
    (signed(b"{}", secret="other"), 401),
    ({**signed(b"{}"), "X_Timestamp": str(int(NOW) - 1)}, 401),
    ({**signed(b"{}"), "X_Timestamp": "soon"}, 401),
    ({"X_Timestamp": str(int(NOW))}, 401),
    ({}, 401),
])
async def test_a_signature_covers_time_and_body(monkeypatch: pytest.MonkeyPatch, headers: dict[str, str],
                                                status: int) -> None:
    """Z19"""
    monkeypatch.setenv("IN_KEY", "k")
    door = Door()
    async with receiver(door, auth={"type": "hmac", "secret": {"env": "IN_KEY"}}) as it:
        assert (await post(it, b"{}", **headers)).status == status
    assert len(door.submissions) == (status == 202)


@pytest.mark.parametrize(("changes", "status", "reason"), [
    ({"path": "/other"}, 404, "path"),
    ({"method": "PUT"}, 405, "method"),
    ({"content_type": "text/plain"}, 415, "content-type"),
    ({"Content_Encoding": "gzip"}, 415, "content-encoding"),
    ({"body": b"x" * 2000}, 413, "size"),
    ({"body": b""}, 400, "empty"),
])
async def test_what_is_not_taken_is_not_kept(changes: dict[str, Any], status: int, reason: str) -> None:
    """Z20: size before reading."""
    door = Door()
    async with receiver(door, max_bytes=1000) as it:
        reply = await post(it, **changes)
        assert it.refused == {reason: 1}
    assert reply.status == status
    assert door.offered == 0


async def test_a_body_without_an_announced_length_is_cut_at_the_limit() -> None:
    """Z20"""
    door = Door()
    async with receiver(door, max_bytes=1000) as it:
        answer = await raw(it, HEAD + "Transfer-Encoding: chunked", b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert door.offered == 0


async def test_a_slow_body_is_not_waited_for() -> None:
    """F08, for HTTP."""
    async with receiver(Door(), body_timeout_s=0.05) as it:
        answer = await raw(it, HEAD + "Content-Length: 9", b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_more_than_it_can_work_on_is_asked_to_come_again() -> None:
    door = Door()
    door.held = asyncio.Event()
    async with receiver(door, max_in_flight=1) as it:
        first = asyncio.create_task(post(it))
        while not door.offered:
            await asyncio.sleep(0.001)
        assert (await post(it)).status == 503
        door.held.set()
        assert (await first).status == 202


async def test_stopping_finishes_what_has_begun_and_takes_nothing_new() -> None:
    door = Door()
    door.held = asyncio.Event()
    async with receiver(door) as it:
        asking = asyncio.create_task(post(it))
        while not door.offered:
            await asyncio.sleep(0.001)
        port = it.port
        stopping = asyncio.create_task(it.stop(5))
        await asyncio.sleep(0.01)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        door.held.set()
        assert (await asking).status == 202
        await stopping


async def test_a_port_in_use_is_an_error_at_start() -> None:
    async with receiver(Door()) as one:
        two = HttpReceiver("b", HttpIn(port=one.port), Door().accept, Door().report)
        assert two.resources == (f"tcp:127.0.0.1:{one.port}",)
        with pytest.raises(OSError):
            await two.start()


async def test_a_missing_secret_is_an_error_at_start() -> None:
    """Z13"""
    with pytest.raises(Rejection, match="DRAGOMAN_TEST_NOT_SET"):
        async with receiver(Door(), auth={"type": "bearer", "token": {"env": "DRAGOMAN_TEST_NOT_SET"}}):
            pass


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"host": "10.0.0.1", "auth": {"type": "none"}}])
def test_an_open_door_is_only_for_loopback(settings: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match="loopback"):
        msgspec.convert({"port": 0, **settings}, HttpIn)


async def test_mutual_tls_admits_known_clients_only(tmp_path: Path) -> None:
    """Z08"""
    ca, other = trustme.CA(), trustme.CA()
    ours = ca.issue_cert("localhost")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    door = Door()
    pem = str(tmp_path / "server.pem")
    tls = {"cert": pem, "key": pem, "ca": str(tmp_path / "ca.pem"), "require_client": True}
    async with receiver(door, tls=tls) as it, aiohttp.ClientSession() as session:
        for authority, admitted in ((ca, True), (other, False)):
            context = ssl.create_default_context()
            ca.configure_trust(context)
            authority.issue_cert("client@example.org").configure_cert(context)
            url = f"https://localhost:{it.port}/in"
            if admitted:
                async with session.post(url, json={}, ssl=context) as reply:
                    assert reply.status == 202
            else:
                with pytest.raises(aiohttp.ClientError):
                    await session.post(url, json={}, ssl=context)
    assert len(door.submissions) == 1


async def test_nothing_of_a_message_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Invariant 12"""
    door = Door()
    caplog.set_level(logging.DEBUG)
    async with receiver(door) as it:
        await post(it, b'{"name":"CANARY"}', Idempotency_Key="CANARY")
        await post(it, b"CANARY", content_type="text/plain")
        door.open = False
        await post(it, b"CANARY", path="/in?name=CANARY")
    assert "CANARY" not in caplog.text
