"""Documents that came before: the same again is linked and sets nothing in motion, a changed one revises (A1.7).

Asked once for each document, before its events are folded, so that no second referral ever exists. Which documents
might be alike is found by their marks (`workflow.likeness.marks`): for each mark the ledger keeps who bore it first,
second, third (`store.ledger.Numbers.claim`), as long as it keeps messages. That is settled between processes: of two
scans that come in at the same moment, one is first, and the other waits until the first is committed. A document that
is read again (a replay, a newer OCR) is itself, and keeps what it was linked to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from canonical.coverage import Difference
from canonical.document import Document, DocumentStatus, Extracted
from canonical.event import Event
from canonical.findings import Finding, Severity, declare, finding
from canonical.keys import identifier_key
from canonical.model import Identifier
from canonical.referral import DocumentReference, Referral
from router.internal import forwarded
from router.translate import Translation
from store.ledger import Desk, Numbers, Work
from store.records import Message, MessageState
from workflow.case import OURS
from workflow.likeness import Likeness, compared, marks, number_of

DUPLICATE: Final = declare(
    "document.duplicate", Severity.WARNING,
    "The same document came before: it is linked to the first and makes nothing new.",
    "Nothing to do. If it is another document after all: dragoman release ID.")
REVISION: Final = declare(
    "document.revision", Severity.WARNING, "A document about the same referral came before, and something has changed.",
    "The task DOCUMENT:revision shows what. If it is another referral after all: dragoman release ID.")

EXTRACTED: Final = "document.extracted"
REVISED: Final = "referral.revised"
#: Seconds that a document waits for one that bore its mark first and is not committed yet. An older message gives up
#: sooner: of two that wait for each other, one goes on, and the other sees it.
PATIENCE_S: Final = 30
ELDER_S: Final = 10
#: Documents that bear one mark and are looked at; those that came first.
MOST: Final = 200


class Books(Work, Desk, Numbers, Protocol):
    """The parts of the ledger that are asked."""


class Awaited(msgspec.Struct, frozen=True):
    """Something that came first is still being processed."""

    lanes: tuple[str, ...]
    until: int


class _Earlier(msgspec.Struct, frozen=True):
    """Who bore a mark first, as the ledger keeps it."""

    subject: str
    origin: str
    """The message that holds the document's bytes."""
    event_id: str


class _Link(msgspec.Struct, frozen=True):
    """What a document is to an earlier one."""

    likeness: Likeness
    to: Document
    root: str
    """Number of the document whose referral it is."""
    changed: tuple[Difference, ...] = ()


def documents(events: Iterable[Event]) -> list[Event]:
    """Those that say that fields of a document were read."""
    return [event for event in events if type(event.entity) is Document and event.type == EXTRACTED]


