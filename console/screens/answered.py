"""An acknowledgement that came as a message."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from console.views.answered import AnsweredView


def answered(view: AnsweredView) -> RenderableType:
    """What was said, of which delivery, and what to do where it is no."""
    lines = [Text.assemble((view.code, "bold red" if view.refused else "green"), " answers ",
                           (view.delivery or "no delivery that is known", "bold"),
                           f" to {view.destination}, {view.state}" if view.delivery else "")]
    lines += [Text(f"    {error}") for error in view.errors]
    if view.message:
        lines.append(Text(f"    show: dragoman show {view.message}"))
    return Group(*lines)
