"""The one gate: what leaves, in order, once.

One `Gatekeeper` a destination serves every partition this process holds. It keeps the open deliveries of each
lane in memory, in order; only the oldest of a lane may go. A batch of due ones is marked *in flight* in one
commit before the first byte leaves, sent with as many at once as the destination allows, and settled in
grouped commits. Only then may the next of a lane go (invariant 4).

A destination in trouble closes for a while and is probed with one delivery at a time: it costs the others
nothing, and its own messages no attempts (invariant 10).
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

import msgspec

from canonical.clock import Clock
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.failpoints import Injected, point
from canonical.findings import Finding, Rejection, Severity, declare, finding
from canonical.phi import Phi
from canonical.query import Acknowledgement
from connectors.base import Concludes, Delivered, Dispatch, Outcome, Rejected, Sender, Unavailable, Unknown
from router import retry
from router.afterwards import AWAITED
from router.faults import report
from router.holding import Holding
from router.site import Destination
from router.translate import Bureau, Finish, Order
from store.ledger import LeaseLost, LedgerUnavailable, Numbers, Work
from store.records import (
    Attempt,
    AttemptOutcome,
    Delivery,
    DeliveryState,
    NewDelivery,
    Settlement,
)
from workflow.case import ours

UNWRITABLE: Final = declare(
    "delivery.unwritable", Severity.ERROR, "The event cannot be written in the destination's format.",
    "Mend the destination's mapping or code table, then replay.")
SENDER_ERROR: Final = declare(
    "delivery.sender_error", Severity.ERROR, "The connector failed in a way that nobody foresaw.",
    "Report it with the place given; whether the message had its effect is not known.")
LOST_EVENT: Final = declare(
    "delivery.event_missing", Severity.ERROR, "The event of the delivery is not in the ledger any more.",
    "It was purged or the database was restored in part: skip the delivery, or reprocess the message.")

PLANNED: Final = declare(
    "delivery.planned_downtime", Severity.INFO, "The partner has announced that it does not work now.",
    "Nothing to do: it goes out when the announced time is over. The windows are in the partner's profile.")
BEHIND: Final = declare(
    "delivery.behind_merge", Severity.INFO, "What was planned for the old number before the merge had to go first.",
    "Nothing to do: it held the deliveries about the survivor back and sent nothing itself.")

#: Seconds between looks whether what a barrier waits for has gone.
BARRIER_S: Final = 0.5
#: Consecutive failures of different deliveries after which the destination itself is taken to be in trouble.
TROUBLE: Final = 3
#: Deliveries marked in flight at once where repeating one is harmless.
WINDOW: Final = 512
#: Events kept in memory a destination; the rest is read when its turn comes.
EVENTS_KEPT: Final = 4_000
#: Seconds between attempts to reach a ledger that is away.
LEDGER_RETRY_S: Final = 0.5

_BEFORE_MARK: Final = point("deliver.before_inflight")
_BEFORE_SEND: Final = point("deliver.before_send")
_AFTER_SEND: Final = point("deliver.after_send")
_AFTER_SETTLE: Final = point("deliver.after_settle")


#: Takes (delivery, answer); raises Unavailable where it could not be stored.
Respond: TypeAlias = Callable[[Delivery, Phi[bytes]], Awaitable[None]]


class Teller(Protocol):
    """Tells whoever asked for a delivery. Both raise LedgerUnavailable where it could not be stored."""

    async def sent(self, event: Event, at: int) -> None:
        """It has left: the peer may have it. `at`: when the attempt began, microseconds since the epoch."""

    async def refused(self, delivery: Delivery, event: Event, layer: str, code: str) -> None:
        """It was refused for good, or cannot be written.

        Args:
            layer: code of the finding.
            code: the peer's.
        """


#: Until when a destination is away as announced, at a moment; 0 where it is not. Microseconds since the epoch.
Downtime: TypeAlias = Callable[[int], int]


class Books(Work, Numbers, Protocol):
    """The parts of the ledger that delivering needs."""


class Health(StrEnum):
    """How a destination is."""

    OPEN = "open"
    AWAY = "away"
    """It cannot be reached: probed with growing pauses."""
    STOPPED = "stopped"
    """It refuses everything: a person must act; probed all the same."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What people and metrics want to know of a destination."""

    destination: str
    health: Health
    since: int
    reason: str
    waiting: int
    in_flight: int
    parked: int


