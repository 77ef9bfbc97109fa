"""Every sample of the other families, from the door's point of view: what it says, or why not and where.

Samples: ../shared/samples. A channel is given every table there is, by message type, as docs/hl7v2-families.md shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from canonical.event import Event
from canonical.findings import Finding, Rejection, Severity, finding
from connectors.hl7v2 import er7
from connectors.hl7v2.batch import split_batch
from connectors.hl7v2.peek import peek
from mapper.mapping import ReadContext
from router.site import table_for
from tests.mappings import tables
from wiring.codes import NO_TABLE

FOLDERS = ("srm", "ref", "referral_query", "masterfile", "orders", "financial", "query", "other", "adt", "ack")
TABLES = {
    "SIU": "hl7v2/siu", "ADT": "hl7v2/adt", "SRM": "hl7v2/srm", "SRR": "hl7v2/srr", "REF": "hl7v2/ref", "RRI": "hl7v2/rri",
    "RQA": "hl7v2/rqa", "RPA": "hl7v2/rpa", "MFN^M02": "hl7v2/mfn_staff", "MFN^M05": "hl7v2/mfn_location",
    "MDM": "hl7v2/mdm", "ORU": "hl7v2/oru_document", "ORM": "hl7v2/orm", "OMG": "hl7v2/omg", "OML": "hl7v2/oml",
    "BAR": "hl7v2/bar", "DFT": "hl7v2/dft", "QBP^Q22": "hl7v2/qbp_q22", "QBP^Q21": "hl7v2/qbp_q21", "SQM": "hl7v2/sqm",
    "ACK": "hl7v2/ack"}


def read(raw: bytes) -> tuple[tuple[Event, ...], tuple[Finding, ...]]:
    """What the engine makes of one message: as `wiring.translator` does, with these tables."""
    name = table_for(TABLES, peek(raw).message_type)
    if not name:
        return (), (finding(NO_TABLE, at="MSH-9"),)
    try:
        reading = tables.library().mapping(name).read(
            er7.parse(raw), ReadContext(message_id="m1", channel="all", received_at=1_770_000_000_000_000))
    except Rejection as refused:
        return (), refused.findings
    return reading.events, reading.findings


def samples() -> list[Path]:
    if not tables.SHARED.is_dir():
        pytest.skip("no sample messages: ../shared/samples is missing", allow_module_level=True)
    return [path for folder in FOLDERS for path in sorted((tables.SHARED / folder).iterdir())]


def messages(path: Path) -> Iterator[bytes]:
    """The messages of a file, cut as the file receiver cuts them."""
    content = path.read_bytes()
    cut = [part.raw for part in split_batch([content], max_bytes=len(content) + 1) if part.is_message]
    yield from cut or [content]


#: What becomes of each file: the events of its messages in order, or the code of what stands in the way.
#: ``""``: understood, and nothing happened (a result without a document, an order that reports a result).
EXPECTED = {
    "srm/hl7v2__srm_s01.hl7": "request.created",
    "ref/hl7v2__ref_i12.hl7": "referral.received",
    "referral_query/ex_hl7__RQA_I08.hl7": "authorization.required",
    "referral_query/ex_hl7__ZQA_Z02.hl7": "config.no_table",
    "referral_query/ruby-hl7__rqi_r04.hl7": "config.no_table",
    "masterfile/hl7v2__mfn_m02.hl7": "practitioner.added",
    "masterfile/hl7v2__mfn_m05.hl7": "location.added",
    "orders/HL7-V2__Sample-ORM.txt": "request.created",
    "orders/healthcare-data-harmon__oml_o21_ex6.hl7": "map.required",
    "orders/prime-reportstream__hl7_2.6.hl7": "",
    "financial/hl7v2__bar_p01.hl7": "patient.updated coverage.stated",
    "financial/hl7v2__bar_p10.hl7": "patient.updated",
    "financial/hl7v2__dft_p03.hl7": "charge.posted",
    "financial/node-hl7-complete__dft-example.hl7": "charge.posted charge.posted",
    "query/hl7v2__qbp_q21.hl7": "query.asked",
    "query/hl7v2__rsp_k11.hl7": "config.no_table",
    "other/hl7v2__mdm-t02-document.hl7": "document.received",
    "other/v2-to-fhir__Message.hl7_MDM_T02.txt": "document.received",
    "other/hl7__msg2.hl7": "",
    "ack/hl7v2__ack.hl7": "acknowledgement.received",
}

SAMPLES = samples()
NAMES = [f"{path.parent.name}/{path.name}" for path in SAMPLES]


@pytest.mark.parametrize(("name", "path"), list(zip(NAMES, SAMPLES, strict=True)), ids=NAMES)
def test_a_sample_says_something_or_says_where_it_fails(name: str, path: Path) -> None:
    """Never an exception, never silence: events that name their subject, or a grave finding with its place."""
    outcomes = []
    for raw in messages(path):
        events, findings = read(raw)
        grave = [each for each in findings if each.severity is Severity.FATAL]
        assert all(event.subject_key.partition(":")[2] for event in events)
        assert all(each.at or each.row for each in grave)
        assert not (events and grave)
        outcomes += [event.type for event in events] or [each.code for each in grave][:1]
    if name in EXPECTED:
        assert " ".join(outcomes) == EXPECTED[name]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("orders/", "other/"))])
def test_an_order_of_a_sample_asks_for_what_it_names(name: str) -> None:
    """ORC-1 NW: a request with the order's number and its service, for the patient of the message."""
    for raw in messages(tables.SHARED / name):
        for event in read(raw)[0]:
            if event.type == "request.created":
                said = tables.as_json(event.entity)
                assert said["order"][0]["value"].encode() in raw
                assert said["services"][0]["code"]["coding"][0]["code"].encode() in raw
                assert event.patient_key


