"""Findings: what was noticed about a message, a table or a configuration, as data.

A finding has a stable code with one documentation page (``docs/findings/CODE.md``), a severity, a place and a
hint. It never contains a value from a message: places and names of fields only (invariant 12).

Each room declares the codes it can raise with `declare`, next to the code that raises them; the registry
exists so that the documentation test can demand one page a code.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Severity(StrEnum):
    """What a finding means for the message it is about."""

    INFO = "info"
    """Worth knowing; nothing to do."""
    WARNING = "warning"
    """Processed, but somebody should look."""
    ERROR = "error"
    """A fact was refused; the rest of the message was processed."""
    FATAL = "fatal"
    """The message cannot be processed: it is parked, visible and replayable."""


class Code(msgspec.Struct, frozen=True):
    """A declared finding code: ``room.what_is_wrong``."""

    name: str
    severity: Severity
    summary: str
    """One sentence: what is wrong. No values."""
    hint: str
    """One sentence: what the reader should do about it."""


_registry: Final[dict[str, Code]] = {}


def declare(name: str, severity: Severity, summary: str, hint: str) -> Code:
    """Declare a finding code.

    Raises:
        ValueError: the name is already taken by a different code.
    """
    code = Code(name, severity, summary, hint)
    if _registry.setdefault(name, code) != code:
        raise ValueError(f"finding code {name} is declared twice")
    return code


def declared() -> dict[str, Code]:
    """All codes declared by the modules imported so far, by name."""
    return dict(_registry)


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One finding. `at` is a place in the source, `field` one in the canonical model, `row` a table's line."""

    code: str
    severity: Severity
    at: str = ""
    """Path in the input: ``SCH-11.4``, ``/entry/0/resource``, ``byte 312``."""
    field: str = ""
    """Canonical path: ``participants(0).who``."""
    row: str = ""
    """``file:line[:column]`` of the table row or configuration line."""
    detail: str = ""
    """Names, counts and expectations only; never a value from a message."""
    hint: str = ""

    def __str__(self) -> str:
        place = " ".join(part for part in (self.row, self.at, self.field) if part)
        text = f"{self.severity.value} {self.code}"
        text += f" at {place}" if place else ""
        text += f": {self.detail}" if self.detail else ""
        return f"{text} ({self.hint})" if self.hint else text


def finding(code: Code, *, at: str = "", field: str = "", row: str = "", detail: str = "",
            severity: Severity | None = None, hint: str | None = None) -> Finding:
    """A finding of a declared code; summary and hint come from the declaration unless given."""
    return Finding(code.name, severity or code.severity, at, field, row,
                   detail or code.summary, code.hint if hint is None else hint)


class Rejection(Exception):  # noqa: N818 - it is a verdict about an input, not an error of ours
    """Raised where nothing useful can be returned: carries the findings, prints without values."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        super().__init__("; ".join(str(f) for f in findings))
