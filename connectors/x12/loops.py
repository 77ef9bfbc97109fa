"""The loops of a transaction set: which NM1 is the payer and which EB belongs to whom (X19).

A guide is a small automaton: the state is the stack of open loops, each with how far it has got. Its moves are
computed once and remembered, so that a segment costs one look-up. Nothing is demanded of the message: what a
guide does not allow here is put where it fits best, or left with the segment before it, and told as a `Stray`.
Every segment of the set is in the tree exactly once.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from connectors.x12.edi import Segment, TransactionSet
from connectors.x12.guide import Guide, LoopSpec, SegmentSpec, dictionary

_LEVEL: Final = "HL"


class Loop(msgspec.Struct, eq=False, gc=False):
    """A loop of a message; the root is the transaction set."""

    id: str
    """``2100C``; empty for the root."""
    spec: LoopSpec | None = None
    """None for a set without guide."""
    segments: list[Segment] = []
    """Those directly in this loop, in wire order."""
    specs: list[SegmentSpec | None] = []
    """What the guide calls each of them; None where it does not know it."""
    numbers: list[int] = []
    """Position of each in the set; ST is 1."""
    loops: list[Loop] = []
    """Loops inside, in wire order."""

    def first(self, name: str) -> Segment | None:
        """The first segment of that name directly in this loop."""
        for segment in self.segments:
            if segment.id == name:
                return segment
        return None

    def all(self, name: str) -> list[Segment]:
        """The segments of that name directly in this loop."""
        return [segment for segment in self.segments if segment.id == name]

    def find(self, loop: str) -> list[Loop]:
        """The loops of that id below, at any depth, in wire order."""
        found: list[Loop] = []
        _find(self, loop, found)
        return found

    @property
    def last_number(self) -> int:
        """Position of the last segment in this loop and those inside."""
        numbers = self.numbers[-1] if self.numbers else 0
        return max(numbers, self.loops[-1].last_number) if self.loops else numbers


def _find(loop: Loop, wanted: str, found: list[Loop]) -> None:
    for inner in loop.loops:
        if inner.id == wanted:
            found.append(inner)
        if inner.loops:
            _find(inner, wanted, found)


class Misfit(StrEnum):
    """Why a segment is a stray."""

    UNKNOWN = "unknown"
    """The standard has no such segment."""
    UNEXPECTED = "unexpected"
    """The guide does not have it here."""
    SEQUENCE = "sequence"
    """The guide has it here, but earlier."""
    PARENT = "parent"
    """An HL whose parent is not there or cannot have it."""


class Stray(NamedTuple):
    """A segment that does not stand where the guide wants it."""

    number: int
    segment: Segment
    loop: Loop
    why: Misfit


class Tree(msgspec.Struct, eq=False, gc=False):
    """A set as its guide sees it."""

    root: Loop
    guide: Guide | None
    strays: list[Stray] = []


def places(loop: Loop, at: str = "") -> Iterator[tuple[Loop, str]]:
    """Every loop of a tree, the root first, with its place: ``2000A/2000B/2000C(2)/2110C(3)``."""
    yield loop, at
    numbers: dict[str, int] = {}
    for inner in loop.loops:
        number = numbers[inner.id] = numbers.get(inner.id, 0) + 1
        name = f"{inner.id}({number})" if number > 1 else inner.id
        yield from places(inner, f"{at}/{name}" if at else name)


def walk(each: TransactionSet, guide: Guide | None) -> Tree:
    """Put the segments of a set into the loops of a guide; without guide they are all in the root."""
    if guide is None:
        segments = list(each.segments)
        return Tree(Loop("", None, segments, [None] * len(segments), list(range(1, len(segments) + 1))), None)
    automaton = _automaton(guide)
    component = each.interchange.delimiters.component
    state = automaton.start
    root = Loop("", guide.root)
    tree = Tree(root, guide)
    stack = [root]
    levels: dict[str, tuple[_State, tuple[Loop, ...]]] = {}
    keys, known = automaton.keys, automaton.known
    for number, segment in enumerate(each.segments, 1):
        name = segment.id
        key = ""
        position = keys.get(name)
        if position is not None:
            key = segment.element(position[0])
            if position[1]:
                parts = key.split(component) if component else [key]
                key = parts[position[1] - 1] if position[1] <= len(parts) else ""
            if (name, key) not in known:
                key = "?"
        elif name not in automaton.names:
            name = "?"
        move = state.moves.get((name, key))
        if move is None:
            move = state.moves[name, key] = automaton.move(state, name, key)
        why = move.why
        if name == _LEVEL and move.opens is not None:
            parent = segment.element(2).strip()
            holder = stack[move.depth]
            if parent and holder.segments and holder.segments[0].element(1).strip() != parent:
                there = levels.get(parent)
                again = automaton.move(there[0], name, key) if there is not None else None
                if there is not None and again is not None and again.opens is not None and again.depth == len(
                        there[1]) - 1:
                    stack, move, why = list(there[1]), again, again.why
                else:
                    why = Misfit.PARENT
        del stack[move.depth + 1:]
        loop = stack[-1]
        if move.opens is not None:
            inner = Loop(move.opens.id, move.opens)
            loop.loops.append(inner)
            stack.append(inner)
            loop = inner
        loop.segments.append(segment)
        loop.specs.append(move.spec)
        loop.numbers.append(number)
        state = move.state
        if name == _LEVEL and move.opens is not None:
            levels.setdefault(segment.element(1).strip(), (state, tuple(stack)))
        if why is not None:
            if why is Misfit.UNEXPECTED and segment.id not in automaton.standard:
                why = Misfit.UNKNOWN
            tree.strays.append(Stray(number, segment, loop, why))
    return tree


# -- the automaton ------------------------------------------------------------------------------------------


class _State:
    """A stack of open loops, each with the ordinal it has reached."""

    __slots__ = ("moves", "path")

    def __init__(self, path: tuple[tuple[LoopSpec, int], ...]) -> None:
        self.path = path
        self.moves: dict[tuple[str, str], _Move] = {}


class _Move(NamedTuple):
    depth: int
    """Which loop of the stack the segment (or the loop it opens) belongs to."""
    opens: LoopSpec | None
    spec: SegmentSpec | None
    state: _State
    why: Misfit | None


class _Automaton:
    def __init__(self, guide: Guide) -> None:
        self._guide = guide
        self._states: dict[tuple[tuple[str, int], ...], _State] = {}
        self._ordinals: dict[int, tuple[int, ...]] = {}
        self.start = self._state(((guide.root, 0),))
        self.known: set[tuple[str, str]] = set()
        self.names: set[str] = set()
        for loop in (guide.root, *(loop for _, loop in guide.root.below())):
            for spec in loop.segments():
                self.names.add(spec.id)
                self.known.update((spec.id, key) for key in spec.keys)
        self.keys = {name: position for name, position in dictionary().keys.items() if name in self.names}
        self.standard = frozenset(dictionary().segments())

    def _state(self, path: tuple[tuple[LoopSpec, int], ...]) -> _State:
        # A loop id may stand at two places of a guide (2000E of a 278): the whole way names the state.
        name = tuple((loop.id, position) for loop, position in path)
        state = self._states.get(name)
        if state is None:
            state = self._states[name] = _State(path)
        return state

    def _of(self, loop: LoopSpec) -> tuple[int, ...]:
        """Ordinals of the items of a loop: neighbours that begin with the same segment stand at one position of
        the standard and may come in any order."""
        found = self._ordinals.get(id(loop))
        if found is None:
            numbers: list[int] = []
            before = ("", False)
            for item in loop.items:
                this = (item.id, False) if isinstance(item, SegmentSpec) else (item.opening.id, True)
                numbers.append(numbers[-1] if numbers and this == before else len(numbers))
                before = this
            found = self._ordinals[id(loop)] = tuple(numbers)
        return found

    def move(self, state: _State, name: str, key: str) -> _Move:
        """Where a segment goes. Exactly what the guide says first, then the same earlier in the guide, then a
        segment of that name whatever its qualifier says."""
        for exact, forward in ((True, True), (True, False), (False, True), (False, False)):
            if not exact and name == _LEVEL:
                break
            for depth in range(len(state.path) - 1, -1, -1):
                found = self._at(state, depth, name, key, exact=exact, forward=forward)
                if found is not None:
                    return found
        return _Move(len(state.path) - 1, None, None, state, Misfit.UNEXPECTED)

    def _at(self, state: _State, depth: int, name: str, key: str, *, exact: bool, forward: bool) -> _Move | None:
        loop, position = state.path[depth]
        for item, ordinal in zip(loop.items, self._of(loop), strict=True):
            if (ordinal >= position) is not forward:
                continue
            spec = item if isinstance(item, SegmentSpec) else item.opening
            if spec.id != name or (exact and spec.keys and key not in spec.keys):
                continue
            if isinstance(item, SegmentSpec) and spec is loop.items[0] and depth:
                continue  # the opening segment again is another loop, or a stray
            path = (*state.path[:depth], (loop, ordinal))
            why = None if forward else Misfit.SEQUENCE
            if isinstance(item, SegmentSpec):
                return _Move(depth, None, spec, self._state(path), why)
            return _Move(depth, item, spec, self._state((*path, (item, 0))), why)
        return None


#: By identity: guides live as long as the process, and comparing two of them would compare all they hold.
_automata: Final[dict[int, _Automaton]] = {}


def _automaton(guide: Guide) -> _Automaton:
    found = _automata.get(id(guide))
    if found is None:
        found = _automata[id(guide)] = _Automaton(guide)
    return found
