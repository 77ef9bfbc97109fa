"""What a simulated EHR's sending came to, in one line."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from console.views.partners import Fed


def fed(view: Fed) -> RenderableType:
    """Sent and accepted; the rest only where there is any."""
    text = Text(f"sent {view.sent}, accepted {view.accepted}", style="green" if view.ok else "bold")
    for code, count in view.refused.items():
        text.append(f", {count} {code}", style="red")
    if view.repeated:
        text.append(f", {view.repeated} sent again", style="yellow")
    if view.stray:
        text.append(f", {view.stray} stray answers", style="yellow")
    if view.given_up:
        text.append(f", no answer at all for {', '.join(view.given_up)}", style="bold red")
    return text
