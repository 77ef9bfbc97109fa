"""Findings for people: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from canonical.findings import Finding


class FindingView(msgspec.Struct, kw_only=True):
    """One finding; `page` is its documentation."""

    code: str
    severity: str
    text: str
    at: str = ""
    field: str = ""
    row: str = ""
    hint: str = ""
    page: str = ""


def finding_view(finding: Finding) -> FindingView:
    """As the console shows it."""
    return FindingView(code=finding.code, severity=finding.severity.value, text=finding.detail, at=finding.at,
                       field=finding.field, row=finding.row, hint=finding.hint,
                       page=f"docs/findings/{finding.code}.md")


def finding_views(findings: Iterable[Finding]) -> list[FindingView]:
    """In the given order, each once."""
    unique = dict.fromkeys(findings)
    return [finding_view(finding) for finding in unique]
