"""Forms and tables of documents as flat tables: for `dragoman explain`."""

from __future__ import annotations

from mapper import document
from mapper.document import Entry, Mapping, Node, Scalar
from mapper.grammar import Row, Table


def of_form(node: Node) -> Table:
    """The rows of a form."""
    top = document.mapping(node, node.mark, "a form")
    fields = top.get("fields")
    rows = document.mapping(fields, top.mark, "fields").entries if fields is not None else {}
    return _table(top, "form", {key: _row(entry) for key, entry in rows.items()})


def of_documents(top: Mapping) -> Table:
    """A table of documents has a header only."""
    return _table(top, "mapping", {})


def _table(top: Mapping, kind: str, rows: dict[str, Row]) -> Table:
    name = document.scalar(top.entries[kind].value, kind)
    header = {key: entry.value for key, entry in top.entries.items() if key not in (kind, "fields")}
    return Table(name.text, name.mark, header, rows, (top.mark.file,))


def _row(entry: Entry) -> Row:
    cell = entry.value
    if not isinstance(cell, Mapping):
        scalar = cell if isinstance(cell, Scalar) else Scalar("", entry.key.mark)
        return Row(entry.key, (Mapping({"label": Entry(Scalar("label", scalar.mark), scalar)}, scalar.mark),))
    inner = cell.get("fields")
    own = Mapping({key: each for key, each in cell.entries.items() if key != "fields"}, cell.mark)
    rows = document.mapping(inner, cell.mark, "fields").entries if inner is not None else {}
    return Row(entry.key, (own,), {key: _row(each) for key, each in rows.items()})
