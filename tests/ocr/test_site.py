"""A whole site: faxes in a folder and documents inside of HL7 messages, read, and their pages back; killed on the way."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from canonical.document import Document
from canonical.failpoints import ENVIRONMENT
from canonical.page import from_json
from store.ledger import Ledger
from store.records import Message, MessageQuery, MessageState
from tests import services
from tests.e2e.harness import dragoman, settled, until
from tests.ocr import sheets
from tests.ocr.test_sender import ed, mdm
from wiring import database
from wiring.demo.process import EngineProcess
from wiring.demo.stage import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SITE = """
site: records
mappings: {mappings}
partitions: 2
channels:
  faxes:
    connector: file
    mapping: {{DOCUMENT: document/received, PAGES: document/read}}
    settings: {{path: "{folder}/in", format: document, ready: rename, poll_s: 0.05}}
  transcriptions:
    connector: mllp
    mapping: hl7v2/mdm
    settings: {{port: {port}}}
  pages: {{connector: answers, mapping: document/read}}
destinations:
  reader:
    connector: ocr
    mapping: document/stored
    responses: pages
    idempotent: yes
    settings: {{priority: 0}}
    retry: {{first_s: 0.1}}
  unpacker: {{connector: unpack, mapping: document/stored, responses: faxes, idempotent: yes, retry: {{first_s: 0.1}}}}
routes:
  - {{route: pictures are read, when: {{event: document.received, media_type: present}}, to: [reader]}}
  - {{route: documents inside of messages are taken out, when: {{event: document.received, media_type: absent}},
     to: [unpacker]}}
"""


class Place:
    """The folders of a site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.drop = folder / "in"
        self.port = services.free_port()
        for each in (self.config, self.drop):
            each.mkdir()
        (self.config / "site.yaml").write_text(SITE.format(folder=folder, port=self.port, mappings=folder / "mappings"))
        for needed in ("document", "hl7v2", "vocab"):
            shutil.copytree(ROOT / "mappings" / needed, folder / "mappings" / needed)
        self.log = folder / "engine.log"
        self.url = database.address(self.config, {})

    def put(self, name: str, content: bytes) -> None:
        hidden = self.drop / f".{name}"
        hidden.write_bytes(content)
        hidden.rename(self.drop / name)

    @asynccontextmanager
    async def running(self, **environment: str) -> AsyncIterator[EngineProcess]:
        more: Mapping[str, str] = {database.VARIABLE: self.url, **environment}
        process = EngineProcess(self.config, self.log, [self.port], environment=more)
        await process.start()
        try:
            yield process
        finally:
            await process.stop()

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Ledger]:
        async with database.existing(self.config, self.url, partitions=2, outbox=False) as opened:
            yield opened


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def of_channel(ledger: Ledger, channel: str) -> list[Message]:
    return list(await ledger.find(MessageQuery(channel=channel)))


async def test_a_fax_becomes_pages_with_their_parent_and_a_bomb_costs_its_delivery(place: Place, tessdata: str) -> None:
    """Z16, and invariant 10: the bomb delays nobody."""
    async with place.running():
        place.put("bomb.png", sheets.png_bomb(30_000))
        place.put("fax.tif", sheets.fax(sheets.drawn(), sheets.drawn(lines=["Page two"])))
        place.put("list.zip", b"PK\x03\x04")
        async with place.ledger() as ledger:
            await settled(ledger, 4)
            [pages] = await of_channel(ledger, "pages")
            faxes = {message.peer: message for message in await of_channel(ledger, "faxes")}
            assert pages.parent_id == faxes["fax.tif"].id
            document = from_json(pages.raw.reveal())
            assert [page.text for page in document.pages] == ["\n".join(sheets.LINES), "Page two"]
            assert faxes["list.zip"].state is MessageState.REFUSED
            [stuck] = await ledger.deliveries([faxes["bomb.png"].seq])
            assert (stuck.state.value, stuck.findings[0].code) == ("parked", "ocr.too_many_pixels")
            [read] = await ledger.events_of([pages.id])
            [received] = await ledger.events_of([faxes["fax.tif"].id])
            assert (read.type, read.subject_key) == ("document.read", received.subject_key)
            assert isinstance(read.entity, Document)
            assert len(read.entity.perceptual_hash or ()) == 2


@pytest.mark.parametrize("failpoint", ["pump.after_commit", "ocr.after_read", "ocr.after_post"])
async def test_kill_9_during_ocr_loses_nothing_and_makes_no_second_document(
        place: Place, failpoint: str, tessdata: str) -> None:
    """The issue's own words; invariants 1, 2, 8. `ocr.after_read`: nothing of it is stored. `ocr.after_post`: the pages
    are stored and the delivery does not know."""
    place.put("one.tif", sheets.fax(sheets.drawn()))
    place.put("two.pdf", sheets.text_pdf(sheets.LINES))
    async with place.running(**{ENVIRONMENT: f"{failpoint}=kill"}) as process:
        await until(lambda: process._process is not None and process._process.returncode is not None)
    async with place.running(), place.ledger() as ledger:
        await settled(ledger, 4)
        pages = await of_channel(ledger, "pages")
        faxes = await of_channel(ledger, "faxes")
        assert {message.parent_id for message in pages} == {message.id for message in faxes}
        assert len(pages) == len(faxes) == 2
        assert {d.state.value for d in await ledger.deliveries([m.seq for m in faxes])} == {"delivered"}


async def test_a_document_inside_an_hl7_message_is_taken_out_and_read(place: Place) -> None:
    """MDM^T02: acknowledged at once, unpacked and read behind the acknowledgement."""
    async with place.running():
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(b"\x0b" + mdm(ed(sheets.text_pdf(sheets.LINES))) + b"\x1c\r")
        answer = await reader.readuntil(b"\x1c\r")
        assert b"MSA|AA|C-1" in answer
        writer.close()
        async with place.ledger() as ledger:
            await settled(ledger, 3)
            [message] = await of_channel(ledger, "transcriptions")
            [document] = await of_channel(ledger, "faxes")
            [pages] = await of_channel(ledger, "pages")
            assert (document.parent_id, pages.parent_id) == (message.id, document.id)
            assert from_json(pages.raw.reveal()).pages[0].text == "\n".join(sheets.LINES)


def test_a_missing_engine_is_told_by_check_and_does_not_keep_the_site_from_starting(place: Place) -> None:
    site = place.config / "site.yaml"
    site.write_text(site.read_text().replace("priority: 0", "tessdata: /nowhere"))
    said = dragoman("check", "--config", str(place.config))
    assert "ocr.engine_missing" in said.out + said.err
    assert said.code == 0
