"""What may be forgotten: the pure part of `Keeper.purge`."""

from __future__ import annotations

from typing import Final

from canonical.coverage import CheckStatus, EligibilityCheck
from canonical.entities import AnyEntity
from canonical.model import Appointment, AppointmentStatus, Slot, SlotStatus
from canonical.task import TaskStatus, WorkTask
from store.records import MessageState

#: States in which a message itself is done; its deliveries and events may still keep it.
FINISHED: Final = frozenset({MessageState.PROCESSED, MessageState.FILTERED, MessageState.REFUSED,
                             MessageState.DISCARDED})

#: States in which a message stands in its lanes.
UNPROCESSED: Final = frozenset({MessageState.RECEIVED, MessageState.PARKED})


def closed(entity: AnyEntity) -> bool:
    """True for a subject whose story is over, so that its events may go when their time has come.

    Appointments end with a terminal status (D04), slots when entered in error, tasks when they are done or cancelled,
    questions to payers when they are closed. People and places never do: a late message about them is folded into all
    that was said before (D07).
    """
    match entity:
        case Appointment(status=AppointmentStatus() as status):
            return status.terminal
        case WorkTask(status=TaskStatus() as stands):
            return stands.terminal
        case Slot(status=SlotStatus.ENTERED_IN_ERROR) | EligibilityCheck(status=CheckStatus.CLOSED):
            return True
        case _:
            return False
