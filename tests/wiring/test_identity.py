"""One identity has one content (invariant 8)."""

from __future__ import annotations

from canonical.model import Appointment, AppointmentStatus
from router.identity import STEM, control_id

BOOKED = Appointment(status=AppointmentStatus.BOOKED)
CANCELLED = Appointment(status=AppointmentStatus.CANCELLED)


def test_a_repetition_has_the_same_identity() -> None:
    assert control_id("m1.1>erp") == control_id("m1.1>erp")
    assert control_id("m1.1>erp", BOOKED) == control_id("m1.1>erp", Appointment(status=AppointmentStatus.BOOKED))


def test_a_delivery_that_carries_a_newer_state_is_another_statement_of_the_same_delivery() -> None:
    earlier, later = control_id("m1.1>erp", BOOKED), control_id("m1.1>erp", CANCELLED)
    assert earlier != later
    assert earlier[:STEM] == later[:STEM] == control_id("m1.1>erp")[:STEM]


def test_an_identity_fits_into_msh_10() -> None:
    assert len(control_id("m1.1>erp")) == len(control_id("m1.1>erp", BOOKED)) == 20
    assert control_id("m1.1>erp")[:STEM] != control_id("m1.2>erp")[:STEM]
