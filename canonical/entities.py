"""Everything an event can be about, and where its parts are defined."""

from __future__ import annotations

from types import ModuleType
from typing import Final, TypeAlias

from canonical import authorization, claim_status, coverage, document, masterfile, model, query, referral, task
from canonical.authorization import Authorization
from canonical.claim_status import ClaimStatusCheck
from canonical.coverage import Charge, Coverage, EligibilityCheck
from canonical.document import Document
from canonical.model import Appointment, Location, Patient, Practitioner, Slot
from canonical.query import Acknowledgement, Query
from canonical.referral import AppointmentRequest, Referral
from canonical.task import WorkTask

#: msgspec decodes it by the ``entity`` tag.
AnyEntity: TypeAlias = (
    Patient | Appointment | Slot | Practitioner | Location
    | AppointmentRequest | Referral | Coverage | EligibilityCheck | Authorization | Document | WorkTask | Charge
    | Query | Acknowledgement | ClaimStatusCheck)

#: The modules that define the canonical structs and enumerations; a name is defined in one of them only.
MODULES: Final[tuple[ModuleType, ...]] = (model, document, coverage, referral, authorization, claim_status,
                                          task, query, masterfile)
