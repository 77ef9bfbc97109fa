"""Drops interchanges into a folder of an SFTP server, many in one file that appears whole or not at all.

A file is written under a hidden name, flushed to the server's disk where the server offers that, and renamed without
ever taking another file's place. Its name is made from what is in it, so that the same batch has the same name. What
is not known of a drop is found out before anything of it is sent again: a hidden file that can be removed was never
renamed, one that has gone was.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import asyncssh
import msgspec

from canonical.findings import Code, Finding, Rejection, finding
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Unknown
from connectors.batching import Batching
from connectors.sftp.client import FAULTS, connected, content, path_of, text
from connectors.sftp.codes import ACCESS, DIFFERS, NO_ANSWER, NOT_NOW, STOPPED, UNREACHABLE
from connectors.sftp.settings import SftpOut
from connectors.x12.edi import Message, parse

T = TypeVar("T")

#: Faults that a person must mend, and that every file would meet.
_ACCESS: Final = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPWriteProtect,
                  asyncssh.PermissionDenied, asyncssh.HostKeyNotVerifiable)
#: The server lives, but its answer does not come any more.
_LOST: Final = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage)
#: Bytes written at a time, each within the time-out.
_CHUNK: Final = 1024 * 1024
#: Files, and bytes of one, that are looked into after a start.
_FILES, _BYTES = 200, 64 * 1024 * 1024
#: A hidden file of that age belongs to a process that died.
_LEFT_S: Final = 86_400


class _Drop(msgspec.Struct, frozen=True):
    """One file."""

    name: str
    hidden: str
    body: bytes


class SftpSender:
    """One folder of one server. See `connectors.base.Sender`.

    Args:
        name: of the destination.
        settings: the server and the folder.
        now: time in seconds since the epoch, to be compared with times of files.
    """

    def __init__(self, name: str, settings: SftpOut, *, now: Callable[[], float] = time.time) -> None:
        self.name = name
        self._settings = settings
        self._now = now
        self._batches = Batching(self._drop, settings.collect_s, settings.max_batch)
        self._doubtful: dict[str, _Drop] = {}
        """Drops of which it is not known whether they were named, by the identities in them."""
        self._there: set[bytes] | None = None
        """Digests of interchanges that waited in the folder when it was first seen: an earlier process put them there."""

    async def start(self) -> None:
        """Nothing: the server need not be there."""

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Deliver once, with others: ``dropped``, or ``exists`` where it is there already."""
        return await self._batches.send(dispatch)

    async def stop(self, grace: float) -> None:
        """Drop what waits, within `grace` seconds."""
        await self._batches.stop(grace, finding(STOPPED), finding(NO_ANSWER))

    # -- one batch ----------------------------------------------------------------------------------------

    async def _drop(self, batch: Sequence[Dispatch]) -> Sequence[Outcome]:
        known: dict[str, Outcome] = {}
        drop: _Drop | None = None
        naming = False
        try:
            async with connected(self._settings) as client:
                if self._there is None:
                    self._there = await self._waiting(client)
                for dispatch in batch:
                    if await self._has(client, dispatch):
                        known[dispatch.identity] = Delivered("exists")
                left = [dispatch for dispatch in batch if dispatch.identity not in known]
                if not left:
                    return [known[dispatch.identity] for dispatch in batch]
                drop = self._file(left)
                outcome = await self._present(client, drop)
                if outcome is None:
                    outcome = await self._write(client, drop)
                if outcome is None:
                    naming = True
                    outcome = await self._named(client, drop)
        except _ACCESS as error:
            outcome = Rejected(type(error).__name__, _told(ACCESS, error), channel_wide=True)
        except FAULTS as error:
            if naming and drop is not None:
                outcome = await self._doubted(drop, batch)
            else:
                outcome = Retry(type(error).__name__, _told(UNREACHABLE, error), free=True)
        return [known.get(dispatch.identity, outcome) for dispatch in batch]

    def _file(self, batch: Sequence[Dispatch]) -> _Drop:
        digest = hashlib.sha256("\n".join(dispatch.identity for dispatch in batch).encode()).hexdigest()[:24]
        name = f"{self._settings.prefix}{digest}{self._settings.suffix}"
        return _Drop(name, f".{name}.part", b"".join(dispatch.body.reveal() for dispatch in batch))

    async def _write(self, client: asyncssh.SFTPClient, drop: _Drop) -> Outcome | None:
        """Under the hidden name, complete and flushed; what it comes to that the server does not take it now."""
        try:
            file = await self._timed(client.open(self._path(drop.hidden), "wb"))
            for begin in range(0, len(drop.body), _CHUNK):
                await self._timed(file.write(drop.body[begin:begin + _CHUNK]))
            with suppress(asyncssh.SFTPOpUnsupported):
                await self._timed(file.fsync())
            await self._timed(file.close())
        except asyncssh.SFTPError as error:
            if isinstance(error, (*_ACCESS, *_LOST)):
                raise
            with suppress(asyncssh.SFTPError):
                await self._timed(client.remove(self._path(drop.hidden)))
            return Retry(type(error).__name__, _told(NOT_NOW, error), free=True)
        return None

    async def _named(self, client: asyncssh.SFTPClient, drop: _Drop) -> Outcome:
        """Give it its name. Raises `FAULTS` where it is not known what came of that."""
        try:
            await self._timed(client.rename(self._path(drop.hidden), self._path(drop.name)))
        except asyncssh.SFTPError as error:
            if isinstance(error, _LOST):
                raise
            present = await self._present(client, drop)
            with suppress(asyncssh.SFTPError):
                await self._timed(client.remove(self._path(drop.hidden)))
            if present is not None:
                return present
            if isinstance(error, _ACCESS):
                return Rejected(type(error).__name__, _told(ACCESS, error), channel_wide=True)
            return Retry(type(error).__name__, _told(NOT_NOW, error), free=True)
        return Delivered("dropped", drop.name)

    async def _present(self, client: asyncssh.SFTPClient, drop: _Drop) -> Outcome | None:
        """What it comes to that a file of that name is there; None where there is none."""
        try:
            status = await self._timed(client.stat(self._path(drop.name)))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return None
        with suppress(asyncssh.SFTPNoSuchFile):  # taken in this moment: its name and size are all there is to go by
            if await self._read(client, drop.name) != drop.body:
                return Rejected("exists", finding(DIFFERS))
        return Delivered("exists", drop.name) if status.size == len(drop.body) else Rejected("exists", finding(DIFFERS))

    # -- what is not known --------------------------------------------------------------------------------

    async def _doubted(self, drop: _Drop, batch: Sequence[Dispatch]) -> Outcome:
        """The answer to naming it did not come: ask, over a connection of its own."""
        try:
            async with connected(self._settings) as client:
                if await self._was_named(client, drop):
                    return Delivered("dropped", drop.name)
                return Retry("lost", finding(UNREACHABLE), free=True)
        except FAULTS:
            self._doubtful |= {dispatch.identity: drop for dispatch in batch}
            return Unknown(finding(NO_ANSWER), "lost")

    async def _has(self, client: asyncssh.SFTPClient, dispatch: Dispatch) -> bool:
        """Whether the server has it from an earlier attempt."""
        if self._there and hashlib.sha256(dispatch.body.reveal()).digest() in self._there:
            return True
        drop = self._doubtful.get(dispatch.identity)
        if drop is None:
            return False
        named = await self._was_named(client, drop)
        mine = [identity for identity, one in self._doubtful.items() if one is drop]
        for identity in mine:
            if not named or identity == dispatch.identity:
                del self._doubtful[identity]
        return named

    async def _was_named(self, client: asyncssh.SFTPClient, drop: _Drop) -> bool:
        """It is there; or its hidden file, which nobody else touches, has gone: it was named, and taken."""
        if isinstance(await self._present(client, drop), Delivered):
            return True
        try:
            await self._timed(client.remove(self._path(drop.hidden)))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return True
        return False

    async def _waiting(self, client: asyncssh.SFTPClient) -> set[bytes]:
        """What an earlier process has put into the folder and nobody has taken; what it left half-done is removed."""
        settings, found, looked = self._settings, set[bytes](), 0
        for entry in await self._timed(client.readdir(settings.path)):
            name = text(entry.filename)
            if name.startswith(f".{settings.prefix}") and name.endswith(f"{settings.suffix}.part"):
                if (entry.attrs.mtime or 0) < self._now() - _LEFT_S:
                    with suppress(asyncssh.SFTPError):
                        await self._timed(client.remove(self._path(name)))
            elif (name.startswith(settings.prefix) and name.endswith(settings.suffix) and looked < _FILES
                    and (entry.attrs.size or 0) <= _BYTES):
                looked += 1
                with suppress(asyncssh.SFTPNoSuchFile):  # taken meanwhile
                    found |= _digests(await self._read(client, name))
        return found

    async def _read(self, client: asyncssh.SFTPClient, name: str) -> bytes:
        async with client.open(self._path(name), "rb") as file:
            return content(await self._timed(file.read()))

    def _path(self, name: str) -> str:
        return path_of(self._settings, name)

    async def _timed(self, work: Awaitable[T]) -> T:
        return await asyncio.wait_for(work, self._settings.timeout_s)


def _digests(raw: bytes) -> set[bytes]:
    """Of each interchange in a file."""
    try:
        message = parse(raw)
    except Rejection:
        return set()
    return {hashlib.sha256(Message([each], message.charset).emit()).digest() for each in message.interchanges}


def _told(code: Code, error: BaseException) -> Finding:
    return finding(code, detail=f"{code.summary} ({type(error).__name__})")
