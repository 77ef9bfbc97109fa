"""What connectors of the house are given: the ledger's stored bytes, and the one door."""

from __future__ import annotations

from canonical.findings import Finding
from canonical.phi import Phi
from connectors.base import Accept, Peek, Submission, Unavailable
from store.ledger import Desk, LedgerUnavailable


class Doors:
    """Holds the door of an engine that is not built yet."""

    def __init__(self) -> None:
        self._accept: Accept | None = None

    def opened(self, accept: Accept) -> None:
        """The engine is built."""
        self._accept = accept

    async def accept(self, submission: Submission) -> None:
        """Through the door. Raises `Unavailable` where it is not open, or nothing can be stored."""
        if self._accept is None:
            raise Unavailable("the engine has not started")
        await self._accept(submission)


class Inside:
    """`connectors.inside.House` of one destination.

    Args:
        ledger: for stored bytes.
        name: of the destination, for the record.
        channel: on which its answers come in.
        door: tells the door; asked when first needed, since the engine that holds it is built last.
    """

    def __init__(self, ledger: Desk, name: str, channel: str, door: Doors) -> None:
        self._ledger = ledger
        self._name = name
        self._channel = channel
        self._door = door

    async def fetch(self, message_id: str) -> bytes | None:
        """See `connectors.inside.House`."""
        try:
            return await self._ledger.raw_bytes(message_id)
        except LedgerUnavailable as away:
            raise Unavailable("the ledger cannot be read") from away

    async def post(self, raw: bytes, peek: Peek, parent_id: str, refusal: Finding | None = None) -> None:
        """See `connectors.inside.House`."""
        await self._door.accept(Submission(channel=self._channel, raw=Phi(raw), peek=peek, peer=self._name,
                                           parent_id=parent_id, refusal=refusal))
