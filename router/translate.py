"""Where the router meets mappings and codecs, without knowing either.

`app.py` joins a mapping library and the codecs of the connectors into one `Translator`; the router only ever
sees events and dispatches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias, TypeVar

import msgspec

from canonical.clock import Clock
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.failpoints import Injected
from canonical.findings import Finding
from connectors.base import Dispatch
from store.records import Delivery, Message


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A message says that something we sent was refused, perhaps days ago."""

    numbering: str
    """The sequence from which what was sent got its number (`Dispatch.numbering`)."""
    number: int
    layer: str
    """Code of the finding that says who refused it: ``core.set_rejected``."""
    code: str
    """The peer's own; may be empty."""


class Translation(msgspec.Struct, frozen=True, kw_only=True):
    """What one message says."""

    events: tuple[Event, ...] = ()
    """In the order in which they happened. Ids are deterministic: the same message gives the same events."""
    findings: tuple[Finding, ...] = ()
    """A fatal one parks the message."""
    revision: str = ""
    """Content hash of the tables that were used."""
    patience_s: int = 0
    """How long it waits for the booking or the survivor that it builds on, where nothing is known of it (D05)."""
    refused: tuple[Refused, ...] = ()
    """What we sent and what was refused, where the message says so."""
    unique_id: bool = False
    """True where it must be parked if its sender has used its control id for something else (D01)."""


class Translator(Protocol):
    """Both directions. Pure: same input, same revision, same result."""

    def read(self, message: Message) -> Translation:
        """What a stored message says.

        Raises:
            canonical.findings.Rejection: it cannot be read at all; it is parked with these findings.
        """

    def write(self, delivery: Delivery, event: Event, state: AnyEntity | None) -> Dispatch:
        """The bytes of a delivery. The same arguments yield the same bytes, so that a repeated attempt is
        the same message (invariant 8): times come from the event, the identity from the delivery.

        Args:
            state: present state of the subject, for destinations whose content is ``state``; else None.

        Raises:
            canonical.findings.Rejection: it cannot be written; the delivery is parked with these findings.
        """


class Order(msgspec.Struct, frozen=True):
    """One delivery to be written: the arguments of `Translator.write`."""

    delivery: Delivery
    event: Event
    state: AnyEntity | None


#: Completes what its format numbers (`Dispatch.numbering`): the same dispatch and number give the same bytes.
Finish: TypeAlias = Callable[[Dispatch, int], Dispatch]

#: A result, or what stood in its way: a `Rejection` (the message's fault) or any other exception (ours).
Read: TypeAlias = Translation | Exception
Written: TypeAlias = Dispatch | Exception
In = TypeVar("In")
Out = TypeVar("Out")


class Defect(Exception):  # noqa: N818 - it says whose fault it is
    """A defect of ours in another process: `place` has its type and place, never its text."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


def place_of(error: BaseException) -> str:
    """Type and innermost place of an exception; never its text, which may hold a value (invariant 12)."""
    if isinstance(error, Defect):
        return error.place
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"


class Bureau(Protocol):
    """Translates many at once, wherever that is done: in this process (`InLine`) or in others."""

    async def read(self, messages: Sequence[Message]) -> Sequence[Read]:
        """One result a message, in order; what stands in the way of one is returned, not raised."""

    async def write(self, orders: Sequence[Order]) -> Sequence[Written]:
        """One result an order, in order; likewise."""


#: Seconds of work after which the loop gets a turn.
SLICE_S: Final = 0.003


class InLine:
    """Translates in this process, giving way to the event loop every few milliseconds."""

    def __init__(self, translator: Translator, clock: Clock) -> None:
        self._translator = translator
        self._clock = clock

    async def read(self, messages: Sequence[Message]) -> Sequence[Read]:
        """See `Bureau`."""
        return await self._each(self._translator.read, messages)

    async def write(self, orders: Sequence[Order]) -> Sequence[Written]:
        """See `Bureau`."""
        return await self._each(lambda order: self._translator.write(order.delivery, order.event, order.state),
                                orders)

    async def _each(self, work: Callable[[In], Out], items: Sequence[In]) -> list[Out | Exception]:
        results: list[Out | Exception] = []
        began = self._clock.monotonic()
        for item in items:
            try:
                results.append(work(item))
            except Injected:
                raise
            except Exception as error:  # a defect of ours must cost one message, not the feed
                results.append(error)
            if self._clock.monotonic() - began > SLICE_S:
                await asyncio.sleep(0)
                began = self._clock.monotonic()
        return results
