"""Packages of PyPI that our tests ask for a second opinion, each set in an environment of its own under ``var/pypi``."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_AWAY = ("NewConnectionError", "ConnectTimeout", "Max retries", "name resolution", "Network is unreachable", "timed out")


def installed(name: str, packages: Sequence[str]) -> Path:
    """The Python of an environment with these packages. Skips the test where PyPI cannot be reached; any other failure
    of the installation fails it."""
    folder = ROOT / "var" / "pypi" / name
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "env" / "bin" / "python"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".installed"
        if not done.exists() or done.read_text() != " ".join(packages):
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / "env")], check=True, timeout=120)
            said = subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                                   "--only-binary", ":all:", *packages], check=False, timeout=300, capture_output=True,
                                  text=True)
            if said.returncode:
                if any(word in said.stderr for word in _AWAY):
                    pytest.skip(f"PyPI cannot be reached: {' '.join(packages)} cannot be installed")
                pytest.fail(f"{' '.join(packages)} cannot be installed: {said.stderr[-500:]}")
            done.write_text(" ".join(packages))
    return python
