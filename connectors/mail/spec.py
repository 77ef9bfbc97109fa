"""What mail offers to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.base import ConnectorSpec
from connectors.mail.receiver import MailReceiver
from connectors.mail.settings import MailIn

MAIL_IN: Final = ConnectorSpec(
    name="mail", direction="in", settings=MailIn, build=MailReceiver,
    summary="Takes mails by SMTP; each attachment is one document")
