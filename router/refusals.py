"""A delivery that was refused tells the question it carried, by the one door: at once, or days later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

from canonical.clock import Clock
from canonical.event import Event
from canonical.findings import Finding, Severity, declare, finding
from router import internal
from router.translate import Refused
from store.ledger import Intake, Numbers, Work
from store.partition import partition_of
from store.records import Delivery, Message, NewMessage, event_of
from workflow.case import Command
from workflow.refused import refused, sent

LATE: Final = declare(
    "delivery.refused_later", Severity.WARNING, "Something we sent was refused by the peer after it had taken it.",
    "Look at the delivery that is named: mend the mapping, the partner's profile or the data. Where it carried a question, "
    "the question knows.")
UNKNOWN: Final = declare(
    "delivery.refused_unknown", Severity.FATAL, "The peer refuses something that nobody here has sent, or remembers.",
    "Ask the peer what it is: another system that sends under our name, or older than what is kept. Then discard it.")


class Books(Work, Numbers, Protocol):
    """The parts of the ledger that late refusals are looked up in."""


class Refusals:
    """Tells questions of ours that they have left, or were refused (`router.deliver.Teller`); of anything else it says
    nothing.

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

    async def refused(self, delivery: Delivery, event: Event, layer: str, code: str) -> None:
        """See `router.deliver.Teller`."""
        await self._say(refused(event, delivery.id, layer, code), event)

    async def sent(self, event: Event, at: int) -> None:
        """See `router.deliver.Teller`."""
        await self._say(sent(event, internal.iso(at)), event)

    async def _say(self, command: Command | None, event: Event) -> None:
        if command is not None:
            lane = internal.home(command.subject_key)
            receipt = await self._intake.append(internal.command(
                command, lane, self._clock.now(), patient_key=event.patient_key))
            self._ring((receipt.home if receipt.home >= 0 else partition_of(lane, self._partitions),))


async def late(books: Books, of: Message, said: Sequence[Refused], now: int) -> tuple[list[NewMessage], list[Finding]]:
    """What a message comes to that refuses what we sent, perhaps before the last restart: messages that tell the
    questions, to be committed with it, and what is to be said of the message itself.

    The delivery is found by its number, and what it tells has the same id as if it had been refused at once: however
    often and by however many ways a refusal comes, it counts once.

    Raises:
        store.ledger.LedgerUnavailable: it cannot be looked up now.
    """
    found: dict[str, Refused] = {}
    notes: list[Finding] = []
    for one in said:
        delivery_id = await books.holder(one.numbering, one.number)
        if not delivery_id:
            notes.append(finding(UNKNOWN, detail=f"{UNKNOWN.summary} (number {one.number})"))
        else:
            found.setdefault(delivery_id, one)
    events = await books.events({event_of(delivery_id) for delivery_id in found})
    messages = []
    for delivery_id, one in found.items():
        if of.parent_id != event_of(delivery_id).rpartition(".")[0]:  # not the answer in the exchange itself
            notes.append(finding(LATE, at=delivery_id, detail=f"{one.layer} {one.code}".rstrip()))
        event = events.get(event_of(delivery_id))
        command = refused(event, delivery_id, one.layer, one.code) if event is not None else None
        if event is not None and command is not None:
            told = internal.command(command, internal.home(command.subject_key), now, patient_key=event.patient_key)
            messages.append(msgspec.structs.replace(told, parent_id=of.id))
    return messages, notes
