"""What folders offer to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.base import Accept, AckReport, ConnectorSpec
from connectors.file.kinds import Hl7, Opaque
from connectors.file.receiver import FileReceiver
from connectors.file.sender import FileSender
from connectors.file.settings import FileIn, FileOut


def build_receiver(name: str, settings: FileIn, accept: Accept, ack_report: AckReport) -> FileReceiver:
    """The receiver, with the eyes for its format."""
    kind = Hl7(settings.max_message_bytes) if settings.format == "hl7v2" else Opaque()
    return FileReceiver(name, settings, accept, ack_report, kind=kind)


FILE_IN: Final = ConnectorSpec(
    name="file", direction="in", settings=FileIn, build=build_receiver,
    summary="Takes files from a drop folder and moves each away after its messages are stored")
FILE_OUT: Final = ConnectorSpec(
    name="file", direction="out", settings=FileOut, build=FileSender,
    summary="Writes each message into a file that appears whole or not at all")
