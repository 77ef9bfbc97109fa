"""Everything that can be wrong with a site and its tables, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from canonical.findings import Finding, Rejection
from wiring.assembly import assemble, outline, tables


def check(folder: Path) -> tuple[Sequence[Finding], int, int]:
    """Findings about the configuration first, then about every table for every site; tables; sites.

    Raises:
        Rejection: there is no configuration or no folder of tables to check.
    """
    try:
        assembly = assemble(folder, compiled=False)
    except Rejection as rejection:
        library, found = tables(outline(folder).mappings), list(rejection.findings)
    else:
        library, found = assembly.library, list(assembly.loaded.findings)
    return list(dict.fromkeys([*found, *library.check()])), len(library.names), len(library.sites)
