"""Where X12 paths are resolved: transaction sets, loops and segments of a guide, and composites."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final

import msgspec

from canonical.paths import PathError
from connectors.paths import FIRST, Pick, pick
from connectors.x12.guide import PERIOD, ElementSpec, Guide, LoopSpec, dictionary
from connectors.x12.paths import ContainerPath, ElementPath, PartPath
from connectors.x12.way import Step, Way

ENVELOPE: Final = ("ISA", "GS")
_STEP: Final = re.compile(r"(?P<loop>\d{4}[A-Z]{0,2})(?:\((?P<arg>[^()]*)\))?(?:/|\Z)")
_SEGMENT: Final = re.compile(r"(?P<name>[A-Z][A-Z0-9]{1,2})(?:\((?P<arg>[^()]*)\))?"
                             r"(?:-(?P<element>\d{1,2})(?:\((?P<rep>\d+|\*)\))?(?:\.(?P<comp>\d+))?)?\Z")
_RELATIVE: Final = re.compile(r"(?P<element>\d{1,2})(?:\((?P<rep>\d+|\*)\))?(?:\.(?P<comp>\d+))?\Z")
_HINT: Final = "REF(01=SY)-02, 2110C(EB-01=B & *), EB(2)-03"


class PartShape:
    """Inside a composite: components by number."""

    def __init__(self, name: str, parts: tuple[ElementSpec, ...]) -> None:
        self._name, self._parts = name, parts

    def path(self, text: str) -> PartPath:
        """Resolve ``2``. Raises PathError."""
        if not text.isdecimal() or not 0 < int(text) <= len(self._parts):
            hint = f"components 1 to {len(self._parts)}" if self._parts else f"{self._name} is a plain value"
            raise PathError(f"{self._name} has no component {text}", hint=hint)
        return PartPath(text, self._parts[int(text) - 1], PartShape(self._parts[int(text) - 1].type, ()))

class LoopShape:
    """A transaction set, a loop, or a segment of one."""

    def __init__(self, guide: Guide, spec: LoopSpec, declared: Mapping[str, tuple[ElementSpec, ...]],
                 segment: str = "") -> None:
        self._guide, self._spec, self._declared, self._segment = guide, spec, declared, segment

    def path(self, text: str) -> ElementPath | ContainerPath:
        """Resolve a path written from here. Raises PathError."""
        relative = _RELATIVE.match(text) if self._segment else None
        if relative is not None:
            where = Way((), self._segment, FIRST)
            return self._element(text, where, relative["element"], relative["rep"] or "", relative["comp"], 0)
        steps: list[Step] = []
        spec = self._spec
        column = 0
        while (match := _STEP.match(text, column)) is not None:
            chain = self._chain(spec, match["loop"], column)
            steps.append(Step(match["loop"], pick(match["arg"], column, _HINT), chain))
            spec = chain[-1]
            column = match.end()
        if column == len(text) and steps and not text.endswith("/"):
            last = steps[-1]
            if last.pick.plain and not last.pick.number:
                steps[-1] = msgspec.structs.replace(last, pick=Pick(many=True))
            return ContainerPath(text, Way(tuple(steps), "", FIRST), LoopShape(self._guide, spec, self._declared))
        match = _SEGMENT.match(text, column)
        if match is None:
            raise PathError(f"{text} is not an X12 path", column=column,
                            hint="LOOP/SEGMENT-ELEMENT.COMPONENT, as in 2100C/NM1-03, 2110C(*)/EB-13.2, REF(01=SY)-02")
        name = match["name"]
        if self._segment and not steps and name == self._segment:
            pass
        elif not self._here(spec, name):
            chain = self._holder(spec, name, column)
            if chain:
                steps.append(Step(chain[-1].id, FIRST, chain))
                spec = chain[-1]
        where = Way(tuple(steps), name, pick(match["arg"], column, _HINT))
        if match["element"] is None:
            return ContainerPath(text, where, LoopShape(self._guide, spec, self._declared, name))
        return self._element(text, where, match["element"], match["rep"] or "", match["comp"], match.start("element"))

    def _here(self, spec: LoopSpec, name: str) -> bool:
        return name in self._declared or any(each.id == name for each in spec.segments()) or (
            spec is self._guide.root and name in ENVELOPE)

    def _chain(self, spec: LoopSpec, name: str, column: int) -> tuple[LoopSpec, ...]:
        """How to get from a loop to one inside it: the shortest way where there are several."""
        ways = [way for way, _ in spec.below() if way[-1] == name]
        if not ways:
            known = list(dict.fromkeys(way[-1] for way, _ in spec.below()))
            near = get_close_matches(name, known, n=1, cutoff=0.6)
            place = f"loop {spec.id}" if spec.id else self._guide.name
            raise PathError(f"there is no loop {name} in {place}", column=column,
                            hint=f"did you mean {near[0]}?" if near else f"loops here: {', '.join(known) or 'none'}")
        return self._specs(spec, min(ways, key=len))

    @staticmethod
    def _specs(spec: LoopSpec, way: Sequence[str]) -> tuple[LoopSpec, ...]:
        found = []
        for name in way:
            spec = next(each for each in spec.loops() if each.id == name)
            found.append(spec)
        return tuple(found)

    def _holder(self, spec: LoopSpec, name: str, column: int) -> tuple[LoopSpec, ...]:
        """The one loop below that has a segment."""
        ways = {way[-1]: way for way, loop in sorted(spec.below(), key=lambda pair: -len(pair[0]))
                if any(each.id == name for each in loop.segments())}
        place = f"loop {spec.id}" if spec.id else self._guide.name
        if len(ways) == 1:
            return self._specs(spec, next(iter(ways.values())))
        if ways:
            raise PathError(f"{name} is in several loops of {place}", column=column,
                            hint=f"name one of {', '.join(f'{loop}/{name}' for loop in sorted(ways))}")
        known = list(dict.fromkeys(each.id for _, loop in spec.below() for each in loop.segments()))
        known += [each.id for each in spec.segments()]
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        raise PathError(f"there is no segment {name} in {place}", column=column,
                        hint=f"did you mean {near[0]}?" if near else "a payer's own segment is declared under segments")

    def _element(self, text: str, where: Way, element: str, rep: str, comp: str | None, column: int) -> ElementPath:
        name, number = where.name, int(element)
        specs = self._declared.get(name) or dictionary().segment(name)[0]
        if not 0 < number <= len(specs):
            raise PathError(f"{name} has no element {number:02d}", column=column,
                            hint=f"{name} has elements 01 to {len(specs):02d}")
        spec = specs[number - 1]
        component = int(comp or 0)
        limit = 2 if spec.reference == PERIOD else len(spec.parts)
        if comp and not 0 < component <= limit:
            raise PathError(f"{name}-{number:02d} has no component {component}", column=column,
                            hint=f"components 1 to {limit}" if limit else f"{spec.name} is a plain value")
        if rep and not spec.repeats:
            raise PathError(f"{name}-{number:02d} does not repeat", column=column, hint=spec.name)
        return ElementPath(text, where, spec, rep, component, PartShape(spec.reference, spec.parts))
