"""From a committed message to planned deliveries, for one leased partition.

One turn reads a batch of messages in the order of acceptance, lets through those whose lanes are free,
translates them, folds their events into states, asks for advice, applies the rules, and commits everything in
one transaction. Nothing leaves the process before that commit; nothing of a batch that failed to commit stays
in memory. What cannot be processed is parked with a reason and holds up its own lanes, nobody else's.

The pump shares the event loop with receivers that owe acknowledgements: it gives way every few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from canonical.clock import Clock
from canonical.event import Event
from canonical.failpoints import Injected, point
from canonical.findings import Finding, Rejection, Severity, declare, finding
from canonical.history import WrongSubject
from router.afterwards import LOOK_S, NOTHING, Afterwards, Word
from router.conditions import Facts
from router.flow import Playbook
from router.holding import Holding
from router.identity import stem
from router.internal import CHANNELS, at_home
from router.lanes import Gate
from router.merges import aliases_of, lanes_of
from router.refusals import late
from router.repeats import Awaited, Books, Repeats, documents, reason_of
from router.scoring import Advised, Panel
from router.site import Destination
from router.subjects import Batch, Step, Subjects
from router.translate import SLICE_S, Bureau, Translation, place_of
from router.triage import Rulebook
from store.ledger import LeaseLost, LedgerUnavailable
from store.partition import partition_of
from store.records import (
    Decision,
    DeliveryState,
    Message,
    MessageState,
    NewDelivery,
    NewMessage,
    Processed,
    State,
)

INTERNAL: Final = declare(
    "route.internal_error", Severity.FATAL, "Processing the message failed in a way that nobody foresaw.",
    "Report it with the place given; after the engine is mended, reprocess the message.")
WRONG_SUBJECT: Final = declare(
    "route.wrong_subject", Severity.FATAL, "The message says something about a subject of another kind.",
    "Two mappings give the same key to different things: mend the identifiers of one of them.")
SUPERSEDED: Final = declare(
    "route.superseded", Severity.INFO, "A newer message about the same thing had been processed before.",
    "Nothing to do: the state is the same as if both had come in order.")

REUSED: Final = declare(
    "receive.control_id_reused", Severity.WARNING, "The sender has used this control id before, for another content.",
    "Many senders begin to count anew after a restart; ask for ids that are unique. See `reused_control_id`.")
REUSED_PARKED: Final = declare(
    "receive.control_id_parked", Severity.FATAL, "The sender has used this control id before, for another content.",
    "This channel parks such messages. Look which of the two counts, and replay or discard this one.")

NOT_OURS: Final = declare(
    "route.not_looked_at", Severity.INFO,
    "The tables of the channel say that such a message is none of this site's business.",
    "Nothing to do. To have it read, or parked for people, say so under `events` in an overlay of the table.")

#: Messages a turn; also the most that one transaction of the pump holds.
BATCH: Final = 256
#: Seqs below the cursor that are read again: with several writers a smaller seq may become visible later.
OVERLAP: Final = 128

_BEFORE_TRANSLATE: Final = point("pump.before_translate")
_BEFORE_COMMIT: Final = point("pump.before_commit")
_AFTER_COMMIT: Final = point("pump.after_commit")


class Outbound(Protocol):
    """What the pump needs of the deliverers."""

    def waiting(self, destination: str, subject_key: str) -> Sequence[str]:
        """Ids of deliveries of a subject that wait there and could be replaced by a newer state."""

    def add(self, holding: Holding, planned: Sequence[tuple[NewDelivery, Event | None]]) -> None:
        """These deliveries have been committed."""

    def withdraw(self, delivery_ids: Iterable[str]) -> None:
        """These deliveries have been superseded."""

    def wanted(self, event: Event) -> bool:
        """False where no subscriber is there for such events."""

    def announce(self, events: Sequence[Event]) -> None:
        """These events have been committed, and subscribers may want them."""


class Plan(msgspec.Struct):
    """One message on its way through a turn."""

    message: Message
    translation: Translation
    findings: list[Finding]
    steps: list[Step] = []
    behind: Collection[str] = ()
    """Destinations that still owe something to the old number of a merge."""
    advice: list[tuple[Advised, ...]] = []
    sent_on: tuple[NewMessage, ...] = ()
    """Messages of ours for what it says about things that have a lane of their own."""
    word: Word = NOTHING
    """What it says of deliveries of ours."""
    awaited: Awaited | None = None
    """A document like one of its own that came first is still being processed."""


def _until(plan: Plan) -> int:
    """Until when it waits for what it builds on."""
    if plan.awaited is not None:
        return plan.awaited.until
    return plan.message.received_at + plan.translation.patience_s * 1_000_000


def _released(message: Message) -> bool:
    """True for a message that a person has released though its control id was used before."""
    return any(found.code == REUSED_PARKED.name for found in message.findings)


class Pump:
    """Processes the messages of one partition while it is held.

    Args:
        holding: the lease.
        work: the ledger.
        bureau: reads messages.
        rulebook: decides.
        playbook: knows which cases must be looked at.
        panel: advises.
        destinations: of the site, by name.
        outbound: takes what was planned.
        afterwards: finds the deliveries that acknowledgements are about.
        ring: wakes the workers of other partitions.
        clock: for the time.
        taken: told how many messages were looked at for the first time.
    """

    def __init__(self, holding: Holding, work: Books, bureau: Bureau, rulebook: Rulebook, playbook: Playbook,
                 panel: Panel, destinations: Mapping[str, Destination], outbound: Outbound,
                 afterwards: Afterwards, ring: Callable[[Iterable[int]], None], clock: Clock, partitions: int,
                 taken: Callable[[int], None]) -> None:
        self._taken = taken
        self._holding = holding
        self._work = work
        self._bureau = bureau
        self._rulebook = rulebook
        self._playbook = playbook
        self._panel = panel
        self._destinations = destinations
        self._outbound = outbound
        self._afterwards = afterwards
        self._ring = ring
        self._clock = clock
        self._partitions = partitions
        self._gate = Gate()
        self._subjects = Subjects(work)
        self._repeats = Repeats(work, playbook.policy.unsure)
        self._after = 0
        self._early: dict[int, tuple[int, tuple[str, ...]]] = {}
        """Messages set aside until what should have come before them comes: seq, until when, lanes."""
        self._paused_at = 0.0

    async def start(self) -> None:
        """Learn who is parked. Once, before the first turn."""
        self._gate.restart(await self._work.parked_lanes(self._holding.partition))

    async def turn(self) -> bool:
        """Process one batch. False where nothing is left that no doorbell will tell of.

        Raises:
            LeaseLost, LedgerUnavailable: nothing of the batch was stored.
        """
        self._take_up(lambda until, _: until <= self._clock.now())
        batch = await self._read()
        if not batch:
            self._taken(0)
            return False
        if self._gate.set_fences(await self._work.fences(self._holding.partition)):
            self._subjects.forget()
        before = self._after
        admitted = await self._admit(batch)
        if admitted:
            self._paused_at = self._clock.monotonic()
            await self._process(admitted)
        self._taken(sum(before < message.seq <= self._after for message in batch))
        # What comes from now on rings; what a parked or many-laned message has cut off does not.
        return len(batch) >= BATCH or self._after < batch[-1].seq

    async def reconsider(self, *, thoroughly: bool = False) -> bool:
        """Look whether what holds messages back has gone. True where messages are to be read again.

        Args:
            thoroughly: look even if nothing is known to hold anything back.
        """
        partition = self._holding.partition
        gate = self._gate
        if not (thoroughly or gate.held or gate.homes()):
            return False
        changed = gate.set_fences(await self._work.fences(partition))
        if changed:
            self._subjects.forget()
        if homes := gate.homes():
            self._ring(homes)
        if not gate.held:
            return False
        parked = await self._work.parked_lanes(partition)
        changed = changed or parked != gate.parked
        for seq, lanes in list(gate.waiting.items()):
            changed = changed or await self._work.clear_before(lanes, seq)
        if thoroughly and not changed:
            # A merge may have put into another partition, behind our back, what holds others here.
            for seq in gate.holders:
                found = await self._work.received(partition, seq - 1, 1)
                changed = changed or not found or found[0].seq != seq
        if changed:
            self._after = min(self._after, gate.restart(parked))
        return changed

    def rewind(self) -> None:
        """Read everything that is unprocessed again at the next turn."""
        self._after = 0

    def _take_up(self, ready: Callable[[int, tuple[str, ...]], bool]) -> None:
        """Read early messages again that have waited long enough, or whose lanes have moved."""
        for seq in [seq for seq, (until, lanes) in self._early.items() if ready(until, lanes)]:
            del self._early[seq]
            self._gate.take_up(seq)
            self._after = min(self._after, seq - 1)

    # -- reading ------------------------------------------------------------------------------------------

    async def _read(self) -> Sequence[Message]:
        low = max(0, self._after - OVERLAP)
        batch = await self._work.received(self._holding.partition, low, BATCH)
        if len(batch) == BATCH and batch[-1].seq <= self._after:
            batch = await self._work.received(self._holding.partition, self._after, BATCH)
        return [m for m in batch if m.seq > self._after or m.seq not in self._gate.held]

    async def _admit(self, batch: Sequence[Message]) -> list[Message]:
        """The messages of a batch that may be processed now, in order."""
        admitted: list[Message] = []
        for message in batch:
            if not self._gate.passes(message):
                self._gate.block(message)
            elif len(message.lanes) == 1:
                admitted.append(message)
            elif admitted:
                # Whether it is the oldest of each lane can be told when those before it are stored.
                self._after = max(self._after, message.seq - 1)
                return admitted
            elif await self._work.clear_before(message.lanes, message.seq):
                admitted.append(message)
                self._subjects.forget()
                self._after = max(self._after, message.seq)
                return admitted
            else:
                self._gate.wait(message)
            self._after = max(self._after, message.seq)
        return admitted

    # -- processing ---------------------------------------------------------------------------------------

    async def _process(self, messages: Sequence[Message]) -> None:
        done: list[Processed] = []
        plans = await self._translate(messages, done)
        batch = await self._subjects.prepare(e for plan in plans for e in plan.translation.events)
        words = await self._afterwards.words(((p.message.seq, p.translation.events) for p in plans), self._clock.now())
        kept: list[Plan] = []
        early: list[Plan] = []
        for plan in plans:
            if not self._gate.passes(plan.message):
                self._gate.block(plan.message)
            elif (word := words.get(plan.message.seq, NOTHING)).waits:
                self._set_aside(plan, self._clock.now() + int(LOOK_S * 1e6))
            elif self._is_early(plan, batch):
                early.append(plan)
            elif await self._fold(plan, batch, done):
                plan.word = word
                kept.append(plan)
                for one in [one for one in early if not self._is_early(one, batch)]:
                    early.remove(one)
                    if await self._fold(one, batch, done):
                        kept.append(one)
                await self._breathe()
        for plan in early:
            look = self._clock.now() + int(LOOK_S * 1e6)  # what a document waits for may be done elsewhere
            self._set_aside(plan, _until(plan) if plan.awaited is None else min(_until(plan), look))
        await self._advise(kept)
        planned: dict[tuple[str, str], tuple[NewDelivery, Event | None]] = {}
        for plan in kept:
            try:
                done.append(self._decide(plan, planned))
            except Exception as error:  # as above; later ones may build on its states: they come again
                done.append(self._broken(plan.message, error, plan.translation.revision))
                self.rewind()
                break
            await self._breathe()
        _BEFORE_COMMIT()
        try:
            await self._work.commit(self._holding.lease, done)
        except (LedgerUnavailable, LeaseLost, Injected, asyncio.CancelledError):
            self._unstored()
            raise
        except Exception as error:  # one message holds what the ledger cannot take: it alone must pay for it
            self._unstored()
            await self._apart(messages, done, error)
            return
        _AFTER_COMMIT()
        self._committed(messages, done, list(planned.values()))

    async def _fold(self, plan: Plan, batch: Batch, done: list[Processed]) -> bool:
        """Add a message to its subjects; False where it had to be parked."""
        try:
            plan.steps = await batch.fold(plan.translation.events, plan.findings)
            if any(step.stands and aliases_of(step.event) for step in plan.steps):
                plan.behind = await self._work.behind(plan.message.seq)
        except WrongSubject:
            done.append(self._park(plan.message, (finding(WRONG_SUBJECT),), plan.translation.revision))
        except (LedgerUnavailable, LeaseLost):
            raise
        except Exception as error:  # a defect of ours must cost one message, not the feed
            done.append(self._broken(plan.message, error, plan.translation.revision))
        else:
            return True
        return False

    def _is_early(self, plan: Plan, batch: Batch) -> bool:
        """True for a message that still waits for the booking or the survivor it builds on (D05, A4.4)."""
        if plan.awaited is not None:  # not read again before it is taken up
            return True
        return bool(plan.translation.patience_s) and _until(plan) > self._clock.now() and any(
            map(batch.builds_on_nothing, plan.translation.events))

    def _set_aside(self, plan: Plan, until: int) -> None:
        awaited = plan.awaited.lanes if plan.awaited is not None else ()
        self._early[plan.message.seq] = until, (*plan.message.lanes, *awaited)
        self._gate.set_aside(plan.message.seq)

    def _unstored(self) -> None:
        """The commit failed: nothing of the batch may stay in memory."""
        self._subjects.forget()
        self._take_up(lambda _until, _lanes: True)
        self.rewind()

    async def _apart(self, messages: Sequence[Message], done: Sequence[Processed], error: Exception) -> None:
        """Process the messages of a batch that could not be stored one by one, and park the one it was."""
        if len(messages) > 1:
            for message in messages:
                if self._gate.passes(message):
                    await self._process([message])
                else:
                    self._gate.block(message)
            return
        revision = done[0].revision if done else ""
        parked = [self._broken(messages[0], error, revision)]
        await self._work.commit(self._holding.lease, parked)
        self._committed(messages, parked, ())

    async def _translate(self, messages: Sequence[Message], done: list[Processed]) -> list[Plan]:
        for _ in messages:
            _BEFORE_TRANSLATE()
        plans = []
        reused = await self._work.reused([message.seq for message in messages if message.control_id])
        results = await self._bureau.read(messages)
        refusals = {message.seq: await late(self._work, message, read.refused, self._clock.now())
                    for message, read in zip(messages, results, strict=True)
                    if isinstance(read, Translation) and read.refused}
        for message, read in zip(messages, results, strict=True):
            if not self._gate.passes(message):  # one before it in this batch was parked
                self._gate.block(message)
            elif isinstance(read, Rejection):
                done.append(self._park(message, read.findings, ""))
            elif isinstance(read, Exception):  # a defect of ours must cost one message, not the feed
                done.append(self._broken(message, read, ""))
            elif any(found.severity is Severity.FATAL for found in read.findings):
                done.append(self._park(message, read.findings, read.revision))
            elif read.unique_id and message.seq in reused and not _released(message):
                done.append(self._park(message, (finding(REUSED_PARKED, at="MSH-10"), *read.findings), read.revision))
            else:
                told, notes = refusals.get(message.seq, ((), ()))
                if any(found.severity is Severity.FATAL for found in notes):
                    done.append(self._park(message, (*notes, *read.findings), read.revision))
                    continue
                said: Translation | None = read
                awaited = None
                if message.channel not in CHANNELS and documents(read.events):
                    said, awaited = await self._linked(message, read, done)
                if said is None:
                    continue
                here, sent_on = at_home(message, said)
                plans.append(Plan(message, here, [*here.findings, *notes], sent_on=(*sent_on, *told), awaited=awaited))
                if message.seq in reused:
                    plans[-1].findings.append(finding(REUSED, at="MSH-10"))
        return plans

    async def _linked(self, message: Message, read: Translation, done: list[Processed]) -> tuple[
            Translation | None, Awaited | None]:
        """Link documents to those that came before (A1.7); None where the message had to be parked."""
        try:
            found = await self._repeats.linked(message, read, self._clock.now())
        except (LedgerUnavailable, LeaseLost):
            raise
        except Exception as error:  # a defect of ours must cost one message, not the feed
            done.append(self._broken(message, error, read.revision))
            return None, None
        return (read, found) if isinstance(found, Awaited) else (found, None)

    def _park(self, message: Message, findings: Sequence[Finding], revision: str) -> Processed:
        self._gate.park(message)
        worst = next((f for f in findings if f.severity is Severity.FATAL), findings[0])
        return Processed(message_seq=message.seq, message_id=message.id, state=MessageState.PARKED,
                         at=self._clock.now(), reason=worst.code, findings=(*message.findings, *findings),
                         revision=revision)

    def _broken(self, message: Message, error: Exception, revision: str) -> Processed:
        return self._park(message, (finding(INTERNAL, detail=place_of(error)),), revision)

    async def _advise(self, plans: Sequence[Plan]) -> None:
        if self._panel.empty:
            for plan in plans:
                plan.advice = [()] * len(plan.steps)
            return
        steps = [(step.event, step.state.entity) for plan in plans for step in plan.steps]
        answers = iter(await self._panel.advise(steps))
        for plan in plans:
            plan.advice = [next(answers) for _ in plan.steps]

    def _decide(self, plan: Plan, planned: dict[tuple[str, str], tuple[NewDelivery, Event | None]]) -> Processed:
        message, now = plan.message, self._clock.now()
        decisions: list[Decision] = []
        deliveries: list[NewDelivery] = []
        superseded: list[str] = []
        states: dict[str, State] = {}
        aliases: list[tuple[str, str]] = []
        merges: list[tuple[str, str, str, str]] = []
        looks: dict[str, None] = {}
        for name in sorted(plan.behind):
            barrier = NewDelivery(
                id=f"{message.id}!{name}", message_seq=message.seq, event_id=plan.steps[0].event.id, destination=name,
                lane=message.lanes[0], partition=message.partition, due_at=now)
            deliveries.append(barrier)
            planned[name, barrier.id] = barrier, None
        for step, advice in zip(plan.steps, plan.advice, strict=True):
            event = step.event
            if step.changed or not step.late:
                states[event.subject_key] = step.state
            looks.update(dict.fromkeys(self._playbook.touched(event, step.state.entity)))
            merges += step.merges
            if step.stands and (pairs := aliases_of(event)):
                aliases.extend((*pairs, *lanes_of(pairs, message.lanes)))
            facts = Facts(event, step.state.entity, {one.scorer: one.answer for one in advice}, step.late)
            judgement = self._rulebook.judge(facts)
            decisions.append(Decision(id=f"{event.id}:triage", event_id=event.id, kind="triage", at=now,
                                      body=self._rulebook.record(judgement, advice, step.late)))
            for name in judgement.destinations:
                destination = self._destinations[name]
                if step.derived and destination.content != "state":
                    continue  # it is told what was said, and nobody has said this
                overtaken = step.late and (
                    not step.changed if destination.content == "state" else not destination.accepts_stale)
                delivery = NewDelivery(
                    id=f"{event.id}>{name}", message_seq=message.seq, event_id=event.id, destination=name,
                    lane=message.lanes[0], partition=message.partition, due_at=now, priority=judgement.priority,
                    identity=stem(f"{event.id}>{name}") if destination.application_acks else "",
                    state=DeliveryState.SUPERSEDED if overtaken else DeliveryState.PENDING,
                    reason=SUPERSEDED.name if overtaken else "")
                deliveries.append(delivery)
                if overtaken:
                    continue
                key = name, delivery.id
                if destination.content == "state":
                    key = name, event.subject_key
                    superseded.extend(self._outbound.waiting(name, event.subject_key))
                    if key in planned:  # an older one of this very batch
                        superseded.append(planned.pop(key)[0].id)
                planned[key] = delivery, event
        if silent := not (plan.steps or plan.sent_on or plan.findings):
            plan.findings.append(finding(NOT_OURS, at="MSH-9"))
        return Processed(
            message_seq=message.seq, message_id=message.id, at=now, revision=plan.translation.revision,
            state=MessageState.PROCESSED if deliveries or looks or plan.sent_on or plan.word.conclusions
            else MessageState.FILTERED,
            reason=NOT_OURS.name if silent else reason_of(plan.findings),
            findings=(*message.findings, *plan.findings, *plan.word.findings),
            events=tuple(step.event for step in plan.steps),
            states=tuple(states.values()), deliveries=tuple(deliveries), decisions=tuple(decisions),
            aliases=tuple(aliases), merges=tuple(merges), superseded=tuple(superseded), fences=len(message.lanes) > 1,
            wanted=any(self._outbound.wanted(step.event) for step in plan.steps),
            messages=(*plan.sent_on, *plan.word.messages), looks=tuple(looks), concluded=plan.word.conclusions)

    def _committed(self, messages: Sequence[Message], done: Sequence[Processed],
                   planned: Sequence[tuple[NewDelivery, Event | None]]) -> None:
        for one in done:
            self._subjects.keep(one.states)
            if one.aliases:  # what waited in the lane of the old number may be ours now, however old it is
                self.rewind()
            if one.superseded:
                self._outbound.withdraw(one.superseded)
            if one.concluded:
                self._outbound.withdraw(word.delivery_id for word in one.concluded if not word.state.open)
        if planned:
            self._outbound.add(self._holding, planned)
        if said := [event for one in done if one.wanted for event in one.events]:
            self._outbound.announce(said)
        if self._early:
            moved = {lane for message in messages if message.seq not in self._early for lane in message.lanes}
            self._take_up(lambda _, lanes: not moved.isdisjoint(lanes))
        others = self._gate.homes()
        for one in done:
            if one.looks:
                cases = {partition_of(key, self._partitions) for key in one.looks}
                self._playbook.stir(cases)
                others |= cases
            others |= {partition_of(new.lanes[0], self._partitions) for new in one.messages}
        for message in messages:
            if len(message.lanes) > 1:
                others |= {partition_of(lane, self._partitions) for lane in message.lanes[1:]}
        if others:
            self._ring(others)

    async def _breathe(self) -> None:
        now = self._clock.monotonic()
        if now - self._paused_at > SLICE_S:
            await asyncio.sleep(0)
            self._paused_at = self._clock.monotonic()
