"""Scores: advice with a name, a version, a deadline and an answer for when it does not come (invariant 13).

A scorer may be a formula, a model server or a person's pocket calculator: the router sees one coroutine. It
never waits longer than the deadline, and a scorer that keeps missing it is left alone for a while, so that a
dead model server costs nothing but its advice. Scores are never asked before an acknowledgement.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from canonical.clock import Clock
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.model import Appointment

#: Consecutive failures after which a scorer is not asked for `REST_S` seconds.
FAILURES: Final = 3
REST_S: Final = 30.0


class Scorer(Protocol):
    """Gives advice on an event."""

    name: str
    version: str
    """Of the model or formula: recorded with each answer, so that it can be explained later."""

    async def score(self, event: Event, state: AnyEntity) -> float | str:
        """A number or a label. May raise and may be slow: then the written default stands."""


class Advised(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it is recorded."""

    scorer: str
    version: str
    answer: float | str
    source: str
    """``scorer``; else why the default was taken: ``timeout``, ``error``, ``resting``."""


class Panel:
    """The scorers of a site.

    Args:
        entries: scorer, deadline in seconds, default answer, event types it is asked about (empty: all).
    """

    def __init__(self, entries: Sequence[tuple[Scorer, float, float | str, Collection[str]]],
                 clock: Clock) -> None:
        self._entries = tuple((scorer, deadline, default, frozenset(events))
                              for scorer, deadline, default, events in entries)
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._rest_until: dict[str, float] = {}

    @property
    def empty(self) -> bool:
        """True where nobody is asked."""
        return not self._entries

    async def advise(self, batch: Sequence[tuple[Event, AnyEntity]]) -> list[tuple[Advised, ...]]:
        """Ask everybody about everything at once; takes as long as the longest deadline at most."""
        asked = [self._ask(scorer, deadline, default, event, state)
                 for event, state in batch
                 for scorer, deadline, default, events in self._entries if not events or event.type in events]
        answers = iter(await asyncio.gather(*asked))
        return [tuple(next(answers) for *_, events in self._entries if not events or event.type in events)
                for event, _ in batch]

    async def _ask(self, scorer: Scorer, deadline: float, default: float | str, event: Event,
                   state: AnyEntity) -> Advised:
        def advised(answer: float | str, source: str) -> Advised:
            return Advised(scorer=scorer.name, version=scorer.version, answer=answer, source=source)

        if self._rest_until.get(scorer.name, 0.0) > self._clock.monotonic():
            return advised(default, "resting")
        try:
            async with asyncio.timeout(deadline):
                answer = await scorer.score(event, state)
        except TimeoutError:
            self._failed(scorer.name)
            return advised(default, "timeout")
        except Exception:  # whatever goes wrong inside an adviser, the message must not suffer
            self._failed(scorer.name)
            return advised(default, "error")
        self._failures.pop(scorer.name, None)
        return advised(answer, "scorer")

    def _failed(self, name: str) -> None:
        self._failures[name] = failures = self._failures.get(name, 0) + 1
        if failures >= FAILURES:
            self._rest_until[name] = self._clock.monotonic() + REST_S


class NoShowRisk:
    """Probability that a visit is missed: a logistic formula over three facts, with its coefficients in sight.

    An example, not a clinical instrument: lead time raises the risk (the most consistent finding of published
    no-show models), a video visit lowers it, a weekend raises it a little. Calibrate the coefficients on your
    own history before a rule relies on them.
    """

    name = "no_show"
    version = "logistic-1"

    INTERCEPT: Final = -2.2
    PER_LEAD_WEEK: Final = 0.15
    LEAD_WEEKS_AT_MOST: Final = 12.0
    VIDEO: Final = -0.4
    WEEKEND: Final = 0.1

    async def score(self, event: Event, state: AnyEntity) -> float:
        """Between 0 and 1, rounded to three digits. Raises ValueError where there is no start to judge by."""
        if not isinstance(state, Appointment) or not state.start:
            raise ValueError("only appointments with a start have a risk")
        start = datetime.fromisoformat(state.start)
        lead = start - datetime.fromisoformat(event.occurred_at)
        weeks = min(max(lead.total_seconds() / 604_800, 0.0), self.LEAD_WEEKS_AT_MOST)
        logit = self.INTERCEPT + self.PER_LEAD_WEEK * weeks
        logit += self.VIDEO if state.modality == "video" else 0.0
        logit += self.WEEKEND if start.weekday() >= 5 else 0.0
        return round(1 / (1 + math.exp(-logit)), 3)


def as_json(advice: Sequence[Advised]) -> list[dict[str, Any]]:
    """For a decision record."""
    return [msgspec.to_builtins(one) for one in advice]
