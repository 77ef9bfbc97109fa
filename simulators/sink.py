"""What a simulated partner was given, so that a test can count: order per key, repetitions, effects."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import msgspec


class Arrival(msgspec.Struct, frozen=True):
    """One delivery that reached the partner."""

    identity: str
    """MSH-10, Idempotency-Key, X-Request-Id."""
    key: str
    """What the delivery is about: order matters within it."""
    body: bytes
    at: float
    """Seconds, monotonic."""
    effect: bool
    """False for a repetition that the partner recognised."""


class Sink:
    """An append-only record. With ``keep=False`` it only counts, for long runs."""

    def __init__(self, *, keep: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep = keep
        self._clock = clock
        self.arrivals: list[Arrival] = []
        self.effects: Counter[str] = Counter()
        """Effects by identity: at an idempotent partner no count is above 1."""
        self.count = 0
        self.last_at = 0.0

    def record(self, identity: str, key: str, body: bytes, *, effect: bool) -> None:
        """Note one delivery."""
        self.count += 1
        self.last_at = self._clock()
        if effect:
            self.effects[identity] += 1
        if self._keep:
            self.arrivals.append(Arrival(identity, key, body, self.last_at, effect))

    def order(self, key: str) -> list[str]:
        """Identities of the effects about `key`, in the order in which they happened."""
        return [a.identity for a in self.arrivals if a.key == key and a.effect]

    def all_keys(self) -> list[str]:
        """All keys, in order of first arrival."""
        return list(dict.fromkeys(a.key for a in self.arrivals))

    def repeated(self) -> dict[str, int]:
        """Identities that had more than one effect. Must be empty."""
        return {identity: count for identity, count in self.effects.items() if count > 1}
