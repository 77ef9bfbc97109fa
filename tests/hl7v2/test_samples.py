"""Messages of others: every one is received as it is, and comes out of the codec as it went in."""

from __future__ import annotations

from pathlib import Path

import pytest

from canonical.findings import Rejection
from connectors.hl7v2.batch import split_batch
from connectors.hl7v2.er7 import parse
from connectors.hl7v2.framing import can_be_framed
from connectors.hl7v2.peek import peek
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.settings import MllpIn
from connectors.hl7v2.structure import Group, groups
from tests.conformance.door import Door, until
from tests.hl7v2.messages import sample_files
from tests.hl7v2.mllp import raw_client

#: Files that are no HL7 v2 message at all, and files whose form has something wrong that must be said.
NO_MESSAGE = {"v2-to-fhir__FHIR_bundle.hl7_MDM_T02.json"}
FINDINGS = {
    "data-exchange-hl7__Genv1-Case-TestMessage1.HL7": "hl7.junk_before_header",
    "connect__adt_a01_26.hl7": "hl7.encoding_characters",
    "ruby-hl7__adt_a01.hl7": "hl7.encoding_characters",
    "hl7apy__test_parser_m~2.hl7": "hl7.encoding_characters",
    "healthseven__RSP_K11.hl7": "hl7.encoding_characters",
    "v2tofhir__messages.txt": "hl7.junk_before_header",
    "node-hl7-complete__dft-example.hl7": "hl7.several_headers",
    "data-exchange-hl7__GenV1_Batch_No_headers_eightMSHs.txt": "hl7.several_headers",
    "simhospital__messages.out": "hl7.several_headers",
    "ruby-hl7__empty_segments.hl7": "hl7.not_a_segment",
}


def texts(group: Group) -> list[str]:
    return [segment.text for segment in group.segments] + [text for sub in group.groups for text in texts(sub)]


async def test_every_file_is_received_byte_for_byte() -> None:
    """C05, invariant 3: each over a real socket; none crashes, none is lost. An empty file is an empty frame; of a batch
    every message is an entry of its own, and so is the rest of it (B01, B05)."""
    door = Door()
    files = [path.read_bytes() for path in sample_files()]
    framable = [raw for raw in files if raw.strip() and can_be_framed(raw)]
    assert len(framable) >= len(files) - 1
    receiver = MllpReceiver("samples", MllpIn(port=0), door.accept, door.report)
    await receiver.start()
    async with raw_client(receiver.port) as client:
        for raw in framable:
            door.submissions.clear()
            await client.send(raw)
            parts = list(split_batch([raw]))
            messages = [part.raw for part in parts if part.is_message]
            envelope = b"".join(part.raw for part in parts if not part.is_message)
            expected = [envelope, *messages] if envelope else messages
            await until(lambda expected=expected: len(door.submissions) >= len(expected))
            assert [submission.raw.reveal() for submission in door.submissions] == expected
    await receiver.stop(1.0)


def test_every_file_round_trips_or_is_rejected_with_a_reason() -> None:
    """P13, and what is wrong is said."""
    rejected: dict[str, str] = {}
    found: dict[str, set[str]] = {}
    for path in sample_files():
        raw = path.read_bytes()
        try:
            message = parse(raw)
        except Rejection as rejection:
            rejected[path.name] = rejection.findings[0].code
            continue
        assert message.emit() == raw, path.name
        for segment in message.segments:
            len(segment)
        assert message.emit() == raw, path.name
        found[path.name] = {finding.code for finding in message.findings}
    assert set(rejected.values()) == {"hl7.no_header"}
    assert {name for name in rejected if path_of(name).read_bytes().strip()} == NO_MESSAGE
    assert {name: code for name, code in FINDINGS.items() if code not in found[name]} == {}


def path_of(name: str) -> Path:
    return next(path for path in sample_files() if path.name == name)


def test_every_file_has_a_group_tree_with_all_its_segments() -> None:
    """P10"""
    for path in sample_files():
        if path.name in NO_MESSAGE or not path.read_bytes().strip():
            continue
        message = parse(path.read_bytes())
        assert sorted(texts(groups(message))) == sorted(segment.text for segment in message.segments), path.name


@pytest.mark.parametrize("name", ["msfc-SIU-S12-01.hl7", "node-hl7-complete__siu-example.hl7", "hl7v2__adt_a39.hl7"])
def test_lanes_of_samples_are_patients(name: str) -> None:
    """D03"""
    assert all(lane.startswith("patient:") for lane in peek(path_of(name).read_bytes()).lanes)


def test_a_sample_merge_carries_both_patients() -> None:
    """A39/A40"""
    assert len(peek(path_of("hl7v2__adt_a39.hl7").read_bytes()).lanes) == 2