class Entry:
    """One open delivery in memory."""

    __slots__ = ("born", "busy", "delivery", "dispatch", "event", "holding", "started_at", "subject", "touched",
                 "tries")

    def __init__(self, delivery: Delivery, event: Event | None, holding: Holding) -> None:
        self.delivery = delivery
        self.event = event
        self.subject = event.subject_key if event is not None else ""
        self.holding = holding
        self.dispatch: Dispatch | None = None
        """Kept over attempts whose effect is not known, so that a repetition is byte for byte the same."""
        self.busy = False
        """From being picked until being settled."""
        self.tries = delivery.attempts
        self.born = min(delivery.since, delivery.due_at)
        """Where its patience begins: when it was planned, or released by a person, or taken over."""
        self.started_at = 0
        self.touched = 0
        """When memory last knew better than a look at the ledger begun before."""

    @property
    def parked(self) -> bool:
        return self.delivery.state is DeliveryState.PARKED


class Gatekeeper:
    """Delivers to one destination.

    Args:
        name: of the destination.
        settings: of the destination.
        sender: the connector; started and stopped by the caller.
        work: the ledger.
        bureau: writes messages.
        clock: for the time.
        chance: random numbers in [0, 1).
        respond: takes a peer's answer that is worth being a message of its own; awaited before the delivery
            is settled, so that an answer is never lost.
        finish: puts the number into what its format numbers.
        tell: is told what has left, and what was refused; awaited before the delivery is settled.
        downtime: tells until when the destination is away as announced; 0 where it is not.
    """

    def __init__(self, name: str, settings: Destination, sender: Sender, work: Books, bureau: Bureau,
                 clock: Clock, chance: Callable[[], float], respond: Respond | None = None,
                 finish: Finish | None = None, tell: Teller | None = None,
                 downtime: Downtime | None = None) -> None:
        self.name = name
        self._settings = settings
        self._sender = sender
        self._work = work
        self._bureau = bureau
        self._clock = clock
        self._chance = chance
        self._respond = respond
        self._finish = finish
        self._tell = tell
        self._downtime = downtime
        self._lanes: dict[str, deque[Entry]] = {}
        self._by_id: dict[str, Entry] = {}
        self._by_subject: dict[str, list[Entry]] = {}
        self._due: list[tuple[int, int, str]] = []
        self._later: list[tuple[int, str]] = []
        self._busy = 0
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsettled: list[tuple[Entry, Settlement]] = []
        self._settler: asyncio.Task[None] | None = None
        self._health = Health.OPEN
        self._health_since = clock.now()
        self._health_reason = ""
        self._failures = 0
        self._closed_until = 0
        self._stopping = False
        self._loop: asyncio.Task[None] | None = None

    # -- life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to deliver."""
        self._loop = asyncio.create_task(self._run(), name=f"deliver-{self.name}")
        self._loop.add_done_callback(report)

    async def stop(self, grace: float) -> None:
        """Send nothing new; let what is under way finish within `grace` seconds."""
        self._stopping = True
        self._wake.set()
        if self._loop is not None:
            await asyncio.wait([self._loop])
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        if self._settler is not None:
            await asyncio.wait([self._settler], timeout=grace)
            self._settler.cancel()

    def status(self) -> Status:
        """A snapshot."""
        parked = sum(1 for lane in self._lanes.values() if lane[0].parked)
        return Status(destination=self.name, health=self._health, since=self._health_since,
                      reason=self._health_reason, waiting=len(self._by_id) - self._busy - parked,
                      in_flight=self._busy, parked=parked)

    @property
    def due(self) -> int:
        """Deliveries that could go now, were there more hands; 0 while the destination does not take any."""
        return len(self._due) if self._health is Health.OPEN else 0

    # -- what is to be delivered --------------------------------------------------------------------------

    def add(self, holding: Holding, deliveries: Iterable[tuple[NewDelivery, Event | None]]) -> None:
        """Take committed deliveries, in order; those known already are left as they are."""
        for planned, event in deliveries:
            if planned.id in self._by_id:
                continue
            delivery = planned if isinstance(planned, Delivery) else _stored(planned)
            entry = Entry(delivery, event if len(self._by_id) < EVENTS_KEPT else None, holding)
            entry.subject = event.subject_key if event is not None else ""
            self._by_id[delivery.id] = entry
            if entry.subject and self._settings.content == "state":
                self._by_subject.setdefault(entry.subject, []).append(entry)
            lane = self._lanes.get(delivery.lane)
            if lane is None:
                self._lanes[delivery.lane] = deque((entry,))
                self._schedule(entry)
            elif entry.parked:  # refused after it had been accepted: its lane waits from now on
                older = sum((other.delivery.message_seq, other.delivery.id) < (delivery.message_seq, delivery.id)
                            for other in lane)
                lane.insert(older, entry)
            else:
                lane.append(entry)
        self._wake.set()

    def concluded(self, said: Acknowledgement) -> Outcome:
        """What an acknowledgement that came as a message means here (`router.afterwards`)."""
        if not isinstance(self._sender, Concludes):
            return Unknown(finding(SENDER_ERROR))
        return self._sender.conclude(said)

    def waiting(self, subject_key: str) -> list[str]:
        """Deliveries of a subject that wait and have not been tried."""
        return [entry.delivery.id for entry in self._by_subject.get(subject_key, ())
                if not entry.busy and entry.delivery.state is DeliveryState.PENDING and entry.dispatch is None]

    def withdraw(self, delivery_ids: Iterable[str]) -> None:
        """These deliveries have been settled by somebody else."""
        for delivery_id in delivery_ids:
            entry = self._by_id.get(delivery_id)
            if entry is not None and not entry.busy:
                self._forget(entry)

    def reconcile(self, holding: Holding, stored: Sequence[Delivery], as_of: int) -> None:
        """Bring memory in line with the ledger after people have decided: released, skipped, added.

        Args:
            holding: the partition.
            stored: its open deliveries.
            as_of: time before they were read; what has changed in memory since is left alone.
        """
        known = {delivery.id: delivery for delivery in stored if delivery.destination == self.name}
        mine = [e for e in self._by_id.values() if e.holding is holding and not e.busy and e.touched < as_of]
        for entry in mine:
            now = known.get(entry.delivery.id)
            if now is None:
                self._forget(entry)
            elif now.state is not entry.delivery.state and now.state is not DeliveryState.INFLIGHT:
                entry.delivery = now
                entry.dispatch = None
                entry.tries = now.attempts
                entry.born = min(now.since, now.due_at)
                if self._lanes[now.lane][0] is entry:
                    self._schedule(entry)
        self.add(holding, [(delivery, None) for delivery in known.values()
                           if delivery.state is not DeliveryState.INFLIGHT])

    def unfinished(self, holding: Holding) -> bool:
        """True while something of the partition waits or is under way here (parked work is for people)."""
        return any(entry.holding is holding and not self._lanes[entry.delivery.lane][0].parked
                   for entry in self._by_id.values())

    async def drop(self, holding: Holding, grace: float) -> None:
        """Let go of a partition: nothing new of it is sent; what is under way may finish within `grace`."""
        for entry in [e for e in self._by_id.values() if e.holding is holding and not e.busy]:
            self._forget(entry)
        deadline = self._clock.monotonic() + grace
        while not holding.lost.is_set() and any(e.holding is holding for e in self._by_id.values()):
            if self._clock.monotonic() > deadline:
                break
            await asyncio.sleep(0.01)
            for entry in [e for e in self._by_id.values() if e.holding is holding and not e.busy]:
                self._forget(entry)

    # -- order --------------------------------------------------------------------------------------------

    def _schedule(self, entry: Entry) -> None:
        """The entry is the oldest of its lane."""
        if entry.parked or entry.busy:
            return
        delivery = entry.delivery
        if delivery.due_at > self._clock.now():
            heapq.heappush(self._later, (delivery.due_at, delivery.id))
        else:
            heapq.heappush(self._due, (-delivery.priority, delivery.message_seq, delivery.id))
        self._wake.set()

    def _forget(self, entry: Entry) -> None:
        delivery = entry.delivery
        self._by_id.pop(delivery.id, None)
        if entry.subject and (same := self._by_subject.get(entry.subject)) is not None:
            with contextlib.suppress(ValueError):
                same.remove(entry)
            if not same:
                del self._by_subject[entry.subject]
        lane = self._lanes.get(delivery.lane)
        if lane is None:
            return
        was_head = lane[0] is entry
        with contextlib.suppress(ValueError):
            lane.remove(entry)
        if not lane:
            del self._lanes[delivery.lane]
        elif was_head:
            self._schedule(lane[0])

    def _pick(self, room: int) -> list[Entry]:
        now = self._clock.now()
        while self._later and self._later[0][0] <= now:
            _, delivery_id = heapq.heappop(self._later)
            entry = self._by_id.get(delivery_id)
            if entry is not None:
                delivery = entry.delivery
                heapq.heappush(self._due, (-delivery.priority, delivery.message_seq, delivery.id))
        picked: list[Entry] = []
        while self._due and len(picked) < room:
            _, _, delivery_id = heapq.heappop(self._due)
            entry = self._by_id.get(delivery_id)
            if (entry is None or entry.busy or entry.parked or entry.delivery.due_at > now
                    or self._lanes[entry.delivery.lane][0] is not entry):
                continue
            entry.busy = True
            self._busy += 1
            picked.append(entry)
        return picked

    # -- the loop -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            picked = self._pick(self._room())
            if not picked:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._pause())
                continue
            await self._dispatch(picked)

    def _room(self) -> int:
        if self._clock.now() < self._closed_until:
            return 0
        if self._health is not Health.OPEN:
            return 0 if self._busy else 1  # one probe
        limit = self._settings.max_in_flight
        if self._settings.idempotent:
            limit = max(limit, WINDOW)
        return limit - self._busy

    def _pause(self) -> float:
        now = self._clock.now()
        moments = [self._later[0][0]] if self._later else []
        if now < self._closed_until:
            moments.append(self._closed_until)
        return max(min([(moment - now) / 1e6 for moment in moments], default=60.0), 0.001)

    async def _dispatch(self, picked: Sequence[Entry]) -> None:
        for entry in picked:
            if entry.delivery.barrier:
                self._spawn(self._pass(entry))
        if not (picked := [entry for entry in picked if not entry.delivery.barrier]):
            return
        now = self._clock.now()
        if self._downtime is not None and (until := self._downtime(now)):
            for entry in picked:
                self._settle(entry, Settlement(
                    delivery_id=entry.delivery.id, state=DeliveryState.PENDING, at=now, attempts=entry.delivery.attempts,
                    due_at=until, code=entry.delivery.code, reason=PLANNED.name, findings=(finding(PLANNED),)))
            return
        try:
            written = await self._write(picked)
        except LedgerUnavailable:
            await self._put_back(picked)
            return
        by_holding: dict[int, list[Entry]] = {}
        for entry in written:
            by_holding.setdefault(id(entry.holding), []).append(entry)
        _BEFORE_MARK()
        await asyncio.gather(*[self._mark_and_send(entries) for entries in by_holding.values()])

    async def _mark_and_send(self, entries: Sequence[Entry]) -> None:
        holding = entries[0].holding
        if holding.lost.is_set():
            self._abandon(entries)
            return
        try:
            marked = await self._work.inflight(
                holding.lease, [entry.delivery.id for entry in entries], self._clock.now(), {
                    entry.delivery.id: entry.dispatch.numbering for entry in entries
                    if entry.dispatch is not None and entry.dispatch.numbering})
        except LeaseLost:
            holding.lose()
            self._abandon(entries)
            return
        except LedgerUnavailable:
            await self._put_back(entries)
            return
        for entry in entries:
            if entry.delivery.id in marked:
                self._spawn(self._send(entry))
        if len(marked) < len(entries):
            await self._look_again(holding, [e for e in entries if e.delivery.id not in marked])

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(report)

    async def _pass(self, entry: Entry) -> None:
        """A barrier is the oldest of its lane: done, once nothing older is open in the lane of the old number."""
        try:
            waits = self.name in await self._work.behind(entry.delivery.message_seq)
        except LedgerUnavailable:
            await self._put_back([entry])
            return
        now = self._clock.now()
        if not waits:
            self._settle(entry, Settlement(delivery_id=entry.delivery.id, state=DeliveryState.SKIPPED, at=now,
                                           attempts=entry.delivery.attempts, reason=BEHIND.name))
            return
        self._busy -= 1
        entry.busy = False
        entry.delivery = msgspec.structs.replace(entry.delivery, due_at=now + int(BARRIER_S * 1e6))
        self._schedule(entry)

    async def _look_again(self, holding: Holding, entries: Sequence[Entry]) -> None:
        """Not pending any more: a person or a newer state has settled them. They keep their place in the lane
        until the ledger has said what they are now, so that nothing behind them slips through."""
        try:
            stored = {d.id: d for d in await self._work.open_deliveries(holding.partition)}
        except LedgerUnavailable:
            await self._put_back(entries)
            return
        for entry in entries:
            self._busy -= 1
            entry.busy = False
            now = stored.get(entry.delivery.id)
            if now is None:
                self._forget(entry)
            else:
                entry.delivery = now
                self._schedule(entry)

    async def _write(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that have bytes now. The others are settled: they cannot be written."""
        missing = [e.delivery.event_id for e in entries if e.event is None and e.dispatch is None]
        found: Mapping[str, Event] = await self._work.events(missing) if missing else {}
        states = await self._states(entries, found)
        orders: list[tuple[Entry, Order]] = []
        for entry in entries:
            if entry.dispatch is None:
                event = entry.event or found.get(entry.delivery.event_id)
                if event is None:
                    self._refuse(entry, (finding(LOST_EVENT),), LOST_EVENT.name)
                else:
                    orders.append((entry, Order(entry.delivery, event, states.get(event.subject_key))))
        results = await self._bureau.write([order for _, order in orders]) if orders else ()
        for (entry, _), result in zip(orders, results, strict=True):
            if isinstance(result, Dispatch):
                entry.dispatch = result
            elif isinstance(result, Rejection):
                await self._refused(entry, UNWRITABLE.name, "")
                self._refuse(entry, result.findings, UNWRITABLE.name)
            else:  # a defect of ours must cost one delivery, not the destination
                self._refuse(entry, (finding(UNWRITABLE, detail=type(result).__name__),), UNWRITABLE.name)
        return [entry for entry in entries if entry.dispatch is not None]

    async def _states(self, entries: Sequence[Entry], found: Mapping[str, Event]) -> dict[str, AnyEntity]:
        if self._settings.content != "state":
            return {}
        events = [entry.event or found.get(entry.delivery.event_id) for entry in entries]
        states = await self._work.states({event.subject_key for event in events if event is not None})
        return {key: state.entity for key, state in states.items()}

    async def _send(self, entry: Entry) -> None:
        async with self._slots:
            if entry.holding.lost.is_set():
                self._abandon([entry])
                return
            if self._stopping or (self._clock.now() < self._closed_until and self._busy > 1):
                # Marked, but not a byte has left: back to where it was.
                self._settle(entry, Settlement(
                    delivery_id=entry.delivery.id, state=DeliveryState.PENDING, at=self._clock.now(),
                    attempts=entry.delivery.attempts, due_at=entry.delivery.due_at))
                return
            entry.started_at = self._clock.now()
            dispatch = await self._finished(entry)
            if dispatch is None:
                self._abandon([entry])
                return
            _BEFORE_SEND()
            outcome: Outcome
            try:
                outcome = await self._sender.send(dispatch)
            except (asyncio.CancelledError, Injected):
                raise  # stopped or struck down: recovery treats it as unknown
            except Exception as error:  # a sender must not raise; if it does, bytes may have left
                outcome = Unknown(finding(SENDER_ERROR, detail=type(error).__name__), code=type(error).__name__)
            _AFTER_SEND()
        # What a peer says that could not work now, or that takes nothing from us, is no answer to what was asked.
        if isinstance(outcome, Delivered | Unknown) and (not entry.subject or ours(entry.subject)):
            await self._tell_of(entry, lambda teller, event: teller.sent(event, entry.started_at))
        if isinstance(outcome, Delivered) or (isinstance(outcome, Rejected) and not outcome.channel_wide):
            if self._respond is not None and outcome.response is not None:
                await self._answer(self._respond, entry, outcome.response)
            if isinstance(outcome, Rejected):
                await self._refused(entry, outcome.finding.code, outcome.code)
        self._judge(entry, outcome)

    async def _finished(self, entry: Entry) -> Dispatch | None:
        """With the number that was reserved when it was marked, the same at every attempt; None where the partition
        was lost before it could be told."""
        dispatch = entry.dispatch
        if dispatch is None:
            raise AssertionError("only written deliveries are sent")
        if not dispatch.numbering or self._finish is None:
            return dispatch
        while not entry.holding.lost.is_set():
            try:
                number = await self._work.number(dispatch.numbering, entry.delivery.id, self._clock.now())
            except LedgerUnavailable:
                await asyncio.sleep(LEDGER_RETRY_S)
            else:
                return self._finish(dispatch, number)
        return None

    async def _answer(self, respond: Respond, entry: Entry, response: Phi[bytes]) -> None:
        while not entry.holding.lost.is_set():
            try:
                await respond(entry.delivery, response)
            except Unavailable:
                await asyncio.sleep(LEDGER_RETRY_S)
            else:
                return

    async def _refused(self, entry: Entry, layer: str, code: str) -> None:
        await self._tell_of(entry, lambda teller, event: teller.refused(entry.delivery, event, layer, code))

    async def _tell_of(self, entry: Entry, say: Callable[[Teller, Event], Awaitable[None]]) -> None:
        """Whoever asked for the delivery learns of it."""
        while self._tell is not None and not entry.holding.lost.is_set():
            try:
                event = entry.event or (await self._work.events([entry.delivery.event_id])).get(entry.delivery.event_id)
                if event is not None:
                    await say(self._tell, event)
            except LedgerUnavailable:
                await asyncio.sleep(LEDGER_RETRY_S)
            else:
                return

    # -- outcomes -----------------------------------------------------------------------------------------

    def _judge(self, entry: Entry, outcome: Outcome) -> None:
        now = self._clock.now()
        delivery = entry.delivery
        entry.tries += 1
        verdict = retry.decide(
            outcome, attempt=delivery.attempts + 1, tries=entry.tries, policy=self._settings.retry,
            age_s=max(0, now - entry.born) / 1e6, idempotent=self._settings.idempotent,
            chance=self._chance())
        self._note_health(verdict)
        lost = entry.dispatch.findings if entry.dispatch is not None else ()
        if verdict.outcome is not AttemptOutcome.UNKNOWN:
            entry.dispatch = None
        delivered = verdict.state is DeliveryState.DELIVERED
        attempt = None
        # What a trading partner answers in the exchange is timed (CORE 156: 90 % within 20 seconds, X13).
        timed = isinstance(outcome, Delivered) and outcome.response is not None and bool(self._settings.partner)
        if not delivered or entry.tries > 1 or timed:
            attempt = Attempt(
                delivery_id=delivery.id, number=entry.tries, started_at=entry.started_at, ended_at=now,
                outcome=verdict.outcome, code=verdict.code, finding=verdict.finding,
                response=None if isinstance(outcome, Unknown) or timed else outcome.response)
        self._settle(entry, Settlement(
            delivery_id=delivery.id, state=verdict.state, at=now, code=verdict.code,
            reason=AWAITED.name if delivered and self._settings.application_acks and delivery.identity
            and not verdict.code.startswith("A") else verdict.reason,
            attempts=delivery.attempts + (1 if verdict.counted else 0),
            due_at=now + int(verdict.delay_s * 1e6) if verdict.state is DeliveryState.PENDING else 0,
            findings=lost if verdict.finding is None or delivered else (verdict.finding, *lost), attempt=attempt))

    def _note_health(self, verdict: retry.Verdict) -> None:
        now = self._clock.now()
        policy = self._settings.retry
        if verdict.stop:
            self._failures += 1
            self._closed_until = now + int(policy.probe_s * 1e6)
            self._set_health(Health.STOPPED, verdict.reason, now)
        elif verdict.away:
            self._failures += 1
            if self._failures >= TROUBLE or self._health is not Health.OPEN:
                pause = retry.backoff(policy, max(1, self._failures - TROUBLE + 1), self._chance())
                self._closed_until = now + int(pause * 1e6)
                self._set_health(Health.AWAY, retry.AWAY.name, now)
        else:
            self._failures = 0
            self._closed_until = 0
            self._set_health(Health.OPEN, "", now)
            self._wake.set()

    def _set_health(self, health: Health, reason: str, now: int) -> None:
        if health is not self._health:
            self._health, self._health_since = health, now
        self._health_reason = reason

    def _refuse(self, entry: Entry, findings: Collection[Finding], reason: str) -> None:
        self._settle(entry, Settlement(
            delivery_id=entry.delivery.id, state=DeliveryState.PARKED, at=self._clock.now(), reason=reason,
            attempts=entry.delivery.attempts, findings=tuple(findings)))

    # -- settling -----------------------------------------------------------------------------------------

    def _settle(self, entry: Entry, settlement: Settlement) -> None:
        self._unsettled.append((entry, settlement))
        if self._settler is None or self._settler.done():
            self._settler = asyncio.create_task(self._settle_all(), name=f"settle-{self.name}")
            self._settler.add_done_callback(report)

    async def _settle_all(self) -> None:
        while self._unsettled:
            batch, self._unsettled = self._unsettled, []
            by_holding: dict[int, list[tuple[Entry, Settlement]]] = {}
            for pair in batch:
                by_holding.setdefault(id(pair[0].holding), []).append(pair)
            await asyncio.gather(*[self._settle_some(pairs) for pairs in by_holding.values()])

    async def _settle_some(self, pairs: Sequence[tuple[Entry, Settlement]]) -> None:
        holding = pairs[0][0].holding
        settlements = [settlement for _, settlement in pairs]
        while True:
            try:
                await self._work.settle(holding.lease, settlements)
                break
            except LeaseLost:
                holding.lose()
                self._abandon([entry for entry, _ in pairs])
                return
            except LedgerUnavailable:
                # What the peer did must be written down, however long it takes; or the lease ends, and the
                # next holder finds the deliveries in flight and treats them as unknown.
                if holding.lost.is_set():
                    self._abandon([entry for entry, _ in pairs])
                    return
                await asyncio.sleep(LEDGER_RETRY_S)
        _AFTER_SETTLE()
        for entry, settlement in pairs:
            self._settled(entry, settlement)

    def _settled(self, entry: Entry, settlement: Settlement) -> None:
        self._busy -= 1
        entry.busy = False
        entry.touched = self._clock.now()
        entry.delivery = msgspec.structs.replace(
            entry.delivery, state=settlement.state, attempts=settlement.attempts, since=settlement.at,
            due_at=settlement.due_at, code=settlement.code, reason=settlement.reason,
            findings=settlement.findings)
        if settlement.state is DeliveryState.PENDING:
            self._schedule(entry)
        elif settlement.state is DeliveryState.PARKED:
            entry.event = None
        else:
            self._forget(entry)
        self._wake.set()

    async def _put_back(self, entries: Iterable[Entry]) -> None:
        """Picked, but the ledger is away: later."""
        await asyncio.sleep(LEDGER_RETRY_S)
        for entry in entries:
            if entry.busy:
                self._busy -= 1
                entry.busy = False
                self._schedule(entry)

    def _abandon(self, entries: Iterable[Entry]) -> None:
        """The partition is somebody else's now."""
        for entry in entries:
            if entry.busy:
                self._busy -= 1
                entry.busy = False
            self._forget(entry)
        self._wake.set()


def _stored(planned: NewDelivery) -> Delivery:
    return Delivery(
        id=planned.id, message_seq=planned.message_seq, event_id=planned.event_id, lane=planned.lane,
        destination=planned.destination, partition=planned.partition, due_at=planned.due_at,
        state=planned.state, reason=planned.reason, priority=planned.priority, identity=planned.identity,
        since=planned.due_at)
