"""A stand-in for the engine behind a receiver: the one door, with a tape recorder and a lock."""

from __future__ import annotations

import asyncio

from canonical.receipt import Receipt, ReceiptMint, Verdict
from connectors.base import Submission, Unavailable


class Door:
    """Accepts what is submitted, as the ledger would: remembers by `dedup`, refuses what carries a refusal."""

    def __init__(self) -> None:
        self.submissions: list[Submission] = []
        self.reports: list[tuple[Receipt, str, bool]] = []
        """What became of acknowledgements: (receipt, code, delivered)."""
        self.unavailable = False
        """The ledger cannot commit."""
        self.open = asyncio.Event()
        """While not set, commits do not return."""
        self.open.set()
        self._mint = ReceiptMint()
        self._seen: dict[bytes, Receipt] = {}

    @property
    def accepted(self) -> list[bytes]:
        """The content of everything accepted and not refused, in order."""
        return [submission.raw.reveal() for submission in self.submissions if submission.refusal is None]

    @property
    def refused(self) -> list[bytes]:
        """The content of everything refused, in order."""
        return [submission.raw.reveal() for submission in self.submissions if submission.refusal is not None]

    async def accept(self, submission: Submission) -> Receipt:
        """`connectors.base.Accept`"""
        if self.unavailable:
            raise Unavailable
        self.submissions.append(submission)
        number = len(self.submissions)
        await self.open.wait()
        dedup = submission.peek.dedup
        first = self._seen.get(dedup) if dedup else None
        if first is not None:
            return self._mint.issue(first.message_id, first.control_id, first.received_at, Verdict.DUPLICATE)
        verdict = Verdict.ACCEPTED if submission.refusal is None else Verdict.REFUSED
        receipt = self._mint.issue(f"message-{number}", submission.peek.control_id,
                                   1_772_000_000_000_000 + number, verdict, submission.refusal)
        if dedup:
            self._seen[dedup] = receipt
        return receipt

    def report(self, receipt: Receipt, code: str, delivered: bool) -> None:
        """`connectors.base.AckReport`"""
        self.reports.append((receipt, code, delivered))


async def until(condition: object, seconds: float = 5.0) -> None:
    """Wait until `condition()` is true; fail if it does not become so."""
    assert callable(condition)
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
