"""TLS: certificates that are renewed, chosen by name, and that tell when they end (F18)."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import os
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import trustme

from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.settings import MllpIn, MllpOut, TlsClient, TlsServer
from connectors.hl7v2.tls import Live, TlsName, Watch, expiring, not_after
from mapper.document import Mark
from router.site import Channel, Destination, Site
from tests.conformance.door import Door, until
from tests.hl7v2.messages import siu
from tests.hl7v2.mllp import RawClient
from wiring.check import certificates

DAY = 86_400


class Authority:
    """Issues certificates into files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ca = folder, trustme.CA()
        self.ca.cert_pem.write_to_path(str(folder / "ca.pem"))

    def issue(self, file: str, *names: str, days: int = 100) -> tuple[str, str]:
        """Files of a chain and its key."""
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        leaf = self.ca.issue_cert(*names, not_after=ends)
        cert, key = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        leaf.private_key_pem.write_to_path(str(key))
        leaf.cert_chain_pems[0].write_to_path(str(cert))
        return str(cert), str(key)

    def context(self) -> ssl.SSLContext:
        """What a client trusts."""
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextlib.asynccontextmanager
async def connected(port: int, context: ssl.SSLContext, name: str = "127.0.0.1") -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def serial(client: RawClient) -> str:
    return str(client.writer.get_extra_info("peercert")["serialNumber"])


@contextlib.asynccontextmanager
async def listening(tls: TlsServer, door: Door) -> AsyncIterator[MllpReceiver]:
    receiver = MllpReceiver("in", MllpIn(port=0, tls=tls), door.accept, door.report)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop(1.0)


async def test_a_renewed_certificate_is_used_without_dropping_a_session(authority: Authority) -> None:
    """F18: new connections get the new one, the open one goes on."""
    door = Door()
    cert, key = authority.issue("server", "127.0.0.1")
    async with (listening(TlsServer(cert=cert, key=key, reload_s=0.02), door) as receiver,
                connected(receiver.port, authority.context()) as old):
        before = now = serial(old)
        authority.issue("server", "127.0.0.1")
        async with asyncio.timeout(5):
            while now == before:
                async with connected(receiver.port, authority.context()) as new:
                    now = serial(new)
                    await new.send(siu("NEW"))
                    assert b"MSA|AA|NEW" in await new.answer()
                await asyncio.sleep(0.02)
        await old.send(siu("OLD"))
        assert b"MSA|AA|OLD" in await old.answer()


async def test_files_that_do_not_fit_leave_the_old_certificate_in_use(authority: Authority,
                                                                     caplog: pytest.LogCaptureFixture) -> None:
    """F18: a renewal that went wrong cuts nobody off, and is told."""
    caplog.set_level(logging.WARNING)
    door = Door()
    cert, key = authority.issue("server", "127.0.0.1")
    _, other = authority.issue("other", "127.0.0.1")
    async with listening(TlsServer(cert=cert, key=key, reload_s=0.02), door) as receiver:
        shutil.copy(other, key)
        os.utime(key, ns=(1, 1))
        await until(lambda: "tls.not_reloaded: channel in" in caplog.text)
        async with connected(receiver.port, authority.context()) as client:
            await client.send(siu())
            assert b"MSA|AA|" in await client.answer()


async def test_the_certificate_is_chosen_by_the_name_the_client_asks_for(authority: Authority) -> None:
    """F18: SNI."""
    cert, key = authority.issue("server", "127.0.0.1")
    lab, lab_key = authority.issue("lab", "lab.example")
    tls = TlsServer(cert=cert, key=key, names={"lab.example": TlsName(cert=lab, key=lab_key)})
    async with listening(tls, Door()) as receiver:
        async with connected(receiver.port, authority.context(), "lab.example") as client:
            assert client.writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", "lab.example"),)
        async with connected(receiver.port, authority.context()) as client:
            assert client.writer.get_extra_info("peercert")["subjectAltName"] == (("IP Address", "127.0.0.1"),)


