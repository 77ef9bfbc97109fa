"""What the analyst's commands say about tables: checked, tested, tried. Values are those of the analyst's file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from canonical.event import Event
from canonical.findings import Finding, Severity
from canonical.phi import MASK
from console.views.findings import FindingView, finding_views
from console.views.journey import LineageRow
from console.views.leaves import value_at
from mapper.cases import Partners, Suite
from mapper.extract.known import Known
from mapper.mapping import Trace
from mapper.recorder import Lineage


class Workbench(msgspec.Struct, frozen=True):
    """A site's tables and the codecs of their formats, for looking at a message without an engine."""

    library: Any
    """`mapper.library.Library`"""
    folder: Path
    overlay: Callable[[str], str]
    """The overlay to ask for: empty where a site has none of its own."""
    decode: Callable[[str, bytes], Any]
    """(family, bytes) -> wire value. Raises Rejection."""
    encode: Callable[[str, Any], bytes]
    """(family, wire value) -> bytes."""
    destinations: Mapping[str, Target]
    """Destinations of the site, by name."""
    known: Known = Known()
    """What the site checks values on pages against."""
    partners: Partners | None = None
    """For cases that name one."""


class Target(msgspec.Struct, frozen=True):
    """How a destination is written to."""

    table: Callable[[str], str]
    """Event type -> name of its table; empty where there is none."""
    site: str = ""
    values: Mapping[str, str] = {}


class Checked(msgspec.Struct, kw_only=True):
    """What a check found."""

    ok: bool
    tables: int
    sites: int
    findings: list[FindingView]


def checked(findings: Iterable[Finding], tables: int, sites: int, *, strict: bool) -> Checked:
    """`strict`: warnings count, too."""
    views = finding_views(findings)
    grave = {Severity.ERROR.value, Severity.FATAL.value} | ({Severity.WARNING.value} if strict else set())
    return Checked(ok=not any(view.severity in grave for view in views), tables=tables, sites=sites,
                   findings=views)


class Failure(msgspec.Struct, kw_only=True):
    """One expectation that was not met."""

    case: str
    row: str
    what: str
    expected: str
    actual: str


class Tested(msgspec.Struct, kw_only=True):
    """What running the cases came to."""

    ok: bool
    files: int
    passed: int
    failed: int
    failures: list[Failure]
    problems: list[FindingView]
    """What is wrong with files of cases themselves."""


def tested(suites: Iterable[Suite]) -> Tested:
    """The sum of all files."""
    all_ = list(suites)
    results = [result for suite in all_ for result in suite.results]
    failed = [result for result in results if not result.passed]
    problems = finding_views(found for suite in all_ for found in suite.problems)
    return Tested(
        ok=not failed and not problems, files=len(all_), passed=len(results) - len(failed), failed=len(failed),
        problems=problems,
        failures=[Failure(case=result.name, row=mismatch.row, what=mismatch.what, expected=mismatch.expected,
                          actual=mismatch.actual)
                  for result in failed for mismatch in result.mismatches])


class TriedEvent(msgspec.Struct, kw_only=True):
    """One event that would come out."""

    type: str
    subject: str
    patient: str
    occurred_at: str
    version: str
    basis: str
    lineage: list[LineageRow]


class WouldSend(msgspec.Struct, kw_only=True):
    """What a destination would get for one event."""

    event: str
    table: str
    body: str
    attributes: dict[str, str]
    findings: list[FindingView]
    unwritten: list[str]
    """Canonical content that no row of the table writes."""


class Tried(msgspec.Struct, kw_only=True):
    """What a message would become. `ok`: it would not be parked."""

    ok: bool
    mapping: str
    site: str
    revision: str
    events: list[TriedEvent]
    unread: list[str]
    """Input that no row reads and that is not declared as loss."""
    findings: list[FindingView]
    sent: list[WouldSend]


def lineage_rows(leaves: Iterable[Lineage], event: Event, *, mask: bool) -> list[LineageRow]:
    """Lineage with the values of the event's entity, or masked."""
    return [LineageRow(field=leaf.field, value=MASK if mask else value_at(event.entity, leaf.field),
                       source=leaf.source, row=leaf.row, code_row=leaf.code_row, how=leaf.how) for leaf in leaves]


def tried_events(trace: Trace, *, mask: bool) -> list[TriedEvent]:
    """Events with their lineage."""
    found = []
    for event, leaves in zip(trace.reading.events, trace.lineage, strict=False):
        kind = event.subject_key.partition(":")[0]
        found.append(TriedEvent(
            type=event.type, subject=f"{kind}:{MASK}" if mask else event.subject_key,
            patient=MASK if mask and event.patient_key else event.patient_key, occurred_at=event.occurred_at,
            version=event.version.at, basis=event.version.basis.value,
            lineage=lineage_rows(leaves, event, mask=mask)))
    return found
