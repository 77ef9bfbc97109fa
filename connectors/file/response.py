"""The response batch to a file, written piece by piece (B04): a file that appears whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from connectors.hl7v2.batch import Part, Reply


class Response:
    """Writes ``NAME.ack`` into a folder.

    Args:
        folder: where it will stand.
        name: of the file that is answered.
        reply: builds it.
    """

    def __init__(self, folder: Path, name: str, reply: Reply) -> None:
        self._reply = reply
        self._target = folder / f"{name}.ack"
        self._hidden = folder / f".{name}.ack.part"
        self._file: BinaryIO | None = None
        self._written = False

    def envelope(self, part: Part) -> None:
        """The answer to a header or trailer."""
        self._write(self._reply.part(part))

    def message(self, acknowledgement: bytes) -> None:
        """The answer to a message; empty where none is due."""
        self._write(self._reply.message(acknowledgement))

    def finish(self) -> None:
        """Show it. Again is no effect: a file taken again after a crash has the same answer. Raises OSError."""
        self._write(self._reply.end())
        if self._file is None:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._hidden.rename(self._target)

    def abandon(self) -> None:
        """Leave nothing behind, if it is not finished."""
        if self._file is not None:
            self._file.close()
            self._file = None
            with suppress(OSError):
                self._hidden.unlink()

    def _write(self, content: bytes) -> None:
        if not content:
            return
        if self._file is None:
            self._file = self._hidden.open("wb")
        self._file.write(content)
