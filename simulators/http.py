"""What the simulated HTTP partners share: a server on loopback, and the faults of the transport.

Fault kinds of every HTTP partner (`simulators.faults`): ``late[:s]``, ``silence``, ``lost`` (the effect
happens, the connection breaks without an answer), ``close``, and any status from 400 to 599 (no effect): the
argument of 429 and 503 becomes Retry-After, that of others what the partner makes of it.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from simulators.faults import Fault, Plan
from simulators.sink import Sink

HOST: Final = "127.0.0.1"


class Reply(msgspec.Struct, frozen=True):
    """An answer of the partner."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


class HttpPartner:
    """``async with Partner(port=0) as sim``: then ``sim.url``, ``sim.sink``, ``sim.plan``.

    Subclasses say what a request does (`handle`) and how an error is worded (`error`).
    """

    content_type: str = "application/json"
    base_path: str = ""
    own_faults: frozenset[str] = frozenset()
    """Fault kinds that `handle` itself makes come true, reading `fault`."""

    def __init__(self, port: int = 0, *, plan: Plan | None = None, keep: bool = True, token: str = "") -> None:
        self.port = port
        self.plan = plan or Plan()
        self.sink = Sink(keep=keep)
        self.requests = 0
        self.fault: Fault | None = None
        """That of the request under way, while it is handled."""
        self._token = token
        self._closing = asyncio.Event()

    @property
    def url(self) -> str:
        """Base URL of the partner."""
        return f"http://{HOST}:{self.port}{self.base_path}"

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self._closing.set()
        await self._runner.cleanup()

    def handle(self, method: str, path: str, headers: CIMultiDict[str], body: bytes) -> Reply:
        """Do what is asked. Synchronous, so that a request is atomic."""
        raise NotImplementedError

    def error(self, status: int, detail: str) -> Reply:
        """How this partner words an error; `detail` is a short code."""
        raise NotImplementedError

    def subject_to_faults(self, method: str) -> bool:
        """Whether the fault plan counts this request."""
        return method not in {"GET", "HEAD"}

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        body = await request.read()
        if self._token and request.headers.get("Authorization") != f"Bearer {self._token}":
            return self._response(self.error(401, "login"))
        fault = self.plan.next() if self.subject_to_faults(request.method) else None
        kind = fault.kind if fault else ""
        if fault is not None and kind.isdigit():
            return self._response(self._refusal(fault))
        if kind == "close":
            return self._hang_up(request)
        if kind == "silence":
            await self._closing.wait()
            return self._hang_up(request)
        self.fault = fault
        reply = self.handle(request.method, request.path_qs.removeprefix(self.base_path),
                            CIMultiDict(request.headers), body)
        if kind == "lost":
            return self._hang_up(request)
        if fault is not None and kind not in self.own_faults:
            if kind != "late":
                raise ValueError(f"an HTTP partner has no fault {kind!r}")
            await asyncio.sleep(fault.seconds(1.0))
        return self._response(reply)

    def _refusal(self, fault: Fault) -> Reply:
        status = int(fault.kind)
        if status not in {429, 503}:
            return self.error(status, fault.argument)
        reply = self.error(status, "throttled")
        return msgspec.structs.replace(reply, headers={**reply.headers, "Retry-After": fault.argument or "1"})

    def _response(self, reply: Reply) -> web.Response:
        headers = {"Content-Type": self.content_type, **reply.headers} if reply.body else reply.headers
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    @staticmethod
    def _hang_up(request: web.BaseRequest) -> web.Response:
        """Close without an answer."""
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
