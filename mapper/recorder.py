"""What a traced run remembers: where every value came from and what was never looked at.

Tracing compiles the table once more with a `Recorder` in every closure (rule 10). The hot path has none of
this; the traced run is the same code otherwise and must give the same values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mapper.format import Node, Path, Raw


class Lineage(msgspec.Struct):
    """Where one canonical leaf came from."""

    field: str
    """``participants(0).who.identifiers(0).value``"""
    source: str
    """Concrete place in the input: ``RESOURCES/PERSONNEL_RESOURCE(2)/AIP-3``; empty for defaults and rules."""
    row: str
    """``file:line:column`` of the row; of a data-type table where the value is a part of a composite."""
    code_row: str = ""
    """``file:line:column`` of the code table's row."""
    how: str = "value"
    """``value``, ``default``, ``rule`` (the event's ``set``, the zone), ``row`` (the selector says so)."""
    via: str = ""
    """The row of the mapping table that used the data-type table."""


class Recorder:
    """Collects lineage, reads and writes of one traced run."""

    def __init__(self) -> None:
        self.lineage: list[Lineage] = []
        self.read: set[str] = set()
        self.covered: list[str] = []
        self.fired: set[str] = set()
        self.written: set[str] = set()
        self.stack: list[str] = []
        self.place = ""
        self.code_row = ""
        self._places: dict[int, str] = {}
        self._alive: list[Any] = []

    # -- places ---------------------------------------------------------------------------------------------

    def at(self, node: Node) -> str:
        """The concrete place of a node."""
        return self._places.get(id(node), "")

    def settle(self, node: Node) -> Node:
        """Remember that a node is at the current place; it stays alive so that its id stays its own."""
        self._places[id(node)] = self.place
        self._alive.append(node)
        return node

    def first(self, path: Path, *, whole: bool = False) -> Any:
        """`Path.first` that records."""
        def read(node: Node) -> Raw:
            self._tested(path, node)
            for raw, at in path.located(node, self.at(node)):
                self._saw(at, whole=whole or path.whole)
                return raw
            return path.first(node)
        return read

    def every(self, path: Path, *, whole: bool = False, settle: bool = False) -> Any:
        """`Path.every` that records."""
        def read(node: Node) -> Iterator[Raw]:
            self._tested(path, node)
            for raw, at in path.located(node, self.at(node)):
                self._saw(at, whole=whole or path.whole)
                yield self.settle(raw) if settle else raw
        return read

    def look(self, path: Path, node: Node) -> None:
        """Note that what is at a path was read."""
        self._tested(path, node)
        for _, at in path.located(node, self.at(node)):
            self.read.add(at)
            if path.kind == "composite" or path.whole:
                self.covered.append(at)

    def _tested(self, path: Path, node: Node) -> None:
        self.read.update(path.tested(node, self.at(node)))

    def _saw(self, at: str, *, whole: bool) -> None:
        self.place = at
        self.read.add(at)
        if whole:
            self.covered.append(at)

    def unread(self, leaves: list[str]) -> list[str]:
        """Those of `leaves` that no row looked at."""
        covers = tuple(f"{place}{mark}" for place in self.covered for mark in ".(")
        return [leaf for leaf in leaves if leaf not in self.read and not (covers and leaf.startswith(covers))]

    # -- lineage --------------------------------------------------------------------------------------------

    def leaf(self, row: str, mark: int, how: str) -> None:
        """A row gave a value: one entry, unless the parts of the value have entries of their own."""
        self.fired.add(row)
        if len(self.lineage) == mark:
            source = "" if how == "default" else self.place
            self.lineage.append(Lineage("", source, row, self.code_row, how))
            return
        for entry in self.lineage[mark:]:
            if not entry.via and entry.row != row:
                entry.via = row

    def name(self, mark: int, name: str) -> None:
        """Entries made since `mark` belong to the part `name`."""
        for entry in self.lineage[mark:]:
            joint = "" if not entry.field or entry.field.startswith("(") else "."
            entry.field = f"{name}{joint}{entry.field}"

    def forget(self, mark: int) -> None:
        """What was read since `mark` came to nothing."""
        del self.lineage[mark:]

    def wrote(self) -> None:
        """The canonical leaf at the current stack was written."""
        self.written.add("".join(self.stack).removeprefix("."))
