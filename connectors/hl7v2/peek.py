"""What can be known of a message at the door, from its bytes, in a few microseconds and without failing.

Lanes keep the order of what belongs together (D03): all messages about a patient, and for a merge those of
both patients. They need not be right for every sender, only the same for the same subject.
"""

from __future__ import annotations

import hashlib
from typing import Final

from canonical.findings import Severity, declare, finding
from connectors.base import Peek
from connectors.hl7v2.batch import fields_of
from connectors.hl7v2.er7 import NO_HEADER
from connectors.hl7v2.header import Header, Marks, narrow, read_header

NO_CONTROL_ID: Final = declare(
    "hl7.no_control_id", Severity.WARNING,
    "MSH-10 is empty, so this message cannot be recognised when it is sent again",
    "Have the sender fill MSH-10; until then a repeated message has its effect twice.")
NO_MESSAGE_TYPE: Final = declare(
    "hl7.no_message_type", Severity.WARNING,
    "MSH-9 is empty, so no mapping can be chosen by it",
    "Have the sender fill MSH-9, or name the mapping in the channel.")

_PREFERRED: Final = (b"MR", b"PI")
_PATIENT: Final = ((b"PID", (3, 2, 4)), (b"MRG", (1, 4, 2)))
"""Segments that name a patient, and the fields to try. MRG names the one that is merged away."""
_APPOINTMENT: Final = ((b"SCH", (2, 1)), (b"ARQ", (2, 1)))
"""Filler's id first: it is the one that stays."""


def peek(raw: bytes) -> Peek:
    """Peek at a message (see `connectors.base.Peek`). Never raises, whatever the bytes."""
    raw = narrow(raw)
    return peek_with(read_header(raw), raw)


def peek_with(header: Header | None, raw: bytes) -> Peek:
    """`peek`, where the header of `raw` has been read already."""
    if header is None:
        return Peek(lanes=(_own_lane(raw),), findings=(finding(NO_HEADER, at="byte 0"),))
    control_id = header.field(10)
    code, event = header.component(9, 1), header.component(9, 2)
    findings = []
    if not control_id:
        findings.append(finding(NO_CONTROL_ID, at="MSH-10"))
    if not code:
        findings.append(finding(NO_MESSAGE_TYPE, at="MSH-9"))
    return Peek(
        message_type=_text(code + b"^" + event if event else code),
        control_id=_text(control_id),
        sender=_text(header.field(3) + b"|" + header.field(4)),
        lanes=_lanes(raw, header),
        processing_id=_text(header.component(11, 1)),
        version=_text(header.component(12, 1)),
        charset=_text(header.component(18, 1)),
        dedup=_dedup(raw, header) if control_id else b"",
        findings=tuple(findings),
    )


def peek_envelope(raw: bytes, whole: bytes) -> Peek:
    """The same for the headers and trailers of a batch; `whole` is the batch with its messages, by which it is known
    when it comes again."""
    fields = [*fields_of(raw), *[b""] * 12]
    return Peek(message_type=_text(fields[0][:3]), control_id=_text(fields[11].strip()),
                sender=_text(fields[3] + b"|" + fields[4]), lanes=(_own_lane(whole),),
                dedup=hashlib.sha256(b"batch\r" + whole).digest())


def _dedup(raw: bytes, header: Header) -> bytes:
    """SHA-256 over sender and control id, and over the content with MSH-7 and MSH-10 left out (D01)."""
    fields = header.fields
    digest = hashlib.sha256(b"\r".join((fields[9], *fields[1:6], *fields[7:9], *fields[10:])))
    digest.update(raw[header.end:])
    return digest.digest()


def _lanes(raw: bytes, header: Header) -> tuple[str, ...]:
    lanes = [lane for name, numbers in _PATIENT for lane in _named(raw, header, name, numbers, "patient")]
    if not lanes:
        lanes = [lane for name, numbers in _APPOINTMENT
                 for lane in _named(raw, header, name, numbers, "appointment")][:1]
    if not lanes:
        return (_answering(raw, header) or _own_lane(raw),)
    return (lanes[0],) if len(lanes) == 1 else tuple(dict.fromkeys(lanes))


def _answering(raw: bytes, header: Header) -> str:
    """The lane of all that is said of one message of ours (MSA-2); empty for what answers nothing."""
    at = raw.find(b"MSA" + header.marks.field, header.end)
    if at < 0 or raw[at - 1] not in b"\r\n":
        return ""
    fields = _line(raw, at).split(header.marks.field, 3)
    return "acknowledgement:" + _text(fields[2].strip()) if len(fields) > 2 and fields[2].strip() else ""


def _named(raw: bytes, header: Header, name: bytes, numbers: tuple[int, ...], kind: str) -> list[str]:
    """The lanes that all segments `name` give, from the first of the fields `numbers` that says something."""
    lanes = []
    separator = header.marks.field
    needle = name + separator
    at = raw.find(needle, header.end)
    while at >= 0:
        if raw[at - 1] in b"\r\n":
            fields = _line(raw, at).split(separator, 5)
            for number in numbers:
                if number < len(fields) and fields[number] and (
                        key := _identity(fields[number], header.marks, kind == "patient")):
                    lanes.append(f"{kind}:{key}")
                    break
        at = raw.find(needle, at + 4)
    return lanes


def _line(raw: bytes, start: int) -> bytes:
    end = raw.find(b"\r", start)
    line = raw[start:end] if end >= 0 else raw[start:]
    return line.split(b"\n", 1)[0] if b"\n" in line else line


def _identity(field: bytes, marks: Marks, patient: bool) -> str:
    """``ASSIGNER|VALUE`` of the identifier (CX, EI) to go by; empty if there is none."""
    chosen: list[bytes] = []
    for text in field.split(marks.repetition) if marks.repetition else (field,):
        parts = text.split(marks.component) if marks.component else [text]
        if not parts[0].strip() or parts[0] == b'""':
            continue
        if patient and len(parts) > 4 and parts[4].strip() in _PREFERRED:
            chosen = parts
            break
        chosen = chosen or parts
    if not chosen:
        return ""
    if patient:  # CX-4 is an HD
        assigner = chosen[3] if len(chosen) > 3 else b""
        names = assigner.split(marks.subcomponent) if marks.subcomponent else [assigner]
    else:  # EI-2 and EI-3
        names = chosen[1:3]
    return _text(next((name for name in names if name), b"") + b"|" + chosen[0])


def _own_lane(raw: bytes) -> str:
    return "message:" + hashlib.sha256(raw).hexdigest()[:32]


def _text(raw: bytes) -> str:
    """Text that any database takes: no lone surrogates, no NUL."""
    text = raw.decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00") if "\0" in text else text
