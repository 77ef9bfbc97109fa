"""The front door of the store: a ledger from its address."""

from __future__ import annotations

from store.ledger import Ledger
from store.memory import MemoryLedger


def open_ledger(url: str, *, partitions: int = 16, outbox: bool = True) -> Ledger:
    """The ledger at `url`; nothing is opened before `start()`.

    Args:
        url: ``sqlite:///PATH``, ``postgresql://USER@HOST/NAME`` or ``memory:``.
        partitions: how many partitions lanes are spread over. Fixed when the database is made.
        outbox: False where no subscriber takes events: they count as published at once.

    Raises:
        ValueError: the address is of no known kind.
    """
    if url == "memory:":
        return MemoryLedger(partitions=partitions, outbox=outbox)
    raise ValueError("a ledger's address starts with sqlite:///, postgresql:// or is memory:")
