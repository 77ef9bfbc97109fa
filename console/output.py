"""The one way anything is printed: a view as JSON, or the same view as a screen.

Escape sequences go to terminals only; rich drops them elsewhere, and honours ``NO_COLOR``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import IO, TypeVar

import msgspec
from rich.console import Console, RenderableType

from canonical.findings import Finding

V = TypeVar("V")
#: Width of a screen that nobody looks at (a pipe, a file): wide enough not to break paths.
PIPE_WIDTH = 160


def _console(stream: IO[str]) -> Console:
    terminal = stream.isatty()
    width = None if terminal or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(file=stream, highlight=False, soft_wrap=False, width=width, emoji=False)


class Output:
    """Prints views. `as_json`: one JSON document on standard output, and nothing else there."""

    def __init__(self, as_json: bool = False, stdout: IO[str] | None = None,
                 stderr: IO[str] | None = None) -> None:
        self.as_json = as_json
        self.console = _console(stdout or sys.stdout)
        self.errors = _console(stderr or sys.stderr)

    def show(self, view: V, screen: Callable[[V], RenderableType]) -> None:
        """Print one view."""
        if self.as_json:
            self.console.file.write(msgspec.json.format(msgspec.json.encode(view), indent=2).decode() + "\n")
        else:
            self.console.print(screen(view))

    def note(self, text: str) -> None:
        """A remark beside the result: for people only."""
        if not self.as_json:
            self.console.print(text, markup=False)

    def fault(self, line: str) -> None:
        """One line on standard error, never folded: editors and scripts read ``file:line:col:``."""
        self.errors.print(line, markup=False, soft_wrap=True)


def fault_line(finding: Finding) -> str:
    """``file:line:col: reason (hint)``, as compilers write it."""
    place = finding.row or finding.at
    text = f"{place}: {finding.detail}" if place else finding.detail
    return f"{text} ({finding.hint})" if finding.hint else text
