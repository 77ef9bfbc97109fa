from __future__ import annotations

from pathlib import Path

import pytest

from wiring.demo.stage import Stage, build


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A copy of the shipped site on free ports."""
    return build(tmp_path / "stage")
