"""Validation of a partner's messages against a profile: what this partner agreed to send, and what follows.

Two sources of rules: the standard's dictionary (structures, required fields, cardinalities, tables, shapes of
numbers and times), each kind with a policy of its own; and the profile's own rows for segments and fields, which
count before the standard's. Nothing is checked unless a channel names a profile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from canonical.findings import Code, Finding, Severity, declare, finding
from connectors.hl7v2.delimiters import NULL, components, repetitions
from connectors.hl7v2.dictionary import Dictionary, Node, dictionary
from connectors.hl7v2.er7 import Message, Segment
from connectors.hl7v2.structure import Group, groups

REQUIRED: Final = declare(
    "profile.required", Severity.WARNING, "a field or segment that must be valued is not",
    "Ask the sender to fill it, or excuse this partner from it in the profile.")
CARDINALITY: Final = declare(
    "profile.cardinality", Severity.WARNING, "something occurs more often than it may",
    "Ask the sender which of them counts, or raise the limit in the profile.")
LENGTH: Final = declare(
    "profile.length", Severity.WARNING, "a value is longer than agreed",
    "Ask the sender to shorten it, or raise the length in the profile.")
TABLE: Final = declare(
    "profile.table", Severity.WARNING, "a code is not in its table",
    "Add the code to the profile (and to the code table of the mapping), or have the sender correct it.")
SHAPE: Final = declare(
    "profile.shape", Severity.WARNING, "a number or time does not have the form of its data type",
    "Have the sender correct the form; the mapping may refuse what it cannot read.")
STRUCTURE: Final = declare(
    "profile.segment", Severity.WARNING, "the message structure requires a segment that is missing",
    "Ask the sender for it, or excuse this partner from it in the profile.")
UNUSED: Final = declare(
    "profile.not_agreed", Severity.WARNING, "a field is valued that was agreed to stay empty",
    "See whether it means something to you; if so, map it and change the profile.")

_Meta = msgspec.Meta
#: ``off`` nothing; ``warn`` a finding; ``park`` the message waits for a person; ``fail`` the sender is told no (AE).
Policy: TypeAlias = Literal["off", "warn", "park", "fail"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of a profile."""


class Standard(_Part, frozen=True, kw_only=True):
    """What to do where a message departs from the dictionary of its version."""

    required: Annotated[Policy, _Meta(description="A field that the standard requires is empty.")] = "warn"
    cardinality: Annotated[Policy, _Meta(description="A field, segment or group repeats that may not.")] = "warn"
    structure: Annotated[Policy, _Meta(description="A segment that the structure requires is missing.")] = "warn"
    shape: Annotated[Policy, _Meta(description="A number, date or time has another form.")] = "warn"
    table: Annotated[Policy, _Meta(
        description="A code is not in its HL7 table. Off by default: most sites use tables of their own.")] = "off"


class SegmentRule(_Part, frozen=True, kw_only=True):
    """What was agreed on a segment."""

    required: Annotated[bool, _Meta(description="It must be there.")] = False
    repeats: Annotated[int, _Meta(ge=0, description="How often at most; 0: any number.")] = 0
    policy: Annotated[Policy, _Meta(description="What follows where it is otherwise.")] = "warn"


class FieldRule(_Part, frozen=True, kw_only=True):
    """What was agreed on a field or component, in every segment of that name."""

    required: Annotated[bool, _Meta(description="It must be valued; \"\" does not count as a value.")] = False
    used: Annotated[bool, _Meta(description="no: it was agreed to stay empty.")] = True
    repeats: Annotated[int, _Meta(ge=0, description="Repetitions at most; 0: as the standard says.")] = 0
    length: Annotated[int, _Meta(ge=0, description="Characters of a repetition (of a component) at most; 0: any."
                                 )] = 0
    table: Annotated[tuple[str, ...] | str, _Meta(
        description="The codes that were agreed, or the name of an HL7 table (HL70278).")] = ""
    policy: Annotated[Policy, _Meta(description="What follows where it is otherwise.")] = "warn"


