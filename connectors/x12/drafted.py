"""Turns a draft into a message: HL, LS and LE, counts, and what the guide leaves no choice for."""

from __future__ import annotations

from typing import Final

from connectors.x12.build import Party, Stamp, gs, interchange, isa
from connectors.x12.delimiters import choose_delimiters
from connectors.x12.edi import Message, Segment
from connectors.x12.guide import FORMAT_QUALIFIER, ElementSpec, Guide, LoopSpec, SegmentSpec
from connectors.x12.shapes import ENVELOPE
from connectors.x12.values import external, put_value, texts, value_of
from connectors.x12.views import Draft, new

_BOUNDED: Final = {"LS": "LE"}


def fixed(element: ElementSpec) -> str:
    """The code of a required element for which the guide has only one; empty where there is a choice."""
    return next(iter(element.codes)) if element.use == "R" and len(element.codes) == 1 else ""


class Finisher:
    """Turns a draft into a message."""

    def __init__(self, guide: Guide) -> None:
        self._guide = guide
        self._level = 0

    def message(self, draft: Draft) -> Message:
        """ISA to IEA, not yet sealed."""
        guide = self._guide
        body: list[Segment] = []
        headers = {segment.id: segment for segment in draft.segments if segment.id in ENVELOPE}
        draft.segments = [segment for segment in draft.segments if segment.id not in (*ENVELOPE, "SE", "ST")]
        _settle(draft)
        self._loop(draft, "", body)
        start = new("ST")
        start.set(1, guide.set)
        start.set(2, "0001")
        start.set(3, guide.convention)
        plain = [*headers.values(), start, *body]
        delimiters = choose_delimiters(part for segment in plain for part in texts(segment))
        given, group = headers.get("ISA", new("ISA")), headers.get("GS", new("GS"))
        stamp = Stamp(interchange=1, date="00000000", time="0000")
        us = Party(given.element(6).strip(), given.element(5) or "ZZ", group.element(2))
        them = Party(given.element(8).strip(), given.element(7) or "ZZ", group.element(3))
        head = isa(us, them, stamp, delimiters, usage=given.element(15), acknowledge=given.element(14) == "1")
        for number in (1, 2, 3, 4):
            if given.element(number):
                head.set(number, given.element(number).ljust(2 if number in (1, 3) else 10))
        segments = [head, gs(group.element(1) or guide.group, us, them, stamp, group.element(8) or guide.convention, 1,
                             delimiters)]
        segments += [external(segment, delimiters) for segment in (start, *body)]
        return Message([interchange(segments, delimiters)], "utf-8")

    def _loop(self, draft: Draft, parent: str, out: list[Segment]) -> None:
        spec = draft.spec
        opening = spec.opening if spec.id else None
        hierarchical = opening is not None and opening.id == "HL"
        own = parent
        if hierarchical:
            self._level += 1
            own = str(self._level)
            head = new("HL")
            uses = [element.use for element in spec.opening.elements]
            children = any(each.spec.opening.id == "HL" for each in draft.loops)
            for number, text in enumerate((own, parent, spec.level, "1" if children else "0"), 1):
                if uses[number - 1] != "N":
                    head.set(number, text)
            draft.segments = [head, *(segment for segment in draft.segments if segment.id != "HL")]
        elif opening is not None and not any(segment.id == opening.id for segment in draft.segments):
            draft.segments.insert(0, new(opening.id))
        placed = _placed(draft)
        for item in spec.items:
            if isinstance(item, SegmentSpec):
                if item.id in _BOUNDED or item.id in _BOUNDED.values():
                    if any(each.spec.id.startswith(code) for code in item.elements[0].codes for each in draft.loops):
                        bound = new(item.id)
                        bound.set(1, fixed(item.elements[0]))
                        out.append(bound)
                    continue
                for segment in placed.pop(id(item), ()):
                    _complete(segment, item)
                    out.append(segment)
            else:
                for each in draft.loops:
                    if each.spec is item:
                        self._loop(each, own, out)
        for rest in placed.values():
            out.extend(rest)


def _placed(draft: Draft) -> dict[int, list[Segment]]:
    """Which line of the guide each segment is; by its key, then by its name; what has no line comes last."""
    specs = list(draft.spec.segments())
    found: dict[int, list[Segment]] = {}
    for segment in draft.segments:
        same = [spec for spec in specs if spec.id == segment.id]
        exact = [spec for spec in same if not spec.keys or value_of(segment, *spec.key) in spec.keys]
        found.setdefault(id((exact or same)[0]) if same else 0, []).append(segment)
    return found


def _complete(segment: Segment, spec: SegmentSpec) -> None:
    """Codes that the guide leaves no choice for."""
    for element in spec.elements:
        if (code := fixed(element)) and not segment.element(element.number) and element.reference != FORMAT_QUALIFIER:
            segment.set(element.number, code)
        elif element.parts and segment.element(element.number):
            for part in element.parts:
                if (code := fixed(part)) and not value_of(segment, element.number, part.number):
                    put_value(segment, element.number, part.number, code)


def _settle(draft: Draft) -> None:
    """A loop that may stand at two levels (the event of a 278) belongs to the lower one that is there."""
    for each in list(draft.loops):
        lower = next((other for other in draft.loops if other is not each
                      and any(inner.id == each.spec.id for inner in other.spec.loops())), None)
        if lower is not None:
            inner = next(inner for inner in lower.spec.loops() if inner.id == each.spec.id)
            draft.loops.remove(each)
            lower.loops.append(_respec(each, inner))
    for each in draft.loops:
        _settle(each)


def _respec(draft: Draft, spec: LoopSpec) -> Draft:
    moved = Draft(spec)
    moved.segments = draft.segments
    moved.loops = [_respec(each, next(inner for inner in spec.loops() if inner.id == each.spec.id))
                   for each in draft.loops]
    return moved
