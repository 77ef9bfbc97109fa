"""The pictures of the documentation: well-formed, self-contained, and shown somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.text import Text

from bench.pictures import FOLDER, draw
from tests.docs.pages import pages

PICTURES = sorted(FOLDER.glob("*.svg"))


def _sound(svg: str) -> None:
    ElementTree.fromstring(svg)
    hosts = set(re.findall(r"https?://([^/\"\s)]+)", svg))
    assert hosts <= {"www.w3.org", "www.textualize.io"}, "names of XML and of the maker only"
    assert "url(http" not in svg.replace(" ", "")
    assert "@font-face" not in svg


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_well_formed_asks_no_other_host_and_is_shown(picture: Path) -> None:
    _sound(picture.read_text(encoding="utf-8"))
    assert any(f"img/{picture.name}" in page.read_text(encoding="utf-8") for page in pages())


def test_any_screen_becomes_such_a_picture() -> None:
    svg = draw("test", "dragoman test", Text("1 message at mercy", style="bold red"))
    _sound(svg)
    assert "mercy" in svg
    assert svg == draw("test", "dragoman test", Text("1 message at mercy", style="bold red"))
