"""A document as a message: which forms it holds, and the events they become (W1, steps 1 to 4).

A table of documents is one more kind of table in the library. It names the forms it knows::

    mapping: documents/referral
    format: page/PageDocument
    entity: Referral
    forms: [documents/lakeside_referral, documents/northgate_referral]
    otherwise: documents/any_referral
    calibration: documents/calibration

A form can also be used by its own name; then nothing else is expected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as ReadOnly
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from canonical import page as pages
from canonical.document import Document, DocumentStatus
from canonical.entities import AnyEntity
from canonical.event import Basis, Event, Source, Version
from canonical.findings import Finding, Severity, finding
from canonical.keys import identifier_key, patient_key
from canonical.model import Identifier
from canonical.page import Page, PageDocument
from canonical.presence import ABSENT
from canonical.referral import DocumentReference, Referral, ReferralStatus
from mapper import document, times
from mapper.document import Mark, Node
from mapper.extract import build, reading, split
from mapper.extract.build import Put
from mapper.extract.codes import GUESSED_FORM, NO_PAGES, SEVERAL_REFERRALS, STRAY_PAGE, UNKNOWN_FORM
from mapper.extract.known import Known
from mapper.extract.reading import FormReading, Result
from mapper.extract.split import Part
from mapper.extract.template import Template
from mapper.extract.trust import Calibration
from mapper.format import Format, Wire
from mapper.grammar import Table
from mapper.mapping import (
    NOT_READABLE,
    EventSpec,
    Mapping,
    ReadContext,
    Reading,
    Trace,
    WriteContext,
    WriteTrace,
    Writing,
    leaves,
)
from mapper.recorder import Lineage

HEADER: Final = ("mapping", "format", "entity", "forms", "otherwise", "calibration", "note")
EXTRACTED: Final = "document.extracted"
RECEIVED: Final = "referral.received"
#: Who gives documents, and referrals that came in them, their numbers.
ASSIGNER: Final = "DRAGOMAN"


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One event before it is one."""

    type: str
    entity: Document | Referral
    lineage: tuple[Lineage, ...] = ()


class DocumentMapping(Mapping):
    """A table of documents, compiled. Made by `mapper.library.Library`; it reads and never writes."""

    def __init__(self, table: Table, format_: Format, *, forms: Sequence[Template], otherwise: Template | None,
                 calibration: Calibration, revision: str) -> None:
        self.name = table.name
        self.site = ""
        self.revision = revision
        self.table = table
        self.struct = Referral
        self._format = format_
        self._forms = tuple(forms)
        self._otherwise = otherwise
        self._calibration = calibration

    @property
    def format(self) -> Format:
        """The pages' own."""
        return self._format

    @property
    def structure(self) -> str:
        """Name of the wire's structure."""
        return "PageDocument"

    @property
    def lossy(self) -> tuple[str, ...]:
        """A page is never written."""
        return ()

    @property
    def reads(self) -> bool:
        """Always."""
        return True

    @property
    def writes(self) -> bool:
        """Never."""
        return False

    @property
    def rows(self) -> tuple[tuple[str, Mark], ...]:
        """Every row of every form."""
        return tuple((field.path, field.mark) for form in self.forms for field in form.fields)

    @property
    def triggers(self) -> ReadOnly[str, Sequence[EventSpec]]:
        """What can come out."""
        return {"": tuple(EventSpec("", name) for name in (EXTRACTED, RECEIVED))}

    @property
    def forms(self) -> tuple[Template, ...]:
        """Every form, the one for unknown forms last."""
        return (*self._forms, *([self._otherwise] if self._otherwise is not None else []))

    @property
    def calibration(self) -> Calibration:
        """The curves of our own OCR."""
        return self._calibration

    # -- reading --------------------------------------------------------------------------------------------

    def read(self, wire: Wire, context: ReadContext) -> Reading:
        """See `Mapping.read`."""
        return self._outcome(wire, context)[0]

    def trace(self, wire: Wire, context: ReadContext) -> Trace:
        """See `Mapping.trace`: every leaf with its page and box. Words that no row used are not *unread input*: a page is
        full of words that are nobody's value."""
        made, outputs = self._outcome(wire, context)
        fired = {lineage.row for output in outputs for lineage in output.lineage}
        return Trace(reading=made, lineage=tuple(output.lineage for output in outputs) if made.events else (), unread=(),
                     undeclared=(), silent=tuple(str(mark) for _, mark in self.rows if str(mark) not in fired))

    def extract(self, source: PageDocument, known: Known, today: date) -> tuple[split.Division, tuple[FormReading, ...]]:
        """The forms of a document and what stands on them, before anything is made of it."""
        division = split.divided(source, self._forms, self._otherwise)
        return division, tuple(reading.read(part.template, part.read, source, known, self._curves(source), today)
                               for part in division.parts if part.template is not None)

    def _curves(self, source: PageDocument) -> Calibration:
        """Curves hold for the engine they were made with; the claims of others pass as they are."""
        return self._calibration if self._calibration.producer.partition(" ")[0] == source.producer else Calibration()

    def _outcome(self, source: PageDocument, context: ReadContext) -> tuple[Reading, tuple[Output, ...]]:
        revision = context.revision or self.revision
        if not source.pages:
            return Reading(findings=(*source.findings, finding(NO_PAGES)), revision=revision), ()
        known = context.known if isinstance(context.known, Known) else Known()
        today = datetime.fromtimestamp(context.received_at / 1_000_000, UTC).date()
        division, readings = self.extract(source, known, today)
        run = _Outputs(source, context, division, readings)
        outputs = tuple(run.outputs())
        findings = (*source.findings, *run.findings, *(found for each in readings for found in each.findings))
        if any(found.severity is Severity.FATAL for found in findings):
            return Reading(findings=findings, revision=revision), ()
        return Reading(events=tuple(_event(output, number, context, revision) for number, output in enumerate(outputs, 1)),
                       findings=findings, revision=revision), outputs

    # -- writing --------------------------------------------------------------------------------------------

    def write(self, said: Any, context: WriteContext, *, state: AnyEntity | None = None) -> Writing:
        """Never: a finding says so."""
        return Writing(wire=None, findings=(finding(NOT_READABLE, row=str(self.table.mark)),))

    def trace_write(self, said: Any, context: WriteContext, *, state: AnyEntity | None = None) -> WriteTrace:
        """Never: a finding says so."""
        return WriteTrace(writing=self.write(said, context), unwritten=())

    def settings_of(self, wire: Wire) -> dict[str, str]:
        """None."""
        return {}


