"""What comes out differently between two revisions, over messages that were really received.

Changes are grouped by canonical field and by the row that causes them; of values only their kind is told, so
that a plan can be read by people who may not see patients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET

from canonical.event import Event
from canonical.findings import Rejection
from mapper.format import Wire
from mapper.mapping import Mapping, ReadContext, Trace, leaves
from mapper.recorder import Lineage

_EXAMPLES: Final = 5


class Sample(msgspec.Struct, frozen=True):
    """One stored message."""

    wire: Wire
    context: ReadContext


class Change(msgspec.Struct, frozen=True):
    """One way in which something comes out differently."""

    what: str
    """Canonical field without positions (``participants().status``), ``event``, ``findings``, ``subject``."""
    before: str
    """``value``, ``cleared``, ``absent``; an event type; a finding code."""
    after: str
    cause: tuple[str, ...]
    """Rows (``file:line:column``) that gave the old and the new value, where they are known."""
    messages: int
    """In how many messages."""
    examples: tuple[str, ...]
    """Ids of a few of them."""


class Comparison(msgspec.Struct, frozen=True):
    """The whole difference."""

    messages: int
    unchanged: int
    changes: tuple[Change, ...]
    """Most frequent first."""


def compare(before: Mapping, after: Mapping, samples: Iterable[Sample]) -> Comparison:
    """Read every sample with both revisions.

    A message that neither can read is unchanged; one that only one can read is a change of ``event``.
    """
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    total = unchanged = 0
    for sample in samples:
        total += 1
        # Most messages read the same: only those that do not are traced.
        if _events(before, sample) == _events(after, sample):
            unchanged += 1
            continue
        for key in dict.fromkeys(_differences(_trace(before, sample), _trace(after, sample))):
            groups.setdefault(key, []).append(sample.context.message_id)
    changes = [Change(what, old, new, cause, len(ids), tuple(ids[:_EXAMPLES]))
               for (what, old, new, cause), ids in groups.items()]
    changes.sort(key=lambda change: (-change.messages, change.what))
    return Comparison(total, unchanged, tuple(changes))


def _events(mapping: Mapping, sample: Sample) -> object:
    try:
        reading = mapping.read(sample.wire, sample.context)
    except Rejection as rejection:
        return [found.code for found in rejection.findings]
    return ([msgspec.structs.replace(event, revision="") for event in reading.events],
            [(found.code, found.field) for found in reading.findings])


def _trace(mapping: Mapping, sample: Sample) -> Trace | None:
    try:
        return mapping.trace(sample.wire, sample.context)
    except Rejection:
        return None


def _differences(before: Trace | None, after: Trace | None) -> Iterable[tuple[str, str, str, tuple[str, ...]]]:
    old, new = _of(before), _of(after)
    if [event.type for event, _ in old] != [event.type for event, _ in new]:
        yield ("event", _types(old), _types(new), ())
    for (one, rows), (other, new_rows) in zip(old, new, strict=False):
        if one.subject_key != other.subject_key:
            yield ("subject", "value", "value", ())
        left, right = _flat(one), _flat(other)
        for field in sorted(left.keys() | right.keys()):
            was, now = left.get(field, UNSET), right.get(field, UNSET)
            if was != now:
                cause = [row for row in (rows.get(field, ""), new_rows.get(field, "")) if row]
                yield (_pattern(field), _kind(was), _kind(now, was), tuple(dict.fromkeys(cause)))
    yield from _findings(before, after)


def _of(trace: Trace | None) -> list[tuple[Event, dict[str, str]]]:
    if trace is None or not trace.reading.events:
        return []
    return [(event, {entry.field: _cause(entry) for entry in lineage})
            for event, lineage in zip(trace.reading.events, trace.lineage, strict=False)]


def _cause(entry: Lineage) -> str:
    return entry.code_row or entry.row


def _types(events: list[tuple[Event, dict[str, str]]]) -> str:
    return ", ".join(event.type for event, _ in events) or "none"


def _flat(event: Event) -> dict[str, Any]:
    return {leaf: _value(event.entity, leaf) for leaf in leaves(event.entity)}


def _value(value: Any, path: str) -> Any:
    for name, argument in re.findall(r"([a-z_0-9]+)(?:\(([^()]*)\))?", path):
        value = getattr(value, name)
        if argument:
            value = value[int(argument)] if isinstance(value, tuple) else value[argument]
    return value


def _pattern(field: str) -> str:
    return re.sub(r"\(\d+\)", "()", field)


def _kind(value: Any, other: Any = UNSET) -> str:
    if value is UNSET:
        return "absent"
    if value is None:
        return "cleared"
    return "another value" if other is not UNSET and other is not None else "value"


def _findings(before: Trace | None, after: Trace | None) -> Iterable[tuple[str, str, str, tuple[str, ...]]]:
    old = {(found.code, _pattern(found.field)) for found in before.reading.findings} if before else set()
    new = {(found.code, _pattern(found.field)) for found in after.reading.findings} if after else set()
    for code, field in sorted(old - new):
        yield (f"finding {field}".strip(), code, "none", ())
    for code, field in sorted(new - old):
        yield (f"finding {field}".strip(), "none", code, ())
