"""What a channel has stored, for receivers that go on where a stopped process left off."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.base import Kept, Recall, Unavailable
from store.ledger import Desk, LedgerUnavailable
from store.records import MessageQuery, MessageState


def recall(desk: Desk, channel: str) -> Recall:
    """See `connectors.base.Recall`."""
    async def recalled(code: str, since: int, limit: int) -> Sequence[Kept]:
        try:
            found = await desk.find(MessageQuery(channel=channel, reason=code, since=since, limit=limit))
        except LedgerUnavailable as away:
            raise Unavailable("the ledger cannot be read") from away
        return [Kept(message_id=one.id, raw=one.raw, received_at=one.received_at,
                     refused=one.state is MessageState.REFUSED, reason=one.reason) for one in found]

    return recalled
