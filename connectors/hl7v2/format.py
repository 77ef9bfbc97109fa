r"""HL7 v2 for the mapping language: paths such as ``RESOURCES(*)/SERVICE(*)/AIS-3.1``, checked by the dictionary.

Satisfies ``mapper.format.Format`` structurally. A path is resolved once into functions that walk a `View`
(a message or group with what was looked up in it), a list of components, or, when writing, a `Draft`.

All functions work on the standard encoding characters; a message with others is re-encoded before it is read
(P01), so the common case pays nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

from canonical.paths import Cells, PathError, Spot
from connectors.hl7v2.delimiters import NULL, STANDARD, components, repetitions, subcomponents
from connectors.hl7v2.dictionary import Dictionary, Field, Node, dictionary
from connectors.hl7v2.er7 import HEADERS, Message, Segment, parse
from connectors.hl7v2.escapes import escape, marked, unescape
from connectors.hl7v2.structure import Group, groups

_DEFAULT_VERSION: Final = "2.5.1"
_HEADER: Final = "MSH"
_NOTHING: Final = Segment("", "", "|")
#: Types the mapper's codecs read whole, degree of precision and all (T05).
_TIMES: Final = frozenset({"TS", "DTM", "DT", "TM"})
#: Types without components: what looks like a delimiter there is text that the sender forgot to escape.
_WHOLE: Final = _TIMES | {"TX", "FT"}
#: Which occurrence: a number, all, or the first whose field holds a code (``PRD-1=RP``).
_WHICH: Final = r"\d+|\*|[A-Z0-9.-]+=[^()/=]+"
_PATH: Final = re.compile(rf"(?P<groups>(?:[A-Za-z_0-9]+(?:\((?:{_WHICH})\))?/)*)"
                          rf"(?P<name>[A-Za-z_][A-Za-z_0-9]*)(?:\((?P<rep>{_WHICH})\))?"
                          r"(?:-(?P<field>\d+)(?::(?P<cast>[A-Z][A-Z0-9]*))?(?:\((?P<frep>\d+|\*)\))?"
                          r"(?:\.(?P<comp>\d+)(?:\.(?P<sub>\d+))?)?)?\Z")
_GROUP: Final = re.compile(rf"([A-Za-z_0-9]+)(?:\(({_WHICH})\))?/")
_CONDITION: Final = re.compile(r"(?:([A-Z][A-Z0-9]{2})-)?(\d+)(?:\.(\d+))?=(.+)\Z")
_RELATIVE: Final = re.compile(r"(\d+)(?:\.(\d+))?\Z")

Parts: TypeAlias = list[str]
First: TypeAlias = Callable[[Any], Any]


# -- nodes --------------------------------------------------------------------------------------------------


class View:
    """A message, group or segment that rows start from; remembers the segments looked up in it."""

    __slots__ = ("found", "group", "walked")

    def __init__(self, group: Group | None, found: dict[str, Segment]) -> None:
        self.group = group
        self.found = found
        self.walked: dict[str, list[Group]] = {}
        """The groups along ways that were looked up before."""

    def locate(self, key: str, way: tuple[str, ...], name: str) -> Segment:
        """The first segment `name` in the groups `way`; wherever it is, where it is not there (P10)."""
        group = self.group
        found: Segment | None = None
        if group is not None:
            inner: Group | None = group
            for step in way:
                inner = next((each for each in inner.groups if each.name == step), None) if inner else None
            found = inner.first(name) if inner is not None else None
            if found is None and way:
                found = group.first(name)
        segment = _NOTHING if found is None else found
        self.found[key] = segment
        return segment


class Draft(View):
    """A group being written."""

    __slots__ = ("groups", "name", "segments")

    def __init__(self, name: str) -> None:
        super().__init__(None, {})
        self.name = name
        self.segments: dict[str, list[Segment]] = {}
        self.groups: dict[str, list[Draft]] = {}

    def locate(self, key: str, way: tuple[str, ...], name: str) -> Segment:
        """As for a view; nothing is remembered of what is not there yet."""
        inner: Draft = self
        for step in way:
            there = inner.groups.get(step)
            if not there:
                return _NOTHING
            inner = there[0]
        there_ = inner.segments.get(name)
        return there_[0] if there_ else _NOTHING

    def into(self, way: tuple[str, ...]) -> Draft:
        """The first group along `way`, made where it is not there."""
        inner = self
        for step in way:
            there = inner.groups.setdefault(step, [])
            if not there:
                there.append(Draft(step))
            inner = there[0]
        return inner

    def segment(self, key: str, way: tuple[str, ...], name: str) -> Segment:
        """The first segment `name` in `way`, made where it is not there."""
        segment = self.found.get(key)
        if segment is None:
            inner = self.into(way)
            there = inner.segments.setdefault(name, [])
            if not there:
                there.append(new_segment(name))
            segment = self.found[key] = there[0]
        return segment


def new_segment(name: str) -> Segment:
    """An empty segment."""
    return Segment(name, None, "|", "\r", [name])


# -- text ---------------------------------------------------------------------------------------------------


def _leaf(raw: str) -> str:
    """The first component of the first repetition: what a plain value is, whatever follows it (P07)."""
    if "~" in raw:
        raw = raw[:raw.index("~")]
    if "^" in raw:
        raw = raw[:raw.index("^")]
    if "&" in raw:
        raw = raw[:raw.index("&")]
    return raw


def _part(raw: str, comp: int, sub: int) -> str:
    """Component `comp` of a repetition, its subcomponent `sub` (0: all of it)."""
    parts = raw.split("^")
    if comp > len(parts):
        return ""
    part = parts[comp - 1]
    if sub:
        subs = part.split("&")
        return subs[sub - 1] if sub <= len(subs) else ""
    return part


def _with_part(raw: str, comp: int, sub: int, value: str) -> str:
    parts = raw.split("^")
    _set_part(parts, comp, sub, value)
    return "^".join(parts)


def _set_part(parts: Parts, comp: int, sub: int, value: str) -> None:
    if comp > len(parts):
        parts.extend([""] * (comp - len(parts)))
    if sub:
        subs = parts[comp - 1].split("&")
        if sub > len(subs):
            subs.extend([""] * (sub - len(subs)))
        subs[sub - 1] = value
        value = "&".join(subs)
    parts[comp - 1] = value


def _nth(separator: str, number: int) -> Callable[[str], str]:
    """From a text to its part `number`, from 1; empty where it has not as many."""
    index = number - 1

    def nth(raw: str) -> str:
        parts = raw.split(separator, number)
        return parts[index] if index < len(parts) else ""

    return nth


def _raise_level(raw: str) -> str:
    """A composite inside a component, its subcomponents as components."""
    return raw.replace("&", "^")


def _lower_level(raw: str) -> str:
    return raw.replace("&", "").replace("^", "&")


def _rep(raw: str, number: int) -> str:
    if "~" not in raw:
        return raw if number == 1 else ""
    reps = raw.split("~")
    return reps[number - 1] if number <= len(reps) else ""


def _with_rep(raw: str, number: int, value: str) -> str:
    reps = raw.split("~") if raw else [""]
    if number > len(reps):
        reps.extend([""] * (number - len(reps)))
    reps[number - 1] = value
    return "~".join(reps)


def trimmed(place: str) -> str:
    """A place without what goes without saying: ``PID-3.1.1`` is ``PID-3`` (A ≡ A^, P07)."""
    while place.endswith(".1"):
        place = place[:-2]
    return place


# -- paths --------------------------------------------------------------------------------------------------


class _Path:
    """What all paths have."""

    def __init__(self, text: str, wire_type: str, kind: str, *, repeats: bool) -> None:
        self.text = text
        self.wire_type = wire_type
        self.kind = kind
        self.repeats = repeats
        self.container = kind == "container"
        self.whole = wire_type in _WHOLE
        self.partial = False
        self.cells: Cells | None = None
        self.spot: Spot | None = None
        self.first: First = _unused
        self.every: Callable[[Any], Sequence[Any]] = _unused
        self.put: Callable[[Any, Any], None] = _unused
        self.add: Callable[[Any, Any], None] = _unused
        self.child: First = _unused

    def tested(self, node: Any, at: str) -> list[str]:
        """See ``mapper.format.Path``."""
        return []


class _Condition:
    """One occurrence among several, told by a code in it: ``PRD-1=RP`` of a group, ``3=GDT`` of a segment."""

    def __init__(self, text: str, name: str) -> None:
        match = _CONDITION.match(text)
        if match is None:
            raise PathError(f"{text} is no condition", hint="write SEGMENT-FIELD=CODE, as in PRD-1=RP")
        self.segment, self.field, self.component = match[1] or name, int(match[2]), int(match[3] or 1)
        self.code = match[4]

    @property
    def place(self) -> str:
        """What it looks at, from the group."""
        return trimmed(f"{self.segment}-{self.field}.{self.component}")

    def holds(self, segment: Segment | None) -> bool:
        """True where any repetition of the field is the code."""
        return segment is not None and any(
            _leaf(_part(each, self.component, 0)) == self.code for each in segment.field(self.field).split("~"))

    def state(self, segment: Segment) -> None:
        """Write the code, where nothing stands yet."""
        if not segment.field(self.field):
            segment.set(self.field, _with_part("", self.component, 0, self.code))


def _unused(*_: Any) -> Any:
    raise TypeError("this kind of path cannot be used so")


class PartPath(_Path):
    """A component or subcomponent of a composite: ``4.2`` in a data-type table."""

    def __init__(self, text: str, known: Dictionary, wire_type: str, comp: int, sub: int) -> None:
        kind = _kind(known, wire_type)
        super().__init__(text, wire_type, kind, repeats=False)
        self._known = known
        self.partial = True
        index = comp - 1
        composite = kind == "composite"
        whole = self.whole

        def first(parts: Parts) -> str:
            if index >= len(parts):
                return ""
            part = parts[index]
            if sub:
                if "&" not in part:
                    return part if sub == 1 else ""
                subs = part.split("&")
                return subs[sub - 1] if sub <= len(subs) else ""
            if "&" in part:
                return _raise_level(part) if composite else part if whole else part[:part.index("&")]
            return part

        def put(parts: Parts, raw: str) -> None:
            _set_part(parts, comp, sub, _lower_level(raw) if composite else raw)

        def first_leaf(parts: Parts) -> str:
            if index >= len(parts):
                return ""
            part = parts[index]
            return part[:part.index("&")] if "&" in part else part

        self.first = first if sub or composite or whole else first_leaf
        if sub:
            self.cells = Cells("", None, index, _nth("&", sub), "")
        elif composite:
            self.cells = Cells("", None, index, _raise_level, "&")
        else:
            self.cells = Cells("", None, index, None if whole else _leaf, "&")
        self.put, self.add = put, put
        if not composite:
            self.spot = Spot("", None, index, sub > 0, "&" * (sub - 1))
        self.every = lambda parts: [raw] if (raw := first(parts)) else []
        self._place = f"{comp}.{sub}" if sub else str(comp)

    def located(self, node: Parts, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        raw = self.first(node)
        return [(raw, trimmed(f"{at}.{self._place}"))] if raw else []

    def inside(self) -> TypeShape:
        """See ``mapper.format.Path``."""
        return TypeShape(self._known, self.wire_type)


class FieldPath(_Path):
    """A field, or a part of one, of a segment somewhere below a view."""

    def __init__(self, text: str, known: Dictionary, wire_type: str, where: _Where, number: int, rep: str,
                 comp: int, sub: int) -> None:
        kind = _kind(known, wire_type)
        super().__init__(text, wire_type, kind, repeats="*" in (rep, *where.reps))
        self._known, self._where, self._number, self._rep = known, where, number, rep
        self._comp, self._sub = comp, sub
        self.partial = comp > 0
        self._cut = self._cutter()
        self._conditional = bool(where.conditions)
        if where.simple:
            self.cells = Cells(where.key, where.row(), number, *self._cell_cut(), "~" if rep == "*" else "")
        self.first = self._first()
        self.every = self._every
        self.put, self.add = self._put(), self._add
        if where.simple and rep in ("", "1", "*") and not (comp and kind == "composite"):
            self.spot = Spot(where.key, where.made(), number, bool(comp) or rep == "*",
                             "^" * (comp - 1) + "&" * (sub - 1))

    def _cutter(self) -> Callable[[str], str]:
        """From one repetition to the raw at this path."""
        comp, sub = self._comp, self._sub
        if self.kind == "composite":
            if comp:
                return lambda raw: _raise_level(_part(raw, comp, sub))
            return lambda raw: raw
        if comp:
            if self.whole:
                return lambda raw: _part(raw, comp, sub)
            return lambda raw: _leaf(_part(raw, comp, sub))
        return (lambda raw: raw) if self.whole else _leaf

    def _cell_cut(self) -> tuple[Callable[[str], str] | None, str]:
        """From a field to the raw of its first repetition, and the characters that make a cut necessary."""
        cut, rep = self._cut, int(self._rep) if self._rep.isdecimal() else 1
        if self.kind == "leaf" and self._comp and not self._sub and rep == 1 and not self.whole:
            number = self._comp
            index = number - 1

            def component(raw: str) -> str:
                parts = (raw[:raw.index("~")] if "~" in raw else raw).split("^", number)
                if index >= len(parts):
                    return ""
                part = parts[index]
                return part[:part.index("&")] if "&" in part else part

            return component, ""
        if self._comp or rep != 1:
            return (lambda raw: cut(_rep(raw, rep))), ""
        if self.kind == "composite" or self.whole:
            return (lambda raw: raw[:raw.index("~")]), "~"
        return _leaf, "~^&"

    def _first(self) -> First:
        where = self._where
        cells = self.cells
        if cells is None or cells.row is None:
            return self._first_of_many
        key, way, name, number, cut = where.key, where.way, where.name, self._number, cells.cut

        # Three times nearly the same: this is the innermost step of reading, and a call costs as much as the rest.
        def first(view: View) -> str:
            segment = view.found.get(key)
            if segment is None:
                segment = view.locate(key, way, name)
            fields = segment._fields or segment._split()
            return fields[number] if number < len(fields) else ""

        def first_leaf(view: View) -> str:
            segment = view.found.get(key)
            if segment is None:
                segment = view.locate(key, way, name)
            fields = segment._fields or segment._split()
            if number >= len(fields):
                return ""
            raw = fields[number]
            return _leaf(raw) if "^" in raw or "~" in raw or "&" in raw else raw

        if cut is None:
            return first
        if cut is _leaf:
            return first_leaf
        mark = cells.cut_on

        def first_cut(view: View) -> str:
            segment = view.found.get(key)
            if segment is None:
                segment = view.locate(key, way, name)
            fields = segment._fields or segment._split()
            if number >= len(fields):
                return ""
            raw = fields[number]
            return cut(raw) if raw and mark in raw else raw

        return first_cut

    def _first_of_many(self, view: View) -> str:
        number, cut = self._number, self._cut
        for segment in self._where.segments(view):
            raw = segment.field(number)
            if raw:
                for _, each in self._reps(raw):
                    if found := cut(each):
                        return found
        return ""

    def _reps(self, raw: str) -> list[tuple[int, str]]:
        if not raw:
            return []
        if self._rep == "*":
            return [(number, each) for number, each in enumerate(raw.split("~"), 1) if each]
        number = int(self._rep or 1)
        return [(number, _rep(raw, number))]

    def _every(self, view: View) -> list[str]:
        where, number, cut = self._where, self._number, self._cut
        if where.simple and self._rep == "*":
            segment = view.found.get(where.key)
            if segment is None:
                segment = view.locate(where.key, where.way, where.name)
            raw = segment.field(number)
            if "~" not in raw:
                one = cut(raw)
                return [one] if one else []
            return [each for piece in raw.split("~") if (each := cut(piece))]
        return [each for segment in where.segments(view) for _, raw in self._reps(segment.field(number))
                if (each := cut(raw))]

    def located(self, node: View, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        found = []
        suffix = f".{self._comp}.{self._sub}" if self._sub else f".{self._comp}" if self._comp else ""
        for segment, place in self._where.walk(node, at):
            for rep, raw in self._reps(segment.field(self._number)):
                if each := self._cut(raw):
                    index = f"({rep})" if rep > 1 else ""
                    found.append((each, trimmed(f"{place}-{self._number}{index}{suffix}")))
        return found

    def tested(self, node: View, at: str) -> list[str]:
        """See ``mapper.format.Path``."""
        return list(self._where.looked_at(node, at)) if self._conditional else []

    def inside(self) -> TypeShape:
        """See ``mapper.format.Path``."""
        return TypeShape(self._known, self.wire_type)

    def _put(self) -> Callable[[Draft, str], None]:
        number, write = self._number, self._write
        key, way, name = self._where.key, self._where.way, self._where.name
        if self._conditional:
            drafted = self._where.drafted
            return lambda draft, raw: write(drafted(draft), raw) if raw else None
        if not self._comp and self._rep in ("", "1", "*"):
            return lambda draft, raw: draft.segment(key, way, name).set(number, raw) if raw else None
        return lambda draft, raw: write(draft.segment(key, way, name), raw) if raw else None

    def _write(self, segment: Segment, raw: str, rep: int = 0) -> None:
        number = self._number
        rep = rep or (int(self._rep) if self._rep.isdecimal() else 1)
        there = segment.field(number)
        if self._comp:
            value = _lower_level(raw) if self.kind == "composite" else raw
            raw = _with_part(_rep(there, rep), self._comp, self._sub, value)
        segment.set(number, _with_rep(there, rep, raw))

    def _add(self, draft: Draft, raw: str) -> None:
        if not raw:
            return
        where = self._where
        if self._rep == "*":
            segment = where.drafted(draft) if self._conditional else draft.segment(where.key, where.way, where.name)
            there = segment.field(self._number)
            if self._comp:
                self._write(segment, raw, there.count("~") + 2 if there else 1)
            else:
                segment.set(self._number, f"{there}~{raw}" if there else raw)
        elif where.rep == "*":
            segment = new_segment(where.name)
            draft.into(where.way).segments.setdefault(where.name, []).append(segment)
            self._write(segment, raw)
        else:
            last = max(index for index, rep in enumerate(where.reps) if rep == "*")
            group = _new_group(draft, where.way[:last + 1])
            inner = _Where(where.way[last + 1:], ("",) * len(where.way[last + 1:]), where.name, where.rep)
            self._write(group.segment(inner.key, inner.way, inner.name), raw)


class ContainerPath(_Path):
    """Groups or segments that rows under ``each`` start from."""

    def __init__(self, text: str, where: _Where, shape: MessageShape) -> None:
        super().__init__(text, "", "container", repeats=True)
        self._where, self._shape = where, shape
        self.every = self._every
        self.first = lambda view: next(iter(self._every(view)), "")
        self.child = self._child

    def _every(self, view: View) -> list[View]:
        where = self._where
        if not where.name and view.group is not None:
            return [View(group, {}) for group in where.inner(view, view.group)]
        return [View(None, {where.name: segment}) for segment in where.segments(view)]

    def _walk(self, view: View, at: str) -> Iterator[tuple[View, str]]:
        where = self._where
        if where.name:
            for segment, place in where.walk(view, at):
                yield View(None, {where.name: segment}), place
        else:
            for group, place in where.groups(view, at):
                yield View(group, {}), place

    def located(self, node: View, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        return list(self._walk(node, at))

    def inside(self) -> MessageShape:
        """See ``mapper.format.Path``."""
        return self._shape

    def _child(self, draft: Draft) -> Draft:
        where = self._where
        if not where.name:
            return _new_group(draft, where.way)
        segment = new_segment(where.name)
        draft.into(where.way).segments.setdefault(where.name, []).append(segment)
        inner = Draft("")
        inner.found[where.name] = segment
        return inner


def _new_group(draft: Draft, way: tuple[str, ...]) -> Draft:
    group = Draft(way[-1])
    draft.into(way[:-1]).groups.setdefault(way[-1], []).append(group)
    return group


class _Where:
    """The way to segments: groups and repetitions. An empty name means the groups themselves."""

    def __init__(self, way: tuple[str, ...], reps: tuple[str, ...], name: str, rep: str) -> None:
        self.way, self.name, self.rep = way, name, rep
        self.reps = (*reps, rep)
        self.simple = all(each in ("", "1") for each in self.reps)
        self.conditions = {depth: _Condition(each, name) for depth, each in enumerate(self.reps) if "=" in each}
        """By depth: of the groups on the way, and last of the segment itself."""
        self.key = "/".join((*way, name))
        self._steps = tuple(zip(way, reps, strict=True))
        self._way = "/".join(f"{step}({rep})" for step, rep in self._steps)

    def row(self) -> Callable[[View], Sequence[str]]:
        """From a view to the fields of the first segment."""
        key, way, name = self.key, self.way, self.name

        def fields(view: View) -> Sequence[str]:
            segment = view.found.get(key)
            if segment is None:
                segment = view.locate(key, way, name)
            return segment._fields or segment._split()

        return fields

    def made(self) -> Callable[[Draft, int], list[str]]:
        """From a draft to the fields of the first segment, made where they are not there, at least so many."""
        key, way, name = self.key, self.way, self.name

        def fields(draft: Draft, width: int) -> list[str]:
            there = draft.segment(key, way, name)._split()
            if len(there) < width:
                there.extend([""] * (width - len(there)))
            return there

        return fields

    def groups(self, view: View, at: str) -> Iterator[tuple[Group, str]]:
        """The groups along the way, with their places."""
        if view.group is not None:
            yield from self._descend(view.group, at, 0)

    def _descend(self, group: Group, at: str, depth: int) -> Iterator[tuple[Group, str]]:
        if depth == len(self.way):
            yield group, at
            return
        name, rep = self.way[depth], self.reps[depth]
        condition = self.conditions.get(depth)
        number = 0
        for inner in group.groups:
            if inner.name == name:
                number += 1
                if condition is not None:
                    if condition.holds(inner.first(condition.segment)):
                        yield from self._descend(inner, _joined(at, name, number), depth + 1)
                        return
                elif rep == "*" or number == int(rep or 1):
                    yield from self._descend(inner, _joined(at, name, number), depth + 1)

    def looked_at(self, view: View, at: str) -> Iterator[str]:
        """The places that conditions on the way look at."""
        depth, condition = next(iter(self.conditions.items()))
        if view.group is None:
            return
        if depth == len(self.way):
            for group, place in self._descend(view.group, at, 0):
                yield from (f"{found}-{condition.place.partition('-')[2]}"
                            for _, found in _segments(group, self.name, place))
            return
        above = _Where(self.way[:depth], self.reps[:depth], "", "")
        for group, place in above.groups(view, at):
            there = [inner for inner in group.groups if inner.name == self.way[depth]]
            for number, _ in enumerate(there, 1):
                yield f"{_joined(place, self.way[depth], number)}/{condition.place}"

    def drafted(self, draft: Draft) -> Segment:
        """The segment to write to: the one that fulfils the conditions, made where it is not there."""
        for depth, name in enumerate(self.way):
            condition = self.conditions.get(depth)
            groups = draft.groups.setdefault(name, [])
            found = next((each for each in groups if condition is None or any(
                condition.holds(segment) for segment in each.segments.get(condition.segment, ())[:1])), None)
            if found is None:
                found = Draft(name)
                groups.append(found)
                if condition is not None:
                    condition.state(found.segment(condition.segment, (), condition.segment))
            draft = found
        own = self.conditions.get(len(self.way))
        if own is None:
            return draft.segment(self.name, (), self.name)
        segments = draft.segments.setdefault(self.name, [])
        for segment in segments:
            if own.holds(segment):
                return segment
        segments.append(new_segment(self.name))
        own.state(segments[-1])
        return segments[-1]

    def inner(self, view: View, group: Group) -> list[Group]:
        """The groups of a view along the way, as `groups` finds them."""
        if not self.way:
            return [group]
        found = view.walked.get(self._way)
        if found is None:
            found = [group]
            for depth, (name, rep) in enumerate(self._steps):
                if (condition := self.conditions.get(depth)) is not None:
                    found = [some[0] for group in found if (some := [
                        each for each in group.groups
                        if each.name == name and condition.holds(each.first(condition.segment))])]
                    continue
                if rep == "*":
                    found = [each for group in found for each in group.groups if each.name == name]
                    continue
                there = [[each for each in group.groups if each.name == name] for group in found]
                found = [each for some in there for each in some[int(rep or 1) - 1:][:1]]
            view.walked[self._way] = found
        return found

    def segments(self, view: View) -> Sequence[Segment]:
        """The segments, as `walk` finds them."""
        group = view.group
        if group is None:
            return [segment for segment, _ in self.walk(view, "")]
        if not self.way and self.rep == "*":
            name = self.name
            return [segment for segment in group.segments if segment.id == name] or group.all(name)
        found: list[Segment] = []
        own = self.conditions.get(len(self.way))
        for each in self.inner(view, group):
            there = each.all(self.name)
            if own is not None:
                found += [segment for segment in there if own.holds(segment)][:1]
            else:
                found += there if self.rep == "*" else there[int(self.rep or 1) - 1:][:1]
        if not found and self.way and self.simple:
            found = group.all(self.name)[:1]
        return found

    def walk(self, view: View, at: str) -> Iterator[tuple[Segment, str]]:
        """The segments, with their places."""
        if view.group is None:
            segment = view.found.get(self.key)
            if segment is not None and segment is not _NOTHING:
                yield segment, at or self.name
            return
        found = False
        own = self.conditions.get(len(self.way))
        for group, place in self._descend(view.group, at, 0):
            for number, (segment, inner) in enumerate(_segments(group, self.name, place), 1):
                if own.holds(segment) if own is not None else self.rep == "*" or number == int(self.rep or 1):
                    found = True
                    yield segment, inner
                    if own is not None:
                        break
        if not found and self.way and self.simple:
            yield from list(_segments(view.group, self.name, at))[:1]


def _segments(group: Group, name: str, at: str) -> Iterator[tuple[Segment, str]]:
    """Segments `name` of a group: its own, else those of its sub-groups, as `Group.all` finds them."""
    wanted = {id(segment) for segment in group.all(name)}
    if wanted:
        yield from ((segment, place) for segment, place in _places(group, at) if id(segment) in wanted)


def _places(group: Group, at: str) -> Iterator[tuple[Segment, str]]:
    """Every segment of a group and its sub-groups with its place."""
    numbers: dict[str, int] = {}
    for segment in group.segments:
        number = numbers[segment.id] = numbers.get(segment.id, 0) + 1
        yield segment, _joined(at, segment.id, number)
    numbers = {}
    for inner in group.groups:
        number = numbers[inner.name] = numbers.get(inner.name, 0) + 1
        yield from _places(inner, _joined(at, inner.name, number))


def _joined(at: str, name: str, number: int) -> str:
    text = f"{name}({number})" if number > 1 else name
    return f"{at}/{text}" if at else text


def _kind(known: Dictionary, wire_type: str) -> str:
    return "composite" if wire_type not in _TIMES and known.components(wire_type) else "leaf"


# -- shapes -------------------------------------------------------------------------------------------------


class TypeShape:
    """Inside a data type: components by number."""

    def __init__(self, known: Dictionary, wire_type: str) -> None:
        self._known, self._type = known, wire_type

    def path(self, text: str) -> PartPath:
        """Resolve ``4`` or ``4.2``. Raises PathError."""
        match = _RELATIVE.match(text)
        if match is None:
            raise PathError(f"{text} is not a component of {self._type}", hint="write 4 or 4.2")
        comp, sub = int(match[1]), int(match[2] or 0)
        wire_type = component_type(self._known, self._type, comp, 0)
        if sub:
            wire_type = component_type(self._known, wire_type, sub, match.start(2))
        return PartPath(text, self._known, wire_type, comp, sub)


def component_type(known: Dictionary, wire_type: str, number: int, column: int) -> str:
    """The type of one component. Raises PathError where the type has no such component."""
    found = known.components(wire_type)
    if not found or wire_type in _TIMES:
        if number == 1:
            return wire_type
        raise PathError(f"{wire_type} has no component {number}", column=column, hint=f"{wire_type} is a plain value")
    for component in found:
        if component.number == number:
            return component.datatype
    raise PathError(f"{wire_type} has no component {number}", column=column,
                    hint=f"{wire_type} has components 1 to {found[-1].number}")


class MessageShape:
    """A message, a group or a segment of a message structure."""

    def __init__(self, known: Dictionary, node: Node | None, segment: str = "", *, is_root: bool = False) -> None:
        self._known, self._node, self._segment, self._is_root = known, node, segment, is_root

    def path(self, text: str) -> FieldPath | ContainerPath:
        """Resolve a path written from here. Raises PathError."""
        if self._segment and text.replace(".", "").isdecimal():
            text = f"{self._segment}-{text}"
        match = _PATH.match(text)
        if match is None:
            raise PathError(f"{text} is not an HL7 path", hint="write SEGMENT-FIELD.COMPONENT, as in PID-3.1")
        node = self._node
        way: list[str] = []
        reps: list[str] = []
        column = 0
        for step in _GROUP.finditer(match["groups"]):
            node = self._group(node, step[1], column)
            way.append(node.name)
            reps.append(step[2] or "")
            column = step.end()
        name, rep = match["name"], match["rep"] or ""
        if match["field"] is None:
            return self._container(text, node, way, reps, name, rep, column)
        if self._segment:
            if name != self._segment or way:
                raise PathError(f"{text} is not in {self._segment}", column=column)
        else:
            way, reps = self._whereabouts(node, way, reps, name, column)
        where = _Where(tuple(way), tuple(reps), name, rep)
        number = int(match["field"])
        field = self._field(name, number, match.start("field"))
        wire_type = self._cast(field, match["cast"], name, match.start("cast")) if match["cast"] else field.datatype
        comp, sub = int(match["comp"] or 0), int(match["sub"] or 0)
        if comp:
            wire_type = component_type(self._known, wire_type, comp, match.start("comp"))
        if sub:
            wire_type = component_type(self._known, wire_type, sub, match.start("sub"))
        return FieldPath(text, self._known, wire_type, where, number, match["frep"] or "", comp, sub)

    def _cast(self, field: Field, cast: str, segment: str, column: int) -> str:
        """The type that the table gives a field whose type another field tells (``OBX-5:ED``)."""
        if field.datatype != "varies":
            raise PathError(f"{segment}-{field.number} has the type {field.datatype}", column=column,
                            hint="a type is given only where the dictionary says varies")
        if not self._known.has_datatype(cast):
            raise PathError(f"HL7 has no data type {cast}", column=column)
        return cast

    def _group(self, node: Node | None, name: str, column: int) -> Node:
        subs = [child for child in (node.children if node else ()) if child.is_group]
        exact = [child for child in subs if child.name == name]
        found = exact or [child for child in subs if child.name.startswith(name)]
        if len(found) != 1:
            known = ", ".join(child.name for child in subs) or "none"
            raise PathError(f"there is no group {name} here" if not found else f"{name} could be several groups",
                            column=column, hint=f"groups at this level: {known}")
        return found[0]

    def _container(self, text: str, node: Node | None, way: list[str], reps: list[str], name: str, rep: str,
                   column: int) -> ContainerPath:
        if self._is_segment(name) and not any(child.is_group and child.name == name
                                              for child in (node.children if node else ())):
            way, reps = self._whereabouts(node, way, reps, name, column)
            return ContainerPath(text, _Where(tuple(way), tuple(reps), name, rep),
                                 MessageShape(self._known, None, name))
        inner = self._group(node, name, column)
        return ContainerPath(text, _Where((*way, inner.name), (*reps, rep), "", ""), MessageShape(self._known, inner))

    def _is_segment(self, name: str) -> bool:
        return bool(self._known.segment(name)) or name.startswith("Z")

    def _whereabouts(self, node: Node | None, way: list[str], reps: list[str], name: str,
                     column: int) -> tuple[list[str], list[str]]:
        """The groups that hold a segment: here, or the one group below that has it and occurs once."""
        if node is None or any(child.name == name and not child.is_group for child in node.children):
            return way, reps
        holders = [inner for inner in _holders(node, name)]
        if not holders:
            if not self._is_segment(name):
                raise PathError(f"there is no segment {name}", column=column, hint=_close(name, self._known))
            if not self._is_root and not name.startswith("Z"):
                raise PathError(f"there is no segment {name} in {node.name}", column=column)
            return way, reps
        if len(holders) > 1:
            places = ", ".join("/".join(inner) for inner in holders)
            raise PathError(f"{name} could be in several groups", column=column, hint=f"name one of {places}")
        return [*way, *holders[0]], [*reps, *[""] * len(holders[0])]

    def _field(self, segment: str, number: int, column: int) -> Field:
        field = self._known.field(segment, number)
        if field is None:
            last = self._known.segment(segment)
            hint = f"{segment} has fields up to {last[-1].number}" if last else ""
            raise PathError(f"{segment} has no field {number}", column=column,
                            hint=f"{hint}; declare it under segments" if hint else "declare it under segments")
        return field


def _holders(node: Node, name: str) -> Iterator[tuple[str, ...]]:
    for child in node.children:
        if child.is_group:
            if any(inner.name == name and not inner.is_group for inner in child.children):
                yield (child.name,)
            else:
                yield from ((child.name, *below) for below in _holders(child, name))


def _close(name: str, known: Dictionary) -> str:
    near = [each for each in sorted(known.segments()) if each[:2] == name[:2]]
    return f"known: {', '.join(near[:8])}" if near else "Z segments are declared under segments"


# -- the format ---------------------------------------------------------------------------------------------


class Hl7Format:
    """HL7 v2 as ``mapper.format.Format``. Structures are named ``SIU_S12`` or, for another dictionary than
    2.5.1, ``SIU_S12@2.3``."""

    family: Final = "hl7v2"
    absent: Final = ""
    clear: Final = NULL
    can_clear: Final = True

    def message(self, name: str, declared: Mapping[str, Mapping[str, str]]) -> MessageShape:
        """See ``mapper.format.Format``."""
        structure, version = _split(name)
        known = dictionary(version)
        node = known.structure(structure)
        if node is None:
            near = sorted(each for each in known.structures() if each[:3] == structure[:3])
            raise PathError(f"HL7 {version} has no structure {structure}",
                            hint=f"known: {', '.join(near[:12])}" if near else "")
        fields = {segment: {_number(number): _declared(f"{segment}-{number}", text, known)
                            for number, text in cells.items()}
                  for segment, cells in declared.items()}
        return MessageShape(known.extended(fields) if fields else known, node, is_root=True)

    def header(self, name: str) -> Mapping[str, Any]:
        """See ``mapper.format.Format``."""
        structure, version = _split(name)
        node = dictionary(version).structure(structure)
        has_event = node is not None and any(child.name == "EVN" for child in node.children)
        return {
            "trigger": "MSH-9.2",
            "version": {"event-time": "EVN-2", "msh7": "MSH-7"} if has_event else {"msh7": "MSH-7"},
            "occurred": "EVN-6 | EVN-2 | MSH-7" if has_event else "MSH-7",
            "source": {"system": "MSH-3.1", "facility": "MSH-4.1", "control_id": "MSH-10",
                       "message_type": "MSH-9.1", "processing_id": "MSH-11.1"},
        }

    def datatype(self, wire_type: str) -> TypeShape:
        """See ``mapper.format.Format``."""
        return TypeShape(dictionary(_DEFAULT_VERSION), wire_type)

    def text(self, wire_type: str) -> tuple[Callable[[str], str], Callable[[str], str]]:
        """See ``mapper.format.Format``: formatting commands mean something in FT only (E04)."""
        formatted = wire_type == "FT"

        def read(raw: str) -> str:
            return unescape(raw, STANDARD, formatted=formatted) if "\\" in raw else raw

        def write(value: str) -> str:
            return escape(value, STANDARD, formatted=formatted)

        return read, write

    def marked(self, wire_type: str) -> Callable[[str], object] | None:
        """See ``mapper.format.Format``."""
        return marked(STANDARD)

    def number(self, wire_type: str) -> Callable[[int], str]:
        """See ``mapper.format.Format``."""
        return str

    def decode(self, raw: bytes) -> Message:
        """See ``mapper.format.Format``."""
        return parse(raw)

    def open(self, raw: str) -> Parts:
        """See ``mapper.format.Format``."""
        return raw.split("^")

    def new(self, wire_type: str) -> Parts:
        """See ``mapper.format.Format``."""
        return [""]

    def close(self, node: Parts) -> str:
        """See ``mapper.format.Format``: a composite whose every part is cleared is cleared."""
        text = "^".join(node).rstrip("^")
        if NULL in text and not text.replace(NULL, "").strip("^&"):
            return NULL
        return text

    def root(self, wire: Message, name: str) -> View:
        """See ``mapper.format.Format``."""
        structure, version = _split(name)
        message = wire if wire.delimiters == STANDARD else reencoded(wire)
        return View(groups(message, structure, version), {})

    def draft(self, name: str) -> Draft:
        """See ``mapper.format.Format``."""
        root = Draft("")
        root.segments[_HEADER] = [Message.build().segments[0]]
        return root

    def finish(self, node: Draft, name: str, set_ids: Sequence[str]) -> Message:
        """See ``mapper.format.Format``."""
        segments: list[Segment] = []
        _in_order(node, _order(*_split(name)), 1, _numbered(tuple(set_ids)), segments)
        return Message(segments, STANDARD)

    def leaves(self, wire: Message, name: str) -> list[str]:
        """See ``mapper.format.Format``: everything but the envelope (MSH) and the event code (EVN-1)."""
        root = self.root(wire, name)
        assert root.group is not None
        found = []
        for segment, place in _places(root.group, ""):
            if segment.id == _HEADER:
                continue
            for number in range(1, len(segment) + 1):
                raw = segment.field(number)
                if raw and not (segment.id == "EVN" and number == 1):
                    found += [f"{place}-{number}{rest}" for rest in _subleaves(raw)]
        return found


def _subleaves(raw: str) -> Iterator[str]:
    for rep, repetition in enumerate(raw.split("~"), 1):
        index = f"({rep})" if rep > 1 else ""
        for comp, component in enumerate(repetition.split("^"), 1):
            for sub, value in enumerate(component.split("&"), 1):
                if value:
                    yield index + trimmed(f".{comp}.{sub}")


def _split(name: str) -> tuple[str, str]:
    structure, _, version = name.partition("@")
    return structure, version or _DEFAULT_VERSION


def _number(text: str) -> int:
    if not text.isdecimal():
        raise PathError(f"{text} is not a field number")
    return int(text)


def _declared(place: str, text: str, known: Dictionary) -> tuple[str, str]:
    datatype, _, label = text.strip().partition(" ")
    datatype = datatype.removesuffix("*")
    if not known.has_datatype(datatype):
        raise PathError(f"segments: {place} has the data type {datatype}, which HL7 does not have",
                        hint="TYPE name: ST room, IS code, TS time; see the data types of the standard")
    return datatype, label.strip()


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


_LAST: Final = 10_000
_place = itemgetter(0)


def reencoded(message: Message) -> Message:
    """The same message in the standard encoding characters."""
    given = message.delimiters
    result = Message.build()
    result.segments.clear()
    for segment in message.segments:
        fresh = new_segment(segment.id)
        is_header = segment.id in HEADERS
        if is_header:
            fresh = Segment(segment.id, None, STANDARD.field, "\r", [segment.id, STANDARD.field, STANDARD.encoding])
        for number in range(3 if is_header else 1, len(segment) + 1):
            raw = segment.field(number)
            if raw:
                fresh.set(number, "~".join(
                    "^".join("&".join(escape(unescape(sub, given), STANDARD)
                                      for sub in subcomponents(component, given))
                             for component in components(repetition, given))
                    for repetition in repetitions(raw, given)))
        result.segments.append(fresh)
    return result


__all__ = ["Draft", "Hl7Format", "PathError", "View", "reencoded"]
