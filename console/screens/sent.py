"""Acknowledgements, with their codes in words."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from console.views.sent import Answer, Sent


def _answer(answer: Answer) -> RenderableType:
    accepted = answer.code in {"AA", "CA"}
    lines = [Text.assemble(f"{answer.number}. {answer.control_id or 'no control id'}: ",
                           (answer.code or "no answer", "green" if accepted else "bold red"),
                           f" – {answer.meaning} ({answer.took_s * 1000:.0f} ms)")]
    if answer.text:
        lines.append(Text(f"   says: {answer.text}"))
    for complaint in answer.complaints:
        where = f" at {complaint.location}" if complaint.location else ""
        lines.append(Text(f"   {complaint.code}{where}: {complaint.meaning}"))
        if complaint.text:
            lines.append(Text(f"   says: {complaint.text}"))
    if answer.raw:
        lines.append(Text("\n".join(f"   {line}" for line in answer.raw.splitlines()), style="dim"))
    return Group(*lines)


def sent(view: Sent) -> RenderableType:
    """One paragraph a message."""
    return Group(*(_answer(answer) for answer in view.answers))
