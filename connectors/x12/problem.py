"""A finding about an interchange with all that an acknowledgement says about it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from canonical.findings import Code, Finding, Severity, finding
from connectors.x12.profile import Profile


class Level(StrEnum):
    """Which part of an acknowledgement speaks about it."""

    INTERCHANGE = "interchange"
    """TA1."""
    GROUP = "group"
    """AK9."""
    SET = "set"
    """IK5."""
    SEGMENT = "segment"
    """IK3."""
    ELEMENT = "element"
    """IK4."""


class Problem(msgspec.Struct, frozen=True, gc=False):
    """One finding, located as X12 locates it."""

    finding: Finding
    level: Level
    note: str
    """The code of the acknowledgement: TA105, AK905, IK502, IK304 or IK403."""
    position: int = 0
    """Of the segment in its set; ST is 1 (IK302)."""
    segment: str = ""
    """IK301."""
    loop: str = ""
    """``2110C`` (IK303)."""
    element: int = 0
    component: int = 0
    repetition: int = 0
    reference: str = ""
    """Data element number (IK402)."""
    trace: str = ""
    """TRN02 of the inquiry it is in: what an acknowledgement names as its business unit (CTX)."""

    @property
    def counts(self) -> bool:
        """Whether it is a reason to reject."""
        return self.finding.severity in (Severity.ERROR, Severity.FATAL)


def problem(code: Code, level: Level, note: str, profile: Profile, *, at: str, detail: str = "", position: int = 0,
            segment: str = "", loop: str = "", element: int = 0, component: int = 0, repetition: int = 0,
            reference: str = "") -> Problem:
    """A problem; a code that the partner's profile tolerates is a warning."""
    severity = Severity.WARNING if code.name in profile.tolerate and code.severity is Severity.ERROR else None
    return Problem(finding(code, at=at, detail=detail, severity=severity), level, note, position, segment, loop,
                   element, component, repetition, reference)
