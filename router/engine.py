"""The running engine: doors, workers and outbox of one process, started and stopped in the right order.

Roles: ``intake`` holds the receivers, ``worker`` processes and delivers; ``all`` is both. Any number of
processes of any role may share one ledger and one broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Mapping, Sequence
from enum import StrEnum
from typing import Final

from canonical.clock import Clock
from canonical.findings import Rejection, Severity, declare, finding
from canonical.phi import Phi
from connectors.base import Hear, Receiver, Sender
from mapper.document import Mark, located
from router.answers import Answers, Peeking
from router.broker import Broker
from router.deliver import Downtime, Gatekeeper, Respond, Status
from router.faults import report
from router.flow import Playbook
from router.ids import MessageIds
from router.outbox import Outbox
from router.pressure import Pressure
from router.receive import Door
from router.refusals import Refusals
from router.scoring import Panel, Scorer
from router.site import Site, shared_resources
from router.translate import Bureau, Finish, InLine, Translator
from router.triage import Rulebook
from router.worker import LEASE_S, SWEEP_S, Worker
from store.ledger import Ledger, LedgerUnavailable
from store.records import Delivery
from workflow.policy import Terms

RESOURCE: Final = declare(
    "config.resource_unavailable", Severity.FATAL, "A port or folder of a channel cannot be had.",
    "See whether another program holds it, or whether it exists and may be used.")

#: Between looks for messages past their retention.
PURGE_EVERY_S: Final = 600.0
PURGE_AT_ONCE: Final = 1_000
PURGE_ROUNDS: Final = 1_000
_DAY_US: Final = 86_400_000_000


class Role(StrEnum):
    """What a process does."""

    ALL = "all"
    INTAKE = "intake"
    WORKER = "worker"

    @property
    def takes(self) -> bool:
        return self is not Role.WORKER

    @property
    def works(self) -> bool:
        return self is not Role.INTAKE


class Engine:
    """One process of a site. The ledger is opened and closed by the caller.

    Args:
        site: checked (see `router.site.load`).
        revision: content hash of the configuration, recorded with every decision.
        ledger: open.
        broker: not yet started.
        translator: reads and writes messages.
        bureau: does so instead, many at once, perhaps in other processes; started and stopped by the caller.
        senders: one a destination (only needed where the role works).
        scorers: by name, at least those the site names.
        clock: for the time.
        owner: name of this process, unique among all that share the ledger: ``HOST:PID``.
        role: what this process does.
        lease_s: seconds a dead process's partitions wait for another.
        sweep_s: seconds between looks at the ledger for what no doorbell told.
        respond: see `router.deliver.Gatekeeper`; by default through the door (`router.answers`).
        peeking: codec of each channel that takes answers.
        hearing: who receives the answers of trading partners, by channel.
        finish: see `router.deliver.Gatekeeper`.
        downtime: see there, by destination.
        terms: how payers want to be asked, by destination.
        chance: source of randomness; None for the system's.
    """

    def __init__(self, site: Site, revision: str, ledger: Ledger, broker: Broker, translator: Translator,
                 senders: Mapping[str, Sender], scorers: Mapping[str, Scorer], clock: Clock, owner: str, *,
                 role: Role = Role.ALL, lease_s: float = LEASE_S, sweep_s: float = SWEEP_S,
                 respond: Respond | None = None, chance: random.Random | None = None,
                 marks: Mapping[str, Mark] | None = None,
                 bureau: Bureau | None = None, peeking: Mapping[str, Peeking] | None = None,
                 hearing: Mapping[str, Hear] | None = None,
                 finish: Finish | None = None, downtime: Mapping[str, Downtime] | None = None,
                 terms: Mapping[str, Terms] | None = None) -> None:
        bureau = bureau or InLine(translator, clock)
        # For jitter and the start of message ids, not for secrets: no system call for each.
        chance = chance or random.Random(random.SystemRandom().getrandbits(64))  # noqa: S311 - as said above
        self._site = site
        self._ledger = ledger
        self._broker = broker
        self._senders = senders
        self._clock = clock
        self._marks = marks or {}
        self.role = role
        self._outbox = Outbox(ledger, broker, full=site.broker.events == "full")
        gatekeepers = {
            name: Gatekeeper(name, destination, senders[name], ledger, bureau, clock, chance.random,
                             (respond or self._answer) if destination.responses else None, finish,
                             Refusals(ledger, broker.ring, clock, ledger.partitions), (downtime or {}).get(name))
            for name, destination in site.destinations.items()} if role.works else {}
        self._pressure = Pressure(lambda: max((one.due for one in gatekeepers.values()), default=0),
                                  lambda: len(self.worker.held), broker)
        self.door = Door(ledger, site.channels, ledger.partitions, MessageIds(clock, chance.getrandbits(24)),
                         broker.ring, self._pressure)
        self._answers = Answers(self.door, site, peeking or {}, hearing or {})
        panel = Panel([(scorers[name], entry.deadline_ms / 1000, entry.answer, entry.events)
                       for name, entry in site.scorers.items()], clock)
        rulebook = Rulebook(site, revision)
        self.worker = Worker(owner, ledger, broker, self._outbox, gatekeepers, bureau, rulebook,
                             Playbook(site, rulebook, terms or {}), panel, site.destinations, clock, ledger.partitions,
                             lease_s=lease_s, sweep_s=sweep_s, taken=self._pressure.taken)
        self._receivers: dict[str, Receiver] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, receivers: Mapping[str, Receiver]) -> None:
        """Start everything; receivers last, so that nothing is accepted before it can be processed.

        Args:
            receivers: one a channel, built on `door`; empty for a worker.

        Raises:
            Rejection: a resource is shared or cannot be had. Nothing stays started.
        """
        if clash := shared_resources([(name, r.resources) for name, r in receivers.items()], self._marks):
            raise Rejection(*clash)
        try:
            await self._broker.start()
            if self.role.works:
                for sender in self._senders.values():
                    await sender.start()
                await self.worker.start()
                self._spawn("outbox", self._outbox.run())
                self._spawn("pressure", self._pressure.tell())
                self._spawn("retention", self._purge())
            await self._open(receivers)
        except BaseException:
            await self.stop(0.0)
            raise

    async def stop(self, grace: float) -> None:
        """Stop in the opposite order; what is under way may finish within `grace` seconds."""
        await asyncio.gather(*[receiver.stop(grace) for receiver in self._receivers.values()])
        self._receivers = {}
        if self.role.works:
            await self.worker.stop(grace)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.gather(*[sender.stop(grace) for sender in self._senders.values()])
        await self._broker.stop()

    async def _answer(self, delivery: Delivery, answer: Phi[bytes]) -> None:
        await self._answers(delivery, answer)

    def statuses(self) -> Sequence[Status]:
        """How the destinations are, as this process sees them."""
        return self.worker.statuses()

    async def _open(self, receivers: Mapping[str, Receiver]) -> None:
        for name, receiver in receivers.items():
            try:
                await receiver.start()
            except OSError as error:
                what = f"{', '.join(receiver.resources)}: {error.strerror or type(error).__name__}"
                mark = self._marks.get(f"channels.{name}")
                found = located(RESOURCE, mark, what) if mark else finding(RESOURCE, detail=what)
                raise Rejection(found) from None
            self._receivers[name] = receiver

    def _spawn(self, name: str, what: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(what, name=name)
        task.add_done_callback(report)
        self._tasks.append(task)

    async def _purge(self) -> None:
        while True:
            await asyncio.sleep(PURGE_EVERY_S)
            before = self._clock.now() - self._site.retention.days * _DAY_US
            with contextlib.suppress(LedgerUnavailable):
                for _ in range(PURGE_ROUNDS):
                    if await self._ledger.purge(before, PURGE_AT_ONCE) < PURGE_AT_ONCE:
                        break
