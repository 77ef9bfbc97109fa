"""run: the engine, until it is told to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from console.frame import DEFAULT_CONFIG, Config
from console.house import House
from router.engine import Role


def register(app: typer.Typer, house: House) -> None:
    """Add the command."""

    @app.command()
    def run(config: Config = DEFAULT_CONFIG,
            role: Annotated[Role, typer.Option(help="What this process does.")] = Role.ALL) -> None:
        """Run a site until SIGTERM or Ctrl-C. Nothing is started if anything is wrong.

        DRAGOMAN_DATABASE names the ledger (default: an SQLite file in the folder var beside site.yaml),
        DRAGOMAN_BROKER a RabbitMQ (default: none, one process).
        """
        house.run(config, role)
