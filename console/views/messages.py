"""Messages in a list: what they are, what became of them, and what they wait for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from console.clock import iso
from store.ledger import Desk
from store.records import DeliveryState, Message, MessageQuery, MessageState


class MessageRow(msgspec.Struct, kw_only=True):
    """One message. `state` is ``held`` where a parked message of the same lane stands before it."""

    id: str
    seq: int
    channel: str
    type: str
    control_id: str
    state: str
    since: str
    reason: str = ""
    held_behind: str = ""
    """Id of the parked message that must be dealt with first."""
    received_at: str = ""
    ack: str = ""
    """What its sender was answered: ``AA``; ``AA (undelivered)`` where the socket was gone."""
    deliveries: dict[str, int] = {}
    """How many deliveries it has in each state."""


class MessageList(msgspec.Struct, kw_only=True):
    """Newest first. `more` is the ``--before`` of the next page, 0 at the end."""

    messages: list[MessageRow]
    more: int = 0


HELD = "held"


def blocker(message: Message, parked: Sequence[Message]) -> Message | None:
    """The oldest parked message that stands before `message` in one of its lanes."""
    if message.state is not MessageState.RECEIVED:
        return None
    lanes = set(message.lanes)
    before = [other for other in parked if other.seq < message.seq and lanes.intersection(other.lanes)]
    return min(before, key=lambda other: other.seq, default=None)


def acknowledgement(message: Message) -> str:
    """Code and, where it is not *delivered*, what became of it."""
    outcome = message.ack_outcome.value
    if outcome == "delivered":
        return message.ack_code
    return f"{message.ack_code} ({outcome})" if message.ack_code else outcome


def row(message: Message, parked: Sequence[Message], deliveries: dict[str, int]) -> MessageRow:
    """One line of the list."""
    behind = blocker(message, parked)
    return MessageRow(
        id=message.id, seq=message.seq, channel=message.channel, type=message.message_type,
        control_id=message.control_id, state=HELD if behind else message.state.value,
        since=iso(message.since or message.received_at), reason=message.reason,
        held_behind=behind.id if behind else "", received_at=iso(message.received_at),
        ack=acknowledgement(message), deliveries=deliveries)


async def parked_messages(desk: Desk) -> Sequence[Message]:
    """Every parked message: few by nature, and each explains those held behind it."""
    return await desk.find(MessageQuery(state=MessageState.PARKED, limit=10_000))


async def message_list(desk: Desk, query: MessageQuery, *, held_only: bool = False) -> MessageList:
    """The newest messages that fit."""
    found = await desk.find(query)
    rows = await _rows(desk, found)
    if held_only:
        rows = [line for line in rows if line.held_behind]
    return MessageList(messages=rows, more=found[-1].seq if len(found) == query.limit else 0)


async def parked_there(desk: Desk, destination: str, reason: str, limit: int) -> MessageList:
    """Messages with a parked delivery at a destination, newest first."""
    parked = await desk.find_deliveries(destination=destination, state=DeliveryState.PARKED, reason=reason)
    ids = dict.fromkeys(delivery.id.partition(".")[0] for delivery in reversed(parked))
    found = [await desk.message(message_id) for message_id in list(ids)[:limit]]
    return MessageList(messages=await _rows(desk, [message for message in found if message is not None]))


async def _rows(desk: Desk, found: Sequence[Message]) -> list[MessageRow]:
    parked = await parked_messages(desk)
    counts: dict[int, dict[str, int]] = {}
    for delivery in await desk.deliveries([message.seq for message in found]):
        states = counts.setdefault(delivery.message_seq, {})
        states[delivery.state.value] = states.get(delivery.state.value, 0) + 1
    return [row(message, parked, counts.get(message.seq, {})) for message in found]
