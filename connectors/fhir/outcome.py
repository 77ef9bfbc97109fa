"""What a FHIR server's answer means for a delivery (H16). Pure: two tables and a function.

HTTP comes first, the issue code of the OperationOutcome second, its text never: texts are for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from canonical.findings import Finding, finding
from canonical.phi import Phi
from connectors.base import Delivered, Outcome, Rejected, Retry
from connectors.fhir.codes import ACCESS, AMBIGUOUS, CONFLICT, DUPLICATE, ENTRY, REFUSED, STALE, TRANSIENT
from connectors.fhir.r4 import R4
from connectors.http.outcome import BY_STATUS, Disposition, apply
from connectors.http.outcome import outcome as http_outcome

_FIX_DATA: Final = Disposition("rejected", REFUSED)
_FIX_ACCESS: Final = Disposition("rejected", ACCESS, channel_wide=True)
_LATER: Final = Disposition("retry", TRANSIENT)
_CONFLICT: Final = Disposition("retry", CONFLICT)
_DUPLICATE: Final = Disposition("rejected", DUPLICATE)
_AMBIGUOUS: Final = Disposition("rejected", AMBIGUOUS)
_STALE: Final = Disposition("rejected", STALE)

#: http://hl7.org/fhir/R4/valueset-issue-type.html
BY_ISSUE: Final[Mapping[str, Disposition]] = {
    **dict.fromkeys(("invalid", "structure", "required", "value", "invariant"), _FIX_DATA),
    **dict.fromkeys(("processing", "not-supported", "not-found", "deleted", "too-long", "code-invalid",
                     "extension", "too-costly", "business-rule"), _FIX_DATA),
    **dict.fromkeys(("security", "login", "unknown", "expired", "forbidden", "suppressed"), _FIX_ACCESS),
    **dict.fromkeys(("transient", "lock-error", "timeout", "throttled", "exception", "no-store",
                     "incomplete"), _LATER),
    "conflict": _CONFLICT,
    "duplicate": _DUPLICATE,
    "multiple-matches": _AMBIGUOUS,
}

#: Where issues disagree, the first of these wins: repeating does not help while a person has to act.
_WORST_FIRST: Final = (_FIX_ACCESS, _FIX_DATA, _AMBIGUOUS, _DUPLICATE, _CONFLICT, _LATER)

#: Statuses that leave the issue code nothing to say: who may, whether it exists, and when to come again.
_HTTP_DECIDES: Final = frozenset({401, 403, 405, 407, 429, 501, 503, 504, 505})

_STEP: Final = re.compile(r"([A-Za-z]{1,40})(\[\d{1,4}\])?")


class Issue(msgspec.Struct):
    """OperationOutcome.issue without its texts."""

    severity: str = "error"
    code: str = ""
    expression: list[str] = []


class _Response(msgspec.Struct):
    status: str = ""
    outcome: Any = None


class _Entry(msgspec.Struct):
    response: _Response | None = None


class _Body(msgspec.Struct, rename="camel"):
    """What is read of an answer: an OperationOutcome or a response Bundle."""

    resource_type: str = ""
    type: Any = ""
    issue: list[Issue] = []
    entry: list[_Entry] = []


def outcome(status: int, headers: Mapping[str, str], body: bytes, *, now: Callable[[], float],
            conditional_on_version: bool = False, keep_response: bool = False) -> Outcome:
    """The outcome an answer stands for.

    Args:
        status: HTTP status code.
        headers: Headers of the answer, case-insensitive.
        body: Body of the answer, FHIR JSON or anything.
        now: The time in seconds since the epoch; asked only where Retry-After is a date.
        conditional_on_version: The request carried If-Match, so that 412 means a newer version (H12) and not
            several matches (H10).
        keep_response: Keep the body of a positive answer.
    """
    if 200 <= status < 300:
        refused = _refused_entries(body)
        if refused:
            return _batch(refused, headers, body, now)
        return http_outcome(status, headers, body, now=now, keep_response=keep_response)
    if status in _HTTP_DECIDES:
        return apply(BY_STATUS[status], status, headers, body, now=now)
    issues = _issues(body)
    row, issue = _worst(issues)
    if status == 412:
        stale = row is _CONFLICT or (conditional_on_version and row not in {_AMBIGUOUS, _DUPLICATE})
        row = _STALE if stale else _AMBIGUOUS
    elif row is None or (status >= 500 and row.word != "retry"):
        # Without a known issue, and where the server itself failed, HTTP has the only word.
        return http_outcome(status, headers, body, now=now)
    elif status == 409 and row is _FIX_DATA:
        row = _CONFLICT
    return _located(apply(row, status, headers, body, now=now, detail=issue.code if issue else ""), issue)


def _issues(body: bytes) -> Sequence[Issue]:
    """Issues that are errors. An answer that is no OperationOutcome has none."""
    parsed = _parse(body)
    if parsed.resource_type != "OperationOutcome":
        return ()
    return [issue for issue in parsed.issue if issue.severity in {"fatal", "error"}]


def _parse(body: bytes) -> _Body:
    try:
        return msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Body()


def _worst(issues: Sequence[Issue]) -> tuple[Disposition | None, Issue | None]:
    rows = [(BY_ISSUE[issue.code], issue) for issue in issues if issue.code in BY_ISSUE]
    return min(rows, key=lambda pair: _WORST_FIRST.index(pair[0]), default=(None, None))


def _located(verdict: Outcome, issue: Issue | None) -> Outcome:
    """The verdict with the element the server complains about, where it names one plainly."""
    if issue is None or isinstance(verdict, Delivered):
        return verdict
    place = next(filter(None, map(_element, issue.expression)), "")
    return msgspec.structs.replace(verdict, finding=_at(verdict.finding, place)) if place else verdict


def _element(expression: str) -> str:
    """The beginning of a path that consists of R4's own names, so that nothing of the server's making gets through:
    some put the value they dislike into ``expression``."""
    kind, *steps = expression.split(".")
    if kind not in R4:
        return ""
    found, elements = kind, R4[kind]
    for step in steps:
        match = _STEP.fullmatch(step)
        if match is None or match[1] not in elements:
            break
        found = f"{found}.{step}"
        elements = R4.get(elements[match[1]].rstrip("*"), {})
    return found


def _at(found: Finding, place: str) -> Finding:
    return msgspec.structs.replace(found, at=place)


def _refused_entries(body: bytes) -> list[tuple[int, int]]:
    """(index, status) of the entries of a batch-response that were not done (H15)."""
    if b"batch-response" not in body:
        return []
    parsed = _parse(body)
    if parsed.type != "batch-response":
        return []
    statuses = [(index, int(entry.response.status[:3])) for index, entry in enumerate(parsed.entry)
                if entry.response is not None and entry.response.status[:3].isdigit()]
    return [(index, status) for index, status in statuses if status >= 300]


def _batch(refused: Sequence[tuple[int, int]], headers: Mapping[str, str], body: bytes,
           now: Callable[[], float]) -> Outcome:
    """One refused entry makes a batch Rejected; it is retried only where waiting can mend all of them."""
    index, status = refused[0]
    verdicts = [http_outcome(entry_status, headers, b"", now=now) for _, entry_status in refused]
    detail = f"{len(refused)} of the entries, the first with HTTP {status}"
    if all(isinstance(verdict, Retry) for verdict in verdicts):
        return Retry(str(status), finding(TRANSIENT, at=f"/entry/{index}", detail=detail), response=Phi(body))
    return Rejected(str(status), finding(ENTRY, at=f"/entry/{index}", detail=detail), response=Phi(body))
