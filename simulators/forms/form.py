"""One fax with the truth about it."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from PIL import Image

from simulators.forms import layouts
from simulators.forms.canvas import Canvas, Spot
from simulators.forms.facts import Facts, facts
from simulators.forms.fax import Quality, sent

STAMPED: Final = 0.25
BY_HAND: Final = 0.12
COVERED: Final = 0.08
NOTED: Final = 0.10


class Referral(msgspec.Struct, frozen=True):
    """The truth about one referral of a fax."""

    layout: str
    pages: tuple[int, ...]
    """From 1."""
    fields: Mapping[str, str]
    """Canonical field: value, as the canonical model has it (``1979-04-22``, ``Quillfeather, Aurelia J``)."""
    spots: tuple[Spot, ...]
    handwritten: tuple[str, ...]


class Fax(msgspec.Struct, frozen=True):
    """The truth about one fax."""

    seed: int
    quality: Quality
    pages: int
    referrals: tuple[Referral, ...]


def make(seed: int, quality: Quality, *, patients: int = 1, layout: str = "") -> tuple[list[Image.Image], Fax]:
    """The pages of a fax and its truth. The same arguments give the same dots (with the same typefaces)."""
    draw = random.Random(f"{seed}:{patients}:{layout}")
    canvases: list[Canvas] = []
    referrals: list[Referral] = []
    covered = draw.random() < COVERED
    for _ in range(patients):
        said = facts(draw)
        name = layout or draw.choice(sorted(layouts.LAYOUTS))
        by_hand = frozenset(draw.sample(layouts.BY_HAND, draw.choice((1, 1, 2)))) if draw.random() < BY_HAND else frozenset()
        page = layouts.LAYOUTS[name](said, draw, by_hand)
        if draw.random() < STAMPED:
            page.stamp(draw.uniform(700, 1150), draw.choice((60, 200, 1600, 1850, 1900)),
                       f"RECEIVED {layouts.us(said.issued)}")
        first = len(canvases) + 1 + covered
        canvases.append(page)
        if draw.random() < NOTED:
            canvases.append(layouts.notes(said, draw))
        referrals.append(Referral(name, tuple(range(first, len(canvases) + 1 + covered)), truth(said), tuple(page.spots),
                                  tuple(sorted(by_hand))))
    if covered:
        canvases.insert(0, layouts.cover(draw, len(canvases) + 1))
    line = random.Random(f"{seed}:{quality}:line")
    pages = [sent(canvas.image, quality, line) for canvas in canvases]
    return pages, Fax(seed, quality, len(pages), tuple(referrals))


def truth(said: Facts) -> dict[str, str]:
    """What a form says, by canonical field."""
    return {
        "identifiers(type=PLAC).value": said.number, "effective_at": said.issued, "priority": said.priority,
        "patient.names(0)": f"{said.family}, {said.given}", "patient.birth_date": said.birth_date, "patient.sex": said.sex,
        "patient.telecom(system=phone).value": said.phone, "patient.identifiers(type=MR).value": said.mrn,
        "coverages(0).payer": said.payer, "coverages(0).member_id": said.member_id,
        "referring.who.name": f"{said.provider.family}, {said.provider.given}",
        "referring.who.identifiers(type=NPI).value": said.provider.npi,
        "referring.telecom(system=phone).value": said.provider.phone,
        "referring.telecom(system=fax).value": said.provider.fax, "specialty": said.specialty, "reason(0)": said.reason,
        **{f"diagnoses({index}).code": code for index, (code, _) in enumerate(said.diagnoses)},
        **{f"services({index}).code": code for index, (code, _) in enumerate(said.services)},
    }


def tiff(pages: list[Image.Image]) -> bytes:
    """All pages as one TIFF, CCITT Group 4."""
    out = io.BytesIO()
    pages[0].save(out, "TIFF", compression="group4", dpi=pages[0].info["dpi"], save_all=True, append_images=pages[1:])
    return out.getvalue()


def pdf(pages: list[Image.Image]) -> bytes:
    """All pages as one PDF without a text layer."""
    out = io.BytesIO()
    pages[0].save(out, "PDF", resolution=pages[0].info["dpi"][0], save_all=True, append_images=pages[1:])
    return out.getvalue()


def png(page: Image.Image) -> bytes:
    """One page."""
    out = io.BytesIO()
    page.save(out, "PNG", dpi=page.info["dpi"])
    return out.getvalue()


def write(folder: Path, name: str, pages: list[Image.Image], fax: Fax, kind: str = "tiff") -> Path:
    """The fax as a file, and its truth as ``.json`` beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    content = tiff(pages) if kind == "tiff" else pdf(pages) if kind == "pdf" else png(pages[0])
    file = folder / f"{name}.{kind}"
    file.write_bytes(content)
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(fax)) + b"\n")
    return file
