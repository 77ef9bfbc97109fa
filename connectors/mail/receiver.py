"""Takes mails by SMTP (RFC 5321). 250 after every attachment is stored, and only then; 451 where one could not be."""

from __future__ import annotations

import asyncio
import hmac
import logging
import ssl
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from msgspec import UNSET

from canonical.findings import Finding, Rejection
from canonical.phi import Phi
from canonical.receipt import Receipt
from connectors.base import Accept, AckReport, Submission, Unavailable
from connectors.fax.codec import peek, refusal
from connectors.mail.parts import Attachment, attachments
from connectors.mail.settings import MailIn

_log = logging.getLogger(__name__)

_LATER = "451 4.3.0 cannot store now, try again later"


class _Server(SMTP):
    """aiosmtpd's, but nothing of an exception is told to the peer, and no banner names a version."""

    async def handle_exception(self, error: Exception) -> str:
        """The peer may come again."""
        _log.error("mail: %s", type(error).__name__)
        return "451 4.3.0 try again later"


class MailReceiver:
    """One SMTP port. See `connectors.base.Receiver`.

    Each attachment is a message of its own, with the mail's Message-ID as its identity: a mail that is delivered again has
    no second effect. A mail without attachments is kept as it is, as refused.
    """

    def __init__(self, name: str, settings: MailIn, accept: Accept, ack_report: AckReport) -> None:
        self.name = name
        self.settings = settings
        self._accept = accept
        self._ack_report = ack_report
        self._secret = ""
        self._listener: asyncio.Server | None = None
        self._sessions: set[_Server] = set()
        self._storing: set[asyncio.Task[str]] = set()

    @property
    def resources(self) -> Sequence[str]:
        """The port."""
        return (f"tcp:{self.settings.host}:{self.settings.port}",)

    @property
    def port(self) -> int:
        """The port listened on: the one chosen by the system where the settings say 0."""
        return self.settings.port if self._listener is None else int(self._listener.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen.

        Raises:
            Rejection: the password cannot be read.
            OSError: port in use, no such address, certificate not readable.
        """
        if self.settings.auth is not UNSET:
            self._secret = self.settings.auth.password.read()
        context = None if self.settings.tls is UNSET else self.settings.tls.context()

        def session() -> _Server:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # AUTH without TLS: the settings allow it on loopback only
                made = self._session(context)
            self._sessions = {one for one in self._sessions if one.transport is not None}
            self._sessions.add(made)
            return made

        self._listener = await asyncio.get_running_loop().create_server(
            session, self.settings.host, self.settings.port, start_serving=True)

    def _session(self, context: ssl.SSLContext | None) -> _Server:
        return _Server(self, data_size_limit=self.settings.max_bytes, hostname="dragoman", ident="ready",
                       tls_context=context, require_starttls=context is not None, timeout=self.settings.idle_s,
                       auth_required=bool(self._secret), auth_require_tls=context is not None,
                       authenticator=self._authenticate, command_call_limit=100)

    async def stop(self, grace: float) -> None:
        """Take no new mails, finish what has begun within `grace` seconds, close."""
        listener = self._listener
        if listener is None:
            return
        listener.close()
        if self._storing:
            await asyncio.wait(self._storing, timeout=grace)
        for task in list(self._storing):
            task.cancel()
        await asyncio.sleep(0)  # answers that are ready leave
        for session in self._sessions:
            if session.transport is not None:
                session.transport.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(listener.wait_closed(), 1)
        self._listener = None

    # -- what aiosmtpd asks

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        auth = self.settings.auth
        good = (auth is not UNSET and isinstance(data, LoginPassword)
                and hmac.compare_digest(data.login, auth.user.encode())
                & hmac.compare_digest(data.password, self._secret.encode()))
        return AuthResult(success=good, handled=False)

    async def handle_EHLO(self, server: SMTP, session: Session, envelope: Envelope, hostname: str,  # noqa: N802 - aiosmtpd names it
                          responses: list[str]) -> list[str]:
        """As many as are allowed."""
        alive = sum(1 for one in self._sessions if one.transport is not None and not one.transport.is_closing())
        if alive > self.settings.max_connections:
            return ["421 4.7.0 too many connections"]
        session.host_name = hostname
        return responses

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str,  # noqa: N802 - aiosmtpd names it
                          options: list[str]) -> str:
        """Those on the list of senders."""
        if not _listed(address, self.settings.senders):
            return "550 5.7.1 not accepted from this sender"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str,  # noqa: N802 - aiosmtpd names it
                          options: list[str]) -> str:
        """Those on the list of recipients."""
        if not _listed(address, self.settings.recipients):
            return "550 5.1.1 no such recipient here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd names it
        """Store every attachment, then answer."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode("utf-8", "surrogateescape")
        storing = asyncio.create_task(self._store(server, raw, envelope.mail_from or ""))
        self._storing.add(storing)
        storing.add_done_callback(self._storing.discard)
        try:
            return await asyncio.shield(storing)
        except asyncio.CancelledError:
            if storing.cancelled():
                return "421 4.3.2 shutting down"
            raise

    async def _store(self, server: SMTP, raw: bytes, sender: str) -> str:
        receipts: list[Receipt] = []
        try:
            # Attachments of many megabytes take their time to be decoded: beside the loop that owes acknowledgements.
            found = await asyncio.to_thread(attachments, raw, self.settings.max_parts)
            receipts += [await self._submit(one, sender) for one in found]
        except Rejection as rejection:
            try:
                receipts.append(await self._keep(raw, sender, rejection.findings[0]))
            except Unavailable:
                return _LATER
        except Unavailable:
            return _LATER
        refused = next((one.finding for one in receipts if one.finding is not None), None)
        answer = "250 2.0.0 stored" if refused is None else f"554 5.6.0 {refused.code}"
        there = server.transport is not None and not server.transport.is_closing()
        for receipt in receipts:
            self._ack_report(receipt, answer[:3], there)
        return answer

    async def _submit(self, one: Attachment, sender: str) -> Receipt:
        refused = refusal(one.content)
        looked = msgspec.structs.replace(peek(one.content), dedup=b"" if refused is not None else one.identity)
        return await self._accept(Submission(channel=self.name, raw=Phi(one.content), peek=looked, peer=sender,
                                             refusal=refused))

    async def _keep(self, raw: bytes, sender: str, reason: Finding) -> Receipt:
        looked = msgspec.structs.replace(peek(raw), dedup=b"")
        return await self._accept(Submission(channel=self.name, raw=Phi(raw), peek=looked, peer=sender, refusal=reason))


def _listed(address: str, allowed: Sequence[str]) -> bool:
    given = address.lower()
    return not allowed or any(given.endswith(one.lower()) if one.startswith("@") else given == one.lower()
                              for one in allowed)
