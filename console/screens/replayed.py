"""A replay: what would happen, or what happened."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from console.screens.style import many, table, word
from console.views.replayed import ReplayView

#: Items shown; the JSON has all.
SHOWN = 40


def replay(view: ReplayView) -> RenderableType:
    """Counts first, then one line an item."""
    if not view.items:
        return Text("nothing in this scope waits for a person")
    head = Text(f"{view.kind}, with configuration {view.revision[:12]}: ", style="bold")
    head.append_text(Text(", ").join(Text(f"{count} ").append_text(word(prospect))
                                     for prospect, count in view.prospects.items()))
    grid = table("id", "would", "events", "goes to", "fields that change / why not")
    for item in view.items[:SHOWN]:
        why = item.summary or item.reason
        grid.add_row(item.id, word(item.prospect), ", ".join(item.events), ", ".join(item.destinations),
                     why or ", ".join(item.changes))
    parts: list[RenderableType] = [head, grid]
    if len(view.items) > SHOWN:
        parts.append(Text(f"… and {len(view.items) - SHOWN} more (--json shows all)", style="dim"))
    if view.executed is None:
        parts.append(Text.assemble(("dry run: nothing was changed. ", "bold"),
                                   "To do it: the same command with --yes --reason TEXT"))
    else:
        parts.append(Text(f"done: {view.executed.done} of {many(view.executed.total, 'item')}"
                          + (f", {view.executed.already} dealt with by somebody else" if view.executed.already
                             else ""), style="green"))
    return Group(*parts)
