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


class Verifier:
    """Walks a chain link by link, however long it is."""

    def __init__(self) -> None:
        self._read, self._hash = 0, GENESIS
        self._misfit: int | None = None

    def take(self, link: Link) -> bool:
        """The next link in order of number; False where it does not fit, and the walk is over."""
        self._read += 1
        if link.number != self._read or link.hash != _hash(self._hash, self._read, link.body):
            self._misfit = self._read
            return False
        self._hash = link.hash
        return True

    def end(self, head: Head) -> tuple[int, int | None]:
        """What came of it.

        Returns:
            How many entries were read, and the number of the first that does not fit, or None. A missing end is
            reported as the number of the first missing entry.
        """
        if self._misfit is None:
            if self._read != head.count:
                self._misfit = min(self._read, head.count) + 1
            elif self._hash != head.hash:
                self._misfit = self._read
        return self._read, self._misfit


def verify(links: Iterable[Link], head: Head) -> tuple[int, int | None]:
    """Walk a whole chain: see `Verifier.end`."""
    verifier = Verifier()
    for link in links:
        if not verifier.take(link):
            break
    return verifier.end(head)


def _hash(previous: bytes, number: int, body: bytes) -> bytes:
    return sha256(previous + number.to_bytes(8) + body).digest()
