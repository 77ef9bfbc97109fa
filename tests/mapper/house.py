"""What the tests of this room share: tables, messages and the words to talk about them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from canonical.event import Event
from canonical.findings import Finding
from connectors.fhir.format import fhir_format
from connectors.hl7v2.er7 import Message, parse
from connectors.hl7v2.format import Hl7Format
from connectors.json_format import JsonFormat
from mapper.format import Format
from mapper.library import Library, read_folder
from mapper.mapping import ReadContext, Reading, WriteContext

TABLES = Path(__file__).parent / "tables"
FORMATS: tuple[Format, ...] = (Hl7Format(), fhir_format(), JsonFormat())
CONTEXT = ReadContext(message_id="M1", channel="ward", received_at=1_770_000_000_000_000)
WRITE = WriteContext(identity="D-1", now="2026-03-01T12:00:00+00:00", values={"sending_application": "HUB"})

MSH = "MSH|^~\\&|SCHED|CLINIC|HUB|HOME|20260301120000-0500||SIU^{event}^SIU_S12|C1|P|2.5.1"
BOOKING = (
    MSH,
    "SCH|P1^WEB|F1^CLINIC^1.2.3^ISO||||WHY^Because^L||NORMAL^Normal^HL70277|30|min|^^30^20260310143000-0500|||||||||"
    "77^Reyes^Ines|||||Booked",
    "TQ1|1||||||20260310143000-0500|20260310150000-0500",
    "NTE|1||Bring the list",
    "NTE|2||Salt \\T\\ pepper",
    "PID|1||100^^^CLINIC&1.2.9&ISO^MR~55^^^STATE^SS||Ashby^Nora^Quill||19840517|F|||||^PRN^PH^^1^330^5550142~^^Internet^n@x.example",
    "PV1|1|O||||||||CAR|||||||||V7^^^CLINIC^VN",
    "RGS|1|A",
    "AIS|1|A|93000^ECG^C4|20260310143000-0500|15",
    "NTE|1||Near an outlet",
    "AIL|1||CARD^201",
    "AIP|1|A|88^Okafor^Ada|ATND^Attending^L||||||||Booked",
    "AIP|2||89^Brandt^Jo",
)


def files() -> dict[str, bytes]:
    """The tables as content, to be changed and loaded."""
    return read_folder(TABLES)


@cache
def library() -> Library:
    """The tables as they are."""
    return Library(files(), FORMATS)


def changed(**edits: Any) -> Library:
    """The tables with files replaced: path with ``__`` for ``/`` and without ``.yaml``."""
    content = files()
    for path, text in edits.items():
        content[f"{path.replace('__', '/')}.yaml"] = text.encode()
    return Library(content, FORMATS)


def message(*segments: str, event: str = "S12") -> Message:
    """A message of these segments; the standard booking where none are given."""
    return parse("\r".join((*(segments or BOOKING), "")).replace("{event}", event).encode())


def edited(event: str = "S12", **changes: str | None) -> Message:
    """The standard booking with fields changed: ``SCH_25="Cancelled"``; None takes the whole segment out."""
    wire = message(event=event)
    for place, text in changes.items():
        name, _, number = place.partition("_")
        if text is None:
            wire.segments[:] = [segment for segment in wire.segments if segment.id != name]
            continue
        segment = wire.first(name)
        assert segment is not None
        segment.set(int(number), text)
    return wire


def read(wire: Any, name: str = "hl7v2/visit", site: str = "") -> Reading:
    """What the table makes of it."""
    return library().mapping(name, site).read(wire, CONTEXT)


def only(reading: Reading) -> Event:
    """The only event."""
    assert len(reading.events) == 1, [str(found) for found in reading.findings]
    return reading.events[0]


def codes(findings: tuple[Finding, ...] | list[Finding]) -> list[str]:
    """The codes of findings, sorted."""
    return sorted(found.code for found in findings)
