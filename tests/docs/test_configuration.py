"""docs/configuration.md has every key that site.yaml may have, and no other."""

from __future__ import annotations

import re
from typing import Final

import msgspec
import pytest

from router import flow_config, site
from router.conditions import ABOUT
from router.retry import Policy
from tests.docs.pages import ROOT

_PAGE: Final = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
_SECTIONS: Final = {part.splitlines()[0]: part for part in re.split(r"^## ", _PAGE, flags=re.MULTILINE)[1:]}
_STRUCTS: Final[dict[str, type[msgspec.Struct]]] = {
    "The file": site.Site, "channels": site.Channel, "destinations": site.Destination, "retry": Policy,
    "routes": site.Route, "triage": site.Rule, "scorers": site.ScorerEntry, "broker": site.Broker,
    "documents": site.Documents,
    "retention": site.Retention, "workflow": flow_config.WorkflowRule, "task": flow_config.TaskSpec,
    "tasks": flow_config.TaskHandling, "review": flow_config.Review, "decisions": flow_config.DecisionType}


def _rows(section: str) -> dict[str, str]:
    """First and last cell of each row."""
    rows = [line.strip("| ").split(" |") for line in _SECTIONS[section].splitlines() if line.startswith("| `")]
    return {cells[0].strip("` "): cells[-1].strip() for cells in rows}


@pytest.mark.parametrize("section", _STRUCTS)
def test_every_key_is_explained_and_every_explained_key_exists(section: str) -> None:
    assert set(_rows(section)) == set(_STRUCTS[section].__struct_fields__)


@pytest.mark.parametrize("section", _STRUCTS)
def test_required_keys_and_numbers_are_what_the_page_says(section: str) -> None:
    shown = _rows(section)
    for field in msgspec.structs.fields(_STRUCTS[section]):
        assert (shown[field.name] == "required") == field.required, field.name
        if isinstance(field.default, int | float) and shown[field.name].startswith("`"):
            text = shown[field.name].strip("`")
            assert field.default == (text == "yes" if isinstance(field.default, bool) else float(text)), field.name


def test_every_fact_is_explained() -> None:
    assert set(_rows("conditions")) == {*ABOUT, "score.NAME"}
