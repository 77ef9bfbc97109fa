"""The one door, as connectors see it: receipts in order, or none at all."""

from __future__ import annotations

import asyncio

from canonical.findings import Finding
from canonical.receipt import Receipt, ReceiptMint, Verdict
from connectors.base import Submission, Unavailable


class Door:
    """``Door().accept`` and ``.report`` for a receiver; the rest for the test."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        """What was committed, in order, without duplicates."""
        self.offered = 0
        """Calls, also those that failed."""
        self.reports: list[tuple[str, str, bool]] = []
        """(message id, code, delivered)"""
        self.open = True
        self.fail_after: int | None = None
        """So many messages are stored, then none."""
        self.failures = 0
        self.refusing: Finding | None = None
        """Why the site refuses everything, if it does."""
        self.held: asyncio.Event | None = None
        """Set to an event: commits wait for it."""
        self._known: dict[bytes, Receipt] = {}
        self._mint = ReceiptMint()

    async def accept(self, submission: Submission) -> Receipt:
        """Commit one message."""
        self.offered += 1
        if self.held is not None:
            await self.held.wait()
        if not self.open or len(self.submissions) == self.fail_after:
            self.failures += 1
            raise Unavailable
        dedup = submission.peek.dedup
        if dedup and dedup in self._known:
            first = self._known[dedup]
            return self._mint.issue(first.message_id, first.control_id, first.received_at, Verdict.DUPLICATE)
        self.submissions.append(submission)
        refusal = submission.refusal or self.refusing
        verdict = Verdict.ACCEPTED if refusal is None else Verdict.REFUSED
        receipt = self._mint.issue(f"m{len(self.submissions)}", submission.peek.control_id,
                                   1_790_000_000_000_000, verdict, refusal)
        if dedup:
            self._known[dedup] = receipt
        return receipt

    def report(self, receipt: Receipt, code: str, delivered: bool) -> None:
        """Note what became of an answer."""
        self.reports.append((receipt.message_id, code, delivered))
