"""What the SFTP edges can find."""

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
ACCESS: Final[Code] = declare(
    "sftp.access", Severity.FATAL,
    "The SFTP server does not let us in or write into its folder, or is not the server whose key we know.",
    "Compare user, key, known_hosts and path with the partner; the destination starts again by itself when it is right.")
NOT_NOW: Final[Code] = declare(
    "sftp.not_now", Severity.WARNING,
    "The SFTP server could not take the file; nothing of it is visible there.",
    "Is the server's disk or quota full? It is tried again by itself.")
NO_ANSWER: Final[Code] = declare(
    "sftp.no_answer", Severity.ERROR,
    "A file was complete on the SFTP server, and the answer to giving it its name did not come.",
    "Look whether the file is there, or ask the partner; with `idempotent: yes` that is done by itself.")
DIFFERS: Final[Code] = declare(
    "sftp.differs", Severity.FATAL,
    "A file of this name is on the SFTP server already with other content; it was not overwritten.",
    "Find out who else writes names with this prefix; then move that file away and replay.")
STOPPED: Final[Code] = declare(
    "sftp.stopped", Severity.WARNING,
    "The sender stopped before the file left.",
    "Nothing to do: it leaves after the next start.")
