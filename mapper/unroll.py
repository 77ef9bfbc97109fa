"""The loop over a struct's fields, unrolled into generated Python, for reading and for writing.

A mapping's rows are known when it is loaded; so the loop over them can be written out, one statement a row, with
what can be tested without a call tested in place: is the segment long enough, is the field empty, is the text
free of escapes. Measured in ``docs/adr/0006-unrolled-tables.md``; the meaning stays in the closures of
`mapper.reading` and `mapper.writing`, which the generated code calls for everything else.

Only names and numbers made here get into the source text, never a word of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET

from canonical.paths import Cells, Spot
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
    return _function("node, run", ["values = {}", *(line[4:] for line in lines)], out.names)


# -- writing ------------------------------------------------------------------------------------------------


class Unsaid(Exception):  # noqa: N818 - control flow between the alternatives of one row
    """This cell cannot say the value; carries the finding if no other cell can."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.finding = found


class Simple(msgspec.Struct, frozen=True):
    """The usual row: one value at one place, without conditions."""

    encode: Callable[[Any, Any], Any]
    put: Callable[[Node, Any], None]
    absent: Any
    clear: Any
    """What is put for a value that was cleared."""
    spot: Spot | None = None
    """Where `put` puts it, if it need not be called."""
    text: str = ""
    """Text that need not be encoded: ``plain`` where it is letters and digits, ``any`` where there are no escapes."""


class Choice(msgspec.Struct, frozen=True):
    """One row of a list: which of the items it writes."""

    write: Callable[[Any, Node, Any], None]
    index: int | None = None
    select: tuple[tuple[str, Any], ...] = ()
    all: bool = True
    """Every item that is left and selected; otherwise the first."""
    otherwise: Callable[[Any, Node, Any], None] | None = None
    """What is written where there is no such item; takes the list."""


class Part(msgspec.Struct, frozen=True):
    """One field of a struct to be written."""

    name: str
    write: Callable[[Any, Node, Any], None] | Simple | tuple[Choice, ...]
    """A list of choices: in this order, and no item is written twice."""
    clear: Callable[[Node, Any], None] | None = None
    """For a list that was cleared."""
    otherwise: Callable[[Any, Node, Any], None] | None = None
    """What is written where the field is not stated; takes the struct."""


