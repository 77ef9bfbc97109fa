"""What deciders want to know of a case, and comparisons that more than one of them makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from canonical.coverage import Coverage
from canonical.model import Appointment, AppointmentStatus, CodeableConcept, Date, Patient, Reference, Service
from canonical.presence import ABSENT
from canonical.referral import Referral, ReferralStatus
from workflow.case import Case


def coverage_of(case: Case) -> Coverage | None:
    """Who pays first: what the case itself says, else what is known of the patient; of several the one stated last."""
    stated = (case.entity.coverages or ()) if isinstance(case.entity, Referral) else ()
    known = stated or tuple(one for one in case.related.values() if isinstance(one, Coverage))
    ordered = sorted(known, key=lambda coverage: coverage.order or 99)
    return next((coverage for coverage in ordered if coverage.member_id), ordered[0] if ordered else None)


def insured_as(coverage: Coverage, *, own_numbers: bool) -> Coverage:
    """The coverage as the payer is asked about it: whoever has a number of their own is the subscriber (X20), so nobody
    else is named. That a message repeats the patient as the insured (IN1-16, *self*) makes them no dependent either."""
    if own_numbers or coverage.relationship == "self":
        return msgspec.structs.replace(coverage, subscriber=ABSENT, relationship="self" if coverage.relationship else ABSENT)
    return coverage


def patient_of(case: Case) -> Patient | None:
    """Who it is for."""
    entity = case.entity
    stated = entity.patient if isinstance(entity, Appointment | Referral) else None
    return stated or next((patient for _, patient in case.related_of(Patient)), None)


def service_date(case: Case) -> Date | None:
    """The day of the service: of the appointment, also of the one that a referral brings with it (X25)."""
    entity = case.entity
    if isinstance(entity, Referral):
        entity = entity.appointment or entity
    if isinstance(entity, Appointment) and entity.start:
        return Date(str(entity.start)[:10])
    return None


def services_of(case: Case) -> tuple[Service, ...]:
    """What is to be done."""
    return (case.entity.services or ()) if isinstance(case.entity, Appointment | Referral) else ()


def provider_of(case: Case) -> Reference:
    """Who is to do it."""
    entity = case.entity
    if isinstance(entity, Referral) and entity.referred_to:
        return entity.referred_to.who or entity.referred_to.organization or Reference()
    if isinstance(entity, Appointment):
        return next((one.who for one in entity.participants or () if one.kind == "practitioner" and one.who),
                    Reference())
    return Reference()


def procedure_of(case: Case) -> CodeableConcept:
    """The first service that has a code."""
    return next((service.code for service in services_of(case) if service.code), CodeableConcept())


def code_of(concept: CodeableConcept | None) -> str:
    """The first code of a concept, else its words."""
    if concept is None:
        return ""
    return str(next((coding.code for coding in concept.coding or () if coding.code), "") or concept.text or "")


def named(reference: Reference) -> str:
    """A reference as text that is the same for the same thing."""
    return "|".join(str(i.value or "") for i in reference.identifiers or ()) or str(reference.display or "")


def person(patient: Patient | None) -> str:
    """Name and birth date: what a payer finds a member by (X21)."""
    name = next(iter(patient.names or ()), None) if patient else None
    born = patient.birth_date if patient else None
    return f"{(name.family if name else '') or ''}|{' '.join((name.given if name else ()) or ())}|{born or ''}"


def day_ends(day: int) -> int:
    """When a day is over everywhere: it is given as its end in UTC."""
    return day + 86_400_000_000


def business_days_after(moment: int, days: int) -> int:
    """The same time of day so many business days later; Saturdays and Sundays in UTC do not count (X46)."""
    at = datetime.fromtimestamp(moment / 1e6, UTC)
    while days:
        at += timedelta(1)
        days -= at.weekday() < 5
    return round(at.timestamp() * 1e6)


def over(case: Case) -> bool:
    """True where the visit, or what was asked for, is done with: it has ended, or its day has passed (A3.7)."""
    entity = case.entity
    if (isinstance(entity, Appointment) and isinstance(entity.status, AppointmentStatus) and entity.status.terminal) or (
            isinstance(entity, Referral) and isinstance(entity.status, ReferralStatus) and entity.status.over):
        return True
    day = micros(service_date(case))
    return bool(day) and case.now > day_ends(day)


def micros(instant: object) -> int:
    """Microseconds since the epoch of an instant, or of the end of a day in UTC; 0 where it is none."""
    try:
        moment = datetime.fromisoformat(str(instant)) if instant else None
    except ValueError:  # a year, a month: no moment
        return 0
    if moment is None:
        return 0
    if len(str(instant)) == len("2026-03-10"):
        moment = moment.replace(hour=23, minute=59, second=59)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)
