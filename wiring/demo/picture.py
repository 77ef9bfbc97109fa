"""The flow, drawn: who sends, what the engine holds, who receives, and what went wrong last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from console.screens.style import word
from console.views.messages import HELD, message_list
from store.ledger import Desk
from store.records import DeliveryState, Message, MessageQuery, MessageState

_WAITING = (DeliveryState.PENDING, DeliveryState.INFLIGHT)
_DONE = (DeliveryState.DELIVERED, DeliveryState.SUPERSEDED, DeliveryState.SKIPPED)


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the ledger."""

    received: dict[str, int]
    """Messages by channel."""
    messages: dict[str, int]
    """By state."""
    deliveries: dict[str, dict[str, int]]
    """By destination, then state."""
    trouble: dict[str, str]
    """Last word of a destination that is not delivering, by destination."""
    newest: list[str]
    """The last few messages: type and what became of it."""

    @property
    def settled(self) -> bool:
        """True where nothing moves any more unless a person acts."""
        moving = sum(states.get(state.value, 0) for states in self.deliveries.values() for state in _WAITING)
        return not moving and not self.messages.get(MessageState.RECEIVED.value, 0)

    @property
    def total(self) -> int:
        """Messages in the ledger."""
        return sum(self.messages.values())

    def count(self, destination: str, *states: DeliveryState) -> int:
        """Deliveries of a destination in these states."""
        return sum(self.deliveries.get(destination, {}).get(state.value, 0) for state in states)


def _became(message: Message) -> str:
    return f"{message.message_type:8} {message.channel:9} {message.state.value} {message.reason}".rstrip()


async def look(desk: Desk, channels: Iterable[str]) -> Flow:
    """Take one look."""
    counts = await desk.counts()
    received = {name: len(await desk.find(MessageQuery(channel=name, limit=100_000))) for name in channels}
    deliveries: dict[str, dict[str, int]] = {}
    for key, count in counts["deliveries"].items():
        destination, _, state = key.rpartition("/")
        deliveries.setdefault(destination, {})[state] = count
    messages = dict(counts["messages"])
    waiting = await message_list(desk, MessageQuery(state=MessageState.RECEIVED, limit=1000), held_only=True)
    if held := len(waiting.messages):
        messages[HELD] = held
        messages[MessageState.RECEIVED.value] -= held
    trouble = {}
    for one in await desk.find_deliveries(state=DeliveryState.PENDING, limit=500):
        if one.code:
            trouble[one.destination] = one.code
    newest = await desk.find(MessageQuery(limit=4))
    return Flow(received=received, messages=messages, deliveries=deliveries,
                trouble=trouble, newest=[_became(message) for message in newest])


def _senders(flow: Flow) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row()
    for name, count in flow.received.items():
        grid.add_row(Text(name, style="bold"), Text(f"{count}", style="green"), Text("─▶"))
    return grid


def _engine(flow: Flow) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for state, count in flow.messages.items():
        if count:
            grid.add_row(word(state), str(count))
    return Panel(grid, title="dragoman", title_align="left", width=20)


def _receivers(flow: Flow, protocols: Mapping[str, str]) -> RenderableType:
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for heading in ("", "", "", "sent", "waits", "parked", "says"):
        grid.add_column(heading, no_wrap=True)
    for name, protocol in protocols.items():
        waiting = flow.count(name, *_WAITING)
        parked = flow.count(name, DeliveryState.PARKED)
        grid.add_row("─▶", Text(name, style="bold"), Text(protocol, style="dim"),
                     Text(str(flow.count(name, *_DONE)), style="green"),
                     Text(str(waiting), style="yellow" if waiting else "dim"),
                     Text(str(parked), style="bold red" if parked else "dim"),
                     Text(flow.trouble.get(name, ""), style="yellow"))
    return grid


def picture(flow: Flow, protocols: Mapping[str, str]) -> RenderableType:
    """The whole picture. `protocols`: what each destination speaks."""
    row = Table.grid(padding=(0, 1))
    row.add_row(_senders(flow), _engine(flow), _receivers(flow, protocols))
    return Group(row, *(Text(f"  {line}", style="dim") for line in flow.newest))


def line(flow: Flow) -> str:
    """The same in one line, where nobody watches a terminal."""
    senders = " ".join(f"{name}={count}" for name, count in flow.received.items())
    states = " ".join(f"{state}={count}" for state, count in flow.messages.items() if count)
    receivers = "  ".join(
        f"{name}: {flow.count(name, *_DONE)} delivered, {flow.count(name, *_WAITING)} waiting"
        + (f", {parked} parked" if (parked := flow.count(name, DeliveryState.PARKED)) else "")
        + (f" ({trouble})" if (trouble := flow.trouble.get(name)) else "")
        for name in flow.deliveries)
    return f"received {senders} | messages {states} | {receivers}"
