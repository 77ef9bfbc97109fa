"""The sample documents outside the repository; tests that read them are skipped where they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent.parent / "shared" / "samples" / "fax"

needed = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no samples in {FOLDER}")


def sample(name: str) -> bytes:
    """The content of a sample."""
    return (FOLDER / name).read_bytes()


def samples(*folders: str) -> list[Path]:
    """All samples of these folders."""
    return sorted(path for folder in folders for path in (FOLDER / folder).glob("*"))
