"""What asks for a visit before there is one: referrals, requests for an appointment, orders that await one."""

from __future__ import annotations

from enum import StrEnum

from canonical.coverage import Coverage
from canonical.document import Extracted
from canonical.model import (
    Address,
    Appointment,
    CodeableConcept,
    Contact,
    ContactPoint,
    Date,
    Diagnosis,
    Entity,
    Identifier,
    Many,
    Participant,
    Patient,
    Period,
    Place,
    Reference,
    Service,
    Visit,
)
from canonical.phi import Value
from canonical.presence import ABSENT, Tri


class Party(Value, frozen=True, kw_only=True):
    """One side of a referral or an authorisation: a person or an organisation, and how to reach it (HL7 PRD)."""

    role: Tri[CodeableConcept] = ABSENT
    """PRD-1 as sent, where the place does not say it: PP primary care provider, CP consulting provider …"""
    who: Tri[Reference] = ABSENT
    organization: Tri[Reference] = ABSENT
    specialty: Tri[CodeableConcept] = ABSENT
    telecom: Many[ContactPoint] = ()
    address: Tri[Address] = ABSENT
    place: Tri[Place] = ABSENT
    """PRD-4"""
    period: Tri[Period] = ABSENT


class DocumentReference(Value, frozen=True, kw_only=True):
    """A document that belongs to something: by its number, and by the hash of its bytes in the ledger."""

    identifiers: Many[Identifier] = ()
    type: Tri[CodeableConcept] = ABSENT
    media_type: Tri[str] = ABSENT
    sha256: Tri[str] = ABSENT
    message_id: Tri[str] = ABSENT
    """The message in the ledger that carried it."""
    pages: Many[int] = ()
    """The pages of that message that belong to it; none stated: all."""


class ReferralStatus(StrEnum):
    """Where a referral stands (canonical model, 7.3)."""

    RECEIVED = "received"
    INCOMPLETE = "incomplete"
    COMPLETE = "complete"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SCHEDULING = "scheduling"
    SCHEDULED = "scheduled"
    CLOSED_LOOP = "closed-loop"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def over(self) -> bool:
        """True where nothing more is to be done for it."""
        return self in _OVER


_OVER = frozenset({ReferralStatus.REJECTED, ReferralStatus.CANCELLED, ReferralStatus.EXPIRED, ReferralStatus.CLOSED_LOOP})


class Referral(Entity, frozen=True, kw_only=True):
    """A request that another provider take over part of the care (HL7 REF, RF1; FHIR ServiceRequest and Task)."""

    identifiers: Many[Identifier] = ()
    """Originating number (RF1-6, type PLAC) and external number (RF1-11, type FILL)."""
    revision: Tri[int] = ABSENT
    status: Tri[ReferralStatus] = ABSENT
    source_status: Tri[CodeableConcept] = ABSENT
    """RF1-1 as sent."""
    priority: Tri[str] = ABSENT
    """FHIR RequestPriority: routine, urgent, asap, stat."""
    type: Tri[CodeableConcept] = ABSENT
    disposition: Many[CodeableConcept] = ()
    """What the referring side wants done (RF1-4)."""
    category: Tri[str] = ABSENT
    """inpatient, outpatient, ambulatory, emergency (RF1-5)"""
    reason: Many[CodeableConcept] = ()
    control_id: Tri[str] = ABSENT
    """Number of the message that asked (MSH-10): an answer names it (MSA-2)."""
    acknowledgement: Tri[str] = ABSENT
    """Whether an answer says that the message was taken (MSA-1); what became of the matter is `status`."""
    rejection: Tri[str] = ABSENT
    """Why the other side refused, in its words (MSA-3, ERR-8)."""
    specialty: Tri[CodeableConcept] = ABSENT
    effective_at: Tri[Date] = ABSENT
    expires_at: Tri[Date] = ABSENT
    processed_at: Tri[Date] = ABSENT
    patient: Tri[Patient] = ABSENT
    referring: Tri[Party] = ABSENT
    referred_to: Tri[Party] = ABSENT
    other_parties: Many[Party] = ()
    diagnoses: Many[Diagnosis] = ()
    services: Many[Service] = ()
    coverages: Many[Coverage] = ()
    authorizations: Many[Identifier] = ()
    documents: Many[DocumentReference] = ()
    appointment: Tri[Appointment] = ABSENT
    """The appointment that comes with it, where the message carries one (REF^I12 SCH)."""
    visit: Tri[Visit] = ABSENT
    comments: Many[str] = ()
    missing: Many[str] = ()
    """Fields the receiving side needs and does not have yet: empty makes it complete."""
    evidence: Many[Extracted] = ()
    """Where fields that came from a page stand there, and how far each can be trusted."""


