"""Delivers resources and transactions to a FHIR R4 server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from canonical.findings import Rejection, finding
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Unknown
from connectors.fhir.codes import AMBIGUOUS, DUPLICATE, STALE
from connectors.fhir.outcome import outcome
from connectors.fhir.request import MEDIA_TYPE, Interaction, contains, etag, interaction, probe
from connectors.fhir.settings import FhirOut
from connectors.http.client import Answer, HttpClient


class FhirSender:
    """One interaction a dispatch (`connectors.fhir.request`), one word for what became of it
    (`connectors.fhir.outcome`).

    Three situations take more than one request, each of them bounded: a search before a plain create
    (``verify_by_search``, H18), a second update with the version just read where the message says that it
    overwrites (attribute ``overwrite`` = ``true``, H12), and a look at what a server holds that answers
    ``duplicate`` (H16).
    """

    def __init__(self, name: str, settings: FhirOut, *, now: Callable[[], float] = time.time) -> None:
        self.name = name
        self._settings = settings
        self._client = HttpClient(settings)
        self._now = now

    async def start(self) -> None:
        """Read secrets and certificates; the server need not be there."""
        await self._client.start()

    async def stop(self, grace: float) -> None:
        """Wait up to `grace` seconds for what is under way, then close."""
        await self._client.stop(grace)

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Deliver once."""
        body = dispatch.body.reveal()
        try:
            asked = interaction(dispatch, self._settings)
        except Rejection as rejection:
            return Rejected("", rejection.findings[0])
        if self._settings.verify_by_search and not asked.repeatable:
            found = await self._found(probe(body))
            if found is not None:
                return found
        verdict = await self._exchange(asked, body)
        if _stale(verdict) and dispatch.attributes.get("overwrite") == "true":
            return await self._overwrite(asked, body)
        if isinstance(verdict, Rejected) and verdict.finding.code == DUPLICATE.name:
            return await self._same(verdict, body)
        return verdict

    async def _exchange(self, asked: Interaction, body: bytes) -> Outcome:
        answer = await self._client.request(asked.method, asked.path, asked.headers, body)
        if not isinstance(answer, Answer):
            return answer
        return outcome(answer.status, answer.headers, answer.body, now=self._now,
                       conditional_on_version=asked.conditional_on_version,
                       keep_response=self._settings.keep_response)

    async def _overwrite(self, asked: Interaction, body: bytes) -> Outcome:
        """Update again with the version the server holds now; a second 412 is left to the retry policy."""
        answer = await self._read(asked.path)
        if not isinstance(answer, Answer):
            return answer
        version = _version(answer)
        if not version:
            return outcome(412, answer.headers, answer.body, now=self._now, conditional_on_version=True)
        verdict = await self._exchange(
            Interaction(asked.method, asked.path, {**asked.headers, "If-Match": version}), body)
        if _stale(verdict) and isinstance(verdict, Rejected):
            return Retry("412", verdict.finding, response=verdict.response)
        return verdict

    async def _found(self, query: str) -> Outcome | None:
        """What a search says about an earlier attempt: done, undecidable, or (None) not done."""
        if not query:
            return None
        answer = await self._read(query)
        if not isinstance(answer, Answer):
            return answer
        if answer.status != 200:
            return outcome(answer.status, answer.headers, answer.body, now=self._now)
        matches = _matches(answer.body)
        if len(matches) > 1:
            return Rejected("200", finding(AMBIGUOUS))
        return Delivered("found", _name(matches[0])) if matches else None

    async def _same(self, refusal: Rejected, body: bytes) -> Outcome:
        """``duplicate`` is a delivery where the server holds just what was sent (H16)."""
        query = probe(body)
        answer = await self._read(query) if query else None
        if isinstance(answer, Answer) and answer.status == 200:
            matches = _matches(answer.body)
            if len(matches) == 1 and contains(msgspec.json.decode(body), matches[0]):
                return Delivered("duplicate", _name(matches[0]))
        return refusal

    async def _read(self, path: str) -> Answer | Rejected | Retry:
        """A GET has no effect: where its answer is lost, trying the whole again is safe."""
        answer = await self._client.request("GET", path, {"Accept": MEDIA_TYPE})
        return Retry("", answer.finding) if isinstance(answer, Unknown) else answer


def _stale(verdict: Outcome) -> bool:
    return isinstance(verdict, Rejected) and verdict.finding.code == STALE.name


def _version(answer: Answer) -> str:
    """ETag of the one resource an update would meet; empty where there is none or not one."""
    if answer.status != 200:
        return ""
    if "ETag" in answer.headers:
        return answer.headers["ETag"]
    matches = _matches(answer.body)
    return etag(str(matches[0].get("meta", {}).get("versionId", ""))) if len(matches) == 1 else ""


def _matches(body: bytes) -> list[Mapping[str, Any]]:
    """Resources of a searchset that match; those only included, and outcomes, are left out."""
    try:
        bundle = msgspec.json.decode(body)
        return [entry["resource"] for entry in bundle.get("entry", ())
                if entry.get("search", {}).get("mode", "match") == "match"]
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError):
        return []


def _name(resource: Mapping[str, Any]) -> str:
    return f"{resource.get('resourceType', '')}/{resource.get('id', '')}"
