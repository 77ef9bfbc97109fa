"""run: the engine, until it is told to stop."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from console.frame import DEFAULT_CONFIG, Config
from console.output import Output, fault_line
from router.engine import Role
from wiring.assembly import assemble
from wiring.running import check_role, serve


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def run(config: Config = DEFAULT_CONFIG,
            role: Annotated[Role, typer.Option(help="What this process does.")] = Role.ALL) -> None:
        """Run a site until SIGTERM or Ctrl-C. Nothing is started if anything is wrong."""
        check_role(role, os.environ)
        assembly = assemble(config)
        output = Output()
        for finding in assembly.loaded.findings:
            output.fault(fault_line(finding))
        try:
            import uvloop
        except ImportError:  # not on this platform
            import asyncio

            asyncio.run(serve(assembly, role))
        else:
            uvloop.run(serve(assembly, role))
