"""Colours and marks, in one place. Never the only carrier of a meaning: every state is also a word."""

from __future__ import annotations

from typing import Final

from rich.table import Table
from rich.text import Text

_STYLES: Final = {
    "received": "cyan", "held": "magenta", "parked": "bold red", "processed": "green", "filtered": "dim",
    "refused": "red", "discarded": "dim", "pending": "cyan", "inflight": "yellow", "delivered": "green",
    "superseded": "dim", "skipped": "dim", "rejected": "red", "retry": "yellow", "unknown": "bold yellow",
    "ready": "cyan", "claimed": "yellow", "done": "green", "cancelled": "dim", "escalated": "bold red",
    "passes": "green", "fails": "red", "gone": "dim",
    "fatal": "bold red", "error": "red", "warning": "yellow", "info": "dim",
}


def word(state: str) -> Text:
    """A state or severity in its colour."""
    return Text(state, style=_STYLES.get(state, ""))


def many(count: int, noun: str) -> str:
    """``1 message``, ``2 messages``, ``3 deliveries``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("ry") else f"{count} {noun}s"


def short(moment: str) -> str:
    """An RFC 3339 time as a table shows it."""
    return moment.replace("T", " ").partition(".")[0]


def table(*columns: str, title: str | None = None) -> Table:
    """A table as all screens draw it. The last column takes the rest of the width."""
    grid = Table(title=title, box=None, pad_edge=False, header_style="bold", title_justify="left",
                 title_style="bold")
    for name in columns[:-1]:
        grid.add_column(name, overflow="fold")
    grid.add_column(columns[-1], overflow="fold", ratio=1)
    return grid
