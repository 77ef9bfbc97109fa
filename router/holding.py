"""A partition that this process holds, for as long as it holds it."""

from __future__ import annotations

import asyncio

from store.records import Lease


class Holding:
    """The lease of one partition, shared by pump and deliverers.

    When the ledger says that the lease is lost, or it ran out unrenewed, everybody stops at once: `lost` is
    set and stays set; a later holding of the same partition is another object.
    """

    __slots__ = ("lease", "lost")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.lost = asyncio.Event()

    @property
    def partition(self) -> int:
        return self.lease.partition

    def lose(self) -> None:
        """Somebody else has the partition now, or may have."""
        self.lost.set()
