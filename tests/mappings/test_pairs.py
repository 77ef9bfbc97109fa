"""Real messages, and what another converter made of them, fact by fact.

`docs/pairs.md` lists every disagreement with its reason; this test holds the list to be exactly the true one.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canonical.event import Event
from canonical.findings import Severity
from canonical.model import Appointment, Patient
from connectors.fhir.validate import validate
from tests.mappings import facts, tables

PAIRS = sorted(path for kind in ("SIU", "ADT") for path in (tables.SHARED / "pairs").glob(f"msfc-{kind}*.hl7"))
LOOSE = sorted(path for folder in ("siu", "adt") for path in (tables.SHARED / folder).glob("*"))
#: Other families, with the table that reads them.
FAMILIES = {"REF": "ref", "ORM": "orm", "OMG": "omg", "OML": "oml", "MDM": "mdm", "BAR": "bar", "DFT": "dft"}
OTHERS = sorted(path for kind in FAMILIES for path in (tables.SHARED / "pairs").glob(f"msfc-{kind}-*.hl7"))
DOCUMENT = tables.ROOT / "docs" / "pairs.md"

pytestmark = pytest.mark.skipif(not PAIRS, reason="the shared sample messages (../shared/samples) are not here")


def named(path: Path) -> str:
    return path.stem.removeprefix("msfc-")


def listed(heading: str) -> set[tuple[str, ...]]:
    """The first two cells of each row of one table of the document."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return {tuple(cell.strip() for cell in row[:2]) for row in rows[2:]}


def events_of(path: Path, site: str = "") -> tuple[Event, ...]:
    raw = path.read_bytes()
    table = "hl7v2/adt" if b"|ADT^" in raw[:2000] else "hl7v2/siu"
    reading = tables.read(raw, table, site)
    return reading.events


def facts_of(event: Event) -> facts.Facts:
    entity = tables.as_json(event.entity)
    return facts.of_appointment(entity) if isinstance(event.entity, Appointment) else facts.of_patient(entity)


@pytest.mark.parametrize("path", PAIRS, ids=named)
def test_every_message_of_the_pairs_becomes_one_event(path: Path) -> None:
    (event,) = events_of(path)
    assert event.subject_key
    assert event.version.at
    assert isinstance(event.entity, Appointment if "SIU" in path.name else Patient)


def test_disagreements_are_exactly_those_listed() -> None:
    """Only what the other converter states is compared: it does not map everything either."""
    found = set()
    for path in PAIRS:
        theirs = facts.of_bundle(json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8")))
        (event,) = events_of(path)
        ours = facts_of(event)
        found |= {(named(path), fact) for fact, value in theirs.items() if ours.get(fact) != value}
    assert found == listed("Disagreements")


def test_disagreements_of_the_other_families_are_exactly_those_listed() -> None:
    """Who the person is and which visit; a message without an event is listed as such."""
    found, unread = set(), set()
    for path in OTHERS:
        theirs = facts.of_family(json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8")))
        said = tables.read(path.read_bytes(), f"hl7v2/{FAMILIES[named(path)[:3]]}").events
        if not said:
            unread.add((named(path),))
            continue
        ours = facts.of_family_entity(tables.as_json(said[0].entity))
        found |= {(named(path), fact) for fact, value in theirs.items() if ours.get(fact) != value}
    assert found == listed("Other families")
    assert unread == {cells[:1] for cells in listed("Other families: no event")}


def test_enough_is_compared() -> None:
    """So that the test above cannot pass for want of facts."""
    compared = [fact for path in PAIRS for fact in facts.of_bundle(
        json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8")))]
    assert len(compared) >= 180
    assert {"identifiers", "start", "end", "status", "practitioners", "places", "equipment", "services",
            "patient_identifiers", "merged_away", "admitted", "visit_place"} <= set(compared)


@pytest.mark.parametrize("path", PAIRS, ids=named)
def test_the_fhir_of_every_pair_is_valid(path: Path) -> None:
    """H29: base R4 with its invariants."""
    (event,) = events_of(path)
    table = "fhir/scheduling" if isinstance(event.entity, Appointment) else "fhir/patient"
    writing = tables.write(event, table, state=tables.state_of(event))
    assert not writing.fatal
    found = [str(each) for each in validate(json.dumps(writing.wire).encode())
             if each.severity is not Severity.INFO]
    assert found == []


@pytest.mark.parametrize(("name", "start"), [
    ("SIU-S12-01", "2021-09-24T09:30:00+02:15"),
    ("SIU-S13-02", "2021-08-20T11:30+02:15"),
    ("SIU-S26-01", "2021-09-24T09:30:00+02:15"),
])
def test_the_offset_and_the_precision_of_the_sender_are_kept(name: str, start: str) -> None:
    """T01, T07: the other converter rewrites +02:15 as +05:30 and invents seconds."""
    (event,) = events_of(tables.SHARED / "pairs" / f"msfc-{name}.hl7")
    assert isinstance(event.entity, Appointment)
    assert event.entity.start == start


def test_the_stale_sch_11_is_reported_and_not_used() -> None:
    """Rule 8: TQ1 counts, the contradiction is shown."""
    reading = tables.read((tables.SHARED / "pairs" / "msfc-SIU-S12-01.hl7").read_bytes(), "hl7v2/siu")
    assert {each.field for each in reading.findings if each.code == "map.conflict"} >= {"start", "end", "duration"}


#: Triggers that the tables ignore on purpose (docs/hl7v2-families.md).
FILTERED = ("A17", "A20")


@pytest.mark.parametrize("path", LOOSE, ids=lambda path: path.name)
def test_the_other_messages_become_events_or_are_listed(path: Path) -> None:
    """They come from nobody we know, so a site with a zone reads them."""
    expected = {cells[0]: cells[1] for cells in listed("Parked")}
    raw = path.read_bytes()
    table = "hl7v2/adt" if b"|ADT^" in raw[:2000] else "hl7v2/siu"
    reading = tables.read(raw, table, "lakeside")
    if reading.events or any(f"|ADT^{trigger}".encode() in raw[:2000] for trigger in FILTERED):
        assert not any(each.severity is Severity.FATAL for each in reading.findings)
        assert path.name not in expected
        return
    codes = {each.code for each in reading.findings if each.severity is Severity.FATAL}
    assert expected.get(path.name) in codes
