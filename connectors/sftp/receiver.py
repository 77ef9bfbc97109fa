"""Takes files from a folder of an SFTP server: read, stored, and only then moved away on the server.

After a crash between the two a file is read again; its name, time and content are the same, and so it is known.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import asyncssh
import msgspec

from canonical.phi import Phi
from connectors.base import Accept, AckReport, Arrival, Submission, Unavailable
from connectors.fax.codec import peek, refusal
from connectors.polling import Polling
from connectors.sftp.client import FAULTS, connected, content, path_of, text
from connectors.sftp.codes import TOO_LARGE, UNREACHABLE
from connectors.sftp.settings import SftpIn
from connectors.x12.reception import Reception


class SftpReceiver:
    """One folder of one server. See `connectors.base.Receiver`.

    Args:
        name: Name of the channel.
        settings: The server, the folder, and when a file in it is complete.
        accept: The one door.
        ack_report: Told ``done`` or ``failed`` for each message, when its file has been moved.
        reception: Receives interchanges, for ``format: x12``.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, name: str, settings: SftpIn, accept: Accept, ack_report: AckReport, reception: Reception,
                 *, now: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.settings = settings
        self._accept = accept
        self._ack_report = ack_report
        self._reception = reception
        self._now = now
        self._seen: dict[str, tuple[int, int, float]] = {}
        self._polling = Polling(name, self._session, settings.poll_s)
        self._lock = -1

    @property
    def resources(self) -> Sequence[str]:
        """The folder on the server."""
        return (f"sftp:{self.settings.host}:{self.settings.port}/{self.settings.path}",)

    async def start(self) -> None:
        """Begin to look; the server need not be there.

        Raises:
            OSError: another process of this machine takes from this folder.
        """
        digest = hashlib.sha256(self.resources[0].encode()).hexdigest()[:16]
        lock = os.open(Path(tempfile.gettempdir()) / f"dragoman-sftp-{digest}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock
        self._polling.begin()

    async def stop(self, grace: float) -> None:
        """Finish the file begun within `grace` seconds; one that is not finished is taken again at the next start."""
        await self._polling.end(grace)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _session(self) -> bool:
        """Look as long as the connection holds."""
        settings = self.settings
        try:
            async with connected(settings) as client:
                for name in (settings.done, settings.failed) if settings.taken == "move" else ():
                    await client.makedirs(path_of(settings, name), exist_ok=True)
                while not self._polling.stopping:
                    await self._look(client)
                    await self._polling.pause(settings.poll_s)
        except FAULTS as error:
            self._polling.failed(UNREACHABLE.name, type(error).__name__)
        return False

    async def _look(self, client: asyncssh.SFTPClient) -> None:
        seen: dict[str, tuple[int, int, float]] = {}
        ready: list[tuple[int, str, int]] = []
        for entry in await client.readdir(self.settings.path):
            name = text(entry.filename)
            if (entry.attrs.type != asyncssh.FILEXFER_TYPE_REGULAR or name.startswith(".") or "/" in name
                    or not fnmatchcase(name, self.settings.pattern)):
                continue
            size, changed = entry.attrs.size or 0, entry.attrs.mtime or 0
            before = self._seen.get(name)
            since = before[2] if before is not None and before[:2] == (size, changed) else self._now()
            seen[name] = size, changed, since
            if self._now() - since >= self.settings.stable_s:
                ready.append((changed, name, size))
        self._seen = seen
        for changed, name, size in sorted(ready):
            if self._polling.stopping:
                return
            try:
                await self._take(client, name, changed, size)
            except Unavailable:
                return  # all of it again at the next look

    async def _take(self, client: asyncssh.SFTPClient, name: str, changed: int, size: int) -> None:
        settings = self.settings
        if size > settings.max_bytes:
            self._polling.failed(TOO_LARGE.name, f"more than {settings.max_bytes} bytes")
            await self._move(client, name, settings.failed)
            return
        async with client.open(path_of(settings, name), "rb") as file:
            raw = content(await file.read(settings.max_bytes + 1))
        receipts = [await self._accept(one) for one in await self._messages(name, changed, raw)]
        good = all(receipt.positive for receipt in receipts)
        if good and settings.taken == "remove":
            await client.remove(path_of(settings, name))
            self._seen.pop(name, None)
        else:
            await self._move(client, name, settings.done if good else settings.failed)
        for receipt in receipts:
            self._ack_report(receipt, "done" if receipt.positive else "failed", True)

    async def _messages(self, name: str, changed: int, raw: bytes) -> list[Submission]:
        """What a file holds. What has no identity of its own is known by the file, its time and its content."""
        refused = refusal(raw) if self.settings.format == "document" else None
        arrivals = (await self._reception.hear(raw) if self.settings.format == "x12" else (Arrival(raw, peek(raw)),))
        found = []
        for index, one in enumerate(arrivals):
            place = "\0".join(("sftp", name, str(changed), *([str(index)] if index else ()), "")).encode(
                "utf-8", "surrogateescape")
            own = one.peek.dedup if self.settings.format == "x12" else b""
            dedup = b"" if refused is not None else own or hashlib.sha256(place + one.raw).digest()
            found.append(Submission(
                channel=self.name, raw=Phi(one.raw), peer=name, refusal=refused, park=one.park,
                peek=msgspec.structs.replace(one.peek, dedup=dedup), parent_id=name if len(arrivals) > 1 else ""))
        return found

    async def _move(self, client: asyncssh.SFTPClient, name: str, folder: str) -> None:
        """Never over a file that is there: SFTP's rename refuses, and then the time of taking is put behind the name."""
        if self.settings.taken == "remove":  # else it was made at the start
            await client.makedirs(path_of(self.settings, folder), exist_ok=True)
        try:
            await client.rename(path_of(self.settings, name), path_of(self.settings, folder, name))
        except asyncssh.SFTPError:
            await client.rename(path_of(self.settings, name), path_of(self.settings, folder, f"{name}.{time.time_ns()}"))
        self._seen.pop(name, None)
