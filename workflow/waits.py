"""Whether a question of ours still waits for its answer."""

from __future__ import annotations

from canonical.authorization import Authorization, AuthorizationStatus
from canonical.coverage import CheckStatus, EligibilityCheck
from canonical.entities import AnyEntity

_DONE = frozenset({CheckStatus.ANSWERED, CheckStatus.REJECTED, CheckStatus.CLOSED})
_OPEN = frozenset({AuthorizationStatus.SUBMITTED, AuthorizationStatus.REQUIRED})


def waits(entity: AnyEntity) -> bool:
    """True for a question to a payer that nobody has answered or refused; one that was given up may yet be answered."""
    if isinstance(entity, EligibilityCheck):
        return not entity.result and entity.status not in _DONE
    if isinstance(entity, Authorization):
        decided = any(service.decision for service in entity.services or ())
        return entity.status in _OPEN and not entity.errors and not decided
    return False
