"""Sends messages by HTTP: JSON or XML for an ERP and the like, HL7 over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable

from connectors.base import Dispatch, Outcome
from connectors.http.client import Answer, HttpClient
from connectors.http.outcome import outcome
from connectors.http.settings import HttpOut


class HttpSender:
    """One request a dispatch. The identity travels as ``Idempotency-Key`` (invariant 8).

    `Dispatch.attributes` may carry ``path`` (relative to the base URL) and ``method``.
    """

    def __init__(self, name: str, settings: HttpOut, *, now: Callable[[], float] = time.time) -> None:
        self.name = name
        self._settings = settings
        self._client = HttpClient(settings)
        self._now = now

    async def start(self) -> None:
        """Read secrets and certificates; the peer need not be there."""
        await self._client.start()

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Deliver once; see `connectors.http.outcome` for what each answer means."""
        settings, attributes = self._settings, dispatch.attributes
        answer = await self._client.request(
            attributes.get("method", settings.method), attributes.get("path", ""),
            {"Content-Type": dispatch.content_type, settings.identity_header: dispatch.identity},
            dispatch.body.reveal())
        if not isinstance(answer, Answer):
            return answer
        return outcome(answer.status, answer.headers, answer.body, now=self._now,
                       on_conflict=settings.on_conflict, keep_response=settings.keep_response)

    async def stop(self, grace: float) -> None:
        """Wait up to `grace` seconds for what is under way, then close."""
        await self._client.stop(grace)
