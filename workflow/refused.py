"""A question that was refused before anybody answered it: the case learns, and it is not asked again unchanged (X11)."""

from __future__ import annotations

from canonical.authorization import Authorization
from canonical.coverage import CheckStatus, EligibilityCheck, EligibilityResult, EligibilityStatus, PayerError
from canonical.event import Event
from workflow.case import Command, ours


def refused(event: Event, delivery_id: str, layer: str, code: str) -> Command | None:
    """What becomes of a question of ours whose delivery was refused; None where the event is no question of ours.

    Args:
        event: that was to be delivered.
        layer: code of the finding that says who refused it: ``core.set_rejected``.
        code: the peer's own: TA105, AK901, a status; may be empty.
    """
    if not ours(event.subject_key):
        return None
    errors = (PayerError(layer=layer, code=code),)
    effect = ("refused", delivery_id)
    if isinstance(event.entity, EligibilityCheck):
        return Command(event="eligibility.failed", subject_key=event.subject_key, effect=effect, entity=EligibilityCheck(
            status=CheckStatus.REJECTED, result=EligibilityResult(status=EligibilityStatus.REJECTED, errors=errors)))
    if isinstance(event.entity, Authorization):
        return Command(event="authorization.failed", subject_key=event.subject_key, effect=effect,
                       entity=Authorization(errors=errors))
    return None
