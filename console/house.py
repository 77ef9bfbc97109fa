"""What the commands ask of the program they are part of. ``app.py`` answers; commands never wire anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from canonical.document import PageBox
from canonical.findings import Finding
from console.views.hours import HoursView
from console.views.journey import Explainer
from console.views.partners import Fed
from console.views.sent import Sent
from console.views.tables import Workbench
from router.desk import TaskDesk
from router.engine import Role
from router.release import Releaser
from router.replay import Planner, Replayer
from store.ledger import Desk, Ledger


class Workshop(msgspec.Struct, frozen=True):
    """The ledger of a site with what a replay or a release needs."""

    desk: Desk
    planner: Planner
    replayer: Replayer
    releaser: Releaser


class TaskShop(msgspec.Struct, frozen=True):
    """The ledger of a site with what answering a task needs."""

    ledger: Ledger
    tasks: TaskDesk


class House(Protocol):
    """The wired program, as the console sees it. Every method may raise `Rejection`: located faults of the
    configuration, or a database that is away."""

    def run(self, config: Path, role: Role) -> None:
        """Run a site until a signal comes."""

    def check(self, config: Path) -> tuple[Sequence[Finding], int, int]:
        """Everything that is wrong with a site and its tables; how many tables and sites there are."""

    def workbench(self, config: Path) -> Workbench:
        """The tables of a site. Nothing is compiled yet."""

    def desk(self, config: Path) -> AbstractAsyncContextManager[Ledger]:
        """The ledger of a site, for looking and deciding; works while the engine runs."""

    def workshop(self, config: Path) -> AbstractAsyncContextManager[Workshop]:
        """The same ledger, and the tables and rules of today."""

    def tasks(self, config: Path) -> AbstractAsyncContextManager[TaskShop]:
        """The same ledger, and a desk at which tasks are answered."""

    async def hours(self, config: Path, since: int, until: int, now: int) -> HoursView:
        """How fast partners answered, and what is overdue now; microseconds since the epoch."""

    def explainer(self, config: Path) -> Explainer:
        """Recomputes lineage with the site's mappings."""

    async def crop(self, raw: bytes, box: PageBox, index: int, rotation: int) -> bytes:
        """The piece of a document's page that a field was read from, as a PNG. Raises `Rejection`."""

    async def send(self, path: Path, host: str, port: int, timeout_s: float) -> Sent:
        """Send a file over MLLP. Raises UserError where there is no file, no message, or no peer."""

    async def feed(self, host: str, port: int, *, style: str, count: int, rate: float, connections: int,
                   seed: int, spoil_every: int) -> Fed:
        """Send what an EHR sends. Raises UserError for an unknown style."""

    async def simulate(self, name: str, port: int, faults: Sequence[str], ready: Callable[[int], None]) -> None:
        """Be a partner until cancelled. Raises OSError and ValueError (a fault rule)."""

    async def demo(self, messages: int, folder: Path | None) -> bool:
        """Play the demo in `folder` and on standard output. True where everything arrived, in order, once."""
