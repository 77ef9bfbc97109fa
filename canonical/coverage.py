"""Who pays: coverage, and what the payer says when asked (X12 270/271, FHIR Coverage and CoverageEligibility*)."""

from __future__ import annotations

from enum import StrEnum

from canonical.model import (
    CodeableConcept,
    Date,
    Diagnosis,
    Entity,
    Identifier,
    Instant,
    Many,
    Patient,
    Period,
    Place,
    Reference,
    Visit,
)
from canonical.phi import Value
from canonical.presence import ABSENT, Tri


class Money(Value, frozen=True, kw_only=True):
    """An amount, exact as sent (FHIR Money)."""

    amount: Tri[str] = ABSENT
    """Decimal text: ``25``, ``25.00``."""
    currency: Tri[str] = ABSENT
    """ISO 4217."""


class CoverageStatus(StrEnum):
    """How sure we are of a coverage (canonical model, 7.3)."""

    STATED = "stated"
    VERIFIED = "verified"
    TERMED = "termed"


class Coverage(Entity, frozen=True, kw_only=True):
    """One insurance of a person (HL7 IN1, X12 2100C, FHIR Coverage)."""

    identifiers: Many[Identifier] = ()
    """The member id as an identifier of the payer (type MB)."""
    payer: Tri[Reference] = ABSENT
    member_id: Tri[str] = ABSENT
    group: Tri[str] = ABSENT
    group_name: Tri[str] = ABSENT
    plan: Tri[CodeableConcept] = ABSENT
    type: Tri[CodeableConcept] = ABSENT
    relationship: Tri[str] = ABSENT
    """Of the patient to the subscriber (FHIR subscriber-relationship): self, spouse, child, other …"""
    subscriber: Tri[Patient] = ABSENT
    """Where it is somebody else than the patient."""
    beneficiary: Tri[Patient] = ABSENT
    """The person insured, where the coverage stands by itself (FHIR Coverage.beneficiary)."""
    order: Tri[int] = ABSENT
    """1 is asked first (IN1-1, coordination of benefits)."""
    period: Tri[Period] = ABSENT
    status: Tri[CoverageStatus] = ABSENT
    authorization: Tri[str] = ABSENT
    """IN1-14"""


class Charge(Entity, frozen=True, kw_only=True):
    """One financial transaction about a patient's account (HL7 FT1, FHIR ChargeItem)."""

    identifiers: Many[Identifier] = ()
    """FT1-2 (type FILL)."""
    sequence: Tri[int] = ABSENT
    """FT1-1"""
    control_id: Tri[str] = ABSENT
    """Number of the message (MSH-10): names the charge together with its sequence where FT1-2 is empty."""
    batch: Tri[str] = ABSENT
    period: Tri[Period] = ABSENT
    """When the service was given (FT1-4)."""
    posted_at: Tri[Date] = ABSENT
    type: Tri[str] = ABSENT
    """Table HL70017 as sent: CG charge, CD credit, PY payment, AJ adjustment."""
    code: Tri[CodeableConcept] = ABSENT
    procedure: Tri[CodeableConcept] = ABSENT
    modifiers: Many[CodeableConcept] = ()
    quantity: Tri[str] = ABSENT
    amount: Tri[Money] = ABSENT
    """FT1-11"""
    unit_amount: Tri[Money] = ABSENT
    """FT1-12"""
    department: Tri[CodeableConcept] = ABSENT
    plan: Tri[CodeableConcept] = ABSENT
    place: Tri[Place] = ABSENT
    diagnoses: Many[Diagnosis] = ()
    performed_by: Many[Reference] = ()
    ordered_by: Many[Reference] = ()
    entered_by: Many[Reference] = ()
    order: Many[Identifier] = ()
    """FT1-23 (type FILL)."""
    patient: Tri[Patient] = ABSENT
    visit: Tri[Visit] = ABSENT
    comments: Many[str] = ()


class Answer(StrEnum):
    """Three answers to one question: *unknown* is not *no* (X31)."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class EligibilityStatus(StrEnum):
    """What an answered check comes to (X37)."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    NOT_FOUND = "not-found"
    AMBIGUOUS = "ambiguous"
    PAYER_UNAVAILABLE = "payer-unavailable"
    REJECTED = "rejected"
    PARTIAL = "partial"


class CheckStatus(StrEnum):
    """Where a check stands (canonical model, 7.3)."""

    CREATED = "created"
    SENT = "sent"
    ANSWERED = "answered"
    TIMED_OUT = "timed-out"
    REJECTED = "rejected"
    """TA1 or 999: never asked again unchanged (X11)."""
    ERROR = "error"
    """AAA"""
    CLOSED = "closed"


