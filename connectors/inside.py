"""Connectors of the house itself: a "peer" that works on stored messages and whose answers are messages again.

Reading a picture is slow, may fail and must neither be lost nor done twice. So it is a delivery like any other: in
order, retried, parked, recovered. What such a peer needs beside the `Dispatch` is the stored message itself, and a way
back through the one door.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from canonical.findings import Finding
from connectors.base import Accept, AckReport, ConnectorSpec, Peek

S = TypeVar("S", bound=msgspec.Struct)


class House(Protocol):
    """What the engine gives to a connector of its own. Both raise `connectors.base.Unavailable` where the ledger is away."""

    async def fetch(self, message_id: str) -> bytes | None:
        """The stored bytes of a message; None where there is no such message."""

    async def post(self, raw: bytes, peek: Peek, parent_id: str, refusal: Finding | None = None) -> None:
        """Give a message in through the one door, on the channel that the destination names under ``responses``; returns
        after the commit. The same again (by its `peek.dedup`) has no effect."""


class InsideSpec(ConnectorSpec[S], frozen=True, kw_only=True):
    """``build(name, settings, house) -> Sender``."""

    missing: Callable[[S], Sequence[Finding]] = lambda _: ()
    """What this machine lacks for it: told at every start; the site runs without."""


class AnswersIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel that listens to nobody: for what destinations of this site answer."""


class AnswersReceiver:
    """Holds the name of a channel; its messages come from inside. See `connectors.base.Receiver`."""

    resources: Final[Sequence[str]] = ()

    def __init__(self, name: str, settings: AnswersIn, accept: Accept, ack_report: AckReport) -> None:
        self.name = name

    async def start(self) -> None:
        """Nothing to acquire."""

    async def stop(self, grace: float) -> None:
        """Nothing to release."""


ANSWERS_IN: Final[ConnectorSpec[Any]] = ConnectorSpec(
    name="answers", direction="in", settings=AnswersIn, build=AnswersReceiver,
    summary="Takes nothing from outside: the channel for what destinations of this site answer")
