"""The state of one reading or writing: what is known, what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from canonical.findings import Code, Finding, Severity, declare, finding
from mapper.format import Node
from mapper.times import Notes, Refused

REQUIRED = declare("map.required", Severity.FATAL, "a required field is missing",
                   "have the sender send it, or relax the row for this site in an overlay")
CONFLICT = declare("map.conflict", Severity.WARNING, "two places state the same fact differently",
                   "the first was taken; ask the sender which one is right")
NULL_COMPONENT = declare("map.null_component", Severity.INFO, 'a part of a value is `""`',
                         "that part was cleared and the rest kept (P06); ask the sender if the whole was meant")
NULL_REFUSED = declare("map.null_refused", Severity.ERROR, 'the sender may not clear this field with `""`',
                       "see `on_null` of the row")


class Missing(Exception):  # noqa: N818 - travels from a required row to the item it belongs to
    """A required part of an item is not there: the item cannot be made."""

    def __init__(self, found: Finding) -> None:
        super().__init__(found.code)
        self.finding = found


class Run(Notes):
    """One message on its way through one table."""

    __slots__ = ("creating", "done", "entity", "findings", "overrides", "root", "values")

    def __init__(self, root: Node, zone: ZoneInfo | None, values: Mapping[str, str] | None = None) -> None:
        super().__init__(zone)
        self.root = root
        self.findings: list[Finding] = []
        self.creating = False
        self.overrides: Mapping[str, Any] = {}
        self.values: Mapping[str, str] = values or {}
        self.entity: Any = None
        """Writing: the entity that is written."""
        self.done: set[str] = set()
        """Writing: required fields that were written."""

    def refuse(self, refused: Refused, *, at: str, field: str, row: str) -> None:
        """Note that one value was refused; what its codec noted before goes with it."""
        self.noted.clear()
        self.findings.append(finding(refused.code, at=at, field=field, row=row, detail=refused.detail))

    def report(self, code: Code, *, at: str, field: str, row: str, detail: str = "",
               severity: Severity | None = None) -> None:
        """Note a finding."""
        self.findings.append(finding(code, at=at, field=field, row=row, detail=detail, severity=severity))

    def flush(self, *, at: str, field: str, row: str) -> None:
        """Turn what codecs noted into findings of one place."""
        for code in self.noted:
            # A Date without offset is kept as it is: for it this is a remark, not a refusal.
            severity = Severity.WARNING if code.severity is Severity.ERROR else None
            self.findings.append(finding(code, at=at, field=field, row=row, severity=severity))
        self.noted.clear()


def escalate(findings: list[Finding], since: int) -> None:
    """A required field that was refused stops the message: its findings become fatal."""
    for index in range(since, len(findings)):
        if findings[index].severity is Severity.ERROR:
            findings[index] = msgspec.structs.replace(findings[index], severity=Severity.FATAL)
