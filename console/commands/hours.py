"""hours: how fast trading partners answer, and what of their batches is overdue."""

from __future__ import annotations

from typing import Annotated

import typer

from console import person
from console.commands.look import moment
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, finish, wait
from console.house import House
from console.output import Output
from console.screens import hours as screen


def register(app: typer.Typer, house: House) -> None:
    """Add the command."""

    @app.command()
    def hours(
        since: Annotated[str, typer.Option(help="From when answers count: 2026-03-01, or 30d.")] = "30d",
        until: Annotated[str, typer.Option(help="Until when; default now.")] = "",
        config: Config = DEFAULT_CONFIG,
        as_json: AsJson = False,
    ) -> None:
        """Show how fast trading partners answer and what of their batches is overdue.

        Exit code 1 where a partner answers less than 90 % within 20 seconds, or something is overdue.
        """
        now = person.now()
        view = wait(house.hours(config, moment(since, "--since"), moment(until, "--until") or now, now))
        Output(as_json).show(view, screen.hours)
        finish(OK if view.ok else PROBLEMS)
