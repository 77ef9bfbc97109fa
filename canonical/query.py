"""Questions that other systems ask of what the ledger knows, and what they are told (HL7 QBP/RSP, SQM/SQR)."""

from __future__ import annotations

from enum import StrEnum

from canonical.model import Appointment, CodeableConcept, Date, Entity, Identifier, Many, Patient, Period, Slot
from canonical.phi import Value
from canonical.presence import ABSENT, Tri
from canonical.referral import AppointmentRequest


class QuerySubject(StrEnum):
    """What a question is about."""

    CANDIDATES = "candidates"
    """Who might this person be? (QBP^Q22; also Q21 where it names no identifier)"""
    DEMOGRAPHICS = "demographics"
    """Who is the person with this identifier? (QBP^Q21, QRY^A19)"""
    SCHEDULE = "schedule"
    """What is booked, and what is free? (SQM^S25)"""


class QueryParameter(Value, frozen=True, kw_only=True):
    """One criterion: the value that a field of the answer must have (QIP)."""

    field: Tri[str] = ABSENT
    """As sent: ``@PID.5.1``."""
    value: Tri[str] = ABSENT


class Query(Entity, frozen=True, kw_only=True):
    """A question. It changes nothing; that it was asked is recorded, because what is answered is patient data."""

    tag: Tri[str] = ABSENT
    """The sender's number of the question (QPD-2, QRD-4): the answer repeats it."""
    control_id: Tri[str] = ABSENT
    """MSH-10 of the message that asked."""
    name: Tri[CodeableConcept] = ABSENT
    """QPD-1"""
    about: Tri[QuerySubject] = ABSENT
    parameters: Many[QueryParameter] = ()
    identifiers: Many[Identifier] = ()
    """The person or appointment asked for, where the question names one (QPD-3 of Q21, QRD-8)."""
    domains: Many[Identifier] = ()
    """Assigners whose identifiers are wanted (QPD-8 of Q22): others are left out."""
    subject: Tri[CodeableConcept] = ABSENT
    """QRD-9"""
    period: Tri[Period] = ABSENT
    """QRF-2, QRF-3"""
    wanted: Tri[AppointmentRequest] = ABSENT
    """The appointment looked for (SQM ARQ and resources)."""
    limit: Tri[int] = ABSENT
    """How many records fit into one answer (RCP-2, QRD-7)."""
    unit: Tri[str] = ABSENT
    """RCP-2.2: RD records; anything else cannot be kept."""
    priority: Tri[str] = ABSENT
    """I immediate, D deferred."""
    continuation: Tri[str] = ABSENT
    """DSC-1: go on where an earlier answer ended."""
    asked_at: Tri[Date] = ABSENT
    """QRD-1"""


class QueryStatus(StrEnum):
    """Table HL70208."""

    OK = "OK"
    NOTHING = "NF"
    ERROR = "AE"
    REJECTED = "AR"


class QueryAnswer(Entity, frozen=True, kw_only=True):
    """What one question is told: one page of the records that fit, and how to ask for the next."""

    tag: Tri[str] = ABSENT
    control_id: Tri[str] = ABSENT
    name: Tri[CodeableConcept] = ABSENT
    status: Tri[QueryStatus] = ABSENT
    acknowledgement: Tri[str] = ABSENT
    """AA, AE, AR (MSA-1)."""
    error: Tri[CodeableConcept] = ABSENT
    """ERR-3, table HL70357."""
    error_place: Tri[str] = ABSENT
    """ERR-2, as ``QPD^1^3``."""
    hits: Tri[int] = ABSENT
    """How many there are in all; not stated where the ledger stopped counting."""
    shown: Tri[int] = ABSENT
    remaining: Tri[int] = ABSENT
    patients: Many[Patient] = ()
    appointments: Many[Appointment] = ()
    slots: Many[Slot] = ()
    continuation: Tri[str] = ABSENT


class AcknowledgementError(Value, frozen=True, kw_only=True):
    """One complaint of an acknowledgement (ERR)."""

    place: Tri[str] = ABSENT
    """ERR-2 as sent."""
    condition: Tri[CodeableConcept] = ABSENT
    """ERR-3, table HL70357."""
    text: Tri[str] = ABSENT
    """ERR-8"""


class Acknowledgement(Entity, frozen=True, kw_only=True):
    """What another system says of a message of ours, where that comes as a message (HL7 v2.5.1 §2.9.3: the
    application acknowledgement of enhanced mode)."""

    control_id: Tri[str] = ABSENT
    """MSA-2: MSH-10 of our message."""
    code: Tri[str] = ABSENT
    """MSA-1: AA, AE, AR, CA, CE, CR."""
    text: Tri[str] = ABSENT
    """MSA-3"""
    errors: Many[AcknowledgementError] = ()
