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
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

from canonical.findings import Finding, Rejection, finding
from canonical.phi import Phi
from canonical.receipt import Receipt
from connectors.base import Accept, AckReport, Recall, Submission
from connectors.file.codes import EMPTY, TOO_LARGE, UNREADABLE
from connectors.file.kinds import Kind
from connectors.file.response import Response
from connectors.file.settings import FileIn
from connectors.file.window import Window
from connectors.hl7v2.batch import BATCH, Part, Tally
from connectors.hl7v2.continuation import Joiner
from connectors.polling import Polling
from connectors.x12.reception import Reception

_log = logging.getLogger(__name__)

#: Bytes read at a time.
CHUNK: Final = 256 * 1024
#: Refusals told beside a file; every refused message has its own entry in the ledger.
SHOWN: Final = 100


class FileReceiver:
    """One folder. See `connectors.base.Receiver`.

    Args:
        name: Name of the channel.
        settings: The folder and when a file in it is complete.
        accept: The one door.
        ack_report: Told ``done`` or ``failed`` for each message that is stored.
        kind: What its files are.
        reception: Receives interchanges instead: such a file is read as a whole.
        now: Time in seconds since the epoch, to be compared with times of files.
    """

    def __init__(self, name: str, settings: FileIn, accept: Accept, ack_report: AckReport, *,
                 kind: Kind, reception: Reception | None = None, now: Callable[[], float] = time.time) -> None:
        self.name = name
        self.settings = settings
        self._joiner = Joiner(name, settings.continuation, accept)
        self.accept = self._joiner.accept if settings.format == "hl7v2" else accept
        self.ack_report = ack_report
        self.kind = kind
        self.reception = reception
        self._now = now
        self._in: Final = Path(settings.path)
        self._work: Final = self._in / settings.work
        self._done: Final = self._in / settings.done
        self._failed: Final = self._in / settings.failed
        self._seen: dict[str, tuple[int, int, float]] = {}
        """Size, time and since when both are so, by name: for ``ready: stable``."""
        self._lock = -1
        self._polling = Polling(name, self._look, settings.poll_s)

    @property
    def resources(self) -> Sequence[str]:
        """The folder."""
        return (f"dir:{self._in}",)

    async def resume(self, recall: Recall) -> None:
        """See `connectors.base.Resumes`."""
        if self.settings.format == "hl7v2":
            await self._joiner.resume(recall)

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
            if self.settings.responses:
                Path(self.settings.responses).mkdir(exist_ok=True)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock
        self._polling.begin()

    async def stop(self, grace: float) -> None:
        """Finish the file begun within `grace` seconds; one that is not finished is taken again at start."""
        self._joiner.close()
        await self._polling.end(grace)
        if self._lock >= 0:
            os.close(self._lock)  # releases the lock too
            self._lock = -1

    async def _look(self) -> bool:
        """Take what waits in ``.work``, then what is complete in the drop folder, oldest first."""
        try:
            await self._take_all()
        except OSError as error:
            self._polling.failed("folder cannot be used", f"errno {error.errno}")
        return False

    async def _take_all(self) -> None:
        claimed = await asyncio.to_thread(_listed, self._work)
        for entry in claimed:
            if self._polling.stopping:
                return
            await self._take(self._work / entry[1])
        for path in await asyncio.to_thread(self._complete):
            if self._polling.stopping:
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
        """Store the messages of a claimed file and move it away. It is read piece by piece: a file of any size takes
        the memory of the messages under way (B06).

        Raises:
            Unavailable: not all could be stored; the file stays.
        """
        try:
            size = (await asyncio.to_thread(work.stat)).st_size
            if size > self.settings.max_bytes:
                raise Rejection(finding(TOO_LARGE, detail=f"more than {self.settings.max_bytes} bytes"))
            refusals = await (_Taking(self, work).run() if self.reception is None else
                              self._hear(self.reception, work, size))
        except Rejection as rejection:
            refusals = list(rejection.findings)
        if refusals:
            await asyncio.to_thread(self._set_aside, work, refusals)
        else:
            await asyncio.to_thread(_move, work, self._done)

    async def _hear(self, reception: Reception, work: Path, size: int) -> list[Finding]:
        """Store the messages of a file of interchanges. Raises as `_take`."""
        if size > self.settings.max_message_bytes:
            raise Rejection(finding(TOO_LARGE, detail=f"more than {self.settings.max_message_bytes} bytes"))
        arrivals = await reception.hear(await asyncio.to_thread(work.read_bytes))
        window = Window(self.accept, self.settings.max_in_flight)
        stored: list[tuple[Submission, Receipt]] = []
        try:
            for index, one in enumerate(arrivals):
                peek = one.peek
                if not peek.dedup:  # as of any message without an id of its own
                    peek = msgspec.structs.replace(peek, dedup=_place(work.name, index, one.raw))
                stored += await window.add(Submission(
                    channel=self.name, raw=Phi(one.raw), peek=peek, peer=_given_name(work.name), park=one.park,
                    parent_id=work.name if len(arrivals) > 1 else ""))
            stored += await window.rest()
        except asyncio.CancelledError:
            window.cancel()
            raise
        finally:
            await window.close()
        for _, receipt in stored:
            self.ack_report(receipt, "done" if receipt.positive else "failed", True)
        return [receipt.finding for _, receipt in stored if receipt.finding is not None][:SHOWN]

    def _set_aside(self, work: Path, findings: Sequence[Finding]) -> None:
        """The explanation first: a file in ``failed`` is never without it."""
        target = _free(self._failed, _given_name(work.name))
        beside = target.with_name(target.name + ".finding.json")
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(findings), indent=2))
        work.rename(target)


