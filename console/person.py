"""Who is at the keyboard: the name that goes into the audit trail, and the reason they give."""

from __future__ import annotations

import getpass
import os
import sys
import time
from typing import Any

import typer

from console.frame import UserError
from store.records import AuditEntry


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def actor() -> str:
    """Login name; the number of the user where the system has no name for it (a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid:{os.getuid()}"


def reason(given: str, question: str) -> str:
    """A reason, asked for where none was given and somebody sits at a terminal.

    Raises:
        UserError: there is none.
    """
    why = given.strip()
    if not why and sys.stdin.isatty():
        why = str(typer.prompt(question, err=True)).strip()
    if not why:
        raise UserError("a reason is needed", "--reason TEXT; it goes into the audit trail")
    return why


def entry(action: str, subject: str, why: str, **detail: Any) -> AuditEntry:
    """An audit entry of the person at the keyboard, now."""
    return AuditEntry(at=now(), actor=actor(), action=action, subject=subject, reason=why, detail=detail)
