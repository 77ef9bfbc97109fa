"""Reading as a delivery: what comes of it, once, and what is said where nothing does."""

from __future__ import annotations

import asyncio
import base64

import pytest

from canonical.findings import Finding
from canonical.page import from_json
from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Peek, Rejected, Retry, Unavailable
from connectors.fax.unpack import UnpackOut, UnpackSender
from connectors.ocr.process import missing
from connectors.ocr.sender import OcrSender
from connectors.ocr.settings import OcrOut
from tests.ocr import sheets

PDF = sheets.text_pdf(sheets.LINES)


class Ledger:
    """`connectors.inside.House`, in memory."""

    def __init__(self, **messages: bytes) -> None:
        self.messages = messages
        self.posted: dict[bytes, tuple[bytes, Peek, str, Finding | None]] = {}
        self.away = False

    async def fetch(self, message_id: str) -> bytes | None:
        if self.away:
            raise Unavailable
        return self.messages.get(message_id)

    async def post(self, raw: bytes, peek: Peek, parent_id: str, refusal: Finding | None = None) -> None:
        if self.away:
            raise Unavailable
        assert peek.dedup, "a repetition must be recognised"
        self.posted.setdefault(peek.dedup, (raw, peek, parent_id, refusal))


def order(message_id: str) -> Dispatch:
    return Dispatch(identity="d", body=Phi(b'{"message_id":"%s","media_type":"x"}' % message_id.encode()),
                    content_type="application/json")


async def test_the_pages_come_back_with_their_parent_and_only_once() -> None:
    """Invariant 8: a repetition, after whatever death, is the same message."""
    house = Ledger(m1=PDF)
    sender = OcrSender("reader", OcrOut(priority=0), house)
    await sender.start()
    assert [await sender.send(order("m1")) for _ in range(2)] == [Delivered("read")] * 2
    [(raw, peek, parent, refusal)] = house.posted.values()
    assert (peek.message_type, parent, refusal) == ("PAGES^OCR", "m1", None)
    assert from_json(raw).pages[0].text == "\n".join(sheets.LINES)
    await sender.stop(1)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"message_id":"nobody"}', b"[1]", b"\xff"])
async def test_an_order_that_names_no_stored_document_is_for_a_person(body: bytes) -> None:
    for sender in (OcrSender("reader", OcrOut(), Ledger()), UnpackSender("unpack", UnpackOut(), Ledger())):
        await sender.start()
        outcome = await sender.send(Dispatch(identity="d", body=Phi(body), content_type="x"))
        assert isinstance(outcome, Rejected)
        assert outcome.code in {"ocr.no_document", "fax.no_message"}


async def test_a_document_of_which_nothing_can_be_read_is_for_a_person() -> None:
    sender = OcrSender("reader", OcrOut(), Ledger(m1=sheets.png_bomb(), m2=b"%PDF-1.7"))
    await sender.start()
    for message, code in (("m1", "ocr.too_many_pixels"), ("m2", "ocr.damaged")):
        outcome = await sender.send(order(message))
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.channel_wide) == (code, False)


async def test_a_document_with_too_many_bytes_is_not_read() -> None:
    sender = OcrSender("reader", OcrOut(max_bytes=100), Ledger(m1=PDF))
    await sender.start()
    outcome = await sender.send(order("m1"))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "ocr.too_large"


async def test_without_an_engine_the_destination_stops_and_a_text_layer_is_still_read() -> None:
    """A missing engine is told at the start, stops what needs it, and nothing else."""
    settings = OcrOut(tessdata="/nowhere")
    assert [found.code for found in missing(settings)] == ["ocr.engine_missing"]
    sender = OcrSender("reader", settings, Ledger(m1=PDF, m2=sheets.saved(sheets.drawn())))
    await sender.start()
    assert await sender.send(order("m1")) == Delivered("read")
    outcome = await sender.send(order("m2"))
    assert isinstance(outcome, Rejected)
    assert outcome.channel_wide


async def test_while_the_ledger_is_away_it_is_tried_again_for_nothing() -> None:
    house = Ledger(m1=PDF)
    house.away = True
    for sender in (OcrSender("reader", OcrOut(), house), UnpackSender("unpack", UnpackOut(), house)):
        await sender.start()
        outcome = await sender.send(order("m1"))
        assert isinstance(outcome, Retry)
        assert outcome.free


