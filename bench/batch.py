"""A batch file of a million messages through the folder edge: rate and memory (B06).

    python -m bench.batch --messages 1000000

The ledger is a stand-in that answers at once, so that reading, cutting and peeking is what is measured.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from bench.report import console
from canonical.receipt import Receipt, ReceiptMint
from connectors.base import Submission
from connectors.file.settings import FileIn
from connectors.file.spec import build_receiver
from tests.hl7v2.messages import siu


class Counter:
    """A ledger that only counts."""

    def __init__(self) -> None:
        self.count = 0
        self._mint = ReceiptMint()

    async def accept(self, submission: Submission) -> Receipt:
        """The one door."""
        self.count += submission.record is None
        return self._mint.issue("m", submission.peek.control_id, 1)

    def report(self, receipt: Receipt, code: str, delivered: bool) -> None:
        """Nobody asks."""


def resident_mb() -> float:
    """Most memory this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _run(folder: Path, answers: bool) -> tuple[int, float]:
    counter = Counter()
    settings = FileIn(path=str(folder), ready="rename", poll_s=0.05, pattern="*.hl7", batch_counts="reject",
                      responses=str(folder / "answers") if answers else "")
    receiver = build_receiver("in", settings, counter.accept, counter.report)
    began = time.perf_counter()
    await receiver.start()
    while not any((folder / "done").iterdir()):
        await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    await receiver.stop(1.0)
    return counter.count, took


def main(messages: Annotated[int, typer.Option(help="Messages in the file.")] = 1_000_000,
         answers: Annotated[bool, typer.Option(help="Write the response batch, too.")] = True) -> None:
    """Write the file, take it, say what it cost."""
    with tempfile.TemporaryDirectory(prefix="dragoman-batch-") as name:
        folder = Path(name)
        with (folder / ".part").open("wb") as file:
            file.write(b"FHS|^~\\&\rBHS|^~\\&\r")
            for number in range(messages):
                file.write(siu(f"M{number}", patient=f"P{number % 5000}"))
            file.write(b"BTS|%d\rFTS|1\r" % messages)
        size = (folder / ".part").stat().st_size
        before = resident_mb()
        (folder / ".part").rename(folder / "b.hl7")
        count, took = asyncio.run(_run(folder, answers))
        console.print(f"{count:,} messages, {size / 1e6:,.0f} MB in {took:.1f} s ({count / took:,.0f}/s); "
                      f"memory {before:.0f} MB before, {resident_mb():.0f} MB at most")


if __name__ == "__main__":
    typer.run(main)
