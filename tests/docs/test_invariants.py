"""docs/invariants.md names, for each of the fourteen promises, tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.docs.pages import ROOT

_PAGE = (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
_SECTIONS = re.split(r"^## ", _PAGE, flags=re.MULTILINE)[1:]
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:::(\w+))?`")


@cache
def _tests(path: str) -> frozenset[str]:
    file = ROOT / path
    if not file.exists():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body
             if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    names |= {f"{group.name}::{node.name}" for group in tree.body if isinstance(group, ast.ClassDef)
              for node in group.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return frozenset(names)


def test_there_are_fourteen_in_order() -> None:
    assert [section.split(".")[0] for section in _SECTIONS] == [str(number) for number in range(1, 15)]


def test_each_names_the_tests_that_hold_it() -> None:
    assert [section.splitlines()[0] for section in _SECTIONS if not _TEST.search(section)] == []


def test_every_test_that_is_named_exists() -> None:
    missing = []
    for path, first, second in _TEST.findall(_PAGE):
        name = f"{first}::{second}" if second else first
        if name not in _tests(path):
            missing.append(f"{path}::{name}")
    assert missing == []