class _Outputs:
    """One document on its way to events."""

    def __init__(self, source: PageDocument, context: ReadContext, division: split.Division,
                 readings: tuple[FormReading, ...]) -> None:
        self._source, self._context = source, context
        self._division, self._readings = division, readings
        self._key = key_of(source)
        self.findings: list[Finding] = []

    def outputs(self) -> Iterator[Output]:
        """The document, and for each form its referral; for several forms the whole first, then each part."""
        division = self._division
        if not self._readings:
            self.findings.append(finding(UNKNOWN_FORM, at=_pages(self._source.pages)))
            yield Output(type=EXTRACTED, entity=self._document("", self._source.pages, kind="other",
                                                               status=DocumentStatus.REVIEW))
            return
        if division.guessed:
            self.findings.append(finding(GUESSED_FORM, at=_pages(self._source.pages)))
        parts = [part for part in division.parts if part.template is not None]
        if len(parts) > 1:
            self.findings.append(finding(SEVERAL_REFERRALS, at=_pages(self._source.pages), detail=f"forms: {len(parts)}"))
            self.findings += [finding(STRAY_PAGE, at=f"page {number}") for number in division.stray]
            yield Output(type=EXTRACTED, entity=self._document("", self._source.pages, kind="fax",
                                                               status=DocumentStatus.SPLIT))
        for number, (part, read) in enumerate(zip(parts, self._readings, strict=True), 1):
            yield from self._part(part, read, f"-{number}" if len(parts) > 1 else "")

    def _part(self, part: Part, read: FormReading, suffix: str) -> Iterator[Output]:
        yield Output(type=EXTRACTED, entity=self._document(suffix, part.pages, kind=read.template.kind,
                                                           status=DocumentStatus.EXTRACTED, read=read))
        if read.template.struct is Referral:
            yield Output(type=RECEIVED, entity=self._referral(part, read, f"{self._key}{suffix}"),
                         lineage=tuple(self._lineage(read)))

    def _document(self, suffix: str, of: Sequence[Page], *, kind: str, status: DocumentStatus,
                  read: FormReading | None = None) -> Document:
        return Document(
            identifiers=(Identifier(type="SHA256", value=f"{self._key}{suffix}", assigner=ASSIGNER),), kind=kind,
            status=status, message_id=self._source.parent_id or self._context.message_id, sha256=_sha256(of) or ABSENT,
            perceptual_hash=tuple(_hash(page) for page in of if _hash(page)), pages=len(of),
            parent=Identifier(type="SHA256", value=self._key, assigner=ASSIGNER) if suffix else ABSENT,
            template=read.template.name if read is not None else ABSENT, fields=read.evidence if read is not None else ())

    def _referral(self, part: Part, read: FormReading, number: str) -> Referral:
        made: Referral = build.entity(Referral, [*puts(read.results), *(Put(path, value) for path, value in
                                                                        read.template.constants)])
        missing = read.missing
        own = Identifier(type="FILL", value=number, assigner=ASSIGNER)
        sheet = DocumentReference(identifiers=(Identifier(type="SHA256", value=number, assigner=ASSIGNER),),
                                  sha256=_sha256(part.pages) or ABSENT, pages=tuple(page.number for page in part.pages),
                                  message_id=self._source.parent_id or self._context.message_id)
        return msgspec.structs.replace(
            made, identifiers=(*(made.identifiers or ()), own), documents=(sheet,), missing=missing,
            status=ReferralStatus.INCOMPLETE if missing else ReferralStatus.RECEIVED, evidence=read.evidence)

    def _lineage(self, read: FormReading) -> Iterator[Lineage]:
        paths = [put.path for put in puts(read.results)] + [path for path, _ in read.template.constants]
        for result, each in zip(read.results, read.evidence, strict=True):
            if isinstance(each.value, str):
                single: Any = build.entity(Referral, puts([result]))
                for leaf in leaves(single):
                    yield Lineage(build.placed(leaf, result.path, paths), reading.where(each), str(result.field.mark),
                                  how=each.method if isinstance(each.method, str) else "value")
        for path, _ in read.template.constants:
            yield Lineage(path, "", str(read.template.mark), how="rule")


