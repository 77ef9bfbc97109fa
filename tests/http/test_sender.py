"""The HTTP sender against real sockets."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from canonical.findings import Rejection
from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Unknown
from connectors.http.sender import HttpSender
from connectors.http.settings import HttpOut
from tests.http.peer import Exchange, Peer


def dispatch(identity: str = "d-1", body: bytes = b'{"n":1}', **attributes: str) -> Dispatch:
    return Dispatch(identity=identity, body=Phi(body), content_type="application/json", attributes=attributes)


@asynccontextmanager
async def sender(url: str, **settings: object) -> AsyncIterator[HttpSender]:
    given = {"url": url, "connect_timeout_s": 2, "timeout_s": 5, **settings}
    it = HttpSender("out", msgspec.convert(given, HttpOut))
    await it.start()
    try:
        yield it
    finally:
        await it.stop(1)


async def created(exchange: Exchange) -> None:
    await exchange.answer(201, b"{}", location="/base/7")


async def test_a_message_goes_out_with_its_identity_and_comes_back_delivered() -> None:
    """Invariant 8."""
    async with Peer(created) as peer, sender(peer.url, headers={"X-Site": "north"}) as it:
        verdict = await it.send(dispatch())
    assert verdict == Delivered("201", "/base/7")
    request, = peer.requests
    assert request.line == "POST /base HTTP/1.1"
    assert request.body == b'{"n":1}'
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "d-1"
    assert request.headers["x-site"] == "north"
    assert "cookie" not in request.headers


async def test_path_and_method_come_from_the_message() -> None:
    async with Peer(created) as peer, sender(peer.url) as it:
        await it.send(dispatch(path="Patient?identifier=urn:x|a%26b", method="PUT"))
    assert peer.requests[0].line == "PUT /base/Patient?identifier=urn:x%7Ca%26b HTTP/1.1"


@pytest.mark.parametrize("path", ["../admin", "x/../../admin", "%2e%2e/admin"])
async def test_nothing_is_sent_outside_the_configured_url(path: str) -> None:
    """Z19."""
    async with Peer(created) as peer, sender(peer.url) as it:
        verdict = await it.send(dispatch(path=path))
    assert isinstance(verdict, Rejected)
    assert verdict.finding.code == "http.egress"
    assert peer.requests == []


@pytest.mark.parametrize("path", ["//evil.example/x", "https://evil.example/x", "@evil.example/x"])
async def test_a_path_cannot_name_another_host(path: str) -> None:
    """Z19: whatever it looks like, it stays a path under the base URL."""
    async with Peer(created) as peer, sender(peer.url) as it:
        await it.send(dispatch(path=path))
    assert [r.line.split()[1].startswith("/base/") for r in peer.requests] == [True]


async def test_no_value_can_add_a_header() -> None:
    """Z19: request splitting."""
    async with Peer(created) as peer, sender(peer.url) as it:
        verdict = await it.send(dispatch("d-1\r\nX-Admin: 1"))
    assert isinstance(verdict, Rejected)
    assert peer.requests == []


async def test_a_redirect_is_not_followed() -> None:
    """Z19."""
    async def elsewhere(exchange: Exchange) -> None:
        await exchange.answer(307, location=peer.url + "/other")

    async with Peer(elsewhere) as peer, sender(peer.url) as it:
        verdict = await it.send(dispatch())
    assert isinstance(verdict, Rejected)
    assert verdict.channel_wide
    assert len(peer.requests) == 1


async def test_a_refused_connection_is_a_free_retry() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with sender(f"http://127.0.0.1:{unused.getsockname()[1]}/") as it:
            verdict = await it.send(dispatch())
    assert isinstance(verdict, Retry)
    assert verdict.free
    assert verdict.finding.code == "http.unreachable"


async def test_no_answer_in_time_is_unknown() -> None:
    """Invariant 6."""
    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(60)

    async with Peer(silent) as peer, sender(peer.url, timeout_s=0.2) as it:
        verdict = await it.send(dispatch())
    assert isinstance(verdict, Unknown)
    assert verdict.finding.code == "http.no_answer"
    assert len(peer.requests) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_connection_broken_after_the_request_is_unknown_and_not_repeated(method: str) -> None:
    """Invariant 6: also for the methods an HTTP library would repeat by itself."""
    async def vanish(exchange: Exchange) -> None:
        if len(peer.requests) == 1:
            await exchange.answer(200)
        else:
            exchange.close()

    async with Peer(vanish) as peer, sender(peer.url, method=method, max_sessions=1) as it:
        assert isinstance(await it.send(dispatch("d-1")), Delivered)
        verdict = await it.send(dispatch("d-2"))
    assert isinstance(verdict, Unknown)
    assert len(peer.requests) == 2


async def test_half_a_status_line_is_unknown() -> None:
    async def garbage(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.1 2")
        exchange.close()

    async with Peer(garbage) as peer, sender(peer.url) as it:
        assert isinstance(await it.send(dispatch()), Unknown)


async def test_an_answer_that_is_not_http_is_unknown() -> None:
    async def garbage(exchange: Exchange) -> None:
        await exchange.raw(b"\x0bMSH|^~\\&|\x1c\r")
        exchange.close()

    async with Peer(garbage) as peer, sender(peer.url) as it:
        assert isinstance(await it.send(dispatch()), Unknown)


async def test_the_status_counts_even_where_the_body_breaks_off() -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{")
        exchange.close()

    async with Peer(cut) as peer, sender(peer.url) as it:
        assert isinstance(await it.send(dispatch()), Delivered)


async def test_an_endless_answer_is_cut() -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.raw(b"HTTP/1.1 422 No\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 100_000)

    async with Peer(endless) as peer, sender(peer.url, max_response_bytes=2048) as it:
        verdict = await it.send(dispatch())
    assert isinstance(verdict, Rejected)
    assert verdict.response is not None
    assert len(verdict.response.reveal()) == 2048


async def test_a_busy_peer_is_believed_about_the_time_to_wait() -> None:
    """H17."""
    async def busy(exchange: Exchange) -> None:
        await exchange.answer(429, retry_after="17")

    async with Peer(busy) as peer, sender(peer.url) as it:
        verdict = await it.send(dispatch())
    assert isinstance(verdict, Retry)
    assert verdict.free
    assert verdict.after == 17.0


async def test_connections_are_kept_and_never_more_than_allowed() -> None:
    async with Peer(created) as peer, sender(peer.url, max_sessions=3) as it:
        verdicts: list[Outcome] = []
        for _ in range(4):
            verdicts += await asyncio.gather(*[it.send(dispatch(f"d-{n}")) for n in range(3)])
    assert len(verdicts) == len(peer.requests) == 12
    assert peer.connections <= 3


async def test_a_bearer_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Z13."""
    monkeypatch.setenv("ERP_TOKEN", "s3cret")
    auth = {"type": "bearer", "token": {"env": "ERP_TOKEN"}}
    async with Peer(created) as peer, sender(peer.url, auth=auth) as it:
        await it.send(dispatch())
    assert peer.requests[0].headers["authorization"] == "Bearer s3cret"


