"""replay: run again what failed, with eyes open (W6)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console import person
from console.commands.look import moment
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, UserError, finish, wait
from console.house import House
from console.output import Output
from console.screens import replayed as screen
from console.views.replayed import ReplayView, replay_view
from router.replay import Kind, Prospect, Scope
from store.records import DeliveryState


def register(app: typer.Typer, house: House) -> None:
    """Add the command."""

    @app.command()
    def replay(
        messages: Annotated[list[str] | None, typer.Argument(metavar="[ID]...",
                                                             help="Parked messages to process again.")] = None,
        delivery: Annotated[list[str] | None, typer.Option(help="Deliveries instead (repeatable).")] = None,
        channel: Annotated[str, typer.Option(help="Parked messages of this channel.")] = "",
        destination: Annotated[str, typer.Option(help="Parked deliveries to this destination.")] = "",
        code: Annotated[str, typer.Option(help="Only what waits for this reason (a finding code).")] = "",
        since: Annotated[str, typer.Option(help="Only what waits since: 15m, 2h, 3d or a time.")] = "",
        until: Annotated[str, typer.Option(help="Likewise, the other end.")] = "",
        resend: Annotated[bool, typer.Option("--resend", help="Deliveries that were delivered: send them "
                                             "again, under a new identity.")] = False,
        allow_superseded: Annotated[bool, typer.Option(help="Also what newer state has overtaken.")] = False,
        close_superseded: Annotated[bool, typer.Option(help="Close what newer state has overtaken.")] = False,
        limit: Annotated[int, typer.Option(min=1, max=100_000)] = 1000,
        yes: Annotated[bool, typer.Option("--yes", help="Do it. Without: a dry run.")] = False,
        reason: Annotated[str, typer.Option(help="Why (with --yes); it goes into the audit trail.")] = "",
        config: Config = DEFAULT_CONFIG,
        as_json: AsJson = False,
    ) -> None:
        """Process parked messages again, or deliver again. A dry run unless --yes is given.

        The dry run shows with the tables of today what would come out, which fields would change, where it
        would go, and what newer state has overtaken: that is never sent unless --allow-superseded says so.
        Exit code 1 where something in the scope would fail again.
        """
        of_deliveries = bool(delivery or destination or resend)
        if of_deliveries and channel:
            raise UserError("--channel is about messages, --destination about deliveries", "name one of them")
        scope = Scope(
            message_ids=tuple(messages or ()), delivery_ids=tuple(delivery or ()), channel=channel,
            destination=destination, reason=code, since=moment(since, "--since"),
            until=moment(until, "--until"), limit=limit,
            state=DeliveryState.DELIVERED if resend else DeliveryState.PARKED)
        if scope.empty:
            raise UserError("a replay needs a scope",
                            "ids, --channel, --destination, --code or --since; dragoman parked shows commands")
        why = person.reason(reason, "Why is it replayed?") if yes else ""
        kind = Kind.REDELIVER if of_deliveries else Kind.REPROCESS
        view = wait(_replay(house, config, kind, scope, why,
                            allow=allow_superseded, close=close_superseded))
        Output(as_json).show(view, screen.replay)
        finish(PROBLEMS if view.prospects.get(Prospect.FAILS.value) else OK)


async def _replay(house: House, config: Path, kind: Kind, scope: Scope, why: str, *, allow: bool,
                  close: bool) -> ReplayView:
    async with house.workshop(config) as workshop:
        ids = []
        for name in scope.message_ids:
            found = await workshop.desk.message(name)
            if found is None:
                raise UserError(f"{name}: no such message", "dragoman messages lists ids")
            ids.append(found.id)
        if ids:
            scope = _with_ids(scope, ids)
        plan = await workshop.planner.plan(kind, scope)
        progress = None
        if why:
            progress = await workshop.replayer.execute(plan, person.actor(), why, allow_superseded=allow,
                                                       close_superseded=close)
        return replay_view(plan, progress)


def _with_ids(scope: Scope, ids: list[str]) -> Scope:
    return Scope(message_ids=tuple(ids), destination=scope.destination, state=scope.state, limit=scope.limit)
