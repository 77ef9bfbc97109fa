"""Where HL7 v2 paths are resolved: messages, groups and segments of a structure, and data types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from canonical.paths import PathError
from connectors.hl7v2.dictionary import Dictionary, Field, Node
from connectors.hl7v2.parts import TIMES, kind_of
from connectors.hl7v2.paths import ContainerPath, FieldPath, PartPath
from connectors.hl7v2.way import Way
from connectors.paths import FIRST, Pick, pick

#: Which occurrence: a number, all, or the first whose field holds a code (``PRD-1=RP``).
_WHICH: Final = r"\d+|\*|[A-Z0-9.-]+=[^()/=]+"
_PATH: Final = re.compile(rf"(?P<groups>(?:[A-Za-z_0-9]+(?:\((?:{_WHICH})\))?/)*)"
                          rf"(?P<name>[A-Za-z_][A-Za-z_0-9]*)(?:\((?P<rep>{_WHICH})\))?"
                          r"(?:-(?P<field>\d+)(?::(?P<cast>[A-Z][A-Z0-9]*))?(?:\((?P<frep>\d+|\*)\))?"
                          r"(?:\.(?P<comp>\d+)(?:\.(?P<sub>\d+))?)?)?\Z")
_GROUP: Final = re.compile(rf"([A-Za-z_0-9]+)(?:\(({_WHICH})\))?/")
_RELATIVE: Final = re.compile(r"(\d+)(?:\.(\d+))?\Z")


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
        return PartPath(text, wire_type, kind_of(self._known, wire_type), TypeShape(self._known, wire_type), comp, sub)


def component_type(known: Dictionary, wire_type: str, number: int, column: int) -> str:
    """The type of one component. Raises PathError where the type has no such component."""
    found = known.components(wire_type)
    if not found or wire_type in TIMES:
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
        picks: list[Pick] = []
        column = 0
        for step in _GROUP.finditer(match["groups"]):
            node = self._group(node, step[1], column)
            way.append(node.name)
            picks.append(_pick(step[2], match["name"], column))
            column = step.end()
        name, rep = match["name"], _pick(match["rep"], match["name"], column)
        if match["field"] is None:
            return self._container(text, node, way, picks, name, rep, column)
        if self._segment:
            if name != self._segment or way:
                raise PathError(f"{text} is not in {self._segment}", column=column)
        else:
            way, picks = self._whereabouts(node, way, picks, name, column)
        where = Way(tuple(way), tuple(picks), name, rep)
        number = int(match["field"])
        field = self._field(name, number, match.start("field"))
        wire_type = self._cast(field, match["cast"], name, match.start("cast")) if match["cast"] else field.datatype
        comp, sub = int(match["comp"] or 0), int(match["sub"] or 0)
        if comp:
            wire_type = component_type(self._known, wire_type, comp, match.start("comp"))
        if sub:
            wire_type = component_type(self._known, wire_type, sub, match.start("sub"))
        return FieldPath(text, wire_type, kind_of(self._known, wire_type), TypeShape(self._known, wire_type), where,
                         number, match["frep"] or "", comp, sub)

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

    def _container(self, text: str, node: Node | None, way: list[str], picks: list[Pick], name: str, rep: Pick,
                   column: int) -> ContainerPath:
        if self._is_segment(name) and not any(child.is_group and child.name == name
                                              for child in (node.children if node else ())):
            way, picks = self._whereabouts(node, way, picks, name, column)
            return ContainerPath(text, Way(tuple(way), tuple(picks), name, rep),
                                 MessageShape(self._known, None, name))
        inner = self._group(node, name, column)
        return ContainerPath(text, Way((*way, inner.name), (*picks, rep), "", FIRST), MessageShape(self._known, inner))

    def _is_segment(self, name: str) -> bool:
        return bool(self._known.segment(name)) or name.startswith("Z")

    def _whereabouts(self, node: Node | None, way: list[str], picks: list[Pick], name: str,
                     column: int) -> tuple[list[str], list[Pick]]:
        """The groups that hold a segment: here, or the one group below that has it and occurs once."""
        if node is None or any(child.name == name and not child.is_group for child in node.children):
            return way, picks
        holders = [inner for inner in _holders(node, name)]
        if not holders:
            if not self._is_segment(name):
                raise PathError(f"there is no segment {name}", column=column, hint=_close(name, self._known))
            if not self._is_root and not name.startswith("Z"):
                raise PathError(f"there is no segment {name} in {node.name}", column=column)
            return way, picks
        if len(holders) > 1:
            places = ", ".join("/".join(inner) for inner in holders)
            raise PathError(f"{name} could be in several groups", column=column, hint=f"name one of {places}")
        return [*way, *holders[0]], [*picks, *[FIRST] * len(holders[0])]

    def _field(self, segment: str, number: int, column: int) -> Field:
        field = self._known.field(segment, number)
        if field is None:
            last = self._known.segment(segment)
            hint = f"{segment} has fields up to {last[-1].number}" if last else ""
            raise PathError(f"{segment} has no field {number}", column=column,
                            hint=f"{hint}; declare it under segments" if hint else "declare it under segments")
        return field


def _pick(text: str | None, segment: str, column: int) -> Pick:
    """What stands in the brackets of a step. A condition that names no segment means `segment`, at the end of the path."""
    found = pick(text, column, "write SEGMENT-FIELD=CODE, as in PRD-1=RP")
    if not found.conditions:
        return found
    return msgspec.structs.replace(found, conditions=tuple(
        msgspec.structs.replace(each, segment=each.segment or segment) for each in found.conditions))


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
