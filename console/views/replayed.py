"""What a replay would do, and what it did. Ids, codes and names of fields only: nothing to mask."""

from __future__ import annotations

import msgspec

from canonical.findings import declared
from router.replay import Plan, Progress, Prospect


class ReplayItem(msgspec.Struct, kw_only=True):
    """One message or delivery of the plan."""

    id: str
    prospect: str
    """passes, fails, superseded, gone"""
    reason: str = ""
    summary: str = ""
    """The reason in words."""
    events: list[str] = []
    changes: list[str] = []
    """Fields of the state that would change; never values."""
    destinations: list[str] = []


class Outcome(msgspec.Struct, kw_only=True):
    """What executing came to."""

    total: int
    done: int
    already: int
    """Somebody else was faster: nothing was done to these."""


class ReplayView(msgspec.Struct, kw_only=True):
    """A plan; `executed` is null for a dry run."""

    kind: str
    revision: str
    prospects: dict[str, int]
    items: list[ReplayItem]
    executed: Outcome | None = None


def replay_view(plan: Plan, progress: Progress | None) -> ReplayView:
    """A plan, and how far it was carried out."""
    codes = declared()
    items = [ReplayItem(id=item.id, prospect=item.prospect.value, reason=item.reason,
                        summary=codes[item.reason].summary if item.reason in codes else "",
                        events=list(item.events), changes=list(item.changes),
                        destinations=list(item.destinations)) for item in plan.items]
    executed = None
    if progress is not None:
        executed = Outcome(total=progress.total, done=progress.done, already=progress.skipped)
    return ReplayView(kind=plan.kind.value, revision=plan.revision, items=items, executed=executed,
                      prospects={p.value: plan.count(p) for p in Prospect if plan.count(p)})
