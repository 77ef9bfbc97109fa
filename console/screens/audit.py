"""The audit trail."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from console.screens.style import short, table
from console.views.audit import AuditList, AuditVerdict


def audit_list(view: AuditList) -> RenderableType:
    """One line an entry."""
    if not view.entries:
        return Text("no entries")
    grid = table("no.", "at (UTC)", "who", "what", "on", "why")
    for entry in view.entries:
        grid.add_row(str(entry.number), short(entry.at), entry.actor, entry.action, entry.subject, entry.reason)
    return grid


def audit_verdict(view: AuditVerdict) -> RenderableType:
    """The verdict in one line."""
    if view.ok:
        return Text(f"the audit trail is whole: {view.entries} entries, every hash fits", style="green")
    return Text(f"the audit trail is BROKEN at entry {view.broken_at} ({view.entries} read): "
                "an entry was edited, removed, inserted or moved", style="bold red")