class RequestStatus(StrEnum):
    """Where a request for an appointment stands (canonical model, 7.3)."""

    RECEIVED = "received"
    CLASSIFIED = "classified"
    NEEDS_INFO = "needs-info"
    READY = "ready"
    OFFERED = "offered"
    BOOKED = "booked"
    WAITLISTED = "waitlisted"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REJECTED = "rejected"


class TimeWindow(Value, frozen=True, kw_only=True):
    """A stretch of time that would suit (ARQ-11, FHIR Appointment.requestedPeriod). A day will do for either end."""

    start: Tri[Date] = ABSENT
    end: Tri[Date] = ABSENT
    preference: Tri[str] = ABSENT
    """As sent (APR-1 parameter, for one)."""


class Preference(Value, frozen=True, kw_only=True):
    """One criterion of the requester (HL7 APR, SCV: parameter class and value)."""

    kind: Tri[str] = ABSENT
    """time, resource, location, slot-spacing, filler-override"""
    parameter: Tri[CodeableConcept] = ABSENT
    value: Tri[str] = ABSENT


class RequestAction(StrEnum):
    """What is asked for (SRM S01 to S11, order control codes of ORC-1)."""

    BOOK = "book"
    RESCHEDULE = "reschedule"
    MODIFY = "modify"
    CANCEL = "cancel"
    DISCONTINUE = "discontinue"
    DELETE = "delete"
    HOLD = "hold"
    """ORC HD: nothing is to be booked until it is released."""
    RELEASE = "release"
    STATUS = "status"
    """Nothing new is asked: the other side tells how it stands (ORC SC, SR)."""
    ADD_RESOURCE = "add-resource"
    MODIFY_RESOURCE = "modify-resource"
    CANCEL_RESOURCE = "cancel-resource"
    DISCONTINUE_RESOURCE = "discontinue-resource"
    DELETE_RESOURCE = "delete-resource"


class AppointmentRequest(Entity, frozen=True, kw_only=True):
    """Somebody asks for an appointment, or for a change of one (SRM ARQ, ORM/OMG orders, a call, a portal).

    Its answer is an `Appointment`.
    """

    identifiers: Many[Identifier] = ()
    """Placer number (type PLAC), and filler number (FILL) once there is one."""
    placer_group: Tri[Identifier] = ABSENT
    order: Many[Identifier] = ()
    """Orders it is for (ORC-2 PLAC, ORC-3 FILL)."""
    appointment: Many[Identifier] = ()
    """The appointment that a change is about."""
    occurrence: Tri[int] = ABSENT
    action: Tri[RequestAction] = ABSENT
    order_control: Tri[str] = ABSENT
    """ORC-1 as sent, where an order asks."""
    order_status: Tri[str] = ABSENT
    """ORC-5 as sent."""
    control_id: Tri[str] = ABSENT
    """Number of the message that asked (MSH-10): an answer names it (MSA-2)."""
    rejection: Tri[str] = ABSENT
    """Why it was refused, in the words of the one who refused (MSA-3, ERR-8)."""
    requested_at: Tri[Date] = ABSENT
    """ORC-9, ORC-15"""
    schedule: Tri[CodeableConcept] = ABSENT
    placer_parent: Tri[Identifier] = ABSENT
    filler_parent: Tri[Identifier] = ABSENT
    status: Tri[RequestStatus] = ABSENT
    channel: Tri[str] = ABSENT
    """hl7, fhir, order, phone, portal, crm"""
    reason: Tri[CodeableConcept] = ABSENT
    event_reason: Tri[CodeableConcept] = ABSENT
    type: Tri[CodeableConcept] = ABSENT
    priority: Tri[str] = ABSENT
    duration: Tri[int] = ABSENT
    """Minutes."""
    windows: Many[TimeWindow] = ()
    repeat: Tri[str] = ABSENT
    """Repeating interval as sent (ARQ-13)."""
    repeat_duration: Tri[str] = ABSENT
    """How long the interval goes on, as sent (ARQ-14)."""
    preferences: Many[Preference] = ()
    contacts: Many[Contact] = ()
    """Who asks (role placer) and who wrote it down (entered-by)."""
    patient: Tri[Patient] = ABSENT
    visit: Tri[Visit] = ABSENT
    services: Many[Service] = ()
    participants: Many[Participant] = ()
    """People, places and things asked for (AIP, AIL, AIG)."""
    diagnoses: Many[Diagnosis] = ()
    coverages: Many[Coverage] = ()
    referral: Tri[Identifier] = ABSENT
    comments: Many[str] = ()
    time_basis: Tri[str] = ABSENT