class Repeats:
    """Links documents to earlier ones.

    Args:
        books: the ledger.
        doubtful: whether a field is not trusted.
    """

    def __init__(self, books: Books, doubtful: Callable[[Extracted], bool]) -> None:
        self._books = books
        self._doubtful = doubtful

    async def linked(self, message: Message, said: Translation, now: int) -> Translation | Awaited:
        """What a message says, with its documents linked; or whom it must wait for."""
        links: dict[str, _Link] = {}
        for event in documents(said.events):
            found = await self._link(message, event, now)
            if isinstance(found, Awaited):
                return found
            if found is not None:
                links[event.id] = found
        return _told(said, links) if links else said

    async def _link(self, message: Message, event: Event, now: int) -> _Link | Awaited | None:
        document = event.entity
        assert isinstance(document, Document)
        origin = str(document.message_id or message.id)
        if not document.fields:
            return None  # a cover, a fax of several forms, pages that nobody knows: their parts are asked about
        own = [event.subject_key, subject_of(numbered(document, origin))]
        known = await self._books.states(own)
        for key in own:
            state = known.get(key)
            if state is not None and isinstance(state.entity, Document) and state.entity.message_id == origin:
                return await self._kept(state.entity)
        earlier = await self._earlier(document, _Earlier(event.subject_key, origin, event.id), now)
        states = await self._books.states({one.subject for one in earlier})
        if awaited := await self._unfinished(message, [one for one in earlier if one.subject not in states], now):
            return awaited
        return await self._nearest(document, [state.entity for one in reversed(earlier) if (
            state := states.get(one.subject)) is not None and isinstance(state.entity, Document)])

    async def _kept(self, state: Document) -> _Link | None:
        """What it was linked to when it was read before."""
        link = state.duplicate_of or state.revision_of
        if not link:
            return None
        to = await self._document(str(link.value))
        likeness = Likeness.DUPLICATE if state.duplicate_of else Likeness.REVISION
        return _Link(likeness, to, await self._root(to), compared(state, to, self._doubtful)[1]) if to else None

    async def _earlier(self, document: Document, mine: _Earlier, now: int) -> list[_Earlier]:
        """Who bore its marks before it, the oldest first of each mark."""
        holder = msgspec.json.encode(mine).decode()

        async def bearers(mark: str) -> list[_Earlier]:
            before = []
            for place in range(MOST):
                found = await self._books.claim(f"document:{mark}", place, holder, now)
                if found == holder:
                    break
                before.append(msgspec.json.decode(found, type=_Earlier))
            return before

        lists = await asyncio.gather(*map(bearers, marks(document)))
        own = (mine.subject, mine.origin)
        return list(dict.fromkeys(one for each in lists for one in each if (one.subject, one.origin) != own))

    async def _unfinished(self, message: Message, absent: Sequence[_Earlier], now: int) -> Awaited | None:
        for one in absent:
            pages = one.event_id.rpartition(".")[0]
            for other in () if pages == message.id else (await self._books.message(pages),
                                                         await self._books.message(forwarded(one.event_id))):
                if other is None or other.state is not MessageState.RECEIVED:
                    continue
                patience = ELDER_S if other.seq > message.seq else PATIENCE_S
                if (until := message.received_at + patience * 1_000_000) > now:
                    return Awaited(other.lanes, until)
        return None

    async def _nearest(self, new: Document, known: Sequence[Document]) -> _Link | None:
        """A duplicate before a revision, the latest before older ones."""
        revision: _Link | None = None
        for old in known:
            likeness, changed = compared(new, old, self._doubtful)
            if likeness is Likeness.DUPLICATE:
                first = await self._document(str(old.duplicate_of.value)) if old.duplicate_of else None
                to = first or old
                return _Link(likeness, to, await self._root(to))
            if likeness is Likeness.REVISION and revision is None and not old.duplicate_of:
                revision = _Link(likeness, old, await self._root(old), changed)
        return revision

    async def _root(self, document: Document) -> str:
        """Number of the document that the referral began with."""
        seen = {number_of(document)}
        while link := document.duplicate_of or document.revision_of:
            before = await self._document(str(link.value))
            if before is None or number_of(before) in seen:
                break
            document = before
            seen.add(number_of(document))
        return number_of(document)

    async def _document(self, number: str) -> Document | None:
        key = identifier_key("document", _identifier("SHA256", number))
        state = (await self._books.states([key])).get(key)
        return state.entity if state is not None and isinstance(state.entity, Document) else None


def subject_of(document: Document) -> str:
    """The key of a document."""
    return identifier_key("document", _identifier("SHA256", number_of(document)))


def numbered(document: Document, origin: str) -> Document:
    """The same bytes once more: a document of its own, named by the message that brought them."""
    return msgspec.structs.replace(document, identifiers=(_identifier("SHA256", f"{number_of(document)}.{origin}"),))


def parts(events: Sequence[Event]) -> dict[str, Event]:
    """Id of a document's event -> the event of the referral that it holds."""
    referrals = {number: event for event in events if isinstance(event.entity, Referral)
                 for number in _numbers(event.entity, "FILL")}
    return {event.id: referrals[number] for event in documents(events)
            if isinstance(event.entity, Document) and (number := number_of(event.entity)) in referrals}