async def test_stopping_breaks_off_a_reading_which_is_then_a_free_retry() -> None:
    house = Ledger(m1=sheets.saved(sheets.drawn()))
    sender = OcrSender("reader", OcrOut(), house)
    await sender.start()
    reading = asyncio.create_task(sender.send(order("m1")))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await sender.stop(0.01)
        outcome = await reading
    assert isinstance(outcome, Retry)
    assert outcome.free
    assert isinstance(await sender.send(order("m1")), Retry)
    assert not house.posted


# -- documents inside of HL7 v2 messages


def mdm(*values: str) -> bytes:
    observations = "".join(f"OBX|{at}|ED|11490-0^Summary^LN||{value}||||||F\r" for at, value in enumerate(values, 1))
    return ("MSH|^~\\&|EHR|MERCY|HUB|X|20260302070000||MDM^T02^MDM_T02|C-1|P|2.5.1\rPID|1||7^^^MERCY^MR\r"
            f"TXA|1|CN|AP|||||||||DOC-1\r{observations}").encode()


def ed(content: bytes, encoding: str = "Base64") -> str:
    text = content.hex() if encoding == "Hex" else base64.b64encode(content).decode()
    return f"EHR^application^pdf^{encoding}^{text}"


async def test_each_document_inside_a_message_becomes_a_message_with_its_parent() -> None:
    house = Ledger(m1=mdm(ed(PDF), ed(sheets.png_bomb(64), "Hex"), ed(PDF)))
    sender = UnpackSender("unpack", UnpackOut(), house)
    await sender.start()
    for _ in range(2):
        assert await sender.send(order("m1")) == Delivered("unpacked", "3")
    assert [raw for raw, _, _, _ in house.posted.values()] == [PDF, sheets.png_bomb(64), PDF]
    assert {parent for _, _, parent, _ in house.posted.values()} == {"m1"}
    assert [peek.message_type for _, peek, _, _ in house.posted.values()] == ["DOCUMENT^PDF", "DOCUMENT^PNG", "DOCUMENT^PDF"]
    await sender.stop(1)


async def test_base64_with_line_breaks_in_any_of_the_ways_in_which_they_are_sent() -> None:
    text = base64.b64encode(PDF).decode()
    broken = "\\.br\\".join(text[at:at + 76] for at in range(0, len(text), 76))
    house = Ledger(m1=mdm(f"^^^Base64^{broken}"), m2=mdm(f"^^^base64^{text[:40]} {text[40:]}"))
    sender = UnpackSender("unpack", UnpackOut(), house)
    for message in ("m1", "m2"):
        assert await sender.send(order(message)) == Delivered("unpacked", "1")
    assert [raw for raw, _, _, _ in house.posted.values()] == [PDF, PDF]


@pytest.mark.parametrize(("raw", "code", "at"), [
    (mdm("^^^Base64^***CANARY"), "fax.encoding", "OBX(1)-5(1)"),
    (mdm(ed(PDF), "^^^Hex^zz"), "fax.encoding", "OBX(2)-5(1)"),
    (mdm("^^^uuencode^abc"), "fax.encoding", "OBX(1)-5(1)"),
    (mdm(), "fax.nothing_inside", ""),
    (mdm("^^^Base64^"), "fax.nothing_inside", ""),
    (b"no message", "hl7.no_header", None),
    (mdm(ed(b"x" * 5000)), "fax.inside_too_large", "OBX(1)-5(1)"),
])
async def test_what_cannot_be_unpacked_is_said_with_its_place(raw: bytes, code: str, at: str | None) -> None:
    house = Ledger(m1=raw)
    outcome = await UnpackSender("unpack", UnpackOut(max_bytes=4_000), house).send(order("m1"))
    assert isinstance(outcome, Rejected)
    assert outcome.finding.code == code
    assert at is None or outcome.finding.at == at
    assert "CANARY" not in str(outcome.finding)
    assert not house.posted


async def test_an_archive_inside_a_message_is_kept_and_refused() -> None:
    """Z16: it is never opened."""
    house = Ledger(m1=mdm(ed(b"PK\x03\x04" + b"\0" * 50)))
    assert isinstance(await UnpackSender("unpack", UnpackOut(), house).send(order("m1")), Delivered)
    [(_, _, _, refusal)] = house.posted.values()
    assert refusal is not None
    assert refusal.code == "fax.archive"
