"""The list of messages."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from console.screens.style import short, table, word
from console.views.messages import MessageList, MessageRow


def _deliveries(line: MessageRow) -> Text:
    return Text(", ").join(word(f"{state}").append(f" {count}") for state, count in line.deliveries.items())


def message_list(view: MessageList) -> RenderableType:
    """Newest first, one line a message."""
    if not view.messages:
        return Text("no such message")
    grid = table("id", "received (UTC)", "channel", "type", "control id", "state", "ack", "deliveries", "why")
    for line in view.messages:
        why = f"behind {line.held_behind}" if line.held_behind else line.reason
        grid.add_row(line.id, short(line.received_at), line.channel, line.type, line.control_id,
                     word(line.state), line.ack, _deliveries(line), why)
    if not view.more:
        return grid
    return Group(grid, Text(f"more: --before {view.more}", style="dim"))
