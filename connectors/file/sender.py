"""Writes messages into files that appear whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from canonical.findings import finding
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry
from connectors.file.codes import CANNOT_WRITE, DIFFERS
from connectors.file.settings import FileOut

_LONGEST: Final = 200
"""Characters of a name; the usual limit of a file system is 255 bytes."""


class FileSender:
    """One file a dispatch, named by its identity: a repeated attempt meets its own file and changes nothing.

    The file is written under a hidden name, flushed to disk, renamed, and the folder flushed too: whoever
    watches the folder sees complete files only, and a file that was seen survives power loss.
    """

    def __init__(self, name: str, settings: FileOut) -> None:
        self.name = name
        self.settings = settings
        self._folder: Final = Path(settings.path)
        self._writers: ThreadPoolExecutor | None = None
        self._under_way: set[asyncio.Future[Outcome]] = set()

    async def start(self) -> None:
        """Prepare; the folder need not be there (an unmounted share)."""
        self._writers = ThreadPoolExecutor(self.settings.max_sessions, thread_name_prefix="file-out")

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Deliver once: ``written``, or ``exists`` where the same file is there already."""
        if self._writers is None:
            return Retry("", finding(CANNOT_WRITE, detail="the sender is stopped"), free=True)
        name = file_name(dispatch.identity, self.settings.suffix)
        writing = asyncio.get_running_loop().run_in_executor(
            self._writers, self._write, name, dispatch.body.reveal())
        self._under_way.add(writing)
        writing.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            if writing.cancelled():  # by `stop`, before its thread had begun
                return Retry("", finding(CANNOT_WRITE, detail="the sender was stopped"), free=True)
            raise

    async def stop(self, grace: float) -> None:
        """Let writes finish within `grace` seconds; a write cannot be interrupted, only left behind."""
        writers, self._writers = self._writers, None
        if writers is None:
            return
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=grace)
        writers.shutdown(wait=False, cancel_futures=True)

    def _write(self, name: str, body: bytes) -> Outcome:
        target, hidden = self._folder / name, self._folder / f".{name}.part"
        try:
            if target.exists():
                return self._compare(target, body)
            descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, int(self.settings.mode, 8))
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            hidden.rename(target)
            self._flush_folder()
        except OSError as error:
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
            # Also where only the last flush failed: the next attempt finds its own file.
            detail = f"{CANNOT_WRITE.summary} ({os.strerror(error.errno) if error.errno else 'I/O error'})"
            return Retry(str(error.errno or ""), finding(CANNOT_WRITE, detail=detail), free=True)
        return Delivered("written", name)

    def _compare(self, target: Path, body: bytes) -> Outcome:
        if target.stat().st_size == len(body) and target.read_bytes() == body:
            self._flush_folder()
            return Delivered("exists", target.name)
        return Rejected("exists", finding(DIFFERS))

    def _flush_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def file_name(identity: str, suffix: str) -> str:
    """A name that is legal everywhere and another one for every identity: odd characters become %XX."""
    name = quote(identity, safe="")
    if name.startswith("."):  # a hidden file is not seen by those who look for it
        name = "%2E" + name[1:]
    if len(name) > _LONGEST:
        name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    return name + suffix
