"""Replay: what failed runs again, with eyes open (W6).

First a plan, which changes nothing: for each item, what would come out now, which fields of the state would
change (names, never values), where it would go, and whether newer state makes it pointless. Then its execution:
in small audited steps, at a limited rate, to be paused and resumed. Executing the same plan again does only
what is not done yet (A6.8), and nothing that has had its effect happens again unseen (A6.6).

Three kinds: *reprocess* parked messages with the mappings of today; *redeliver* parked or delivered
deliveries; *skip* what nobody needs any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec

from canonical import history
from canonical.clock import Clock
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.failpoints import point
from canonical.findings import Rejection, Severity, declare
from canonical.presence import ABSENT
from router.conditions import Facts
from router.identity import stem
from router.pump import INTERNAL, SUPERSEDED, WRONG_SUBJECT
from router.recover import NO_DESTINATION
from router.site import Site
from router.translate import Translator
from router.triage import Rulebook
from store.ledger import Desk, Work
from store.records import (
    AuditEntry,
    Delivery,
    DeliveryState,
    Message,
    MessageQuery,
    MessageState,
    NewDelivery,
)

NOT_PARKED: Final = declare(
    "replay.not_parked", Severity.INFO, "It does not wait for anybody any more.",
    "Nothing to do: somebody has dealt with it in the meantime.")

SKIPPED: Final = declare(
    "replay.skipped", Severity.INFO, "A person decided that it is not needed any more.",
    "Nothing to do: who decided, when and why is in the audit trail.")

#: Items one audited step covers.
STEP: Final = 50
_BETWEEN: Final = point("replay.between_steps")


class Books(Desk, Work, Protocol):
    """The parts of the ledger that a replay reads and writes."""


class Kind(StrEnum):
    """What is to be done."""

    REPROCESS = "reprocess"
    REDELIVER = "redeliver"
    SKIP_MESSAGES = "skip-messages"
    SKIP_DELIVERIES = "skip-deliveries"


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which items. Ids win over the filter; a filter must name something: there is no *all of everything*."""

    message_ids: tuple[str, ...] = ()
    delivery_ids: tuple[str, ...] = ()
    channel: str = ""
    destination: str = ""
    reason: str = ""
    since: int = 0
    until: int = 0
    state: DeliveryState = DeliveryState.PARKED
    """Of deliveries: PARKED or DELIVERED."""
    limit: int = 1_000

    @property
    def empty(self) -> bool:
        """True where it would mean everything."""
        return not (self.message_ids or self.delivery_ids or self.channel or self.destination or self.reason
                    or self.since)


class Prospect(StrEnum):
    """What would become of an item."""

    PASSES = "passes"
    FAILS = "fails"
    SUPERSEDED = "superseded"
    """The world has moved on: refused unless explicitly allowed."""
    GONE = "gone"
    """It is not parked any more."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a plan. Ids, codes and names of fields: no PHI."""

    id: str
    """Of the message or delivery."""
    partition: int
    prospect: Prospect
    reason: str = ""
    """Finding code, where it does not pass."""
    events: tuple[str, ...] = ()
    """Types of the events that would come out."""
    changes: tuple[str, ...] = ()
    """Fields of the state that would change."""
    destinations: tuple[str, ...] = ()
    new_id: str = ""
    """Id of the delivery that would be added for one that is delivered already."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A dry run that can be looked at, kept, and executed."""

    kind: Kind
    scope: Scope
    made_at: int
    items: tuple[Item, ...]
    revision: str
    """Of the configuration it was made with."""

    def count(self, prospect: Prospect) -> int:
        """How many items have this prospect."""
        return sum(1 for item in self.items if item.prospect is prospect)


class Progress(msgspec.Struct, kw_only=True):
    """How far an execution is."""

    done: int = 0
    skipped: int = 0
    total: int = 0


