"""What is said of a master file as a whole, and of each of its records (HL7 MFN, MFK)."""

from __future__ import annotations

from canonical.model import CodeableConcept, Date, Entity, Many
from canonical.phi import Value
from canonical.presence import ABSENT, Tri


class MasterFileRecord(Value, frozen=True, kw_only=True):
    """One record of a notification, and what became of it (MFE, MFA)."""

    event: Tri[str] = ABSENT
    """MAD add, MUP update, MDL delete, MDC deactivate, MAC reactivate (table HL70180)."""
    control_id: Tri[str] = ABSENT
    """MFE-2: the sender's number of the record."""
    completed_at: Tri[Date] = ABSENT
    status: Tri[CodeableConcept] = ABSENT
    """MFA-4, table HL70181: S successful, U unsuccessful."""
    key: Tri[str] = ABSENT
    """MFE-4 as sent."""
    key_type: Tri[str] = ABSENT
    """MFE-5: CE, PL."""


class MasterFile(Entity, frozen=True, kw_only=True):
    """A notification about a master file (MFI), or the answer to it (MFK)."""

    control_id: Tri[str] = ABSENT
    """MSH-10 of the notification; the answer names it (MSA-2)."""
    acknowledgement: Tri[str] = ABSENT
    """MSA-1"""
    file: Tri[str] = ABSENT
    """MFI-1 as sent."""
    application: Tri[str] = ABSENT
    """MFI-2 as sent."""
    file_event: Tri[str] = ABSENT
    """MFI-3: REP replace, UPD update."""
    entered_at: Tri[Date] = ABSENT
    effective_at: Tri[Date] = ABSENT
    response_level: Tri[str] = ABSENT
    """MFI-6: NE never, ER errors, AL always, SU success (table HL70179): which records the answer tells of."""
    records: Many[MasterFileRecord] = ()
