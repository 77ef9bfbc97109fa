"""The audit trail's hash chain. Pure functions; both kinds of ledger use them.

Entry *n* carries ``SHA-256(hash of n-1 ‖ n as 8 bytes ‖ body)``, where the body is the entry's JSON with sorted
keys, stored as hashed. The *head* (count and hash of the last entry) is kept in another row. So an edit, a
deletion, a reorder or an insertion breaks the chain at the first entry touched, and a cut end disagrees with
the head.

What it cannot do: somebody who may write every table of the database can compute a new chain and a new head.
Against that, carry the head off the machine now and then (``dragoman audit verify`` prints it) and compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from store.records import AuditEntry

#: Hash before the first entry.
GENESIS: Final = bytes(32)

_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(AuditEntry).decode


class Head(msgspec.Struct, frozen=True):
    """Where the chain ends."""

    count: int = 0
    hash: bytes = GENESIS


class Link(msgspec.Struct, frozen=True):
    """One stored entry."""

    number: int
    """1, 2, 3 … without gaps."""
    body: bytes
    hash: bytes

    @property
    def entry(self) -> AuditEntry:
        """The entry inside."""
        return _decode(self.body)


def append(head: Head, entry: AuditEntry) -> Link:
    """The link that continues the chain at `head`; its number and hash are the new head."""
    body = _encode(entry)
    number = head.count + 1
    return Link(number, body, _hash(head.hash, number, body))


def verify(links: Iterable[Link], head: Head) -> tuple[int, int | None]:
    """Walk the chain in order of number.

    Returns:
        How many entries were read, and the number of the first that does not fit, or None. A missing end is
        reported as the number of the first missing entry.
    """
    read, hashed = 0, GENESIS
    for link in links:
        read += 1
        if link.number != read or link.hash != _hash(hashed, read, link.body):
            return read, read
        hashed = link.hash
    if read != head.count:
        return read, min(read, head.count) + 1
    if hashed != head.hash:
        return read, read
    return read, None


def _hash(previous: bytes, number: int, body: bytes) -> bytes:
    return sha256(previous + number.to_bytes(8) + body).digest()
