"""The group tree of a message: which NTE belongs to which AIS.

Segments are put into the groups that the message structure (table 0354) draws, but nothing is demanded of
the message (P10): a group whose first segment is missing is opened all the same, a late segment goes to the
group it belongs to, an unknown one stays with its predecessor. Every segment of the message is in the tree
exactly once.

A structure is a small automaton: the state is the stack of open groups, each with how far it has got. Its
moves are computed once and remembered, so that a message costs one look-up a segment.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from canonical.findings import Code, Finding, Severity, declare, finding
from connectors.hl7v2.dictionary import Node, dictionary, normal_version
from connectors.hl7v2.er7 import Message, Segment

GROUP_IMPLIED: Final = declare(
    "hl7.group_implied", Severity.INFO,
    "A group was opened without its first segment, which the structure requires",
    "Nothing to do, unless the missing segment (RGS, PID) carries something you need.")
OUT_OF_ORDER: Final = declare(
    "hl7.out_of_order", Severity.INFO,
    "A segment comes later than the structure allows; it was put into the group it belongs to",
    "Check that the group shown is the one the sender means.")
NOTE_AMBIGUOUS: Final = declare(
    "hl7.note_ambiguous", Severity.WARNING,
    "A note stands where the structure allows none; it was given to the nearest segment that may have notes",
    "Ask the sender what the note is about; a mapping row can then read it there.")
NOT_IN_STRUCTURE: Final = declare(
    "hl7.segment_not_in_structure", Severity.INFO,
    "The message structure does not have this segment; it was left with the segment before it",
    "Nothing to do, unless a mapping should read it.")


class Group(msgspec.Struct, eq=False, gc=False):
    """A group of segments; the root is the message."""

    name: str
    """``RESOURCES``; the root is named as its structure."""
    _plan: _Plan | None
    segments: list[Segment] = []
    """Those directly in this group, in wire order."""
    groups: list[Group] = []
    """Sub-groups in wire order."""

    def select(self, name: str) -> list[Group]:
        """The direct sub-groups of that name."""
        return [group for group in self.groups if group.name == name]

    def all(self, name: str) -> list[Segment]:
        """Segments of that name: the group's own, where the structure puts such a segment into this group;
        else those of its sub-groups too, in wire order (``PID-3`` can be read from the root)."""
        own = [segment for segment in self.segments if segment.id == name]
        if own or (self._plan is not None and name in self._plan.own):
            return own
        return [segment for group in self.groups for segment in group.all(name)]

    def first(self, name: str) -> Segment | None:
        """The first of `all`."""
        for segment in self.segments:
            if segment.id == name:
                return segment
        if self._plan is None or name not in self._plan.own:
            for group in self.groups:
                if (found := group.first(name)) is not None:
                    return found
        return None

    def __repr__(self) -> str:
        return f"Group({self.name!r}, {len(self.segments)} segments, {len(self.groups)} groups)"


# -- which structure ----------------------------------------------------------------------------------------

#: Table 0354: events that share a structure with another event. Others have their own (``TYPE_EVENT``).
_SHARED: Final[dict[str, str]] = {
    **{f"SIU_S{n}": "SIU_S12" for n in range(12, 28)},
    **{f"SRM_S{n:02}": "SRM_S01" for n in range(1, 12)},
    **{f"SRR_S{n:02}": "SRR_S01" for n in range(1, 12)},
    **{f"ADT_A{n:02}": f"ADT_A{of:02}" for of, events in {
        1: (4, 8, 13), 5: (14, 28, 31), 6: (7,), 9: (10, 11), 21: (22, 23, 25, 26, 27, 29, 32, 33),
        30: (34, 35, 36, 46, 47, 48, 49), 39: (40, 41, 42), 43: (44,), 50: (51,), 52: (53,), 54: (55,),
        61: (62,)}.items() for n in events},
    **{f"REF_I{n}": "REF_I12" for n in range(13, 16)}, **{f"RRI_I{n}": "RRI_I12" for n in range(13, 16)},
    **{f"RQA_I{n:02}": "RQA_I08" for n in range(9, 12)}, **{f"RPA_I{n:02}": "RPA_I08" for n in range(9, 12)},
    **{f"RQI_I{n:02}": "RQI_I01" for n in (2, 3, 7)}, **{f"RPI_I{n:02}": "RPI_I01" for n in (4,)},
}


@lru_cache(maxsize=1024)
def structure_of(version: str, message_type: str, separator: str = "^") -> str:
    """The structure that MSH-12 and MSH-9 mean (P11); empty if MSH-9 is.

    The event decides, where table 0354 knows it (``SIU^S13`` is SIU_S12, whatever MSH-9.3 says); then MSH-9.3,
    ``CODE_EVENT`` and the code alone, the first that the dictionary has; else the best guess of these.
    """
    parts = message_type.split(separator) if separator else [message_type]
    code, event, declared = (part.strip() for part in (*parts, "", "", "")[:3])
    if code == "ACK":
        return "ACK"
    by_event = f"{code}_{event}" if code and event else ""
    names = [name for name in (_SHARED.get(by_event), declared, by_event, code) if name]
    known = dictionary(version)
    return next((name for name in names if known.structure(name)), names[0] if names else "")


# -- the automaton ------------------------------------------------------------------------------------------


class _Plan(msgspec.Struct, eq=False):
    """A group of a structure, prepared for placing segments."""

    name: str
    index: int
    """Position in the parent."""
    repeats: bool
    children: tuple[tuple[str, bool, _Plan | None], ...]
    """(segment or group name, repeats, plan of the group)"""
    own: frozenset[str]
    """Segments directly inside."""
    inside: frozenset[str]
    """Segments here or below."""
    openers: frozenset[str]
    """Segments that may come first."""

    def position(self, name: str) -> int:
        """Index of the first child of that name."""
        return next(index for index, child in enumerate(self.children) if child[0] == name)


def _plan(node: Node, index: int) -> _Plan:
    children = tuple((child.name, child.repeats, _plan(child, at) if child.is_group else None)
                     for at, child in enumerate(node.children))
    own = frozenset(name for name, _, plan in children if plan is None)
    openers: set[str] = set()
    for child, (name, _, plan) in zip(node.children, children, strict=True):
        openers |= {name} if plan is None else plan.openers
        if child.required and not node.choice:
            break
    inside = own.union(*(plan.inside for _, _, plan in children if plan is not None))
    return _Plan(node.name, index, node.repeats, children, own, inside, frozenset(openers))


class _Frame(NamedTuple):
    plan: _Plan
    reached: int
    """Index of the child that was filled last."""


class _Move(NamedTuple):
    """What placing one segment means."""

    depth: int
    """How many open groups the way starts from."""
    way: tuple[_Plan, ...]
    """Sub-groups to walk from there; the segment goes into the last."""
    fresh: int
    """The first of `way` that must be a new group; those before it may be the last one there is."""
    after: _State | None
    """The next state; None where the open groups stay as they are."""
    note: Code | None
    """The finding, if the segment is not where the structure wants it."""


class _State:
    """A state of the automaton: the open groups. Knows the moves found so far."""

    __slots__ = ("frames", "moves")

    def __init__(self, frames: tuple[_Frame, ...]) -> None:
        self.frames = frames
        self.moves: dict[str, _Move] = {}


class _Automaton:
    """One structure. The number of states is bounded by the structure; unknown names are not remembered."""

    def __init__(self, structure: Node) -> None:
        self.root = _plan(structure, 0)
        self._states: dict[tuple[_Frame, ...], _State] = {}
        self.start = _State((_Frame(self.root, -1),))

    def move(self, state: _State, name: str) -> _Move | None:
        """Where a segment goes; None if the structure does not have it."""
        if name not in self.root.inside:
            return None
        move = self._forward(state, name) or self._anywhere(state, name)
        state.moves[name] = move
        return move

    def _forward(self, state: _State, name: str) -> _Move | None:
        """The innermost place that the structure allows next."""
        for depth in range(len(state.frames), 0, -1):
            plan, reached = state.frames[depth - 1]
            for index in range(max(0, reached), len(plan.children)):
                child, repeats, sub = plan.children[index]
                if index == reached and not repeats:
                    continue
                if child == name and sub is None:
                    return _Move(depth, (), 0, self._after(state, depth, index, (), name), None)
                if sub is not None and name in sub.openers:
                    way = _way(sub, name)
                    return _Move(depth, way, 0, self._after(state, depth, index, way, name), None)
        return None

    def _anywhere(self, state: _State, name: str) -> _Move:
        """The innermost open group that has such segments itself, or whose sub-group begins with one; else the
        innermost that has any deeper down."""
        late = NOTE_AMBIGUOUS if name == "NTE" else OUT_OF_ORDER
        depths = range(len(state.frames), 0, -1)
        for depth in depths:
            plan = state.frames[depth - 1].plan
            if name in plan.own:
                return _Move(depth, (), 0, None, late)
            if name in plan.inside and name in (way := _way(plan, name)[1:])[-1].openers:
                return self._descend(state, depth, way, name, late)
        depth = next(depth for depth in depths if name in state.frames[depth - 1].plan.inside)
        return self._descend(state, depth, _way(state.frames[depth - 1].plan, name)[1:], name, late)

    def _descend(self, state: _State, depth: int, way: tuple[_Plan, ...], name: str, late: Code) -> _Move:
        reached = state.frames[depth - 1].reached
        opens = name in way[-1].openers
        ahead = way[0].index > reached
        # A segment that does not begin a group does not close those that are open: AIP may follow a late PV1.
        after = self._after(state, depth, max(reached, way[0].index), way, name) if opens or ahead else None
        return _Move(depth, way, len(way) - opens, after, GROUP_IMPLIED if ahead else late)

    def _after(self, state: _State, depth: int, index: int, way: tuple[_Plan, ...], name: str) -> _State:
        """The state with `depth` groups left open, the last of them at child `index`, and `way` opened."""
        frames = [*state.frames[:depth - 1], _Frame(state.frames[depth - 1].plan, index)]
        for position, plan in enumerate(way):
            last = position + 1 == len(way)
            reached = plan.position(name) if last else way[position + 1].index
            frames.append(_Frame(plan, reached))
        key = tuple(frames)
        return self._states.setdefault(key, _State(key))


def _way(plan: _Plan, name: str) -> tuple[_Plan, ...]:
    """The groups from `plan` down to the one that has such a segment, the shallowest one."""
    level: list[tuple[_Plan, ...]] = [(plan,)]
    while level:
        for way in level:
            if name in way[-1].own:
                return way
        level = [(*way, sub) for way in level for _, _, sub in way[-1].children
                 if sub is not None and name in sub.inside]
    raise AssertionError(f"{name} is not inside {plan.name}")


@lru_cache(maxsize=256)
def _automaton(version: str, structure: str) -> _Automaton | None:
    node = dictionary(version).structure(structure)
    return None if node is None else _Automaton(node)


@lru_cache(maxsize=1024)
def _automaton_for(version: str, message_type: str, separator: str) -> tuple[str, _Automaton | None]:
    structure = structure_of(version, message_type, separator)
    return structure, _automaton(normal_version(version), structure)


def groups(message: Message, structure: str = "", version: str = "",
           notes: list[Finding] | None = None) -> Group:
    """The group tree of a message. `structure` and `version` default to what the message says (P11, P12).

    An unknown structure gives a root holding all segments. Findings about segments in odd places are added
    to `notes`.
    """
    header = message.first("MSH")
    version = version or (header.field(12) if header else "")
    if structure:
        automaton = _automaton(normal_version(version), structure)
    else:
        structure, automaton = _automaton_for(version, header.field(9) if header else "",
                                              message.delimiters.component)
    if automaton is None:
        return Group(structure, None, list(message.segments))
    root = Group(structure, automaton.root)
    stack = [root]
    state = automaton.start
    for number, segment in enumerate(message.segments, 1):
        name = segment.id
        move = state.moves.get(name) or automaton.move(state, name)
        if move is None:
            stack[-1].segments.append(segment)
            if notes is not None and not name.startswith("Z"):
                notes.append(finding(NOT_IN_STRUCTURE, at=f"line {number}"))
            continue
        depth, way, fresh, after, note = move
        group = stack[depth - 1]
        if after is None:
            for plan in way:
                group = _last(group, plan)
        else:
            state = after
            del stack[depth:]
            for position, plan in enumerate(way):
                group = _last(group, plan) if position < fresh else _new(group, plan)
                stack.append(group)
        group.segments.append(segment)
        if note is not None and notes is not None:
            notes.append(finding(note, at=f"line {number}", detail=f"{name} was put into {group.name}"))
    return root


def _new(parent: Group, plan: _Plan) -> Group:
    group = Group(plan.name, plan)
    parent.groups.append(group)
    return group


def _last(parent: Group, plan: _Plan) -> Group:
    """The last such sub-group, or a new one."""
    for group in reversed(parent.groups):
        if group.name == plan.name:
            return group
    return _new(parent, plan)
