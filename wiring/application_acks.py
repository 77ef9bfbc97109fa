"""Application acknowledgements of enhanced mode: a new exchange, begun by this side after processing (A02).

What is owed stands in the ledger: a message has been accepted (CA), and its acknowledgement is not yet AA or AE. So
nothing is forgotten by a crash, and one that is sent twice has the same bytes, control id and all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final

from msgspec import UNSET

from canonical.clock import Clock
from canonical.findings import Finding, Severity, declare, finding
from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Rejected
from connectors.hl7v2 import ack
from connectors.hl7v2.header import Header, narrow, read_header
from connectors.hl7v2.sender import MllpSender
from connectors.hl7v2.settings import ApplicationAck, MllpIn, Parked
from router.site import Channel
from store.ledger import Ledger, LedgerUnavailable
from store.records import AckOutcome, Message, MessageQuery, MessageState

_log = logging.getLogger(__name__)

DISCARDED: Final = declare(
    "ack.discarded", Severity.ERROR,
    "A person has decided that the message is not processed; its sender was told so",
    "Nothing to do here; the sender may send it again, mended.")

EVERY_S: Final = 0.5
"""Between looks at the ledger."""
OVERLAP_US: Final = 5_000_000
"""A message may become visible a little after later ones."""
PAGE: Final = 500
_OPEN: Final = frozenset({"", "CA"})


class Acknowledger:
    """Sends the application acknowledgements of one channel.

    Args:
        channel: its name.
        settings: where they go.
        ledger: what is owed.
        clock: for the time.
        held: partitions this process works: of several processes, one acknowledges.
    """

    def __init__(self, channel: str, settings: ApplicationAck, ledger: Ledger, clock: Clock,
                 held: Callable[[], Collection[int]]) -> None:
        self._channel, self._settings, self._ledger, self._clock, self._held = channel, settings, ledger, clock, held
        self._sender = MllpSender(f"{channel}/application-ack", settings)
        self._owed: dict[str, int] = {}
        """Messages to be acknowledged, and when they came, oldest first."""
        self._looked = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin. Raises OSError: certificates cannot be read."""
        await self._sender.start()
        self._task = asyncio.create_task(self._run(), name=f"application-acks-{self._channel}")

    async def stop(self, grace: float) -> None:
        """What is not sent by then is sent after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._sender.stop(grace)

    async def _run(self) -> None:
        while True:
            try:
                await self.turn()
            except LedgerUnavailable:
                pass
            except Exception as error:  # it must go on: what is owed stays owed
                _log.error("application acknowledgements: channel %s, %s", self._channel, type(error).__name__)
            await asyncio.sleep(EVERY_S)

    async def turn(self) -> None:
        """Look once what is owed, and send what can be said by now. Raises LedgerUnavailable."""
        await self._collect()
        for message_id in list(self._owed):
            message = await self._ledger.message(message_id)
            if message is None or message.ack_code not in _OPEN or self._too_old(message):
                self._owed.pop(message_id, None)
            elif message.partition in self._held() and not await self._say(message):
                return  # the peer is away: in order, later

    def _too_old(self, message: Message) -> bool:
        return self._clock.now() - message.received_at > self._settings.give_up_s * 1e6

    async def _collect(self) -> None:
        oldest = self._clock.now() - int(self._settings.give_up_s * 1e6)
        since, before, found = max(self._looked - OVERLAP_US, oldest), 0, list[Message]()
        while page := await self._ledger.find(MessageQuery(channel=self._channel, since=since, before_seq=before,
                                                           limit=PAGE)):
            found += page
            before = page[-1].seq
        for message in reversed(found):
            self._looked = max(self._looked, message.received_at)
            if message.ack_code in _OPEN and message.state is not MessageState.REFUSED and not message.reason.startswith(
                    ("hl7.fragment", "hl7.batch", "hl7.sequence")):
                raw = narrow(message.raw.reveal())
                header = read_header(raw)
                if header is not None and header.component(16, 1) in {b"AL", b"SU", b"ER"} and not ack.answers(header, raw):
                    self._owed.setdefault(message.id, message.received_at)

    async def _say(self, message: Message) -> bool:
        """False where it must be tried again later."""
        known, reason = self._verdict(message)
        if not known:
            return True
        raw = narrow(message.raw.reveal())
        header = read_header(raw)
        assert isinstance(header, Header)
        positive = reason is None
        if not ack.is_application_due(header, raw, positive=positive):
            self._owed.pop(message.id, None)
            return True
        code = "AA" if positive else "AE"
        body = ack.application(message.id, message.since, header, reason, confirm=self._settings.confirm)
        outcome = await self._sender.send(Dispatch(identity=f"{message.id}#application-ack", body=Phi(body),
                                                   content_type="x-application/hl7-v2+er7"))
        if isinstance(outcome, Delivered):
            self._ledger.note_ack(message.id, code, AckOutcome.DELIVERED)
        elif isinstance(outcome, Rejected):
            _log.error("application acknowledgement refused by the peer: channel %s, code %s", self._channel, outcome.code)
            self._ledger.note_ack(message.id, code, AckOutcome.UNDELIVERED)
        else:
            return False
        self._owed.pop(message.id, None)
        return True

    def _verdict(self, message: Message) -> tuple[bool, Finding | None]:
        """(is it known by now?, None: AA; a finding: AE, and why)."""
        match message.state:
            case MessageState.PROCESSED | MessageState.FILTERED:
                return True, None
            case MessageState.DISCARDED:
                return True, finding(DISCARDED)
            case MessageState.PARKED if self._settings.when_parked is Parked.ERROR:
                return True, next((one for one in message.findings if one.code == message.reason), finding(DISCARDED))
            case _:
                return False, None


def acknowledgers(channels: Mapping[str, Channel], ledger: Ledger, clock: Clock,
                  held: Callable[[], Collection[int]]) -> list[Acknowledger]:
    """One a channel that has such a connection."""
    return [Acknowledger(name, channel.settings.application_ack, ledger, clock, held)
            for name, channel in channels.items()
            if isinstance(channel.settings, MllpIn) and channel.settings.application_ack is not UNSET]

