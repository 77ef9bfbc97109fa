"""From documents to tables: headers, rows, overlays. Knows the words of the language, not what they name.

An overlay is applied to the documents, before any cell is understood; so every cell of the flat table still
knows the file and line it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as ReadOnly
from typing import Final

import msgspec

from canonical.findings import Finding, Rejection, Severity, declare
from mapper import document
from mapper.document import Entry, Mapping, Mark, Node, Scalar, Sequence, did_you_mean, located

MUST_HIT = declare("table.no_such_row", Severity.FATAL, "the overlay names a row that the table does not have",
                   "see the rows with `dragoman explain`; a new row belongs under `add`")
MUST_NOT_HIT = declare("table.row_exists", Severity.FATAL, "the overlay adds a row that the table already has",
                       "use `replace`")
NO_REASON = declare("table.no_reason", Severity.FATAL, "a row is removed without a reason",
                    "write why: `remove: {ROW: the reason}`")
BAD_PATH = declare("table.path", Severity.FATAL, "not a path", "see Canonical paths in docs/mapping-language.md")

HEADER: Final = ("mapping", "format", "entity", "direction", "events", "trigger", "subject", "patient", "version",
                 "occurred", "source", "zone", "absent", "lossy", "set_ids", "constants", "segments", "types",
                 "also", "each", "conditional", "request", "fields", "bundle", "operation", "entries", "note")
TYPE_HEADER: Final = ("type", "entity", "fields", "note")
CELL: Final = ("path", "write", "map", "unmapped", "default", "default_out", "required", "when", "unit", "as",
               "on_null", "only", "derive", "note", "each", "fields")
_OVERLAY_REPLACED: Final = ("zone", "absent", "subject", "patient", "version", "occurred")
_OVERLAY_MERGED: Final = ("events", "segments", "constants", "types")
_OVERLAY_ADDED: Final = ("lossy", "set_ids")
OVERLAY: Final = ("extends", "replace", "add", "remove", "note", *_OVERLAY_REPLACED, *_OVERLAY_MERGED,
                  *_OVERLAY_ADDED)
_CHOICES: Final = {
    "unmapped": ("error", "pass", "park", "skip"), "required": ("yes", "no", "creating"), "only": ("in", "out"),
    "on_null": ("clear", "keep", "error"), "derive": ("end_from_duration", "duration_from_end", "start_from_offset"),
}


class Row(msgspec.Struct):
    """One row: a canonical path and its cells (alternatives); rows under `each` have rows of their own."""

    key: Scalar
    cells: tuple[Mapping, ...]
    rows: dict[str, Row] = {}
    reason: str = ""
    """Why an overlay removed it: such a row is shown by `explain` and does nothing."""


class Table(msgspec.Struct):
    """A mapping or data-type table, overlay applied."""

    name: str
    mark: Mark
    header: dict[str, Node]
    rows: dict[str, Row]
    files: tuple[str, ...]
    removed: dict[str, Row] = {}


def table(node: Node, *, kind: str) -> Table:
    """Read a ``mapping`` or ``type`` document.

    Raises:
        canonical.findings.Rejection: unknown keys and malformed cells, located.
    """
    top = document.mapping(node, node.mark, "a table")
    document.known_keys(top, HEADER if kind == "mapping" else TYPE_HEADER, "a table")
    needed = ("format", "entity") if kind == "mapping" else ("entity", "fields")
    missing = [located(document.MISSING, top.mark, f"the key {key} is missing") for key in needed
               if key not in top.entries]
    if kind == "mapping" and "fields" not in top.entries and "entries" not in top.entries:
        missing.append(located(document.MISSING, top.mark, "the key fields is missing"))
    if missing:
        raise Rejection(*missing)
    name = top.entries[kind].value
    header = {key: entry.value for key, entry in top.entries.items() if key not in ("fields", kind)}
    fields = top.get("fields")
    rows = _rows(document.mapping(fields, top.mark, "fields"), nested=kind == "mapping") if fields else {}
    label = name.text if isinstance(name, Scalar) else ""
    return Table(label, name.mark, header, rows, (top.mark.file,))


def _rows(node: Mapping, *, nested: bool) -> dict[str, Row]:
    return {key: row(entry, nested=nested) for key, entry in node.entries.items()}


def row(entry: Entry, *, nested: bool = True) -> Row:
    """One row from its entry."""
    value = entry.value
    if isinstance(value, Sequence):
        cells = tuple(_cell(item) for item in value.items)
        if not cells:
            raise document.fail(document.VALUE, value.mark, "a row needs a cell")
        for cell in cells:
            if "each" in cell.entries:
                raise document.fail(document.VALUE, cell.mark, "each cannot be one of several alternatives")
        return Row(entry.key, cells)
    cell = _cell(value)
    if "each" not in cell.entries:
        if "fields" in cell.entries:
            raise document.fail(document.MISSING, cell.mark, "fields needs each")
        return Row(entry.key, (cell,))
    if not nested:
        raise document.fail(document.VALUE, cell.mark, "a data-type table has no each")
    inner = cell.get("fields")
    if inner is None:
        raise document.fail(document.MISSING, cell.mark, "each needs fields")
    own = Mapping({key: each for key, each in cell.entries.items() if key != "fields"}, cell.mark)
    return Row(entry.key, (own,), _rows(document.mapping(inner, cell.mark, "fields"), nested=True))


def _cell(node: Node) -> Mapping:
    if isinstance(node, Scalar):
        if not node.text:
            raise document.fail(document.VALUE, node.mark, "the cell is empty")
        return Mapping({"path": Entry(Scalar("path", node.mark), node)}, node.mark)
    cell = document.mapping(node, node.mark, "a cell")
    document.known_keys(cell, CELL, "a cell")
    for key, choices in _CHOICES.items():
        value = cell.get(key)
        if value is not None and document.scalar(value, key).text not in choices:
            raise document.fail(document.VALUE, value.mark, f"{key} is one of {', '.join(choices)}")
    return cell


# -- overlays -----------------------------------------------------------------------------------------------


def overlay(base: Table, node: Node) -> Table:
    """`base` with an overlay document applied. `base` is left as it was.

    Raises:
        canonical.findings.Rejection: every operation that misses or hits against the rules.
    """
    top = document.mapping(node, node.mark, "an overlay")
    document.known_keys(top, OVERLAY, "an overlay")
    result = Table(base.name, base.mark, dict(base.header), _copy(base.rows), (*base.files, top.mark.file))
    for key, entry in top.entries.items():
        if key in _OVERLAY_REPLACED:
            result.header[key] = entry.value
        elif key in _OVERLAY_MERGED:
            result.header[key] = _merged(result.header.get(key), entry.value, key)
        elif key in _OVERLAY_ADDED:
            there = result.header.get(key)
            items = (*document.scalars(there, key), *document.scalars(entry.value, key)) if there else \
                tuple(document.scalars(entry.value, key))
            result.header[key] = Sequence(tuple(items), entry.value.mark)
    problems: list[Finding] = []
    for key, operation in (("replace", _replace), ("remove", _remove), ("add", _add)):
        value = top.get(key)
        for entry in document.mapping(value, top.mark, key).entries.values() if value else ():
            try:
                operation(result, entry)
            except Rejection as rejection:
                problems.extend(rejection.findings)
    if problems:
        raise Rejection(*problems)
    return result


def _copy(rows: ReadOnly[str, Row]) -> dict[str, Row]:
    return {key: Row(row.key, row.cells, _copy(row.rows)) for key, row in rows.items()}


def _merged(there: Node | None, node: Node, what: str) -> Mapping:
    new = document.mapping(node, node.mark, what)
    old = there.entries if isinstance(there, Mapping) else {}
    entries = dict(old)
    for key, entry in new.entries.items():
        before = entries.get(key)
        if what == "segments" and before is not None:
            entries[key] = Entry(entry.key, _merged(before.value, entry.value, key))
        else:
            entries[key] = entry
    return Mapping(entries, new.mark)


def find(rows: dict[str, Row], name: str) -> tuple[dict[str, Row], str] | None:
    """The rows that hold the row of that full name, and its key there."""
    if name in rows:
        return rows, name
    for key, row in rows.items():
        if row.rows and name.startswith(f"{key}.") and (found := find(row.rows, name[len(key) + 1:])):
            return found
    return None


def names(rows: ReadOnly[str, Row], prefix: str = "") -> list[str]:
    """Full names of all rows."""
    found = []
    for key, row in rows.items():
        found.append(prefix + key)
        found += names(row.rows, f"{prefix}{key}.")
    return found


def _missed(result: Table, entry: Entry) -> Rejection:
    return document.fail(MUST_HIT, entry.key.mark, f"{result.name} has no row {entry.key.text}",
                         did_you_mean(entry.key.text, names(result.rows)))


def _replace(result: Table, entry: Entry) -> None:
    place = find(result.rows, entry.key.text)
    if place is None:
        raise _missed(result, entry)
    rows, key = place
    old = rows[key]
    new = entry.value
    if isinstance(new, Sequence) or len(old.cells) > 1:
        rows[key] = Row(old.key, row(Entry(entry.key, new)).cells, old.rows)
        return
    cell = _cell(new)
    if "fields" in cell.entries:
        raise document.fail(document.VALUE, cell.mark, "fields of an each row are replaced one by one: ROW.FIELD")
    rows[key] = Row(old.key, (Mapping({**old.cells[0].entries, **cell.entries}, cell.mark),), old.rows)


def _remove(result: Table, entry: Entry) -> None:
    place = find(result.rows, entry.key.text)
    if place is None:
        raise _missed(result, entry)
    reason = document.scalar(entry.value, "the reason")
    if not reason.text.strip():
        raise document.fail(NO_REASON, entry.key.mark)
    rows, key = place
    removed = rows.pop(key)
    result.removed[entry.key.text] = Row(entry.key, removed.cells, removed.rows, reason.text)


def _add(result: Table, entry: Entry) -> None:
    name = entry.key.text
    if find(result.rows, name) is not None:
        raise document.fail(MUST_NOT_HIT, entry.key.mark, f"{result.name} already has the row {name}")
    for key, parent in result.rows.items():
        if parent.rows and name.startswith(f"{key}."):
            short = Scalar(name[len(key) + 1:], entry.key.at(len(key) + 1))
            parent.rows[short.text] = row(Entry(short, entry.value))
            return
    result.rows[name] = row(entry)


# -- canonical paths ----------------------------------------------------------------------------------------


class Step(msgspec.Struct, frozen=True):
    """One part of a canonical path."""

    name: str
    argument: str | None
    """What stands in brackets; None without brackets."""
    column: int


def steps(text: Scalar) -> list[Step]:
    """The parts of ``patient.identifiers(type=MR).value``.

    Raises:
        canonical.findings.Rejection: `BAD_PATH`, located.
    """
    found = []
    position = 0
    source = text.text
    while True:
        match = _STEP.match(source, position)
        if match is None:
            raise document.fail(BAD_PATH, text.at(position), f"{source} is not a canonical path")
        found.append(Step(match[1], match[2], position))
        position = match.end()
        if position == len(source):
            return found
        if source[position] != ".":
            raise document.fail(BAD_PATH, text.at(position), f"{source} is not a canonical path")
        position += 1


_STEP: Final = re.compile(r"([a-z][a-z0-9_]*)(?:\(([^()]*)\))?")


def conditions(argument: str) -> list[tuple[str, str]] | None:
    """``kind=practitioner & role=x`` as pairs; None if it is not that."""
    pairs = []
    for part in re.split(r"\s+&\s+", argument.strip()):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            return None
        pairs.append((name.strip(), value.strip()))
    return pairs


# -- cells --------------------------------------------------------------------------------------------------


class Word(msgspec.Struct, frozen=True):
    """A piece of a cell with its place."""

    text: str
    mark: Mark


def parts(value: Scalar, separator: str) -> list[Word]:
    """A cell split at `` | ``, `` & `` or `` + `` (blanks around are optional for ``|``)."""
    words = []
    position = 0
    pattern = r"\s*\|\s*" if separator == "|" else rf"\s+{re.escape(separator)}\s+"
    for piece in re.split(f"({pattern})", value.text):
        stripped = piece.strip()
        if stripped != separator:
            lead = len(piece) - len(piece.lstrip())
            words.append(Word(stripped, value.at(position + lead)))
        position += len(piece)
    return words


class When(msgspec.Struct, frozen=True):
    """One condition."""

    path: Word
    verb: str
    """``present``, ``absent``, ``=``, ``!=``, ``in``, ``not in``"""
    values: tuple[str, ...] = ()


_WHEN: Final = re.compile(r"(?P<path>.+?)\s+(?:(?P<verb>present|absent)|(?P<equals>!?=)\s*(?P<value>.+?)|"
                          r"(?P<among>not\s+in|in)\s*\((?P<values>[^()]*)\))\s*\Z")


def when(value: Scalar) -> When:
    """Read a ``when`` cell.

    Raises:
        canonical.findings.Rejection: located.
    """
    match = _WHEN.match(value.text)
    if match is None:
        raise document.fail(document.VALUE, value.mark,
                            "a condition is PATH present, absent, = A, != A, in (A, B) or not in (A, B)")
    path = Word(match["path"], value.mark)
    if match["verb"]:
        return When(path, match["verb"])
    if match["value"] is not None:
        return When(path, match["equals"], (match["value"],))
    return When(path, " ".join(match["among"].split()), tuple(part.strip() for part in match["values"].split(",")))