class Profile(_Part, frozen=True, kw_only=True):
    """One file of ``mappings/profiles``."""

    profile: Annotated[str, _Meta(description="Its name, that of the file.")]
    version: Annotated[str, _Meta(description="Version of the dictionary; empty: MSH-12 of each message.")] = ""
    standard: Standard = Standard()
    segments: Annotated[dict[str, SegmentRule], _Meta(description="By name: PV1.")] = {}
    fields: Annotated[dict[str, FieldRule], _Meta(description="By place: PID-3, PID-5.1.")] = {}
    excused: Annotated[tuple[str, ...], _Meta(
        description="Segments (NTE) and fields (PID-8) that the standard's rules leave alone.")] = ()


class Problem(msgspec.Struct, frozen=True):
    """One finding, and what the profile wants done about it."""

    finding: Finding
    policy: Policy


_PLACE: Final = re.compile(r"(?P<segment>[A-Z][A-Z0-9]{2})(?:-(?P<field>\d{1,3})(?:\.(?P<component>\d{1,3}))?)?\Z")
_SHAPES: Final = {
    "NM": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)\Z"), "SI": re.compile(r"\d{1,4}\Z"),
    "DT": re.compile(r"\d{4}(\d{2}(\d{2})?)?\Z"),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,4})?)?)?([+-]\d{4})?\Z"),
    "TS": re.compile(r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,4})?)?)?)?)?)?([+-]\d{4})?\Z")}
_SHAPES["DTM"] = _SHAPES["TS"]
_HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
_CODED: Final = frozenset({"ID", "IS", "CE", "CWE", "CNE", "CF"})


def places(profile: Profile) -> Iterator[tuple[str, str]]:
    """What a profile names that no version of the standard has: (where in the profile, the name)."""
    known = dictionary(profile.version)
    for name in profile.segments:
        if not re.fullmatch(r"[A-Z][A-Z0-9]{2}", name):
            yield "segments", name
    for at, names in (("fields", profile.fields), ("excused", profile.excused)):
        for name in names:
            match = _PLACE.match(name)
            if match is None or not (match["field"] or at == "excused"):
                yield at, name
                continue
            ours = name.startswith("Z") or not match["field"]
            if not ours and known.field(match["segment"], int(match["field"])) is None:
                yield at, name


