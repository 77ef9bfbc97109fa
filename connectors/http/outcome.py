"""What an HTTP answer means for a delivery. Pure: a table and a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import msgspec

from canonical.findings import Code, finding
from canonical.phi import Phi
from connectors.base import Delivered, Outcome, Rejected, Retry, Unknown
from connectors.http.codes import (
    BUSY,
    CONFLICT,
    NO_ANSWER,
    PRECONDITION,
    REFUSED,
    SERVER_ERROR,
    UNAUTHORIZED,
    WRONG_ENDPOINT,
)

Conflict = Literal["retry", "delivered", "reject"]


class Disposition(msgspec.Struct, frozen=True):
    """One row: which of the four words a status gets, and with which finding."""

    word: Literal["delivered", "rejected", "retry", "unknown"]
    code: Code
    free: bool = False
    """Retry that does not count against the budget."""
    channel_wide: bool = False
    """Rejection that every message would meet."""


_REFUSED: Final = Disposition("rejected", REFUSED)
_SERVER_ERROR: Final = Disposition("retry", SERVER_ERROR)
_ENDPOINT: Final = Disposition("rejected", WRONG_ENDPOINT, channel_wide=True)

#: Statuses that differ from the rest of their hundred (RFC 9110 §15, RFC 6585, RFC 8470).
BY_STATUS: Final[Mapping[int, Disposition]] = {
    401: Disposition("rejected", UNAUTHORIZED, channel_wide=True),
    403: Disposition("rejected", UNAUTHORIZED, channel_wide=True),
    405: _ENDPOINT,
    407: Disposition("rejected", UNAUTHORIZED, channel_wide=True),
    408: _SERVER_ERROR,  # the peer gave up waiting for our bytes: it did not act on them
    409: Disposition("retry", CONFLICT),
    412: Disposition("rejected", PRECONDITION),
    423: Disposition("retry", CONFLICT),
    425: Disposition("retry", BUSY, free=True),
    429: Disposition("retry", BUSY, free=True),
    501: _ENDPOINT,
    503: Disposition("retry", BUSY, free=True),
    # A gateway that got no answer knows no more than we would: the request may have had its effect.
    504: Disposition("unknown", NO_ANSWER),
    505: _ENDPOINT,
}

#: The rest, by hundred. 1xx never ends an exchange; a redirect is a configuration error (Z19).
BY_CLASS: Final[Mapping[int, Disposition]] = {
    1: _ENDPOINT,
    3: _ENDPOINT,
    4: _REFUSED,
    5: _SERVER_ERROR,
}

_ON_CONFLICT: Final[Mapping[Conflict, Disposition]] = {
    "retry": BY_STATUS[409],
    "delivered": Disposition("delivered", CONFLICT),
    "reject": Disposition("rejected", CONFLICT),
}


def outcome(status: int, headers: Mapping[str, str], body: bytes, *, now: Callable[[], float],
            on_conflict: Conflict = "retry", keep_response: bool = False) -> Outcome:
    """The outcome an answer stands for.

    Args:
        status: HTTP status code.
        headers: Headers of the answer; looked up by their canonical names, so pass a case-insensitive mapping.
        body: Body of the answer.
        now: The time in seconds since the epoch; asked only where Retry-After is a date.
        on_conflict: What 409 means at this peer.
        keep_response: Keep the body of a positive answer.
    """
    if 200 <= status < 300:
        response = Phi(body) if keep_response and body else None
        return Delivered(str(status), headers.get("Location", ""), response)
    if status == 409:
        row = _ON_CONFLICT[on_conflict]
    else:
        row = BY_STATUS.get(status) or BY_CLASS.get(status // 100, _SERVER_ERROR)
    return apply(row, status, headers, body, now=now)


def apply(row: Disposition, status: int, headers: Mapping[str, str], body: bytes, *,
          now: Callable[[], float], detail: str = "") -> Outcome:
    """The outcome of a row of a disposition table for one answer. The answer's body is kept with it."""
    code, response = str(status), Phi(body) if body else None
    if row.word == "delivered":
        return Delivered(code, headers.get("Location", ""), response)
    found = finding(row.code, detail=f"{row.code.summary} (HTTP {status}{', ' + detail if detail else ''})")
    if row.word == "rejected":
        return Rejected(code, found, row.channel_wide, response)
    if row.word == "retry":
        return Retry(code, found, retry_after(headers, now), row.free, response)
    return Unknown(found, code)


def retry_after(headers: Mapping[str, str], now: Callable[[], float]) -> float | None:
    """Seconds to wait according to ``Retry-After`` (RFC 9110 §10.2.3: seconds or a date; H17), or None.

    A date is taken relative to the answer's own ``Date``, so that the clocks need not agree.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = _epoch(text)
    if until is None:
        return None
    sent = _epoch(headers.get("Date", ""))
    return max(0.0, until - (now() if sent is None else sent))


def _epoch(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
