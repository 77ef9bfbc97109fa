"""How fast partners answer (X13), and what of their batches is overdue (X14)."""

from __future__ import annotations

from typing import Final

import msgspec

#: What the operating rule allows for an answer in real time, and the share of answers that must keep it.
WITHIN_S: Final = 20
SHARE: Final = 0.9


class PartnerHours(msgspec.Struct, kw_only=True):
    """One destination that belongs to a trading partner."""

    destination: str
    partner: str
    answered: int = 0
    """Answers in the exchange that asked."""
    within: int = 0
    """Of those, within 20 seconds."""
    unanswered: int = 0
    """Attempts whose answer never came."""
    longest_s: float = 0.0
    acknowledgements_overdue: int = 0
    """Batched questions whose 999 or TA1 is not there in time."""
    answers_overdue: int = 0
    """Batched questions whose answer is not there in time."""
    oldest: str = ""
    """When the oldest of what is overdue was sent; RFC 3339, UTC."""

    @property
    def share(self) -> float | None:
        """Of attempts that were answered within 20 seconds; None where nothing was asked."""
        asked = self.answered + self.unanswered
        return self.within / asked if asked else None

    @property
    def ok(self) -> bool:
        """Nothing is overdue, and enough was answered in time."""
        return not (self.acknowledgements_overdue or self.answers_overdue) and (self.share is None or self.share >= SHARE)


class HoursView(msgspec.Struct, kw_only=True):
    """All of them, for a time."""

    since: str
    until: str
    partners: list[PartnerHours]

    @property
    def ok(self) -> bool:
        """Every partner keeps its hours."""
        return all(one.ok for one in self.partners)