@pytest.mark.parametrize("side", ["server", "client"])
async def test_a_version_below_the_least_one_gets_nowhere(authority: Authority, side: str) -> None:
    """F18: `min_version`."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    cert, key = authority.issue("server", "127.0.0.1")
    async with listening(TlsServer(cert=cert, key=key, min_version="1.3" if side == "server" else "1.2"),
                         Door()) as receiver:
        context = authority.context()
        if side == "client":
            context = TlsClient(ca=str(authority.folder / "ca.pem"), min_version="1.3").context()
            assert context.minimum_version is ssl.TLSVersion.TLSv1_3
            async with connected(receiver.port, context) as client:
                assert client.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            return
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with connected(receiver.port, context):
                pass


@pytest.mark.parametrize(("days", "codes"), [(100, []), (12, ["tls.expires"]), (-1, ["tls.expired"])])
def test_an_end_in_sight_is_told(authority: Authority, days: int, codes: list[str]) -> None:
    """F18: the expiry alarm; it names the file, and how many days are left."""
    cert, key = authority.issue("server", "127.0.0.1", days=100)
    now = not_after(Path(cert).read_text(encoding="ascii")) - days * DAY
    found = expiring(TlsServer(cert=cert, key=key), now)
    assert [one.code for one in found] == codes
    if days > 0 and found:
        assert "12 days left" in found[0].detail
        assert cert in found[0].detail


def test_the_end_is_read_as_openssl_reads_it(authority: Authority) -> None:
    """F18: RFC 5280 times, both kinds."""
    for days in (10, 9000, 12000):  # beyond 2049 the time is written otherwise
        cert, _ = authority.issue("server", "127.0.0.1", days=days)
        ends = ssl.cert_time_to_seconds(ssl._ssl._test_decode_cert(cert)["notAfter"])  # type: ignore[attr-defined] # no public reader of a file
        assert not_after(Path(cert).read_text(encoding="ascii")) == ends
    with pytest.raises(ValueError, match="no certificate"):
        not_after("nothing")


async def test_the_watch_says_once_a_day_what_ends(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    """F18: an alarm, not a flood."""
    caplog.set_level(logging.WARNING)
    cert, key = authority.issue("server", "127.0.0.1", days=3)
    now = [time.time()]
    watch = Watch("in", Live(TlsServer(cert=cert, key=key, reload_s=0.01)), lambda: now[0])
    watch.start()
    await asyncio.sleep(0.1)
    assert caplog.text.count("tls.expires: channel in") == 1
    now[0] += DAY
    await until(lambda: caplog.text.count("tls.expires: channel in") == 2)
    watch.close()


def test_a_client_reads_renewed_files_before_it_connects(authority: Authority) -> None:
    """F18: our own certificate, for mutual TLS."""
    cert, key = authority.issue("ours", "dragoman.example")
    live = Live(TlsClient(cert=cert, key=key))
    before = live.context
    assert live.follow() is None
    assert live.context is before
    authority.issue("ours", "dragoman.example")
    assert live.follow() is None
    assert live.context is not before


def test_dragoman_check_names_the_channel_whose_certificate_ends(authority: Authority) -> None:
    """F18: before it happens, where people look before a start."""
    cert, key = authority.issue("server", "127.0.0.1", days=3)
    tls = {"cert": cert, "key": key}
    site = Site(
        site="t", channels={"in": Channel(connector="mllp", mapping="x", settings=msgspec.convert(
            {"port": 1, "tls": tls}, MllpIn))},
        destinations={"out": Destination(connector="mllp", mapping="x", settings=msgspec.convert(
            {"port": 1, "tls": tls}, MllpOut))})
    marks = {"channels.in": Mark("site.yaml", 3, 1), "destinations.out": Mark("site.yaml", 9, 1)}
    found = list(certificates(site, marks))
    assert [(one.code, one.row) for one in found] == [("tls.expires", "site.yaml:3:1"), ("tls.expires", "site.yaml:9:1")]
