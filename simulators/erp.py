"""An ERP endpoint: takes JSON by POST or PUT, once for each Idempotency-Key, and misbehaves on request.

A key that comes again gets the stored answer; with another content it is refused with 422 (draft-ietf-
httpapi-idempotency-key-header). Faults: `simulators.http`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from multidict import CIMultiDict

from simulators.faults import Plan
from simulators.http import HttpPartner, Reply

_KEYS: Final = ("key", "reference", "appointment_id", "appointment", "id")


def key_of(document: dict[str, Any]) -> str:
    """What a document is about: the first of the usual members that is a text; empty without one."""
    return next((value for name in _KEYS if isinstance(value := document.get(name), str)), "")


class Erp(HttpPartner):
    """``async with Erp() as erp``: then ``erp.url``, ``erp.sink``, ``erp.documents``."""

    base_path = "/erp"

    def __init__(self, port: int = 0, *, plan: Plan | None = None, keep: bool = True, token: str = "",
                 key: Callable[[dict[str, Any]], str] = key_of) -> None:
        super().__init__(port, plan=plan, keep=keep, token=token)
        self._key = key
        self._done: dict[str, tuple[bytes, Reply]] = {}
        self.documents: dict[str, dict[str, Any]] = {}
        """Last document by what it is about."""

    def handle(self, method: str, path: str, headers: CIMultiDict[str], body: bytes) -> Reply:
        """Take a document."""
        if method not in {"POST", "PUT"}:
            return self.error(405, "method")
        identity = headers.get("Idempotency-Key", "")
        if not identity:
            return self.error(400, "idempotency-key-missing")
        try:
            document = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.error(400, "not-json")
        key = self._key(document)
        before = self._done.get(identity)
        if before is not None:
            if before[0] != body:
                return self.error(422, "idempotency-key-reused")
            self.sink.record(identity, key, body, effect=False)
            return before[1]
        reply = Reply(201, msgspec.json.encode({"accepted": identity}), {"Location": f"{path}/{identity}"})
        self._done[identity] = (body, reply)
        self.documents[key] = document
        self.sink.record(identity, key, body, effect=True)
        return reply

    def error(self, status: int, detail: str) -> Reply:
        """Problem details (RFC 9457)."""
        return Reply(status, msgspec.json.encode({"type": f"urn:erp:{detail or status}", "status": status}))
