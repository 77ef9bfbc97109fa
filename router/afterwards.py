"""The second word of a peer: an application acknowledgement that comes as a message, after that of the commit (A02, A11).

A destination in enhanced mode says at once that it has a message (CA) and later, by another way, whether its application
will do with it. That word names the delivery by its control id (MSA-2), and counts for destinations that have the
channel it came by, for nobody else: never by turn, never by time (invariant 9).

What it may do is small, so that neither a repetition nor an odd order has a second effect. *Yes* settles whatever was
not settled by a person, and is the last word. *No* parks what the peer had only accepted, and says why what was parked
without an answer was parked. What a person has decided, and what is about to be sent again, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

import msgspec

from canonical.event import Event
from canonical.findings import Code, Finding, Severity, declare, finding
from canonical.query import Acknowledgement
from connectors.base import Delivered, Outcome, Rejected, Retry
from router import internal
from router.identity import STEM
from router.retry import EXHAUSTED, REJECTED, UNKNOWN
from router.site import Destination
from store.ledger import Work
from store.records import Conclusion, Delivery, DeliveryState, NewMessage
from workflow.refused import refused

AWAITED: Final = declare(
    "delivery.application_awaited", Severity.INFO,
    "The peer has accepted it; its application has not said yet whether it will do.",
    "Nothing to do: its acknowledgement comes as a message. If none ever comes, ask the peer whether it sends them.")
REFUSED: Final = declare(
    "delivery.application_refused", Severity.ERROR,
    "The peer had accepted it, and its application refused it afterwards.",
    "Read the acknowledgement that is named, mend data, code table or mapping, then replay.")
SETTLED: Final = declare(
    "ack.settled", Severity.INFO, "The acknowledgement settles a delivery.",
    "Nothing to do: the delivery that is named shows what was said.")
NO_DELIVERY: Final = declare(
    "ack.no_delivery", Severity.WARNING, "No delivery that awaits an acknowledgement by this channel has this control id.",
    "The peer acknowledges what was not sent by this engine, or was purged; or the destination does not name this "
    "channel in `application_acks`.")
REPEATED: Final = declare(
    "ack.without_effect", Severity.INFO, "The acknowledgement changes nothing.",
    "Nothing to do: the same was known, a person has decided since, or the delivery is about to be sent again.")
UNCLEAR: Final = declare(
    "ack.unclear", Severity.WARNING, "The acknowledgement does not say whether the delivery is accepted.",
    "Ask the peer what its code means and add a row to `dispositions` of the destination.")

RECEIVED: Final = "acknowledgement.received"
#: Seconds between looks whether the delivery that is named has been settled on its own connection.
LOOK_S: Final = 0.5
_NAME: Final = re.compile(f"[0-9a-f]{{{STEM}}}")

#: Reasons for which a delivery stands parked without the peer's word.
_WITHOUT_WORD: Final = frozenset({UNKNOWN.name, EXHAUSTED.name})
_PARKED_BY_WORD: Final = frozenset({REJECTED.name, REFUSED.name})


class Judge(Protocol):
    """What a destination means by an acknowledgement (`connectors.base.Concludes`)."""

    def concluded(self, destination: str, said: Acknowledgement) -> Outcome:
        """In one of the four words of a sender."""


class Word(msgspec.Struct, frozen=True):
    """What the acknowledgements of one message come to."""

    conclusions: tuple[Conclusion, ...] = ()
    findings: tuple[Finding, ...] = ()
    messages: tuple[NewMessage, ...] = ()
    """To whoever asked for a delivery that was refused."""
    waits: bool = False
    """A delivery that is named is under way: its own connection has the first word."""


NOTHING: Final = Word()


class Afterwards:
    """Finds what acknowledgements mean for deliveries.

    Args:
        destinations: of the site.
        work: the ledger.
        judge: what a destination means by what it says.
    """

    def __init__(self, destinations: Mapping[str, Destination], work: Work, judge: Judge) -> None:
        self._work = work
        self._judge = judge
        self._by_channel: dict[str, set[str]] = {}
        for name, one in destinations.items():
            if one.application_acks:
                self._by_channel.setdefault(one.application_acks, set()).add(name)

    async def words(self, told: Iterable[tuple[int, Collection[Event]]], now: int) -> Mapping[int, Word]:
        """By seq of the messages that say something about a delivery.

        Args:
            told: (seq, what the message says), in order.
        """
        if not self._by_channel:
            return {}
        said = [(seq, event, event.entity) for seq, events in told for event in events
                if event.type == RECEIVED and event.source.channel in self._by_channel]
        asked = [(seq, event, one, str(one.control_id or "")[:STEM]) for seq, event, one in said
                 if isinstance(one, Acknowledgement)]
        if not asked:
            return {}
        found: dict[str, dict[str, Delivery]] = {}
        for delivery in await self._work.named({name for *_, name in asked if _NAME.fullmatch(name)}):
            found.setdefault(delivery.identity, {})[delivery.id] = delivery
        words: dict[int, Word] = {}
        for seq, event, one, name in asked:
            there = [d for d in found.get(name, {}).values() if d.destination in self._by_channel[event.source.channel]]
            word = await self._word(event, one, there, now)
            for done in word.conclusions:  # a second word in the same turn finds what the first has done
                found[name][done.delivery_id] = msgspec.structs.replace(
                    found[name][done.delivery_id], state=done.state, reason=done.reason, code=done.code)
            words[seq] = _joined(words.get(seq, NOTHING), word)
        return words

    async def _word(self, event: Event, said: Acknowledgement, there: Collection[Delivery], now: int) -> Word:
        if not there:
            return Word(findings=(finding(NO_DELIVERY, at="MSA-2"),))
        word = NOTHING
        for delivery in there:
            if delivery.state is DeliveryState.INFLIGHT:
                return Word(waits=True)
            outcome = self._judge.concluded(delivery.destination, said)
            noted = conclude(delivery, outcome, event.message_id)
            if isinstance(noted, Code):
                word = _joined(word, Word(findings=(finding(noted, detail=delivery.id),)))
                continue
            messages = await self._told(delivery, noted, now) if noted.state is DeliveryState.PARKED else ()
            word = _joined(word, Word(
                conclusions=(noted,), messages=messages,
                findings=(finding(SETTLED, detail=f"{delivery.id}: {noted.state.value}"),)))
        return word

    async def _told(self, delivery: Delivery, noted: Conclusion, now: int) -> tuple[NewMessage, ...]:
        """Whoever asked for the delivery learns that it was refused (as at once, `router.refusals`)."""
        event = (await self._work.events([delivery.event_id])).get(delivery.event_id)
        command = refused(event, delivery.id, noted.reason, noted.code) if event is not None else None
        if event is None or command is None:
            return ()
        return (internal.command(command, internal.home(command.subject_key), now, patient_key=event.patient_key),)


def conclude(delivery: Delivery, outcome: Outcome, by: str) -> Conclusion | Code:
    """What the second word does to a delivery that is not in flight; why not, where it does nothing.

    Args:
        by: id of the message that says it.
    """
    def becomes(state: DeliveryState, reason: str, *findings: Finding) -> Conclusion:
        return Conclusion(delivery_id=delivery.id, was=delivery.state, was_reason=delivery.reason, state=state,
                          reason=reason, code=outcome.code, findings=(*findings, *lost))

    lost = tuple(one for one in delivery.findings if one.severity is not Severity.ERROR)  # fitting it to the peer
    awaited = delivery.state is DeliveryState.DELIVERED and delivery.reason == AWAITED.name
    parked = delivery.state is DeliveryState.PARKED
    match outcome:
        case Delivered() if outcome.code.startswith("C"):
            pass  # the first word once more
        case Delivered():
            if awaited or delivery.state is DeliveryState.PENDING or (
                    parked and delivery.reason in _WITHOUT_WORD | _PARKED_BY_WORD):
                return becomes(DeliveryState.DELIVERED, "")
        case Rejected() | Retry():
            # Also what might do later: what came behind it in its lane may be there already, so a person must look.
            if awaited or (parked and delivery.reason in _WITHOUT_WORD):
                return becomes(DeliveryState.PARKED, REFUSED.name, outcome.finding,
                               finding(REFUSED, detail=f"acknowledgement {by}"))
        case _:
            return UNCLEAR
    return REPEATED


def _joined(one: Word, other: Word) -> Word:
    return Word((*one.conclusions, *other.conclusions), (*one.findings, *other.findings),
                (*one.messages, *other.messages), one.waits or other.waits)
