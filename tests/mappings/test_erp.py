"""What the workforce system gets, and what it must never get."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from canonical.model import Appointment
from tests.mappings import tables

SOURCES = tables.own_messages("siu_*.hl7")

#: What the partner accepts; nothing else may be there.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["document", "kind", "event", "occurred_at", "booking", "state", "unit", "period", "minutes"],
    "properties": {
        "document": {"type": "string"}, "kind": {"const": "staffing-demand"}, "event": {"type": "string"},
        "occurred_at": {"type": "string"}, "booking": {"type": "string"},
        "state": {"enum": ["planned", "used", "lost", "withdrawn"]},
        "facility": {"type": "string"}, "unit": {"type": "string"}, "cost_centre": {"type": "string"},
        "period": {"type": "object", "additionalProperties": False, "required": ["start"],
                   "properties": {"start": {"type": "string"}, "end": {"type": "string"}}},
        "minutes": {"type": "integer"},
        "services": {"type": "array", "items": {
            "type": "object", "additionalProperties": False,
            "properties": {"code": {"type": "string"}, "name": {"type": "string"}}}},
        "staff": {"type": "array", "items": {
            "type": "object", "additionalProperties": False, "required": ["count"],
            "properties": {"job": {"type": "string"}, "minutes": {"type": "integer"}, "count": {"type": "integer"}}}},
    },
}


def demands(path: Path) -> list[dict[str, Any]]:
    found = []
    for event in tables.read(path.read_bytes(), "hl7v2/siu", tables.sites_of(path)).events:
        if isinstance(event.entity, Appointment):
            writing = tables.write(event, "erp/staffing_demand", state=tables.state_of(event))
            if not writing.fatal:
                found.append(dict(writing.wire))
    return found


DEMANDS = [(path.stem, demand) for path in SOURCES for demand in demands(path)]


@pytest.mark.parametrize(("name", "demand"), DEMANDS, ids=[name for name, _ in DEMANDS])
def test_a_demand_fits_the_schema_of_the_partner(name: str, demand: dict[str, Any]) -> None:
    jsonschema.validate(demand, SCHEMA)


@pytest.mark.parametrize(("name", "demand"), DEMANDS, ids=[name for name, _ in DEMANDS])
def test_a_demand_says_nothing_about_the_patient(name: str, demand: dict[str, Any]) -> None:
    """A8.7: every datum of the patients in our samples is looked for in the whole body."""
    text = json.dumps(demand)
    for datum in ("R100200", "Ashby", "Nora", "1984", "Alder", "Millbrook", "5550142", "nora", "V778", "MH30045",
                  "Delacroix", "Rene", "1971", "Harbor Ln", "L-9912", "OYELARAN", "TUNDE", "1965", "PIER", "5550110"):
        assert datum not in text


def test_enough_demands_are_looked_at() -> None:
    assert len(DEMANDS) >= 10
    assert any(demand["state"] == "withdrawn" for _, demand in DEMANDS)
