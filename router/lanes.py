"""Which messages must wait for which: the order of lanes, parked messages and fences. Pure.

A lane is in order: nothing overtakes an unprocessed message of the same lane. A message with several lanes
(a merge carries both patients) waits until it is the oldest of each, in whatever partition, and everything
behind it in any of its lanes waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from store.records import Fence, Message


class Gate:
    """Lets messages of one partition through in lane order."""

    def __init__(self) -> None:
        self._blocked: dict[str, int] = {}
        self._fences: dict[str, int] = {}
        self._homes: dict[str, int] = {}
        self.parked: dict[str, int] = {}
        """Lanes with a parked message and its seq, as far as we know."""
        self.waiting: dict[int, tuple[str, ...]] = {}
        """Messages of several lanes that were not the oldest of each: seq and lanes."""
        self.held: set[int] = set()
        """Seqs of messages that were not let through."""

    def passes(self, message: Message) -> bool:
        """True where nothing older stands in a lane of the message."""
        for lane in message.lanes:
            if self._blocked and self._blocked.get(lane, message.seq) < message.seq:
                return False
            if self._fences and self._fences.get(lane, message.seq) < message.seq:
                return False
        return True

    def park(self, message: Message) -> None:
        """The message was parked just now."""
        self.block(message)
        for lane in message.lanes:
            self.parked.setdefault(lane, message.seq)

    def wait(self, message: Message) -> None:
        """The message has several lanes and is not yet the oldest of each."""
        self.block(message)
        self.waiting[message.seq] = message.lanes

    def set_aside(self, seq: int) -> None:
        """The message stays unprocessed and holds nobody up: what it waits for may come behind it in its lanes."""
        self.held.add(seq)

    def take_up(self, seq: int) -> None:
        """The message is to be read again."""
        self.held.discard(seq)

    def block(self, message: Message) -> None:
        """The message stays unprocessed: whatever comes later in its lanes is held."""
        self.held.add(message.seq)
        for lane in message.lanes:
            if self._blocked.get(lane, message.seq) >= message.seq:
                self._blocked[lane] = message.seq

    def set_fences(self, fences: Iterable[Fence]) -> bool:
        """Take note of the fences there are now; True where one has gone since."""
        before = self._fences
        self._fences, self._homes = {}, {}
        for fence in fences:
            if self._fences.get(fence.lane, fence.message_seq) >= fence.message_seq:
                self._fences[fence.lane] = fence.message_seq
                self._homes[fence.lane] = fence.home
        return any(self._fences.get(lane) != seq for lane, seq in before.items())

    @property
    def holders(self) -> list[int]:
        """Seqs of the unprocessed messages, parked ones apart, that hold others back."""
        return sorted(set(self._blocked.values()) - set(self.parked.values()))

    def restart(self, parked: Mapping[str, int]) -> int:
        """Forget who was held, keep who is parked. Returns the seq to read again from (exclusive)."""
        first = min(self.held, default=0)
        self.parked = dict(parked)
        self._blocked = dict(parked)
        self.held = set(parked.values())
        self.waiting = {}
        return max(first - 1, 0)

    def homes(self, lanes: Iterable[str] | None = None) -> set[int]:
        """Partitions whose messages stand in our lanes as fences: ring them when we have moved."""
        if not self._homes:
            return set()
        if lanes is None:
            return set(self._homes.values())
        return {self._homes[lane] for lane in lanes if lane in self._homes}
