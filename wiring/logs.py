"""Logs: one JSON object a line on standard error, and only keys that are known to carry no PHI (Z12).

The list is an allow-list: a key that is not on it never reaches the stream, whoever adds it in whatever hurry.
What is dropped is counted in ``dropped``, so that the loss is visible. Values must be short words, numbers or
booleans; anything else (an exception, a struct, bytes) is replaced by the name of its type. The messages of
exceptions are never logged, only their types and the places they came from.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Final, TextIO

import structlog

#: Every key a log line may carry.
ALLOWED: Final = frozenset({
    "event", "level", "timestamp", "logger", "dropped", "error", "where",
    "ack", "attempt", "attempts", "backlog", "bytes", "channel", "code", "count", "delay_s", "delivery",
    "destination", "duration_s", "epoch", "hint", "host", "interval_s", "message", "oldest", "outcome", "owner",
    "partition", "partitions", "peer", "pid", "port", "queue", "reason", "resource", "revision", "role", "row",
    "scorer", "seq", "severity", "signal", "site", "state", "task", "version",
})
#: Longer text is no code, name or count.
LONGEST: Final = 200

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def _exception(info: Any) -> _ExcInfo | None:
    if isinstance(info, BaseException):
        return type(info), info, info.__traceback__
    if isinstance(info, tuple) and len(info) == 3 and info[0] is not None:
        return info[0], info[1], info[2]
    if info:
        kind, error, trace = sys.exc_info()
        return (kind, error, trace) if kind is not None and error is not None else None
    return None


def _where(trace: TracebackType | None) -> str:
    """The innermost places of a traceback, without the source text and without locals."""
    frames = traceback.extract_tb(trace)[-4:]
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and len(value) <= LONGEST:
        return value
    return f"<{type(value).__name__}>"


def allow(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: keep allowed keys with plain values, name exceptions by type and place."""
    kept: dict[str, Any] = {}
    dropped = 0
    for key, value in entry.items():
        if key == "exc_info":
            if found := _exception(value):
                kept["error"], kept["where"] = found[0].__name__, _where(found[2])
        elif key in ALLOWED:
            kept[key] = _plain(value)
        else:
            dropped += 1
    if dropped:
        kept["dropped"] = dropped
    return kept


class _Bridge(logging.Handler):
    """Lines of the standard library's loggers (aiohttp, pika, asyncio): name and level, never their text.

    Their formats embed whatever they were given (a URL with a search, a frame), so the text may be PHI.
    """

    def emit(self, record: logging.LogRecord) -> None:
        place = f"{record.filename}:{record.lineno}"
        structlog.get_logger().log(record.levelno, "library", logger=record.name, where=place,
                                   **({"exc_info": record.exc_info} if record.exc_info else {}))


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Set up logging for this process; the last call wins."""
    target: TextIO = stream or sys.stderr
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True),
                    allow, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False)
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(logging.WARNING)]
    root.setLevel(logging.WARNING)
