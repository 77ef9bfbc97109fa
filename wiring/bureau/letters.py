"""What the engine and its clerks write to each other: MessagePack in length-prefixed frames, typed, no pickle."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.findings import Finding
from router.translate import Translation

_LENGTH: Final = struct.Struct(">I")
HEAD: Final = _LENGTH.size
#: Letters of one clerk at a time: one it works on, one that waits in the pipe, so that it never idles.
DEPTH: Final = 2
#: Letters whose events the engine may name instead of sending them.
NAMED: Final = 32


class Letter(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Base of everything that is written."""


class Opening(Letter, frozen=True, gc=False):
    """The site, as content: a clerk works with exactly the files that the engine was started with."""

    file: str
    source: bytes
    tables: dict[str, bytes]
    known: dict[str, bytes] = {}
    """Files of people that pages are checked against."""


class Incoming(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is needed of a stored message to read it."""

    id: str
    channel: str
    message_type: str
    received_at: int
    charset: str
    raw: bytes


class Outgoing(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is needed of a delivery to write it."""

    id: str
    destination: str
    event: Event | str
    """Its id alone where this clerk has read it not long ago (`Shelf`)."""
    state: AnyEntity | None


class ToRead(Letter, frozen=True, gc=False):
    """Read these."""

    number: int
    messages: Sequence[Incoming]


class ToWrite(Letter, frozen=True, gc=False):
    """Write these."""

    number: int
    orders: Sequence[Outgoing]


class ReadDone(Letter, frozen=True, gc=False):
    """What a message says."""

    translation: Translation


class WriteDone(Letter, frozen=True, gc=False):
    """The bytes of a delivery."""

    identity: str
    body: bytes
    content_type: str
    attributes: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
    numbering: str = ""


class Refused(Letter, frozen=True, gc=False):
    """It cannot be translated."""

    findings: tuple[Finding, ...]


class Broken(Letter, frozen=True, gc=False):
    """A defect of ours: type and place, never the text of the exception."""

    place: str


Result: TypeAlias = ReadDone | WriteDone | Refused | Broken


class Answer(Letter, frozen=True, gc=False):
    """Results in the order of the request with that number."""

    number: int
    results: list[Result]


Request: TypeAlias = Opening | ToRead | ToWrite


class Shelf:
    """The events of the last letters read, by id. Most are written soon after: then they need not travel again.

    The clerk keeps as many letters more than the engine as there may be on their way, so it has all that the engine
    can name.
    """

    def __init__(self, letters: int) -> None:
        self._letters: deque[tuple[Event, ...]] = deque()
        self._kept = letters
        self._events: dict[str, Event] = {}

    def put(self, results: Iterable[Result]) -> None:
        """The events of one letter."""
        events = tuple(event for one in results if isinstance(one, ReadDone) for event in one.translation.events)
        if not events:
            return
        self._letters.append(events)
        for event in events:
            self._events[event.id] = event
        if len(self._letters) > self._kept:
            for event in self._letters.popleft():
                if self._events.get(event.id) is event:  # it may have been read again since
                    del self._events[event.id]

    def get(self, event_id: str) -> Event | None:
        """The event, where it is here."""
        return self._events.get(event_id)


def sealed(encoder: msgspec.msgpack.Encoder, letter: Letter) -> bytes:
    """A frame."""
    content = encoder.encode(letter)
    return _LENGTH.pack(len(content)) + content


def length(head: bytes) -> int:
    """Bytes that follow a frame's head."""
    return int(_LENGTH.unpack(head)[0])
