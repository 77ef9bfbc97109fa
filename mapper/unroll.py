"""The loop over a struct's fields, unrolled into generated Python.

A mapping's rows are known when it is loaded; so the loop that reads them can be written out, one statement a
row, with what can be tested without a call tested in place: is the segment long enough, is the field empty, is
the text free of escapes. Measured in ``docs/adr/0006-unrolled-tables.md``; the meaning stays in the closures of
`mapper.reading`, which the generated code calls for everything else.

Only names and numbers made here get into the source text, never a word of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import UNSET

from canonical.paths import Cells
from mapper.format import Node


class Field(msgspec.Struct, frozen=True):
    """One field of a struct: its name and the closure that reads it."""

    name: str
    reader: Callable[[Node, Any], Any]
    guards: tuple[Cells, ...] = ()
    """Where its raws are. If all these are empty, there is nothing to read."""
    decode: Callable[[Any, Any], Any] | None = None
    """Reads the raw of the only guard; None: the reader fetches for itself."""
    text: bool = False
    """The raw is the value, unless it holds an escape or a quote."""
    sources: tuple[Source, ...] = ()
    """A list: what appends its items, in order; then `reader` is not called."""


class Source(msgspec.Struct, frozen=True):
    """One source of the items of a list."""

    collect: Callable[[Node, Any, list[Any]], bool]
    """Appends items; True where the source says that the list is cleared."""
    guards: tuple[Cells, ...] = ()


_HEAD: Final = "    def read(node, run):\n        values = {}\n"


class _Writer:
    """Collects the lines of one function and the objects its names stand for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"UNSET": UNSET}
        self._rows: dict[Any, str] = {}

    def bind(self, thing: Any) -> str:
        """A name for an object."""
        name = f"x{len(self.names)}"
        self.names[name] = thing
        return name

    def test(self, guards: Sequence[Cells]) -> tuple[str, tuple[str, int]]:
        """A condition that is true where something is at one of the places, and the first place."""
        places = []
        for cells in guards:
            row = self._rows.get(cells.key)
            if row is None:
                row = self._rows[cells.key] = f"s{len(self._rows)}"
                self.lines.append(f"    {row} = node" if cells.row is None
                                  else f"    {row} = {self.bind(cells.row)}(node)")
                self.lines.append(f"    n_{row} = len({row})")
            places.append((row, cells.position))
        return " or ".join(f"(n_{row} > {index} and {row}[{index}])" for row, index in places), places[0]


def _list_of(field: Field, out: _Writer) -> None:
    key = repr(field.name)
    out.lines.append("    items = []; cleared = False")
    for source in field.sources:
        call = f"if {out.bind(source.collect)}(node, run, items): cleared = True"
        if source.guards:
            test, _ = out.test(source.guards)
            out.lines += [f"    if {test}:", f"        {call}"]
        else:
            out.lines.append(f"    {call}")
    out.lines += [f"    if items: values[{key}] = tuple(items)", f"    elif cleared: values[{key}] = None"]


def unrolled(fields: Sequence[Field], constants: Sequence[tuple[str, Any]] = (),
             struct: type[Any] | None = None) -> Callable[[Node, Any], Any]:
    """A function that reads all fields of a node and returns those that are stated.

    With `struct` it makes one of them, with `constants` for fields that are not stated; UNSET where nothing is.
    """
    out = _Writer()
    lines = out.lines
    for field in fields:
        if field.sources:
            _list_of(field, out)
            continue
        key = repr(field.name)
        read = [f"value = {out.bind(field.reader)}(node, run)", f"if value is not UNSET: values[{key}] = value"]
        if not field.guards:
            lines += [f"    {line}" for line in read]
            continue
        test, (row, index) = out.test(field.guards)
        lines.append(f"    if {test}:")
        if field.decode is None:
            lines += [f"        {line}" for line in read]
            continue
        cells = field.guards[0]
        lines.append(f"        raw = {row}[{index}]")
        if cells.cut is not None:
            cut = out.bind(cells.cut)
            when = " or ".join(f"{mark!r} in raw" for mark in cells.cut_on)
            lines.append(f"        if {when}: raw = {cut}(raw)" if when else f"        raw = {cut}(raw)")
        decoded = [f"value = {out.bind(field.decode)}(raw, run)", f"if value is not UNSET: values[{key}] = value"]
        if field.text:
            lines += ["        if '\\\\' in raw or '\"' in raw:", *(f"            {line}" for line in decoded),
                      f"        elif raw: values[{key}] = raw"]
        else:
            lines += [f"        {line}" for line in decoded]
    if struct is None:
        lines.append("    return values")
    else:
        lines.append("    if not values: return UNSET")
        for name, constant in constants:
            lines.append(f"    if {name!r} not in values: values[{name!r}] = {out.bind(constant)}")
        lines.append(f"    return {out.bind(struct)}(**values)")
    source = f"def make({', '.join(out.names)}):\n{_HEAD}" + "\n".join(f"    {line}" for line in lines)
    function: Callable[[Node, Any], Any] = _compiled(source + "\n    return read\n")(*out.names.values())
    return function


@cache
def _compiled(source: str) -> Callable[..., Any]:
    """The maker of functions that share one code."""
    names: dict[str, Any] = {}
    exec(compile(source, "<mapping>", "exec"), names)  # noqa: S102 - made of names and numbers of ours
    make: Callable[..., Any] = names["make"]
    return make
