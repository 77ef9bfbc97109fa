"""Cases: the ``*.tests.yaml`` beside the tables.

A case states what a message must mean, or what an event must look like. Everything in the file is checked
before anything runs: a misspelt key is an error, never a case that cannot fail.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping as Mapping_
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET

from canonical.entities import AnyEntity
from canonical.event import Event, Source, Version
from canonical.findings import Finding, Rejection, Severity, declare
from canonical.paths import PathError
from canonical.phi import Value
from mapper import document, grammar, model
from mapper.document import Mark, Node, Scalar, Sequence
from mapper.extract.known import listed
from mapper.library import Library
from mapper.mapping import Mapping, ReadContext, Reading, WriteContext, covered
from mapper.plan import UNKNOWN_FIELD, UNKNOWN_PATH

NO_INPUT = declare("case.no_input", Severity.FATAL, "the message of the case is not there",
                   "a file beside the tests, or the message itself as a block of text")
NOT_A_CASE = declare("case.incomplete", Severity.FATAL, "the case tests nothing",
                     "it needs in (with expect, error, events, unread or roundtrip) or from (with out, error or findings)")

_SUFFIX: Final = ".tests.yaml"
_KEYS: Final = ("name", "site", "partner", "mapping", "in", "event", "events", "subject", "patient", "expect", "findings",
                "unread", "error", "roundtrip", "known", "from", "context", "out", "note")
_FROM: Final = ("event", "entity", "occurred_at", "subject_key", "patient_key", "message_id")
_NOW: Final = "2026-01-01T00:00:00+00:00"
_RECEIVED: Final = 1_767_225_600_000_000
_GRAVE: Final = (Severity.WARNING, Severity.ERROR, Severity.FATAL)


class Mismatch(msgspec.Struct, frozen=True):
    """One thing that is not as the case says. Values are those of the case's own message."""

    row: str
    """``file:line:column`` of the expectation."""
    what: str
    """Canonical or wire path, or ``event``, ``findings``, ``unread`` …"""
    expected: str
    actual: str


