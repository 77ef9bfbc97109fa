"""Who may speak to our endpoints. Judged from the headers, before a body is read (Z20, invariant 14)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Protocol

from canonical.findings import Rejection
from connectors.http.settings import Basic, Bearer, Hmac, Secret, ServerAuth

_REREAD_S = 5.0
"""A refused client makes us look for a rotated secret, but not more often than this."""


class Gate(Protocol):
    """Admits a request in two steps: by its headers, and, where these sign it, by its body."""

    challenge: str
    """Value of WWW-Authenticate for those who are not admitted."""

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether the body may be read."""

    def confirms(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the body may be parsed."""


def gate(auth: ServerAuth, now: Callable[[], float]) -> Gate:
    """The gate that the settings describe.

    Args:
        auth: The settings.
        now: Time in seconds since the epoch.

    Raises:
        Rejection: a secret cannot be read (``http.setting``).
    """
    if isinstance(auth, Bearer):
        return _Token("Bearer", lambda secret: f"Bearer {secret}", _Kept(auth.token, now))
    if isinstance(auth, Basic):
        return _Token("Basic", lambda secret: "Basic " + base64.b64encode(
            f"{auth.user}:{secret}".encode()).decode("ascii"), _Kept(auth.password, now))
    if isinstance(auth, Hmac):
        return _Signed(auth, _Kept(auth.secret, now), now)
    return _Open()


class _Kept:
    """A secret in memory, read again when it does not fit: rotation without a restart (Z13)."""

    def __init__(self, place: Secret, now: Callable[[], float]) -> None:
        self._place = place
        self._now = now
        self._value = place.read()
        self._read_at = now()

    def fits(self, check: Callable[[str], bool]) -> bool:
        """Whether `check` holds for the secret, or for the one that has taken its place."""
        if check(self._value):
            return True
        if self._now() - self._read_at < _REREAD_S:
            return False
        self._read_at = self._now()
        try:
            self._value = self._place.read()
        except Rejection:
            return False  # it has vanished: what we know stays valid
        return check(self._value)


class _Open:
    challenge = ""

    def admits(self, headers: Mapping[str, str]) -> bool:
        return True

    def confirms(self, headers: Mapping[str, str], body: bytes) -> bool:
        return True


class _Token:
    def __init__(self, challenge: str, header: Callable[[str], str], kept: _Kept) -> None:
        self.challenge = challenge
        self._header = header
        self._kept = kept

    def admits(self, headers: Mapping[str, str]) -> bool:
        given = headers.get("Authorization", "").encode("utf-8", "replace")
        return self._kept.fits(lambda secret: hmac.compare_digest(given, self._header(secret).encode()))

    def confirms(self, headers: Mapping[str, str], body: bytes) -> bool:
        return True


class _Signed:
    def __init__(self, auth: Hmac, kept: _Kept, now: Callable[[], float]) -> None:
        self.challenge = "Signature"
        self._auth = auth
        self._kept = kept
        self._now = now

    def admits(self, headers: Mapping[str, str]) -> bool:
        """A signature is there and its time is within the window: an old one cannot be played again (Z19)."""
        stamp = headers.get(self._auth.timestamp_header, "")
        if not headers.get(self._auth.signature_header) or not (stamp.isascii() and stamp.isdigit()):
            return False
        return len(stamp) < 12 and abs(self._now() - int(stamp)) <= self._auth.window_s

    def confirms(self, headers: Mapping[str, str], body: bytes) -> bool:
        signature = headers.get(self._auth.signature_header, "").removeprefix("sha256=")
        given = signature.lower().encode("utf-8", "replace")
        signed = headers.get(self._auth.timestamp_header, "").encode("ascii", "replace") + b"." + body

        def check(secret: str) -> bool:
            expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
            return hmac.compare_digest(given, expected.encode())

        return self._kept.fits(check)
