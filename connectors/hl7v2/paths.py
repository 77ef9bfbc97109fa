"""Resolved HL7 v2 paths: parts of a composite, fields of segments, and the groups and segments rows start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from canonical.paths import Cells, Spot
from connectors.hl7v2.er7 import Segment
from connectors.hl7v2.parts import (
    WHOLE,
    Parts,
    leaf,
    lower_level,
    part,
    raise_level,
    set_part,
    trimmed,
    with_part,
)
from connectors.hl7v2.views import Draft, View
from connectors.hl7v2.way import Way
from connectors.paths import Path, ValuePath, nth, with_nth


class PartPath(Path):
    """A component or subcomponent of a composite: ``4.2`` in a data-type table."""

    def __init__(self, text: str, wire_type: str, kind: str, shape: Any, comp: int, sub: int) -> None:
        super().__init__(text, wire_type, kind, shape, repeats=False, whole=wire_type in WHOLE)
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
                return raise_level(part) if composite else part if whole else part[:part.index("&")]
            return part

        def put(parts: Parts, raw: str) -> None:
            set_part(parts, comp, sub, lower_level(raw) if composite else raw)

        def first_leaf(parts: Parts) -> str:
            if index >= len(parts):
                return ""
            part = parts[index]
            return part[:part.index("&")] if "&" in part else part

        self.first = first if sub or composite or whole else first_leaf
        if sub:
            self.cells = Cells("", None, index, lambda raw: nth(raw, "&", sub), "")
        elif composite:
            self.cells = Cells("", None, index, raise_level, "&")
        else:
            self.cells = Cells("", None, index, None if whole else leaf, "&")
        self.put, self.add = put, put
        if not composite:
            self.spot = Spot("", None, index, sub > 0, "&" * (sub - 1))
        self.every = lambda parts: [raw] if (raw := first(parts)) else []
        self._place = f"{comp}.{sub}" if sub else str(comp)

    def located(self, node: Parts, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        raw = self.first(node)
        return [(raw, trimmed(f"{at}.{self._place}"))] if raw else []


class FieldPath(ValuePath):
    """A field, or a part of one, of a segment somewhere below a view."""

    def __init__(self, text: str, wire_type: str, kind: str, shape: Any, where: Way, number: int, rep: str, comp: int,
                 sub: int) -> None:
        whole = wire_type in WHOLE
        super().__init__(text, wire_type, kind, shape, where, lambda segment: segment.field(number), "~", rep,
                         _cutter(kind, comp, sub, whole=whole), repeats=rep == "*" or where.many, whole=whole)
        self._where, self._number = where, number
        self._comp, self._sub = comp, sub
        self.partial = comp > 0
        if where.simple:
            self.cells = Cells(where.key, where.row(), number, *self._cell_cut(), "~" if rep == "*" else "")
            self.first = self._first(self.cells)
            if rep == "*":
                self.every = self._all
        self.put, self.add = self._put(), self._add
        if where.simple and rep in ("", "1", "*") and not (comp and kind == "composite"):
            self.spot = Spot(where.key, where.made(), number, bool(comp) or rep == "*",
                             "^" * (comp - 1) + "&" * (sub - 1))

    def _cell_cut(self) -> tuple[Callable[[str], str] | None, str]:
        """From a field to the raw of its first repetition, and the characters that make a cut necessary."""
        cut, rep = self._cut, int(self._rep) if self._rep.isdecimal() else 1
        if self.kind == "leaf" and self._comp <= 1 and self._sub <= 1 and rep == 1 and not self.whole:
            return leaf, "~^&"
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
            return (lambda raw: cut(nth(raw, "~", rep))), ""
        if self.kind == "composite" or self.whole:
            return (lambda raw: raw[:raw.index("~")]), "~"
        return leaf, "~^&"

    def _first(self, cells: Cells) -> Callable[[Any], Any]:
        where = self._where
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
            return leaf(raw) if "^" in raw or "~" in raw or "&" in raw else raw

        if cut is None:
            return first
        if cut is leaf:
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

    def _all(self, view: View) -> list[str]:
        """`every`, for all repetitions of one segment's field."""
        where, cut = self._where, self._cut
        segment = view.found.get(where.key)
        if segment is None:
            segment = view.locate(where.key, where.way, where.name)
        raw = segment.field(self._number)
        if "~" not in raw:
            one = cut(raw)
            return [one] if one else []
        return [each for piece in raw.split("~") if (each := cut(piece))]

    def place(self, at: str, rep: int, raw: str) -> str:
        """See `ValuePath`."""
        suffix = f".{self._comp}.{self._sub}" if self._sub else f".{self._comp}" if self._comp else ""
        return trimmed(f"{at}-{self._number}{f'({rep})' if rep > 1 else ''}{suffix}")

    def tested(self, node: View, at: str) -> list[str]:
        """See ``mapper.format.Path``."""
        return list(self._where.looked_at(node, at)) if self._where.conditional else []

    def _put(self) -> Callable[[Draft, str], None]:
        number, write = self._number, self._write
        key, way, name = self._where.key, self._where.way, self._where.name
        if self._where.conditional:
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
            value = lower_level(raw) if self.kind == "composite" else raw
            raw = with_part(nth(there, "~", rep), self._comp, self._sub, value)
        segment.set(number, with_nth(there, "~", rep, raw))

    def _add(self, draft: Draft, raw: str) -> None:
        if not raw:
            return
        where = self._where
        if self._rep == "*":
            segment = where.drafted(draft) if self._where.conditional else draft.segment(where.key, where.way, where.name)
            there = segment.field(self._number)
            if self._comp:
                self._write(segment, raw, there.count("~") + 2 if there else 1)
            else:
                segment.set(self._number, f"{there}~{raw}" if there else raw)
        elif where.pick.many:
            self._write(draft.another_segment(where.way, where.name), raw)
        else:
            last = max(index for index, pick in enumerate(where.picks) if pick.many)
            below = where.way[last + 1:]
            group = draft.another(where.way[:last + 1])
            self._write(group.segment("/".join((*below, where.name)), below, where.name), raw)


class ContainerPath(Path):
    """Groups or segments that rows under ``each`` start from."""

    def __init__(self, text: str, where: Way, shape: Any) -> None:
        super().__init__(text, "", "container", shape, repeats=True)
        self._where = where
        self.every = self._every
        self.first = lambda view: next(iter(self._every(view)), "")
        self.child = self._child

    def _every(self, view: View) -> list[View]:
        where = self._where
        if not where.name and view.group is not None:
            return [View(group, {}) for group in where.inner(view, view.group)]
        return [View(None, {where.name: segment}) for segment in where.segments(view)]

    def located(self, node: View, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        where = self._where
        if where.name:
            return [(View(None, {where.name: segment}), place) for segment, place in where.located(node, at)]
        return [(View(group, {}), place) for group, place in where.groups(node, at)]

    def _child(self, draft: Draft) -> Draft:
        where = self._where
        if not where.name:
            return draft.another(where.way)
        segment = draft.another_segment(where.way, where.name)
        inner = Draft("")
        inner.found[where.name] = segment
        return inner


def _cutter(kind: str, comp: int, sub: int, *, whole: bool) -> Callable[[str], str]:
    """From one repetition to the raw at a path."""
    if kind == "composite":
        if comp:
            return lambda raw: raise_level(part(raw, comp, sub))
        return lambda raw: raw
    if comp:
        if whole:
            return lambda raw: part(raw, comp, sub)
        return lambda raw: leaf(part(raw, comp, sub))
    return (lambda raw: raw) if whole else leaf
