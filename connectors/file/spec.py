"""What folders offer to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.base import Accept, AckReport, ConnectorSpec
from connectors.file.kinds import Documents, Hl7, Kind, Opaque
from connectors.file.receiver import FileReceiver
from connectors.file.sender import FileSender
from connectors.file.settings import FileIn, FileOut
from connectors.x12.reception import Reception


def build_receiver(name: str, settings: FileIn, accept: Accept, ack_report: AckReport,
                   reception: Reception | None = None) -> FileReceiver:
    """The receiver, with the eyes for its format. `reception` receives interchanges (``format: x12``)."""
    if settings.format == "x12":
        return FileReceiver(name, settings, accept, ack_report, kind=Opaque(), reception=reception)
    kinds: dict[str, Kind] = {"hl7v2": Hl7(settings.max_message_bytes), "any": Opaque(),
                              "document": Documents(settings.max_message_bytes)}
    return FileReceiver(name, settings, accept, ack_report, kind=kinds[settings.format])


FILE_IN: Final = ConnectorSpec(
    name="file", direction="in", settings=FileIn, build=build_receiver, trading=True,
    summary="Takes files from a drop folder and moves each away after its messages are stored")
FILE_OUT: Final = ConnectorSpec(
    name="file", direction="out", settings=FileOut, build=FileSender,
    summary="Writes each message into a file that appears whole or not at all")
