"""Partners' hours: how fast they answer in real time (X13), and what of their batches is overdue (X14).

All of it is read from the ledger: attempts are timed there, control numbers say what was sent when, and an
acknowledgement of a number is remembered when it comes in. So it is the same whichever process looks, and after a
restart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import Final

import structlog
from msgspec import UNSET

from canonical.clock import Clock
from connectors.x12.build import sequence
from connectors.x12.codes import UNACKNOWLEDGED, UNANSWERED
from connectors.x12.hours import BatchHours
from connectors.x12.partner import Partner
from connectors.x12.reception import acknowledged
from console.clock import iso
from console.views.hours import WITHIN_S, HoursView, PartnerHours
from router.site import Site
from store.ledger import Ledger, LedgerUnavailable
from store.records import Turnaround, event_of
from workflow.waits import waits

#: Between looks at what is overdue.
EVERY_S: Final = 60.0
#: How far back overdue batches are looked for, and how many questions of one partner at a time.
_BACK_US: Final = 7 * 86_400_000_000
_PAGE: Final = 5_000


class Hours:
    """Looks at all destinations of trading partners.

    Args:
        site: checked.
        partners: by name.
        ledger: what happened.
    """

    def __init__(self, site: Site, partners: Mapping[str, Partner], ledger: Ledger) -> None:
        self._partners = {name: partners[one.partner] for name, one in site.destinations.items() if one.partner}
        #: What is asked in real time is answered in the exchange, and nobody acknowledges it.
        self._batched = {name for name in self._partners
                         if getattr(site.destinations[name].settings, "mode", "batch") == "batch"}
        self._ledger = ledger

    async def view(self, since: int, until: int, now: int) -> HoursView:
        """Everything. Raises LedgerUnavailable."""
        timed = {one.destination: one for one in await self._ledger.turnaround(
            self._partners, since, until, WITHIN_S * 1_000_000)} if self._partners else {}
        overdue = {one.destination: one for one in await self.overdue(now)}
        found = []
        for name in sorted(self._partners):
            one = overdue.get(name) or PartnerHours(destination=name, partner=self._partners[name].partner)
            took = timed.get(name, Turnaround(name, 0, 0, 0, 0))
            one.answered, one.within, one.unanswered = took.answered, took.within, took.unanswered
            one.longest_s = took.longest / 1e6
            found.append(one)
        return HoursView(since=iso(since), until=iso(until), partners=found)

    async def overdue(self, now: int) -> list[PartnerHours]:
        """Destinations whose partner has hours for batches, with what is overdue. Raises LedgerUnavailable."""
        return [await self._overdue(name, partner, partner.batch, now) for name, partner in self._partners.items()
                if partner.batch is not UNSET and name in self._batched]

    async def _overdue(self, name: str, partner: Partner, hours: BatchHours, now: int) -> PartnerHours:
        found, oldest = PartnerHours(destination=name, partner=partner.partner), 0
        numbering, since = sequence(partner.receiver, partner.sender), now - _BACK_US
        said = {number for number, _, _ in await self._all(acknowledged(numbering), since)}
        late: dict[str, int] = {}
        for number, holder, at in await self._all(numbering, since):
            if not holder.partition("#")[0].endswith(f">{name}"):
                continue  # an acknowledgement of ours, or of another destination of this partner
            if number not in said and now >= at + hours.acknowledged_within_s * 1_000_000:
                found.acknowledgements_overdue += 1
                oldest = min(oldest or at, at)
            if now >= hours.due_at(at, partner.zone):
                late[event_of(holder)] = at
        for event_id in await self._waiting(late):
            found.answers_overdue += 1
            oldest = min(oldest or late[event_id], late[event_id])
        found.oldest = iso(oldest)
        return found

    async def _all(self, scope: str, since: int) -> list[tuple[int, str, int]]:
        found: dict[int, tuple[int, str, int]] = {}
        while True:
            page = await self._ledger.numbered(scope, since, _PAGE)
            fresh = [one for one in page if one[0] not in found]
            found |= {one[0]: one for one in fresh}
            if len(page) < _PAGE or not fresh:
                return list(found.values())
            since = page[-1][2]

    async def _waiting(self, event_ids: Collection[str]) -> list[str]:
        """Events that ask a question which is not answered."""
        events = await self._ledger.events(event_ids) if event_ids else {}
        states = await self._ledger.states({event.subject_key for event in events.values()}) if events else {}
        return [event.id for event in events.values()
                if event.subject_key in states and waits(states[event.subject_key].entity)]


class Watch:
    """Says in the log what is overdue, when that changes.

    Args:
        hours: looks.
        clock: for the time.
        held: partitions this process works: of several processes, one says it.
    """

    def __init__(self, hours: Hours, clock: Clock, held: Callable[[], Collection[int]]) -> None:
        self._hours = hours
        self._clock = clock
        self._held = held
        self._said: dict[tuple[str, str], int] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="partners-hours")

    async def stop(self, _: float) -> None:
        """End at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def turn(self) -> None:
        """Look once. Raises LedgerUnavailable."""
        for one in await self._hours.overdue(self._clock.now()):
            for code, count in ((UNACKNOWLEDGED.name, one.acknowledgements_overdue), (UNANSWERED.name, one.answers_overdue)):
                if count != self._said.get((one.destination, code), 0):
                    self._said[one.destination, code] = count
                    log = structlog.get_logger()
                    (log.warning if count else log.info)("partner's hours", code=code, destination=one.destination,
                                                         count=count, oldest=one.oldest)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(LedgerUnavailable):
                if 0 in self._held():
                    await self.turn()
            await asyncio.sleep(EVERY_S)
