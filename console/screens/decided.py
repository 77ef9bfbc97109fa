"""What a person's decision came to, in one or two lines."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from console.screens.style import many
from console.views.decided import Decided


def decided(view: Decided) -> RenderableType:
    """``skipped 1 of 1``; says so where less was done than asked."""
    text = Text(f"{view.action}: {view.done} of {many(view.asked, 'subject')}",
                style="green" if view.done == view.asked else "yellow")
    if view.note:
        text.append(f"\n{view.note}", style="dim")
    return text
