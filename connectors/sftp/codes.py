"""What an SFTP receiver can find."""

from __future__ import annotations

from typing import Final

from canonical.findings import Code, Severity, declare

TOO_LARGE: Final[Code] = declare(
    "sftp.too_large", Severity.ERROR,
    "A file on the server exceeds the size limit of its channel; it was moved aside unread.",
    "If the file is right, raise max_bytes and move it back from the failed folder.")
UNREACHABLE: Final[Code] = declare(
    "sftp.unreachable", Severity.WARNING,
    "The SFTP server cannot be reached, does not let us in, or is not the one we know.",
    "Look at the server, the credentials and known_hosts; it is tried again by itself.")
