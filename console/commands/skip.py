"""skip: a person decides that something parked shall not be processed or delivered."""

from __future__ import annotations

from typing import Annotated

import typer

from console import person
from console.commands.look import one
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, UserError, finish, wait
from console.house import House
from console.output import Output
from console.screens import decided as screen
from console.views.decided import Decided
from store.records import DeliveryState, MessageState


def register(app: typer.Typer, house: House) -> None:
    """Add the command."""

    @app.command()
    def skip(
        message: Annotated[str, typer.Argument(metavar="[ID]", help="A parked message.")] = "",
        delivery: Annotated[str, typer.Option(metavar="ID", help="A parked or pending delivery instead.")] = "",
        reason: Annotated[str, typer.Option(help="Why; it goes into the audit trail.")] = "",
        config: Config = DEFAULT_CONFIG,
        as_json: AsJson = False,
    ) -> None:
        """Give up one parked message or delivery, with a reason; its lane flows again.

        Nothing is deleted: the message stays in the ledger as discarded, the delivery as skipped.
        """
        if bool(message) == bool(delivery):
            raise UserError("name one message or one --delivery", "dragoman parked lists what waits")
        why = person.reason(reason, "Why is it skipped?")
        decided = wait(_delivery(house, config, delivery, why) if delivery
                       else _message(house, config, message, why))
        Output(as_json).show(decided, screen.decided)
        finish(OK if decided.done else PROBLEMS)


async def _message(house: House, config: Config, name: str, why: str) -> Decided:
    async with house.desk(config) as desk:
        found = await one(desk, name)
        if found.state is not MessageState.PARKED:
            raise UserError(f"{found.id} is {found.state.value}, not parked",
                            "only what waits for a person can be skipped; see dragoman show")
        done = await desk.discard_messages(
            [found.id], person.entry("message.skipped", found.id, why, ids=[found.id]))
    return Decided(action="skipped", asked=1, done=done, subjects=[found.id],
                   note="the lane flows again; the message stays in the ledger as discarded")


async def _delivery(house: House, config: Config, name: str, why: str) -> Decided:
    async with house.desk(config) as desk:
        done = await desk.settle_deliveries(
            [name], DeliveryState.SKIPPED, "operator.skipped",
            person.entry("delivery.skipped", name, why, ids=[name]))
    if not done:
        raise UserError(f"{name}: no parked or pending delivery",
                        "dragoman show ID lists the deliveries of a message")
    return Decided(action="skipped", asked=1, done=done, subjects=[name],
                   note="the lane flows again at this destination")
