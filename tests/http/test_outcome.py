"""What each HTTP answer means for a delivery."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from connectors.base import Delivered, Rejected, Retry, Unknown
from connectors.http.outcome import outcome, retry_after

NOW = 1_790_000_000.0


def judge(status: int, headers: dict[str, str] | None = None, body: bytes = b"", **policy: object) -> object:
    return outcome(status, CIMultiDict(headers or {}), body, now=lambda: NOW, **policy)  # type: ignore[arg-type] # policy comes from the table


@pytest.mark.parametrize(("status", "word", "code", "traits"), [
    (200, Delivered, "", {}),
    (201, Delivered, "", {}),
    (204, Delivered, "", {}),
    (301, Rejected, "http.wrong_endpoint", {"channel_wide": True}),
    (307, Rejected, "http.wrong_endpoint", {"channel_wide": True}),
    (400, Rejected, "http.refused", {"channel_wide": False}),
    (401, Rejected, "http.unauthorized", {"channel_wide": True}),
    (403, Rejected, "http.unauthorized", {"channel_wide": True}),
    (404, Rejected, "http.refused", {"channel_wide": False}),
    (405, Rejected, "http.wrong_endpoint", {"channel_wide": True}),
    (408, Retry, "http.server_error", {"free": False}),
    (409, Retry, "http.conflict", {"free": False}),
    (412, Rejected, "http.precondition", {"channel_wide": False}),
    (413, Rejected, "http.refused", {"channel_wide": False}),
    (422, Rejected, "http.refused", {"channel_wide": False}),
    (423, Retry, "http.conflict", {"free": False}),
    (429, Retry, "http.busy", {"free": True}),
    (500, Retry, "http.server_error", {"free": False}),
    (501, Rejected, "http.wrong_endpoint", {"channel_wide": True}),
    (502, Retry, "http.server_error", {"free": False}),
    (503, Retry, "http.busy", {"free": True}),
    (504, Unknown, "http.no_answer", {}),
    (599, Retry, "http.server_error", {"free": False}),
])
def test_every_status_has_one_word(status: int, word: type, code: str, traits: dict[str, bool]) -> None:
    """H16, H17, invariant 6."""
    verdict = judge(status)
    assert type(verdict) is word
    assert verdict.code == str(status)  # type: ignore[attr-defined] # all four words have it
    if code:
        assert verdict.finding.code == code  # type: ignore[attr-defined] # all but Delivered have it
    for name, value in traits.items():
        assert getattr(verdict, name) is value


@pytest.mark.parametrize(("policy", "word"), [("retry", Retry), ("delivered", Delivered), ("reject", Rejected)])
def test_a_conflict_means_what_the_destination_says(policy: str, word: type) -> None:
    assert type(judge(409, on_conflict=policy)) is word


def test_the_answer_of_a_refusal_is_kept_and_never_printed() -> None:
    """Invariant 12: support must see the answer, a log must not."""
    verdict = judge(422, body=b'{"patient":"CANARY"}')
    assert isinstance(verdict, Rejected)
    assert verdict.response is not None
    assert b"CANARY" in verdict.response.reveal()
    assert "CANARY" not in repr(verdict)


def test_the_answer_of_a_delivery_is_kept_only_where_asked() -> None:
    plain, kept = judge(200, body=b"{}"), judge(200, body=b"{}", keep_response=True)
    assert isinstance(plain, Delivered)
    assert plain.response is None
    assert isinstance(kept, Delivered)
    assert kept.response is not None


def test_the_location_is_the_reference() -> None:
    verdict = judge(201, {"location": "/orders/7"})
    assert isinstance(verdict, Delivered)
    assert verdict.reference == "/orders/7"


@pytest.mark.parametrize(("headers", "seconds"), [
    ({}, None),
    ({"Retry-After": "120"}, 120.0),
    ({"Retry-After": " 0 "}, 0.0),
    ({"Retry-After": "-5"}, None),
    ({"Retry-After": "soon"}, None),
    ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, 30.0),
    ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, 0.0),
    ({"Retry-After": formatdate(NOW + 3600, usegmt=True), "Date": formatdate(NOW + 3590, usegmt=True)}, 10.0),
])
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    """H17. A date counts from the answer's own Date: the peer's clock may differ from ours."""
    assert retry_after(CIMultiDict(headers), lambda: NOW) == seconds


@given(st.integers(100, 999), st.text(max_size=40), st.binary(max_size=20))
def test_no_answer_has_no_outcome(status: int, wait: str, body: bytes) -> None:
    verdict = judge(status, {"Retry-After": wait, "Date": wait}, body)
    assert isinstance(verdict, Delivered | Rejected | Retry | Unknown)
    assert isinstance(verdict, Delivered) == (200 <= status < 300)
