"""messages, show, parked: what has become of what was received."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from console import clock, person
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, UserError, finish, wait
from console.house import House
from console.output import Output
from console.screens import journey as journey_screen
from console.screens import messages as messages_screen
from console.screens import parked as parked_screen
from console.views.journey import Journey, journey
from console.views.messages import HELD, MessageList, message_list, parked_there
from console.views.parked import ParkedView, parked_view
from store.ledger import Desk
from store.records import Message, MessageQuery, MessageState


def moment(text: str, option: str) -> int:
    """A ``--since`` or ``--until``; 0 for none."""
    try:
        return clock.parse_since(text, person.now()) if text else 0
    except ValueError:
        raise UserError(f"{option} {text}: is neither a span nor a time",
                        "15m, 2h, 3d, or 2026-03-10T14:30:00-05:00") from None


def state_of(text: str) -> MessageState | None:
    """A ``--state``; None for any."""
    try:
        return MessageState(text) if text else None
    except ValueError:
        names = ", ".join(state.value for state in MessageState)
        raise UserError(f"--state {text}: no such state", f"one of {names}, {HELD}") from None


async def one(desk: Desk, name: str) -> Message:
    """The message a user named by id, prefix of an id, or control id."""
    message = await desk.message(name)
    if message is None:
        raise UserError(f"{name}: no such message", "dragoman messages lists ids; a unique prefix is enough")
    return message


def register(app: typer.Typer, house: House) -> None:
    """Add the commands."""

    @app.command()
    def messages(
        config: Config = DEFAULT_CONFIG,
        channel: Annotated[str, typer.Option(help="Only this channel.")] = "",
        state: Annotated[str, typer.Option(help="received, held, parked, processed, filtered, refused, "
                                                "discarded")] = "",
        held: Annotated[bool, typer.Option("--held", help="Only those waiting behind a parked one.")] = False,
        kind: Annotated[str, typer.Option("--type", help="SIU^S12 …")] = "",
        control_id: Annotated[str, typer.Option(help="MSH-10.")] = "",
        code: Annotated[str, typer.Option(help="Only those with this reason (a finding code).")] = "",
        destination: Annotated[str, typer.Option(help="Only those with a delivery there.")] = "",
        parked_at: Annotated[str, typer.Option(metavar="DESTINATION", help="Only those with a parked delivery "
                                               "there; --code is then the reason of the delivery.")] = "",
        since: Annotated[str, typer.Option(help="15m, 2h, 3d or an ISO 8601 time.")] = "",
        until: Annotated[str, typer.Option(help="Likewise.")] = "",
        before: Annotated[int, typer.Option(help="Older than this sequence number (next page).")] = 0,
        limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
        as_json: AsJson = False,
    ) -> None:
        """List messages, newest first."""
        held_only = held or state == HELD
        query = MessageQuery(
            channel=channel, state=MessageState.RECEIVED if held_only else state_of(state), message_type=kind,
            control_id=control_id, reason=code, destination=destination, since=moment(since, "--since"),
            until=moment(until, "--until"), before_seq=before, limit=limit)

        async def ask() -> MessageList:
            async with house.desk(config) as desk:
                if parked_at:
                    return await parked_there(desk, parked_at, code, limit)
                return await message_list(desk, query, held_only=held_only)

        Output(as_json).show(wait(ask()), messages_screen.message_list)

    @app.command()
    def show(
        message: Annotated[str, typer.Argument(metavar="ID", help="Id, unique prefix of one, or control id.")],
        config: Config = DEFAULT_CONFIG,
        reveal: Annotated[bool, typer.Option("--reveal", help="Show patient data. Audited.")] = False,
        reason: Annotated[str, typer.Option(help="Why you need to see it (with --reveal).")] = "",
        lineage: Annotated[bool, typer.Option("--lineage", help="Lineage of every leaf, with the table rows "
                                              "(always so with --reveal).")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Show the whole path of one message: received, mapped, decided, delivered, and what happens next."""
        why = person.reason(reason, "Why do you need to see patient data?") if reveal else ""

        async def ask() -> Journey:
            async with house.desk(config) as desk:
                found = await one(desk, message)
                if reveal:
                    await desk.audit(person.entry("message.viewed", found.id, why))
                return await journey(desk, found, house.explainer(config), person.now(), reveal=reveal)

        Output(as_json).show(wait(ask()), partial(journey_screen.journey, full=lineage or reveal))

    @app.command()
    def parked(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
        """Show what waits for a person, one line a cause. Exit code 1 where anything does."""
        view = wait(_parked(house, config))
        Output(as_json).show(view, parked_screen.parked)
        finish(PROBLEMS if view.clusters else OK)


async def _parked(house: House, config: Path) -> ParkedView:
    async with house.desk(config) as desk:
        held = await message_list(desk, MessageQuery(state=MessageState.RECEIVED, limit=10_000), held_only=True)
        return await parked_view(desk, len(held.messages))
