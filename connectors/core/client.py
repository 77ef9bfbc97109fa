"""One payer: envelopes out and back, and what the transport and the envelope say of them (layers 1 and 2, X16)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from msgspec import UNSET

from canonical.findings import finding
from canonical.phi import Phi
from connectors.base import Outcome, Rejected, Retry, Unknown
from connectors.core import form, rest, soap
from connectors.core.codes import ACCESS, DAMAGED, ENVELOPE, NO_ENVELOPE, NOT_X12, PAYER_AWAY
from connectors.core.envelope import REAL_TIME, Envelope, NoEnvelope, Operation, checksum, payload_id
from connectors.core.settings import CoreClient
from connectors.http.client import Answer, HttpClient
from connectors.http.outcome import outcome

#: Envelope errors that say: not now (CORE 270 §4.3.3); everything else is about our fields.
_LATER: Final = frozenset({"Receiver", "SystemUnavailable", "ServerUnavailable"})
_ACCESS: Final = frozenset({"UnAuthorized", "Unauthorized", "UserNameIllegal", "PasswordIllegal"})


class Payer:
    """One payer, over one pool of connections."""

    def __init__(self, settings: CoreClient, *, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._client = HttpClient(settings)
        self._now = now
        self._password = ""

    async def start(self) -> None:
        """Read secrets and certificates; the payer need not be there."""
        token = self._settings.submitter
        self._password = token.password.read() if token is not UNSET else ""
        await self._client.start()

    async def stop(self, grace: float) -> None:
        """Wait up to `grace` seconds for what is under way, then close."""
        await self._client.stop(grace)

    def envelope(self, payload_type: str, operation: Operation, identity: str, payload: bytes | None) -> Envelope:
        """An envelope of ours."""
        settings, batch = self._settings, operation is not REAL_TIME and payload is not None
        return Envelope(
            payload_type=payload_type, processing_mode=operation.mode, payload_id=payload_id(identity),
            timestamp=datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            sender_id=settings.sender_id, receiver_id=settings.receiver_id, rule_version=settings.rule_version,
            payload=Phi(payload) if payload is not None else None,
            payload_length=len(payload) if batch and payload is not None else None,
            checksum=checksum(payload) if batch and payload is not None else "")

    async def exchange(self, envelope: Envelope, operation: Operation) -> Envelope | Outcome:
        """The payer's envelope, or what came instead of a good one.

        A refusal inside the envelope is an `Outcome`, too; an envelope that is returned says *Success*.
        """
        settings = self._settings
        token = settings.submitter
        user = token.user if token is not UNSET else ""
        try:
            if settings.envelope == "soap":
                kind, body = soap.write(envelope, operation, operation.request, user, self._password,
                                        mtom=settings.mtom)
            elif settings.envelope == "mime":
                kind, body = form.write(envelope, user, self._password)
            else:
                kind, body = rest.write(envelope)
        except ValueError:
            return Rejected("", finding(NOT_X12))
        answer = await self._client.request("POST", "", {"Content-Type": kind}, body)
        if not isinstance(answer, Answer):
            return answer
        return self._opened(answer)

    def _opened(self, answer: Answer) -> Envelope | Outcome:
        content_type = answer.headers.get("Content-Type", "")
        try:
            envelope = _parse(self._settings.envelope, content_type, answer.body)
        except NoEnvelope as wrong:
            if not 200 <= answer.status < 300:  # the transport's own failure: its word counts
                return outcome(answer.status, answer.headers, answer.body, now=self._now)
            # The request was taken by something that does not speak CORE: nobody knows what it did with it.
            return Unknown(finding(NO_ENVELOPE, at=wrong.place), str(answer.status))
        if error := envelope.error:
            return self._refused(error, answer)
        if not 200 <= answer.status < 300:
            return outcome(answer.status, answer.headers, answer.body, now=self._now)
        if not envelope.intact():
            return Unknown(finding(DAMAGED), str(answer.status))
        return envelope

    @staticmethod
    def _refused(error: str, answer: Answer) -> Outcome:
        kept = Phi(answer.body)
        if error in _LATER:
            return Retry(error, finding(PAYER_AWAY, detail=f"{PAYER_AWAY.summary} ({error})"), free=True, response=kept)
        if error == "ChecksumMismatched":
            return Retry(error, finding(DAMAGED), response=kept)
        if error in _ACCESS:
            return Rejected(error, finding(ACCESS, detail=f"{ACCESS.summary} ({error})"), True, kept)
        return Rejected(error, finding(ENVELOPE, detail=f"{ENVELOPE.summary} ({error})"), True, kept)


def _parse(form_of: str, content_type: str, body: bytes) -> Envelope:
    if form_of == "soap":
        return soap.parse(content_type, body)
    return form.parse(content_type, body) if form_of == "mime" else rest.parse(body)
