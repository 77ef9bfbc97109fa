"""The loop over a struct's fields, unrolled into generated Python, for reading and for writing.

A mapping's rows are known when it is loaded; so the loop over them can be written out, one statement a row, with
what can be tested without a call tested in place: is the segment long enough, is the field empty, is the text
free of escapes. Measured in ``docs/adr/0006-unrolled-tables.md``; the meaning stays in the closures of
`mapper.reading` and `mapper.writing`, which the generated code calls for everything else.

Only names and numbers made here get into the source text, never a word of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET

from canonical.paths import Cells, Spot
from mapper.format import Node
from mapper.run import Missing

# -- reading ------------------------------------------------------------------------------------------------


class Test(msgspec.Struct, frozen=True):
    """A condition on the raw at one place."""

    place: str
    """The path, as written: tests of one struct's rows with equal paths are of one place."""
    cells: Cells
    text: Callable[[str], str]
    """From the raw to what is compared."""
    marks: str
    """Where none of these is in the raw, it is that."""
    values: frozenset[str]
    positive: bool
    """True where it must be one of the values."""


class Way(msgspec.Struct, frozen=True):
    """One way to read a field."""

    reader: Callable[[Node, Any], Any]
    guards: tuple[Cells, ...] = ()
    """Where its raws are. If all these are empty, there is nothing to read."""
    when: Test | None = None
    """It is a way only where this holds."""
    decode: Callable[..., Any] | None = None
    """Reads the raw of the first guard (and the raw of the unit); None: the reader fetches for itself."""
    other: Callable[..., Any] | None = None
    """Reads the raw of the second guard, which states the same fact; the reader is for where both differ."""
    text: str = ""
    """The raw is the value, unless it holds one of these."""
    quick: Mapping[Any, Any] = {}
    """Values of raws that need not be decoded."""
    unit: Cells | None = None
    """Where the unit of an amount is."""


class Source(msgspec.Struct, frozen=True):
    """One source of the items of a list: `collect`, or what says the same without a call."""

    collect: Callable[[Node, Any, list[Any]], bool]
    """Appends items; True where the source says that the list is cleared."""
    guards: tuple[Cells, ...] = ()
    one: Callable[[Node, Any], Any] | None = None
    """Reads the only item."""
    decode: Callable[[Any, Any], Any] | None = None
    """Reads each of the raws at the only guard."""
    every: Callable[[Node], Iterable[Node]] | None = None
    """The nodes that `one` reads an item each from."""
    when: Callable[[Node, Any], bool] | None = None
    """Which of them."""


class Field(msgspec.Struct, frozen=True):
    """One field of a struct."""

    name: str
    ways: tuple[Way, ...] = ()
    """The first that finds something."""
    sources: tuple[Source, ...] = ()
    """Of a list, in the order of its items."""


class Opening(msgspec.Struct, frozen=True):
    """How the raw of a composite becomes a node."""

    open: Callable[[Any], Node]
    absent: Any
    clear: Any
    cleared: Callable[[Any], Any]
    """The value where it was cleared; takes the run."""


