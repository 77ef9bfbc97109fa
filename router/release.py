"""A person lets go on what the engine took for a document that came before (A1.7).

What was left out follows from the raw message and is made again, as a referral of its own; it enters by the one door
as a letter of that person, and the document loses its link. A document that had revised a referral gets one of its own,
and the referral is stated anew as it stood before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

import msgspec

from canonical import history
from canonical.clock import Clock
from canonical.document import Document
from canonical.event import Event
from canonical.findings import Severity, declare
from canonical.referral import Referral
from router import internal
from router.desk import Refusal
from router.flow_config import TASKS
from router.repeats import REVISED, documents, of_number, parts
from router.translate import Translator
from store.ledger import Desk, Intake, Work
from store.records import AuditEntry, Message
from workflow.case import Command, number
from workflow.likeness import number_of

NOT_LINKED: Final = declare(
    "document.not_linked", Severity.ERROR, "The message holds no document that was taken for one that came before.",
    "dragoman messages --code document.duplicate lists those that do; name the message of the pages.")


class Books(Desk, Work, Intake, Protocol):
    """The parts of the ledger that are read and written."""


class Releaser:
    """Undoes links.

    Args:
        books: the ledger.
        translator: with the tables of today.
        ring: wakes the workers of partitions.
        clock: for the time.
    """

    def __init__(self, books: Books, translator: Translator, ring: Callable[[Iterable[int]], None], clock: Clock) -> None:
        self._books = books
        self._translator = translator
        self._ring = ring
        self._clock = clock

    async def release(self, message: Message, actor: str, reason: str) -> tuple[str, int]:
        """Let the documents of a message go on; the id of the message that says so, and how many they are.

        Raises:
            Refusal: it holds no document that is linked.
            Rejection: the tables of today cannot read it.
        """
        read = self._translator.read(message).events
        stored = list((await self._books.events([event.id for event in read])).values())
        linked = {event.id: event for event in documents(stored) if await self._is_linked(event)}
        if not linked:
            raise Refusal(NOT_LINKED.name, f"{message.id} holds no document that is linked to an earlier one")
        held = parts(read)
        says: list[Command] = []
        for event_id, event in linked.items():
            document = event.entity
            assert isinstance(document, Document)
            says.append(_reviewed(event, {"duplicate_of": None, "revision_of": None}))
            if document.revision_of:
                says += await self._restored(stored)
            if event_id in held:
                own = of_number(held[event_id], number_of(document), "referral.received")
                says.append(Command(event=own.type, subject_key=own.subject_key, entity=own.entity, effect=()))
        now = self._clock.now()
        message_id = number("released", message.id, *sorted(linked)).lower()
        events = tuple(internal.event(message_id, place, one, now, channel=TASKS, by=actor)
                       for place, one in enumerate(says))
        receipt = await self._books.append(internal.message(
            message_id, internal.Letter(says=events, by=actor), message.lanes[0], now, channel=TASKS, parent_id=message.id))
        await self._books.audit(AuditEntry(at=now, actor=actor, action="document.released", subject=message.id,
                                           reason=reason, detail={"ids": [message.id, message_id]}))
        self._ring([receipt.home] if receipt.home >= 0 else ())
        return message_id, len(linked)

    async def _is_linked(self, event: Event) -> bool:
        state = await self._books.state_of(event.subject_key)
        return state is not None and isinstance(state.entity, Document) and bool(
            state.entity.duplicate_of or state.entity.revision_of)

    async def _restored(self, stored: Sequence[Event]) -> list[Command]:
        """The referrals that events of the message revised, stated as they stood before it."""
        says = []
        for revising in stored:
            if revising.type != REVISED:
                continue
            known = await self._books.history(revising.subject_key)
            before = history.fold([event for event in known if event.id != revising.id])
            now = history.fold(known)
            if isinstance(before, Referral) and isinstance(now, Referral):
                told = msgspec.to_builtins(before)
                gone: dict[str, Any] = {name: None for name in msgspec.to_builtins(now) if name not in told}
                says.append(Command(event="referral.revised", subject_key=revising.subject_key, effect=(),
                                    entity=msgspec.convert({**told, **gone}, Referral)))
        return says


def _reviewed(event: Event, changes: dict[str, Any]) -> Command:
    return Command(event="document.reviewed", subject_key=event.subject_key, effect=(),
                   entity=msgspec.convert({"entity": "Document", **changes}, Document))
