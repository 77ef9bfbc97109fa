"""impact: which booked visits a change of the staff or location master touches."""

from __future__ import annotations

from typing import Annotated

import typer

from canonical.model import Location, Practitioner
from console import person
from console.commands.look import one
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, finish, wait
from console.house import House
from console.output import Output
from console.screens import impact as screen
from console.views.impact import ImpactView, impact_view
from router.impact import impact


def register(app: typer.Typer, house: House) -> None:
    """Add the command."""

    @app.command("impact")
    def show_impact(
        message: Annotated[str, typer.Argument(metavar="ID", help="Id, unique prefix of one, or control id, of the "
                                               "message about the master (MFN).")],
        config: Config = DEFAULT_CONFIG,
        reveal: Annotated[bool, typer.Option("--reveal", help="Show numbers of visits and persons. Audited.")] = False,
        reason: Annotated[str, typer.Option(help="Why you need to see them (with --reveal).")] = "",
        as_json: AsJson = False,
    ) -> None:
        """Show which visits to come name the people and places that a message changes. Exit code 1 where any does."""
        why = person.reason(reason, "Why do you need to see patient data?") if reveal else ""

        async def ask() -> ImpactView:
            async with house.desk(config) as desk:
                found = await one(desk, message)
                if reveal:
                    await desk.audit(person.entry("message.viewed", found.id, why))
                changes = [event for event in await desk.events_of([found.id])
                           if isinstance(event.entity, Practitioner | Location)]
                return impact_view(found.id, [await impact(desk, each, person.now()) for each in changes], reveal=reveal)

        view = wait(ask())
        Output(as_json).show(view, screen.impact)
        finish(PROBLEMS if any(change.visits for change in view.changes) else OK)
