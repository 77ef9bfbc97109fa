"""The proof that something is safe.

A `Receipt` says: these bytes are committed to storage that survives power loss. Connectors build a positive
acknowledgement from a receipt and from nothing else (invariant 1). Only the ledger issues receipts:
`ReceiptMint` is imported by ``store`` alone, which the import contracts of lint check.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from canonical.findings import Finding


class Verdict(StrEnum):
    """What the engine says about a stored message at its door."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """Seen before, byte for byte but for time and control id fields: the first receipt is repeated."""
    REFUSED = "refused"
    """Stored and visible, but this endpoint does not take it (wrong processing id, unsupported type)."""


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Proof of a commit. Everything an acknowledgement needs, so that a duplicate gets the same bytes."""

    message_id: str
    control_id: str
    received_at: int
    """Microseconds since the epoch (UTC) at which the *first* copy was received."""
    verdict: Verdict
    finding: Finding | None
    """Why it was refused; None otherwise."""
    _mint: object
    home: int = -1
    """Partition whose worker processes it; -1 where it is not known."""

    def __post_init__(self) -> None:
        if not isinstance(self._mint, ReceiptMint):
            raise TypeError("only the ledger issues receipts")

    @property
    def positive(self) -> bool:
        """True where the sender may forget the message."""
        return self.verdict is not Verdict.REFUSED


class ReceiptMint:
    """Issues receipts. One a ledger; see the module's docstring for who may hold one."""

    def issue(self, message_id: str, control_id: str, received_at: int, verdict: Verdict = Verdict.ACCEPTED,
              finding: Finding | None = None, home: int = -1) -> Receipt:
        """A receipt for a message whose commit has returned."""
        return Receipt(message_id, control_id, received_at, verdict, finding, self, home)