class Planner:
    """Makes plans; changes nothing.

    Args:
        books: the ledger.
        translator: with the mappings of today.
        site: for destinations and the written defaults of scorers.
        rulebook: of today.
        clock: for the time.
    """

    def __init__(self, books: Books, translator: Translator, site: Site, rulebook: Rulebook,
                 clock: Clock) -> None:
        self._books = books
        self._translator = translator
        self._site = site
        self._rulebook = rulebook
        self._clock = clock

    async def plan(self, kind: Kind, scope: Scope) -> Plan:
        """What executing `kind` over `scope` would do.

        Raises:
            ValueError: the scope means everything, or is for the other kind of item.
        """
        if scope.empty:
            raise ValueError("a replay needs a scope: ids, a reason, a channel, a destination or a time")
        if scope.state not in {DeliveryState.PARKED, DeliveryState.DELIVERED}:
            raise ValueError("only parked or delivered deliveries can be replayed")
        if kind in {Kind.REPROCESS, Kind.SKIP_MESSAGES}:
            messages = await self._messages(scope)
            # In the order in which they would be processed: each builds on the ones before it.
            ahead: dict[str, AnyEntity | None] = {}
            items = [await self._reprocess(message, ahead) if kind is Kind.REPROCESS else _waiting(message)
                     for message in messages]
        else:
            items = [await self._redeliver(d) if kind is Kind.REDELIVER else _skippable(d)
                     for d in await self._deliveries(scope)]
        return Plan(kind=kind, scope=scope, made_at=self._clock.now(), items=tuple(items),
                    revision=self._rulebook.revision)

    async def _messages(self, scope: Scope) -> Sequence[Message]:
        if scope.message_ids:
            found = [await self._books.message(key) for key in scope.message_ids]
            return sorted((m for m in found if m is not None), key=lambda m: m.seq)
        query = MessageQuery(channel=scope.channel, state=MessageState.PARKED, reason=scope.reason,
                             destination=scope.destination, since=scope.since, until=scope.until,
                             limit=scope.limit)
        return sorted(await self._books.find(query), key=lambda m: m.seq)

    async def _deliveries(self, scope: Scope) -> Sequence[Delivery]:
        if scope.message_ids:
            messages = [m for key in scope.message_ids if (m := await self._books.message(key)) is not None]
            found = await self._books.deliveries([m.seq for m in messages])
            return [d for d in found if not scope.destination or d.destination == scope.destination]
        found = await self._books.find_deliveries(destination=scope.destination, reason=scope.reason,
                                                  state=None if scope.delivery_ids else scope.state,
                                                  limit=scope.limit)
        wanted = frozenset(scope.delivery_ids)
        return [d for d in found if (not wanted or d.id in wanted) and d.since >= scope.since
                and (not scope.until or d.since < scope.until)]

    async def _reprocess(self, message: Message, ahead: dict[str, AnyEntity | None]) -> Item:
        def item(prospect: Prospect, reason: str = "", **more: Any) -> Item:
            return Item(id=message.id, partition=message.partition, prospect=prospect, reason=reason, **more)

        if message.state is not MessageState.PARKED:
            return item(Prospect.GONE, NOT_PARKED.name)
        try:
            translation = self._translator.read(message)
        except Rejection as rejection:
            return item(Prospect.FAILS, rejection.findings[0].code)
        except Exception:  # it would be parked for the same reason
            return item(Prospect.FAILS, INTERNAL.name)
        fatal = [f for f in translation.findings if f.severity is Severity.FATAL]
        if fatal:
            return item(Prospect.FAILS, fatal[0].code)
        changes: dict[str, None] = {}
        destinations: dict[str, None] = {}
        overtaken = False
        for event in translation.events:
            stored = await self._books.state_of(event.subject_key)
            before = ahead.get(event.subject_key, stored.entity if stored is not None else None)
            late = stored is not None and history.sort_key(event) <= stored.version
            try:
                after = history.fold([*await self._books.history(event.subject_key), event]) if late \
                    else history.apply(before, event)
            except history.WrongSubject:
                return item(Prospect.FAILS, WRONG_SUBJECT.name)
            ahead[event.subject_key] = after
            overtaken |= late
            changes.update(dict.fromkeys(changed_fields(before, after)))
            if after is not None:
                destinations.update(dict.fromkeys(self._destinations(event, after, late)))
        return item(Prospect.SUPERSEDED if overtaken else Prospect.PASSES, SUPERSEDED.name if overtaken else "",
                    events=tuple(e.type for e in translation.events), changes=tuple(changes),
                    destinations=tuple(destinations))

    def _destinations(self, event: Event, state: AnyEntity, late: bool) -> tuple[str, ...]:
        defaults = {name: scorer.answer for name, scorer in self._site.scorers.items()}
        return self._rulebook.judge(Facts(event, state, defaults, late)).destinations

    async def _redeliver(self, delivery: Delivery) -> Item:
        def item(prospect: Prospect, reason: str = "", new_id: str = "") -> Item:
            return Item(id=delivery.id, partition=delivery.partition, prospect=prospect, reason=reason,
                        destinations=(delivery.destination,), new_id=new_id)

        new_id = ""
        if delivery.state is DeliveryState.DELIVERED:
            new_id = await self._next_id(delivery)
        elif delivery.state is not DeliveryState.PARKED:
            return item(Prospect.GONE, NOT_PARKED.name)
        destination = self._site.destinations.get(delivery.destination)
        if destination is None:
            return item(Prospect.FAILS, NO_DESTINATION.name)
        if destination.content == "event" and await self._overtaken(delivery):
            return item(Prospect.SUPERSEDED, SUPERSEDED.name, new_id)
        return item(Prospect.PASSES, new_id=new_id)

    async def _next_id(self, delivery: Delivery) -> str:
        base = delivery.id.partition("#")[0]
        same = [d for d in await self._books.deliveries([delivery.message_seq])
                if d.id.partition("#")[0] == base]
        return f"{base}#{len(same) + 1}"

    async def _overtaken(self, delivery: Delivery) -> bool:
        """True where the destination has got something newer about the same subject."""
        event = (await self._books.events([delivery.event_id])).get(delivery.event_id)
        if event is None:
            return False
        key = history.sort_key(event)
        newer = {e.id for e in await self._books.history(event.subject_key) if history.sort_key(e) > key}
        messages = [await self._books.message(event_id.rpartition(".")[0]) for event_id in newer]
        seqs = [message.seq for message in messages if message is not None]
        return any(d.event_id in newer and d.destination == delivery.destination
                   and d.state is DeliveryState.DELIVERED for d in await self._books.deliveries(seqs))


