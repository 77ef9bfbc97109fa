"""An MLLP client for analysts: send the messages of a file one by one, and say what the answers mean."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Final

from canonical.findings import Rejection
from connectors.hl7v2.batch import split_batch
from connectors.hl7v2.er7 import Message, Segment, parse
from connectors.hl7v2.escapes import unescape
from console.frame import UserError
from console.views.sent import Answer, Complaint, Sent

START: Final = b"\x0b"
END: Final = b"\x1c\r"
LARGEST: Final = 1 << 20

#: HL7 table 0008.
MEANING: Final = {
    "AA": "accepted", "CA": "stored, will be processed",
    "AE": "processed and found wrong: sent again as it is, it will fail again",
    "CE": "not stored: something in it is wrong",
    "AR": "rejected: not its content, or a kind of message the peer does not take",
    "CR": "not stored: the peer cannot take it now, or does not take such messages",
}
#: HL7 table 0357.
CONDITION: Final = {
    "0": "message accepted", "100": "segment sequence error", "101": "required field missing",
    "102": "data type error", "103": "table value not found", "200": "unsupported message type",
    "201": "unsupported event code", "202": "unsupported processing id", "203": "unsupported version id",
    "204": "unknown key identifier", "205": "duplicate key identifier", "206": "application record locked",
    "207": "application internal error",
}


def messages_of(content: bytes) -> list[bytes]:
    """The messages of a file with segments ended by CR, as the wire wants them. Line feeds are line ends; the headers
    and trailers of a batch are left out, because each message is sent alone."""
    text = content.removeprefix(b"\xef\xbb\xbf").strip(START + END + b" \t\n")
    parts = [part.raw.strip(START + END + b" \t\n") for part in split_batch([text]) if part.is_message]
    return [re.sub(rb"[\r\n\x1c]+", b"\r", part).rstrip(b"\r") + b"\r" for part in parts if part.strip()]


async def send(path: Path, host: str, port: int, timeout_s: float) -> Sent:
    """Send every message of `path`, each after the answer to the one before.

    Raises:
        UserError: no file, no message in it, or nobody listens there.
    """
    messages = messages_of(_content(path))
    if not messages:
        raise UserError(f"{path}: no message in it", "an HL7 v2 message starts with MSH")
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port, limit=LARGEST), timeout_s)
    except (OSError, TimeoutError):
        raise UserError(f"{host}:{port}: nobody answers there",
                        "is the engine running? the port is in config/…/site.yaml") from None
    try:
        answers = [await _exchange(reader, writer, number, message, timeout_s)
                   for number, message in enumerate(messages, 1)]
    finally:
        writer.close()
    return Sent(ok=all(answer.code in {"AA", "CA"} for answer in answers), peer=f"{host}:{port}",
                answers=answers)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, message: bytes,
                    timeout_s: float) -> Answer:
    began = time.perf_counter()
    control_id = _control_id(message)
    try:
        writer.write(START + message + END)
        await writer.drain()
        frame = await asyncio.wait_for(reader.readuntil(END), timeout_s)
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return Answer(number=number, control_id=control_id, code="", took_s=time.perf_counter() - began,
                      meaning="no answer came: the message may or may not be there")
    return _decoded(number, control_id, frame, time.perf_counter() - began)


def _control_id(message: bytes) -> str:
    try:
        return parse(message).segments[0].field(10)
    except Rejection:
        return ""


def _decoded(number: int, control_id: str, frame: bytes, took_s: float) -> Answer:
    body = frame[frame.find(START) + 1:].removesuffix(END)
    raw = body.decode("utf-8", "replace").replace("\r", "\n").rstrip()
    try:
        ack = parse(body)
    except Rejection:
        ack = Message.build()
    msa = ack.first("MSA")
    if msa is None:
        return Answer(number=number, control_id=control_id, code="", took_s=took_s, raw=raw,
                      meaning="the answer is no acknowledgement")
    meaning = MEANING.get(msa.field(1), "a code that table 0008 does not have")
    if msa.field(2) != control_id:
        meaning += "; but it answers another message: MSA-2 is not our MSH-10"
    return Answer(number=number, control_id=control_id, code=msa.field(1), meaning=meaning, took_s=took_s,
                  text=unescape(msa.field(3), ack.delimiters), raw=raw,
                  complaints=[_complaint(ack, segment) for segment in ack.all("ERR")])


def _complaint(ack: Message, segment: Segment) -> Complaint:
    def component(field: int, place: int) -> str:
        parts = segment.field(field).split(ack.delimiters.component)
        return unescape(parts[place - 1], ack.delimiters) if place <= len(parts) else ""

    code = component(3, 1)
    location = segment.field(2).replace(ack.delimiters.component, ".")
    return Complaint(code=code or "ERR", meaning=CONDITION.get(code, component(3, 2) or "unexplained"),
                     location=location, text=unescape(segment.field(8), ack.delimiters))
