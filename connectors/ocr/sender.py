"""Reads a stored document and gives its pages back through the one door: Delivered once they are committed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from canonical.failpoints import point
from canonical.findings import Finding, finding
from canonical.page import PageDocument, to_json
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Unavailable
from connectors.fax.codec import peek
from connectors.fax.order import document_of
from connectors.inside import House
from connectors.ocr.codes import CANNOT_START, DAMAGED, ENGINE, NO_DOCUMENT, TOO_LARGE, TURNED_AWAY
from connectors.ocr.process import CannotStart, missing, read
from connectors.ocr.settings import OcrOut

_log = logging.getLogger(__name__)

_READ: Final = point("ocr.after_read")
_POSTED: Final = point("ocr.after_post")


class OcrSender:
    """See `connectors.base.Sender`. The body of a dispatch names the message that holds the document.

    A repeated attempt, also after a death of the whole engine, reads again and gives in the same message again, which
    the door knows by what it is a reading of and what read it: nothing is lost and nothing is there twice.
    """

    def __init__(self, name: str, settings: OcrOut, house: House) -> None:
        self.name = name
        self.settings = settings
        self._house = house
        self._slots = asyncio.Semaphore(settings.max_sessions)
        self._under_way: set[asyncio.Task[Outcome]] = set()
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Say what is missing; a site that reads no pictures runs without."""
        self._stopping.clear()
        for found in missing(self.settings):
            _log.warning("destination %s: %s", self.name, found)

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Read the document that `dispatch` names."""
        if self._stopping.is_set():
            return Retry("", finding(TURNED_AWAY), free=True)
        reading = asyncio.create_task(self._read(dispatch))
        self._under_way.add(reading)
        reading.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            if self._stopping.is_set():
                return Retry("", finding(TURNED_AWAY), free=True)
            raise

    async def stop(self, grace: float) -> None:
        """Let readings finish within `grace` seconds, then break them off: they have had no effect."""
        self._stopping.set()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=grace)
        for reading in list(self._under_way):
            reading.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _read(self, dispatch: Dispatch) -> Outcome:
        try:
            async with self._slots:
                message_id = document_of(dispatch.body.reveal())
                raw = await self._house.fetch(message_id) if message_id else None
                if raw is None:
                    return Rejected(NO_DOCUMENT.name, finding(NO_DOCUMENT))
                if len(raw) > self.settings.max_bytes:
                    return Rejected(TOO_LARGE.name, finding(TOO_LARGE, detail=f"more than {self.settings.max_bytes} bytes"))
                document = await read(raw, message_id, self.settings)
                _READ()
                if not document.pages:
                    return _refused(document.findings)
                await self._post(document)
                _POSTED()
                return Delivered("read")
        except CannotStart:
            return Retry("", finding(CANNOT_START), free=True)
        except Unavailable:
            return Retry("", finding(TURNED_AWAY, detail="the ledger could not be reached"), free=True)

    async def _post(self, document: PageDocument) -> None:
        raw = to_json(document)
        await self._house.post(raw, peek(raw), document.parent_id)


def _refused(findings: Sequence[Finding]) -> Rejected:
    """Nothing of it could be read. Without an engine no other picture can be read either: that stops the destination."""
    worst = next(iter(findings), finding(DAMAGED))
    return Rejected(worst.code, msgspec.structs.replace(worst), channel_wide=worst.code == ENGINE.name)