class Replayer:
    """Executes plans.

    Args:
        books: the ledger.
        ring: wakes the workers.
        clock: for the time.
    """

    def __init__(self, books: Books, ring: Callable[[Iterable[int]], None], clock: Clock) -> None:
        self._books = books
        self._ring = ring
        self._clock = clock
        self._going = asyncio.Event()
        self._going.set()
        self.progress = Progress()

    def pause(self) -> None:
        """Stop before the next step."""
        self._going.clear()

    def resume(self) -> None:
        """Go on."""
        self._going.set()

    async def execute(self, plan: Plan, actor: str, reason: str, *, allow_superseded: bool = False,
                      close_superseded: bool = False, per_second: float = 200.0) -> Progress:
        """Do what a plan says, for the items that pass.

        Args:
            plan: made by a `Planner`; executing it again does only what is not done yet.
            actor: who decided; audited with every step.
            reason: why; audited.
            allow_superseded: also what newer state makes pointless.
            close_superseded: discard (messages) or mark superseded (deliveries) what newer state makes
                pointless, instead of leaving it parked.
            per_second: items.

        Raises:
            ValueError: no actor or no reason.
            LedgerUnavailable: the steps reported by `progress` are done.
        """
        if not actor or not reason:
            raise ValueError("a replay needs an actor and a reason")
        chosen = [i for i in plan.items if i.prospect is Prospect.PASSES
                  or (allow_superseded and i.prospect is Prospect.SUPERSEDED)]
        closing = [i for i in plan.items if close_superseded and not allow_superseded
                   and i.prospect is Prospect.SUPERSEDED]
        self.progress = Progress(total=len(chosen) + len(closing))
        for kind, items in ((plan.kind, chosen), (_closing(plan.kind), closing)):
            for start in range(0, len(items), STEP):
                await self._going.wait()
                step = items[start:start + STEP]
                done = await self._step(kind, step, actor, reason, plan)
                self.progress.done += done
                self.progress.skipped += len(step) - done
                self._ring({item.partition for item in step})
                _BETWEEN()
                await asyncio.sleep(len(step) / per_second if start + STEP < len(items) else 0)
        return self.progress

    async def _step(self, kind: Kind, items: Sequence[Item], actor: str, reason: str, plan: Plan) -> int:
        ids = [item.id for item in items]
        audit = AuditEntry(
            at=self._clock.now(), actor=actor, action=f"replay.{kind.value}", subject=f"plan {plan.made_at}",
            reason=reason, detail={"ids": ids, "revision": plan.revision})
        match kind:
            case Kind.REPROCESS:
                return await self._books.requeue_messages(ids, audit)
            case Kind.SKIP_MESSAGES:
                return await self._books.discard_messages(ids, audit)
            case Kind.SKIP_DELIVERIES:
                closing = plan.kind is not kind
                state = DeliveryState.SUPERSEDED if closing else DeliveryState.SKIPPED
                why = SUPERSEDED.name if closing else SKIPPED.name
                return await self._books.settle_deliveries(ids, state, why, audit)
            case Kind.REDELIVER:
                return await self._redeliver(items, audit)

    async def _redeliver(self, items: Sequence[Item], audit: AuditEntry) -> int:
        parked = [item.id for item in items if not item.new_id]
        again = {item.id: item.new_id for item in items if item.new_id}
        done = 0
        if parked:
            done += await self._books.requeue_deliveries(parked, audit.at, audit)
        if again:
            done += await self._books.add_deliveries(await self._copies(again, audit.at), audit)
        return done

    async def _copies(self, again: Mapping[str, str], now: int) -> list[NewDelivery]:
        copies: list[NewDelivery] = []
        for delivery_id, new_id in again.items():
            message = await self._books.message(delivery_id.partition(">")[0].rpartition(".")[0])
            stored = await self._books.deliveries([message.seq] if message is not None else [])
            copies += [NewDelivery(id=new_id, message_seq=old.message_seq, event_id=old.event_id, due_at=now,
                                   destination=old.destination, lane=old.lane, partition=old.partition,
                                   priority=old.priority, identity=stem(new_id) if old.identity else "")
                       for old in stored if old.id == delivery_id]
        return copies


