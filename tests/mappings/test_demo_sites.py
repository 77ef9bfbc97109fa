"""The two demo EHRs and everything they send, through the tables of the demo's destinations."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.findings import Severity
from canonical.history import apply
from canonical.model import Appointment
from connectors.fhir.validate import validate
from connectors.hl7v2 import er7
from mapper.mapping import ReadContext, Reading
from simulators.ehr import Ehr
from tests.mappings import tables

CHARSETS = {"mercy": "", "lakeside": "8859/1"}
SCHEDULER = {"Appointment": "fhir/scheduling", "Patient": "fhir/patient", "Slot": "fhir/slot"}
HARBOR = {"Appointment": "hl7v2/siu", "Patient": "hl7v2/adt", "Slot": "hl7v2/siu_block"}


def readings(site: str, count: int) -> list[tuple[str, Reading]]:
    found = []
    for sent in islice(Ehr(site, seed=7).histories(wave=40), count):
        table = "hl7v2/adt" if b"|ADT^" in sent.body[:200] else "hl7v2/siu"
        found.append((sent.trigger, tables.library().mapping(table, site).read(
            er7.parse(sent.body, CHARSETS[site]),
            ReadContext(message_id=sent.control_id, channel=site, received_at=1_770_000_000_000_000))))
    return found


@pytest.mark.parametrize("site", ["mercy", "lakeside"])
def test_everything_the_demo_ehrs_send_is_understood_without_a_warning(site: str) -> None:
    grave = [str(found) for _, reading in readings(site, 600) for found in reading.findings
             if found.severity is not Severity.INFO]
    assert grave == []


@pytest.mark.parametrize("site", ["mercy", "lakeside"])
def test_every_message_of_the_demo_ehrs_is_an_event(site: str) -> None:
    assert [trigger for trigger, reading in readings(site, 600) if not reading.events] == []


@pytest.mark.parametrize("site", ["mercy", "lakeside"])
def test_the_scheduler_gets_valid_resources_of_the_whole_state(site: str) -> None:
    states: dict[str, AnyEntity] = {}
    for _, reading in readings(site, 300):
        for event in reading.events:
            state = states[event.subject_key] = apply(states.get(event.subject_key), event)
            writing = tables.write(event, SCHEDULER[type(state).__name__], state=state)
            assert not writing.fatal, [str(each) for each in writing.findings]
            assert [str(each) for each in validate(json.dumps(writing.wire).encode())
                    if each.severity is not Severity.INFO] == []


def for_harbor(event: Event) -> bool:
    """The routes of config/demo/site.yaml."""
    return not event.type.startswith("patient.") or event.type == "patient.updated"


@pytest.mark.parametrize("site", ["mercy", "lakeside"])
def test_harbor_gets_every_event_in_its_own_words(site: str) -> None:
    codes = {row.source for row in tables.library().vocabs["harbor/filler_status"].rows}
    for _, reading in readings(site, 300):
        for event in filter(for_harbor, reading.events):
            writing = tables.write(event, HARBOR[type(event.entity).__name__], "harbor")
            assert not writing.fatal, [str(each) for each in writing.findings]
            segments = {segment.id: segment for segment in writing.wire.segments}
            assert segments["MSH"].field(12) == "2.3"
            if isinstance(event.entity, Appointment) and event.entity.status:
                assert segments["SCH"].field(25) in codes
