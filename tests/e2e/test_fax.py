"""Faxes through a real engine process, with the commands that a person types (W1: A1.2, A1.6, A1.7)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from simulators.fhir_server import FhirServer
from simulators.forms import layouts
from simulators.forms.facts import Facts, facts
from simulators.forms.fax import Quality, sent
from simulators.forms.form import tiff
from store.ledger import Ledger
from tests.e2e.harness import settled, typed, until
from tests.ocr.conftest import tessdata
from wiring import database
from wiring.demo.process import EngineProcess
from wiring.demo.stage import ROOT

__all__ = ["tessdata"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SITE = """
site: referrals
mappings: {mappings}
partitions: 2
channels:
  faxes:
    connector: file
    mapping: {{DOCUMENT: document/received, PAGES: documents/referral}}
    settings: {{path: "{folder}/in", format: document, ready: rename, poll_s: 0.05}}
  pages: {{connector: answers, mapping: documents/referral}}
destinations:
  reader:
    connector: ocr
    mapping: document/stored
    responses: pages
    idempotent: yes
    settings: {{priority: 0}}
  hub:
    connector: fhir
    mapping: fhir/referral
    content: state
    idempotent: yes
    settings: {{url: "{fhir}"}}
routes:
  - {{route: pictures are read, when: {{event: document.received}}, to: [reader]}}
  - {{route: referrals that are complete, when: {{event: referral.completed}}, to: [hub]}}
review: {{threshold: 0, fields: {{patient.birth_date: 1.0}}}}
"""


class Desk:
    """A site with a FHIR server behind it, and a person who types."""

    def __init__(self, folder: Path, fhir: FhirServer) -> None:
        self.folder, self.fhir = folder, fhir
        self.config, self.drop = folder / "config", folder / "in"
        for each in (self.config, self.drop):
            each.mkdir()
        (self.config / "site.yaml").write_text(SITE.format(folder=folder, mappings=ROOT / "mappings", fhir=fhir.url))
        self.url = database.address(self.config, {})
        self.count = 0

    async def fax(self, *pages: Image.Image) -> None:
        """Send a fax, and wait until everything has come to rest."""
        self.count += 1
        hidden = self.drop / f".{self.count}"
        hidden.write_bytes(tiff(list(pages)))
        hidden.rename(self.drop / f"{self.count}.tif")

        async def read() -> bool:
            async with self.ledger() as ledger:
                counts = await ledger.counts()
                return counts["deliveries"].get("reader/delivered", 0) >= self.count

        await until(read, 120)
        async with self.ledger() as ledger:
            await settled(ledger, 2 * self.count)

    async def says(self, *words: str) -> Any:
        said = await typed(*words, "--config", str(self.config), "--json", more={database.VARIABLE: self.url})
        assert said.code in {0, 1}, said.out + said.err
        return said.json

    async def says_of(self, code: str) -> list[str]:
        return [one["id"] for one in (await self.says("messages", "--code", code))["messages"]]

    async def refused(self, *words: str, user: str) -> str:
        said = await typed(*words, "--config", str(self.config), more={database.VARIABLE: self.url, "LOGNAME": user})
        assert said.code == 2
        return said.err

    async def reasons(self) -> list[str]:
        return sorted(task["reason"] for task in (await self.says("tasks", "list"))["tasks"])

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Ledger]:
        async with database.existing(self.config, self.url, partitions=2, outbox=False) as opened:
            yield opened


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with FhirServer() as fhir:
        made = Desk(tmp_path, fhir)
        process = EngineProcess(made.config, tmp_path / "engine.log", [], environment={database.VARIABLE: made.url})
        await process.start()
        try:
            await until((made.config / "var" / "ledger.sqlite3").exists)
            yield made
        finally:
            await process.stop()


def form(seed: int, layout: str = "lakeside", **changes: str) -> tuple[Image.Image, Facts]:
    """A form as it lies on the sender's table."""
    draw = random.Random(seed)
    said = msgspec.structs.replace(facts(draw), **changes)
    return layouts.LAYOUTS[layout](said, random.Random(seed), frozenset()).image, said


def scanned(paper: Image.Image, turn: int) -> Image.Image:
    """One scan of it; each `turn` has noise and skew of its own."""
    return sent(paper, Quality.FINE, random.Random(turn))


async def test_a_doubtful_field_is_corrected_by_the_picture_and_the_transaction_leaves(desk: Desk, tessdata: str) -> None:
    """A1.2, and A1.7 with another scan of the same sheet."""
    paper, said = form(11)
    await desk.fax(scanned(paper, 1))
    assert await desk.reasons() == ["FIELD_CONFIDENCE:patient.birth_date"]
    assert desk.fhir.resources("ServiceRequest") == []
    [task] = (await desk.says("tasks", "list"))["tasks"]
    crop = desk.folder / "crop.png"
    shown = await desk.says("tasks", "show", task["id"], "--reveal", "--reason", "work", "--picture", str(crop))
    assert shown["evidence"][0]["value"] == said.birth_date
    with Image.open(crop) as piece:
        assert piece.width > piece.height  # a line, not a page
        assert 0.005 < sum(piece.convert("L").histogram()[:128]) / (piece.width * piece.height) < 0.5
    assert crop.stat().st_mode & 0o077 == 0
    await desk.says("tasks", "claim", task["id"])
    assert "has it" in await desk.refused("tasks", "claim", task["id"], user="somebody-else")
    await desk.says("tasks", "correct", task["id"], "--value", "1980-01-20")
    await until(lambda: bool(desk.fhir.resources("ServiceRequest")))
    [patient] = desk.fhir.resources("Patient")
    assert patient["birthDate"] == "1980-01-20"
    [closed] = (await desk.says("tasks", "list", "--closed"))["tasks"]
    assert closed["id"] == task["id"]

    await desk.fax(scanned(paper, 2))
    [again] = await desk.says_of("document.duplicate")
    assert len(desk.fhir.resources("ServiceRequest")) == 1
    assert await desk.reasons() == []
    assert "dragoman release" in (await desk.says("show", again))["command"]