class _Reading:
    """Collects the lines of a function that reads, and the objects its names stand for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"UNSET": UNSET, "Missing": Missing}
        self._rows: dict[Any, str] = {}
        self._tests: dict[tuple[Any, ...], str] = {}

    def bind(self, thing: Any) -> str:
        """A name for an object."""
        name = f"x{len(self.names)}"
        self.names[name] = thing
        return name

    def add(self, indent: int, *lines: str) -> None:
        self.lines += [" " * indent + line for line in lines]

    def fetch(self, cells: Cells, indent: int, raw: str) -> None:
        """The raw at a place, empty where nothing is."""
        row = self.row(cells)
        self.add(indent, f"{raw} = {row}[{cells.position}] if n_{row} > {cells.position} else ''")
        self.cut(cells, indent, raw)

    def holds(self, test: Test) -> str:
        """A condition that is true where a test holds; it is made once."""
        key = (test.place, test.values, test.positive)
        name = self._tests.get(key)
        if name is None:
            name = self._tests[key] = f"t{len(self._tests)}"
            self.fetch(test.cells, 0, "raw")
            if test.marks:
                self.add(0, f"if {_any_of(test.marks)}: raw = {self.bind(test.text)}(raw)")
            self.add(0, f"{name} = raw {'in' if test.positive else 'not in'} {self.bind(test.values)}")
        return name

    def row(self, cells: Cells) -> str:
        """The sequence that holds them."""
        row = self._rows.get(cells.key)
        if row is None:
            row = self._rows[cells.key] = f"s{len(self._rows)}"
            self.add(0, f"{row} = {'node' if cells.row is None else f'{self.bind(cells.row)}(node)'}",
                     f"n_{row} = len({row})")
        return row

    def test(self, guards: Sequence[Cells]) -> str:
        """A condition that is true where something is at one of the places."""
        places = [(self.row(cells), cells.position) for cells in guards]
        return " or ".join(f"n_{row} > {index} and {row}[{index}]" for row, index in places)

    def cut(self, cells: Cells, indent: int, raw: str) -> None:
        if cells.cut is not None:
            marks = " or ".join(f"{mark!r} in {raw}" for mark in cells.cut_on) or raw
            self.add(indent, f"if {marks}: {raw} = {self.bind(cells.cut)}({raw})")

    def field(self, field: Field, target: str) -> None:
        """Read a field that is one value."""
        tests = [self.test(way.guards) for way in field.ways]
        for way in field.ways:
            if way.unit is not None:
                self.row(way.unit)
            if way.when is not None:
                self.holds(way.when)
        for number, (way, test) in enumerate(zip(field.ways, tests, strict=True)):
            tests_ = [f"{target} is UNSET"] if number else []
            tests_ += [f"({test})"] if test else []
            tests_ += [self.holds(way.when)] if way.when is not None else []
            indent = 4 if tests_ else 0
            if tests_:
                self.add(0, f"if {' and '.join(tests_)}:")
            self.way(way, indent, target)

    def way(self, way: Way, indent: int, target: str) -> None:
        if way.decode is None:
            self.add(indent, f"{target} = {self.bind(way.reader)}(node, run)")
            return
        cells = way.guards[0]
        if way.other is not None:
            self.fetch(cells, indent, "raw")
            self.fetch(way.guards[1], indent, "other")
            self.add(indent, f"if not other or raw == other: {target} = {self.bind(way.decode)}(raw, run)",
                     f"elif not raw: {target} = {self.bind(way.other)}(other, run)",
                     f"else: {target} = {self.bind(way.reader)}(node, run)")
            return
        self.add(indent, f"raw = {self.row(cells)}[{cells.position}]")
        self.cut(cells, indent, "raw")
        decode = self.bind(way.decode)
        if way.unit is not None:
            self.fetch(way.unit, indent, "unit")
            self.add(indent, f"{target} = {decode}(raw, unit, run)")
        elif way.text:
            self.add(indent, f"if {_any_of(way.text)}: {target} = {decode}(raw, run)",
                     f"elif raw: {target} = raw")
        elif way.quick:
            self.add(indent, f"{target} = {self.bind(way.quick)}.get(raw)",
                     f"if {target} is None: {target} = {decode}(raw, run)")
        else:
            self.add(indent, f"{target} = {decode}(raw, run)")

    def list_of(self, field: Field, target: str) -> None:
        """Read a field that is a list."""
        tests = [self.test(source.guards) for source in field.sources]
        self.add(0, "items = []; cleared = False")
        for source, test in zip(field.sources, tests, strict=True):
            if test:
                self.add(0, f"if {test}:")
            self.source(source, 4 if test else 0)
        self.add(0, f"if items: {target} = tuple(items)", f"elif cleared: {target} = None")

    def source(self, source: Source, indent: int) -> None:
        if source.decode is not None:
            cells = source.guards[0]
            split = repr(cells.split)
            self.add(indent, f"raws = {self.row(cells)}[{cells.position}]",
                     f"for raw in raws.split({split}) if {split} in raws else (raws,):")
            self.cut(cells, indent + 4, "raw")
            self.add(indent + 4, "if raw:")
            self.item(f"{self.bind(source.decode)}(raw, run)", indent + 8)
        elif source.every is not None:
            self.add(indent, f"for inner in {self.bind(source.every)}(node):")
            indent += 4
            if source.when is not None:
                self.add(indent, f"if {self.bind(source.when)}(inner, run):")
                indent += 4
            self.item(f"{self.bind(source.one)}(inner, run)", indent)
        elif source.one is not None:
            self.item(f"{self.bind(source.one)}(node, run)", indent)
        else:
            self.add(indent, f"if {self.bind(source.collect)}(node, run, items): cleared = True")

    def item(self, call: str, indent: int) -> None:
        self.add(indent, f"try: value = {call}",
                 "except Missing as missing: run.findings.append(missing.finding)",
                 "else:",
                 "    if value is None: cleared = True",
                 "    elif value is not UNSET: items.append(value)")


def _any_of(marks: str) -> str:
    return " or ".join(f"{mark!r} in raw" for mark in marks)


def reader(fields: Sequence[Field], struct: type[Any] | None = None, *, constants: Sequence[tuple[str, Any]] = (),
           needed: Sequence[tuple[str, Any]] = (), essential: str = "",
           opening: Opening | None = None) -> Callable[[Any, Any], Any]:
    """A function that reads all fields of a node and returns those that are stated.

    Args:
        struct: it makes one of these; UNSET where nothing is stated.
        constants: for fields that are not stated.
        needed: fields that must have a value, and the finding where one has none.
        essential: a field without which there is nothing.
        opening: it takes the raw of a composite instead of a node.
    """
    out = _Reading()
    singles = {field.name: f"v{number}" for number, field in enumerate(fields) if not field.sources}
    lists = {field.name: f"v{number}" for number, field in enumerate(fields) if field.sources}
    for field in fields:
        if field.sources:
            out.list_of(field, lists[field.name])
        else:
            out.field(field, singles[field.name])
    head = []
    if opening is not None:
        head += [f"if raw == {out.bind(opening.absent)}: return UNSET",
                 f"if raw == {out.bind(opening.clear)}: return {out.bind(opening.cleared)}(run)",
                 f"node = {out.bind(opening.open)}(raw)"]
    if singles:
        head.append(f"{' = '.join(singles.values())} = UNSET")
    if lists:
        head.append(f"{' = '.join(lists.values())} = ()")
    if struct is None:
        out.add(0, "values = {}")
        for names, nothing in ((singles, "is not UNSET"), (lists, "!= ()")):
            for name, value in names.items():
                out.add(0, f"if {value} {nothing}: values[{name!r}] = {value}")
        out.add(0, "return values")
    else:
        empty = [*(f"{value} is UNSET" for value in singles.values()), *(f"{value} == ()" for value in lists.values())]
        out.add(0, f"if {' and '.join(empty) or 'True'}: return UNSET")
        given = {**singles, **lists}
        if essential and essential in given:
            out.add(0, f"if not {given[essential]}: return UNSET")
        for name, found in needed:
            missing = f"{singles[name]} is UNSET or {singles[name]} is None" if name in singles else "True"
            out.add(0, f"if {missing}: raise Missing({out.bind(found)})")
        for name, constant in constants:
            bound = out.bind(constant)
            given[name] = f"{bound} if {given[name]} is UNSET else {given[name]}" if name in given else bound
        out.add(0, f"return {out.bind(struct)}({', '.join(f'{name}={value}' for name, value in given.items())})")
    return _function("node, run" if opening is None else "raw, run", [*head, *out.lines], out.names)


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
    verbatim: bool = False
    """Text is its own raw."""
    marked: Callable[[str], object] | None = None
    """Text in which this finds nothing is its own raw."""
    beside: tuple[tuple[Any, Callable[[Node, Any], None], Spot], ...] = ()
    """What is put with it at other places: the unit of an amount."""


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
        self.widths: dict[str, int] = {}
        """How long each row has to be at least; that of the node itself has no name."""

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
        if row.verbatim:
            add(indent, f"else: raw = {value}")
        else:
            if row.marked is not None:
                add(indent, f"elif {self.bind(row.marked)}({value}) is None: raw = {value}")
            add(indent, "else:", f"    try: raw = {self.bind(row.encode)}({value}, run)",
                f"    except Unsaid as cannot: run.findings.append(cannot.finding); raw = {self.bind(row.absent)}")
            if row.beside:
                add(indent, "    else:")
            for raw, put, spot in row.beside:
                self.put(put, spot, indent + 8, self.bind(raw))
        if row.spot is None:
            add(indent, f"{self.bind(row.put)}(node, raw)")
        else:
            add(indent, "if raw:")
            self.put(row.put, row.spot, indent + 4, "raw")

    def put(self, put: Callable[[Node, Any], None], spot: Spot, indent: int, raw: str) -> None:
        """Write a raw, which is not empty, at a spot."""
        here = "node" if spot.row is None else self.rows.setdefault(spot.key, (f"s{len(self.rows)}", spot))[0]
        self.widths[here] = max(self.widths.get(here, 0), spot.position + 1)
        if spot.row is not None:
            self.add(indent, f"if {here} is None: {here} = make_{here}(node, width_{here})")
        where = f"{here}[{spot.position}]"
        if spot.empty:
            self.add(indent, f"if {where}: {self.bind(put)}(node, {raw})")
            self.add(indent, f"else: {where} = {f'{spot.lead!r} + ' if spot.lead else ''}{raw}")
        else:
            self.add(indent, f"{where} = {raw}")

    def function(self, parameters: str, head: Sequence[str] = ()) -> Callable[..., Any]:
        """The function that these lines are."""
        lines = list(head)
        for name, spot in self.rows.values():
            self.names[f"make_{name}"] = spot.row
            self.names[f"width_{name}"] = self.widths[name]
            lines.append(f"{name} = None")
        if width := self.widths.get("node"):
            lines.append(f"if len(node) < {width}: node.extend({self.bind(('',) * width)})")
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


def constants(rows: Sequence[tuple[Callable[[Any], Any], Callable[[Node, Any], None], Spot | None]]
              ) -> Callable[[Node, Any], None]:
    """A function that writes what a table writes always: what each of these says, at its place."""
    out = _Draft()
    for value, put, spot in rows:
        out.add(0, f"raw = {out.bind(value)}(run)")
        if spot is None:
            out.add(0, f"{out.bind(put)}(node, raw)")
        else:
            out.add(0, "if raw:")
            out.put(put, spot, 4, "raw")
    return out.function("node, run")


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
