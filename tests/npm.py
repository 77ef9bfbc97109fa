"""Packages of the npm registry that our tests talk to, installed once a machine under ``var/npm``."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def installed(name: str, packages: Sequence[str]) -> Path:
    """The folder with these packages. Skips the test where there is no npm; a failing installation fails."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("no npm on this machine: peers of its registry cannot be installed")
    folder = ROOT / "var" / "npm" / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".installed"
        if not done.exists() or done.read_text() != " ".join(packages):
            (folder / "package.json").write_text('{"private": true}\n')
            subprocess.run([npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts",
                            "--loglevel=error", *packages], cwd=folder, check=True, timeout=300)
            done.write_text(" ".join(packages))
    return folder
