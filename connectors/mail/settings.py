"""Settings of the mail receiver."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from connectors.hl7v2.tls import TlsServer
from connectors.http.settings import LOOPBACK, Basic


class MailIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes mails by SMTP; each attachment is one message. Who may send is asked before a letter is read."""

    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 takes a free one (tests).")]
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    auth: Annotated[Basic | UnsetType, Meta(description="User and password that a client must give (AUTH). Without, only a "
                                                        "loopback host is allowed, behind a mail relay that asks."
                                            )] = UNSET
    tls: Annotated[TlsServer | UnsetType, Meta(description="STARTTLS, which clients must then use; default plain.")] = UNSET
    senders: Annotated[tuple[str, ...], Meta(description="Envelope senders that are taken, as fax@clinic.example or "
                                                         "@clinic.example. Empty: all.")] = ()
    recipients: Annotated[tuple[str, ...], Meta(description="Envelope recipients that are taken, likewise. Empty: all."
                                                )] = ()
    max_bytes: Annotated[int, Meta(ge=1024, description="Bytes of a mail at most; an attachment takes four thirds of its "
                                                        "size.")] = 52_428_800
    max_parts: Annotated[int, Meta(ge=1, le=1000, description="Parts of a mail at most.")] = 50
    max_connections: Annotated[int, Meta(ge=1, description="Connections at the same time; more are told to come again."
                                         )] = 20
    idle_s: Annotated[float, Meta(gt=0, description="Seconds a client may be silent.")] = 60.0

    def __post_init__(self) -> None:
        if self.auth is UNSET and self.host not in LOOPBACK:
            raise ValueError("without auth only a loopback host is allowed")
        if self.auth is not UNSET and self.tls is UNSET and self.host not in LOOPBACK:
            raise ValueError("auth without tls is only allowed on a loopback host")