async def test_a_rotated_secret_is_read_again_without_a_restart(tmp_path: Path) -> None:
    """Z13."""
    secret = tmp_path / "password"
    secret.write_text("old\n")

    async def check(exchange: Exchange) -> None:
        good = b"Basic " + base64.b64encode(b"dragoman:new")
        await exchange.answer(200 if exchange.headers["authorization"].encode() == good else 401)

    auth = {"type": "basic", "user": "dragoman", "password": {"file": str(secret)}}
    async with Peer(check) as peer, sender(peer.url, auth=auth) as it:
        refused = await it.send(dispatch())
        secret.write_text("new\n")
        renewed, accepted = await it.send(dispatch()), await it.send(dispatch())
    assert isinstance(refused, Rejected)
    assert refused.channel_wide
    assert isinstance(renewed, Retry)
    assert renewed.free
    assert isinstance(accepted, Delivered)


@pytest.mark.parametrize("token", [{"env": "DRAGOMAN_TEST_NOT_SET"}, {"file": "/nonexistent/token"}])
async def test_a_missing_secret_stops_the_start_and_names_the_place(token: dict[str, str]) -> None:
    """Z13."""
    with pytest.raises(Rejection) as caught:
        async with sender("http://127.0.0.1:1/", auth={"type": "bearer", "token": token}):
            pass
    assert caught.value.findings[0].code == "http.setting"
    assert next(iter(token.values())) in str(caught.value)


@pytest.mark.parametrize(("settings", "reason"), [
    ({"url": "ftp://x/"}, "url"),
    ({"url": "http://user:pw@host/"}, "url"),
    ({"url": "http://h/", "headers": {"Authorization": "Bearer x"}}, "auth"),
    ({"url": "http://h/", "auth": {"type": "bearer", "token": {}}}, "either"),
    ({"url": "http://h/", "auth": {"type": "bearer", "token": {"env": "A", "file": "b"}}}, "either"),
    ({"url": "http://h/", "token": "x"}, "token"),
])
def test_settings_cannot_hold_secrets_or_nonsense(settings: dict[str, object], reason: str) -> None:
    """Z13."""
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(settings, HttpOut)


