"""Z12, invariant 12: nothing of a patient in logs, metrics, findings, exception texts, answers, queue names, routing
keys and default events, and on no screen that was not asked to reveal.

Canaries go over every channel of a running engine, in messages of every fate, to partners that quote them back;
then everything that can be seen from outside is searched for them.
"""

from __future__ import annotations

from base64 import b64encode

import pytest
import structlog

from tests.security.canaries import leaks
from tests.security.stage import MESSAGES, QUOTE, Evidence, collect

pytestmark = [pytest.mark.slow, pytest.mark.rabbitmq, pytest.mark.timeout(240)]

#: Every surface, with something that it shows: an empty one would pass every search.
SURFACES = {
    "log": ['"event": "library"', "aiohttp"],
    "metrics": ['dragoman_messages{state="parked"}', 'reason="map.unmapped"'],
    "findings": ["map.unmapped", "time.invalid", "fhir.refused", "mllp.refused"],
    "records": ["Message(", "Delivery(", "Attempt(", "Event(", "Decision("],
    "exceptions": ["Rejection", "config.no_table", "json.malformed"],
    "answers": ["MSA|AA|GOOD", "MSA|AR|TEST", "ERR|", "404", "413", "415", "400"],
    "broker": ["appointment.booked.mllp", ".partition.1", ".workers"],
    "events": ["appointment.booked.mllp", '"entity":"Appointment"'],
    "files beside": ["file.no_header", "file.too_large"],
    "dragoman messages": ["UNMAPPED", "map.unmapped", "held"],
    "dragoman parked": ["map.unmapped", "delivery.rejected"],
    "dragoman replay": ["map.unmapped"],
    "dragoman show": ["map.unmapped", "‹phi›", "appointment.booked", "a line that is no segment"],
    "dragoman audit": ["replay"],
}


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory, rabbitmq_url: str) -> Evidence:
    return collect(tmp_path_factory.mktemp("canaries"), rabbitmq_url)


@pytest.mark.parametrize("surface", SURFACES)
def test_no_canary_is_seen(evidence: Evidence, surface: str) -> None:
    text = evidence.seen[surface].decode("utf-8", "replace")
    missing = [mark for mark in SURFACES[surface] if mark not in text]
    assert not missing, "the surface does not show what it should, so the search would prove nothing"
    assert leaks(evidence.seen[surface]) == []


def test_every_surface_is_searched(evidence: Evidence) -> None:
    assert set(evidence.seen) == set(SURFACES)


def test_every_fate_was_met(evidence: Evidence) -> None:
    """Good, broken, unmapped, refused for P, T and D, oversize, without header, and what partners did to them."""
    states = evidence.states
    assert {name: states[f"mllp {name}"] for name in MESSAGES} == {
        **dict.fromkeys(MESSAGES, ("processed", "")),
        "READBUG": ("parked", "route.internal_error"),
        "UNMAPPED": ("parked", "map.unmapped"),
        "BADTIME": ("parked", "map.required"),
        "BADTYPE": ("parked", "map.unknown_event"),
        "BROKEN": ("parked", "map.no_subject"),
        "LATIN": ("parked", "map.undecodable"),
        "TEST": ("refused", "receive.processing_id"),
        "DEBUG": ("refused", "receive.processing_id"),
        "WRONGTYPE": ("refused", "receive.unsupported_type"),
    }
    assert states["mllp OVERSIZE"] == ("refused", "mllp.frame_too_large")
    assert {(where, fate, why) for where, fate, why in evidence.deliveries if fate == "parked"} >= {
        ("harbor", "parked", "delivery.rejected"), ("harbor", "parked", "delivery.unknown"),
        ("harbor", "parked", "delivery.unwritable"),
        ("scheduler", "parked", "delivery.rejected"), ("scheduler", "parked", "delivery.unwritable")}
    for partner in ("harbor", "scheduler"):
        assert {manner for who, manner in evidence.manners if who == partner} == {
            "rejected", "unknown", "garbage", "wrongid"}


@pytest.mark.parametrize("before", range(6))
def test_the_search_finds_a_planted_leak(before: int) -> None:
    """In any case, folded by a screen, in hex, and in base64 wherever it begins."""
    raw = b"x" * before + QUOTE.encode()
    for planted in (raw, raw.lower(), raw.upper(), raw.hex().encode(), b64encode(raw), b"zeb\n \xe2\x94\x82 ulonia"):
        assert leaks(b"{...} " + planted + b" {...}"), planted
    assert leaks(b"{...}" + b"x" * before) == []


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_carries_canaries_of_every_kind(name: str) -> None:
    found = "".join(leaks(MESSAGES[name])).lower()
    assert all(stem in found for stem in ("quokka", "zebulonia", "cnryx", "7430918", "axolotlgasse", "narwhalnote"))


def test_a_leak_into_the_log_would_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    """An allowed key with the wrong value passes the list of keys: only this search stands behind it."""
    from wiring import logs

    try:
        logs.configure()
        structlog.get_logger().warning("refused", hint="Quokka was here", patient="Zebulonia")
    finally:
        structlog.reset_defaults()
    (line,) = capsys.readouterr().err.splitlines()
    assert len(leaks(line)) >= 1
    assert "zebulonia" not in line.lower()
