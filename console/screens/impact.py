"""What a change of a master touches, one paragraph a record."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from console.screens.style import many
from console.views.impact import Change, ImpactView


def _change(change: Change) -> RenderableType:
    style = "bold red" if change.urgent and change.visits else "bold"
    head = Text.assemble((change.type, style), f" {change.subject}: ",
                         many(len(change.visits), "visit"), f" from {change.since} on")
    return Group(head, *(Text(f"    {visit.start}  {visit.subject}  show: dragoman show {visit.message}")
                         for visit in change.visits))


def impact(view: ImpactView) -> RenderableType:
    """One paragraph a record."""
    if not view.changes:
        return Text("this message changes no person and no place", style="green")
    return Group(*(_change(change) for change in view.changes))