class Validator:
    """A profile, ready to look at messages. Immutable; rules of a segment are worked out when first met."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._excused = frozenset(profile.excused)
        self._plans: dict[tuple[str, str], tuple[_Check, ...]] = {}

    @property
    def refuses(self) -> bool:
        """Whether anything makes the sender be told no: only then a message is looked at before it is answered."""
        standard = self.profile.standard
        return "fail" in {
            standard.required, standard.cardinality, standard.structure, standard.shape, standard.table,
            *(rule.policy for rule in self.profile.segments.values()),
            *(rule.policy for rule in self.profile.fields.values())}

    def validate(self, message: Message) -> list[Problem]:
        """Everything that departs from the profile, in the order of the message. Values are never named."""
        header = message.first("MSH")
        version = self.profile.version or (header.field(12) if header is not None else "")
        found = dictionary(version)
        problems = list(self._structure(message))
        seen: dict[str, int] = {}
        for segment in message.segments:
            seen[segment.id] = seen.get(segment.id, 0) + 1
            for check in self._plan(found, segment.id):
                problems.extend(check.problems(segment, message, seen[segment.id]))
        for name, rule in self.profile.segments.items():
            count = seen.get(name, 0)
            if rule.required and not count:
                problems += _problem(STRUCTURE, name, rule.policy)
            if rule.repeats and count > rule.repeats:
                problems += _problem(CARDINALITY, name, rule.policy, f"{count} times, {rule.repeats} were agreed")
        return problems

    # -- structure ----------------------------------------------------------------------------------------

    def _structure(self, message: Message) -> Iterator[Problem]:
        standard = self.profile.standard
        if standard.structure == standard.cardinality == "off":
            return
        tree = groups(message, version=self.profile.version)
        structure = dictionary(self.profile.version or _version(message)).structure(tree.name)
        if structure is not None:
            yield from self._members(tree, structure)

    def _members(self, group: Group, node: Node) -> Iterator[Problem]:
        standard = self.profile.standard
        for child in node.children:
            own = [s for s in group.segments if s.id == child.name] if not child.is_group else []
            inner = group.select(child.name) if child.is_group else []
            count = len(own) + len(inner)
            if child.name in self._excused:
                continue
            if child.required and not count and not node.choice:
                yield from _problem(STRUCTURE, child.name, standard.structure)
            elif not child.repeats and count > 1:
                yield from _problem(CARDINALITY, child.name, standard.cardinality, f"{count} times where one may be")
            for each in inner:
                yield from self._members(each, child)

    # -- fields -------------------------------------------------------------------------------------------

    def _plan(self, found: Dictionary, segment: str) -> tuple[_Check, ...]:
        key = (found.version, segment)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = tuple(self._checks(found, segment))
        return plan

    def _checks(self, found: Dictionary, segment: str) -> Iterator[_Check]:
        own: dict[tuple[int, int], FieldRule] = {}
        for place, rule in self.profile.fields.items():
            match = _PLACE.match(place)
            if match is not None and match["segment"] == segment and match["field"]:
                own[int(match["field"]), int(match["component"] or 0)] = rule
        for (number, component), rule in own.items():
            yield _Check(number, component, rule.required, rule.repeats, rule.length, rule.used,
                         _codes(found.version, rule.table) if isinstance(rule.table, str) else frozenset(rule.table),
                         "", dict.fromkeys(_KINDS, rule.policy))
        if segment in self._excused:
            return
        standard = self.profile.standard
        policies: dict[str, Policy] = {"required": standard.required, "repeats": standard.cardinality,
                                       "table": standard.table, "shape": standard.shape}
        for field in found.segment(segment):
            if field.version or f"{segment}-{field.number}" in self._excused:
                continue  # another version's field is none of this one's rules
            if segment in _HEADERS and field.number < 3:
                continue  # delimiters
            row = own.get((field.number, 0))
            coded = field.table if standard.table != "off" and field.datatype in _CODED else ""
            yield _Check(
                field.number, 0, field.required and not (row and row.required),
                1 if not field.repeats and not (row and row.repeats) else 0, 0, True,
                frozenset() if row and row.table else _codes(found.version, coded),
                field.datatype if field.datatype in _SHAPES else "", policies)


_KINDS: Final = ("required", "repeats", "length", "used", "table")


class _Check(msgspec.Struct, frozen=True):
    """The rules of one field or component of a segment."""

    number: int
    component: int
    required: bool
    repeats: int
    length: int
    used: bool
    table: frozenset[str]
    datatype: str
    policies: dict[str, Policy]

    def problems(self, segment: Segment, message: Message, occurrence: int) -> Iterator[Problem]:
        """What is wrong with this field of a segment."""
        text = segment.field(self.number)
        if not text and not self.required:
            return
        marks = message.delimiters
        parts = repetitions(text, marks) if text else []
        if self.component:
            parts = [(components(part, marks) + [""] * self.component)[self.component - 1] for part in parts]
        name = f"{segment.id}({occurrence})" if occurrence > 1 else segment.id
        at = f"{name}-{self.number}" + (f".{self.component}" if self.component else "")
        valued = [part for part in parts if part.strip(" ^&" + marks.component + marks.subcomponent)]
        if self.required and not any(part != NULL for part in valued):
            yield from _problem(REQUIRED, at, self.policies["required"])
        if not self.used and valued:
            yield from _problem(UNUSED, at, self.policies["used"])
        if self.repeats and len(parts) > self.repeats:
            yield from _problem(CARDINALITY, at, self.policies["repeats"],
                                f"{len(parts)} repetitions, {self.repeats} may be")
        if self.length and any(len(part) > self.length for part in valued):
            yield from _problem(LENGTH, at, self.policies["length"],
                                f"{max(map(len, valued))} characters, {self.length} may be")
        first = [components(part, marks)[0] if not self.component else part for part in valued if part != NULL]
        if self.table and any(code and code != NULL and code not in self.table for code in first):
            yield from _problem(TABLE, at, self.policies["table"])
        if self.datatype and any(code and not _SHAPES[self.datatype].match(code.strip()) for code in first):
            yield from _problem(SHAPE, at, self.policies["shape"], f"not a {self.datatype}")


def _problem(code: Code, at: str, policy: Policy, detail: str = "") -> Iterator[Problem]:
    if policy != "off":
        severity = Severity.FATAL if policy in {"park", "fail"} else Severity.WARNING
        yield Problem(finding(code, at=at, detail=detail, severity=severity), policy)


def _version(message: Message) -> str:
    header = message.first("MSH")
    return header.field(12) if header is not None else ""


@lru_cache(maxsize=512)
def _codes(version: str, table: str) -> frozenset[str]:
    return dictionary(version).table(table) if table else frozenset()