def _closing(kind: Kind) -> Kind:
    return Kind.SKIP_MESSAGES if kind is Kind.REPROCESS else Kind.SKIP_DELIVERIES


def _waiting(message: Message) -> Item:
    gone = message.state is not MessageState.PARKED
    return Item(id=message.id, partition=message.partition,
                prospect=Prospect.GONE if gone else Prospect.PASSES, reason=NOT_PARKED.name if gone else "")


def _skippable(delivery: Delivery) -> Item:
    gone = delivery.state not in {DeliveryState.PARKED, DeliveryState.PENDING}
    return Item(id=delivery.id, partition=delivery.partition, destinations=(delivery.destination,),
                prospect=Prospect.GONE if gone else Prospect.PASSES, reason=NOT_PARKED.name if gone else "")


def changed_fields(before: AnyEntity | None, after: AnyEntity | None) -> tuple[str, ...]:
    """Names of the fields in which two states differ, one level into structs; never values."""
    if after is None:
        return ()
    changed: list[str] = []
    for name in after.__struct_fields__:
        old: Any = getattr(before, name, ABSENT)
        new: Any = getattr(after, name)
        if old == new or (before is None and not new):
            continue
        if isinstance(new, msgspec.Struct) and type(old) is type(new):
            changed += [f"{name}.{part}" for part in new.__struct_fields__
                        if getattr(old, part) != getattr(new, part)]
        else:
            changed.append(name)
    return tuple(changed)
