"""Three forms of three practices, each with habits of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

import numpy as np
import zxingcpp
from PIL import Image

from simulators.forms.canvas import HEIGHT, WIDTH, Canvas
from simulators.forms.facts import Facts

#: Canonical fields that may be written by hand.
BY_HAND: Final = ("reason(0)", "patient.telecom(system=phone).value", "patient.names(0)", "effective_at",
                  "coverages(0).member_id")


def us(iso: str) -> str:
    """A date as forms of the United States write it."""
    return date.fromisoformat(iso).strftime("%m/%d/%Y")


def lakeside(facts: Facts, draw: random.Random, handwritten: frozenset[str]) -> Canvas:
    """Labels with a colon to the left of the value, two columns, two tables."""
    page = Canvas(draw, face="sans")
    page.handwritten.update(handwritten)
    page.label(110, 90, "Lakeside Primary Care Associates", points=13, name="bold")
    page.label(110, 160, "SPECIALTY REFERRAL REQUEST", points=17, name="bold")
    page.label(1330, 100, "Form LPC-210", points=9)
    _pair(page, 110, 250, "Referral no.:", facts.number, "identifiers(type=PLAC).value")
    _pair(page, 900, 250, "Date of referral:", us(facts.issued), "effective_at")
    page.label(110, 315, "Priority:", points=10)
    x = 330.0
    for text, code in (("Routine", "routine"), ("Urgent", "urgent"), ("Stat", "stat")):
        x = page.box(x, 315, text, "priority", ticked=facts.priority == code) + 70
    page.bar(385, "PATIENT")
    _pair(page, 110, 455, "Patient name:", f"{facts.family}, {facts.given}", "patient.names(0)")
    _pair(page, 900, 455, "Date of birth:", us(facts.birth_date), "patient.birth_date")
    page.label(110, 525, "Sex:", points=10)
    x = 240.0
    for text, code in (("Female", "female"), ("Male", "male"), ("Other", "other")):
        x = page.box(x, 525, text, "patient.sex", ticked=facts.sex == code) + 50
    _pair(page, 900, 525, "Phone:", facts.phone, "patient.telecom(system=phone).value")
    _pair(page, 110, 595, "MRN:", facts.mrn, "patient.identifiers(type=MR).value")
    page.bar(675, "INSURANCE")
    _pair(page, 110, 745, "Payer:", facts.payer, "coverages(0).payer")
    _pair(page, 900, 745, "Member ID:", facts.member_id, "coverages(0).member_id")
    page.bar(825, "REFERRING PROVIDER")
    _pair(page, 110, 895, "Provider name:", f"{facts.provider.family}, {facts.provider.given}", "referring.who.name")
    _pair(page, 900, 895, "NPI:", facts.provider.npi, "referring.who.identifiers(type=NPI).value")
    _pair(page, 110, 965, "Office phone:", facts.provider.phone, "referring.telecom(system=phone).value")
    _pair(page, 900, 965, "Office fax:", facts.provider.fax, "referring.telecom(system=fax).value")
    page.bar(1045, "REFERRED SERVICE")
    _pair(page, 110, 1115, "Specialty:", facts.specialty, "specialty")
    bottom = _table(page, 1195, ("ICD-10", "Diagnosis"), facts.diagnoses, "diagnoses({}).code")
    bottom = _table(page, bottom + 50, ("CPT/HCPCS", "Service"), facts.services, "services({}).code")
    _pair(page, 110, bottom + 60, "Reason for referral:", facts.reason, "reason(0)")
    page.rule(110, 1990, 800)
    page.label(110, 2000, "Signature of the referring provider", points=8)
    page.label(110, 2120, "Confidential health information. If you are not the intended recipient, call us.", points=7.5)
    return page


def _pair(page: Canvas, x: float, y: float, label: str, value: str, field: str) -> None:
    end = page.label(x, y + 4, label, points=10)
    page.value(end + 22, y, value, field)


def _table(page: Canvas, top: float, heads: tuple[str, str], rows: tuple[tuple[str, str], ...], field: str) -> float:
    """A ruled table of code and words. Returns its lower edge."""
    left, middle, right, step = 110, 420, WIDTH - 110, 62
    bottom = top + step * (len(rows) + 1)
    page.frame(left, top, right, bottom)
    page.pen.line((middle, top, middle, bottom), fill=0, width=2)
    page.label(left + 20, top + 14, heads[0], points=10, name="bold")
    page.label(middle + 20, top + 14, heads[1], points=10, name="bold")
    for index, (code, words) in enumerate(rows):
        y = top + step * (index + 1)
        page.rule(left, y, right)
        page.value(left + 20, y + 12, code, field.format(index))
        page.label(middle + 20, y + 12, words, points=11)
    return bottom


def northgate(facts: Facts, draw: random.Random, handwritten: frozenset[str]) -> Canvas:
    """A grid of numbered cells: the label is small and above the value. It carries a matrix code."""
    page = Canvas(draw, face="mono")
    page.handwritten.update(handwritten)
    page.label(100, 80, "NORTHGATE FAMILY MEDICINE", points=13, name="bold")
    page.label(100, 145, "Referral and Consultation Form", points=15, name="bold")
    code = np.asarray(zxingcpp.write_barcode_to_image(
        zxingcpp.create_barcode("FORM:NG-REF-3", zxingcpp.BarcodeFormat.QRCode), scale=6))
    page.image.paste(Image.fromarray(code).convert("L"), (1470, 60))
    rows: tuple[tuple[tuple[str, str, str, float], ...], ...] = (
        (("1. PATIENT NAME (LAST, FIRST)", f"{facts.family}, {facts.given}", "patient.names(0)", 0.6),
         ("2. BIRTH DATE", us(facts.birth_date), "patient.birth_date", 0.4)),
        (("3. PATIENT PHONE", facts.phone, "patient.telecom(system=phone).value", 0.5),
         ("4. RECORD NUMBER", facts.mrn, "patient.identifiers(type=MR).value", 0.5)),
        (("5. INSURANCE PLAN", facts.payer, "coverages(0).payer", 0.5),
         ("6. INSURED'S ID NUMBER", facts.member_id, "coverages(0).member_id", 0.5)),
        (("7. REFERRING PROVIDER", f"{facts.provider.family}, {facts.provider.given}", "referring.who.name", 0.6),
         ("8. PROVIDER NPI", facts.provider.npi, "referring.who.identifiers(type=NPI).value", 0.4)),
        (("9. PROVIDER PHONE", facts.provider.phone, "referring.telecom(system=phone).value", 0.5),
         ("10. PROVIDER FAX", facts.provider.fax, "referring.telecom(system=fax).value", 0.5)),
        (("11. REFER TO SPECIALTY", facts.specialty, "specialty", 0.5),
         ("12. REFERRAL DATE", us(facts.issued), "effective_at", 0.25),
         ("13. REFERRAL NUMBER", facts.number, "identifiers(type=PLAC).value", 0.25)),
    )
    left, right, top, step = 100, WIDTH - 100, 250.0, 130
    for row in rows:
        x = float(left)
        for label, value, field, share in row:
            end = x + (right - left) * share
            page.frame(x, top, end, top + step)
            page.label(x + 12, top + 8, label, points=7.5, name="sans")
            page.value(x + 24, top + 56, value, field)
            x = end
        top += step
    page.frame(left, top, right, top + 110)
    page.label(left + 12, top + 8, "14. SEX", points=7.5, name="sans")
    x = left + 30.0
    for text, code_ in (("F", "female"), ("M", "male"), ("X", "other")):
        x = page.box(x, top + 56, text, "patient.sex", ticked=facts.sex == code_) + 60
    page.pen.line((left + 560, top, left + 560, top + 110), fill=0, width=2)
    page.label(left + 572, top + 8, "15. URGENCY", points=7.5, name="sans")
    x = left + 590.0
    for text, code_ in (("ROUTINE", "routine"), ("URGENT", "urgent"), ("STAT", "stat")):
        x = page.box(x, top + 56, text, "priority", ticked=facts.priority == code_) + 60
    top += 110
    top = _cells(page, top, "16. DIAGNOSIS CODES (ICD-10)", [code for code, _ in facts.diagnoses], "diagnoses({}).code")
    top = _cells(page, top, "17. REQUESTED SERVICES (CPT/HCPCS)", [code for code, _ in facts.services], "services({}).code")
    page.frame(left, top, right, top + 150)
    page.label(left + 12, top + 8, "18. REASON", points=7.5, name="sans")
    page.value(left + 24, top + 60, facts.reason, "reason(0)")
    page.label(left, 2110, "NG-REF-3  Rev. 2025", points=8, name="sans")
    return page


def _cells(page: Canvas, top: float, label: str, values: list[str], field: str) -> float:
    page.frame(100, top, WIDTH - 100, top + 130)
    page.label(112, top + 8, label, points=7.5, name="sans")
    x = 124.0
    for index, value in enumerate(values):
        x = page.value(x, top + 58, value, field.format(index)) + 90
    return top + 130


def harbor(facts: Facts, draw: random.Random, handwritten: frozenset[str]) -> Canvas:
    """A letter: facts within lines and sentences."""
    page = Canvas(draw, face="serif")
    page.handwritten.update(handwritten)
    page.label(140, 100, "Harbor Internal Medicine", points=15, name="serif")
    page.label(140, 165, "Referral Letter", points=13, name="serif")
    x = page.label(140, 280, "Date: ", points=11)
    page.value(x, 278, us(facts.issued), "effective_at")
    x = page.label(900, 280, "Our reference: ", points=11)
    page.value(x, 278, facts.number, "identifiers(type=PLAC).value")
    x = page.label(140, 350, "To the department of ", points=11)
    page.value(x, 348, facts.specialty, "specialty")
    x = page.label(140, 450, "Patient: ", points=11)
    page.value(x, 448, f"{facts.given} {facts.family}", "patient.names(0)")
    x = page.label(140, 510, "Born: ", points=11)
    x = page.value(x, 508, us(facts.birth_date), "patient.birth_date")
    x = page.label(x + 60, 510, "Sex: ", points=11)
    x = page.value(x, 508, facts.sex.capitalize(), "patient.sex")
    x = page.label(x + 60, 510, "Chart: ", points=11)
    page.value(x, 508, facts.mrn, "patient.identifiers(type=MR).value")
    x = page.label(140, 570, "Telephone: ", points=11)
    page.value(x, 568, facts.phone, "patient.telecom(system=phone).value")
    x = page.label(140, 630, "Insurance: ", points=11)
    x = page.value(x, 628, facts.payer, "coverages(0).payer")
    x = page.label(x + 60, 630, "Member: ", points=11)
    page.value(x, 628, facts.member_id, "coverages(0).member_id")
    x = page.label(140, 720, "Urgency: ", points=11)
    page.value(x, 718, facts.priority.capitalize(), "priority")
    page.label(140, 820, "Dear colleague,", points=11)
    page.label(140, 890, "thank you for seeing this patient. We ask for your help with the following:", points=11)
    y = 960.0
    for index, (code, words) in enumerate(facts.diagnoses):
        x = page.label(200, y, f"{words} (ICD-10 ", points=11)
        x = page.value(x, y - 2, code, f"diagnoses({index}).code", points=11)
        page.label(x + 3, y, ")", points=11)
        y += 58
    y += 40
    page.label(140, y, "Requested:", points=11)
    y += 62
    for index, (code, words) in enumerate(facts.services):
        x = page.label(200, y, f"{words} (procedure ", points=11)
        x = page.value(x, y - 2, code, f"services({index}).code", points=11)
        page.label(x + 3, y, ")", points=11)
        y += 58
    x = page.label(140, y + 40, "Remarks: ", points=11)
    page.value(x, y + 38, facts.reason, "reason(0)")
    y += 180
    page.label(140, y, "With kind regards", points=11)
    x = page.label(140, y + 120, "Dr. ", points=11.5)
    page.value(x, y + 120, f"{facts.provider.given} {facts.provider.family}", "referring.who.name")
    x = page.label(140, y + 180, "NPI ", points=11)
    page.value(x, y + 178, facts.provider.npi, "referring.who.identifiers(type=NPI).value")
    x = page.label(140, y + 240, "Tel ", points=11)
    x = page.value(x, y + 238, facts.provider.phone, "referring.telecom(system=phone).value")
    x = page.label(x + 60, y + 240, "Fax ", points=11)
    page.value(x, y + 238, facts.provider.fax, "referring.telecom(system=fax).value")
    return page


Layout = Callable[[Facts, random.Random, frozenset[str]], Canvas]
LAYOUTS: Final[Mapping[str, Layout]] = {"lakeside": lakeside, "northgate": northgate, "harbor": harbor}


def cover(draw: random.Random, pages: int) -> Canvas:
    """A fax cover sheet."""
    page = Canvas(draw, face="sans")
    page.label(140, 160, "FAX", points=34, name="bold")
    page.label(140, 360, "To: Referral intake", points=13)
    page.label(140, 430, "From: Front desk", points=13)
    page.label(140, 500, f"Pages: {pages} including this cover sheet", points=13)
    page.label(140, 2050, "This fax is confidential. If it reached you in error, please destroy it and call us.", points=9)
    return page


def notes(facts: Facts, draw: random.Random) -> Canvas:
    """A page of clinical notes that belongs to the form before it."""
    page = Canvas(draw, face="serif")
    page.label(140, 120, "Office visit note", points=14, name="serif")
    page.label(140, 200, f"{facts.family}, {facts.given}", points=11)
    lines = ("Vital signs stable. Medication reviewed with the patient.", "No known drug allergies reported today.",
             "Laboratory results are attached where available.", "Plan: referral as discussed, follow up in six weeks.")
    for index, line in enumerate(lines * 4):
        page.label(140, 300 + index * 64, line, points=11)
    page.label(WIDTH - 420, HEIGHT - 120, "Page 2", points=9)
    return page
