"""What becomes of a delivery after an attempt: invariant 6, A11."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Finding, Severity
from connectors.base import Delivered, Outcome, Rejected, Retry, Unknown
from router.retry import Policy, Verdict, backoff, decide
from store.records import AttemptOutcome, DeliveryState

NOTED = Finding("test.noted", Severity.ERROR)
POLICY = Policy(first_s=1, factor=2, max_s=60, jitter=0.2, attempts=5, give_up_after_s=100, probe_s=7)


def verdict(outcome: Outcome, **how: Any) -> Verdict:
    usual = {"attempt": 1, "tries": 1, "age_s": 0.0, "policy": POLICY, "idempotent": False, "chance": 0.0}
    return decide(outcome, **{**usual, **how})


def test_delivered_is_the_end() -> None:
    assert verdict(Delivered(code="AA")).state is DeliveryState.DELIVERED


def test_rejected_parks_at_once_however_many_attempts_are_left() -> None:
    made = verdict(Rejected("AE", NOTED))
    assert (made.state, made.reason, made.finding) == (DeliveryState.PARKED, "delivery.rejected", NOTED)


def test_a_rejection_of_everything_stops_the_destination_and_spares_the_message() -> None:
    """A11: AR 200 to 203."""
    made = verdict(Rejected("AR", NOTED, channel_wide=True), attempt=99)
    assert (made.state, made.stop, made.counted, made.delay_s) == (DeliveryState.PENDING, True, False, 7)


def test_unknown_is_not_retry() -> None:
    """Invariant 6."""
    made = verdict(Unknown(NOTED))
    assert (made.state, made.reason) == (DeliveryState.PARKED, "delivery.unknown")


def test_unknown_is_repeated_where_the_destination_is_idempotent() -> None:
    made = verdict(Unknown(NOTED), idempotent=True)
    assert (made.state, made.outcome) == (DeliveryState.PENDING, AttemptOutcome.UNKNOWN)


def test_an_idempotent_destination_that_never_answers_ends_as_unknown_not_as_exhausted() -> None:
    made = verdict(Unknown(NOTED), idempotent=True, attempt=5)
    assert (made.state, made.reason) == (DeliveryState.PARKED, "delivery.unknown")


def test_the_last_attempt_parks() -> None:
    assert verdict(Retry("AE", NOTED), attempt=4).state is DeliveryState.PENDING
    assert verdict(Retry("AE", NOTED), attempt=5).reason == "delivery.exhausted"


def test_age_parks() -> None:
    assert verdict(Retry("AE", NOTED, free=True), age_s=100).reason == "delivery.exhausted"


def test_a_free_attempt_costs_nothing_and_says_that_the_peer_is_away() -> None:
    made = verdict(Retry("", NOTED, free=True), attempt=5)
    assert (made.state, made.counted, made.away) == (DeliveryState.PENDING, False, True)


def test_the_peer_may_ask_for_more_time_but_not_for_less() -> None:
    assert verdict(Retry("429", NOTED, after=30)).delay_s == 30
    assert verdict(Retry("429", NOTED, after=0.1), tries=4).delay_s == pytest.approx(6.4)


@given(st.integers(1, 5_000), st.floats(0, 1, exclude_max=True))
def test_the_delay_grows_up_to_its_limit_and_never_loses_its_jitter(tries: int, chance: float) -> None:
    delay = backoff(POLICY, tries, chance)
    whole = min(60, 2.0 ** min(tries - 1, 64))
    assert whole * 0.8 <= delay <= whole


outcomes = st.one_of(
    st.builds(Delivered), st.builds(Unknown, st.just(NOTED)),
    st.builds(Rejected, st.just("x"), st.just(NOTED), st.booleans()),
    st.builds(Retry, st.just("x"), st.just(NOTED), st.none() | st.floats(0, 1000), st.booleans()))


@given(outcomes, st.integers(1, 10), st.floats(0, 200), st.booleans(), st.floats(0, 1, exclude_max=True))
def test_whatever_happens_a_delivery_is_done_waits_or_is_parked_with_a_reason(
        outcome: Outcome, attempt: int, age: float, idempotent: bool, chance: float) -> None:
    """Invariant 2."""
    made = verdict(outcome, attempt=attempt, tries=attempt, age_s=age, idempotent=idempotent, chance=chance)
    assert made.state in {DeliveryState.DELIVERED, DeliveryState.PENDING, DeliveryState.PARKED}
    assert (made.state is DeliveryState.PARKED) <= bool(made.reason)
    assert (made.state is DeliveryState.PENDING) <= (made.delay_s > 0)
    if isinstance(outcome, Unknown) and not idempotent:
        assert made.state is DeliveryState.PARKED
