"""Named places where a test may make the process fail.

A fail point marks a boundary between two steps: after a commit, before a send. In production it costs one
attribute read. A test arms it, in the process or through the environment of a child process::

    DRAGOMAN_FAILPOINTS="pump.before_commit=kill@3;deliver.after_send=raise"

``raise`` throws `Injected`; ``kill`` ends the process as a power cut would (no handlers, no flush);
``hang`` stops the calling thread for good. ``@3`` means: at the third passage.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

ENVIRONMENT: Final = "DRAGOMAN_FAILPOINTS"
ACTIONS: Final = ("raise", "kill", "hang")

_points: Final[dict[str, FailPoint]] = {}


class Injected(Exception):  # noqa: N818 - what a test asked for, not an error
    """Thrown by a fail point armed with ``raise``."""


class FailPoint:
    """One named place. Call it where the process may be made to fail."""

    __slots__ = ("_action", "_remaining", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._action = ""
        self._remaining = 0

    def __call__(self) -> None:
        if self._action:
            self._fail()

    def arm(self, action: str, passage: int = 1) -> None:
        """Fail at the given passage from now on. Raises ValueError for an unknown action."""
        if action not in ACTIONS or passage < 1:
            raise ValueError(f"fail point {self.name}: expected one of {', '.join(ACTIONS)}, optionally @N")
        self._action, self._remaining = action, passage

    def disarm(self) -> None:
        """Be a no-op again."""
        self._action = ""

    def _fail(self) -> None:
        self._remaining -= 1
        if self._remaining > 0:
            return
        action, self._action = self._action, ""
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while action != "raise":
            time.sleep(3600)
        raise Injected(self.name)


def point(name: str) -> FailPoint:
    """Declare a fail point, at import time, next to the code that passes it.

    Raises:
        ValueError: the name is taken.
    """
    if name in _points:
        raise ValueError(f"fail point {name} is declared twice")
    made = _points[name] = FailPoint(name)
    for wanted, action, passage in _wishes(os.environ.get(ENVIRONMENT, "")):
        if wanted == name:
            made.arm(action, passage)
    return made


def points() -> dict[str, FailPoint]:
    """All points declared by the modules imported so far."""
    return dict(_points)


@contextmanager
def armed(name: str, action: str = "raise", passage: int = 1) -> Iterator[FailPoint]:
    """Arm a point for the duration of a block (in-process tests)."""
    chosen = _points[name]
    chosen.arm(action, passage)
    try:
        yield chosen
    finally:
        chosen.disarm()


def _wishes(text: str) -> Iterator[tuple[str, str, int]]:
    for wish in filter(None, text.split(";")):
        name, _, what = wish.partition("=")
        action, _, passage = what.partition("@")
        yield name.strip(), action.strip(), int(passage or 1)
