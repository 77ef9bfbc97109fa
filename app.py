"""Dragoman, wired: the one place where every room is known. ``python -m app`` is the command line."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import typer

from canonical.clock import SystemClock
from console import cli, frame
from console.house import Workshop
from console.views.sent import Sent
from router.replay import Planner, Replayer
from router.triage import Rulebook
from store.ledger import Desk, Ledger
from wiring import check, database, logs, send, simulate, start, tables
from wiring.assembly import Assembly, assemble, codecs
from wiring.demo import play
from wiring.explainer import SiteExplainer


class WiredHouse:
    """What the console asks of the program (`console.house.House`)."""

    @asynccontextmanager
    async def _opened(self, config: Path) -> AsyncIterator[tuple[Assembly, Ledger]]:
        assembly = assemble(config)
        async with database.existing(config, database.address(config), partitions=assembly.site.partitions,
                                     outbox=False) as ledger:
            yield assembly, ledger

    @asynccontextmanager
    async def desk(self, config: Path) -> AsyncIterator[Desk]:
        """The ledger of a site."""
        async with self._opened(config) as (_, ledger):
            yield ledger

    @asynccontextmanager
    async def workshop(self, config: Path) -> AsyncIterator[Workshop]:
        """The ledger, the tables and the rules of today."""
        async with self._opened(config) as (assembly, ledger):
            clock = SystemClock()
            planner = Planner(ledger, assembly.translator, assembly.site,
                              Rulebook(assembly.site, assembly.revision), clock)
            # The worker of another process looks at the ledger by itself: there is no bell to ring from here.
            yield Workshop(desk=ledger, planner=planner, replayer=Replayer(ledger, lambda _: None, clock))

    def explainer(self, config: Path) -> SiteExplainer:
        """Lineage with the tables of today."""
        assembly = assemble(config)
        return SiteExplainer(assembly.site, assembly.library, codecs())

    async def send(self, path: Path, host: str, port: int, timeout_s: float) -> Sent:
        """Send a file over MLLP."""
        return await send.send(path, host, port, timeout_s)


def command_line() -> typer.Typer:
    """All commands, wired."""
    app = cli.build(WiredHouse())
    start.register(app)
    check.register(app)
    tables.register(app)
    simulate.register(app)
    play.register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``dragoman``."""
    logs.configure()
    sys.exit(frame.run(command_line(), arguments))


if __name__ == "__main__":
    main()
