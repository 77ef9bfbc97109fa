"""What must hold for the tables as a whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from canonical.findings import Severity
from canonical.model import Action, AppointmentStatus
from connectors.hl7v2 import er7
from mapper import document
from mapper.library import Library
from mapper.mapping import ReadContext
from tests.mappings import tables
from wiring.assembly import formats

SCHEDULING = [f"S{number}" for number in range(12, 28)]


def test_every_table_of_every_site_passes_the_check() -> None:
    grave = [str(each) for each in tables.library().check() if each.severity is not Severity.INFO]
    assert grave == []


@pytest.mark.parametrize("trigger", SCHEDULING)
def test_every_scheduling_event_is_declared(trigger: str) -> None:
    """The event map of spec 3.12: nothing between S12 and S27 is left to chance."""
    assert trigger in tables.library().mapping("hl7v2/siu").triggers


@pytest.mark.parametrize("trigger", SCHEDULING)
def test_every_scheduling_event_has_a_sample(trigger: str) -> None:
    assert [path for path in tables.own_messages("siu_*.hl7")
            if f"|SIU^{trigger}".encode() in path.read_bytes()]


@pytest.mark.parametrize("trigger", ["A01", "A03", "A04", "A05", "A08", "A28", "A31", "A40"])
def test_every_adt_event_has_a_sample_and_a_meaning(trigger: str) -> None:
    (path, *_) = [path for path in tables.own_messages("adt_*.hl7") if path.stem.startswith(f"adt_{trigger.lower()}")]
    types = {event.type for event in tables.read(path.read_bytes(), "hl7v2/adt").events}
    assert types <= {"patient.updated", "patient.merged"}
    assert types


@pytest.mark.parametrize(("name", "pattern"), [
    ("hl7v2/siu", "siu_*.hl7"), ("hl7v2/siu_block", "siu_s2[34].hl7"), ("hl7v2/adt", "adt_*.hl7"),
    ("hl7v2/adt_merge", "adt_a40*.hl7"), ("hl7v2/adt_visit", "adt_*_linked.hl7"),
])
def test_every_row_fires_for_some_sample(name: str, pattern: str) -> None:
    """A row that never gives anything is a mistake or needs a sample."""
    mapping = tables.library().mapping(name)
    own = f"{name}.yaml:"
    silent = {str(mark) for _, mark in mapping.rows if str(mark).startswith(own)}
    for path in tables.own_messages(pattern):
        if tables.sites_of(path):
            continue
        raw = path.read_bytes()
        trigger = raw.split(b"|")[8].split(b"^")[1].decode()
        if not any(spec.type for spec in mapping.triggers.get(trigger, ())):
            continue
        trace = mapping.trace(er7.parse(raw), ReadContext(message_id="m", channel="c", received_at=1))
        if trace.reading.events:
            silent &= set(trace.silent)
    assert [row for row, mark in mapping.rows if str(mark) in silent] == []


def test_every_code_table_names_its_source_and_is_used() -> None:
    library = tables.library()
    used = {each for text in library.files.values() for each in library.vocabs
            if any(f"{cell}: {each}".encode() in text for cell in ("map", "list"))
            or f"extends: {each}\n".encode() in text}
    assert set(library.vocabs) == used
    assert all(vocab.source for vocab in library.vocabs.values())


@pytest.mark.parametrize("name", ["filler_status", "mercy/filler_status"])
def test_every_status_can_be_sent_or_is_named_unsent(name: str) -> None:
    vocab = tables.library().vocabs[name]
    assert {status.value for status in AppointmentStatus} == set(vocab.outward) | vocab.unsent


@pytest.mark.parametrize("status", ["booked", "cancelled", "noshow", "fulfilled", "checked-in", "pending", "waitlist",
                                    "entered-in-error"])
def test_the_status_that_is_sent_is_read_as_the_same(status: str) -> None:
    for name in ("filler_status", "mercy/filler_status"):
        vocab = tables.library().vocabs[name]
        assert vocab.inward[vocab.outward[status].source].canonical == status


def test_sites_explain_why_they_remove_a_row() -> None:
    for path in tables.MAPPINGS.glob("sites/*/*.yaml"):
        node = document.parse(path.read_bytes(), path.name)
        removed = node.get("remove") if isinstance(node, document.Mapping) else None
        if removed is not None:
            assert all(len(str(reason)) > 10 for reason in dict(document.plain(removed)).values())


def test_the_same_message_gives_the_same_bytes_for_the_same_delivery() -> None:
    """MSH-10 is the identity of the delivery and MSH-7 the time of the event, so a repetition is recognised."""
    (event,) = tables.read((tables.MAPPINGS / "hl7v2/samples/siu_s12_full.hl7").read_bytes(), "hl7v2/siu").events
    once, again = (tables.write(event, "hl7v2/siu", "harbor", identity="D-7").wire.emit() for _ in range(2))
    assert once == again
    header = once.split(b"\r")[0].split(b"|")
    assert header[9] == b"D-7"
    assert header[6] == b"20260301120000-0500"


@pytest.mark.parametrize("site", ["", "harbor", "mercy", "lakeside"])
def test_what_is_written_for_a_site_can_be_read_again_for_it(site: str) -> None:
    """The two directions of one table agree."""
    (event,) = tables.read((tables.MAPPINGS / "hl7v2/samples/siu_s12_own_form.hl7").read_bytes(), "hl7v2/siu").events
    writing = tables.write(event, "hl7v2/siu", site)
    assert not writing.fatal
    (again,) = tables.read(writing.wire.emit(), "hl7v2/siu", site).events
    one, two = tables.as_json(event.entity), tables.as_json(again.entity)
    assert again.type == event.type
    for field in ("status", "start", "end", "duration", "comments", "reason"):
        assert two[field] == one[field], field
    assert len(two["participants"]) == len(one["participants"])
    assert two["patient"]["sex"] == one["patient"]["sex"]


def test_a_receiver_of_2_3_gets_sch_11_and_a_receiver_of_2_5_1_gets_tq1() -> None:
    """Spec 3.11"""
    (event,) = tables.read((tables.MAPPINGS / "hl7v2/samples/siu_s12_own_form.hl7").read_bytes(), "hl7v2/siu").events
    old = {line[:3]: line for line in tables.write(event, "hl7v2/siu", "harbor").wire.emit().decode().split("\r")}
    new = {line[:3]: line for line in tables.write(event, "hl7v2/siu", "mercy").wire.emit().decode().split("\r")}
    assert "TQ1" not in old
    assert old["SCH"].split("|")[11] == "^^^20260310143000-0500^20260310150000-0500^R"
    assert new["TQ1"].split("|")[7] == "20260310143000-0500"
    assert new["SCH"].split("|")[11] == ""
    assert (old["MSH"].split("|")[11], new["MSH"].split("|")[11]) == ("2.3", "2.5.1")


def test_what_a_blank_among_action_codes_means_is_said_in_the_overlay(tmp_path: Path) -> None:
    """M05"""
    folder = tmp_path / "mappings"
    shutil.copytree(tables.MAPPINGS, folder)
    site = folder / "sites" / "blank"
    site.mkdir()
    (site / "siu.yaml").write_text(
        "extends: hl7v2/siu\nevents:\n  S14: {event: appointment.modified, set: {mixed_actions: no-change}}\n")
    raw = (folder / "hl7v2/samples/siu_update_mode.hl7").read_bytes()
    reading = Library.load(folder, formats()).mapping("hl7v2/siu", "blank").read(
        er7.parse(raw), ReadContext(message_id="m", channel="c", received_at=0))
    (event,) = [one for one in reading.events if one.type == "appointment.modified"]
    assert event.entity.mixed_actions is Action.NO_CHANGE  # type: ignore[union-attr]  # a visit, or the test fails