def fact(name: str, number: int = 0) -> dict[str, object]:
    (raw, *_) = messages(tables.SHARED / name)
    return tables.as_json(read(raw)[0][number].entity)


def test_the_referral_sample_is_read_with_its_facts() -> None:
    said = fact("ref/hl7v2__ref_i12.hl7")
    assert (said["status"], said["priority"], said["category"]) == ("accepted", "routine", "inpatient")
    assert said["referring"] == {"who": {"name": {"family": "Jones", "given": ["Robert", "J"]}}}
    assert said["comments"] == ["Referral for cardiology evaluation"]


def test_the_authorisation_sample_is_read_with_its_facts() -> None:
    """PRD without RF1: RP asks, RT is the payer; IN1 says who is insured where."""
    said = fact("referral_query/ex_hl7__RQA_I08.hl7")
    assert said["requester"] == {"display": "BLAKE MEDICAL CENTER",
                                 "name": {"family": "BLAKE", "given": ["BEVERLY"], "prefix": "DR", "degree": "MD"}}
    assert said["provider"] == {"display": "WASHINGTON STATE INSURANCE COMPANY", "name": {"family": "WSIC"}}
    assert said["coverage"]["group"] == "987654321"  # type: ignore[index]  # JSON
    assert said["services"][0]["code"] == {"coding": [{"code": "45378", "role": "source"}]}  # type: ignore[index]  # JSON


def test_the_master_file_samples_are_read_with_their_facts() -> None:
    staff, place = fact("masterfile/hl7v2__mfn_m02.hl7"), fact("masterfile/hl7v2__mfn_m05.hl7")
    assert staff["names"] == [{"family": "Smith", "given": ["Robert", "J"]}]
    assert (place["name"], place["effective_at"], place["status"]) == (
        "Intensive Care Unit Room 101", "2026-04-08", "active")


def test_the_document_sample_is_read_with_its_facts() -> None:
    said = fact("other/v2-to-fhir__Message.hl7_MDM_T02.txt")
    assert (said["title"], said["completion"], said["availability"]) == ("Discharge Summary", "AU", "AV")
    assert [part["kind"] for part in said["contents"]] == ["TX", "FT", "ST", "ED"]  # type: ignore[attr-defined]  # JSON
    assert "\n" in said["contents"][1]["text"][0]  # type: ignore[index]  # JSON


def test_each_charge_of_a_sample_is_one_event_of_its_patient() -> None:
    """Two messages in one file."""
    cut = list(messages(tables.SHARED / "financial/node-hl7-complete__dft-example.hl7"))
    keys = [event.subject_key for raw in cut for event in read(raw)[0]]
    assert len(keys) == len(set(keys)) == 2
