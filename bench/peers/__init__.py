"""Programs of others to compare with: fetched by name when a benchmark asks for them, never committed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.report import VAR, console

#: Versions that were measured; their licences are MIT and Apache-2.0.
NPM: Final = ("simple-hl7@3.3.0", "@medplum/core@4.5.2", "@medplum/hl7@4.5.2")
HERE: Final = Path(__file__).parent


def npm() -> Path | None:
    """Folder whose ``node_modules`` holds the npm peers; None where Node is missing or the fetch failed."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        console.print("[dim]no Node here: npm peers are left out[/dim]")
        return None
    folder, stamp = VAR / "npm", VAR / "npm" / "installed"
    if not stamp.exists() or stamp.read_text() != " ".join(NPM):
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--no-save",
                               "--prefix", str(folder), *NPM], capture_output=True, check=False)
        if done.returncode:
            console.print("[dim]npm could not fetch the peers: they are left out[/dim]")
            return None
        stamp.write_text(" ".join(NPM))
    return folder
