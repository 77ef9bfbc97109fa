"""The documentation, as tests read it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: Made by tools, or not ours.
_LEFT_OUT: Final = {".venv", "var", "node_modules", ".git", "build", ".pytest_cache", ".hypothesis"}

_FENCE: Final = re.compile(r"^(```+|~~~+)(\w*)[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)


@cache
def pages() -> tuple[Path, ...]:
    """Every Markdown file of the project."""
    return tuple(sorted(path for path in ROOT.rglob("*.md")
                        if not _LEFT_OUT.intersection(path.relative_to(ROOT).parts)))


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> Iterator[str]:
    """Fenced blocks of one language."""
    for match in _FENCE.finditer(page.read_text(encoding="utf-8")):
        if match.group(2) == language:
            yield match.group(3)


def commands() -> list[tuple[str, str]]:
    """(page, command line) of every ``$`` line in a ``console`` block; ``\\`` at the end continues it."""
    found: list[tuple[str, str]] = []
    for page in pages():
        for block in blocks(page, "console"):
            found.extend((str(page.relative_to(ROOT)), line[2:].split(" # ")[0].strip())
                         for line in block.replace("\\\n", " ").splitlines() if line.startswith("$ "))
    return found


def slug(heading: str) -> str:
    """Anchor of a heading as code forges make it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Anchors a page offers."""
    return {slug(match) for match in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def tracked(*patterns: str) -> list[Path]:
    """Files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
