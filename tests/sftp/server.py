"""An SFTP server of ours with one user, known by a key; it can misbehave when a file gets its name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import msgspec

from connectors.sftp.settings import SftpIn, SftpOut
from tests.conformance.sender import Does


class Server:
    """Serves `files`. `script`: what to do with the next files that are given their names, first one first."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.files.mkdir()
        host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        self.key, self.known = folder / "key", folder / "known_hosts"
        user.write_private_key(self.key)
        self._host, self._user = host, user
        self.port = 0
        self.received: list[bytes] = []
        """Contents of the files that were complete when somebody wanted to name them."""
        self.script: list[Does] = []
        self.ill: list[Does] = []
        """What to do with the next connections: after silence one is silent, after a drop one is dropped."""
        self.renames = True
        """False: a file whose connection is silent or dropped is not named; True for `taken`: it is, and is taken."""
        self.taken = False
        self.flushed = 0
        self.connections = 0
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def start(self) -> asyncssh.SSHAcceptor:
        authorized = asyncssh.import_authorized_keys(self._user.export_public_key().decode())
        self._acceptor = await asyncssh.listen(
            "127.0.0.1", self.port, server_host_keys=[self._host], authorized_client_keys=authorized,
            sftp_factory=lambda channel: _Folder(channel, self))
        self.port = self._acceptor.get_port()
        self.known.write_text(f"[127.0.0.1]:{self.port} {self._host.export_public_key().decode()}")
        return self._acceptor

    async def go_away(self) -> None:
        """Stop listening; connections are one a batch."""
        assert self._acceptor is not None
        self._acceptor.close()
        await self._acceptor.wait_closed()

    async def come_back(self) -> None:
        """Listen again."""
        await self.start()

    def dropped(self) -> list[Path]:
        """The files that are there to be taken."""
        return sorted(path for path in self.files.iterdir() if path.is_file() and not path.name.startswith("."))

    def settings(self, **more: object) -> SftpIn:
        return msgspec.convert({"host": "127.0.0.1", "port": self.port, "user": "fax", "key": str(self.key), "stable_s": 0.0,
                                "poll_s": 0.02, "known_hosts": str(self.known), **more}, SftpIn)

    def out(self, **more: object) -> SftpOut:
        return msgspec.convert({"host": "127.0.0.1", "port": self.port, "user": "fax", "key": str(self.key), "timeout_s": 5,
                                "known_hosts": str(self.known), "collect_s": 0.05, **more}, SftpOut)


class _Folder(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], server: Server) -> None:
        super().__init__(channel, chroot=str(server.files).encode())
        self._server = server
        self._ill = server.ill.pop(0) if server.ill else None
        server.connections += 1

    async def stat(self, path: bytes) -> object:  # type: ignore[override] # the base may answer either way
        await self._suffer()
        return super().stat(path)

    def fsync(self, file_obj: object) -> None:
        self._server.flushed += 1
        super().fsync(file_obj)

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        server = self._server
        server.received.append((server.files / oldpath.decode().lstrip("/")).read_bytes())
        does = server.script.pop(0) if server.script else Does.ACCEPT
        if does is Does.REFUSE:
            raise asyncssh.SFTPPermissionDenied("not here")
        if does is Does.BUSY:
            raise asyncssh.SFTPFailure("no room")
        if does is Does.ACCEPT:
            super().rename(oldpath, newpath)
            return
        if server.taken:
            super().rename(oldpath, newpath)
            (server.files / newpath.decode().lstrip("/")).unlink()
        self._ill = does
        if server.renames:
            server.ill.append(does)
        await self._suffer()

    async def _suffer(self) -> None:
        if self._ill is Does.SILENT:
            await asyncio.Event().wait()
        elif self._ill is Does.GARBAGE:
            self.channel.write(b"\x00\x00\x00\x05CANAR")
            await asyncio.Event().wait()
        elif self._ill is Does.DROP:
            self.connection.abort()
            await asyncio.Event().wait()
