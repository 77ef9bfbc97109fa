"""The payer's permission for a service: one living object from the first request to the last word (X12 278, PAS)."""

from __future__ import annotations

from enum import StrEnum

from canonical.coverage import Coverage, PayerError
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
from canonical.referral import DocumentReference


class AuthorizationStatus(StrEnum):
    """Where it stands (canonical model, 7.3)."""

    NOT_REQUIRED = "not-required"
    REQUIRED = "required"
    DRAFTED = "drafted"
    SUBMITTED = "submitted"
    PENDED = "pended"
    APPROVED = "approved"
    PARTIAL = "partial"
    MODIFIED = "modified"
    DENIED = "denied"
    CONTACT_PAYER = "contact-payer"
    """HCR01 CT: somebody must telephone (X43)."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class AuthorizedService(Value, frozen=True, kw_only=True):
    """One service, as asked and as decided: each has a decision of its own (X38)."""

    sequence: Tri[int] = ABSENT
    trace: Tri[str] = ABSENT
    code: Tri[CodeableConcept] = ABSENT
    quantity: Tri[str] = ABSENT
    unit: Tri[str] = ABSENT
    period: Tri[Period] = ABSENT
    provider: Tri[Reference] = ABSENT
    place: Tri[Place] = ABSENT
    decision: Tri[AuthorizationStatus] = ABSENT
    action: Tri[str] = ABSENT
    """HCR01 as sent."""
    number: Tri[str] = ABSENT
    """HCR02"""
    reasons: Many[str] = ()
    """HCR03, all kept."""
    certified_quantity: Tri[str] = ABSENT
    certified_period: Tri[Period] = ABSENT
    cancelled: Tri[bool] = ABSENT
    """True for a service that is no longer asked for (PAS)."""
    errors: Many[PayerError] = ()


class PayerClock(Value, frozen=True, kw_only=True):
    """A deadline with the rule that sets it (X46): breached once, paused only by a request to us."""

    rule: str
    due_at: Tri[Instant] = ABSENT
    paused: Tri[bool] = ABSENT


class Authorization(Entity, frozen=True, kw_only=True):
    """A request for authorisation, referral certification or admission review, with its answers."""

    identifiers: Many[Identifier] = ()
    """Our trace number (TRN02, type ``TRN``), originating and external numbers of RQA/RPA (PLAC, FILL)."""
    status: Tri[AuthorizationStatus] = ABSENT
    category: Tri[str] = ABSENT
    """UM01: AR admission, HS services, SC specialty care, IN individual."""
    action: Tri[str] = ABSENT
    """UM02: initial, renewal, revised, appeal, cancel, extension."""
    type: Tri[CodeableConcept] = ABSENT
    patient: Tri[Patient] = ABSENT
    coverage: Tri[Coverage] = ABSENT
    control_id: Tri[str] = ABSENT
    """Number of the message that asked (MSH-10): an answer names it (MSA-2)."""
    acknowledgement: Tri[str] = ABSENT
    """Whether an answer says that the message was taken (MSA-1); what became of the matter is `status`."""
    requested_at: Tri[Date] = ABSENT
    sent_at: Tri[Instant] = ABSENT
    """When the first attempt to ask left us: the payer's time runs from then (X46)."""
    payer: Tri[Reference] = ABSENT
    requester: Tri[Reference] = ABSENT
    provider: Tri[Reference] = ABSENT
    visit: Tri[Visit] = ABSENT
    diagnoses: Many[Diagnosis] = ()
    services: Many[AuthorizedService] = ()
    replaces: Tri[Identifier] = ABSENT
    """Our trace of the request that this one changes or withdraws (PAS Claim.related)."""
    number: Tri[str] = ABSENT
    """The number that counts now (REF*BB, HCR02, AUT)."""
    superseded_numbers: Many[str] = ()
    administrative_reference: Tri[str] = ABSENT
    """REF*NT: not a certification (X45)."""
    valid: Tri[Period] = ABSENT
    pend_reasons: Many[str] = ()
    denial_reasons: Many[str] = ()
    appeal_until: Tri[Date] = ABSENT
    documents_requested: Many[CodeableConcept] = ()
    documents: Many[DocumentReference] = ()
    clocks: Many[PayerClock] = ()
    errors: Many[PayerError] = ()
    cause: Tri[str] = ABSENT
    """Key of the appointment or referral it is for."""
    comments: Many[str] = ()
