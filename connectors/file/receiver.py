"""Takes files from a drop folder: claimed by renaming, stored, and only then moved away.

A file is, at all times, in exactly one of four folders, and only a rename moves it:

    drop folder -> .work -> done      all its messages are stored
                         -> failed    it was not taken; NAME.finding.json beside it says why

After a crash whatever is in ``.work`` is taken again. Its name there carries the file's time and stays the
same, and with it the hash by which its messages are recognised, so that nothing has its effect twice.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from canonical.findings import Finding, Rejection, finding
from canonical.phi import Phi
from canonical.receipt import Receipt
from connectors.base import Accept, AckReport, Peek, Submission, Unavailable
from connectors.file.codes import EMPTY, TOO_LARGE, UNREADABLE
from connectors.file.settings import FileIn

_log = logging.getLogger(__name__)

#: Cuts the content of a file into messages.
Split = Callable[[bytes], Iterable[bytes]]


class FileReceiver:
    """One folder. See `connectors.base.Receiver`.

    Args:
        name: Name of the channel.
        settings: The folder and when a file in it is complete.
        accept: The one door.
        ack_report: Told ``done`` or ``failed`` for each message, when its file has been moved.
        peek: Peeks at a message.
        split: Cuts a file into messages.
        refusal: Says why a message is none; such a one is stored all the same, as refused.
        now: Time in seconds since the epoch, to be compared with times of files.
    """

    def __init__(self, name: str, settings: FileIn, accept: Accept, ack_report: AckReport, *,
                 peek: Callable[[bytes], Peek], split: Split,
                 refusal: Callable[[bytes], Finding | None] = lambda _: None,
                 now: Callable[[], float] = time.time) -> None:
        self.name = name
        self.settings = settings
        self._accept = accept
        self._ack_report = ack_report
        self._peek = peek
        self._split = split
        self._refusal = refusal
        self._now = now
        self._in: Final = Path(settings.path)
        self._work: Final = self._in / settings.work
        self._done: Final = self._in / settings.done
        self._failed: Final = self._in / settings.failed
        self._seen: dict[str, tuple[int, int, float]] = {}
        """Size, time and since when both are so, by name: for ``ready: stable``."""
        self._lock = -1
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def resources(self) -> Sequence[str]:
        """The folder."""
        return (f"dir:{self._in}",)

    async def start(self) -> None:
        """Make the folders, lock the drop folder, begin.

        Raises:
            OSError: the folder is not there, not writable, or taken by another process.
        """
        lock = os.open(self._in, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for folder in (self._work, self._done, self._failed):
                folder.mkdir(exist_ok=True)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock
        self._stopping.clear()
        self._task = asyncio.create_task(self._run())

    async def stop(self, grace: float) -> None:
        """Finish the file begun within `grace` seconds; one that is not finished is taken again at start."""
        self._stopping.set()
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=grace)
            if not done:
                self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._lock >= 0:
            os.close(self._lock)  # releases the lock too
            self._lock = -1

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._look()
            except Unavailable:
                pass  # nothing is lost: the file waits in .work
            except OSError as error:
                _log.error("folder cannot be used: channel %s, errno %s", self.name, error.errno)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self.settings.poll_s)

    async def _look(self) -> None:
        """Take what waits in ``.work``, then what is complete in the drop folder, oldest first."""
        claimed = await asyncio.to_thread(_listed, self._work)
        for entry in claimed:
            if self._stopping.is_set():
                return
            await self._take(self._work / entry[1])
        for path in await asyncio.to_thread(self._complete):
            if self._stopping.is_set():
                return
            work = await asyncio.to_thread(self._claim, path)
            if work is not None:
                await self._take(work)

    # -- finding and claiming

    def _complete(self) -> list[Path]:
        settings = self.settings
        found = [entry for entry in _listed(self._in)
                 if fnmatchcase(entry[1], settings.pattern) and not entry[1].startswith(".")]
        if settings.ready == "rename":
            return [self._in / name for _, name, _ in found]
        now, seen = self._now(), {}
        for mtime, name, size in found:
            before = self._seen.get(name)
            same = before is not None and before[:2] == (size, mtime)
            seen[name] = (size, mtime, before[2] if before is not None and same else now)
        self._seen = seen
        return [self._in / name for _, name, _ in found if now - seen[name][2] >= settings.stable_s]

    def _claim(self, path: Path) -> Path | None:
        """Rename into ``.work``: of several who try, one succeeds."""
        try:
            work = self._work / f"{path.stat().st_mtime_ns}.{path.name}"
            if work.exists():
                return None
            path.rename(work)
        except FileNotFoundError:
            return None  # its writer has taken it back, or somebody else has taken it
        return work

    # -- taking

    async def _take(self, work: Path) -> None:
        """Store the messages of a claimed file and move it away.

        Raises:
            Unavailable: not all could be stored; the file stays.
        """
        try:
            content = await asyncio.to_thread(self._read, work)
            messages = list(self._split(content))
        except Rejection as rejection:
            await asyncio.to_thread(self._set_aside, work, rejection.findings)
            return
        receipts = await self._store(work.name, messages)
        if all(receipt.positive for receipt in receipts):
            await asyncio.to_thread(_move, work, self._done)
        else:
            refusals = [receipt.finding for receipt in receipts if receipt.finding is not None]
            await asyncio.to_thread(self._set_aside, work, refusals)
        for receipt in receipts:
            self._ack_report(receipt, "done" if receipt.positive else "failed", True)

    def _read(self, work: Path) -> bytes:
        try:
            with work.open("rb") as file:
                content = file.read(self.settings.max_bytes + 1)
        except PermissionError:
            raise Rejection(finding(UNREADABLE)) from None
        if len(content) > self.settings.max_bytes:
            raise Rejection(finding(TOO_LARGE, detail=f"more than {self.settings.max_bytes} bytes"))
        if not content.strip():
            raise Rejection(finding(EMPTY))
        return content

    async def _store(self, file: str, messages: Sequence[bytes]) -> list[Receipt]:
        """Receipts for all messages. They are stored side by side, but those of one lane one after another, so
        that a ledger that fails half way cannot store a later one before an earlier."""
        slots = asyncio.Semaphore(self.settings.max_in_flight)
        last: dict[str, asyncio.Task[Receipt]] = {}
        tasks: list[asyncio.Task[Receipt]] = []
        for index, raw in enumerate(messages):
            submission = self._submission(file, index, raw, batch=len(messages) > 1)
            await slots.acquire()
            lanes = submission.peek.lanes
            task = asyncio.create_task(self._after([last[lane] for lane in lanes if lane in last], submission))
            task.add_done_callback(lambda _: slots.release())
            last.update(dict.fromkeys(lanes, task))
            tasks.append(task)
        try:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            raise
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, Receipt)]

    async def _after(self, earlier: Iterable[asyncio.Task[Receipt]], submission: Submission) -> Receipt:
        for task in earlier:
            await asyncio.shield(task)
        return await self._accept(submission)

    def _submission(self, file: str, index: int, raw: bytes, *, batch: bool) -> Submission:
        peek, refusal = self._peek(raw), self._refusal(raw)
        if refusal is not None:  # not remembered: it may come again after its cause was mended
            peek = msgspec.structs.replace(peek, dedup=b"")
        elif not peek.dedup:
            # Without an id of its own a message is known by the file it came in, which a crash does not change.
            place = f"{file}\0{index}\0".encode("utf-8", "surrogateescape")
            peek = msgspec.structs.replace(peek, dedup=hashlib.sha256(place + raw).digest())
        return Submission(channel=self.name, raw=Phi(raw), peek=peek, peer=_given_name(file),
                          refusal=refusal, parent_id=file if batch else "")

    def _set_aside(self, work: Path, findings: Sequence[Finding]) -> None:
        """The explanation first: a file in ``failed`` is never without it."""
        target = _free(self._failed, _given_name(work.name))
        beside = target.with_name(target.name + ".finding.json")
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(findings), indent=2))
        work.rename(target)


def _files(path: Path) -> Iterator[os.DirEntry[str]]:
    """Regular files of a folder; links are not followed, so that nobody can have us read what is elsewhere."""
    with os.scandir(path) as entries:
        yield from (entry for entry in entries if entry.is_file(follow_symlinks=False))


def _listed(folder: Path) -> list[tuple[int, str, int]]:
    """(time, name, size) of the files of a folder, oldest first."""
    found = []
    for entry in _files(folder):
        with suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            found.append((status.st_mtime_ns, entry.name, status.st_size))
    return sorted(found)


def _given_name(claimed: str) -> str:
    """The name under which the file was dropped: without the time that claiming put before it."""
    return claimed.partition(".")[2]


def _free(folder: Path, name: str) -> Path:
    """A path in the folder that does not exist: the name, or the name with a number."""
    target, number = folder / name, 0
    while target.exists():
        number += 1
        target = folder / f"{name}.{number}"
    return target


def _move(work: Path, folder: Path) -> None:
    work.rename(_free(folder, _given_name(work.name)))
