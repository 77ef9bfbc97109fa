"""The flat table: every row and cell of a mapping as it holds for one site, with the file and line of each."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mapper import document
from mapper.document import Mapping, Mark, Node, Scalar
from mapper.grammar import Row, Table


class ExplainedCell(msgspec.Struct, frozen=True):
    """One cell."""

    key: str
    """``path``, ``map``, ``required`` …"""
    text: str
    file: str
    line: int
    column: int


class ExplainedRow(msgspec.Struct, frozen=True):
    """One row, or one alternative of a row."""

    field: str
    """Canonical path in full: ``participants(kind=practitioner).who``."""
    cells: tuple[ExplainedCell, ...]
    depth: int = 0
    """How many ``each`` it stands under."""
    alternative: int = 0
    """Counts from 1 where a row has several; else 0."""
    file: str = ""
    line: int = 0
    removed: str = ""
    """The reason, where an overlay took the row away."""

    def cell(self, key: str) -> str:
        """The text of one cell; empty where the row has none."""
        return next((cell.text for cell in self.cells if cell.key == key), "")


class Explained(msgspec.Struct, frozen=True):
    """A flat table."""

    mapping: str
    files: tuple[str, ...]
    """Standard table first, then the overlay."""
    header: tuple[ExplainedCell, ...]
    rows: tuple[ExplainedRow, ...]


def explain(table: Table) -> Explained:
    """The flat table of `mapper.library.Library.table`."""
    header = tuple(cell for key, node in table.header.items() for cell in _cells(key, node))
    removed = tuple(found for name, row in table.removed.items() for found in _row(name, row, "", 0))
    return Explained(table.name, table.files, header, (*_rows(table.rows, "", 0), *removed))


def _rows(rows: dict[str, Row], prefix: str, depth: int) -> tuple[ExplainedRow, ...]:
    return tuple(found for name, row in rows.items() for found in _row(name, row, prefix, depth))


def _row(name: str, row: Row, prefix: str, depth: int) -> Iterator[ExplainedRow]:
    several = len(row.cells) > 1
    for number, cell in enumerate(row.cells, 1):
        cells = tuple(_cell(key, entry.value, entry.value.mark) for key, entry in cell.entries.items())
        yield ExplainedRow(f"{prefix}{name}", cells, depth, number if several else 0, row.key.mark.file,
                           row.key.mark.line, row.reason)
    yield from _rows(row.rows, f"{prefix}{name}.", depth + 1)


def _cells(key: str, node: Node) -> Iterator[ExplainedCell]:
    if isinstance(node, Mapping):
        for name, entry in node.entries.items():
            yield from _cells(f"{key}.{name}", entry.value)
    else:
        yield _cell(key, node, node.mark)


def _cell(key: str, node: Node, mark: Mark) -> ExplainedCell:
    value = document.plain(node)
    text = node.text if isinstance(node, Scalar) else ", ".join(map(str, value))
    return ExplainedCell(key, text, mark.file, mark.line, mark.column)
