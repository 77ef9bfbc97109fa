"""`dragoman try --html`: pages with the boxes of the fields, masked unless asked otherwise (W1, Z10)."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from app import command_line
from canonical.page import from_json, to_json
from console import frame
from wiring.demo.stage import ROOT

SAMPLE = ROOT / "mappings" / "documents" / "samples" / "lakeside.json"
SAID = ("Larkin", "81203271", "W94268609", "1688691603", "1985", "M75.41", "Gastroenterology")
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FgAAAABJRU5ErkJggg==")


class Balanced(HTMLParser):
    """Collects tags and addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            elif name in ("href", "src"):
                self.links.append(value or "")


def run(*arguments: object) -> int:
    return frame.run(command_line(), ["try", "documents/referral", *map(str, arguments)])


def test_the_file_shows_where_each_field_stands_and_no_value(tmp_path: Path) -> None:
    out = tmp_path / "fax.html"
    assert run(SAMPLE, "--html", out) == 0
    text = out.read_text(encoding="utf-8")
    assert [word for word in SAID if word in text] == []
    assert "Patient name" in text
    assert "patient.birth_date" in text
    assert "✓ npi" in text
    assert out.stat().st_mode & 0o077 == 0


def test_revealed_it_shows_values_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    out = tmp_path / "fax.html"
    assert run(SAMPLE, "--html", out, "--reveal") == 0
    text = out.read_text(encoding="utf-8")
    assert [word for word in SAID if word not in text] == []
    page = Balanced()
    page.feed(text)
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= page.ids
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)


def test_a_value_is_text_and_never_markup(tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.json"
    hostile.write_bytes(SAMPLE.read_bytes().replace(b'"Larkin,"', b'"<script>alert(1)</script>,"', 1))
    assert b"<script>" in hostile.read_bytes()
    out = tmp_path / "fax.html"
    assert run(hostile, "--html", out, "--reveal") in (0, 1)
    assert "<script" not in out.read_text(encoding="utf-8")


def test_the_picture_is_drawn_where_it_is_the_one_that_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, reading, out = tmp_path / "fax.png", tmp_path / "fax.json", tmp_path / "fax.html"
    picture.write_bytes(PNG)
    assert run(SAMPLE, "--html", out, "--picture", picture, "--reveal") == 2
    assert "not read from this file" in capsys.readouterr().err
    assert run(SAMPLE, "--html", out, "--picture", picture) == 2
    source = from_json(SAMPLE.read_bytes())
    page = source.pages[0]
    assert page.image is not None
    image = msgspec.structs.replace(page.image, sha256=hashlib.sha256(PNG).hexdigest())
    reading.write_bytes(to_json(msgspec.structs.replace(source, pages=(msgspec.structs.replace(page, image=image),))))
    assert run(reading, "--html", out, "--picture", picture, "--reveal") == 0
    assert re.search(r'<image href="data:image/png;base64,', out.read_text(encoding="utf-8"))
