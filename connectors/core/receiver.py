"""Fetches what a payer has ready: results of batches and their acknowledgements (CORE 270, batch interaction).

What is fetched is stored first and confirmed afterwards, so a payload that could not be stored is offered again.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from canonical.findings import finding
from canonical.phi import Phi
from canonical.receipt import Receipt
from connectors.base import Accept, AckReport, Submission
from connectors.core.client import Payer
from connectors.core.codes import DAMAGED
from connectors.core.envelope import RESULTS, RESULTS_ACK, SUBMIT_ACK, Envelope
from connectors.core.settings import CoreIn
from connectors.polling import Polling
from connectors.x12.reception import Reception

#: Payload types of an answer that has nothing to fetch: ``X12_005010_Response_NoBatchResultsFile``.
_NOTHING: Final = "_NoBatch"
#: Payload types that ask for acknowledgements of what was submitted, not for results.
_ACKNOWLEDGEMENTS: Final = ("_Ack", "_999_", "_TA1_")


class CoreReceiver:
    """One payer's outbox. See `connectors.base.Receiver`.

    Args:
        name: of the channel.
        settings: whom to ask for what.
        accept: the one door.
        ack_report: told ``confirmed`` for each message once the payer has been told.
        reception: cuts a payload into messages, and writes the 999 that confirms it.
        now: time in seconds since the epoch.
    """

    def __init__(self, name: str, settings: CoreIn, accept: Accept, ack_report: AckReport, reception: Reception, *,
                 now: Callable[[], float] = time.time) -> None:
        self.name = name
        self.settings = settings
        self._accept = accept
        self._ack_report = ack_report
        self._reception = reception
        self._payer = Payer(settings, now=now)
        self._polling = Polling(name, self._look, settings.every_s)

    @property
    def failures(self) -> Counter[str]:
        """See `connectors.polling.Polling`."""
        return self._polling.failures

    @property
    def resources(self) -> Sequence[str]:
        """The outbox: two channels that fetch from it would take each other's payloads."""
        return (f"core:{self.settings.url}|{self.settings.sender_id}|{self.settings.receiver_id}",)

    async def start(self) -> None:
        """Read secrets and begin; the payer need not be there."""
        await self._payer.start()
        self._polling.begin()

    async def stop(self, grace: float) -> None:
        """Finish the payload begun within `grace` seconds; one that is not confirmed is offered again."""
        await self._polling.end(grace)
        await self._payer.stop(grace)

    async def _look(self) -> bool:
        """Ask for each kind of payload; what goes wrong with one does not keep the others from being fetched."""
        found, wrong = False, None
        for kind in self.settings.fetch:
            try:
                found = await self._fetch(kind) or found
            except Exception as error:  # told when all have had their turn
                wrong = error
        if wrong is not None:
            raise wrong
        return found

    async def _fetch(self, kind: str) -> bool:
        """One payload, if there is one. True where more may follow.

        Raises:
            Unavailable: it could not be stored.
        """
        operation = SUBMIT_ACK if any(mark in kind for mark in _ACKNOWLEDGEMENTS) else RESULTS
        answer = await self._payer.exchange(
            self._payer.envelope(kind, operation, str(uuid.uuid4()), None), operation)
        if not isinstance(answer, Envelope):
            self._polling.failed(getattr(answer, "finding", finding(DAMAGED)).code)
            return False
        payload = answer.payload.reveal() if answer.payload is not None else b""
        if not payload or _NOTHING in answer.payload_type:
            return False
        receipts = await self._store(answer.payload_id, payload)
        confirmed = await self._confirm(payload)
        for receipt in receipts:
            self._ack_report(receipt, "confirmed" if confirmed else "", confirmed)
        return confirmed

    async def _store(self, payload_id: str, payload: bytes) -> list[Receipt]:
        messages = await self._reception.hear(payload)
        receipts = []
        for index, one in enumerate(messages):
            peek = one.peek
            if not peek.dedup:  # known by the payload it came in: an unconfirmed one is offered again
                place = hashlib.sha256(f"{payload_id}\0{index}".encode()).digest()
                peek = msgspec.structs.replace(peek, dedup=place)
            receipt = await self._accept(Submission(
                channel=self.name, raw=Phi(one.raw), peek=peek, peer=self.settings.receiver_id, park=one.park,
                parent_id=payload_id if len(messages) > 1 else ""))
            receipts.append(receipt)
        return receipts

    async def _confirm(self, payload: bytes) -> bool:
        """Tell the payer that we have it; False where nothing was told: it may come again."""
        confirmation = await self._reception.acknowledge(payload)
        if not confirmation:  # an acknowledgement, or no X12: asked for at once it might come again for ever
            return False
        answer = await self._payer.exchange(
            self._payer.envelope("X12_999_SubmissionRequest_005010X231A1", RESULTS_ACK, str(uuid.uuid4()),
                                 confirmation), RESULTS_ACK)
        if isinstance(answer, Envelope):
            return True
        self._polling.failed(getattr(answer, "finding", finding(DAMAGED)).code)
        return False
