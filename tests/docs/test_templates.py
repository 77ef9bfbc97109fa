"""docs/documents.md explains every key of a template, every type of value, and no other (issue 5, W1)."""

from __future__ import annotations

import re
from typing import Final

import pytest

from mapper.extract import kinds, template, trust
from tests.docs.pages import ROOT
from workflow.policy import Policy

_PAGE: Final = (ROOT / "docs" / "documents.md").read_text(encoding="utf-8")
_SECTIONS: Final = {part.splitlines()[0]: part for part in re.split(r"^#{2,3} ", _PAGE, flags=re.MULTILINE)[1:]}


def _keys(section: str) -> list[str]:
    return re.findall(r"^\| `([a-z0-9_]+)` \|", _SECTIONS[section], re.MULTILINE)


@pytest.mark.parametrize(("section", "keys"), [
    ("The form", template.HEADER), ("Recognising", template.RECOGNISE), ("Rows", template.ROW), ("Lists", template.EACH),
    ("Types and validators", kinds.KINDS)])
def test_every_key_of_a_template_is_explained_and_every_explained_key_exists(section: str, keys: tuple[str, ...]) -> None:
    assert sorted(_keys(section)) == sorted(keys)


def test_numbers_are_those_of_the_code() -> None:
    assert f"| `{template.REACH:g}` |" in _SECTIONS["Rows"]
    assert f"threshold: {Policy().threshold / 1000:g} " in _SECTIONS["Trust"]
    assert f"fewer than {trust.FEWEST} readings" in _SECTIONS["Trust"]
    assert f"times {kinds.MENDED:g} for each mended letter" in _SECTIONS["Trust"]
