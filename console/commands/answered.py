"""answered: what an acknowledgement that came as a message answers."""

from __future__ import annotations

from typing import Annotated

import typer

from canonical.query import Acknowledgement
from console.commands.look import one
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, UserError, finish, wait
from console.house import House
from console.output import Output
from console.screens import answered as screen
from console.views.answered import AnsweredView, answered_view
from router.identity import answered


def register(app: typer.Typer, house: House) -> None:
    """Add the command."""

    @app.command("answered")
    def show_answered(
        message: Annotated[str, typer.Argument(metavar="ID", help="Id, unique prefix of one, or control id, of the "
                                               "acknowledgement.")],
        config: Config = DEFAULT_CONFIG,
        as_json: AsJson = False,
    ) -> None:
        """Show which delivery an acknowledgement answers that came as a message. Exit code 1 where it says no."""
        async def ask() -> AnsweredView:
            async with house.desk(config) as desk:
                found = await one(desk, message)
                said = next((event.entity for event in await desk.events_of([found.id])
                             if isinstance(event.entity, Acknowledgement)), None)
                if said is None:
                    raise UserError(f"{message}: is no acknowledgement", "give the channel the table hl7v2/ack for ACK")
                return answered_view(await answered(desk, said, found.received_at))

        view = wait(ask())
        Output(as_json).show(view, screen.answered)
        finish(PROBLEMS if view.refused else OK)
