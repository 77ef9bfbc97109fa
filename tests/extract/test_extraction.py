"""Extraction templates: forms recognised, fields found, validated, kept apart (issue 5, W1)."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from canonical.document import Document, DocumentStatus, PageBox, Verdict
from canonical.findings import Rejection
from canonical.page import Box, Mark, MarkState, Page, PageDocument, PageImage, SourceKind, Word
from canonical.page import Line as PageLine
from canonical.referral import Referral, ReferralStatus
from mapper import document
from mapper.extract import reading as reader
from mapper.extract import template, trust, validators
from mapper.extract.kinds import KINDS, Options, mended
from mapper.extract.known import Known, KnownProvider, Listed
from mapper.mapping import ReadContext
from simulators.forms.facts import npi
from tests.mappings import tables

RECEIVED = 1_780_000_000_000_000
NPI = npi("123456789")


def line(y: float, *words: tuple[float, str], confidence: float = 0.96) -> PageLine:
    made = tuple(Word(text=text, box=Box(x, y, min(1.0, x + 0.011 * len(text)), y + 0.012), confidence=confidence)
                 for x, text in words)
    return PageLine(words=made, box=Box(made[0].box.left, y, made[-1].box.right, y + 0.012))


def harbor(number: int = 1, *, given: str = "Aurelia", mrn: str = "12345678", provider: str = NPI, confidence: float = 0.96,
           reference: str = "RF-123456", picture: str = "") -> Page:
    """A page of the letter, as OCR reads it."""
    def said(y: float, label: str, *value: str) -> PageLine:
        words, x = [], 0.08
        for text in (*label.split(), *value):
            words.append((x, text))
            x += 0.011 * len(text) + 0.008
        return line(y, *words, confidence=confidence)

    return Page(number=number, width=2550, height=3300, image=PageImage(sha256=picture or "ab" * 32, index=number - 1,
                                                                        perceptual_hash="00" * 32), lines=(
        said(0.05, "", "Harbor", "Internal", "Medicine"), said(0.08, "", "Referral", "Letter"),
        said(0.11, "Our reference:", reference), said(0.14, "To the department of", "Cardiology"),
        said(0.17, "Patient:", given, "Quillfeather"), said(0.20, "Born:", "04/22/1979"), said(0.23, "Sex:Female"),
        said(0.26, "Chart:", mrn), said(0.29, "Telephone:", "(312)", "555-0117"),
        said(0.32, "Insurance:", "Harbor", "Mutual"),
        said(0.35, "Member:", "HMX123456789"), said(0.38, "Urgency:", "Urgent"), said(0.41, "", "Dear", "colleague,"),
        said(0.44, "", "Palpitations", "(ICD-10", "R00.2)"), said(0.47, "", "ECG", "(procedure", "93000)"),
        said(0.50, "Remarks:", "Please", "evaluate"), said(0.53, "", "With", "kind", "regards"),
        said(0.56, "", "Dr.", "Miriam", "Holloway"), said(0.59, "NPI", provider), said(0.62, "Tel", "(414)", "555-0161"),
        said(0.65, "Fax", "(414)", "555-0162"), said(0.68, "Date:", "05/20/2026")))


# What was read is `Any` here: every field may be absent, and each test says which one must not be.


def read(*pages: Page, known: Known | None = None) -> Any:
    source = PageDocument(source=SourceKind.OCR, producer="other", pages=pages)
    return tables.library().mapping("documents/referral").read(source, ReadContext(
        message_id="M", channel="fax", received_at=RECEIVED, known=known))


def referrals(reading: Any) -> list[Any]:
    return [event.entity for event in reading.events if isinstance(event.entity, Referral)]


def field(referral: Any, name: str) -> Any:
    return next(each for each in referral.evidence or () if each.field == name)


def test_a_page_becomes_a_referral_with_the_place_of_every_field() -> None:
    (referral,) = referrals(read(harbor()))
    assert referral.status is ReferralStatus.RECEIVED
    assert referral.missing == ()
    assert referral.patient is not None
    assert referral.patient.birth_date == "1979-04-22"
    assert referral.patient.names[0].family == "Quillfeather"
    assert referral.coverages[0].member_id == "HMX123456789"
    assert referral.diagnoses[0].code.coding[0].code == "R00.2"
    assert referral.services[0].code.coding[0].code == "93000"
    for each in referral.evidence:
        assert isinstance(each.box, PageBox), each.field
        assert each.raw
        assert "documents/harbor_referral" in each.template


def test_the_lineage_of_one_of_several_names_the_one() -> None:
    """Z10 and W1: telephone and fax stand in one list, each with its own place on the page."""
    source = PageDocument(source=SourceKind.OCR, producer="other", pages=(harbor(),))
    trace = tables.library().mapping("documents/referral").trace(source, ReadContext(
        message_id="M", channel="fax", received_at=RECEIVED))
    entity = trace.reading.events[1].entity
    assert isinstance(entity, Referral)
    assert entity.referring
    assert entity.referring.telecom
    told = {each.field: each.source for each in trace.lineage[1]}
    assert entity.referring.telecom[1].value == "(414) 555-0162"
    assert told["referring.telecom(1).value"] == reader.where(field(entity, "referring.telecom(system=fax).value"))
    assert told["referring.telecom(0).value"] == reader.where(field(entity, "referring.telecom(system=phone).value"))
    assert len(told) == len(trace.lineage[1])


def test_a_sure_reading_that_a_validator_refuses_is_not_used() -> None:
    """A1.3: confidence 0.99, and the check digit is wrong."""
    wrong = NPI[:-1] + str((int(NPI[-1]) + 1) % 10)
    (referral,) = referrals(read(harbor(provider=wrong, confidence=0.99)))
    doubted = field(referral, "referring.who.identifiers(type=NPI).value")
    assert doubted.confidence >= 980
    assert {each.verdict for each in doubted.validations} == {Verdict.INVALID}
    assert not isinstance(doubted.value, str)
    assert "referring.who.identifiers(type=NPI).value" in referral.missing
    assert referral.status is ReferralStatus.INCOMPLETE


def test_what_is_read_badly_says_so() -> None:
    """A1.2: the confidence that the review compares with its threshold is that of the weakest word."""
    (referral,) = referrals(read(harbor(confidence=0.4)))
    assert field(referral, "patient.birth_date").confidence <= 400


def test_two_patients_in_one_fax_share_no_field() -> None:
    """A1.6: asserted by the page of every box."""
    reading = read(harbor(1, mrn="11111111", reference="RF-111111"), harbor(2, mrn="22222222", reference="RF-222222"))
    whole = reading.events[0].entity
    assert isinstance(whole, Document)
    assert whole.status is DocumentStatus.SPLIT
    one, two = referrals(reading)
    assert {each.box.page for each in one.evidence if isinstance(each.box, PageBox)} == {1}
    assert {each.box.page for each in two.evidence if isinstance(each.box, PageBox)} == {2}
    assert [each.documents[0].pages for each in (one, two)] == [(1,), (2,)]
    assert len({event.subject_key for event in reading.events}) == len(reading.events)


def test_an_unknown_page_is_for_a_person() -> None:
    page = Page(number=1, lines=(line(0.1, (0.1, "Lab"), (0.2, "report")),))
    reading = read(page)
    assert [found.code for found in reading.findings] == ["extract.unknown_form"]
    assert reading.events[0].entity.status is DocumentStatus.REVIEW


def test_two_ticked_boxes_are_a_question() -> None:
    node = document.parse("form: documents/x\nentity: Referral\nfields:\n"
                          "  priority: {checkbox: {Routine: routine, Urgent: urgent}, near: Priority}\n", "x.yaml")
    form = template.load(node, {})

    def page(*states: MarkState) -> Page:
        group = line(0.1, (0.05, "Priority:"), (0.23, "Routine"), (0.43, "Urgent"))
        return Page(number=1, width=2550, height=3300, lines=(group,),
                    marks=tuple(Mark(state=state, box=Box(x, 0.1, x + 0.02, 0.115), confidence=1.0)
                                for state, x in zip(states, (0.2, 0.4), strict=True)))

    def best(*states: MarkState) -> Any:
        made = page(*states)
        source = PageDocument(source=SourceKind.OCR, pages=(made,))
        return reader.read(form, [made], source, Known(), trust.Calibration(), date(2026, 5, 1)).evidence[0]

    assert best(MarkState.UNSELECTED, MarkState.SELECTED).value == "urgent"
    both = best(MarkState.SELECTED, MarkState.SELECTED)
    assert not isinstance(both.value, str)
    assert both.validations[0].finding == "extract.several_boxes"


def test_the_directory_spells_the_name_and_objects_to_another() -> None:
    right = Known(master=Listed(providers=[KnownProvider(npi=NPI, family="Holloway", given="Miriam")]))
    (referral,) = referrals(read(harbor(), known=right))
    assert "provider" in {each.validator for each in field(referral, "referring.who.name").validations}
    other = Known(master=Listed(providers=[KnownProvider(npi=NPI, family="Brandt", given="Marcus")]))
    reading = read(harbor(), known=other)
    assert "extract.validators_disagree" in {found.code for found in reading.findings}
    assert not isinstance(field(referrals(reading)[0], "referring.who.identifiers(type=NPI).value").value, str)


@pytest.mark.parametrize(("kind", "text", "value"), [
    ("date", "O4/22/1979", "1979-04-22"), ("date", "22 April 1979", "1979-04-22"),
    ("phone", "312.555.0117", "(312) 555-0117"),
    ("icd10", "150.9", "I50.9"), ("icd10", "ROO.2", "R00.2"), ("icd10", "M5450", "M54.50"), ("procedure", "9300O", "93000"),
    ("name", "Novak , Harriet J.", "Novak, Harriet J")])
def test_what_ocr_confuses_is_mended_with_less_trust(kind: str, text: str, value: str) -> None:
    readings = {each.value: each.trust for each in KINDS[kind](text, Options())}
    assert value in readings


def test_a_shape_mends_only_where_one_reading_fits() -> None:
    assert [each.value for each in mended("RF-82754]1", re.compile(r"RF-\d{6}"))] == ["RF-827541"]
    assert list(mended("A", re.compile(r"\d"))) == []


def test_validators() -> None:
    assert validators.npi(NPI).verdict is Verdict.VALID
    assert validators.phone("(112) 555-0117").verdict is Verdict.INVALID
    assert validators.plausible("2031-01-01", birth=True, today=date(2026, 1, 1)).verdict is Verdict.INVALID
    assert validators.name("O'Rourke, Mary Ann").verdict is Verdict.VALID
    assert validators.name("Qu1ll, Ann").verdict is Verdict.INVALID
    assert validators.member_id("X1", "Nobody", {}).verdict is Verdict.UNKNOWN


def test_a_faulty_template_is_told_line_by_line() -> None:
    source = ("form: documents/x\nentity: Referral\nfields:\n  patient.birth_dat: {label: DOB, type: date}\n"
              "  specialty: {label: To, type: tex}\n  reason(0): {pattern: '(a+)+'}\n  priority: {type: text}\n")
    with pytest.raises(Rejection) as refused:
        template.load(document.parse(source, "x.yaml"), {})
    told = {found.row.split(":")[1]: found for found in refused.value.findings}
    assert set(told) == {"4", "5", "6", "7"}
    assert "birth_date" in told["4"].hint
    assert "text" in told["5"].hint
    assert told["6"].code == "extract.bad_pattern"
    assert told["7"].code == "extract.no_place"


def test_calibration_promises_little_for_few_and_survives_its_table() -> None:
    samples = [trust.Sample("date", 0.95, True)] * 200 + [trust.Sample("date", 0.5, True)] * 3 + [
        trust.Sample("date", 0.4, False)] * 10
    made = trust.Calibration("documents/c", "tesseract 5", "1 to 2", trust.fitted(samples))
    assert made.of("date", 0.95) > 0.99
    assert made.of("date", 0.5) < 0.9
    assert made.of("date", 0.4) < 0.1
    again = trust.load(document.parse(trust.written(made), "c.yaml"))
    assert again == made


def test_the_shipped_forms_are_sound() -> None:
    library = tables.library()
    names = [path.stem for path in (tables.MAPPINGS / "documents").glob("*_referral.yaml")]
    assert len(names) == 4
    assert [str(found) for found in library.check() if Path(found.row.split(":")[0]).parts[:1] == ("documents",)] == []
