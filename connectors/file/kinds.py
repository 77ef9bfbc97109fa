"""What a drop folder must know of the format of its files: how to cut, peek, count and answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from canonical.findings import Finding, Rejection, finding
from canonical.receipt import Receipt
from connectors.base import Peek
from connectors.fax import codec as fax
from connectors.file.codes import NO_HEADER, TOO_LARGE
from connectors.hl7v2 import ack
from connectors.hl7v2.batch import Cutter, Part, Reply
from connectors.hl7v2.header import narrow, read_header
from connectors.hl7v2.peek import peek, peek_envelope
from connectors.http.body import own_lane


class Cuts(Protocol):
    """Cuts a stream into parts. Raises Rejection where a part is too large."""

    def feed(self, chunk: bytes) -> Iterable[Part]:
        """The parts that `chunk` completes."""

    def end(self) -> Iterable[Part]:
        """What is left at the end."""


class Kind(Protocol):
    """One format."""

    def cutter(self) -> Cuts:
        """For one file."""

    def peek(self, raw: bytes) -> Peek:
        """Of a message; never raises."""

    def peek_envelope(self, raw: bytes) -> Peek:
        """Of headers and trailers; never raises."""

    def refusal(self, raw: bytes) -> Finding | None:
        """Why a message is none; such a one is stored all the same, as refused."""

    def reply(self, file: str, at: int) -> Reply | None:
        """Begins a response batch; None: the format has none."""

    def acknowledgement(self, raw: bytes, receipt: Receipt) -> bytes:
        """The answer to one message in it; empty where none is due."""


class Hl7:
    """HL7 v2: a file holds one message, several, or batches.

    Args:
        max_message_bytes: of one message.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes

    def cutter(self) -> Cuts:
        """See `Kind`."""
        return Cutter(self._max_message_bytes)

    def peek(self, raw: bytes) -> Peek:
        """See `Kind`."""
        return peek(raw)

    def peek_envelope(self, raw: bytes) -> Peek:
        """See `Kind`."""
        return peek_envelope(raw, raw)

    def refusal(self, raw: bytes) -> Finding | None:
        """See `Kind`."""
        return finding(NO_HEADER, at="byte 0") if read_header(narrow(raw)) is None else None

    def reply(self, file: str, at: int) -> Reply | None:
        """See `Kind`."""
        return Reply(hashlib.blake2b(file.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest(), at)

    def acknowledgement(self, raw: bytes, receipt: Receipt) -> bytes:
        """See `Kind`."""
        raw = narrow(raw)
        header = read_header(raw)
        if header is None or not ack.is_due(header, raw, positive=receipt.positive):
            return b""
        enhanced = ack.is_enhanced(header)
        if receipt.positive:
            return ack.positive(receipt, header, enhanced=enhanced)
        reason = receipt.finding or finding(NO_HEADER)
        return ack.negative(header, reason, ack.stamp_of(receipt), enhanced=enhanced)


class Opaque:
    """A file is one message, whatever it is."""

    def cutter(self) -> Cuts:
        """See `Kind`."""
        return _Whole()

    def peek(self, raw: bytes) -> Peek:
        """See `Kind`."""
        return Peek(lanes=(own_lane(raw),))

    def peek_envelope(self, raw: bytes) -> Peek:
        """See `Kind`."""
        return self.peek(raw)

    def refusal(self, raw: bytes) -> Finding | None:
        """See `Kind`."""
        return None

    def reply(self, file: str, at: int) -> Reply | None:
        """See `Kind`."""
        return None

    def acknowledgement(self, raw: bytes, receipt: Receipt) -> bytes:
        """See `Kind`."""
        return b""


class Documents(Opaque):
    """A file is one document, or one reading of its pages; what it is, is told by its first bytes.

    Args:
        max_bytes: of one document.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def cutter(self) -> Cuts:
        """See `Kind`."""
        return _Whole(self._max_bytes)

    def peek(self, raw: bytes) -> Peek:
        """See `Kind`."""
        return fax.peek(raw)

    def refusal(self, raw: bytes) -> Finding | None:
        """See `Kind`."""
        return fax.refusal(raw)


class _Whole:
    def __init__(self, max_bytes: int | None = None) -> None:
        self._chunks: list[bytes] = []
        self._room = max_bytes

    def feed(self, chunk: bytes) -> Iterator[Part]:
        if self._room is not None:
            self._room -= len(chunk)
            if self._room < 0:
                raise Rejection(finding(TOO_LARGE))
        self._chunks.append(chunk)
        return iter(())

    def end(self) -> Iterator[Part]:
        yield Part(b"".join(self._chunks), "MSH")


