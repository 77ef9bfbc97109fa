"""A connection to an SFTP server whose key is known: nobody else is talked to (Z08)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Final

import asyncssh
from msgspec import UNSET

from connectors.sftp.settings import SftpServer

#: What a server, or the way to it, can do to us.
FAULTS: Final = (OSError, asyncssh.Error, TimeoutError)


@contextlib.asynccontextmanager
async def connected(settings: SftpServer) -> AsyncIterator[asyncssh.SFTPClient]:
    """A connection of its own, dropped at once where something goes wrong on it. Raises any of `FAULTS`."""
    password = None if settings.password is UNSET else settings.password.read()
    async with asyncssh.connect(
            settings.host, settings.port, username=settings.user, known_hosts=settings.known_hosts, config=None,
            client_keys=[settings.key] if settings.key else None, password=password, agent_path=None,
            connect_timeout=settings.timeout_s, login_timeout=settings.timeout_s, keepalive_interval=15) as connection:
        try:
            client = await asyncio.wait_for(connection.start_sftp_client(), settings.timeout_s)
            yield client
            client.exit()
        except BaseException:
            connection.abort()  # a server that does not answer would not say goodbye either
            raise


def path_of(settings: SftpServer, *names: str) -> str:
    """A path in the folder, as the server names it."""
    return str(PurePosixPath(settings.path, *names))


def content(read: object) -> bytes:
    """asyncssh's stubs leave open what a file that was opened for bytes gives."""
    if not isinstance(read, bytes):
        raise TypeError("a file opened for bytes gives bytes")
    return read


def text(name: str | bytes) -> str:
    """A name of the server's."""
    return name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
