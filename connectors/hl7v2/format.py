r"""HL7 v2 for the mapping language: paths such as ``RESOURCES(*)/SERVICE(*)/AIS-3.1``, checked by the dictionary.

Satisfies ``mapper.format.Format`` structurally. A path is resolved once (`shapes`) into functions that walk a `View`
(a message or group with what was looked up in it), a list of components, or, when writing, a `Draft`.

All functions work on the standard encoding characters; a message with others is re-encoded before it is read
(P01), so the common case pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from canonical.paths import PathError
from connectors.hl7v2.delimiters import NULL, STANDARD, components, repetitions, subcomponents
from connectors.hl7v2.dictionary import Dictionary, dictionary
from connectors.hl7v2.drafted import written
from connectors.hl7v2.er7 import HEADERS, Message, Segment, parse
from connectors.hl7v2.escapes import escape, marked, unescape
from connectors.hl7v2.parts import Parts, trimmed
from connectors.hl7v2.shapes import MessageShape, TypeShape
from connectors.hl7v2.structure import groups
from connectors.hl7v2.views import Draft, View, new_segment
from connectors.hl7v2.way import places

_DEFAULT_VERSION: Final = "2.5.1"
_HEADER: Final = "MSH"


class Hl7Format:
    """HL7 v2 as ``mapper.format.Format``. Structures are named ``SIU_S12`` or, for another dictionary than
    2.5.1, ``SIU_S12@2.3``."""

    family: Final = "hl7v2"
    absent: Final = ""
    clear: Final = NULL
    can_clear: Final = True
    marks: Final = '\\"'

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
        return written(node, *_split(name), set_ids)

    def leaves(self, wire: Message, name: str) -> list[str]:
        """See ``mapper.format.Format``: everything but the envelope (MSH) and the event code (EVN-1)."""
        root = self.root(wire, name)
        assert root.group is not None
        found = []
        for segment, place in places(root.group, ""):
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
