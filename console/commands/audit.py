"""audit: who did what, and whether anybody tampered with the record of it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, finish, wait
from console.house import House
from console.output import Output
from console.screens import audit as screen
from console.views.audit import AuditList, AuditVerdict, audit_list, audit_verdict


def register(app: typer.Typer, house: House) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="The audit trail: list it, verify it.")
    app.add_typer(group, name="audit")

    @group.command("list")
    def list_entries(
        config: Config = DEFAULT_CONFIG,
        after: Annotated[int, typer.Option(help="Only entries after this number.")] = 0,
        limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
        action: Annotated[str, typer.Option(help="Only actions that start so: message., delivery.")] = "",
        as_json: AsJson = False,
    ) -> None:
        """List entries in order."""

        async def ask() -> AuditList:
            async with house.desk(config) as desk:
                return await audit_list(desk, after, limit, action)

        Output(as_json).show(wait(ask()), screen.audit_list)

    @group.command("verify")
    def verify(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
        """Read the whole chain of hashes. Exit code 1 where it is broken."""

        async def ask() -> AuditVerdict:
            async with house.desk(config) as desk:
                return await audit_verdict(desk)

        verdict = wait(ask())
        Output(as_json).show(verdict, screen.audit_verdict)
        finish(OK if verdict.ok else PROBLEMS)
