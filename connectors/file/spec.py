"""What folders offer to the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from canonical.findings import Finding, finding
from connectors.base import Accept, AckReport, ConnectorSpec, Peek
from connectors.file.codes import NO_HEADER
from connectors.file.receiver import FileReceiver
from connectors.file.sender import FileSender
from connectors.file.settings import FileIn, FileOut
from connectors.hl7v2.batch import split_batch
from connectors.hl7v2.header import narrow, read_header
from connectors.hl7v2.peek import peek
from connectors.http.body import own_lane


def build_receiver(name: str, settings: FileIn, accept: Accept, ack_report: AckReport) -> FileReceiver:
    """The receiver, with the eyes for its format."""
    if settings.format == "hl7v2":
        return FileReceiver(name, settings, accept, ack_report, peek=peek, split=_messages,
                            refusal=_headless)
    return FileReceiver(name, settings, accept, ack_report, peek=_opaque, split=_whole)


def _messages(content: bytes) -> Iterable[bytes]:
    """The messages of an HL7 v2 file; headers and trailers of batches are not messages (B01, B05)."""
    return (part.raw for part in split_batch([content]) if part.is_message)


def _headless(raw: bytes) -> Finding | None:
    return finding(NO_HEADER, at="byte 0") if read_header(narrow(raw)) is None else None


def _whole(content: bytes) -> Iterable[bytes]:
    return (content,)


def _opaque(raw: bytes) -> Peek:
    return Peek(lanes=(own_lane(raw),))


FILE_IN: Final = ConnectorSpec(
    name="file", direction="in", settings=FileIn, build=build_receiver,
    summary="Takes files from a drop folder and moves each away after its messages are stored")
FILE_OUT: Final = ConnectorSpec(
    name="file", direction="out", settings=FileOut, build=FileSender,
    summary="Writes each message into a file that appears whole or not at all")
