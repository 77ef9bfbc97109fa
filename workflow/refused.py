"""What became of a question on its way: it left, or it was refused before anybody answered it, and is then not asked
again unchanged (X11)."""

from __future__ import annotations

from typing import Final

from canonical.authorization import Authorization
from canonical.coverage import CheckStatus, EligibilityCheck, EligibilityResult, EligibilityStatus, PayerError
from canonical.event import Event
from canonical.model import Instant
from workflow.case import Command, ours

#: Questions, and what is told when one has left.
_QUESTIONS: Final = {"eligibility.requested": "eligibility.sent", "authorization.submitted": "authorization.sent"}


def sent(event: Event, at: str) -> Command | None:
    """That a question of ours has left; None where the event is no question of ours. The first time counts (X13)."""
    if not ours(event.subject_key) or event.type not in _QUESTIONS:
        return None
    of = EligibilityCheck(status=CheckStatus.SENT, sent_at=Instant(at)) if isinstance(
        event.entity, EligibilityCheck) else Authorization(sent_at=Instant(at))
    return Command(event=_QUESTIONS[event.type], subject_key=event.subject_key, effect=("sent", event.subject_key), early=2,
                   entity=of)


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
