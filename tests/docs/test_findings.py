"""Every finding code has one page for people, and every page a code."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

from canonical.findings import declared
from tests.docs.pages import ROOT

_ROOMS = ("canonical", "connectors", "mapper", "router", "workflow", "store", "console", "simulators", "wiring")
_PAGES = {path.stem: path for path in (ROOT / "docs" / "findings").glob("*.md") if path.stem != "README"}


def _codes() -> set[str]:
    for room in _ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return {name for name in declared() if not name.startswith("test.")}


def test_every_declared_code_has_a_page() -> None:
    assert sorted(_codes() - _PAGES.keys()) == []


def test_every_page_is_about_a_declared_code() -> None:
    assert sorted(_PAGES.keys() - _codes()) == []


@pytest.mark.parametrize("name", sorted(_PAGES))
def test_a_page_says_what_it_means_and_what_to_do(name: str) -> None:
    text = _PAGES[name].read_text(encoding="utf-8")
    title = text.splitlines()[0]
    assert re.match(rf"#+ .*{re.escape(name)}", title), "its first line names the code"
    assert len(text.split()) >= 25, "too short to help anybody"
