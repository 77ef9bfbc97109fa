"""TLS of the MLLP edges (F18): settings, contexts that follow their files, and how long certificates last.

Certificates are replaced on disk by other programs, every few weeks. A `Live` context notices that, so that a
renewal needs no restart; sessions that are open keep the certificate they began with.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from canonical.findings import Finding, Severity, declare, finding

EXPIRES: Final = declare(
    "tls.expires", Severity.WARNING,
    "A certificate expires soon",
    "Have it renewed and replace the file; the engine reads it again by itself.")
EXPIRED: Final = declare(
    "tls.expired", Severity.ERROR,
    "A certificate has expired: peers that verify it cannot connect",
    "Replace the file; the engine reads it again by itself.")
NOT_RELOADED: Final = declare(
    "tls.not_reloaded", Severity.ERROR,
    "Certificate files have changed and cannot be read; the ones read before are still in use",
    "Certificate and key must belong together, be PEM, and be readable by the engine's user.")

_log = logging.getLogger(__name__)

MinVersion = Annotated[Literal["1.2", "1.3"], Meta(description="Oldest version of TLS that is spoken.")]
WarnDays = Annotated[int, Meta(ge=0, description="Days before a certificate expires from which on the log and "
                                                  "`dragoman check` say so.")]

_DAY_S: Final = 86_400.0
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class TlsName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate for clients that ask for one name (SNI)."""

    cert: Annotated[str, Meta(description="File with the certificate chain (PEM).")]
    key: Annotated[str, Meta(description="File with its private key (PEM).")]


class TlsServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS for a listening port."""

    cert: Annotated[str, Meta(description="File with our certificate chain (PEM).")]
    key: Annotated[str, Meta(description="File with its private key (PEM).")]
    ca: Annotated[str, Meta(description="File with the authorities that clients' certificates must come from; "
                                        "needed with require_client.")] = ""
    require_client: Annotated[bool, Meta(description="Only clients with a certificate (mutual TLS).")] = False
    min_version: MinVersion = "1.2"
    names: Annotated[dict[str, TlsName], Meta(
        description="Other certificates, by the name a client asks for (SNI).")] = {}
    reload_s: Annotated[float, Meta(gt=0, description="Seconds between two looks whether the files have changed; "
                                                      "open sessions are kept.")] = 60.0
    warn_days: WarnDays = 30

    def __post_init__(self) -> None:
        if self.require_client and not self.ca:
            raise ValueError("require_client needs ca")

    def context(self) -> ssl.SSLContext:
        """Raises OSError: a file is missing or is not PEM."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.min_version]
        context.load_cert_chain(self.cert, self.key)
        if self.ca:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED if self.require_client else ssl.CERT_OPTIONAL
        if self.names:
            others = {}
            for name, files in self.names.items():
                other = others[name.lower()] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                other.load_cert_chain(files.cert, files.key)

            def choose(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
                # Only the certificate is taken over; who may connect is decided by the settings above.
                if name and (chosen := others.get(name.lower())) is not None:
                    connection.context = chosen

            context.sni_callback = choose
        return context

    @property
    def certificates(self) -> tuple[str, ...]:
        """Files whose certificates are ours to renew."""
        return (self.cert, *(files.cert for files in self.names.values()))

    @property
    def files(self) -> tuple[str, ...]:
        """Everything that is read."""
        inner = (path for files in self.names.values() for path in (files.cert, files.key))
        return tuple(path for path in (self.cert, self.key, self.ca, *inner) if path)


class TlsClient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards a peer whose certificate is verified."""

    ca: Annotated[str, Meta(description="The peer's authorities (PEM); default those of the system.")] = ""
    cert: Annotated[str, Meta(description="File with our certificate chain (PEM), for mutual TLS.")] = ""
    key: Annotated[str, Meta(description="File with its private key (PEM).")] = ""
    server_name: Annotated[str, Meta(description="Name the peer's certificate must have, and that it is asked for "
                                                 "(SNI); default `host`.")] = ""
    min_version: MinVersion = "1.2"
    warn_days: WarnDays = 30

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            raise ValueError("cert and key go together")

    def context(self) -> ssl.SSLContext:
        """Raises OSError: a file is missing or is not PEM."""
        context = ssl.create_default_context(cafile=self.ca or None)
        context.minimum_version = _VERSIONS[self.min_version]
        if self.cert:
            context.load_cert_chain(self.cert, self.key)
        return context

    @property
    def certificates(self) -> tuple[str, ...]:
        """Files whose certificates are ours to renew."""
        return (self.cert,) if self.cert else ()

    @property
    def files(self) -> tuple[str, ...]:
        """Everything that is read."""
        return tuple(path for path in (self.ca, self.cert, self.key) if path)


class Live:
    """The context of settings, following its files.

    A server's context is one object for ever, because the listening socket holds it: certificates are exchanged
    and authorities added inside it; one that was taken away is trusted until the next start.

    Raises:
        OSError: a file is missing or is not PEM, at the beginning. Later, the last good files stay in use.
    """

    def __init__(self, settings: TlsServer | TlsClient) -> None:
        self.settings = settings
        self._seen = _signature(settings.files)
        self.context = settings.context()

    def follow(self) -> Finding | None:
        """Read the files again if they have changed. A finding: they have, and cannot be read."""
        seen = _signature(self.settings.files)
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            fresh = self.settings.context()  # so that half a file or a key that does not fit spoils nothing
            if isinstance(self.settings, TlsServer):
                self.context.load_cert_chain(self.settings.cert, self.settings.key)
                self.context.sni_callback = fresh.sni_callback
                if self.settings.ca:
                    self.context.load_verify_locations(self.settings.ca)
            else:
                self.context = fresh
        except OSError as error:  # ssl.SSLError is one
            return finding(NOT_RELOADED, detail=f"{NOT_RELOADED.summary} ({type(error).__name__})")
        return None


class Watch:
    """Keeps an eye on the certificates of a listening edge until it is closed, and says so in the log.

    Args:
        name: of the channel.
        live: the context to keep fresh.
        now: seconds since the epoch.
    """

    def __init__(self, name: str, live: Live, now: Callable[[], float] = time.time) -> None:
        self._name, self._live, self._now = name, live, now
        self._told_at = -_DAY_S
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look now and every ``reload_s``."""
        settings = self._live.settings
        failed = self._live.follow()
        now = self._now()
        found = [failed] if failed is not None else []
        if now - self._told_at >= _DAY_S:
            self._told_at = now
            found += expiring(settings, now)
        for one in found:
            _log.warning("%s: channel %s: %s", one.code, self._name, one.detail or one.row)
        pause = settings.reload_s if isinstance(settings, TlsServer) else _DAY_S
        self._timer = asyncio.get_running_loop().call_later(pause, self.start)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def expiring(settings: TlsServer | TlsClient, now: float) -> list[Finding]:
    """Findings for our certificates that have expired, or will within `warn_days`. Files that cannot be read are
    somebody else's to tell. `now`: seconds since the epoch."""
    found = []
    for path in settings.certificates:
        try:
            left = (not_after(Path(path).read_text(encoding="ascii", errors="replace")) - now) / _DAY_S
        except (OSError, ValueError):
            continue
        if left <= 0:
            found.append(finding(EXPIRED, row=path, detail=f"{EXPIRED.summary} ({path})"))
        elif left <= settings.warn_days:
            found.append(finding(EXPIRES, row=path, detail=f"{EXPIRES.summary}: {left:.0f} days left ({path})"))
    return found


def not_after(pem: str) -> float:
    """When the first certificate of a PEM text expires, in seconds since the epoch (RFC 5280 §4.1).

    Raises:
        ValueError: there is no certificate in it.
    """
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    start = pem.find(begin)
    stop = pem.find(end, start)
    if start < 0 or stop < 0:
        raise ValueError("no certificate")
    der = ssl.PEM_cert_to_DER_cert(pem[start:stop + len(end)] + "\n")
    fields = list(_inside(_inside_first(_inside_first(der))))
    # version [0] may be missing; then serialNumber, signature, issuer, validity
    validity = fields[4 if fields[0][0] == 0xA0 else 3][1]
    _, (tag, text) = list(_inside(validity))[:2]
    time = text.decode("ascii")
    if tag == 0x17:  # UTCTime: two digits of the year
        time = ("20" if time[:2] < "50" else "19") + time
    return float(ssl.cert_time_to_seconds(
        f"{_MONTHS[int(time[4:6]) - 1]} {int(time[6:8]):2d} {time[8:10]}:{time[10:12]}:{time[12:14]} {time[:4]} GMT"))


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _inside_first(der: bytes) -> bytes:
    """The content of the first value."""
    return next(iter(_inside(der)))[1]


def _inside(der: bytes) -> Iterable[tuple[int, bytes]]:
    """(tag, content) of the values that stand side by side (X.690 DER)."""
    at = 0
    while at + 2 <= len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at:at + size], "big")
            at += size
        yield tag, der[at:at + length]
        at += length


def _signature(paths: Iterable[str]) -> tuple[object, ...]:
    found: list[object] = []
    for path in paths:
        try:
            status = Path(path).stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
