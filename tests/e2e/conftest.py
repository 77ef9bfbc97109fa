from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.conftest import fhir_packages, fhir_url
from wiring.demo.stage import Stage, build

__all__ = ["fhir_packages", "fhir_url", "stage"]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A copy of the shipped site on free ports."""
    return build(tmp_path / "stage")