class Benefit(Value, frozen=True, kw_only=True):
    """One EB loop: what is covered, how far, and who pays the rest (X30 to X34)."""

    whose: Tri[str] = ABSENT
    """subscriber or dependent: the level that carries it (HL03 22, 23; X28)."""
    information: Tri[str] = ABSENT
    """EB01 as sent."""
    level: Tri[str] = ABSENT
    """EB02: individual, family … as sent."""
    service_types: Many[str] = ()
    """EB03"""
    insurance_type: Tri[str] = ABSENT
    plan: Tri[str] = ABSENT
    term: Tri[str] = ABSENT
    """EB06: 23 calendar year, 27 visit, 29 remaining …"""
    amount: Tri[Money] = ABSENT
    percent: Tri[str] = ABSENT
    """As a decimal: ``0.2`` is twenty percent."""
    quantity: Tri[str] = ABSENT
    quantity_kind: Tri[str] = ABSENT
    authorization_required: Tri[Answer] = ABSENT
    """EB11: unknown is not no."""
    in_network: Tri[str] = ABSENT
    """EB12: yes, no, unknown, both (W)."""
    procedure: Tri[CodeableConcept] = ABSENT
    periods: Many[BenefitPeriod] = ()
    entities: Many[RelatedEntity] = ()
    messages: Many[str] = ()
    """MSG: stored and searchable, never parsed for decisions (X35)."""


class BenefitPeriod(Value, frozen=True, kw_only=True):
    """DTP of a benefit: plan begin (346), end (347), eligibility (307), service (472) …"""

    qualifier: str
    period: Tri[Period] = ABSENT


class RelatedEntity(Value, frozen=True, kw_only=True):
    """2120: primary care provider, other payer, contact (X34)."""

    role: str
    """NM101 as sent."""
    who: Tri[Reference] = ABSENT
    telephone: Tri[str] = ABSENT


class PayerError(Value, frozen=True, kw_only=True):
    """One AAA, 999 or TA1 complaint, all of them kept (X29)."""

    layer: str
    """aaa where the answer says it (X16); else the code of the finding under which the delivery of the question was
    refused: ``core.set_rejected`` …"""
    code: str
    loop: Tri[str] = ABSENT
    follow_up: Tri[str] = ABSENT
    """AAA04"""


class Difference(Value, frozen=True, kw_only=True):
    """A demographic datum on which the payer differs: for a steward, never overwritten by itself (X28)."""

    field: str
    ours: Tri[str] = ABSENT
    theirs: Tri[str] = ABSENT


class EligibilityResult(Value, frozen=True, kw_only=True):
    """What a payer answered; a newer answer replaces it whole."""

    status: Tri[EligibilityStatus] = ABSENT
    """Where the answer does not say it, it is worked out from benefits and errors (`canonical.eligibility`)."""
    in_force: Tri[bool] = ABSENT
    """Whether the plan as a whole covers the patient on the day asked for; worked out likewise."""
    benefits: Many[Benefit] = ()
    errors: Many[PayerError] = ()
    differences: Many[Difference] = ()
    patient: Tri[Patient] = ABSENT
    """As the payer knows them."""
    coverage: Tri[Coverage] = ABSENT
    other_payers: Many[Reference] = ()
    cached: Tri[bool] = ABSENT
    """True where an earlier answer was used again (X26)."""
    answered_at: Tri[Instant] = ABSENT
    expires_at: Tri[Instant] = ABSENT


class EligibilityCheck(Entity, frozen=True, kw_only=True):
    """One question to a payer, and its answer once there is one."""

    identifiers: Many[Identifier] = ()
    """Our trace number (TRN02, type ``TRN``): the answer finds the question by it (X22, X27)."""
    status: Tri[CheckStatus] = ABSENT
    mode: Tri[str] = ABSENT
    """real-time, batch"""
    patient: Tri[Patient] = ABSENT
    coverage: Tri[Coverage] = ABSENT
    payer: Tri[Reference] = ABSENT
    provider: Tri[Reference] = ABSENT
    service_types: Many[str] = ()
    procedure: Tri[CodeableConcept] = ABSENT
    service_date: Tri[Date] = ABSENT
    cause: Tri[str] = ABSENT
    """Key of the appointment or referral it is for."""
    submitter_reference: Tri[str] = ABSENT
    """BHT03"""
    sent_at: Tri[Instant] = ABSENT
    """When the first attempt to ask left us: the payer's time runs from then (X13)."""
    result: Tri[EligibilityResult] = ABSENT
