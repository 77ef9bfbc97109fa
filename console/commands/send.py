"""send: an analyst's own MLLP client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.exits import OK, PROBLEMS
from console.frame import AsJson, UserError, finish, wait
from console.house import House
from console.output import Output
from console.screens import sent as screen


def register(app: typer.Typer, house: House) -> None:
    """Add the command."""

    @app.command()
    def send(
        file: Annotated[Path, typer.Argument(metavar="FILE.hl7", help="One or more HL7 v2 messages.")],
        peer: Annotated[str, typer.Argument(metavar="HOST:PORT")],
        timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for each answer.")] = 10.0,
        as_json: AsJson = False,
    ) -> None:
        """Send messages over MLLP and explain the answers. Exit code 1 where one is not accepted."""
        host, _, port = peer.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise UserError(f"{peer}: not HOST:PORT", "for example 127.0.0.1:2575")
        view = wait(house.send(file, host.strip("[]"), int(port), timeout))
        Output(as_json).show(view, screen.sent)
        finish(OK if view.ok else PROBLEMS)
