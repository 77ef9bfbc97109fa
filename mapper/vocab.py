"""Code tables: one table, read both ways.

A code that may be read two ways, or a canonical code that could be written two ways, is an error of the
table: extra spellings carry ``only: in`` or ``only: out``.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as ReadOnly
from typing import Final

import msgspec

from canonical.findings import Finding, Rejection, Severity, declare
from mapper import document, model
from mapper.document import Mark, Node, located

TWO_WAYS = declare("vocab.two_ways", Severity.FATAL, "the code can be translated in two ways",
                   "mark the extra spelling `only: in` (accepted, never sent) or `only: out`")
NOT_CANONICAL = declare("vocab.not_canonical", Severity.FATAL, "not a code of the canonical enumeration",
                        "see docs/canonical.md for its codes")
UNSENT = declare("vocab.unsent", Severity.WARNING, "a canonical code has no row that writes it",
                 "add a row, or name it under `unsent` if that is meant")
UNKNOWN_VOCAB = declare("vocab.unknown", Severity.FATAL, "there is no such code table",
                        "code tables are named by their first cell, `vocab: NAME`")

_KEYS: Final = ("vocab", "source", "canonical", "codes", "unsent", "extends", "partial", "note")
_ROW: Final = ("source", "canonical", "only", "display", "note")


class CodeRow(msgspec.Struct, frozen=True):
    """One row."""

    source: str
    canonical: str
    only: str
    display: str
    mark: Mark


class Vocab(msgspec.Struct, frozen=True):
    """A code table, ready for use."""

    name: str
    source: str
    """Name or URI of the code system on the wire."""
    canonical: str
    """Canonical enumeration, code system URI, or ``text``."""
    rows: tuple[CodeRow, ...]
    unsent: frozenset[str]
    mark: Mark
    inward: ReadOnly[str, CodeRow]
    outward: ReadOnly[str, CodeRow]
    partial: bool = False
    """It holds some codes of its system only: a code that is missing may be right all the same."""


def load(node: Node, others: ReadOnly[str, Node]) -> Vocab:
    """Build a code table from its document; `others` are the documents it may extend.

    Raises:
        canonical.findings.Rejection: every problem of the table, located.
    """
    table = document.mapping(node, node.mark, "a code table")
    document.known_keys(table, _KEYS, "a code table")
    for key in ("vocab", "source", "canonical", "codes"):
        if key not in table.entries:
            raise document.fail(document.MISSING, table.mark, f"the key {key} is missing")
    rows = _rows(table.entries["codes"].value)
    extends = table.get("extends")
    if extends is not None:
        parent = document.scalar(extends, "extends")
        base = others.get(parent.text)
        if base is None or base is node:
            raise document.fail(UNKNOWN_VOCAB, parent.mark, f"there is no code table {parent.text}",
                                document.did_you_mean(parent.text, others))
        own = {row.source for row in rows}
        inherited = document.mapping(base, parent.mark, "a code table").get("codes")
        if inherited is not None:
            rows += [row for row in _rows(inherited) if row.source not in own]
    canonical = document.scalar(table.entries["canonical"].value, "canonical").text
    unsent = table.get("unsent")
    words = document.scalars(unsent, "unsent") if unsent is not None else []
    inward, outward, problems = _index(rows)
    enum = model.enums().get(canonical)
    if enum is None and canonical != "text" and ":" not in canonical:
        problems.append(located(NOT_CANONICAL, table.entries["canonical"].value.mark,
                                f"{canonical} is no enumeration of the canonical model",
                                document.did_you_mean(canonical, [*model.enums(), "text"])))
    if enum is not None:
        codes = [member.value for member in enum]
        problems += [located(NOT_CANONICAL, row.mark, f"{row.canonical} is no {canonical}",
                             document.did_you_mean(row.canonical, codes))
                     for row in rows if row.canonical not in codes]
        problems += [located(NOT_CANONICAL, word.mark, f"{word.text} is no {canonical}",
                             document.did_you_mean(word.text, codes))
                     for word in words if word.text not in codes]
    if problems:
        raise Rejection(*problems)
    name = document.scalar(table.entries["vocab"].value, "vocab")
    partial = table.get("partial")
    return Vocab(name.text, document.scalar(table.entries["source"].value, "source").text, canonical, tuple(rows),
                 frozenset(word.text for word in words), name.mark, inward, outward,
                 document.boolean(partial, "partial") if partial is not None else False)


def advice(vocab: Vocab) -> Iterable[Finding]:
    """Warnings: canonical codes that nothing writes and nobody declared unsent."""
    enum = model.enums().get(vocab.canonical)
    for member in enum or ():
        if member.value not in vocab.outward and member.value not in vocab.unsent:
            yield located(UNSENT, vocab.mark, f"{member.value} has no row that writes it")


def _rows(node: Node) -> list[CodeRow]:
    if not isinstance(node, document.Sequence):
        raise document.fail(document.VALUE, node.mark, "codes is a list of rows")
    rows = []
    for item in node.items:
        row = document.mapping(item, item.mark, "a row of a code table")
        document.known_keys(row, _ROW, "a row of a code table")
        cells = {key: document.scalar(entry.value, key).text for key, entry in row.entries.items()}
        for key in ("source", "canonical"):
            if key not in cells:
                raise document.fail(document.MISSING, row.mark, f"the key {key} is missing")
        if cells.get("only", "in") not in ("in", "out"):
            raise document.fail(document.VALUE, row.entries["only"].value.mark, "only is in or out")
        rows.append(CodeRow(cells["source"], cells["canonical"], cells.get("only", ""), cells.get("display", ""),
                            row.mark))
    return rows


def _index(rows: list[CodeRow]) -> tuple[dict[str, CodeRow], dict[str, CodeRow], list[Finding]]:
    inward: dict[str, CodeRow] = {}
    outward: dict[str, CodeRow] = {}
    problems = []
    for row in rows:
        if row.only != "out" and inward.setdefault(row.source, row) is not row:
            problems.append(located(TWO_WAYS, row.mark, f"source {row.source} is already read on line "
                                                        f"{inward[row.source].mark.line}"))
        if row.only != "in" and outward.setdefault(row.canonical, row) is not row:
            problems.append(located(TWO_WAYS, row.mark, f"canonical {row.canonical} is already written on line "
                                                        f"{outward[row.canonical].mark.line}"))
    return inward, outward, problems
