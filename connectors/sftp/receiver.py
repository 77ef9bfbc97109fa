"""Takes documents from a folder of an SFTP server: read, stored, and only then moved away on the server.

After a crash between the two a file is read again; its name, time and content are the same, and so it is known.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

import asyncssh
import msgspec
from msgspec import UNSET

from canonical.findings import finding
from canonical.phi import Phi
from connectors.base import Accept, AckReport, Submission, Unavailable
from connectors.fax.codec import peek, refusal
from connectors.polling import Polling
from connectors.sftp.codes import TOO_LARGE, UNREACHABLE
from connectors.sftp.settings import SftpIn

_log = logging.getLogger(__name__)
_FAULTS: Final = (OSError, asyncssh.Error, TimeoutError)


class SftpReceiver:
    """One folder of one server. See `connectors.base.Receiver`.

    Args:
        name: Name of the channel.
        settings: The server, the folder, and when a file in it is complete.
        accept: The one door.
        ack_report: Told ``done`` or ``failed`` for each file, when it has been moved.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, name: str, settings: SftpIn, accept: Accept, ack_report: AckReport, *,
                 now: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.settings = settings
        self._accept = accept
        self._ack_report = ack_report
        self._now = now
        self._seen: dict[str, tuple[int, int, float]] = {}
        self._polling = Polling()
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
        self._polling.begin(self._run)

    async def stop(self, grace: float) -> None:
        """Finish the file begun within `grace` seconds; one that is not finished is taken again at the next start."""
        await self._polling.end(grace)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _run(self) -> None:
        while not self._polling.stopping:
            try:
                async with self._connected() as folder:
                    while not self._polling.stopping:
                        await self._look(folder)
                        await self._polling.pause(self.settings.poll_s)
            except _FAULTS as error:
                _log.warning("channel %s: %s (%s)", self.name, finding(UNREACHABLE), type(error).__name__)
                await self._polling.pause(self.settings.poll_s)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncssh.SFTPClient]:
        settings = self.settings
        password = None if settings.password is UNSET else settings.password.read()
        async with (
            asyncssh.connect(
                settings.host, settings.port, username=settings.user, known_hosts=settings.known_hosts, config=None,
                client_keys=[settings.key] if settings.key else None, password=password, agent_path=None,
                connect_timeout=settings.timeout_s, login_timeout=settings.timeout_s, keepalive_interval=15) as connection,
            connection.start_sftp_client() as client,
        ):
            for name in (settings.done, settings.failed):
                await client.makedirs(self._path(name), exist_ok=True)
            yield client

    def _path(self, *names: str) -> str:
        return str(PurePosixPath(self.settings.path, *names))

    async def _look(self, client: asyncssh.SFTPClient) -> None:
        seen: dict[str, tuple[int, int, float]] = {}
        ready: list[tuple[int, str, int]] = []
        for entry in await client.readdir(self.settings.path):
            name = entry.filename if isinstance(entry.filename, str) else entry.filename.decode("utf-8", "surrogateescape")
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
        if size > self.settings.max_bytes:
            _log.warning("channel %s: %s", self.name,
                         finding(TOO_LARGE, detail=f"more than {self.settings.max_bytes} bytes"))
            await self._move(client, name, self.settings.failed)
            return
        async with client.open(self._path(name), "rb") as file:
            raw = _bytes(await file.read(self.settings.max_bytes + 1))
        refused = refusal(raw)
        known = hashlib.sha256(f"sftp\0{name}\0{changed}\0".encode("utf-8", "surrogateescape") + raw).digest()
        receipt = await self._accept(Submission(
            channel=self.name, raw=Phi(raw), peer=name, refusal=refused,
            peek=msgspec.structs.replace(peek(raw), dedup=b"" if refused is not None else known)))
        await self._move(client, name, self.settings.done if receipt.positive else self.settings.failed)
        self._ack_report(receipt, "done" if receipt.positive else "failed", True)

    async def _move(self, client: asyncssh.SFTPClient, name: str, folder: str) -> None:
        """Never over a file that is there: SFTP's rename refuses, and then the time of taking is put behind the name."""
        try:
            await client.rename(self._path(name), self._path(folder, name))
        except asyncssh.SFTPError:
            await client.rename(self._path(name), self._path(folder, f"{name}.{time.time_ns()}"))
        self._seen.pop(name, None)


def _bytes(content: object) -> bytes:
    """asyncssh's stubs leave open what a file that was opened for bytes gives."""
    if not isinstance(content, bytes):
        raise TypeError("a file opened for bytes gives bytes")
    return content
