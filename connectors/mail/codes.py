"""What a mail receiver can find."""

from __future__ import annotations

from typing import Final

from canonical.findings import Code, Severity, declare

NO_ATTACHMENT: Final[Code] = declare(
    "mail.no_attachment", Severity.ERROR, "A mail has no attachment; it was kept and refused.",
    "Tell the sender to attach the document; what is written in the mail itself is not read.")
TOO_MANY_PARTS: Final[Code] = declare(
    "mail.too_many_parts", Severity.ERROR,
    "A mail has more parts, or parts within parts, than are looked at; it was kept and refused.",
    "Ask the sender for fewer attachments a mail; a mail inside of a mail inside of a mail is not opened.")
