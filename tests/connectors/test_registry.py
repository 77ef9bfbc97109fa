"""The registry: every connector by name, its settings as schema and page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connectors.base import ConnectorSpec
from connectors.registry import CONNECTORS, page, schema

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("spec", CONNECTORS.values(), ids=lambda spec: f"{spec.name}-{spec.direction}")


def test_each_is_found_by_name_and_direction() -> None:
    assert set(CONNECTORS) == {("mllp", "in"), ("http", "in"), ("file", "in"), ("mllp", "out"), ("http", "out"),
                               ("fhir", "out"), ("file", "out"), ("core", "out"), ("ocr", "out"), ("unpack", "out"),
                               ("answers", "in"), ("mail", "in"), ("sftp", "in"), ("sftp", "out"), ("core", "in")}
    for (name, direction), spec in CONNECTORS.items():
        assert (spec.name, spec.direction) == (name, direction)


@EVERY
def test_settings_have_a_schema_that_refuses_unknown_keys(spec: ConnectorSpec[Any]) -> None:
    document = schema(spec)
    jsonschema.Draft202012Validator.check_schema(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"no_such_key": 1}, document)


@EVERY
def test_every_setting_is_described(spec: ConnectorSpec[Any]) -> None:
    for name, definition in schema(spec)["$defs"].items():
        for key, value in definition.get("properties", {}).items():
            assert key == "type" or value.get("description"), f"{name}.{key}"


@EVERY
def test_no_setting_can_hold_a_secret(spec: ConnectorSpec[Any]) -> None:
    """Z13: a secret is named by an environment variable or a file."""
    for name, definition in schema(spec)["$defs"].items():
        for key, value in definition.get("properties", {}).items():
            if any(word in key for word in ("password", "secret", "token")) and not key.endswith("_url"):
                assert "/Secret" in str(value), f"{name}.{key}"


def test_the_page_is_up_to_date() -> None:
    """Write it with: python -c "from connectors.registry import page; print(page(), end='')" """
    assert (ROOT / "docs/connectors.md").read_text() == page()


def test_every_finding_of_a_connector_has_a_page() -> None:
    from canonical.findings import declared
    from connectors.fhir import validate  # noqa: F401 - declares its codes

    ours = [name for name in declared() if name.split(".")[0] in {"http", "fhir", "file"}]
    assert len(ours) >= 30
    assert [name for name in ours if not (ROOT / f"docs/findings/{name}.md").exists()] == []
