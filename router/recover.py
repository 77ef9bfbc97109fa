"""What a dead process left behind: mended when its partition gets a new holder. Pure and idempotent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from canonical.findings import Severity, declare, finding
from router.retry import UNKNOWN
from router.site import Destination
from store.records import Attempt, AttemptOutcome, Delivery, DeliveryState, Settlement

INTERRUPTED: Final = declare(
    "delivery.interrupted", Severity.WARNING, "The process died while the delivery was under way.",
    "Nothing to do: the destination tells a repetition by its identity, so it was tried again.")
NO_DESTINATION: Final = declare(
    "delivery.no_destination", Severity.ERROR, "The destination is not in the configuration any more.",
    "Put it back under its old name, or skip its deliveries.")


def mend(deliveries: Iterable[Delivery], destinations: Mapping[str, Destination], now: int) -> list[Settlement]:
    """What has to be settled before the open deliveries of a partition can go on.

    A delivery found in flight may or may not have had its effect: an idempotent destination gets it again,
    under the same identity; for any other a person must look (invariant 6).
    """
    settlements = []
    for delivery in deliveries:
        destination = destinations.get(delivery.destination)
        if destination is None:
            if delivery.state is not DeliveryState.PARKED:
                settlements.append(_settlement(delivery, DeliveryState.PARKED, now, NO_DESTINATION.name))
        elif delivery.state is DeliveryState.INFLIGHT:
            state, reason = DeliveryState.PARKED, UNKNOWN.name
            if destination.idempotent:
                state, reason = DeliveryState.PENDING, ""
            # Where the peer's rule sets a pause before a repetition (X13), a restart does not shorten it.
            pause = int(getattr(destination.settings, "retry_after_s", 0.0) * 1e6)
            settlements.append(_settlement(delivery, state, now, reason, interrupted=True,
                                           due_at=max(now, delivery.since + pause)))
    return settlements


def _settlement(delivery: Delivery, state: DeliveryState, now: int, reason: str, *,
                interrupted: bool = False, due_at: int = 0) -> Settlement:
    code = UNKNOWN if reason == UNKNOWN.name else INTERRUPTED if interrupted else NO_DESTINATION
    attempt = Attempt(
        delivery_id=delivery.id, number=delivery.attempts + 1, started_at=delivery.since, ended_at=now,
        outcome=AttemptOutcome.UNKNOWN, finding=finding(INTERRUPTED)) if interrupted else None
    return Settlement(delivery_id=delivery.id, state=state, at=now, reason=reason, due_at=due_at or now,
                      attempts=delivery.attempts + (1 if interrupted else 0), findings=(finding(code),),
                      attempt=attempt)
