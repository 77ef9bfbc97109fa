"""What SFTP offers to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.base import ConnectorSpec
from connectors.sftp.receiver import SftpReceiver
from connectors.sftp.sender import SftpSender
from connectors.sftp.settings import SftpIn, SftpOut

SFTP_IN: Final = ConnectorSpec(
    name="sftp", direction="in", settings=SftpIn, build=SftpReceiver, trading=True,
    summary="Takes documents or interchanges from a folder of an SFTP server and moves each file away after it is stored")
SFTP_OUT: Final = ConnectorSpec(
    name="sftp", direction="out", settings=SftpOut, build=SftpSender,
    summary="Drops interchanges into a folder of an SFTP server, many in a file that appears whole or not at all")
