"""The identity under which a peer knows a delivery, and the way back from it (invariants 8 and 9)."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from canonical import schema
from canonical.entities import AnyEntity
from canonical.query import Acknowledgement
from store.ledger import Desk
from store.records import Delivery, MessageQuery

#: Of the 20 hexadecimal digits of an identity, those that name the delivery; the rest name the state it carries.
STEM: Final = 14
#: Messages looked through for the delivery that an acknowledgement names, newest first.
REACH: Final = 10_000
_PAGE: Final = 500


def control_id(delivery_id: str, state: AnyEntity | None = None) -> str:
    """The identity that the peer sees: 20 characters, the length of MSH-10 (HL7 v2.5.1 §2.15.9.10).

    One identity has one content (invariant 8). Where a delivery carries the present state of its subject, a later
    attempt may carry a newer one: that is another statement, and has another identity with the same stem.
    """
    name = blake2b(delivery_id.encode(), digest_size=10).hexdigest()
    if state is None:
        return name
    return name[:STEM] + blake2b(schema.to_json(state), digest_size=3).hexdigest()


def stem(delivery_id: str) -> str:
    """The part of a delivery's identity that names it, whatever state it carries."""
    return control_id(delivery_id)[:STEM]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An acknowledgement that came as a message, and the delivery it names."""

    acknowledgement: Acknowledgement
    delivery: Delivery | None = None
    """None where no delivery of the messages looked through has that identity."""

    @property
    def refused(self) -> bool:
        """True where the peer says no: AE, AR, CE, CR."""
        return not str(self.acknowledgement.code or "").endswith("A")


async def answered(desk: Desk, said: Acknowledgement, received_at: int, reach: int = REACH) -> Answered:
    """The delivery whose control id MSA-2 names: never by turn, never by time (F15, invariant 9).

    Args:
        received_at: of the acknowledgement: what was received later cannot be meant.
        reach: how many messages are looked through, newest first.
    """
    stem = str(said.control_id or "")[:STEM]
    before, looked = 0, 0
    while len(stem) == STEM and looked < reach:
        page = await desk.find(MessageQuery(until=received_at + 1, before_seq=before, limit=min(_PAGE, reach - looked)))
        if not page:
            break
        for delivery in await desk.deliveries([message.seq for message in page]):
            if control_id(delivery.id)[:STEM] == stem:
                return Answered(acknowledgement=said, delivery=delivery)
        before, looked = page[-1].seq, looked + len(page)
    return Answered(acknowledgement=said)
