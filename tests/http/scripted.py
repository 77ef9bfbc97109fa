"""A scripted HTTP peer for the conformance suite: `tests.conformance.sender.Peer` over real sockets."""

from __future__ import annotations

import asyncio

from tests.conformance.sender import Does
from tests.http.peer import Exchange, Peer

_ANSWERS = {Does.ACCEPT: 201, Does.REFUSE: 422, Does.BUSY: 503}


class ScriptedPeer:
    """``async with ScriptedPeer() as peer``: ``peer.url``, ``peer.received``, ``peer.script``."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.script: list[Does] = []
        self._peer = Peer(self._handle)

    @property
    def url(self) -> str:
        return self._peer.url

    async def __aenter__(self) -> ScriptedPeer:
        await self._peer.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go_away()

    async def go_away(self) -> None:
        """Stop listening and close all connections."""
        await self._peer.close()

    async def come_back(self) -> None:
        """Listen again, on the same address."""
        await self._peer.open()

    async def _handle(self, exchange: Exchange) -> None:
        self.received.append(exchange.body)
        does = self.script.pop(0) if self.script else Does.ACCEPT
        if does in _ANSWERS:
            await exchange.answer(_ANSWERS[does])
        elif does is Does.GARBAGE:
            await exchange.raw(b"220 mail.example ESMTP\r\n")
            exchange.close()
        elif does is Does.DROP:
            exchange.close()
        else:
            await asyncio.sleep(60)