def of_number(event: Event, number: str, kind: str, **changes: Any) -> Event:
    """The event of a referral as one of the referral with that number of ours."""
    referral = event.entity
    assert isinstance(referral, Referral)
    kept = tuple(each for each in referral.identifiers or () if each.type != "FILL" or each.assigner != OURS)
    own = _identifier("FILL", number)
    return msgspec.structs.replace(
        event, type=kind, subject_key=identifier_key("referral", own),
        entity=msgspec.structs.replace(referral, identifiers=(*kept, own), **changes))


def _told(said: Translation, links: Mapping[str, _Link]) -> Translation:
    belongs = parts(said.events)
    of_referral = {event.id: document for document, event in belongs.items()}
    events: list[Event] = []
    for event in said.events:
        link = links.get(of_referral.get(event.id, event.id))
        if link is None:
            events.append(_whole(event, said.events, links))
        elif event.id in links:
            events.append(_document_event(event, link))
        elif link.likeness is Likeness.REVISION:
            referral = event.entity
            assert isinstance(referral, Referral)
            events.append(of_number(event, link.root, REVISED, missing=referral.missing or None, documents=(
                *_sheets(link.to), *(referral.documents or ()))))
    return msgspec.structs.replace(said, events=tuple(events), findings=(*said.findings, *map(_finding, links.values())))


def _document_event(event: Event, link: _Link) -> Event:
    document = event.entity
    assert isinstance(document, Document)
    to = _identifier("SHA256", number_of(link.to))
    if number_of(document) == number_of(link.to):
        document = numbered(document, str(document.message_id or event.message_id))
    duplicate = link.likeness is Likeness.DUPLICATE
    linked = msgspec.structs.replace(document, **{"duplicate_of" if duplicate else "revision_of": to})
    return msgspec.structs.replace(event, entity=linked, subject_key=subject_of(linked))


def _whole(event: Event, events: Sequence[Event], links: Mapping[str, _Link]) -> Event:
    """A fax of several forms that all came before came before itself: nobody has to sort it once more."""
    document = event.entity
    if not isinstance(document, Document) or document.status is not DocumentStatus.SPLIT:
        return event
    of = [links.get(one.id) for one in documents(events) if one.id != event.id]
    if not of or any(one is None or one.likeness is not Likeness.DUPLICATE for one in of):
        return event
    first = next(one.to.parent or _identifier("SHA256", number_of(one.to)) for one in of if one is not None)
    again = numbered(document, str(document.message_id or event.message_id))
    return msgspec.structs.replace(event, entity=msgspec.structs.replace(again, duplicate_of=first),
                                   subject_key=subject_of(again))


def _sheets(document: Document) -> tuple[DocumentReference, ...]:
    return (DocumentReference(identifiers=document.identifiers, sha256=document.sha256, message_id=document.message_id),)


def _finding(link: _Link) -> Finding:
    earlier = f"message {link.to.message_id}" if link.to.message_id else ""
    if link.likeness is Likeness.DUPLICATE:
        return finding(DUPLICATE, detail=earlier)
    names = ", ".join(one.field for one in link.changed)
    return finding(REVISION, detail="; ".join(text for text in (earlier, f"changed: {names}" if names else "") if text))


def reason_of(findings: Collection[Finding]) -> str:
    """What a list of messages says of one that sets nothing, or not a new thing, in motion."""
    codes = {found.code for found in findings}
    return next((code.name for code in (DUPLICATE, REVISION) if code.name in codes), "")


def _numbers(referral: Referral, kind: str) -> list[str]:
    return [str(each.value) for each in referral.identifiers or () if each.type == kind and each.assigner == OURS]


def _identifier(kind: str, value: str) -> Identifier:
    return Identifier(type=kind, value=value, assigner=OURS)
