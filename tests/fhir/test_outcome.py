"""What a FHIR server's answer means: H10, H12, H15, H16, H17."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from connectors.base import Delivered, Outcome, Rejected, Retry, Unknown
from connectors.fhir.outcome import BY_ISSUE, outcome


def issues(*codes: str, severity: str = "error", **more: Any) -> bytes:
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [
        {"severity": severity, "code": code, **more} for code in codes]})


def judge(status: int, body: bytes = b"", *, versioned: bool = False, **headers: str) -> Outcome:
    return outcome(status, CIMultiDict({k.replace("_", "-"): v for k, v in headers.items()}), body,
                   now=lambda: 0.0, conditional_on_version=versioned)


def told(verdict: Outcome) -> tuple[str, str]:
    return type(verdict).__name__, "" if isinstance(verdict, Delivered) else verdict.finding.code


@pytest.mark.parametrize(("status", "body", "expected"), [
    (200, b"", ("Delivered", "")),
    (201, issues("informational", severity="information"), ("Delivered", "")),
    # HTTP first: these statuses leave the issue nothing to say.
    (401, issues("transient"), ("Rejected", "http.unauthorized")),
    (403, issues("processing"), ("Rejected", "http.unauthorized")),
    (429, issues("invalid"), ("Retry", "http.busy")),
    (503, issues("invalid"), ("Retry", "http.busy")),
    (504, issues("timeout"), ("Unknown", "http.no_answer")),
    # Issue second.
    (400, issues("structure"), ("Rejected", "fhir.refused")),
    (422, issues("invariant"), ("Rejected", "fhir.refused")),
    (422, issues("business-rule"), ("Rejected", "fhir.refused")),
    (404, issues("not-found"), ("Rejected", "fhir.refused")),
    (409, issues("lock-error"), ("Retry", "fhir.transient")),
    (422, issues("no-store"), ("Retry", "fhir.transient")),
    (400, issues("expired"), ("Rejected", "fhir.access")),
    (409, issues("conflict"), ("Retry", "fhir.conflict")),
    (409, issues("processing"), ("Retry", "fhir.conflict")),
    (409, issues("duplicate"), ("Rejected", "fhir.duplicate")),
    (422, issues("duplicate"), ("Rejected", "fhir.duplicate")),
    (500, issues("exception"), ("Retry", "fhir.transient")),
    (500, issues("invalid"), ("Retry", "http.server_error")),
    (502, b"<html>", ("Retry", "http.server_error")),
    # No OperationOutcome, or nothing in it that counts: HTTP alone.
    (400, b"", ("Rejected", "http.refused")),
    (409, b"not json", ("Retry", "http.conflict")),
    (422, issues("new-code-of-r6"), ("Rejected", "http.refused")),
    (422, issues("transient", severity="warning"), ("Rejected", "http.refused")),
    # Several issues: repeating does not help while a person has to act.
    (422, issues("transient", "invalid"), ("Rejected", "fhir.refused")),
    (409, issues("lock-error", "throttled"), ("Retry", "fhir.transient")),
])
def test_http_comes_first_and_the_issue_second(status: int, body: bytes, expected: tuple[str, str]) -> None:
    """H16"""
    assert told(judge(status, body)) == expected


@pytest.mark.parametrize(("versioned", "body", "code"), [
    (False, b"", "fhir.ambiguous"),
    (False, issues("multiple-matches"), "fhir.ambiguous"),
    (True, b"", "fhir.stale"),
    (True, issues("multiple-matches"), "fhir.ambiguous"),
    (False, issues("conflict"), "fhir.stale"),
])
def test_412_is_several_matches_or_a_newer_version(versioned: bool, body: bytes, code: str) -> None:
    """H10, H12"""
    assert told(judge(412, body, versioned=versioned)) == ("Rejected", code)


def test_only_access_is_channel_wide() -> None:
    """One bad message delays only its own key (invariant 10); one bad secret concerns all."""
    for code in BY_ISSUE:
        verdict = judge(422, issues(code))
        assert isinstance(verdict, Rejected | Retry)
        assert getattr(verdict, "channel_wide", False) is (verdict.finding.code == "fhir.access")


def test_every_issue_type_of_r4_has_a_row() -> None:
    """H16: http://hl7.org/fhir/R4/valueset-issue-type.html without its two non-errors."""
    assert set(BY_ISSUE) == {
        "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired",
        "forbidden", "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found",
        "deleted", "too-long", "code-invalid", "extension", "too-costly", "business-rule", "conflict",
        "transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"}


def test_a_transient_answer_may_name_the_time_to_wait() -> None:
    """H17"""
    verdict = judge(409, issues("lock-error"), Retry_After="9")
    assert isinstance(verdict, Retry)
    assert verdict.after == 9.0


@pytest.mark.parametrize(("expression", "at"), [
    (["Appointment.participant[1].status"], "Appointment.participant[1].status"),
    (["Bundle.entry[3].resource.where(id='CANARY')"], "Bundle.entry[3].resource"),
    (["Patient.name[0].Canary"], "Patient.name[0]"),
    (["Canary.surname", "Patient.birthDate"], "Patient.birthDate"),
    (["CANARY value"], ""),
    ([], ""),
])
def test_the_element_is_named_where_the_server_names_it_plainly(expression: list[str], at: str) -> None:
    """Invariant 12: a place, never a value; the server's texts stay in the kept answer."""
    verdict = judge(422, issues("invalid", expression=expression, diagnostics="CANARY is not a date"))
    assert isinstance(verdict, Rejected)
    assert verdict.finding.at == at
    assert "CANARY" not in str(verdict)
    assert verdict.response is not None
    assert b"CANARY" in verdict.response.reveal()


def batch(*statuses: str) -> bytes:
    return msgspec.json.encode({"resourceType": "Bundle", "type": "batch-response",
                                "entry": [{"response": {"status": s}} for s in statuses]})


@pytest.mark.parametrize(("statuses", "expected"), [
    (("200", "201 Created"), ("Delivered", "")),
    (("201", "422 Unprocessable"), ("Rejected", "fhir.entry")),
    (("429", "503"), ("Retry", "fhir.transient")),
    (("503", "422"), ("Rejected", "fhir.entry")),
])
def test_a_batch_is_delivered_only_as_a_whole(statuses: tuple[str, ...], expected: tuple[str, str]) -> None:
    """H15"""
    assert told(judge(200, batch(*statuses))) == expected


def test_the_refused_entry_is_located() -> None:
    """H15"""
    verdict = judge(200, batch("201", "422", "404"))
    assert isinstance(verdict, Rejected)
    assert verdict.finding.at == "/entry/1"


@given(st.integers(100, 999), st.one_of(st.binary(max_size=60), st.lists(st.text(max_size=9), max_size=4).map(
    lambda codes: issues(*codes)), st.just(batch("x", "")), st.just(b'{"resourceType": 1}')))
def test_no_answer_has_no_outcome(status: int, body: bytes) -> None:
    assert isinstance(judge(status, body), Delivered | Rejected | Retry | Unknown)
