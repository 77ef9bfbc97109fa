"""What the folder edges can find."""

from __future__ import annotations

from typing import Final

from canonical.findings import Code, Severity, declare

TOO_LARGE: Final[Code] = declare(
    "file.too_large", Severity.ERROR,
    "a file exceeds the size limit of its channel; it was set aside unread",
    "If the file is right, raise max_bytes and move it from the failed folder back into the drop folder.")
EMPTY: Final[Code] = declare(
    "file.empty", Severity.WARNING,
    "a file is empty; it was set aside",
    "Nothing to do if the sender makes marker files; else ask for the file again.")
UNREADABLE: Final[Code] = declare(
    "file.unreadable", Severity.ERROR,
    "a file could not be read; it was set aside",
    "Make it readable to the engine's user and move it from the failed folder back into the drop folder.")
NO_HEADER: Final[Code] = declare(
    "file.no_header", Severity.ERROR,
    "a file of an HL7 v2 channel has no readable MSH segment; it was kept and refused",
    "Look at the file: is it HL7 v2? If it is of another kind, give it a channel with format 'any'.")
CANNOT_WRITE: Final[Code] = declare(
    "file.cannot_write", Severity.WARNING,
    "the file could not be written; nothing of it is visible in the folder",
    "Check that the folder is there (mounted), writable, and not full; it is tried again by itself.")
DIFFERS: Final[Code] = declare(
    "file.differs", Severity.FATAL,
    "a file of this name is there already with other content; it was not overwritten",
    "Find out who else writes into this folder; then move that file away and replay.")