async def test_a_stopped_sender_sends_nothing() -> None:
    async with Peer(created) as peer:
        async with sender(peer.url) as it:
            pass
        verdict = await it.send(dispatch())
    assert isinstance(verdict, Retry)
    assert peer.requests == []


async def test_stopping_lets_what_is_under_way_finish() -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        arrived.set()
        await release.wait()
        await exchange.answer(200)

    async with Peer(slow) as peer, sender(peer.url) as it:
        sending = asyncio.create_task(it.send(dispatch()))
        await arrived.wait()
        stopping = asyncio.create_task(it.stop(5))
        await asyncio.sleep(0)
        release.set()
        assert isinstance(await sending, Delivered)
        await stopping


async def test_what_outlasts_the_grace_is_unknown() -> None:
    arrived = asyncio.Event()

    async def silent(exchange: Exchange) -> None:
        arrived.set()
        await asyncio.sleep(60)

    async with Peer(silent) as peer, sender(peer.url) as it:
        sending = asyncio.create_task(it.send(dispatch()))
        await arrived.wait()
        await it.stop(0)
        assert isinstance(await sending, Unknown)


# -- OAuth --------------------------------------------------------------------------------------------------


class _Guard:
    """A peer with a server of tokens: gives out numbered tokens and accepts those not withdrawn."""

    def __init__(self) -> None:
        self.given = 0
        self.withdrawn: set[str] = set()
        self.asked: list[Exchange] = []
        self.answer_tokens = 200
        self.lives_s = 300

    async def __call__(self, exchange: Exchange) -> None:
        if "/token" in exchange.line:
            self.asked.append(exchange)
            self.given += 1
            await exchange.answer(self.answer_tokens, msgspec.json.encode(
                {"access_token": f"t-{self.given}", "token_type": "Bearer", "expires_in": self.lives_s}))
            return
        token = exchange.headers.get("authorization", "").removeprefix("Bearer ")
        await exchange.answer(401 if not token.startswith("t-") or token in self.withdrawn else 201, b"{}")


@asynccontextmanager
async def guarded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[_Guard, HttpSender]]:
    monkeypatch.setenv("ERP_SECRET", "a secret:/")
    guard = _Guard()
    async with Peer(guard) as peer, sender(peer.url, auth={
            "type": "oauth", "token_url": peer.url + "/token", "client_id": "dragoman", "scope": "write",
            "client_secret": {"env": "ERP_SECRET"}}) as it:
        yield guard, it


async def test_one_token_is_fetched_and_used_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6749 §4.4: client credentials, form-encoded before they are joined; one fetch, however many wait."""
    async with guarded(monkeypatch) as (guard, it):
        outcomes = await asyncio.gather(*(it.send(dispatch(f"d-{n}")) for n in range(8)))
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)
    asked, = guard.asked
    assert asked.body == b"grant_type=client_credentials&scope=write"
    assert base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")) == b"dragoman:a%20secret%3A%2F"


async def test_a_token_that_ended_is_replaced_and_the_message_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with guarded(monkeypatch) as (guard, it):
        assert isinstance(await it.send(dispatch()), Delivered)
        guard.withdrawn.add("t-1")
        ended = await it.send(dispatch())
        assert isinstance(ended, Retry)
        assert ended.free
        assert isinstance(await it.send(dispatch()), Delivered)
    assert guard.given == 2


async def test_a_fresh_token_that_is_refused_is_a_case_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """No circle of fetching and refusing."""
    async with guarded(monkeypatch) as (guard, it):
        guard.withdrawn.add("t-1")
        refused = await it.send(dispatch())
    assert isinstance(refused, Rejected)
    assert refused.channel_wide


@pytest.mark.parametrize(("status", "kind"), [(401, Rejected), (400, Rejected), (503, Retry), (302, Retry)])
async def test_no_token_is_no_delivery(monkeypatch: pytest.MonkeyPatch, status: int, kind: type) -> None:
    """Nothing is sent without one: refused for good, or not now."""
    async with guarded(monkeypatch) as (guard, it):
        guard.answer_tokens = status
        outcome = await it.send(dispatch())
    assert isinstance(outcome, kind)
    assert guard.given == 1


async def test_a_token_is_replaced_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    async with guarded(monkeypatch) as (guard, it):
        guard.lives_s = 31
        await it.send(dispatch())
        await asyncio.sleep(1.1)
        await it.send(dispatch())
    assert guard.given == 2


def test_a_secret_never_travels_to_a_server_of_tokens_without_tls() -> None:
    with pytest.raises(msgspec.ValidationError, match="https"):
        msgspec.convert({"url": "https://erp.example", "auth": {
            "type": "oauth", "token_url": "http://tokens.example/t", "client_id": "x",
            "client_secret": {"env": "X"}}}, HttpOut)
