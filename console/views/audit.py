"""The audit trail: who did what to what, when and why, and whether anybody has tampered with it (Z06)."""

from __future__ import annotations

from typing import Any

import msgspec

from console.clock import iso
from store.ledger import Desk


class AuditRow(msgspec.Struct, kw_only=True):
    """One entry."""

    number: int
    at: str
    actor: str
    action: str
    subject: str
    reason: str
    detail: dict[str, Any]
    hash: str


class AuditList(msgspec.Struct, kw_only=True):
    """Entries in order. `last` is the ``--after`` of the next page."""

    entries: list[AuditRow]
    last: int


class AuditVerdict(msgspec.Struct, kw_only=True):
    """What reading the whole chain came to."""

    ok: bool
    entries: int
    broken_at: int | None


async def audit_list(desk: Desk, after: int, limit: int, action: str) -> AuditList:
    """Entries after a number, oldest first; `action` narrows by prefix."""
    rows: list[AuditRow] = []
    last = after
    async for number, entry, digest in desk.audit_trail(after):
        last = number
        if entry.action.startswith(action):
            rows.append(AuditRow(number=number, at=iso(entry.at), actor=entry.actor, action=entry.action,
                                 subject=entry.subject, reason=entry.reason, detail=entry.detail,
                                 hash=digest.hex()))
        if len(rows) == limit:
            break
    return AuditList(entries=rows, last=last)


async def audit_verdict(desk: Desk) -> AuditVerdict:
    """Read the chain from its first entry to its last."""
    entries, broken = await desk.verify_audit()
    return AuditVerdict(ok=broken is None, entries=entries, broken_at=broken)
