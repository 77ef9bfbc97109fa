"""Documents by a signed webhook: who it is comes before what it says, an old request cannot be played again (Z19, Z20)."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest

from connectors.http.receiver import HttpReceiver
from connectors.http.settings import HttpIn
from tests.conformance.door import Door
from tests.fax import readings

KEY = "k3y"


@asynccontextmanager
async def webhook(door: Door, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setenv("WEBHOOK_KEY", KEY)
    settings = msgspec.convert({
        "port": 0, "format": "document", "auth": {"type": "hmac", "secret": {"env": "WEBHOOK_KEY"}},
        "content_types": ["image/tiff", "application/pdf", "application/json", "application/zip"]}, HttpIn)
    receiver = HttpReceiver("faxes", settings, door.accept, door.report)
    await receiver.start()
    try:
        yield f"http://127.0.0.1:{receiver.port}/"
    finally:
        await receiver.stop(1)


async def post(url: str, body: bytes, kind: str, *, key: str = KEY, at: float | None = None, identity: str = "f1") -> int:
    stamp = str(int(time.time() if at is None else at))
    signed = hmac.new(key.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": kind, "X-Timestamp": stamp, "X-Signature": signed, "Idempotency-Key": identity}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_a_signed_fax_and_a_reading_are_taken_and_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door()
    async with webhook(door, monkeypatch) as url:
        assert await post(url, b"II*\0 a fax", "image/tiff") == 202
        assert await post(url, readings.textract(), "application/json", identity="f2") == 202
        assert await post(url, b"II*\0 a fax", "image/tiff") == 202
    assert [one.peek.message_type for one in door.submissions] == ["DOCUMENT^TIFF", "PAGES^TEXTRACT", "DOCUMENT^TIFF"]
    assert door.submissions[0].peek.dedup == door.submissions[2].peek.dedup


async def test_what_is_not_signed_or_is_too_old_is_not_parsed_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 14"""
    door = Door()
    async with webhook(door, monkeypatch) as url:
        assert await post(url, b"II*\0", "image/tiff", key="wrong") == 401
        assert await post(url, b"II*\0", "image/tiff", at=time.time() - 3600) == 401
    assert door.submissions == []


async def test_an_archive_is_kept_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Z16"""
    door = Door()
    async with webhook(door, monkeypatch) as url:
        assert await post(url, b"PK\x03\x04", "application/zip") == 422
    [refused] = door.submissions
    assert refused.refusal is not None
    assert refused.refusal.code == "fax.archive"
