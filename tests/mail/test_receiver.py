"""Documents by mail: the conformance of every receiver, and what is peculiar to mail."""

from __future__ import annotations

import asyncio
import base64
import smtplib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest

from connectors.base import Receiver
from connectors.hl7v2.tls import TlsServer
from connectors.http.settings import Basic, Secret
from connectors.mail.receiver import MailReceiver
from connectors.mail.settings import MailIn
from tests.conformance.door import Door
from tests.conformance.receiver import Client, ReceiverConformance
from tests.hl7v2.messages import certificates, client_context
from tests.ocr import sheets


def mail(*contents: bytes, number: int = 1, letter: str = "see attached") -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "fax@clinic.example", "in@hub.example"
    message["Message-ID"] = f"<{number}@clinic.example>"
    message.set_content(letter)
    for content in contents:
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename="document.bin")
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


class Peer:
    """Speaks SMTP byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sent = 0

    async def say(self, line: str) -> str:
        """One command and its (last) answer."""
        self._writer.write(line.encode() + b"\r\n")
        return await self._line()

    async def _line(self) -> str:
        while (line := (await self._reader.readline()).decode()) and line[3:4] == "-":
            pass
        return line.strip()

    async def hello(self) -> Peer:
        await self._line()
        await self.say("EHLO clinic.example")
        return self

    async def begin(self, sender: str = "fax@clinic.example", recipient: str = "in@hub.example") -> str:
        answer = await self.say(f"MAIL FROM:<{sender}>")
        if answer.startswith("250"):
            answer = await self.say(f"RCPT TO:<{recipient}>")
        return await self.say("DATA") if answer.startswith("250") else answer

    async def raw(self, content: bytes) -> None:
        self._writer.write(content.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")

    async def send(self, content: bytes) -> None:
        self._sent += 1
        await self.begin()
        await self.raw(mail(content, number=sum(content)))

    async def answer(self) -> bytes:
        return (await self._line()).encode()

    async def send_part(self, content: bytes) -> None:
        await self.begin()
        self._writer.write(mail(content)[:-200])
        await self._writer.drain()

    async def leave(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def serving(door: Door, settings: MailIn) -> AsyncIterator[MailReceiver]:
    receiver = MailReceiver("faxes", settings, door.accept, door.report)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop(1)


@asynccontextmanager
async def connected(receiver: Receiver) -> AsyncIterator[Peer]:
    assert isinstance(receiver, MailReceiver)
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
    try:
        yield await Peer(reader, writer).hello()
    finally:
        writer.close()


class TestMailReceiver(ReceiverConformance):
    """Mail does what every receiver must do."""

    @asynccontextmanager
    async def running(self, door: Door, like: Receiver | None = None) -> AsyncIterator[Receiver]:
        settings = MailIn(port=like.port if isinstance(like, MailReceiver) else 0)
        async with serving(door, settings) as receiver:
            yield receiver

    @asynccontextmanager
    async def client(self, receiver: Receiver) -> AsyncIterator[Client]:
        async with connected(receiver) as peer:
            yield peer

    def message(self, number: int) -> bytes:
        return sheets.text_pdf([f"Referral number {number}"])

    def refused_message(self) -> bytes:
        return b"PK\x03\x04 an archive"

    def is_positive(self, answer: bytes) -> bool:
        return answer.startswith(b"250")


async def test_each_attachment_is_a_message_and_the_letter_is_none() -> None:
    door = Door()
    one, other = sheets.text_pdf(["a"]), b"\x89PNG\r\n\x1a\n"
    async with serving(door, MailIn(port=0)) as receiver, connected(receiver) as peer:
        await peer.begin()
        await peer.raw(mail(one, other))
        assert (await peer.answer()).startswith(b"250")
    assert door.accepted == [one, other]
    assert [s.peek.message_type for s in door.submissions] == ["DOCUMENT^PDF", "DOCUMENT^PNG"]
    assert len({s.peek.dedup for s in door.submissions}) == 2
    assert {s.peer for s in door.submissions} == {"fax@clinic.example"}


@pytest.mark.parametrize(("content", "code"), [
    (mail(), "mail.no_attachment"), (b"not even a mail", "mail.no_attachment"),
    (mail(*[b"%PDF-1.7"] * 60), "mail.too_many_parts"),
    (b"Content-Type: multipart/mixed; boundary=" + b"x" * 100 + b"\r\n\r\n", "mail.no_attachment"),
    (mail(b"PK\x03\x04"), "fax.archive")])
async def test_what_holds_no_document_is_kept_and_refused(content: bytes, code: str) -> None:
    """Z16: parts are counted; archives are not opened."""
    door = Door()
    async with serving(door, MailIn(port=0)) as receiver, connected(receiver) as peer:
        await peer.begin()
        await peer.raw(content)
        assert (await peer.answer()) == f"554 5.6.0 {code}".encode()
    [refused] = door.submissions
    assert refused.refusal is not None
    assert refused.refusal.code == code


async def test_only_those_on_the_lists_may_send() -> None:
    """Z19: refused before a letter is read."""
    settings = MailIn(port=0, senders=("@clinic.example",), recipients=("in@hub.example",))
    async with serving(Door(), settings) as receiver, connected(receiver) as peer:
        assert (await peer.begin("someone@else.example")).startswith("550")
        assert (await peer.begin(recipient="other@hub.example")).startswith("550")
        await peer.say("RSET")
        assert (await peer.begin("FAX@Clinic.example")).startswith("354")


async def test_with_credentials_nobody_sends_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 14, Z20"""
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret")
    settings = MailIn(port=0, auth=Basic(user="clinic", password=Secret(env="MAIL_PASSWORD")))
    async with serving(Door(), settings) as receiver, connected(receiver) as peer:
        assert (await peer.begin()).startswith("530")
        bad, good = (base64.b64encode(f"\0clinic\0{word}".encode()).decode() for word in ("wrong", "s3cret"))
        assert (await peer.say(f"AUTH PLAIN {bad}")).startswith("535")
        assert (await peer.say(f"AUTH PLAIN {good}")).startswith("235")
        assert (await peer.begin()).startswith("354")


