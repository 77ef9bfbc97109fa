"""A case, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Final, TypeVar

import msgspec

from canonical.coverage import Difference
from canonical.document import Extracted
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.model import Identifier
from canonical.phi import Value
from canonical.task import TaskStatus

E = TypeVar("E")

#: Who gives our numbers: traces of questions, numbers of tasks.
OURS: Final = "DRAGOMAN"
_MARK: Final = f":{OURS}|"


def key_of(kind: str, number: str) -> str:
    """Key of something of ours: ``eligibility:DRAGOMAN|1A2B…``."""
    return f"{kind}{_MARK}{number}"


def ours(key: str) -> bool:
    """True for a key that `key_of` made."""
    return _MARK in key


def number(*facts: object) -> str:
    """A number that is the same for the same facts: 20 hexadecimal digits, upper case (X12 basic characters)."""
    told = msgspec.json.encode([str(fact) for fact in facts])
    return blake2b(told, digest_size=10).hexdigest().upper()


def identifier(value: str, kind: str) -> Identifier:
    """One of our numbers as an identifier."""
    return Identifier(value=value, type=kind, assigner=OURS)


class Known(msgspec.Struct, frozen=True):
    """The present state of something else that the case depends on."""

    key: str
    entity: AnyEntity


class Answered(msgspec.Struct, frozen=True):
    """A task of the case that there is already."""

    status: TaskStatus
    outcome: str = ""
    since: int = 0
    """When it was opened, in microseconds since the epoch."""
    ended: int = 0
    """When it was answered, or closed by itself; 0 while it is open."""


class Unsent(msgspec.Struct, frozen=True):
    """A question of ours that has not left."""

    since: int
    """When it was asked, in microseconds since the epoch."""
    blocked: bool
    """It is ours to mend: the destination refuses everything, the delivery is parked, or no route takes it. Otherwise
    the payer is away, and the question goes out by itself."""
    leaving: bool = False
    """It is being sent right now."""


class Case(Value, frozen=True, kw_only=True):
    """Everything a decider may look at."""

    key: str
    entity: AnyEntity
    event: Event
    """The newest event of the case."""
    patient_key: str = ""
    now: int
    """Microseconds since the epoch."""
    related: Mapping[str, AnyEntity] = {}
    """By key: what is open of the same person, what was said last first, and what the case asked for."""
    tasks: Mapping[str, Answered] = {}
    """By id."""
    unsent: Mapping[str, Unsent] = {}
    """By key: questions of this case that wait and have not left yet."""

    def related_of(self, kind: type[E]) -> Iterator[tuple[str, E]]:
        """Related states of one type, in the order of their keys."""
        return ((key, entity) for key, entity in sorted(self.related.items()) if isinstance(entity, kind))


class Question(Value, frozen=True, kw_only=True):
    """A task that should be open now."""

    type: str
    reason: str
    facts: tuple[str, ...] = ()
    """What makes it another question than the last one about the same thing."""
    queue: str = ""
    """Empty: as the site says for its type."""
    priority: int = 0
    due_at: int = 0
    playbook: str = ""
    subjects: tuple[str, ...] = ()
    """What else it is about, beside the case."""
    evidence: tuple[Extracted, ...] = ()
    differences: tuple[Difference, ...] = ()
    blocks: bool = False
    actions: tuple[str, ...] = ("done", "reject")

    def id(self, case: str) -> str:
        """The number of the task: the same question is the same task."""
        return number(case, self.type, self.reason, *self.facts).lower()


class Command(Value, frozen=True, kw_only=True):
    """Something that should happen once: an event of ours, which is then routed like any other."""

    event: str
    """``eligibility.requested``"""
    subject_key: str
    entity: AnyEntity
    effect: tuple[str, ...]
    """Its identity: whatever is given twice with the same effect happens once (D06, A6.6)."""
    decision: str = ""
    """The type of decision it is (invariant 13); empty: it records what is so and decides nothing."""
    early: int = 0
    """Its place before whatever else is said about its subject, whatever the clocks of others say; 0: at its own time.
    A question is 1, its leaving 2, the end of our patience 3."""
    lane: str = ""
    """What it stands in line with; empty: its subject."""


class Wish(msgspec.Struct):
    """What should be so. Deciders add to it."""

    questions: list[Question] = []
    commands: list[Command] = []
    looks: list[str] = []
    """Cases that depend on this one."""
    next_at: int = 0
    """When time alone may change the answer; 0: never."""

    def remind(self, at: int, now: int) -> None:
        """Look again at `at`, where that is still to come."""
        if at > now:
            self.next_at = min(self.next_at or at, at)