class CaseResult(msgspec.Struct, frozen=True):
    """One case."""

    name: str
    row: str
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all is as the case says."""
        return not self.mismatches


class Suite(msgspec.Struct, frozen=True):
    """All cases of one file."""

    file: str
    results: tuple[CaseResult, ...]
    problems: tuple[Finding, ...] = ()
    """What is wrong with the file itself."""

    @property
    def passed(self) -> bool:
        """Whether every case passed and the file is sound."""
        return not self.problems and all(result.passed for result in self.results)


def files(folder: Path) -> list[Path]:
    """Every file of cases below a folder, in order."""
    return sorted(folder.rglob(f"*{_SUFFIX}"))


class Partners(Protocol):
    """The trading partners of a folder."""

    def values(self, name: str) -> Mapping_[str, str]:
        """What tables write with ``$NAME`` for this partner. Raises Rejection where there is none, or it is faulty."""

    def finished(self, name: str, wire: Any) -> Any:
        """What is sent to this partner: a written message in its letters, complete but for its number.

        Raises:
            Rejection: the partner would refuse it, or it cannot be said in its letters.
        """


def run_folder(library: Library, folder: Path, partners: Partners | None = None) -> list[Suite]:
    """Run all cases of a mappings folder."""
    return [run_file(library, folder, path, partners) for path in files(folder)]


def run_file(library: Library, folder: Path, path: Path, partners: Partners | None = None) -> Suite:
    """Run the cases of one file. Never raises for what is in it.

    Args:
        partners: for cases that name one.
    """
    name = path.relative_to(folder).as_posix()
    try:
        top = document.mapping(document.parse(path.read_bytes(), name), Mark(name, 1, 1), "a file of cases")
        document.known_keys(top, ("mapping", "tests", "note"), "a file of cases")
        tests = top.get("tests")
        if not isinstance(tests, Sequence):
            raise document.fail(document.MISSING, top.mark, "tests is a list of cases")
        cases = [_checked(item) for item in tests.items]
    except Rejection as rejection:
        return Suite(name, (), rejection.findings)
    given = top.get("mapping")
    table = given.text if isinstance(given, Scalar) else name.removesuffix(_SUFFIX)
    return Suite(name, tuple(_Case(library, folder, table, case, partners).run() for case in cases))


def _checked(node: Node) -> document.Mapping:
    case = document.mapping(node, node.mark, "a case")
    document.known_keys(case, _KEYS, "a case")
    tested = {"expect", "error", "event", "events", "unread", "roundtrip", "subject", "patient", "findings"}
    written = {"out", "error", "findings"}
    if not ("in" in case.entries and tested & case.entries.keys()) and not (
            "from" in case.entries and written & case.entries.keys()):
        raise document.fail(NOT_A_CASE, case.mark)
    if "partner" in case.entries and "from" not in case.entries:
        raise document.fail(NOT_A_CASE, case.entries["partner"].key.mark, "a partner is for what is written: from")
    return case


class _Case:
    def __init__(self, library: Library, folder: Path, table: str, case: document.Mapping,
                 partners: Partners | None) -> None:
        self._library, self._folder, self._case, self._partners = library, folder, case, partners
        self._table = self._text("mapping") or table
        self._mismatches: list[Mismatch] = []

    def run(self) -> CaseResult:
        """Run the case; an error of the table or the case is a mismatch as well."""
        try:
            mapping = self._library.mapping(self._table, self._site(self._table))
            if "in" in self._case.entries:
                self._read(mapping)
            if "from" in self._case.entries:
                self._write(mapping)
        except Rejection as rejection:
            if not self._expected_error(rejection.findings):
                self._mismatches += [Mismatch(found.row or str(self._case.mark), found.code, "", _told(found))
                                     for found in rejection.findings]
        return CaseResult(self._text("name") or "(no name)", str(self._case.mark), tuple(self._mismatches))

    def _site(self, _table: str) -> str:
        return self._text("site")

    def _text(self, key: str) -> str:
        node = self._case.get(key)
        return document.scalar(node, key).text if node is not None else ""

    def _wrong(self, node: Node, what: str, expected: object, actual: object) -> None:
        self._mismatches.append(Mismatch(str(node.mark), what, str(expected), str(actual)))

    # -- in -------------------------------------------------------------------------------------------------

    def _read(self, mapping: Mapping) -> None:
        wire = mapping.format.decode(self._input())
        known = self._case.get("known")
        context = ReadContext(message_id="CASE", channel="case", received_at=_RECEIVED,
                              known=listed(known) if known is not None else None)
        reading = mapping.read(wire, context)
        if "error" in self._case.entries:
            if not self._expected_error(reading.findings):
                found = ", ".join(f"{each.code} {each.field}".strip() for each in reading.findings) or "no findings"
                self._wrong(self._case.entries["error"].value, "error", document.plain(
                    self._case.entries["error"].value), found)
            return
        self._events(reading)
        self._findings(reading)
        unread = self._case.get("unread")
        if unread is not None:
            self._unread(unread, mapping.trace(wire, context).undeclared)
        roundtrip = self._case.get("roundtrip")
        if roundtrip is not None and document.boolean(roundtrip, "roundtrip"):
            self._roundtrip(roundtrip, mapping, wire, context, reading)

    def _input(self) -> bytes:
        node = document.scalar(self._case.entries["in"].value, "in")
        if "\n" in node.text or node.text.startswith(("MSH", "{")):
            return node.text.encode()
        path = self._folder / PurePosixPath(node.mark.file).parent / node.text
        if not path.is_file():
            raise document.fail(NO_INPUT, node.mark, f"there is no file {node.text} beside the tests")
        return path.read_bytes()

    def _expected_error(self, findings: tuple[Finding, ...]) -> bool:
        node = self._case.get("error")
        if node is None:
            return False
        error = document.mapping(node, node.mark, "error")
        document.known_keys(error, ("code", "field"), "error")
        wanted = document.plain(error)
        return any(found.severity in (Severity.ERROR, Severity.FATAL) and found.code == wanted.get("code", found.code)
                   and found.field.startswith(wanted.get("field", "")) for found in findings)

    def _events(self, reading: Reading) -> None:
        events = reading.events
        wanted = self._case.get("events")
        types = [event.type for event in events]
        if wanted is not None:
            names = [word.text for word in document.scalars(wanted, "events")]
            if names != types:
                self._wrong(wanted, "events", names, types)
                return
        expect = self._case.get("expect")
        if isinstance(expect, Sequence):
            for node, event in zip(expect.items, events, strict=False):
                self._compare(node, event.entity, "")
            if len(expect.items) != len(events):
                self._wrong(expect, "events", len(expect.items), len(events))
            return
        if not events:
            if {"expect", "event", "subject", "patient"} & self._case.entries.keys():
                fatal = "; ".join(str(found) for found in reading.findings if found.severity is Severity.FATAL)
                self._wrong(self._case, "event", "one", fatal or "none")
            return
        for key, actual in (("event", events[0].type), ("subject", events[0].subject_key),
                            ("patient", events[0].patient_key)):
            said = self._case.get(key)
            if said is not None and document.scalar(said, key).text != actual:
                self._wrong(said, key, document.plain(said), actual)
        if wanted is None and "event" in self._case.entries and len(events) > 1:
            self._wrong(self._case, "events", "one", types)
        if expect is not None:
            self._compare(expect, events[0].entity, "")

    def _findings(self, reading: Reading) -> None:
        node = self._case.get("findings")
        words = [word.text for word in document.scalars(node, "findings")] if node is not None else []
        found = [each.code for each in reading.findings if each.severity in _GRAVE or each.code in words]
        if Counter(found) != Counter(words):
            self._wrong(node or self._case, "findings", words or "none of warning or worse", found)

    def _unread(self, node: Node, unread: tuple[str, ...]) -> None:
        words = [word.text for word in document.scalars(node, "unread")]
        more = [place for place in unread if not covered(place, words)]
        if more:
            self._wrong(node, "unread", words, more)
        for word in words:
            if not any(covered(place, [word]) for place in unread):
                self._wrong(node, "unread", word, "it was read, is declared lossy, or is not in the message")

    def _roundtrip(self, node: Node, mapping: Mapping, wire: Any, context: ReadContext, reading: Reading) -> None:
        """write(read(m)) == m but for what is lossy or unread, and the re-read event is the same."""
        if not reading.events:
            self._wrong(node, "roundtrip", "an event", "none")
            return
        event = reading.events[0]
        writing = mapping.write(event, WriteContext(identity="CASE", now=_NOW, values=mapping.settings_of(wire)))
        again = mapping.read(writing.wire, context)
        if not again.events or again.events[0].entity != event.entity:
            self._wrong(node, "roundtrip", "the same event", _difference(event, again))
        unread = set(mapping.trace(wire, context).unread)
        before = [place for place in mapping.format.leaves(wire, mapping.structure) if place not in unread]
        after = mapping.format.leaves(writing.wire, mapping.structure)
        lost = [place for place in before if place not in after and not covered(place, mapping.lossy)]
        made = [place for place in after if place not in before and not covered(place, mapping.lossy)]
        if lost or made:
            self._wrong(node, "roundtrip", "the same input", f"lost {lost}, new {made}")

    # -- from -----------------------------------------------------------------------------------------------

    def _write(self, mapping: Mapping) -> None:
        source = document.mapping(self._case.entries["from"].value, self._case.mark, "from")
        document.known_keys(source, _FROM, "from")
        context = self._case.get("context")
        values = document.plain(document.mapping(context, context.mark, "context")) if context is not None else {}
        partner = self._text("partner")
        if partner and self._partners is not None:
            values = {**self._partners.values(partner), **values}
        writing = mapping.write(_event(source), WriteContext(identity=values.pop("identity", "CASE"),
                                                             now=values.pop("now", _NOW), values=values))
        wire = writing.wire
        if partner and self._partners is not None and wire is not None and not writing.fatal:
            wire = self._partners.finished(partner, wire)
        if "error" in self._case.entries:
            if not self._expected_error(writing.findings):
                self._wrong(self._case.entries["error"].value, "error", document.plain(
                    self._case.entries["error"].value), [str(each) for each in writing.findings])
            return
        node = self._case.get("findings")
        words = [word.text for word in document.scalars(node, "findings")] if node is not None else []
        found = [each.code for each in writing.findings if each.severity in _GRAVE or each.code in words]
        if Counter(found) != Counter(words):
            self._wrong(node or self._case, "findings", words or "none of warning or worse",
                        [str(each) for each in writing.findings])
        out = self._case.get("out")
        if out is None or wire is None:
            return
        shape = mapping.shape
        root = mapping.format.root(wire, mapping.structure)
        for path, entry in document.mapping(out, out.mark, "out").entries.items():
            try:
                resolved = shape.path(path)
            except PathError as error:
                raise document.fail(UNKNOWN_PATH, entry.key.mark, str(error), error.hint) from None
            raw = resolved.first(root)
            expected = entry.value
            if isinstance(expected, Scalar):
                actual = _wire_text(raw, mapping)
                if not _fits(expected.text, actual):
                    self._wrong(expected, path, expected.text, actual)
            else:
                problem = _json_difference(document.plain(expected), raw, path)
                if problem:
                    self._wrong(expected, *problem)

    # -- comparing ------------------------------------------------------------------------------------------

    def _compare(self, node: Node, actual: Any, at: str) -> None:
        if isinstance(node, Scalar):
            text = _text_of(actual)
            if not _fits(node.text, text):
                self._wrong(node, at, node.text, text)
        elif isinstance(node, Sequence):
            items = actual if isinstance(actual, tuple) else ()
            if len(items) != len(node.items):
                self._wrong(node, at, f"{len(node.items)} items", f"{len(items)} items")
            for index, (inner, item) in enumerate(zip(node.items, items, strict=False)):
                self._compare(inner, item, f"{at}({index})")
        else:
            for key, entry in node.entries.items():
                self._compare(entry.value, _at(actual, entry.key), f"{at}.{key}" if at else key)


def _event(source: document.Mapping) -> Event:
    entity = source.get("entity")
    if entity is None:
        raise document.fail(document.MISSING, source.mark, "the key entity is missing")
    try:
        value: Any = msgspec.convert(_cleared(document.plain(entity)), AnyEntity, strict=False)
    except msgspec.ValidationError as error:
        raise document.fail(document.VALUE, entity.mark, str(error)) from None
    words = {key: document.scalar(entry.value, key).text for key, entry in source.entries.items() if key != "entity"}
    return Event(id=f"{words.get('message_id', 'CASE')}.1", type=words.get("event", ""),
                 subject_key=words.get("subject_key", ""), version=Version(at="20260101000000.000000", tie="CASE"),
                 entity=value, source=Source(channel="case"), message_id=words.get("message_id", "CASE"),
                 occurred_at=words.get("occurred_at", _NOW), received_at=_RECEIVED, revision="",
                 patient_key=words.get("patient_key", ""))


def _cleared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cleared(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_cleared(inner) for inner in value]
    return None if value == "$clear" else value


def _at(value: Any, path: Scalar) -> Any:
    """What is at a canonical path of a value; UNSET where nothing is."""
    for step in grammar.steps(path):
        if value is None or value is UNSET:
            return value
        if not isinstance(value, Value):
            return UNSET
        try:
            field = model.field(type(value), step.name)
        except model.UnknownField as unknown:
            raise document.fail(UNKNOWN_FIELD, path.at(step.column), str(unknown), unknown.hint) from None
        value = getattr(value, step.name)
        if step.argument is None:
            continue
        if isinstance(value, dict):
            value = value.get(step.argument, UNSET)
        elif field.many and value:
            value = next(_picked(value, step.argument, path), UNSET)
        elif value == ():
            value = UNSET
    return value


def _picked(items: tuple[Any, ...], argument: str, path: Scalar) -> Iterator[Any]:
    if argument.isdecimal():
        yield from items[int(argument):int(argument) + 1]
        return
    pairs = grammar.conditions(argument)
    if pairs is None:
        raise document.fail(grammar.BAD_PATH, path.mark, f"{path.text}: brackets hold a position or field=value")
    for item in items:
        if all(_text_of(getattr(item, name, UNSET)) == wanted for name, wanted in pairs):
            yield item


def _text_of(value: Any) -> str:
    if value is UNSET or value == ():
        return "$absent"
    if value is None:
        return "$clear"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, (str, int, float)):
        return str(value)
    return "$stated"


def _told(found: Finding) -> str:
    """A finding without its code and place: they stand before it."""
    return found.detail + (f" ({found.hint})" if found.hint else "")


def _fits(expected: str, actual: str) -> bool:
    if expected == "$any":
        return actual not in ("$absent", "$clear")
    return expected == actual


def _wire_text(raw: Any, mapping: Mapping) -> str:
    if raw == mapping.format.absent:
        return "$absent"
    if raw == mapping.format.clear:
        return "$clear"
    return _text_of(raw) if not isinstance(raw, (dict, list)) else "$stated"


def _json_difference(expected: Any, actual: Any, at: str) -> tuple[str, object, object] | None:
    if isinstance(expected, dict):
        for key, inner in expected.items():
            there = actual.get(key, UNSET) if isinstance(actual, dict) else UNSET
            if problem := _json_difference(inner, there, f"{at}.{key}"):
                return problem
        return None
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            return at, f"{len(expected)} items", f"{len(actual) if isinstance(actual, list) else 0} items"
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            if problem := _json_difference(one, other, f"{at}({index})"):
                return problem
        return None
    text = _text_of(actual) if not isinstance(actual, (dict, list)) else "$stated"
    return None if _fits(expected, text) else (at, expected, text)


def _difference(event: Event, again: Reading) -> str:
    if not again.events:
        return "; ".join(str(found) for found in again.findings)
    other = again.events[0].entity
    return ", ".join(name for name in model.fields(type(event.entity))
                     if getattr(event.entity, name) != getattr(other, name, UNSET))


__all__ = ["CaseResult", "Mismatch", "Suite", "files", "run_file", "run_folder"]