async def test_with_tls_nothing_is_said_before_starttls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 3207; Z20"""
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret")
    door = Door()
    with certificates(tmp_path) as files:
        settings = MailIn(port=0, auth=Basic(user="clinic", password=Secret(env="MAIL_PASSWORD")),
                          tls=TlsServer(cert=files["cert"], key=files["key"]))
        async with serving(door, settings) as receiver:
            async with connected(receiver) as peer:
                assert (await peer.begin()).startswith("530")
                assert (await peer.say("AUTH PLAIN AGNsaW5pYwBzM2NyZXQ=")).startswith(("530", "538"))
            await asyncio.to_thread(_by_starttls, receiver.port, client_context(files, with_certificate=False))
    assert [one.raw.reveal() for one in door.submissions] == [b"%PDF-1.7 one"]


def _by_starttls(port: int, context: ssl.SSLContext) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.starttls(context=context)
        client.login("clinic", "s3cret")
        client.sendmail("fax@clinic.example", ["in@hub.example"], mail(b"%PDF-1.7 one"))


async def test_a_mail_larger_than_allowed_is_not_taken() -> None:
    door = Door()
    async with serving(door, MailIn(port=0, max_bytes=2048)) as receiver, connected(receiver) as peer:
        await peer.begin()
        await peer.raw(mail(b"%PDF-1.7" + b"x" * 5000))
        assert (await peer.answer()).startswith(b"552")
    assert door.submissions == []


def test_without_credentials_only_loopback_is_allowed() -> None:
    with pytest.raises(msgspec.ValidationError, match="loopback"):
        msgspec.convert({"port": 25, "host": "0.0.0.0"}, MailIn)
