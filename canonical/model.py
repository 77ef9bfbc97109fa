"""The canonical model: what every message becomes.

Names and code systems follow FHIR R4 where FHIR models the thing well; see ``docs/canonical.md`` for the
departures and their reasons. Every struct is an immutable value. Single fields are `Tri` (value, `CLEAR`,
`ABSENT`); lists are tuples, where ``()`` means *not stated* and `CLEAR` means *remove all*.

Times are ISO 8601 text that keeps the sender's precision and offset (HL7 v2.5.1 §2.A.22: precision is part
of the value). `Instant` always carries an offset; `Date` may stop at the year, the month or the day.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NewType, TypeAlias, TypeVar

import msgspec

from canonical.phi import Value
from canonical.presence import ABSENT, Tri

T = TypeVar("T")

#: ISO 8601 with an offset, as sent: ``2026-03-10T14:30:00-05:00``, ``2026-03-10T14:30-05:00``.
Instant = NewType("Instant", str)
#: ISO 8601 date or date and time at the sender's precision: ``1980``, ``1980-02``, ``1980-02-29``, or longer.
Date = NewType("Date", str)

#: ``()`` not stated, ``None`` cleared, else the items.
Many: TypeAlias = tuple[T, ...] | None


# -- building blocks ----------------------------------------------------------------------------------------


class Period(Value, frozen=True, kw_only=True):
    """From, to; either end may be open (FHIR Period)."""

    start: Tri[Date] = ABSENT
    end: Tri[Date] = ABSENT


class Identifier(Value, frozen=True, kw_only=True):
    """A value that is unique within its system (HL7 CX, EI, XCN.1; FHIR Identifier)."""

    value: Tri[str] = ABSENT
    system: Tri[str] = ABSENT
    """URI of the namespace: ``urn:oid:2.16…`` where the sender gave an OID, else by the crosswalk."""
    assigner: Tri[str] = ABSENT
    """The namespace as the sender calls it (HD.1)."""
    type: Tri[str] = ABSENT
    """Table HL70203: MR, PLAC, FILL, NPI …"""
    use: Tri[str] = ABSENT
    period: Tri[Period] = ABSENT


class Coding(Value, frozen=True, kw_only=True):
    """One code of one system (FHIR Coding), with what FHIR lacks: who chose it, and by which row."""

    code: Tri[str] = ABSENT
    system: Tri[str] = ABSENT
    display: Tri[str] = ABSENT
    version: Tri[str] = ABSENT
    role: Tri[str] = ABSENT
    """``source`` as sent, ``translated`` by a code table, ``alternate`` sent as the alternate identifier."""


class CodeableConcept(Value, frozen=True, kw_only=True):
    """A concept in one or more codings and the words of the sender (HL7 CE/CWE; FHIR CodeableConcept)."""

    coding: Many[Coding] = ()
    text: Tri[str] = ABSENT


class HumanName(Value, frozen=True, kw_only=True):
    """HL7 XPN, FHIR HumanName."""

    family: Tri[str] = ABSENT
    given: Many[str] = ()
    prefix: Tri[str] = ABSENT
    suffix: Tri[str] = ABSENT
    degree: Tri[str] = ABSENT
    use: Tri[str] = ABSENT
    """FHIR NameUse; HL7 table 0200 by code table."""
    period: Tri[Period] = ABSENT


class Address(Value, frozen=True, kw_only=True):
    """HL7 XAD, FHIR Address."""

    line: Many[str] = ()
    city: Tri[str] = ABSENT
    district: Tri[str] = ABSENT
    state: Tri[str] = ABSENT
    postal_code: Tri[str] = ABSENT
    country: Tri[str] = ABSENT
    use: Tri[str] = ABSENT
    period: Tri[Period] = ABSENT


class ContactPoint(Value, frozen=True, kw_only=True):
    """HL7 XTN, FHIR ContactPoint."""

    system: Tri[str] = ABSENT
    """phone, fax, email, pager, url, sms, other"""
    value: Tri[str] = ABSENT
    use: Tri[str] = ABSENT
    extension: Tri[str] = ABSENT


class Place(Value, frozen=True, kw_only=True):
    """A place inside a facility (HL7 PL)."""

    point_of_care: Tri[str] = ABSENT
    room: Tri[str] = ABSENT
    bed: Tri[str] = ABSENT
    facility: Tri[str] = ABSENT
    building: Tri[str] = ABSENT
    floor: Tri[str] = ABSENT
    description: Tri[str] = ABSENT
    status: Tri[str] = ABSENT
    type: Tri[str] = ABSENT


class Reference(Value, frozen=True, kw_only=True):
    """Somebody or something named by identifiers: never by a key of ours (FHIR logical Reference)."""

    identifiers: Many[Identifier] = ()
    name: Tri[HumanName] = ABSENT
    display: Tri[str] = ABSENT


# -- patient ------------------------------------------------------------------------------------------------


class LinkType(StrEnum):
    """FHIR LinkType."""

    REPLACES = "replaces"
    REPLACED_BY = "replaced-by"
    REFER = "refer"
    SEEALSO = "seealso"


class PatientLink(Value, frozen=True, kw_only=True):
    """Another record of the same person: what a merge leaves behind (MRG-1, FHIR Patient.link)."""

    type: LinkType
    identifiers: Many[Identifier] = ()
    name: Tri[HumanName] = ABSENT


class Entity(Value, frozen=True, kw_only=True, tag_field="entity"):
    """Base of what an event can be about. The JSON form carries the type in ``entity``."""

    extensions: dict[str, str | None] = msgspec.field(default_factory=dict)
    """What the model has no field for, by source path (``ZAP-2``): nothing is lost silently."""


class Patient(Entity, frozen=True, kw_only=True):
    """A person who receives care."""

    identifiers: Many[Identifier] = ()
    names: Many[HumanName] = ()
    birth_date: Tri[Date] = ABSENT
    sex: Tri[str] = ABSENT
    """FHIR AdministrativeGender"""
    addresses: Many[Address] = ()
    telecom: Many[ContactPoint] = ()
    language: Tri[CodeableConcept] = ABSENT
    marital_status: Tri[CodeableConcept] = ABSENT
    deceased: Tri[bool] = ABSENT
    deceased_at: Tri[Date] = ABSENT
    account: Tri[Identifier] = ABSENT
    links: Many[PatientLink] = ()
    visit: Tri[Visit] = ABSENT
    """The encounter an ADT message is about (PV1)."""


class Visit(Value, frozen=True, kw_only=True):
    """The encounter that a message names (PV1): context, not an entity of ours."""

    identifier: Tri[Identifier] = ABSENT
    """PV1-19"""
    patient_class: Tri[str] = ABSENT
    location: Tri[Place] = ABSENT
    attending: Many[Reference] = ()
    referring: Many[Reference] = ()
    service: Tri[str] = ABSENT
    admitted_at: Tri[Date] = ABSENT
    discharged_at: Tri[Date] = ABSENT


# -- appointment --------------------------------------------------------------------------------------------


class AppointmentStatus(StrEnum):
    """FHIR R4 AppointmentStatus (http://hl7.org/fhir/appointmentstatus)."""

    PROPOSED = "proposed"
    PENDING = "pending"
    BOOKED = "booked"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    NOSHOW = "noshow"
    ENTERED_IN_ERROR = "entered-in-error"
    CHECKED_IN = "checked-in"
    WAITLIST = "waitlist"

    @property
    def terminal(self) -> bool:
        """True for a state that no older message may undo (D04)."""
        return self in _TERMINAL


_TERMINAL = frozenset({AppointmentStatus.FULFILLED, AppointmentStatus.CANCELLED, AppointmentStatus.NOSHOW,
                       AppointmentStatus.ENTERED_IN_ERROR})


class ParticipationStatus(StrEnum):
    """FHIR R4 ParticipationStatus."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    TENTATIVE = "tentative"
    NEEDS_ACTION = "needs-action"


class Action(StrEnum):
    """What a message does to one resource of an appointment (HL7 table 0206)."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"
    NO_CHANGE = "no-change"
    SNAPSHOT = "snapshot"


class ParticipantKind(StrEnum):
    """Which HL7 resource segment a participant comes from: AIP, AIL, AIG."""

    PRACTITIONER = "practitioner"
    LOCATION = "location"
    EQUIPMENT = "equipment"


class Participant(Value, frozen=True, kw_only=True):
    """A person, place or thing that takes part (AIP, AIL, AIG; FHIR Appointment.participant)."""

    kind: ParticipantKind
    set_id: Tri[str] = ABSENT
    action: Tri[Action] = ABSENT
    who: Tri[Reference] = ABSENT
    place: Tri[Place] = ABSENT
    """AIL-3, for locations."""
    role: Tri[CodeableConcept] = ABSENT
    group: Tri[CodeableConcept] = ABSENT
    status: Tri[ParticipationStatus] = ABSENT
    filler_status: Tri[str] = ABSENT
    start: Tri[Instant] = ABSENT
    offset: Tri[int] = ABSENT
    """Minutes after the appointment's start, where the message gives no start of its own."""
    duration: Tri[int] = ABSENT
    """Minutes."""
    quantity: Tri[int] = ABSENT
    comments: Many[str] = ()


class Service(Value, frozen=True, kw_only=True):
    """A service to be performed (AIS; FHIR Appointment.serviceType)."""

    set_id: Tri[str] = ABSENT
    action: Tri[Action] = ABSENT
    code: Tri[CodeableConcept] = ABSENT
    start: Tri[Instant] = ABSENT
    offset: Tri[int] = ABSENT
    """Minutes after the appointment's start."""
    duration: Tri[int] = ABSENT
    """Minutes."""
    filler_status: Tri[str] = ABSENT
    comments: Many[str] = ()


class Contact(Value, frozen=True, kw_only=True):
    """Who asked, who filled, who entered (SCH-12 to SCH-22)."""

    role: str
    """placer, filler, entered-by"""
    who: Many[Reference] = ()
    telecom: Many[ContactPoint] = ()
    address: Tri[Address] = ABSENT
    location: Tri[Place] = ABSENT


class Diagnosis(Value, frozen=True, kw_only=True):
    """DG1."""

    code: Tri[CodeableConcept] = ABSENT
    type: Tri[str] = ABSENT
    at: Tri[Date] = ABSENT


class Appointment(Entity, frozen=True, kw_only=True):
    """A booking of people, places and things for a patient at a time."""

    identifiers: Many[Identifier] = ()
    """Placer (type PLAC) and filler (type FILL) numbers."""
    occurrence: Tri[int] = ABSENT
    placer_group: Tri[Identifier] = ABSENT
    schedule: Tri[CodeableConcept] = ABSENT
    placer_parent: Tri[Identifier] = ABSENT
    filler_parent: Tri[Identifier] = ABSENT
    status: Tri[AppointmentStatus] = ABSENT
    substatus: Tri[str] = ABSENT
    """``discontinued`` for S16, which FHIR cannot say."""
    event_reason: Tri[CodeableConcept] = ABSENT
    """Why this message was sent (SCH-6): the reason of a cancellation, for one."""
    reason: Tri[CodeableConcept] = ABSENT
    type: Tri[CodeableConcept] = ABSENT
    priority: Tri[str] = ABSENT
    modality: Tri[str] = ABSENT
    """in-person, phone, video"""
    start: Tri[Instant] = ABSENT
    end: Tri[Instant] = ABSENT
    duration: Tri[int] = ABSENT
    """Minutes. Always ``end - start`` where both are known; a disagreement is a finding."""
    time_basis: Tri[str] = ABSENT
    """IANA zone that supplied the offset, where the sender gave none."""
    location: Tri[Place] = ABSENT
    patient: Tri[Patient] = ABSENT
    visit: Tri[Visit] = ABSENT
    services: Many[Service] = ()
    participants: Many[Participant] = ()
    contacts: Many[Contact] = ()
    diagnoses: Many[Diagnosis] = ()
    comments: Many[str] = ()
    update_mode: Tri[bool] = ABSENT
    """True where resources carry action codes (M01): those not listed stay. Otherwise the list is complete."""
    mixed_actions: Tri[Action] = ABSENT
    """What a resource without an action code means where others of the message carry one (M05): a profile's
    decision. ``update`` unless stated; ``no-change`` or ``add``; ``snapshot``: the list is complete all the same."""
    conflicts: Many[Reference] = ()
    """Other open visits of the same person at the same time, seen when two records became one (A4.2). Goes when the
    visit is moved or ends. Never part of what a sender says."""
    inferred: Tri[bool] = ABSENT
    """True in a state whose booking was never seen: made from a later message (D05). Never part of an event."""


# -- schedule, people, places -------------------------------------------------------------------------------


class SlotStatus(StrEnum):
    """FHIR R4 SlotStatus."""

    FREE = "free"
    BUSY = "busy"
    BUSY_TENTATIVE = "busy-tentative"
    BUSY_UNAVAILABLE = "busy-unavailable"
    ENTERED_IN_ERROR = "entered-in-error"


class Slot(Entity, frozen=True, kw_only=True):
    """A stretch of a schedule: bookable, held, or blocked (S23, S24; FHIR Slot)."""

    identifiers: Many[Identifier] = ()
    schedule: Tri[CodeableConcept] = ABSENT
    status: Tri[SlotStatus] = ABSENT
    start: Tri[Instant] = ABSENT
    end: Tri[Instant] = ABSENT
    duration: Tri[int] = ABSENT
    hold_expiry: Tri[Instant] = ABSENT
    reason: Tri[CodeableConcept] = ABSENT
    services: Many[Service] = ()
    participants: Many[Participant] = ()
    comments: Many[str] = ()
    time_basis: Tri[str] = ABSENT


class Practitioner(Entity, frozen=True, kw_only=True):
    """A person who gives care."""

    identifiers: Many[Identifier] = ()
    names: Many[HumanName] = ()
    telecom: Many[ContactPoint] = ()
    active: Tri[bool] = ABSENT
    effective_at: Tri[Date] = ABSENT
    """From when on what the message says holds (MFE-3, MFI-5); absent: at once."""
    specialty: Tri[CodeableConcept] = ABSENT
    sex: Tri[str] = ABSENT
    """FHIR AdministrativeGender"""
    birth_date: Tri[Date] = ABSENT
    addresses: Many[Address] = ()
    languages: Many[CodeableConcept] = ()
    job_title: Tri[str] = ABSENT
    employment: Tri[Period] = ABSENT
    """Activation and inactivation at the institution (STF-12, STF-13)."""
    roles: Many[PractitionerRole] = ()


class PractitionerRole(Value, frozen=True, kw_only=True):
    """What somebody does where, from when to when (PRA, ORG; FHIR PractitionerRole)."""

    organization: Tri[Reference] = ABSENT
    group: Tri[CodeableConcept] = ABSENT
    """PRA-2, ORG-2"""
    category: Tri[CodeableConcept] = ABSENT
    """PRA-3, ORG-6"""
    specialty: Many[CodeableConcept] = ()
    identifiers: Many[Identifier] = ()
    """PRA-6"""
    period: Tri[Period] = ABSENT
    primary: Tri[bool] = ABSENT


class Location(Entity, frozen=True, kw_only=True):
    """A place where care is given. The zone is mandatory: without it no local time can be understood."""

    identifiers: Many[Identifier] = ()
    name: Tri[str] = ABSENT
    place: Tri[Place] = ABSENT
    zone: Tri[str] = ABSENT
    """IANA name."""
    status: Tri[str] = ABSENT
    """FHIR LocationStatus: active, suspended, inactive."""
    effective_at: Tri[Date] = ABSENT
    """From when on what the message says holds (MFE-3, MFI-5); absent: at once."""
    type: Tri[CodeableConcept] = ABSENT
    organization: Tri[Reference] = ABSENT
    equipment: Many[str] = ()
    """LOC-8 as sent."""
    departments: Many[Department] = ()
    telecom: Many[ContactPoint] = ()
    address: Tri[Address] = ABSENT


class Department(Value, frozen=True, kw_only=True):
    """What a department does at a place, from when to when (LDP)."""

    code: Tri[CodeableConcept] = ABSENT
    services: Many[str] = ()
    specialty: Many[CodeableConcept] = ()
    active: Tri[bool] = ABSENT
    period: Tri[Period] = ABSENT
    reason: Tri[str] = ABSENT
    """Why it closed (LDP-9)."""
    telecom: Tri[ContactPoint] = ABSENT
    hours: Many[str] = ()
    """LDP-10 as sent."""
    cost_center: Tri[CodeableConcept] = ABSENT
