"""A delivery that was refused tells the question it carried, by the one door."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from canonical.clock import Clock
from canonical.event import Event
from router import internal
from store.ledger import Intake
from store.partition import partition_of
from store.records import Delivery
from workflow.refused import refused


class Refusals:
    """Tells questions of ours that they were refused (`router.deliver.Refuse`); of anything else it says nothing.

    The message is stored before the delivery is settled, under an id that is made of the delivery: a process that dies
    between the two says the same again, and it counts once.

    Args:
        intake: the ledger.
        ring: wakes the workers of partitions.
        clock: for the time.
        partitions: of the ledger.
    """

    def __init__(self, intake: Intake, ring: Callable[[Iterable[int]], None], clock: Clock, partitions: int) -> None:
        self._intake = intake
        self._ring = ring
        self._clock = clock
        self._partitions = partitions

    async def __call__(self, delivery: Delivery, event: Event, layer: str, code: str) -> None:
        """Say so. Raises `store.ledger.LedgerUnavailable`."""
        command = refused(event, delivery.id, layer, code)
        if command is not None:
            lane = internal.home(command.subject_key)
            receipt = await self._intake.append(internal.command(
                command, lane, self._clock.now(), patient_key=event.patient_key))
            self._ring((receipt.home if receipt.home >= 0 else partition_of(lane, self._partitions),))