def puts(results: Sequence[Result]) -> list[Put]:
    """What of the results goes into the entity: whatever no validator refuses."""
    found = []
    for result in results:
        best = result.best
        if best is not None and not best.refused:
            table = result.field.table
            row = table.inward.get(best.reading.value) if table is not None else None
            found.append(Put(result.path, best.reading.value, result.field.kind, row.display if row is not None else ""))
    return found


def key_of(source: PageDocument) -> str:
    """The document's number: the hash of the picture's bytes, else of what was read."""
    return (_sha256(source.pages) or hashlib.sha256(pages.to_json(source)).hexdigest())[:32]


def _sha256(of: Sequence[Page]) -> str:
    return next((page.image.sha256 for page in of if page.image is not None and page.image.sha256), "")


def _hash(page: Page) -> str:
    return page.image.perceptual_hash if page.image is not None else ""


def _pages(of: Sequence[Page]) -> str:
    return f"pages {of[0].number} to {of[-1].number}" if len(of) > 1 else f"page {of[0].number}"


def _event(output: Output, number: int, context: ReadContext, revision: str) -> Event:
    entity = output.entity
    wanted = "SHA256" if isinstance(entity, Document) else "FILL"
    subject = next(each for each in entity.identifiers or () if each.type == wanted)
    moment = times.iso_of_micros(context.received_at)
    arrival = times.moment_of(moment)
    assert arrival is not None
    patient = entity.patient
    return Event(id=f"{context.message_id}.{number}", type=output.type, entity=entity,
                 subject_key=identifier_key(type(entity).__name__.lower(), subject),
                 version=Version(at=times.sortable(arrival), tie=context.message_id, basis=Basis.ARRIVAL),
                 source=Source(channel=context.channel), message_id=context.message_id, occurred_at=moment,
                 received_at=context.received_at, revision=revision,
                 patient_key=patient_key(patient.identifiers) if patient else "")


def header(node: Node) -> document.Mapping:
    """The checked cells of a table of documents. Raises Rejection, located."""
    top = document.mapping(node, node.mark, "a table of documents")
    document.known_keys(top, HEADER, "a table of documents")
    for key in ("format", "entity", "forms"):
        if key not in top.entries:
            raise document.fail(document.MISSING, top.mark, f"the key {key} is missing")
    return top

