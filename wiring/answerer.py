"""Questions that come over a connection, answered there: HL7 QBP and SQM from the ledger, MFN with MFK.

By then the question is committed, like every message; it goes its way through the pump as well, and the event
``query.asked`` records it. What was told is an entry of the audit trail: how many records, to whom, never which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec
import structlog

from canonical.clock import Clock
from canonical.findings import Finding, Severity
from canonical.masterfile import MasterFile, MasterFileRecord
from canonical.model import CodeableConcept, Coding, Date
from canonical.phi import Phi
from canonical.query import Query, QueryAnswer
from canonical.receipt import Receipt
from connectors.base import Submission
from connectors.hl7v2.delimiters import STANDARD
from connectors.hl7v2.er7 import Message, Segment, parse
from connectors.hl7v2.format import reencoded
from mapper.library import Library
from mapper.mapping import ReadContext, Reading, WriteContext
from router.questions import Questions, refusal
from router.site import Answering, Channel, table_for
from router.translate import place_of
from store.ledger import LedgerUnavailable, Lookup, Numbers
from store.records import AuditEntry
from wiring.translator import overlay

#: Questions of one channel that are looked up at once; others wait their turn within their own deadline.
AT_ONCE: Final = 2
#: MSH fields that change places between a message and its answer, with all components (A05).
_SWAPPED: Final = ((3, 5), (4, 6), (5, 3), (6, 4))
#: Table HL70357, by the code of a finding that stands in the way of reading a question.
_CONDITIONS: Final = {"map.required": "101", "map.no_subject": "101", "map.unknown_event": "201"}
#: Table HL70181.
_SUCCESSFUL: Final = CodeableConcept(coding=(Coding(code="S", system="HL70181"),))
_UNSUCCESSFUL: Final = CodeableConcept(coding=(Coding(code="U", system="HL70181"),))


class Books(Lookup, Numbers, Protocol):
    """What is read, and where it is recorded."""

    async def audit(self, entry: AuditEntry) -> None:
        """Append to the audit trail."""


class Answerer:
    """Answers the questions of one channel (`connectors.base.Answer`).

    Args:
        name: of the channel.
        channel: with `answers`.
        library: the tables.
        books: the ledger.
        clock: for the audit trail.
    """

    def __init__(self, name: str, channel: Channel, library: Library, books: Books, clock: Clock) -> None:
        self._name = name
        self._channel = channel
        self._library = library
        self._books = books
        self._clock = clock
        self._questions = Questions(books, channel.answer_limit, channel.answer_deadline_s)
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def answer(self, submission: Submission, receipt: Receipt) -> Phi[bytes] | None:
        """The whole answer, or None where the message is no question that is answered here."""
        kind = submission.peek.message_type
        prefixes = [prefix for prefix in self._channel.answers if kind.startswith(prefix)]
        if not prefixes:
            return None
        try:
            return await self._answer(submission, receipt, self._channel.answers[max(prefixes, key=len)])
        except Exception as error:  # a defect of ours: the sender gets a plain acknowledgement, people a line to go by
            structlog.get_logger().error("question not answered", channel=self._name, message=receipt.message_id,
                                         place=place_of(error))
            return None

    async def _answer(self, submission: Submission, receipt: Receipt, how: Answering) -> Phi[bytes] | None:
        raw = submission.raw.reveal()
        asked = parse(raw, submission.peek.charset or self._channel.charset)
        if asked.delimiters != STANDARD:
            asked = reencoded(asked)
        own = table_for(self._channel.mapping, submission.peek.message_type)
        reading = self._read(how.read or own, asked, receipt)
        entity: object = reading.events[0].entity if reading.events else None
        told: Any
        if isinstance(entity, MasterFile):
            told = master_file_answer(entity, self._read(own, asked, receipt).fatal if own else True,
                                      _moment(receipt.received_at))
        elif isinstance(entity, Query) and not reading.fatal:
            async with self._turn:
                told = await self._look_up(entity)
            await self._record(entity, told, receipt)
        else:
            told = unreadable(asked, reading.findings)
        if told is None:
            return None
        writing = self._library.mapping(how.write, overlay(self._library, self._channel.site)).write(told, WriteContext(
            identity=blake2b(f"answer:{receipt.message_id}".encode(), digest_size=10).hexdigest(),
            now=_moment(receipt.received_at), values=_context(asked)))
        return Phi(addressed(writing.wire, asked).emit())

    def _read(self, table: str, asked: Message, receipt: Receipt) -> Reading:
        return self._library.mapping(table, overlay(self._library, self._channel.site)).read(asked, ReadContext(
            message_id=receipt.message_id, channel=self._name, received_at=receipt.received_at))

    async def _look_up(self, query: Query) -> QueryAnswer:
        try:
            return await self._questions.answer(query)
        except LedgerUnavailable:
            return refusal(query, "207", "")

    async def _record(self, query: Query, told: QueryAnswer, receipt: Receipt) -> None:
        await self._books.audit(AuditEntry(
            at=self._clock.now(), actor=f"channel {self._name}", action="question.answered",
            subject=receipt.message_id,
            detail={"about": str(query.about), "status": str(told.status), "told": told.shown or 0,
                    "found": told.hits or 0}))


def _moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat(timespec="seconds")


def _context(asked: Message) -> Mapping[str, str]:
    header = asked.segments[0]
    return {"processing_id": header.field(11).partition("^")[0], "event": header.field(9).split("^")[1:2][0]
            if "^" in header.field(9) else ""}


def unreadable(asked: Message, findings: tuple[Finding, ...]) -> QueryAnswer:
    """The answer to a question that could not be read: what stood in the way, never a value of it."""
    worst = next((one for one in findings if one.severity is Severity.FATAL), findings[0] if findings else None)
    condition = _CONDITIONS.get(worst.code if worst is not None else "map.unknown_event", "207")
    definition = asked.first("QPD") or asked.first("QRD")
    tag = definition.field(2 if definition.id == "QPD" else 4) if definition is not None else ""
    query = Query(control_id=asked.segments[0].field(10), tag=tag.partition("^")[0] or msgspec.UNSET)
    return msgspec.structs.replace(refusal(query, condition, ""), error_place=msgspec.UNSET)


def master_file_answer(file: MasterFile, failed: bool, at: str) -> MasterFile | None:
    """MFK: each record's fate, as far as the sender wants to know (MFI-6). None where he wants to know nothing.

    A record counts as successful where everything it says was understood: it is committed, and will be carried out.
    """
    level = file.response_level or "AL"
    if level == "NE":
        return None
    wanted = level == "AL" or level == ("ER" if failed else "SU")
    records: tuple[MasterFileRecord, ...] = tuple(
        msgspec.structs.replace(record, completed_at=Date(at), status=_UNSUCCESSFUL if failed else _SUCCESSFUL)
        for record in file.records or ()) if wanted else ()
    return msgspec.structs.replace(file, acknowledgement="AE" if failed else "AA", records=records)


def addressed(answer: Message, asked: Message) -> Message:
    """An answer with the addresses of its question swapped, and the question itself repeated to the letter (QPD)."""
    header, from_header = answer.segments[0], asked.segments[0]
    for mine, theirs in _SWAPPED:
        if text := from_header.field(theirs):
            header.set(mine, text)
    question = asked.first("QPD")
    if question is not None:
        after = next((number for number, segment in enumerate(answer.segments, 1) if segment.id == "QAK"), None)
        if after is not None:
            answer.segments.insert(after, _copy(question))
    charset = from_header.field(18)
    if charset or not "".join(segment.text for segment in answer.segments).isascii():
        header.set(18, charset or "UNICODE UTF-8")
    return answer


def _copy(segment: Segment) -> Segment:
    return Segment(segment.id, segment.text, "|")
