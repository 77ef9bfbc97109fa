"""Tasks that end with an exception are defects; nobody awaits them, so they are reported here."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog


def report(task: asyncio.Task[Any]) -> None:
    """Done-callback: log the type and place of an unexpected exception (never its text, Z12)."""
    if not task.cancelled() and (error := task.exception()) is not None:
        structlog.get_logger().error("task failed", task=task.get_name(), exc_info=error)
