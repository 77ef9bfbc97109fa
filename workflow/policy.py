"""What a site has decided beforehand: rules with their conditions, thresholds, patience."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from canonical.authorization import Authorization
from canonical.coverage import EligibilityCheck
from canonical.document import Extracted, Verdict
from workflow.case import Case

#: Conditions of a rule, compiled by the router.
Test = Callable[[Case], bool]


class TaskRule(msgspec.Struct, frozen=True, kw_only=True):
    """While it holds, somebody has this to do."""

    name: str
    test: Test
    type: str
    reason: str
    queue: str = ""
    priority: int = 0
    due_s: int = 0
    """Seconds after the newest event of the case; 0: whenever there is time."""
    playbook: str = ""
    actions: tuple[str, ...] = ("done", "reject")
    blocks: bool = False


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How the payer that a question goes to wants to be asked: from its profile."""

    search: tuple[tuple[str, ...], ...] = ()
    """What of the member is sent to find them, best first (X21); none: what the table sends, and no other search."""
    own_numbers: bool = False
    """Every insured person has a number of their own (X20)."""
    days_ahead: int = 0
    """How far ahead it answers (X25); 0: as far as one likes."""


#: The terms of the payer to which a question of a case goes.
OfPayer = Callable[[Case, EligibilityCheck | Authorization], Terms]


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """How long a payer may take, by which rule (X46): counted from the leaving of the request, and standing still while
    the payer waits for documents from us (A3.10)."""

    rule: str
    """``CMS-0057-F``: what people see."""
    seconds: int = 0
    business_days: int = 0
    """Instead of seconds; Saturdays and Sundays do not count."""
    after_documents: bool = False
    """It begins when we have sent the documents, and not before."""


class RequestRule(msgspec.Struct, frozen=True, kw_only=True):
    """While it holds, the payer has been asked."""

    name: str
    test: Test
    request: str
    """``eligibility`` or ``authorization``"""
    service_types: tuple[str, ...] = ("30",)
    """EQ01 of an eligibility check (X24)."""
    deadline_s: int = 60
    """Seconds after its leaving until a question without an answer counts as one that the payer did not answer (X13);
    and after its asking, until somebody is told that it has not left."""
    attempts: int = 3
    """How often a payer that is away is asked in all."""
    again_s: int = 300
    """Seconds between two of them, doubled each time."""
    cache_s: int = 86_400
    """Seconds for which an answer to the same question is used again (X26)."""
    clocks: tuple[Clock, ...] = ()
    """Within which the payer must decide on an authorization (X46)."""


class Handling(msgspec.Struct, frozen=True, kw_only=True):
    """Who gets the tasks of a type, and how soon."""

    queue: str
    priority: int = 0
    due_s: int = 0
    playbook: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    tasks: tuple[TaskRule, ...] = ()
    requests: tuple[RequestRule, ...] = ()
    automatic: frozenset[str] = frozenset()
    """Types of decisions that may be made without a person (invariant 13)."""
    threshold: int = 900
    """Thousandths of confidence below which a field is asked about."""
    thresholds: Mapping[str, int] = {}
    """The same for single fields."""
    handling: Mapping[str, Handling] = {}
    """By type of task."""
    terms: OfPayer = lambda case, check: Terms()

    def doubtful(self, field: Extracted) -> bool:
        """True where a field read from a page is not trusted."""
        confidence = field.confidence
        return not isinstance(confidence, int) or confidence < self.thresholds.get(field.field, self.threshold)

    def unsure(self, field: Extracted) -> bool:
        """True where it is not trusted, or a validator refuses it: confidence never overrides that (A1.3)."""
        return self.doubtful(field) or invalid(field)


def invalid(field: Extracted) -> bool:
    """True where a validator refuses the value."""
    return any(one.verdict is Verdict.INVALID for one in field.validations or ())
