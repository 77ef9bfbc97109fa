"""What SFTP offers to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.base import ConnectorSpec
from connectors.sftp.receiver import SftpReceiver
from connectors.sftp.settings import SftpIn

SFTP_IN: Final = ConnectorSpec(
    name="sftp", direction="in", settings=SftpIn, build=SftpReceiver,
    summary="Takes documents from a folder of an SFTP server and moves each away there after it is stored")
