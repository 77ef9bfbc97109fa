"""Dragoman, wired: the one place where every room is known. ``python -m app`` is the command line.

Rooms are imported when a command needs them, so that ``dragoman --help`` does not wait for a database driver.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import typer

from canonical.document import PageBox
from canonical.findings import Finding
from console import cli, frame
from console.house import TaskShop, Workshop
from console.views.hours import HoursView
from console.views.journey import Explainer
from console.views.partners import Fed
from console.views.sent import Sent
from console.views.tables import Target, Workbench
from router.engine import Role
from store.ledger import Ledger
from wiring import logs


class WiredHouse:
    """What the console asks of the program (`console.house.House`)."""

    def run(self, config: Path, role: Role) -> None:
        """The engine, until a signal comes."""
        from wiring import running

        running.run(config, role)

    def check(self, config: Path) -> tuple[Sequence[Finding], int, int]:
        """Everything that is wrong."""
        from wiring.check import check

        return check(config)

    def workbench(self, config: Path) -> Workbench:
        """Tables and codecs, without an engine."""
        from router.site import table_for
        from wiring.assembly import assemble, codecs
        from wiring.partners import Profiles
        from wiring.translator import overlay

        assembly = assemble(config, compiled=False)
        families = codecs()
        profiles = Profiles(assembly.library.partners)
        destinations = {name: Target(partial(table_for, one.mapping), one.site, {
            **(profiles.values(one.partner) if one.partner else {}), **one.context})
            for name, one in assembly.site.destinations.items()}
        return Workbench(assembly.library, config / assembly.site.mappings,
                         lambda site: overlay(assembly.library, site),
                         lambda family, raw: families[family].decode(raw),
                         lambda family, wire: families[family].encode(wire), destinations, assembly.known,
                         profiles)

    def desk(self, config: Path) -> AbstractAsyncContextManager[Ledger]:
        """The ledger; the tables are not even read."""
        from wiring import database
        from wiring.assembly import outline

        return database.existing(config, database.address(config), partitions=outline(config).partitions,
                                 outbox=False)

    @asynccontextmanager
    async def workshop(self, config: Path) -> AsyncIterator[Workshop]:
        """The ledger, the tables and the rules of today."""
        from canonical.clock import SystemClock
        from router.release import Releaser
        from router.replay import Planner, Replayer
        from router.triage import Rulebook
        from wiring.assembly import assemble

        assembly, clock = assemble(config, compiled=False), SystemClock()
        async with self.desk(config) as ledger:
            rulebook = Rulebook(assembly.site, assembly.revision)
            planner = Planner(ledger, assembly.translator, assembly.site, rulebook, clock)
            # The worker is another process and looks at the ledger by itself: there is no bell to ring here.
            yield Workshop(desk=ledger, planner=planner, replayer=Replayer(ledger, lambda _: None, clock),
                           releaser=Releaser(ledger, assembly.translator, lambda _: None, clock))

    @asynccontextmanager
    async def tasks(self, config: Path) -> AsyncIterator[TaskShop]:
        """The ledger, and a desk at which tasks are answered."""
        from canonical.clock import SystemClock
        from router.desk import TaskDesk
        from wiring.recheck import recheck

        async with self.desk(config) as ledger:
            yield TaskShop(ledger=ledger, tasks=TaskDesk(ledger, recheck, SystemClock()))

    async def hours(self, config: Path, since: int, until: int, now: int) -> HoursView:
        """Partners' hours."""
        from wiring.assembly import assemble
        from wiring.hours import Hours

        assembly = assemble(config, compiled=False)
        async with self.desk(config) as ledger:
            return await Hours(assembly.site, assembly.partners, ledger).view(since, until, now)

    def explainer(self, config: Path) -> Explainer:
        """Lineage on demand."""
        from wiring.assembly import assemble, codecs
        from wiring.explainer import SiteExplainer

        assembly = assemble(config, compiled=False)
        return SiteExplainer(assembly.site, assembly.library, codecs(), assembly.known)

    async def crop(self, raw: bytes, box: PageBox, index: int, rotation: int) -> bytes:
        """A piece of a page, in a process of its own."""
        from connectors.ocr.crop import crop

        return await crop(raw, box, index, rotation)

    async def send(self, path: Path, host: str, port: int, timeout_s: float) -> Sent:
        """A file over MLLP."""
        from wiring.send import send

        return await send(path, host, port, timeout_s)

    async def feed(self, host: str, port: int, *, style: str, count: int, rate: float, connections: int,
                   seed: int, spoil_every: int) -> Fed:
        """An EHR's histories over MLLP."""
        from simulators.ehr import Ehr, feed
        from simulators.styles import STYLES

        if style not in STYLES:
            raise frame.UserError(f"--style {style}: no such EHR", f"one of {', '.join(STYLES)}")
        messages = islice(Ehr(style, seed=seed, spoil_every=spoil_every).histories(), count)
        tally = await feed(messages, host, port, connections=connections, per_second=rate)
        return Fed(ok=tally.accepted == tally.sent, sent=tally.sent, accepted=tally.accepted,
                   refused=dict(tally.refused), repeated=tally.repeated, stray=tally.stray,
                   given_up=tally.given_up)

    async def simulate(self, name: str, port: int, faults: Sequence[str], ready: Callable[[int], None]) -> None:
        """A partner, until cancelled."""
        from simulators.serve import serve

        await serve(name, port, faults, ready=ready)

    async def demo(self, messages: int, folder: Path | None) -> bool:
        """The demo."""
        from wiring.demo.play import play

        return await play(messages, folder)


def command_line() -> typer.Typer:
    """All commands, wired."""
    return cli.build(WiredHouse())


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``dragoman``."""
    logs.configure()
    sys.exit(frame.run(command_line(), arguments))


if __name__ == "__main__":
    main()
