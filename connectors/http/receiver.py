"""Takes messages by HTTP POST. Who it is comes before what it says; stored comes before answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web
from msgspec import UNSET

from canonical.phi import Phi
from canonical.receipt import Receipt
from connectors.base import Accept, AckReport, Submission, Unavailable
from connectors.hl7v2.tls import Live, Watch
from connectors.http.auth import Gate, gate
from connectors.http.body import DOCUMENT, Answer, format_of
from connectors.http.settings import HttpIn

_log = logging.getLogger(__name__)


class _Turned(Exception):  # noqa: N818 - an answer to the client, not an error of ours
    """The request goes no further: a status, a reason in one word, headers."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        self.status, self.reason = status, reason
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class _Connection(web.RequestHandler):
    """aiohttp's, but what cannot be read as HTTP is not quoted in the answer: not even to a stranger."""

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
                     message: str | None = None) -> web.StreamResponse:
        """400 and nothing else."""
        return super().handle_error(request, status, exc, None)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class HttpReceiver:
    """One path on one port. See `connectors.base.Receiver`.

    202 (HL7 v2: 200) stored, now or before; 422 stored as refused: only these come from a `Receipt`. 503 with
    Retry-After: not stored, come again. 401, 404, 405, 411, 413, 415, 408: not read or not taken; what was
    sent is neither parsed nor kept (Z20, invariant 14).
    """

    def __init__(self, name: str, settings: HttpIn, accept: Accept, ack_report: AckReport, *,
                 now: Callable[[], float] = time.time) -> None:
        self.name = name
        self.settings = settings
        self.refused: Counter[str] = Counter()
        """Requests turned away, by reason."""
        self._accept = accept
        self._ack_report = ack_report
        self._now = now
        self._gate: Gate
        self._http: web.Server | None = None
        self._listener: asyncio.Server
        self._watch: Watch | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def resources(self) -> Sequence[str]:
        """The port."""
        return (f"tcp:{self.settings.host}:{self.settings.port}",)

    @property
    def port(self) -> int:
        """The port listened on: the one chosen by the system where the settings say 0."""
        return self.settings.port if self._http is None else int(self._listener.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen.

        Raises:
            Rejection: a secret cannot be read.
            OSError: port in use, no such address, certificate not readable.
        """
        settings = self.settings
        self._gate = gate(settings.auth, self._now)
        live = None if settings.tls is UNSET else Live(settings.tls)
        # A body that is not wanted is thrown away for a moment, so that the client can read why.
        http = _Server(self._serve, access_log=None, auto_decompress=False, lingering_time=2.0)
        self._listener = await asyncio.get_running_loop().create_server(
            http, settings.host, settings.port, ssl=None if live is None else live.context, backlog=1024)
        if live is not None:
            self._watch = Watch(self.name, live)
            self._watch.start()
        self._http = http

    async def stop(self, grace: float) -> None:
        """Stop listening, finish what has begun within `grace` seconds, close."""
        if self._http is None:
            return
        http, self._http = self._http, None
        self._listener.close()
        if self._watch is not None:
            self._watch.close()
        http.pre_shutdown()
        try:
            await asyncio.wait_for(self._idle.wait(), grace)
        except TimeoutError:
            _log.warning("requests were cut off at stop: channel %s", self.name)
        await http.shutdown(0.1)
        await self._listener.wait_closed()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._take(request)
        except _Turned as turned:
            self.refused[turned.reason] += 1
            return web.json_response({"error": turned.reason}, status=turned.status, headers=turned.headers)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        settings = self.settings
        if not self._gate.admits(request.headers):
            raise self._stranger()
        if request.path != settings.path:
            raise _Turned(404, "path")
        if request.method != "POST":
            raise _Turned(405, "method", Allow="POST")
        content_type = request.content_type
        if content_type not in settings.content_types:
            raise _Turned(415, "content-type")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise _Turned(415, "content-encoding")
        if self._under_way > settings.max_in_flight or self._http is None:
            raise self._later("busy")
        body = await self._body(request)
        if not self._gate.confirms(request.headers, body):
            raise self._stranger()
        form = DOCUMENT if settings.format == "document" else format_of(content_type)
        peek = form.peek(body, request.headers.get(settings.identity_header, ""))
        refusal = form.refusal(body)
        if refusal is not None:
            # A refused message may come again after the configuration was mended, so it is not remembered.
            peek = msgspec.structs.replace(peek, dedup=b"")
        try:
            receipt = await self._accept(Submission(channel=self.name, raw=Phi(body), peek=peek,
                                                    peer=request.remote or "", refusal=refusal))
        except Unavailable:
            raise self._later("unavailable") from None
        return await self._answer(request, receipt, form.answer(body, receipt))

    async def _body(self, request: web.BaseRequest) -> bytes:
        """The body, of which never more than ``max_bytes`` are taken."""
        limit = self.settings.max_bytes
        if (request.content_length or 0) > limit:
            raise _Turned(413, "size")
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self.settings.body_timeout_s):
                async for chunk in request.content.iter_any():
                    size += len(chunk)
                    if size > limit:
                        raise _Turned(413, "size")
                    chunks.append(chunk)
        except TimeoutError:
            raise _Turned(408, "slow", Connection="close") from None
        if not size:
            raise _Turned(400, "empty")
        return b"".join(chunks)

    async def _answer(self, request: web.BaseRequest, receipt: Receipt, answer: Answer) -> web.StreamResponse:
        response = web.Response(status=answer.status, body=answer.body,
                                headers={"Content-Type": answer.content_type})
        delivered = True
        try:
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            delivered = False
        self._ack_report(receipt, answer.code, delivered)
        return response

    def _stranger(self) -> _Turned:
        return _Turned(401, "credentials", WWW_Authenticate=self._gate.challenge)

    def _later(self, reason: str) -> _Turned:
        return _Turned(503, reason, Retry_After=str(self.settings.retry_after_s))
