"""One form read from one document's pages: every field with value, evidence and trust."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from canonical.document import Candidate, Extracted, PageBox, Validation, Verdict
from canonical.findings import Finding, finding
from canonical.page import Box, Page, PageDocument
from canonical.presence import ABSENT
from mapper.extract import kinds, validators
from mapper.extract.finders import Finder, Found
from mapper.extract.kinds import Reading
from mapper.extract.known import Known, bare
from mapper.extract.template import Field, Template
from mapper.extract.trust import Calibration, group_of

#: Validators whose word confirms a value: what passed them has been checked against more than its own shape.
STRONG: Final = frozenset({"npi", "icd10.table", "procedure.table", "member_id", "list", "provider", "patient", "shape",
                           "boxes"})
#: What is left of the trust in a text that can be read in two ways.
UNDECIDED: Final = 0.4
_ALTERNATIVES: Final = 3


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of one candidate, judged."""

    found: Found
    reading: Reading
    verdicts: tuple[Validation, ...]
    score: float

    @property
    def refused(self) -> bool:
        """A validator said no."""
        return any(verdict.verdict is Verdict.INVALID for verdict in self.verdicts)

    @property
    def checked(self) -> bool:
        """A validator that can tell said yes."""
        return any(verdict.verdict is Verdict.VALID and verdict.validator in STRONG for verdict in self.verdicts)

    @property
    def rank(self) -> float:
        """By this the best is chosen."""
        return self.score * (0.2 if self.refused else 1.0 if self.checked else 0.9)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One field of one form."""

    path: str
    """``diagnoses(1).code``"""
    field: Field
    options: tuple[Option, ...]
    """Best first; none where nothing was found."""

    @property
    def best(self) -> Option | None:
        """The reading that is proposed."""
        return self.options[0] if self.options else None

    @property
    def group(self) -> str:
        """Of its calibration curve."""
        kind = "checkbox" if self.field.place.options else self.field.kind
        return group_of(kind, checked=self.best is not None and self.best.checked)


class FormReading(msgspec.Struct, frozen=True, kw_only=True):
    """What was read from a form."""

    template: Template
    results: tuple[Result, ...]
    evidence: tuple[Extracted, ...]
    findings: tuple[Finding, ...]

    @property
    def values(self) -> dict[str, str]:
        """Field: value, where no validator refuses it. How far it can be trusted is told by its confidence."""
        return {each.field: each.value for each in self.evidence if isinstance(each.value, str)}

    @property
    def missing(self) -> tuple[str, ...]:
        """Required fields that have no value yet."""
        there = {bare(field) for field in self.values}
        return tuple(dict.fromkeys(field.path for field in self.template.fields
                                   if field.required and bare(field.path) not in there))


def read(template: Template, pages: Sequence[Page], source: PageDocument, known: Known, calibration: Calibration,
         today: date) -> FormReading:
    """Read a form from its pages.

    Args:
        pages: only those of this form: nothing of any other page can get into the result.
        today: when it arrived, for dates.
    """
    return _Run(template, pages, source, known, calibration, today).run()


class _Run:
    def __init__(self, template: Template, pages: Sequence[Page], source: PageDocument, known: Known,
                 calibration: Calibration, today: date) -> None:
        self._template, self._known, self._calibration, self._today = template, known, calibration, today
        self._producer = " ".join(part for part in (source.producer or source.source.value, source.producer_version) if part)
        self._finders = [Finder(page, template.labels) for page in pages]
        self._results: dict[str, Result] = {}

    def run(self) -> FormReading:
        """Every field once, then what fields say of each other."""
        done: set[str] = set()
        for field in self._template.fields:
            if not field.group:
                self._take(field.path, field, [found for finder in self._finders for found in finder.find(field.place)])
            elif field.group not in done:
                done.add(field.group)
                self._list(field.group)
        self._together()
        evidence = tuple(self._extracted(result) for result in self._results.values())
        findings = tuple(found for result, each in zip(self._results.values(), evidence, strict=True)
                         for found in self._findings(result, each))
        return FormReading(template=self._template, results=tuple(self._results.values()), evidence=evidence,
                           findings=findings)

    # -- fields ---------------------------------------------------------------------------------------------

    def _list(self, group: str) -> None:
        fields = [field for field in self._template.fields if field.group == group]
        each = fields[0].each
        assert each is not None
        items = next((items for finder in self._finders if (items := finder.items(each))), [])
        for index, item in enumerate(items):
            for field in fields:
                column = field.place.column.plain if field.place.column is not None else ""
                path = field.path.replace("()", f"({index})", 1)
                self._take(path, field, [item[column]] if column in item else [])
        if not items:
            for field in fields:
                self._take(field.path.replace("()", "(0)", 1), field, [])

    def _take(self, path: str, field: Field, candidates: Sequence[Found]) -> None:
        if not candidates and field.blank:
            return
        options: dict[str, Option] = {}
        for found in candidates:
            for reading in self._readings(field, found):
                verdicts = tuple(self._verdicts(field, found, reading))
                # A value beside its own label in small print ("Date" as the value of "Date of birth") is no candidate.
                score = found.confidence * found.fit * reading.trust * self._template.trust
                option = Option(found=found, reading=reading, verdicts=verdicts, score=min(1.0, score))
                there = options.get(reading.value)
                if there is None or option.rank > there.rank:
                    options[reading.value] = option
        ordered = sorted(options.values(), key=lambda option: -option.rank)
        if len(ordered) > 1 and ordered[0].rank == ordered[1].rank and ordered[0].found == ordered[1].found:
            # One text can be read in two ways, and nothing tells which: neither is to be trusted.
            ordered[0] = msgspec.structs.replace(ordered[0], score=ordered[0].score * UNDECIDED)
        self._results[path] = Result(path=path, field=field, options=tuple(ordered))

    def _readings(self, field: Field, found: Found) -> Iterator[Reading]:
        if found.value:
            yield Reading(found.value)
            return
        yield from kinds.KINDS[field.kind](found.text, field.options)

    def _verdicts(self, field: Field, found: Found, reading: Reading) -> Iterator[Validation]:
        value = reading.value
        if field.place.options:
            yield validators.invalid("boxes", validators.SEVERAL.name) if found.problem else \
                validators.valid("boxes") if found.fit == 1.0 else validators.unsure("boxes")
        if field.options.shape is not None:
            yield validators.shape(value, field.options.shape)
        match field.kind:
            case "npi":
                yield validators.npi(value)
            case "icd10" | "procedure":
                yield from validators.coded(value, field.kind, field.table)
            case "date":
                yield validators.plausible(value, birth="birth" in field.path, today=self._today)
            case "phone":
                yield validators.phone(value)
            case "name":
                yield validators.name(value)
            case "listed":
                yield validators.listed(value, field.options.names)

    # -- fields together ------------------------------------------------------------------------------------

    def _together(self) -> None:
        """Payer and member id, number and name, dates in order."""
        payer = self._value("coverages.payer")
        for result in self._of_kind("member_id"):
            self._rejudge(result, lambda option: [validators.member_id(option.reading.value, payer, self._known.payers)],
                          mend=self._known.payers.get(payer, ""))
        self._provider()
        self._patient()
        self._dates()

    def _of_kind(self, kind: str) -> list[Result]:
        return [result for result in self._results.values() if result.field.kind == kind and result.options]

    def _value(self, name: str) -> str:
        return next((result.best.reading.value for result in self._results.values()
                     if bare(result.path) == name and result.best is not None), "")

    def _rejudge(self, result: Result, judge: Callable[[Option], Sequence[Validation]], *, mend: str = "") -> None:
        """The options of a result with further verdicts, ranked again; readings mended to fit a pattern added."""
        options = {option.reading.value: option for option in result.options}
        if mend:
            shape = kinds.compiled(mend)
            for option in result.options:
                for reading in kinds.mended(option.reading.value, shape):
                    if not shape.fullmatch(option.reading.value) and reading.value not in options:
                        options[reading.value] = msgspec.structs.replace(
                            option, reading=reading, score=option.found.confidence * option.found.fit * reading.trust
                            * self._template.trust)
        judged = [msgspec.structs.replace(option, verdicts=(*option.verdicts, *judge(option)))
                  for option in options.values()]
        self._results[result.path] = msgspec.structs.replace(result, options=tuple(
            sorted(judged, key=lambda option: -option.rank)))

    def _say(self, result: Result, about: Option, verdict: Validation) -> None:
        """One more verdict about one option."""
        self._rejudge(result, lambda option: [verdict] if option == about else [])

    def _provider(self) -> None:
        """The directory knows who has an NPI. Where the name beside it is the same but for a letter, the directory's
        spelling is taken: two sources say so, one of them not read by a machine."""
        for result in self._of_kind("npi"):
            name_path = result.path.partition(".identifiers")[0] + ".name"
            name = self._results.get(name_path)
            read_name = name.best.reading.value if name is not None and name.best is not None else ""
            best = result.best
            if best is None or any(verdict.verdict is Verdict.INVALID for verdict in best.verdicts):
                continue
            verdict, full = validators.provider(best.reading.value, read_name, self._known)
            if verdict.verdict is Verdict.UNKNOWN and not isinstance(verdict.finding, str):
                continue
            self._say(result, best, verdict)
            if name is not None and name.best is not None:
                self._named(name, verdict, full)

    def _named(self, name: Result, verdict: Validation, full: str) -> None:
        best = name.best
        assert best is not None
        if not full:
            self._say(name, best, verdict)
            return
        taken = msgspec.structs.replace(best, reading=Reading(full, best.reading.trust), verdicts=(
            *(each for each in best.verdicts if each.verdict is not Verdict.INVALID), verdict))
        rest = tuple(option for option in name.options if option.reading.value != full)
        self._results[name.path] = msgspec.structs.replace(name, options=(taken, *rest))

    def _patient(self) -> None:
        for result in list(self._results.values()):
            if bare(result.path) != "patient.identifiers.value" or result.best is None or result.best.refused:
                continue
            best = result.best
            verdict = validators.patient(best.reading.value, self._value("patient.names"),
                                         self._value("patient.birth_date"), self._known)
            if verdict.verdict is Verdict.UNKNOWN and not isinstance(verdict.finding, str):
                continue
            self._say(result, best, verdict)

    def _dates(self) -> None:
        """Nobody is referred before birth; nothing expires before it begins."""
        for earlier, later in (("patient.birth_date", "effective_at"), ("effective_at", "expires_at")):
            first, second = self._value(earlier), self._value(later)
            if first and second and not validators.ordered(first, second):
                for path in (earlier, later):
                    result = self._results[path]
                    self._rejudge(result, lambda _: [validators.invalid("order", validators.IMPLAUSIBLE.name)])

    # -- evidence -------------------------------------------------------------------------------------------

    def _extracted(self, result: Result) -> Extracted:
        best = result.best
        row = f"{self._template.name} {result.field.mark}"
        if best is None:
            return Extracted(field=result.path, template=row, producer=self._producer)
        promised = self._calibration.of(result.group, best.score)
        others = result.options if best.refused else result.options[1:]
        return Extracted(
            field=result.path, value=ABSENT if best.refused else best.reading.value, raw=best.found.text,
            confidence=thousandths(promised), method=best.found.method, producer=self._producer, template=row,
            box=page_box(best.found.page, best.found.box), validations=best.verdicts,
            alternatives=tuple(Candidate(value=option.reading.value, confidence=thousandths(option.score),
                                         box=page_box(option.found.page, option.found.box))
                               for option in others[:_ALTERNATIVES]))

    def _findings(self, result: Result, each: Extracted) -> Iterator[Finding]:
        at = where(each)
        verdicts = {verdict.verdict for verdict in each.validations or () if verdict.validator in STRONG}
        if {Verdict.VALID, Verdict.INVALID} <= verdicts:
            yield finding(validators.DISAGREE, at=at, field=result.path, row=str(result.field.mark), detail=", ".join(
                f"{verdict.validator} says {verdict.verdict.value}" for verdict in each.validations or ()
                if verdict.validator in STRONG))



def thousandths(share: float) -> int:
    """A share as the canonical model has it."""
    return round(share * 1000)


def page_box(page: int, box: Box) -> PageBox:
    """A box of the page model as the canonical model has it."""
    left, top = thousandths(box.left), thousandths(box.top)
    return PageBox(page=page, left=left, top=top, width=max(1, thousandths(box.right) - left),
                   height=max(1, thousandths(box.bottom) - top))


def where(each: Extracted) -> str:
    """Page and box as text: ``page 1 (120, 310)-(250, 330)``, in thousandths."""
    box = each.box
    if not isinstance(box, PageBox):
        return ""
    return f"page {box.page} ({box.left}, {box.top})-({box.left + box.width}, {box.top + box.height})"
