"""The error that the path grammar of a format raises and the mapping language reports.

It lives here because the two rooms that meet in it, connectors and mapper, know only this one.
"""

from __future__ import annotations


class PathError(Exception):
    """A path that the grammar or the dictionary of a format refuses.

    `column` counts characters from the start of the path (0-based); `hint` says what would be right.
    """

    def __init__(self, message: str, *, column: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.column = column
        self.hint = hint
