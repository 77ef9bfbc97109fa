"""One peer over HTTP: a pool of kept-alive connections, faults turned into outcomes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import aiohttp
import msgspec
from msgspec import UNSET
from yarl import URL

from canonical.findings import Rejection, finding
from connectors.base import Rejected, Retry, Unknown
from connectors.http.codes import EGRESS, NO_ANSWER, TLS, UNAUTHORIZED, UNREACHABLE
from connectors.http.oauth import NoToken, Tokens
from connectors.http.settings import Basic, Bearer, ClientAuth, ClientSettings, OAuth


class Answer(msgspec.Struct, frozen=True):
    """What the peer answered."""

    status: int
    headers: Mapping[str, str]
    """Case-insensitive."""
    body: bytes
    """At most ``max_response_bytes`` of it; cut short where the connection broke after the headers."""


class _BrokenError(Exception):
    """The exchange broke on a connection that stood: not one of the exceptions aiohttp repeats a request on."""


async def _send_once(request: aiohttp.ClientRequest,
                     send: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
                     ) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating PUT and GET by itself on a broken connection: the router decides that."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _BrokenError from error


class HttpClient:
    """Requests to one base URL. Never raises for the peer's faults; never leaves the base URL (Z19).

    No cookies, no redirects, no proxies from the environment, no decompression, no tracing.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._base: Final = URL(settings.url)
        self._prefix: Final = self._base.raw_path.rstrip("/") + "/"
        self._headers: dict[str, str] = {}
        self._server_name: Final = None if settings.tls is UNSET else settings.tls.server_name or None
        self._credentials = ""
        self._tokens: Tokens | None = None
        self._session: aiohttp.ClientSession | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Read secrets and certificates.

        Raises:
            Rejection: a secret cannot be read (``http.setting``).
            OSError: a certificate cannot be read.
        """
        settings = self._settings
        tls = settings.tls.context() if settings.tls is not UNSET else True
        self._credentials = credentials(settings.auth)
        self._tokens = Tokens(settings.auth) if isinstance(settings.auth, OAuth) else None
        self._headers = {**settings.headers, "Accept-Encoding": "identity", "User-Agent": "dragoman"}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.max_sessions, keepalive_timeout=settings.keepalive_s,
                ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False,
            middlewares=(_send_once,),
            # `total` runs from the request for a connection on, which may first have to wait for one.
            timeout=aiohttp.ClientTimeout(total=settings.timeout_s + settings.connect_timeout_s,
                                          connect=settings.connect_timeout_s, sock_read=settings.timeout_s))

    async def stop(self, grace: float) -> None:
        """Wait up to `grace` seconds for what is under way, then close."""
        if self._session is None:
            return
        with suppress(TimeoutError):  # what is still under way breaks now and is Unknown to its caller
            await asyncio.wait_for(self._idle.wait(), grace)
        await self._session.close()
        self._session = None

    async def request(self, method: str, path: str, headers: Mapping[str, str],
                      body: bytes | None = None) -> Answer | Rejected | Retry | Unknown:
        """One request; exactly once on the wire.

        Args:
            method: GET, POST, PUT …
            path: Relative to the base URL, percent-encoded where a reserved character is meant as data;
                empty: the base URL itself.
            headers: Headers of this request.
            body: Its body.
        """
        session = self._session
        if session is None:
            return Retry("", finding(UNREACHABLE, detail="the sender is stopped"), free=True)
        url = self._base
        if path:
            joined = self._join(path)
            if joined is None:
                return Rejected("", finding(EGRESS))
            url = joined
        if any("\n" in value or "\r" in value or "\0" in value for value in headers.values()):
            return Rejected("", finding(EGRESS, detail="a header would hold a line break"))
        self._under_way += 1
        self._idle.clear()
        try:
            sent = {**self._headers, **headers}
            if authorization := await self._authorization(session):
                sent["Authorization"] = authorization
            async with session.request(method, url, headers=sent, data=body, allow_redirects=False,
                                       server_hostname=self._server_name) as response:
                answer = Answer(response.status, response.headers, await self._body(response))
                again = self._tokens is not None and self._tokens.judged(authorization, accepted=answer.status != 401)
                if answer.status == 401 and again:
                    return Retry("401", finding(UNAUTHORIZED, detail="the token has ended"), free=True)
                if answer.status == 401 and self._tokens is None and self._renewed(authorization):
                    return Retry("401", finding(UNAUTHORIZED, detail="the secret was renewed"), free=True)
                return answer
        except NoToken as none:
            if none.refused:
                return Rejected("", finding(UNAUTHORIZED, detail="no token was given out"), True)
            return Retry("", finding(UNREACHABLE, detail="the server of tokens gave none"), free=True)
        except (aiohttp.ClientConnectorSSLError, aiohttp.ClientConnectorCertificateError):
            return Retry("", finding(TLS), free=True)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Retry("", finding(UNREACHABLE), free=True)
        except (_BrokenError, aiohttp.ClientError, TimeoutError, OSError):
            return Unknown(finding(NO_ANSWER))
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _authorization(self, session: aiohttp.ClientSession) -> str:
        """The header that says who we are; empty without one. Raises `NoToken`."""
        return await self._tokens.header(session) if self._tokens is not None else self._credentials

    def _renewed(self, used: str) -> bool:
        """True where the secret on file is not the one just refused: a rotation without a restart (Z13)."""
        try:
            self._credentials = credentials(self._settings.auth)
        except Rejection:
            return False  # it has vanished: as refused as before
        return self._credentials != used

    def _join(self, path: str) -> URL | None:
        """`path` under the base URL, or None where it would lead outside."""
        try:
            url = URL(f"{self._base.origin()}{self._prefix}{path.lstrip('/')}")
        except ValueError:
            return None
        inside = url.origin() == self._base.origin() and url.raw_path.startswith(self._prefix)
        return url if inside else None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """The body. The status is the peer's word; a body that breaks off does not take it back."""
        limit, chunks, size = self._settings.max_response_bytes, [], 0
        try:
            async for chunk in response.content.iter_any():
                chunks.append(chunk[:limit - size])
                size += len(chunk)
                if size >= limit:
                    response.close()
                    break
        except (aiohttp.ClientError, TimeoutError, OSError):
            response.close()
        return b"".join(chunks)


def credentials(auth: ClientAuth) -> str:
    """The value of the Authorization header; empty where there is none.

    Raises:
        Rejection: the secret cannot be read.
    """
    if isinstance(auth, Bearer):
        return f"Bearer {auth.token.read()}"
    if isinstance(auth, Basic):
        pair = f"{auth.user}:{auth.password.read()}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"
    return ""
