"""A draft in the order of its structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final, NamedTuple

from connectors.hl7v2.delimiters import STANDARD
from connectors.hl7v2.dictionary import Node, dictionary
from connectors.hl7v2.er7 import Message, Segment
from connectors.hl7v2.views import Draft, new_segment

_LAST: Final = 10_000
_place = itemgetter(0)


def written(draft: Draft, structure: str, version: str, set_ids: Sequence[str]) -> Message:
    """The message that a draft is; fields named in `set_ids` are numbered by counting."""
    segments: list[Segment] = []
    _in_order(draft, _order(structure, version), 1, _numbered(tuple(set_ids)), segments)
    return Message(segments, STANDARD)


class _Order(NamedTuple):
    """The children of a group in the order of the structure."""

    segments: dict[str, int]
    groups: dict[str, tuple[int, _Order]]
    opener: str
    """A segment that the group cannot be without; empty where it can."""


@lru_cache(maxsize=256)
def _numbered(set_ids: tuple[str, ...]) -> Mapping[str, Sequence[int]]:
    """By segment, the fields that are numbered."""
    numbered: dict[str, list[int]] = {}
    for place in set_ids:
        segment, _, field = place.rpartition("/")[2].partition("-")
        numbered.setdefault(segment, []).append(int(field))
    return numbered


@lru_cache(maxsize=64)
def _order(structure: str, version: str) -> _Order:
    plan = dictionary(version).structure(structure)
    return _ordered(plan.children if plan is not None else ())


def _ordered(children: Sequence[Node]) -> _Order:
    order = _Order({}, {}, children[0].name if children and children[0].required and not children[0].is_group else "")
    for position, child in enumerate(children):
        if child.is_group:
            order.groups.setdefault(child.name, (position, _ordered(child.children)))
        else:
            order.segments.setdefault(child.name, position)
    return order


def _in_order(draft: Draft, order: _Order, index: int, numbered: Mapping[str, Sequence[int]],
              out: list[Segment]) -> None:
    """Append the segments of a draft in the order of the structure; what it does not know comes last."""
    if order.opener and order.opener not in draft.segments:
        draft.segments[order.opener] = [new_segment(order.opener)]
    if len(draft.segments) == 1 and not draft.groups:
        for name, segments in draft.segments.items():
            _number_all(segments, numbered.get(name, ()), index if order.segments.get(name) == 0 else 1, out)
        return
    places = [(order.segments.get(name, _LAST), name) for name in draft.segments]
    places += [(order.groups[name][0], name) for name in draft.groups if name in order.groups]
    places.sort(key=_place)
    for place, name in places:
        if name in order.groups and order.groups[name][0] == place:
            for number, group in enumerate(draft.groups[name], 1):
                _in_order(group, order.groups[name][1], number, numbered, out)
            continue
        _number_all(draft.segments[name], numbered.get(name, ()), index if place == 0 else 1, out)


def _number_all(segments: Sequence[Segment], numbered: Sequence[int], start: int, out: list[Segment]) -> None:
    """Append segments of one name, with the fields that are numbered and without the empty ones at the end."""
    for number, segment in enumerate(segments, start):
        for field in numbered:
            if not segment.field(field):
                segment.set(field, str(number))
        segment.close()
        out.append(segment)
