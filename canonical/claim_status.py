"""How far a claim has come at the payer: a question, and what was said to it (X12 276/277). Status only: claims themselves
are not ours."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from canonical.coverage import CheckStatus, Coverage, Money, PayerError
from canonical.model import CodeableConcept, Date, Entity, Identifier, Many, Patient, Period, Reference
from canonical.phi import Value
from canonical.presence import ABSENT, Tri


class StatusFamily(StrEnum):
    """The first letter of a category code (code list 507)."""

    ACKNOWLEDGED = "A"
    PENDING = "P"
    FINALIZED = "F"
    REQUEST = "R"
    """The payer wants something of us."""
    NOT_FOUND = "D"
    """The payer's search found no such claim."""
    ERROR = "E"


class StatusCode(Value, frozen=True, kw_only=True):
    """One composite of STC: category, status, and whom it is about."""

    category: str
    """Code list 507: ``F2``."""
    code: Tri[str] = ABSENT
    """Code list 508: ``88``."""
    entity: Tri[str] = ABSENT
    """Data element 98: QC patient, 85 billing provider …"""
    list: Tri[str] = ABSENT
    """Data element 1270, where the status is of another list (RX)."""


class ClaimStatus(Value, frozen=True, kw_only=True):
    """One STC: up to three codes that hold together, and what goes with them."""

    codes: Many[StatusCode] = ()
    effective_at: Tri[Date] = ABSENT
    """STC02"""
    action: Tri[str] = ABSENT
    """STC03: WQ accepted, U rejected."""
    charged: Tri[Money] = ABSENT
    paid: Tri[Money] = ABSENT
    adjudicated_at: Tri[Date] = ABSENT
    """STC06"""
    paid_at: Tri[Date] = ABSENT
    """STC08"""
    payment: Tri[str] = ABSENT
    """STC09: number of the check or transfer."""
    message: Tri[str] = ABSENT
    """STC12: for people."""


class ClaimLine(Value, frozen=True, kw_only=True):
    """One service line (SVC) and how far it has come."""

    identifier: Tri[str] = ABSENT
    """REF*FJ"""
    procedure: Tri[CodeableConcept] = ABSENT
    charged: Tri[Money] = ABSENT
    paid: Tri[Money] = ABSENT
    quantity: Tri[str] = ABSENT
    period: Tri[Period] = ABSENT
    statuses: Many[ClaimStatus] = ()


class ClaimStatusCheck(Entity, frozen=True, kw_only=True):
    """One question about one claim, and its answer once there is one."""

    identifiers: Many[Identifier] = ()
    """Our trace number (TRN02, type ``TRN``), one for each claim; a provider that is refused whole has none."""
    status: Tri[CheckStatus] = ABSENT
    patient: Tri[Patient] = ABSENT
    coverage: Tri[Coverage] = ABSENT
    payer: Tri[Reference] = ABSENT
    receiver: Tri[Reference] = ABSENT
    """Who asks (2100B): a clearinghouse, or the provider itself."""
    provider: Tri[Reference] = ABSENT
    patient_control_number: Tri[str] = ABSENT
    """REF*EJ: our number of the claim (CLM01)."""
    payer_control_number: Tri[str] = ABSENT
    """REF*1K: the payer's."""
    clearinghouse_number: Tri[str] = ABSENT
    """REF*D9"""
    bill_type: Tri[str] = ABSENT
    """REF*BLT"""
    charged: Tri[Money] = ABSENT
    """AMT*T3"""
    period: Tri[Period] = ABSENT
    """DTP*472"""
    lines: Many[ClaimLine] = ()
    statuses: Many[ClaimStatus] = ()
    errors: Many[PayerError] = ()
    submitter_reference: Tri[str] = ABSENT
    """BHT03"""
    cause: Tri[str] = ABSENT
    """Key of what it is asked for."""


class Advice(StrEnum):
    """What an error (E) asks of whoever sent the question."""

    AGAIN = "again"
    """Nothing is wrong with the question: ask again later."""
    CORRECT = "correct"
    """It is never answered unchanged."""


#: Code list 507. E1 system status, E2 information holder not responding; every other error is about what was sent.
_AGAIN: Final = frozenset({"E1", "E2"})


def families(check: ClaimStatusCheck) -> frozenset[StatusFamily]:
    """The families that the statuses of a claim belong to; letters that the list does not have are left out."""
    return frozenset(StatusFamily(letter) for one in check.statuses or () for code in one.codes or ()
                     if (letter := code.category[:1]) in StatusFamily.__members__.values())


def advice(check: ClaimStatusCheck) -> Advice | None:
    """What the errors of an answer come to; None where there is none. One that must be corrected outweighs the others."""
    codes = [code.category for one in check.statuses or () for code in one.codes or ()
             if code.category.startswith(StatusFamily.ERROR)]
    if not codes:
        return None
    return Advice.AGAIN if all(code in _AGAIN for code in codes) else Advice.CORRECT
