"""What a second word does to a delivery: a pure decision (A02, A11)."""

from __future__ import annotations

import itertools

import pytest
from msgspec.structs import replace

from canonical.findings import Code, finding
from connectors.base import Delivered, Outcome, Rejected, Retry, Unknown
from connectors.hl7v2 import sender
from router.afterwards import AWAITED, REFUSED, REPEATED, UNCLEAR, conclude
from router.replay import SKIPPED
from router.retry import EXHAUSTED, REJECTED, UNKNOWN
from store.records import Conclusion, Delivery, DeliveryState

S = DeliveryState
YES = Delivered("AA")
NO = Rejected("AE 102", finding(sender.REFUSED))
LATER = Retry("AE 207", finding(sender.TRY_AGAIN))
ODD = Unknown(finding(sender.UNCLEAR_ANSWER), "XX")


def delivery(state: DeliveryState, reason: str = "") -> Delivery:
    return Delivery(id="e>far", message_seq=1, event_id="e", destination="far", lane="l", partition=0, due_at=1, state=state,
                    reason=reason, code="CA")


def after(one: Delivery, *words: Outcome) -> Delivery:
    for word in words:
        noted = conclude(one, word, "m")
        if isinstance(noted, Conclusion):
            assert (noted.was, noted.was_reason) == (one.state, one.reason)
            one = replace(one, state=noted.state, reason=noted.reason, code=noted.code, findings=noted.findings)
    return one


@pytest.mark.parametrize(("state", "reason", "word", "becomes", "why"), [
    (S.DELIVERED, AWAITED.name, YES, S.DELIVERED, ""),
    (S.DELIVERED, AWAITED.name, NO, S.PARKED, REFUSED.name),
    (S.DELIVERED, AWAITED.name, LATER, S.PARKED, REFUSED.name),
    (S.PARKED, UNKNOWN.name, YES, S.DELIVERED, ""),
    (S.PARKED, EXHAUSTED.name, YES, S.DELIVERED, ""),
    (S.PARKED, UNKNOWN.name, NO, S.PARKED, REFUSED.name),
    (S.PARKED, REJECTED.name, YES, S.DELIVERED, ""),
    (S.PENDING, "", YES, S.DELIVERED, "")])
def test_what_the_application_says_counts(state: S, reason: str, word: Outcome, becomes: S, why: str) -> None:
    one = after(delivery(state, reason), word)
    assert (one.state, one.reason, one.code) == (becomes, why, "AA" if becomes is S.DELIVERED else one.code)
    assert one.code == getattr(word, "code", None)


@pytest.mark.parametrize(("state", "reason", "word", "noted"), [
    (S.DELIVERED, "", NO, REPEATED), (S.DELIVERED, "", YES, REPEATED),
    (S.PENDING, "", NO, REPEATED),
    (S.PARKED, REJECTED.name, NO, REPEATED), (S.PARKED, REFUSED.name, NO, REPEATED),
    (S.SKIPPED, SKIPPED.name, NO, REPEATED), (S.SKIPPED, SKIPPED.name, YES, REPEATED),
    (S.SUPERSEDED, "", NO, REPEATED), (S.DELIVERED, AWAITED.name, Delivered("CA"), REPEATED),
    (S.DELIVERED, AWAITED.name, ODD, UNCLEAR)])
def test_what_was_settled_or_decided_or_is_about_to_be_sent_again_stays(
        state: S, reason: str, word: Outcome, noted: Code) -> None:
    """A duplicate has no second effect; what a person decided is not undone by a machine."""
    assert conclude(delivery(state, reason), word, "m") is noted


@pytest.mark.parametrize("words", list(itertools.product((YES, NO, LATER), repeat=3)))
def test_the_order_and_number_of_words_does_not_matter_once_one_is_yes(words: tuple[Outcome, ...]) -> None:
    one = after(delivery(S.DELIVERED, AWAITED.name), *words)
    assert (one.state, one.reason) == ((S.DELIVERED, "") if YES in words else (S.PARKED, REFUSED.name))


def test_the_reason_names_the_acknowledgement_and_keeps_what_was_lost_in_fitting() -> None:
    lost = finding(AWAITED, at="PID-5")
    one = after(replace(delivery(S.DELIVERED, AWAITED.name), findings=(lost,)), NO)
    assert [(f.code, f.detail) for f in one.findings][1:2] == [(REFUSED.name, "acknowledgement m")]
    assert one.findings[-1] == lost
    assert after(one, YES).findings == (lost,), "what was complained about is no longer so"
