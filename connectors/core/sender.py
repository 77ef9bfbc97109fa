"""Sends X12 to a payer in the CORE envelope and tells the layers of failure apart (X16)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Final

from canonical.findings import Rejection, finding
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Unknown
from connectors.batching import Batching
from connectors.core.answer import verdict
from connectors.core.client import Payer
from connectors.core.codes import INTERCHANGE, NO_ANSWER, NOT_X12, PAYER_AWAY, SET, SLOW
from connectors.core.envelope import REAL_TIME, SUBMIT, Envelope
from connectors.core.settings import CoreOut

_log = logging.getLogger(__name__)
#: GS08 and ST01 of an interchange, wherever its delimiters put them.
_GROUP: Final = re.compile(rb"GS(?P<d>[^\w\s])(?:[^\r\n]*?(?P=d)){7}(?P<guide>\w{6,14})", re.DOTALL)


class CoreSender:
    """One interchange a dispatch: in real time each by itself, in batch mode many in one submission.

    The payload id is made from the identity of the delivery, so a payer can tell a repetition (invariant 8).
    """

    def __init__(self, name: str, settings: CoreOut, *, now: Callable[[], float] = time.time) -> None:
        self.name = name
        self._settings = settings
        self._payer = Payer(settings, now=now)
        self._batches = Batching(self._submitted, settings.collect_s, settings.max_batch)
        self._doubtful: dict[str, tuple[Dispatch, ...]] = {}
        """Batches that may have been taken, by the identities in them: repeated as they were, under the same payload id."""
        self._late: dict[str, Outcome] = {}
        """What became of those of a repeated batch that had not come again themselves."""

    async def start(self) -> None:
        """Read secrets and certificates; the payer need not be there."""
        await self._payer.start()

    async def stop(self, grace: float) -> None:
        """Submit what waits, within `grace` seconds, then close."""
        await self._batches.stop(grace, finding(PAYER_AWAY, detail="the sender stopped before the batch left"),
                                 finding(NO_ANSWER, detail="the sender stopped before the batch was acknowledged"))
        await self._payer.stop(grace)

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Deliver once."""
        if self._settings.mode == "batch":
            return await self._batches.send(dispatch)
        payload = dispatch.body.reveal()
        try:
            kind = payload_type(payload)
        except Rejection as wrong:
            return Rejected("", wrong.findings[0])
        began = time.monotonic()
        answer = await self._payer.exchange(
            self._payer.envelope(kind, REAL_TIME, dispatch.identity, payload), REAL_TIME)
        if (took := time.monotonic() - began) > self._settings.slow_s:
            _log.warning("%s: destination %s, %.0f s", SLOW.name, self.name, took)
        return self._not_yet(_answered(answer) if isinstance(answer, Envelope) else answer, took)

    def _not_yet(self, answer: Outcome, took: float) -> Outcome:
        """Nothing is asked again before the time that the operating rule sets, counted from when it was asked.

        Args:
            took: seconds since then.
        """
        if isinstance(answer, Unknown):
            return Unknown(answer.finding, answer.code, max(0.0, self._settings.retry_after_s - took))
        if isinstance(answer, Retry) and answer.response is not None:
            return Retry(answer.code, answer.finding, max(answer.after or 0.0, self._settings.retry_after_s),
                         answer.free, answer.response)
        return answer

    async def _submitted(self, batch: Sequence[Dispatch]) -> Sequence[Outcome]:
        known: dict[str, Outcome] = {}
        for dispatch in batch:
            if dispatch.identity in self._late:
                known[dispatch.identity] = self._late.pop(dispatch.identity)
            elif dispatch.identity not in known and (again := self._doubtful.get(dispatch.identity)) is not None:
                known |= dict.fromkeys((one.identity for one in again), await self._told(again))
        if fresh := tuple(dispatch for dispatch in batch if dispatch.identity not in known):
            known |= dict.fromkeys((one.identity for one in fresh), await self._told(fresh))
        here = {dispatch.identity for dispatch in batch}
        self._late |= {identity: outcome for identity, outcome in known.items()
                       if identity not in here and isinstance(outcome, Delivered | Rejected)}
        return [known[dispatch.identity] for dispatch in batch]

    async def _told(self, batch: tuple[Dispatch, ...]) -> Outcome:
        """Submit, and remember the batch as long as nobody knows what came of it."""
        outcome = await self._submit(batch)
        for dispatch in batch:
            if isinstance(outcome, Unknown):
                self._doubtful[dispatch.identity] = batch
            elif not isinstance(outcome, Retry):
                self._doubtful.pop(dispatch.identity, None)
        return outcome

    async def _submit(self, batch: Sequence[Dispatch]) -> Outcome:
        payloads = [dispatch.body.reveal() for dispatch in batch]
        try:
            kind = payload_type(payloads[0])
        except Rejection as wrong:
            return Rejected("", wrong.findings[0])
        envelope = self._payer.envelope(kind, SUBMIT, " ".join(dispatch.identity for dispatch in batch),
                                        b"".join(payloads))
        began = time.monotonic()
        answer = await self._payer.exchange(envelope, SUBMIT)
        if not isinstance(answer, Envelope):
            return self._not_yet(answer, time.monotonic() - began)
        return Delivered(answer.payload_type, answer.payload_id)


def _answered(envelope: Envelope) -> Outcome:
    if envelope.payload is None:
        return Unknown(finding(NO_ANSWER), envelope.payload_type)
    said = verdict(envelope.payload.reveal())
    if said.layer == "":
        return Unknown(finding(NO_ANSWER), envelope.payload_type)
    if said.accepted:
        return Delivered(said.code, envelope.payload_id, envelope.payload)
    code = INTERCHANGE if said.layer == "ta1" else SET
    return Rejected(said.code, finding(code, detail=f"{code.summary} ({said.code})"), False, envelope.payload)


def payload_type(payload: bytes) -> str:
    """``X12_270_Request_005010X279A1``: from ST01 and GS08 (CORE 270, table of payload types).

    Raises:
        Rejection: the payload is no interchange with a set in it.
    """
    group = _GROUP.search(payload)
    if not payload.lstrip()[:3] == b"ISA" or group is None:
        raise Rejection(finding(NOT_X12))
    element = group["d"]
    start = payload.find(b"ST" + element, group.end())
    set_id = payload[start + 3:start + 6].decode("ascii", "replace")
    if start < 0 or not set_id.isdigit():
        raise Rejection(finding(NOT_X12))
    return f"X12_{set_id}_Request_{group['guide'].decode()}"
