"""docs/hl7v2.md has a line for every id of the correctness checklist, and names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Final

import pytest

from tests.docs.pages import ROOT

PAGE: Final = (ROOT / "docs" / "hl7v2.md").read_text(encoding="utf-8")
SECTIONS: Final = {part.splitlines()[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
SPEC: Final = ROOT.parent / "shared" / "spec" / "hl7v2.md"
#: Heading of the page, section of the checklist, letter, last number.
CHECKLIST: Final = (
    ("Framing and sessions (3.1)", "3.1", "F", 18), ("Parsing (3.2)", "3.2", "P", 13), ("Escapes (3.3)", "3.3", "E", 9),
    ("Truncation and lengths (3.4)", "3.4", "L", 2), ("Character sets (3.5)", "3.5", "C", 5),
    ("Acknowledgement (3.6)", "3.6", "A", 11), ("Sequence number protocol (3.7)", "3.7", "S", 5),
    ("Batches (3.8)", "3.8", "B", 7), ("Continuation (3.9)", "3.9", "K", 4), ("Types and time (3.10)", "3.10", "T", 9),
    ("Scheduling semantics (3.11 to 3.13)", "3.11", "M", 5), ("Scheduling semantics (3.11 to 3.13)", "3.13", "D", 7))
TEST: Final = re.compile(r"`(\w+/\w+\.py)::(\w+)(?:::(\w+))?`")
EVERY: Final = pytest.mark.parametrize(("heading", "letter", "last"), [(one[0], one[2], one[3]) for one in CHECKLIST],
                                       ids=[f"{one[2]}01-{one[2]}{one[3]:02}" for one in CHECKLIST])


def rows(heading: str) -> dict[str, str]:
    """Lines of the section's tables, by id."""
    lines = [line for line in SECTIONS[heading].splitlines() if re.match(r"\| [A-Z]\d\d \|", line)]
    return {line[2:5]: line for line in lines}


@cache
def known_tests(path: str) -> frozenset[str]:
    """Names of the tests of a file, those of classes as ``Class::test``."""
    file = ROOT / "tests" / path
    if not file.exists():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset({node.name for node in tree.body if isinstance(node, kinds)} | {
        f"{group.name}::{node.name}" for group in tree.body if isinstance(group, ast.ClassDef)
        for node in group.body if isinstance(node, kinds)})


def test_the_checklist_has_no_ids_that_are_not_looked_for() -> None:
    """The list above is that of the checklist, where it is at hand."""
    if not SPEC.exists():
        pytest.skip(f"no checklist at {SPEC}")
    parts = re.split(r"^### (3\.\d+) ", SPEC.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = dict(zip(parts[1::2], parts[2::2], strict=True))
    for _, section, letter, last in CHECKLIST:
        found = {int(number) for number in re.findall(rf"(?<![\w^]){letter}(\d\d)\b", text[section])}
        assert found <= set(range(1, last + 1)), section
        assert max(found) == last, section


@EVERY
def test_every_id_has_a_line(heading: str, letter: str, last: int) -> None:
    known = rows(heading)
    assert [one for one in (f"{letter}{number:02}" for number in range(1, last + 1)) if one not in known] == []


@EVERY
def test_every_line_names_a_test_or_says_why_not(heading: str, letter: str, last: int) -> None:
    for one, line in rows(heading).items():
        assert TEST.search(line) or "Not supported" in line, one


def test_every_test_that_is_named_exists() -> None:
    assert [match[0] for match in TEST.finditer(PAGE)
            if (f"{match[2]}::{match[3]}" if match[3] else match[2]) not in known_tests(match[1])] == []
