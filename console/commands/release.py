"""release: a person lets a document go on that was taken for one that came before."""

from __future__ import annotations

from typing import Annotated

import typer

from console import person
from console.commands.look import one
from console.frame import DEFAULT_CONFIG, AsJson, Config, UserError, wait
from console.house import House
from console.output import Output
from console.screens import decided as screen
from console.views.decided import Decided
from router.desk import Refusal


def register(app: typer.Typer, house: House) -> None:
    """Add the command."""

    @app.command()
    def release(
        message: Annotated[str, typer.Argument(metavar="ID", help="The message of its pages.")],
        reason: Annotated[str, typer.Option(help="Why; it goes into the audit trail.")] = "",
        config: Config = DEFAULT_CONFIG,
        as_json: AsJson = False,
    ) -> None:
        """Let a document go on that was taken for a duplicate or a revision: it gets a referral of its own.

        A referral that it had revised stands again as it stood before.
        """
        why = person.reason(reason, "Why is it another document?")

        async def do() -> Decided:
            async with house.workshop(config) as shop:
                found = await one(shop.desk, message)
                try:
                    letter, count = await shop.releaser.release(found, person.actor(), why)
                except Refusal as refusal:
                    raise UserError(refusal.text, f"docs/findings/{refusal.code}.md") from None
            return Decided(action="released", asked=count, done=count, subjects=[found.id],
                           note=f"it goes on as message {letter}")

        Output(as_json).show(wait(do()), screen.decided)
