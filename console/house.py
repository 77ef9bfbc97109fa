"""What the commands ask of the program they are part of. ``app.py`` answers; commands never wire anything."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from console.views.journey import Explainer
from console.views.sent import Sent
from router.replay import Planner, Replayer
from store.ledger import Desk


class Workshop(msgspec.Struct, frozen=True):
    """The ledger of a site with what a replay needs."""

    desk: Desk
    planner: Planner
    replayer: Replayer


class House(Protocol):
    """The wired program, as the console sees it."""

    def desk(self, config: Path) -> AbstractAsyncContextManager[Desk]:
        """The ledger of a site, for looking and deciding; works while the engine runs.

        Raises:
            Rejection: the configuration is faulty.
            LedgerUnavailable: the database is away.
        """

    def workshop(self, config: Path) -> AbstractAsyncContextManager[Workshop]:
        """The same ledger, and the tables and rules of today. Raises as `desk`."""

    def explainer(self, config: Path) -> Explainer:
        """Recomputes lineage with the site's mappings."""

    async def send(self, path: Path, host: str, port: int, timeout_s: float) -> Sent:
        """Send a file over MLLP. Raises UserError where there is no file, no message, or no peer."""