class _Taking:
    """One file, from its first byte to its last acknowledgement."""

    def __init__(self, owner: FileReceiver, work: Path) -> None:
        self._owner, self._work, self._kind, self._settings = owner, work, owner.kind, owner.settings
        self._window = Window(owner.accept, owner.settings.max_in_flight)
        self._tally = Tally()
        self._problems: list[Finding] = []
        self._refusal: Finding | None = None
        """Set where every message of the file is refused."""
        self._refusals: list[Finding] = []
        self._envelope = bytearray()
        self._index = 0
        self._is_batch = False
        name = work.name
        reply = owner.kind.reply(name, int(name.partition(".")[0]) // 1000) if owner.settings.responses else None
        self._response = None if reply is None else Response(Path(owner.settings.responses), _given_name(name), reply)

    async def run(self) -> list[Finding]:
        """Store everything. Returns why messages were refused, if any were (the first of them).

        Raises:
            Rejection: it is no file that could be taken.
            Unavailable: not all could be stored.
            OSError: the answer could not be written.
        """
        if self._settings.batch_counts == "reject":
            # A look at the whole file before anything of it is stored (B02).
            tally = Tally()
            async for part in self._parts():
                tally.take(part)
            self._problems = tally.end()
            self._refusal = self._problems[0] if self._problems else None
        try:
            await self._store()
            if self._response is not None:
                await asyncio.to_thread(self._response.finish)
        except asyncio.CancelledError:
            self._window.cancel()
            raise
        finally:
            await self._window.close()
            if self._response is not None:
                self._response.abandon()
        return self._refusals

    async def _parts(self) -> AsyncIterator[Part]:
        try:
            file = await asyncio.to_thread(self._work.open, "rb")
        except PermissionError:
            raise Rejection(finding(UNREADABLE)) from None
        try:
            cutter, found = self._kind.cutter(), False
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                for part in cutter.feed(chunk):
                    found = True
                    yield part
            for part in cutter.end():
                if found or part.raw.strip():
                    found = True
                    yield part
        finally:
            file.close()
        if not found:
            raise Rejection(finding(EMPTY))

    async def _store(self) -> None:
        first: Part | None = None  # whether it is one of several is known when the second comes
        async for part in self._parts():
            if part.is_message and first is None and not self._is_batch:
                first = part
                continue
            self._is_batch = True
            if first is not None:
                await self._message(first)
                first = None
            await (self._message(part) if part.is_message else self._header(part))
        if first is not None:
            await self._message(first)
        self._note(await self._window.rest())
        if self._refusal is None:
            self._problems = self._tally.end()
        await self._keep_envelope()

    async def _message(self, part: Part) -> None:
        owner, raw, file = self._owner, part.raw, self._work.name
        self._tally.take(part)
        peek = self._kind.peek(raw)
        refusal = self._kind.refusal(raw) or self._refusal
        if refusal is not None:  # not remembered: it may come again after its cause was mended
            peek = msgspec.structs.replace(peek, dedup=b"")
        elif not peek.dedup:
            # Without an id of its own a message is known by the file it came in, which a crash does not change.
            peek = msgspec.structs.replace(peek, dedup=self._place(raw))
        self._index += 1
        self._note(await self._window.add(Submission(
            channel=owner.name, raw=Phi(raw), peek=peek, peer=_given_name(file), refusal=refusal,
            parent_id=file if self._is_batch else "")))

    async def _header(self, part: Part) -> None:
        """A header or trailer: it is counted, answered, and kept with its like."""
        if self._response is not None:
            self._note(await self._window.rest())  # answers stand in the order of the file
            self._response.envelope(part)
        self._tally.take(part)
        self._envelope += part.raw
        if len(self._envelope) > CHUNK:
            await self._keep_envelope()

    async def _keep_envelope(self) -> None:
        """Store headers and trailers: together with the messages they are the file (C05)."""
        if not self._envelope:
            return
        raw, self._envelope = bytes(self._envelope), bytearray()
        refused = self._refusal is not None
        peek = msgspec.structs.replace(
            self._kind.peek_envelope(raw), dedup=b"" if refused else self._place(raw),
            findings=() if refused else tuple(self._problems))
        receipt = await self._owner.accept(Submission(
            channel=self._owner.name, raw=Phi(raw), peek=peek, peer=_given_name(self._work.name),
            refusal=self._refusal, parent_id=self._work.name, record=finding(BATCH)))
        self._owner.ack_report(receipt, "", True)
        if receipt.finding is not None:
            self._refusals.append(receipt.finding)

    def _note(self, stored: Iterable[tuple[Submission, Receipt]]) -> None:
        for submission, receipt in stored:
            self._owner.ack_report(receipt, "done" if receipt.positive else "failed", True)
            if self._response is not None:
                self._response.message(self._kind.acknowledgement(submission.raw.reveal(), receipt))
            if receipt.finding is not None and len(self._refusals) < SHOWN:
                self._refusals.append(receipt.finding)

    def _place(self, raw: bytes) -> bytes:
        return _place(self._work.name, self._index, raw)


def _place(name: str, index: int, raw: bytes) -> bytes:
    """The hash by which a message without an id of its own is known: its place in its file."""
    return hashlib.sha256(f"{name}\0{index}\0".encode("utf-8", "surrogateescape") + raw).digest()


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
