"""The one door: what every receiver hands its messages to. It stands before the acknowledgement: keep it thin.

A message this site does not take (wrong type, processing id of another environment) is stored all the same, as
refused: its sender is told no, and people can see what came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from canonical.failpoints import point
from canonical.findings import Finding, Severity, declare, finding
from canonical.receipt import Receipt, Verdict
from connectors.base import Submission, Unavailable
from router.ids import MessageIds
from router.pressure import Pressure
from router.site import Channel
from store.ledger import Intake, LedgerUnavailable
from store.partition import partition_of
from store.records import AckOutcome, MessageState, NewMessage

PROCESSING_ID: Final = declare(
    "receive.processing_id", Severity.ERROR, "The message is for another environment than this channel.",
    "Send production traffic to the production endpoint and tests to the test endpoint (MSH-11, A10).")
TYPE: Final = declare(
    "receive.unsupported_type", Severity.ERROR, "This channel does not take messages of this type.",
    "Add the type to `accepts` of the channel, or stop sending it here.")

_BEFORE: Final = point("receive.before_append")
_AFTER: Final = point("receive.after_append")


class Door:
    """Accepts submissions for the channels of a site.

    Args:
        intake: the ledger.
        channels: of the site, by name.
        partitions: of the ledger.
        ids: makes message ids.
        ring: wakes the workers of partitions; must not block.
        pressure: how much waits to be worked off.
    """

    def __init__(self, intake: Intake, channels: Mapping[str, Channel], partitions: int, ids: MessageIds,
                 ring: Callable[[Iterable[int]], None], pressure: Pressure | None = None) -> None:
        self._intake = intake
        self._channels = channels
        self._partitions = partitions
        self._ids = ids
        self._ring = ring
        self._pressure = pressure

    async def accept(self, submission: Submission) -> Receipt:
        """Commit a message; returns after the commit (`connectors.base.Accept`).

        Raises:
            Unavailable: it is not stored.
        """
        channel = self._channels[submission.channel]
        peek = submission.peek
        refusal = submission.refusal
        if refusal is None and submission.record is None and submission.park is None:
            refusal = _refusal(channel, peek.message_type, peek.processing_id)
        first = refusal or submission.park or submission.record
        state = (MessageState.REFUSED if refusal is not None else
                 MessageState.PARKED if submission.park is not None else
                 MessageState.FILTERED if submission.record is not None else MessageState.RECEIVED)
        message_id, now = self._ids()
        lanes = (f"channel:{submission.channel}",) if channel.order_by == "channel" else peek.lanes
        lanes = lanes or (message_id,)
        message = NewMessage(
            id=message_id, channel=submission.channel, raw=submission.raw, received_at=now,
            control_id=peek.control_id, message_type=peek.message_type, sender=peek.sender, lanes=lanes,
            charset=peek.charset or channel.charset, dedup=peek.dedup, peer=submission.peer,
            parent_id=submission.parent_id,
            state=state, findings=peek.findings if first is None else (first, *peek.findings))
        _BEFORE()
        try:
            receipt = await self._intake.append(message)
        except LedgerUnavailable as away:
            raise Unavailable("the ledger cannot commit") from away
        _AFTER()
        if receipt.verdict is Verdict.ACCEPTED:
            # The lane may have been that of a merged patient: the ledger knows who works it.
            self._ring((receipt.home if receipt.home >= 0 else partition_of(lanes[0], self._partitions),))
            if self._pressure is not None:
                self._pressure.accepted()
                if delay := self._pressure.delay():
                    await asyncio.sleep(delay)
        return receipt

    def report(self, receipt: Receipt, code: str, delivered: bool) -> None:
        """What became of an acknowledgement (`connectors.base.AckReport`)."""
        outcome = AckOutcome.DELIVERED if delivered else AckOutcome.UNDELIVERED
        self._intake.note_ack(receipt.message_id, code, outcome if code else AckOutcome.NOT_OWED)


def _refusal(channel: Channel, message_type: str, processing_id: str) -> Finding | None:
    if processing_id and processing_id.partition("^")[0] != channel.processing_id:
        return finding(PROCESSING_ID, at="MSH-11")
    if channel.accepts and not any(
            message_type == taken or message_type.startswith(taken + "^") for taken in channel.accepts):
        return finding(TYPE, at="MSH-9")
    return None
