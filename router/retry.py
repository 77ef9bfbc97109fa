"""What to do after an attempt: a pure decision.

The four words of a sender are not four actions. Whether an attempt may be repeated depends on what the word
says about its effect, on the destination (idempotent or not), on how often and for how long it was tried, and
on whether the peer or only this message is in trouble.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from canonical.findings import Finding, Severity, declare, finding
from connectors.base import Delivered, Outcome, Rejected, Retry, Unknown
from store.records import AttemptOutcome, DeliveryState

REJECTED: Final = declare(
    "delivery.rejected", Severity.ERROR, "The destination refused the content and would refuse it again.",
    "Read the destination's answer, mend data, code table or mapping, then replay.")
UNKNOWN: Final = declare(
    "delivery.unknown", Severity.ERROR, "The bytes left and no answer came: its effect is not known.",
    "Look at the destination whether it is there; then mark it delivered, or replay it.")
EXHAUSTED: Final = declare(
    "delivery.exhausted", Severity.ERROR, "It was tried as often and as long as the retry policy allows.",
    "Mend the destination, then replay.")
STOPPED: Final = declare(
    "delivery.destination_stopped", Severity.ERROR, "The destination refuses every message: it is stopped.",
    "Mend credentials, message type, version or processing id; it is probed and starts again by itself.")
AWAY: Final = declare(
    "delivery.destination_away", Severity.WARNING, "The destination cannot be reached or cannot work now.",
    "Nothing to do for the messages: they wait in order and go out when it is back.")


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How patiently a destination is tried."""

    first_s: Annotated[float, msgspec.Meta(ge=0.01, le=3600, description="Delay after attempt 1.")] = 1.0
    factor: Annotated[float, msgspec.Meta(ge=1, le=10, description="Growth of the delay an attempt.")] = 2.0
    max_s: Annotated[float, msgspec.Meta(ge=0.01, le=86400, description="Longest delay.")] = 60.0
    jitter: Annotated[float, msgspec.Meta(ge=0, le=1, description="Part of the delay that is random.")] = 0.2
    attempts: Annotated[int, msgspec.Meta(ge=1, description="Attempts before it is parked.")] = 1000
    give_up_after_s: Annotated[float, msgspec.Meta(
        ge=1, description="Age of the delivery at which it is parked.")] = 259_200.0
    probe_s: Annotated[float, msgspec.Meta(
        ge=0.01, le=3600, description="Between probes of a destination that is stopped.")] = 30.0


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of a delivery after an attempt."""

    state: DeliveryState
    outcome: AttemptOutcome
    delay_s: float = 0.0
    """Until the next attempt, where the state is PENDING."""
    counted: bool = True
    """False where the attempt does not count against the budget."""
    code: str = ""
    reason: str = ""
    finding: Finding | None = None
    away: bool = False
    """The peer itself is in trouble: trying other messages there is pointless now."""
    stop: bool = False
    """Every message would be refused: stop the destination and tell somebody."""


def decide(outcome: Outcome, *, attempt: int, tries: int, age_s: float, policy: Policy, idempotent: bool,
           chance: float) -> Verdict:
    """The verdict on one attempt.

    Args:
        outcome: the sender's word.
        attempt: number of this attempt among those that count, from 1.
        tries: number of this attempt among all, from 1: how long to wait follows from it.
        age_s: seconds since the delivery was planned.
        policy: of the destination.
        idempotent: the destination tells a repetition by its identity and has one effect.
        chance: a random number in [0, 1), for the jitter.
    """
    match outcome:
        case Delivered():
            return Verdict(DeliveryState.DELIVERED, AttemptOutcome.DELIVERED, code=outcome.code)
        case Rejected(channel_wide=True):
            # The message is innocent: it stays where it is and costs no attempt (A11, AR 200 to 203).
            return Verdict(DeliveryState.PENDING, AttemptOutcome.REJECTED, policy.probe_s, counted=False,
                           code=outcome.code, reason=STOPPED.name, finding=outcome.finding, stop=True)
        case Rejected():
            return Verdict(DeliveryState.PARKED, AttemptOutcome.REJECTED, code=outcome.code,
                           reason=REJECTED.name, finding=outcome.finding)
        case Unknown() if not idempotent:
            return Verdict(DeliveryState.PARKED, AttemptOutcome.UNKNOWN, code=outcome.code, reason=UNKNOWN.name,
                           finding=outcome.finding, away=True)
        case Unknown():
            word, counted, asked = AttemptOutcome.UNKNOWN, True, outcome.after
        case Retry():
            word, counted, asked = AttemptOutcome.RETRY, not outcome.free, outcome.after
    if age_s >= policy.give_up_after_s or (counted and attempt >= policy.attempts):
        reason = UNKNOWN if word is AttemptOutcome.UNKNOWN else EXHAUSTED
        return Verdict(DeliveryState.PARKED, word, code=outcome.code, reason=reason.name,
                       finding=finding(reason))
    delay = max(backoff(policy, tries, chance), asked or 0.0)
    return Verdict(DeliveryState.PENDING, word, delay, counted, outcome.code, AWAY.name if not counted else "",
                   outcome.finding, away=not counted or word is AttemptOutcome.UNKNOWN)


def backoff(policy: Policy, tries: int, chance: float) -> float:
    """Seconds until the attempt after number `tries`: grows geometrically, capped, part of it random."""
    steps = min(tries - 1, 64)
    delay = min(policy.max_s, policy.first_s * policy.factor ** steps)
    return delay * (1 - policy.jitter) + delay * policy.jitter * chance
