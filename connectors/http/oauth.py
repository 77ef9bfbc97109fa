"""Bearer tokens by client credentials (RFC 6749 §4.4): fetched when first needed, kept until shortly before they expire."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from typing import Annotated, Final
from urllib.parse import quote

import aiohttp
import msgspec

from canonical.findings import Rejection
from connectors.http.settings import OAuth

#: Seconds before its end at which a token is replaced: a request under way must not outlive it.
_MARGIN_S: Final = 30.0
#: Seconds a token is taken to live where the server does not say (RFC 6749 §5.1 only recommends to).
_UNSAID_S: Final = 300.0
_MAX_BYTES: Final = 65_536


class NoToken(Exception):  # noqa: N818 - an answer to the client, not an error of ours
    """The server gave no token. `refused`: it does not accept our credentials."""

    def __init__(self, *, refused: bool) -> None:
        super().__init__()
        self.refused = refused


class _Answer(msgspec.Struct):
    access_token: Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[\x21-\x7e]+$")]
    token_type: str = "bearer"  # noqa: S105 - the name of a type
    expires_in: float = _UNSAID_S


class Tokens:
    """The token of one peer."""

    def __init__(self, settings: OAuth, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._token = ""
        self._until = 0.0
        self._proven = False
        """Whether the peer has accepted this token at least once."""
        self._lock = asyncio.Lock()

    async def header(self, session: aiohttp.ClientSession) -> str:
        """The value of the Authorization header.

        Raises:
            NoToken: there is none to be had.
        """
        async with self._lock:  # one fetch, however many requests wait for it
            if not self._token or self._clock() >= self._until:
                found = await self._fetch(session)
                self._token, self._proven = found.access_token, False
                self._until = self._clock() + max(1.0, found.expires_in - _MARGIN_S)
            return f"Bearer {self._token}"

    def judged(self, used: str, *, accepted: bool) -> bool:
        """The peer accepted or refused a header of ours. True where another try with a new token makes sense: one that
        was refused at its first use would be refused again."""
        if used != f"Bearer {self._token}":
            return True
        if accepted:
            self._proven = True
            return True
        again, self._token, self._proven = self._proven, "", False
        return again

    async def _fetch(self, session: aiohttp.ClientSession) -> _Answer:
        settings = self._settings
        try:
            secret = settings.client_secret.read()
        except Rejection:
            raise NoToken(refused=True) from None
        # RFC 6749 §2.3.1: both are form-encoded before they are joined.
        pair = f"{quote(settings.client_id, safe='')}:{quote(secret, safe='')}".encode()
        form = {"grant_type": "client_credentials", **({"scope": settings.scope} if settings.scope else {})}
        try:
            async with session.post(settings.token_url, data=form, allow_redirects=False,
                                    headers={"Authorization": "Basic " + base64.b64encode(pair).decode("ascii"),
                                             "Accept": "application/json"}) as answer:
                status, body = answer.status, b""
                async for chunk in answer.content.iter_any():
                    body += chunk
                    if len(body) > _MAX_BYTES:
                        raise NoToken(refused=False)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise NoToken(refused=False) from None
        if status != 200:
            raise NoToken(refused=400 <= status < 500 and status not in (408, 429))
        try:
            found = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NoToken(refused=False) from None
        if found.token_type.lower() != "bearer":
            raise NoToken(refused=True)
        return found
