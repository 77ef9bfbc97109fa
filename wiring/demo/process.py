"""An engine in a process of its own, as an operator would start it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from wiring.demo.stage import ROOT

START_S: Final = 30.0
STOP_S: Final = 20.0


class EngineFailed(Exception):  # noqa: N818 - it says what happened
    """The engine ended by itself, or did not start listening; the text is the end of its log."""


class EngineProcess:
    """``python -m app run`` with its log in a file.

    Args:
        config: folder of the site.
        log: file its standard error is appended to.
        ports: it is ready when it listens on all of these.
        arguments: further arguments: ``--role worker``.
        environment: added to ours.
    """

    def __init__(self, config: Path, log: Path, ports: Sequence[int], *, arguments: Sequence[str] = (),
                 environment: Mapping[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "app", "run", "--config", str(config), *arguments]
        self._log = log
        self._ports = tuple(ports)
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start, and wait until it listens. Raises EngineFailed."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, cwd=ROOT, env=self._environment, stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log)
        try:
            async with asyncio.timeout(START_S):
                for port in self._ports:
                    while not self._listens(port):  # noqa: ASYNC110 - another process: there is no event
                        await asyncio.sleep(0.05)
        except TimeoutError:
            await self.stop()
            raise EngineFailed(self._tail()) from None

    def _listens(self, port: int) -> bool:
        assert self._process is not None
        if self._process.returncode is not None:
            raise EngineFailed(self._tail())
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    async def stop(self) -> int:
        """SIGTERM, and its exit code; SIGKILL where it does not end in time."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL: as a power cut would."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(how)
        try:
            async with asyncio.timeout(STOP_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            return await process.wait()

    def _tail(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