class _Draft:
    """Collects the lines of a function that writes."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"UNSET": UNSET, "Unsaid": Unsaid}
        self.rows: dict[Any, tuple[str, Spot]] = {}
        self.width = 0
        self.flat = False
        """The node itself is a sequence that is written to."""

    def bind(self, thing: Any) -> str:
        name = f"x{len(self.names)}"
        self.names[name] = thing
        return name

    def add(self, indent: int, *lines: str) -> None:
        self.lines += [" " * indent + line for line in lines]

    def simple(self, row: Simple, indent: int, value: str) -> None:
        """Write `value`, which is stated, by a simple row."""
        add = self.add
        clear = self.bind(row.clear)
        add(indent, f"if {value} is None: raw = {clear}")
        if row.text == "any":
            add(indent, f"else: raw = {value}")
        else:
            if row.text == "plain":
                add(indent, f"elif {value}.isalnum(): raw = {value}")
            add(indent, "else:", f"    try: raw = {self.bind(row.encode)}({value}, run)",
                f"    except Unsaid as cannot: run.findings.append(cannot.finding); raw = {self.bind(row.absent)}")
        spot = row.spot
        if spot is None:
            add(indent, f"{self.bind(row.put)}(node, raw)")
            return
        self.width = max(self.width, spot.position + 1)
        add(indent, "if raw:")
        if spot.row is None:
            here, self.flat = "node", True
        else:
            here = self.rows.setdefault(spot.key, (f"s{len(self.rows)}", spot))[0]
            add(indent + 4, f"if {here} is None: {here} = make_{here}(node, width)")
        where = f"{here}[{spot.position}]"
        if spot.empty:
            add(indent + 4, f"if {where}: {self.bind(row.put)}(node, raw)", f"else: {where} = raw")
        else:
            add(indent + 4, f"{where} = raw")

    def function(self, parameters: str, head: Sequence[str] = ()) -> Callable[..., Any]:
        """The function that these lines are."""
        lines = list(head)
        self.names["width"] = self.width
        for name, spot in self.rows.values():
            self.names[f"make_{name}"] = spot.row
            lines.append(f"{name} = None")
        if self.flat:
            lines.append(f"if len(node) < width: node.extend({self.bind(('',) * self.width)})")
        return _function(parameters, [*lines, *self.lines], self.names)

    def choices(self, choices: Sequence[Choice], indent: int) -> None:
        """Write the items of the list ``part``, which is one."""
        add = self.add
        for choice in choices:
            call = self.bind(choice.write)
            otherwise = f"{self.bind(choice.otherwise)}(part, node, run)" if choice.otherwise is not None else ""
            if choice.index is not None:
                add(indent, f"if len(part) > {choice.index}: {call}(part[{choice.index}], node, run)")
                if otherwise:
                    add(indent, f"else: {otherwise}")
                continue
            if otherwise:
                add(indent, "hit = False")
            add(indent, "for item in part:")
            test = _test(self, choice.select) or _not(self, [each.select for each in choices if each is not choice])
            inner = indent + 4
            if test:
                add(inner, f"if {test}:")
                inner += 4
            add(inner, f"{call}(item, node, run)")
            if otherwise:
                add(inner, "hit = True")
            if not choice.all:
                add(inner, "break")
            if otherwise:
                add(indent, f"if not hit: {otherwise}")


def _test(out: _Draft, select: tuple[tuple[str, Any], ...]) -> str:
    return " and ".join(f"item.{name} == {out.bind(wanted)}" for name, wanted in select)


def _not(out: _Draft, selects: Sequence[tuple[tuple[str, Any], ...]]) -> str:
    return " and ".join(f"not ({_test(out, select)})" for select in selects)


def writer(parts: Sequence[Part], *, new: Callable[[], Node] | None = None,
           close: Callable[[Node], Any] | None = None) -> Callable[..., Any]:
    """A function that writes all parts of a struct into a node; takes the struct, the node and the run.

    With `new` and `close` it makes the node itself and returns what it was closed to.
    """
    out = _Draft()
    for part in parts:
        out.add(0, f"part = value.{part.name}", "if part is not UNSET:")
        if isinstance(part.write, Simple):
            out.simple(part.write, 4, "part")
        elif isinstance(part.write, tuple):
            clear = f"{out.bind(part.clear)}(node, run)" if part.clear is not None else "pass"
            out.add(4, f"if part is None: {clear}", "else:")
            out.choices(part.write, 8)
        else:
            out.add(4, f"{out.bind(part.write)}(part, node, run)")
        if part.otherwise is not None:
            out.add(0, f"else: {out.bind(part.otherwise)}(value, node, run)")
    head = [] if new is None else [f"node = {out.bind(new)}()"]
    if close is not None:
        out.add(0, f"return {out.bind(close)}(node)")
    return out.function("value, run" if new is not None else "value, node, run", head)


def row_writer(row: Simple) -> Callable[[Any, Node, Any], None]:
    """A function that writes one value by a simple row."""
    out = _Draft()
    out.simple(row, 0, "part")
    return out.function("part, node, run")


# -- code ---------------------------------------------------------------------------------------------------


def _function(parameters: str, lines: Sequence[str], names: dict[str, Any]) -> Callable[..., Any]:
    """A function whose free names stand for these objects."""
    body = "".join(f"        {line}\n" for line in lines) or "        pass\n"
    source = f"def make({', '.join(names)}):\n    def function({parameters}):\n{body}    return function\n"
    made: Callable[..., Any] = _compiled(source)(*names.values())
    return made


@cache
def _compiled(source: str) -> Callable[..., Any]:
    """The maker of functions that share one code."""
    names: dict[str, Any] = {}
    exec(compile(source, "<mapping>", "exec"), names)  # noqa: S102 - made of names and numbers of ours
    make: Callable[..., Any] = names["make"]
    return make
