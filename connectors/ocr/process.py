"""Watches over one document being read in a process of its own, and puts its pages together.

The process says at which page it is. If it dies there, or stays there too long, that page is to blame: it is left out
with a finding, and another process goes on behind it. After a few deaths the rest is left out as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from canonical.findings import Code, Finding, finding
from canonical.page import Page, PageDocument, SourceKind
from connectors.ocr.codes import CRASHED, ENGINE, TOO_SLOW
from connectors.ocr.settings import OcrOut
from connectors.ocr.wire import Begun, Done, Left, Order, Read, Step, encoder, steps

#: Raised when the pages of the same picture come out differently, so that a new reading is another message.
PIPELINE: Final = "1"
PRODUCER: Final = "dragoman"
#: Processes that may die over one document.
MOST_DEATHS: Final = 3
#: Bytes of one step: a page full of the smallest print is about 2 MB.
_LINE: Final = 64 * 1024 * 1024
ROOT: Final = Path(__file__).parent.parent.parent
#: Of a process that opens documents. Nothing of our own: it holds secrets.
ENVIRONMENT: Final = {
    "PYTHONPATH": str(ROOT), "OMP_THREAD_LIMIT": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
_PACKAGES: Final = ("tesserocr", "pypdfium2", "pillow")


class CannotStart(Exception):  # noqa: N818 - a state of the machine
    """There is no process to be had."""


def version() -> str:
    """What decides how the pages of a picture come out: our own steps and the programs they use."""
    found = [f"{name}-{importlib.metadata.version(name)}" for name in _PACKAGES if _installed(name)]
    return "+".join([PIPELINE, *found])


def missing(settings: OcrOut) -> list[Finding]:
    """What this machine lacks for reading pictures."""
    if not _installed("tesserocr"):
        return [finding(ENGINE, detail="tesserocr is not installed")]
    if not settings.data:
        return [finding(ENGINE, detail=f"there is no language data for {settings.languages}")]
    return []


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


async def read(raw: bytes, message_id: str, settings: OcrOut) -> PageDocument:
    """The pages of a document; what could not be read is among its findings, and all of it may be.

    Raises:
        CannotStart: there is no process to be had; nothing was tried.
    """
    pages: list[Page] = []
    findings: list[Finding] = []
    by_ocr = False
    first, deaths = 1, 0
    digest = hashlib.sha256(raw).hexdigest()
    while True:
        at = first - 1
        reason: Code | None = CRASHED
        order = Order(first=first, last=settings.max_pages, languages=settings.languages, tessdata=settings.data,
                      sha256=digest, message_id=message_id, max_pixels=settings.max_pixels,
                      max_objects=settings.max_objects, document_s=settings.document_s, memory_mb=settings.memory_mb,
                      priority=settings.priority)
        async with _started(order, raw, settings.page_s) as child:
            async for step in child:
                match step:
                    case Begun(number):
                        at = number
                    case Read(page, ocr):
                        pages.append(page)
                        by_ocr = by_ocr or ocr
                    case Left(_, found):
                        findings.append(found)
                    case Done():
                        reason = None
            reason = child.reason or reason
        if reason is None:
            break
        deaths += 1
        place = f"page {at}" if at >= first else ""
        findings.append(finding(reason, at=place))
        if not place or deaths == MOST_DEATHS or (reason is TOO_SLOW and child.spent):
            break
        first = at + 1
    return PageDocument(source=SourceKind.OCR if by_ocr else SourceKind.PDF, pages=tuple(pages), producer=PRODUCER,
                        producer_version=version(), model=settings.languages, parent_id=message_id,
                        findings=tuple(findings))


class _Child:
    """A running process: its steps, and why there are no more."""

    def __init__(self, process: asyncio.subprocess.Process, page_s: float) -> None:
        self._process = process
        self._page_s = page_s
        self.reason: Code | None = None
        """Set where we ended it, or it told by its end why it died."""
        self.spent = False
        """It used up the time of the whole document."""

    async def __aiter__(self) -> AsyncIterator[Step]:
        if self._process.stdout is None:
            raise AssertionError("its output is ours")
        while True:
            try:
                async with asyncio.timeout(self._page_s):
                    line = await self._process.stdout.readline()
            except TimeoutError:
                self.reason = TOO_SLOW
                return
            except ValueError:  # a line beyond all measure
                self.reason = CRASHED
                return
            if not line.endswith(b"\n"):
                break
            try:
                yield steps.decode(line)
            except (msgspec.DecodeError, UnicodeError):
                self.reason = CRASHED
                return
        code = await self._process.wait()
        if code == -signal.SIGXCPU:
            self.reason, self.spent = TOO_SLOW, True

    async def end(self) -> None:
        """Kill it, if it lives, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


@contextlib.asynccontextmanager
async def _started(order: Order, raw: bytes, page_s: float) -> AsyncIterator[_Child]:
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-s", "-X", "utf8", "-m", "connectors.ocr.child",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            cwd=ROOT, limit=_LINE, env=ENVIRONMENT)
    except OSError as error:
        raise CannotStart from error
    child = _Child(process, page_s)
    feeding = asyncio.create_task(_feed(process, encoder.encode(order) + b"\n", raw))
    try:
        yield child
    finally:
        feeding.cancel()
        await child.end()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(process: asyncio.subprocess.Process, order: bytes, raw: bytes) -> None:
    if process.stdin is None:
        raise AssertionError("its input is ours")
    with contextlib.suppress(ConnectionError, BrokenPipeError):  # it died: its end tells
        process.stdin.write(order)
        process.stdin.write(raw)
        await process.stdin.drain()
        process.stdin.close()
