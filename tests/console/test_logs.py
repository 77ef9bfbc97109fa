"""Z12: structured logs with an allow-list of keys."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from canonical.phi import Phi
from wiring.logs import ALLOWED, allow, configure

CANARY = "ZZCANARYSON"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure(stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def _parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_log_line_is_one_json_object_with_known_keys(lines: io.StringIO) -> None:
    structlog.get_logger().info("message.parked", channel="mercy", code="map.required", count=3)
    (line,) = _parsed(lines)
    assert (line["event"], line["channel"], line["count"]) == ("message.parked", "mercy", 3)
    assert set(line) <= ALLOWED


def test_an_unknown_key_is_dropped_and_the_loss_is_counted(lines: io.StringIO) -> None:
    structlog.get_logger().warning("delivery.retry", patient=CANARY, mrn=CANARY, destination="fhir")
    (line,) = _parsed(lines)
    assert CANARY not in lines.getvalue()
    assert (line["destination"], line["dropped"]) == ("fhir", 2)


@pytest.mark.parametrize("value", [CANARY.encode(), Phi(CANARY), [CANARY], {"name": CANARY},
                                   ValueError(CANARY), CANARY * 50])
def test_what_is_no_plain_word_is_named_by_its_type(lines: io.StringIO, value: object) -> None:
    structlog.get_logger().info("x", reason=value)
    assert CANARY not in lines.getvalue()
    assert _parsed(lines)[0]["reason"] == f"<{type(value).__name__}>"


def test_an_exception_is_named_by_type_and_place_never_by_its_text(lines: io.StringIO) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        structlog.get_logger().exception("task.failed", task="pump")
    (line,) = _parsed(lines)
    assert CANARY not in lines.getvalue()
    assert line["error"] == "ValueError"
    assert "test_logs.py:" in line["where"]


def test_a_library_may_not_speak_its_mind(lines: io.StringIO) -> None:
    """Their formats embed what they were given: a URL with a search, a frame."""
    logging.getLogger("aiohttp.access").error("GET /Patient?family=%s", CANARY)
    (line,) = _parsed(lines)
    assert CANARY not in lines.getvalue()
    assert (line["event"], line["logger"], line["level"]) == ("library", "aiohttp.access", "error")


@given(st.dictionaries(st.text(max_size=12), st.one_of(st.text(), st.binary(), st.integers(), st.none())))
def test_whatever_is_logged_only_allowed_keys_and_plain_values_remain(entry: dict[str, Any]) -> None:
    kept = allow(None, "info", dict(entry))
    assert set(kept) <= ALLOWED
    assert all(value is None or isinstance(value, str | int | float | bool) for value in kept.values())
