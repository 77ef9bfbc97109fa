"""check: everything that can be wrong with tables and configuration, before anything runs."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from canonical.findings import Finding, Rejection, Severity
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, finish
from console.output import Output, fault_line
from wiring.assembly import SITE_FILE, assemble, mappings_of, tables


class Checked(msgspec.Struct, kw_only=True):
    """What a check found."""

    tables: int
    sites: int
    findings: list[Finding]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def check(config: Config = DEFAULT_CONFIG, as_json: AsJson = False,
              strict: Annotated[bool, typer.Option("--strict", help="Warnings count, too.")] = False) -> None:
        """Check the site's configuration and every table of its mappings folder. Exit code 1 for problems."""
        file = config / SITE_FILE
        found: list[Finding] = []
        try:
            found += assemble(config).loaded.findings
        except Rejection as rejection:
            found += rejection.findings
            if not file.is_file():
                raise
        library = tables(config / mappings_of(file.read_bytes(), str(file)))
        found = list(dict.fromkeys([*found, *library.check()]))
        view = Checked(tables=len(library.names), sites=len(library.sites), findings=found)
        lines = [*map(fault_line, found),
                 f"{view.tables} tables, {view.sites} sites: {len(found)} findings"]
        Output(as_json).show(view, lambda _: "\n".join(lines))
        bad = [f for f in found if strict or f.severity in {Severity.ERROR, Severity.FATAL}]
        finish(PROBLEMS if bad else OK)
