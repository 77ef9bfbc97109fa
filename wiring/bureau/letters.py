"""What the engine and its clerks write to each other: MessagePack in length-prefixed frames, typed, no pickle."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.findings import Finding
from router.translate import Refused as Refusal

_LENGTH: Final = struct.Struct(">I")
HEAD: Final = _LENGTH.size


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
    event: Event
    state: AnyEntity | None


class ToRead(Letter, frozen=True, gc=False):
    """Read these."""

    number: int
    messages: list[Incoming]


class ToWrite(Letter, frozen=True, gc=False):
    """Write these."""

    number: int
    orders: list[Outgoing]


class ReadDone(Letter, frozen=True, gc=False):
    """What a message says."""

    events: tuple[Event, ...]
    findings: tuple[Finding, ...]
    revision: str
    patience_s: int = 0
    unique_id: bool = False
    refused: tuple[Refusal, ...] = ()


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


def sealed(encoder: msgspec.msgpack.Encoder, letter: Letter) -> bytes:
    """A frame."""
    content = encoder.encode(letter)
    return _LENGTH.pack(len(content)) + content


def length(head: bytes) -> int:
    """Bytes that follow a frame's head."""
    return int(_LENGTH.unpack(head)[0])
