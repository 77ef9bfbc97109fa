"""What waits for people, in clusters: one cause, one line, one command (A6.1)."""

from __future__ import annotations

import msgspec

from canonical.findings import declared
from console.clock import iso
from store.ledger import Desk


class Cluster(msgspec.Struct, kw_only=True):
    """Everything that waits for one reason in one place."""

    what: str
    """``message`` (at a channel) or ``delivery`` (at a destination)."""
    where: str
    reason: str
    summary: str
    count: int
    oldest: str
    newest: str
    hint: str
    page: str
    look: str
    """Command that shows the members."""
    fix: str
    """Command that mends them once the cause is gone: a dry run, it changes nothing by itself."""


class ParkedView(msgspec.Struct, kw_only=True):
    """All clusters, largest first, and how many messages are held behind them."""

    clusters: list[Cluster]
    held: int = 0


async def parked_view(desk: Desk, held: int) -> ParkedView:
    """The clusters of the ledger, with the words of the finding's declaration."""
    codes = declared()
    clusters = []
    for what, where, reason, count, oldest, newest in await desk.parked():
        code = codes.get(reason)
        of_messages = what.startswith("message")
        scope = f"--channel {where}" if of_messages else f"--destination {where}"
        members = scope if of_messages else f"--parked-at {where}"
        clusters.append(Cluster(
            what="message" if of_messages else "delivery", where=where, reason=reason, count=count,
            oldest=iso(oldest), newest=iso(newest),
            summary=code.summary if code else "", hint=code.hint if code else "",
            page=f"docs/findings/{reason}.md",
            look=f"dragoman messages {members} --code {reason}",
            fix=f"dragoman replay {scope} --code {reason}"))
    return ParkedView(clusters=sorted(clusters, key=lambda cluster: -cluster.count), held=held)
