"""The tables of ``mappings/``, loaded once, and short ways to use them in tests."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from canonical import schema
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.history import apply
from connectors.hl7v2 import er7
from mapper.library import Library
from mapper.mapping import ReadContext, Reading, WriteContext, Writing
from wiring.assembly import formats

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "mappings"
SHARED = ROOT.parent / "shared" / "samples" / "hl7v2"

CONTEXT = {"sending_application": "DRAGOMAN", "sending_facility": "HUB", "receiving_application": "THERE",
           "receiving_facility": "EAST", "processing_id": "P"}


@cache
def library() -> Library:
    """All tables."""
    return Library.load(MAPPINGS, formats())


def read(raw: bytes, table: str, site: str = "", message_id: str = "m1") -> Reading:
    """What a message says."""
    return library().mapping(table, site).read(
        er7.parse(raw), ReadContext(message_id=message_id, channel="test", received_at=1_770_000_000_000_000))


def write(said: Event, table: str, site: str = "", *, state: AnyEntity | None = None,
          identity: str = "D-1") -> Writing:
    """What an event looks like to a destination."""
    return library().mapping(table, site).write(
        said, WriteContext(identity=identity, now=said.occurred_at, values=CONTEXT), state=state)


def state_of(event: Event) -> AnyEntity:
    """What is known after this event alone."""
    return apply(None, event)


def as_json(entity: Any) -> dict[str, Any]:
    """The JSON form of a canonical value."""
    return dict(json.loads(schema.to_json(entity)))


def sites_of(path: Path) -> str:
    """The site whose sample a file is."""
    parts = path.relative_to(MAPPINGS).parts
    return parts[1] if parts[0] == "sites" else ""


def own_messages(pattern: str) -> list[Path]:
    """Our own sample messages whose name fits."""
    return sorted(path for path in MAPPINGS.rglob("samples/*.hl7") if path.match(pattern))
