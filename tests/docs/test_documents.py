"""docs/documents.md: the site that is shown there is one."""

from __future__ import annotations

from pathlib import Path

from connectors.ocr.settings import OcrOut
from tests.docs.pages import ROOT, blocks
from tests.e2e.harness import dragoman

PAGE = ROOT / "docs" / "documents.md"


def test_the_site_with_every_way_in_is_one_that_runs(tmp_path: Path) -> None:
    [shown] = [block for block in blocks(PAGE, "yaml") if block.startswith("site:")]
    (tmp_path / "site.yaml").write_text(shown.replace("mappings: mappings", f"mappings: {ROOT / 'mappings'}"))
    said = dragoman("check", "--config", str(tmp_path))
    assert said.code == 0, said.out + said.err


def test_the_limits_are_what_the_page_says() -> None:
    text, known = PAGE.read_text(), OcrOut()
    for name, said in (("max_bytes", f"{known.max_bytes >> 20} MiB"), ("max_pages", str(known.max_pages)),
                       ("max_pixels", f"{known.max_pixels // 10**6} million"), ("page_s", f"{known.page_s:.0f} s"),
                       ("document_s", f"{known.document_s:.0f} s of processor"), ("memory_mb", str(known.memory_mb))):
        assert f"| `{name}` | {said} |" in text
