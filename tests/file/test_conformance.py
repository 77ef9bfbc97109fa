"""The drop folder does what every receiver must do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from connectors.base import Receiver
from connectors.file.settings import FileIn
from connectors.file.spec import build_receiver
from tests.conformance.door import Door
from tests.conformance.receiver import Client, ReceiverConformance

_names = count()


class _Dropper:
    """Puts files into the folder the way a careful sender does: under another name first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = f"{next(_names):04d}"
        self._part = folder / f".{self._name}.part"

    async def send(self, content: bytes) -> None:
        self._part.write_bytes(content)
        self._part.rename(self._folder / f"{self._name}.{next(_names):04d}.hl7")

    async def send_part(self, content: bytes) -> None:
        self._part.write_bytes(content[:len(content) // 2])

    async def leave(self) -> None:
        pass

    async def answer(self) -> bytes:
        raise NotImplementedError("a folder does not answer")


class TestFileReceiver(ReceiverConformance):
    """HL7 v2 files."""

    answers = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @asynccontextmanager
    async def running(self, door: Door, like: Receiver | None = None) -> AsyncIterator[Receiver]:
        settings = FileIn(path=str(self.folder), pattern="*.hl7", ready="rename", poll_s=0.01)
        it = build_receiver("in", settings, door.accept, door.report)
        await it.start()
        try:
            yield it
        finally:
            await it.stop(1)

    @asynccontextmanager
    async def client(self, receiver: Receiver) -> AsyncIterator[Client]:
        yield _Dropper(self.folder)

    def message(self, number: int) -> bytes:
        return (f"MSH|^~\\&|EHR|MERCY|HUB|X|20260302070000||SIU^S12^SIU_S12|C-{number}|P|2.5.1\r"
                f"PID|1||{number}^^^MERCY^MR\r").encode()

    def refused_message(self) -> bytes:
        return b"this is no message"

    def is_positive(self, answer: bytes) -> bool:
        raise NotImplementedError("a folder does not answer")
