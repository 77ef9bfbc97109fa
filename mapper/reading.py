"""Plans compiled for reading: closures from a node to a canonical value.

A reader returns a value, None (cleared) or UNSET (nothing there). Everything that can be decided when the
table is loaded is decided then: a message pays for its own leaves and for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

from canonical.findings import Finding, Severity, finding
from canonical.model import CodeableConcept, Coding, Identifier, Place, Reference
from canonical.paths import Cells
from mapper import codecs, model, times, unroll
from mapper.format import Format, Node, Raw
from mapper.model import ENUM, STRUCT
from mapper.plan import UNMAPPED, Cell, Condition, Each, Fetch, Item, Leaf, Plan, Planner, Slot
from mapper.recorder import Lineage, Recorder
from mapper.run import CONFLICT, NULL_COMPONENT, NULL_REFUSED, REQUIRED, Missing, Run, escalate
from mapper.times import Refused
from mapper.unroll import Field, Opening, Source, Test, Way
from mapper.vocab import Vocab

Reader: TypeAlias = Callable[[Node, Run], Any]
Decode: TypeAlias = Callable[[Raw, Run], Any]


#: More places than this are not worth testing one by one.
_MOST_GUARDS: Final = 12
#: Values that come back in message after message (codes, places, the people of a clinic): each row remembers
#: some by their wire text. Never what is a patient's.
RECURRING: Final = (CodeableConcept, Place, Reference)
REMEMBERED: Final = 512


class ReadCompiler:
    """Compiles the plans of one table. With a recorder, every closure also records."""

    def __init__(self, planner: Planner, *, absent_clears: bool = False, recorder: Recorder | None = None) -> None:
        self._planner = planner
        self._format: Format = planner.parts.format
        self._absent_clears = absent_clears
        self._recorder = recorder

    # -- structs --------------------------------------------------------------------------------------------

    def entity(self, plan: Plan) -> Reader:
        """The reader of a whole entity: what the event sets wins, the zone that was used is told, redundant
        durations are compared."""
        struct, recorder = plan.struct, self._recorder
        collect = unroll.reader(self._fields(plan))
        has_basis = "time_basis" in model.fields(struct)
        timed = {"start", "end", "duration"} <= model.fields(struct).keys()

        def read(node: Node, run: Run) -> Any:
            values = collect(node, run)
            if not values:
                return UNSET
            if run.overrides:
                _override(values, run, recorder)
            if has_basis and run.zone_used and run.zone is not None and "time_basis" not in values:
                values["time_basis"] = run.zone.key
                if recorder is not None:
                    recorder.lineage.append(_rule("time_basis"))
            if timed and values.get("duration") is not None and values.get("start") and values.get("end"):
                _compare_duration(values, run, recorder)
            return struct(**values)

        return read

    def struct(self, plan: Plan, *, parts: bool = False, opening: Opening | None = None) -> Reader:
        """The reader of a struct: UNSET where nothing but its constants would be in it. `parts`: its fields
        come from rows of their own, so that an identifier may turn out to have no value. `opening`: it is read
        from the raw of a composite."""
        struct, constants, clears, recorder = plan.struct, plan.constants, self._absent_clears, self._recorder
        needed = tuple((name, finding(REQUIRED, field=f"{plan.name}.{name}", row=str(plan.mark), severity=Severity.ERROR))
                       for name in _needed(plan))
        essential = "value" if parts and struct is Identifier else ""
        if recorder is None and not clears:
            return unroll.reader(self._fields(plan), struct, constants=constants, needed=needed,
                                 essential=essential, opening=opening)
        collect = unroll.reader(self._fields(plan))

        def read(node: Node, run: Run) -> Any:
            values = collect(node, run)
            if not values or (essential and not values.get(essential)):
                return UNSET
            if clears and not any(value is not None for value in values.values()):
                return None
            for name, constant in constants:
                if name not in values:
                    values[name] = constant
                    if recorder is not None:
                        recorder.lineage.append(_constant(name, plan))
            for name, found in needed:
                if values.get(name) is None:
                    raise Missing(found)
            return struct(**values)

        return read

    def _fields(self, plan: Plan) -> list[Field]:
        fields = []
        for slot in plan.slots.values():
            if self._recorder is not None or self._absent_clears:
                read = self._slot(slot)
                if read is not None:
                    fields.append(Field(slot.name, (Way(self._named(slot.name, read)),)))
            elif slot.field.many and slot.field.kind != model.EXTENSIONS:
                if sources := tuple(self._sources(slot)):
                    fields.append(Field(slot.name, sources=sources))
            elif ways := self._ways(slot):
                fields.append(Field(slot.name, ways))
        return fields

    def _ways(self, slot: Slot) -> tuple[Way, ...]:
        """The ways to read a field, with what can be tested and read without calling the reader."""
        leaf = slot.source
        if not isinstance(leaf, Leaf):
            read = self._slot(slot)
            return (Way(read, _guards(slot)),) if read is not None else ()
        return tuple(self._way(cell, leaf) for cell in leaf.cells if cell.reads)

    def _way(self, cell: Cell, leaf: Leaf) -> Way:
        guards = _guarded(cell)
        when = self._test(cell.when) if guards else None
        if cell.when is not None:
            if when is None:
                return Way(self._cell(cell, leaf), guards)
            cell = msgspec.structs.replace(cell, when=None)
        read = self._cell(cell, leaf)
        if len(cell.places) == 2 and len(guards) == 2 and cell.unit is None and not cell.phone:
            first, second = (self._decode(cell, place, leaf) for place in cell.places)
            return Way(read, guards, when, first, second)
        if len(cell.places) != 1 or len(guards) != 1 or cell.phone:
            return Way(read, guards, when)
        if cell.unit is not None:
            unit = cell.unit.places[0] if len(cell.unit.places) == 1 else None
            if unit is None or unit.outer or unit.path.cells is None:
                return Way(read, guards, when)
            return Way(read, guards, when, self._amount(cell, leaf), unit=unit.path.cells)
        plain = cell.codec is not None and cell.codec.name == "text" and cell.vocab is None and not cell.uri
        return Way(read, guards, when, self._decode(cell, cell.places[0], leaf),
                   text=self._format.marks if plain else "",
                   quick=self._quick(cell, leaf))

    def _test(self, condition: Condition | None) -> Test | None:
        """A condition that can be tested in place, or None."""
        if condition is None or condition.place.outer or (cells := condition.place.path.cells) is None:
            return None
        path, verb, values = condition.place.path, condition.verb, frozenset(condition.values)
        if verb in ("present", "absent"):
            return Test(path.text, cells, str, "", frozenset((self._format.absent, self._format.clear)), verb == "absent")
        marks = self._format.marks if path.kind == "leaf" else ""
        return Test(path.text, cells, self._format.text(path.wire_type)[0], marks, values, verb in ("=", "in"))

    def _named(self, name: str, reader: Reader) -> Reader:
        recorder = self._recorder
        if recorder is None:
            return reader

        def traced(node: Node, run: Run) -> Any:
            mark = len(recorder.lineage)
            value = reader(node, run)
            if value is UNSET:
                recorder.forget(mark)
            else:
                recorder.name(mark, name)
            return value

        return traced

    def _slot(self, slot: Slot) -> Reader | None:
        if slot.field.kind == model.EXTENSIONS:
            return self._extensions(slot)
        if not slot.field.many:
            if isinstance(slot.source, Plan):
                return self.struct(slot.source)
            return self._leaf(slot.source) if slot.source is not None else None
        return self._list(slot)

    def _extensions(self, slot: Slot) -> Reader | None:
        readers = [(key, reader) for key, item in slot.items.items()
                   if isinstance(item.source, Leaf) and (reader := self._leaf(item.source)) is not None]
        named = tuple((key, self._named(f"({key})", reader)) for key, reader in readers)
        if not named:
            return None

        def read(node: Node, run: Run) -> Any:
            values = {}
            for key, reader in named:
                value = reader(node, run)
                if value is not UNSET:
                    values[key] = value
            return values or UNSET

        return read

    def _within(self, compile_: Callable[[], Reader]) -> Reader:
        """Inside items and values what is absent is absent, also where the record as a whole is complete."""
        clears, self._absent_clears = self._absent_clears, False
        try:
            return compile_()
        finally:
            self._absent_clears = clears

    # -- lists ----------------------------------------------------------------------------------------------

    def _sources(self, slot: Slot) -> list[Source]:
        """What fills a list: items with a position first, in their order."""
        indexed = sorted((item for item in slot.items.values() if item.index is not None),
                         key=lambda item: item.index or 0)
        others = [item for item in slot.items.values() if item.index is None]
        return [source for item in (*indexed, *others) if (source := self._source(slot, item)) is not None]

    def _source(self, slot: Slot, item: Item) -> Source | None:
        """One source of a list, with what can be done without calling it."""
        collect = self._item(item)
        if collect is None:
            return None
        guards, source = _guards(Slot(slot.name, slot.field, None, {"": item})), item.source
        if isinstance(source, Plan):
            return Source(collect, guards, self.struct(source, parts=True))
        if isinstance(source, Each):
            if source.place.outer:
                return Source(collect)
            return Source(collect, (), self._within(lambda: self.struct(source.plan)),
                          every=self._every(source.place, None, settle=True), when=self.when(source.when))
        cells = [cell for cell in source.cells if cell.reads]
        repeated = len(cells) == 1 and len(cells[0].places) == 1 and cells[0].places[0].path.repeats
        if not repeated:
            return Source(collect, guards, self._leaf(source))
        if len(guards) == 1 and guards[0].split and cells[0].when is None:
            return Source(collect, guards, decode=self._decode(cells[0], cells[0].places[0], source))
        return Source(collect, guards)

    def _list(self, slot: Slot) -> Reader | None:
        sources = tuple(source.collect for source in self._sources(slot))
        if not sources:
            return None
        clears = self._absent_clears

        def read(node: Node, run: Run) -> Any:
            items: list[Any] = []
            cleared = False
            for source in sources:
                if source(node, run, items):
                    cleared = True
            if items:
                return tuple(items)
            return None if cleared or clears else UNSET

        return read

    def _item(self, item: Item) -> Callable[[Node, Run, list[Any]], bool] | None:
        """A function that appends the items of one source; True where the source was cleared."""
        source = item.source
        if isinstance(source, Each):
            return self._each(source) if source.only != "out" else None
        if isinstance(source, Plan):
            return self._single(self.struct(source, parts=True))
        cells = [cell for cell in source.cells if cell.reads]
        if not cells:
            return None
        if len(cells) == 1 and len(cells[0].places) == 1 and cells[0].places[0].path.repeats:
            return self._repeated(source, cells[0])
        reader = self._leaf(source)
        return self._single(reader) if reader is not None else None

    def _append(self) -> Callable[[list[Any], Any, int], None] | None:
        recorder = self._recorder
        if recorder is None:
            return None

        def named(items: list[Any], value: Any, mark: int) -> None:
            recorder.name(mark, f"({len(items)})")
            items.append(value)

        return named

    def _single(self, reader: Reader) -> Callable[[Node, Run, list[Any]], bool]:
        recorder, append = self._recorder, self._append()

        def collect(node: Node, run: Run, items: list[Any]) -> bool:
            mark = len(recorder.lineage) if recorder is not None else 0
            try:
                value = reader(node, run)
            except Missing as missing:
                run.findings.append(missing.finding)
                return False
            if value is UNSET:
                return False
            if value is None:
                return True
            if append is not None:
                append(items, value, mark)
            else:
                items.append(value)
            return False

        return collect

    def _repeated(self, leaf: Leaf, cell: Cell) -> Callable[[Node, Run, list[Any]], bool]:
        place = cell.places[0]
        every = self._every(place, cell)
        decode = self._decode(cell, place, leaf)
        when = self.when(cell.when)
        recorder, append = self._recorder, self._append()
        row, outer = str(leaf.mark), place.outer

        def collect(node: Node, run: Run, items: list[Any]) -> bool:
            if when is not None and not when(node, run):
                return False
            cleared = False
            for raw in every(run.root if outer else node):
                mark = len(recorder.lineage) if recorder is not None else 0
                try:
                    value = decode(raw, run)
                except Missing as missing:
                    run.findings.append(missing.finding)
                    continue
                if value is UNSET:
                    continue
                if value is None:
                    cleared = True
                elif append is not None and recorder is not None:
                    recorder.leaf(row, mark, "value")
                    append(items, value, mark)
                else:
                    items.append(value)
            return cleared

        if cell.required != "no":
            return self._required_list(collect, cell, leaf)
        return collect

    def _required_list(self, collect: Callable[[Node, Run, list[Any]], bool], cell: Cell,
                       leaf: Leaf) -> Callable[[Node, Run, list[Any]], bool]:
        missing = self._missing(cell, leaf)
        always = cell.required == "yes"

        def demand(node: Node, run: Run, items: list[Any]) -> bool:
            before, since = len(items), len(run.findings)
            cleared = collect(node, run, items)
            if len(items) == before and (always or run.creating):
                missing(run, since)
            return cleared

        return demand

    def _each(self, each: Each) -> Callable[[Node, Run, list[Any]], bool]:
        every = self._every(each.place, None, settle=True)
        when = self.when(each.when)
        build = self._within(lambda: self.struct(each.plan))
        outer = each.place.outer
        recorder, append = self._recorder, self._append()
        row = str(each.mark)

        def collect(node: Node, run: Run, items: list[Any]) -> bool:
            for inner in every(run.root if outer else node):
                if when is not None and not when(inner, run):
                    continue
                mark = len(recorder.lineage) if recorder is not None else 0
                try:
                    value = build(inner, run)
                except Missing as missing:
                    run.findings.append(missing.finding)
                    if recorder is not None:
                        recorder.forget(mark)
                    continue
                if value is UNSET:
                    continue
                if append is not None and recorder is not None:
                    recorder.leaf(row, mark, "value")
                    append(items, value, mark)
                else:
                    items.append(value)
            return False

        return collect

    # -- rows -----------------------------------------------------------------------------------------------

    def _leaf(self, leaf: Leaf) -> Reader | None:
        readers = [self._cell(cell, leaf) for cell in leaf.cells if cell.reads]
        if not readers:
            return None
        reader = readers[0] if len(readers) == 1 else _fallbacks(tuple(readers))
        if self._absent_clears and not any(cell.when for cell in leaf.cells):
            inner = reader

            def reader(node: Node, run: Run) -> Any:
                value = inner(node, run)
                return None if value is UNSET else value

        recorder = self._recorder
        if recorder is None:
            return reader
        row = str(leaf.mark)
        recorded = reader

        def traced(node: Node, run: Run) -> Any:
            mark, recorder.place, recorder.code_row = len(recorder.lineage), "", ""
            value = recorded(node, run)
            if value is not UNSET:
                recorder.leaf(row, mark, "value" if recorder.place else "default")
            else:
                recorder.forget(mark)
            return value

        return traced

    def _cell(self, cell: Cell, leaf: Leaf) -> Reader:
        if cell.phone:
            reader = self._phone(cell)
        else:
            reader = self._one(cell, leaf) if len(cell.places) == 1 else self._same_fact(cell, leaf)
        when = self.when(cell.when)
        if when is not None:
            unconditional = reader

            def reader(node: Node, run: Run) -> Any:
                return unconditional(node, run) if when(node, run) else UNSET

        if cell.default is not UNSET:
            given, default = reader, cell.default

            def reader(node: Node, run: Run) -> Any:
                value = given(node, run)
                if value is UNSET and run.creating:
                    return default
                return value

        if cell.required == "no":
            return reader
        missing, always, optional = self._missing(cell, leaf), cell.required == "yes", reader

        def demanded(node: Node, run: Run) -> Any:
            since = len(run.findings)
            value = optional(node, run)
            if (value is UNSET or value is None) and (always or run.creating):
                missing(run, since)
            return value

        return demanded

    def _missing(self, cell: Cell, leaf: Leaf) -> Callable[[Run, int], None]:
        """What happens where a required value is not there: inside an item the item is refused, at top level
        the message is."""
        at = " | ".join(place.word.text for place in cell.places)
        found = finding(REQUIRED, at=at, field=leaf.name, row=str(leaf.mark))

        def refuse_item(run: Run, since: int) -> None:
            refused = any(each.severity is Severity.ERROR for each in run.findings[since:])
            last = run.findings.pop() if refused else msgspec.structs.replace(found, severity=Severity.ERROR)
            raise Missing(last)

        def refuse_message(run: Run, since: int) -> None:
            if any(each.severity is Severity.ERROR for each in run.findings[since:]):
                escalate(run.findings, since)
            else:
                run.findings.append(found)

        return refuse_item if leaf.in_item else refuse_message

    def _one(self, cell: Cell, leaf: Leaf) -> Reader:
        place = cell.places[0]
        first = self._first(place, cell)
        if cell.unit is not None:
            return self._with_unit(cell, leaf)
        decode = self._decode(cell, place, leaf)
        if place.outer:
            return lambda node, run: decode(first(run.root), run)
        if cell.codec is None or cell.vocab is not None or self._recorder is not None:
            return lambda node, run: decode(first(node), run)
        absent, clear = self._format.absent, self._format.clear
        if cell.codec.exact and cell.codec.name == "text":
            # Most leaves are text: the presence test and the escape test are all that happens.
            parse, _ = self._format.text(place.path.wire_type)

            def read_text(node: Node, run: Run) -> Any:
                raw = first(node)
                if raw == absent:
                    return UNSET
                if raw == clear:
                    return decode(raw, run)
                try:
                    return parse(raw)
                except Refused:
                    return decode(raw, run)

            return read_text

        def read(node: Node, run: Run) -> Any:
            raw = first(node)
            return UNSET if raw == absent else decode(raw, run)

        return read

    def _same_fact(self, cell: Cell, leaf: Leaf) -> Reader:
        """`A | B`: the first present; all present are compared (rule 8)."""
        absent = self._format.absent
        sources = tuple((self._first(place, cell), self._decode(cell, place, leaf), place.outer, place.word.text)
                        for place in cell.places)
        same = cell.codec.same if cell.codec is not None else _equal
        row, recorder = str(leaf.mark), self._recorder
        compared = cell.codec is None or cell.codec.name != "present"
        with_unit = self._with_unit(cell, leaf) if cell.unit is not None else None

        def read(node: Node, run: Run) -> Any:
            taken: Any = UNSET
            taken_raw: Any = absent
            taken_at = place = ""
            for first, decode, outer, text in sources:
                raw = first(run.root if outer else node)
                if raw == absent:
                    continue
                here = recorder.place if recorder is not None else ""
                if taken is UNSET:
                    taken, taken_at, place, taken_raw = decode(raw, run), text, here, raw
                    if not compared:
                        break
                elif raw != taken_raw:
                    mark = len(recorder.lineage) if recorder is not None else 0
                    other = decode(raw, run)
                    if recorder is not None:
                        recorder.forget(mark)
                    if other is not UNSET and not _agree(taken, other, same):
                        run.report(CONFLICT, at=f"{taken_at}, {text}", field=leaf.name, row=row,
                                   detail=f"{taken_at} and {text} differ")
            if recorder is not None and place:
                recorder.place = place
            return taken

        return with_unit or read

    def _with_unit(self, cell: Cell, leaf: Leaf) -> Reader:
        assert cell.unit is not None
        units = tuple((self._first(place, None), place.outer) for place in cell.unit.places)
        amounts = tuple((self._first(place, cell), place.outer, place.word.text) for place in cell.places)
        absent, clear, word = self._format.absent, self._format.clear, cell.unit.word
        row, field, uri = str(leaf.mark), leaf.name, cell.uri
        text = self._format.text(cell.places[0].path.wire_type)[0]

        if len(units) == len(amounts) == 1 and self._recorder is None and not (units[0][1] or amounts[0][1]):
            return self._with_one_unit(cell, leaf)

        def read(node: Node, run: Run) -> Any:
            unit = "" if uri else word
            for first, outer in units:
                found = first(run.root if outer else node)
                if found not in (absent, clear):
                    unit = text(found)
                    break
            for first, outer, at in amounts:
                raw = first(run.root if outer else node)
                if raw == absent:
                    continue
                if raw == clear:
                    return self._cleared(cell, leaf, run)
                try:
                    return codecs.uri_of(text(raw), unit) if uri else times.to_minutes(str(raw), unit)
                except Refused as refused:
                    run.refuse(refused, at=at, field=field, row=row)
                    return UNSET
            return UNSET

        return read

    def _with_one_unit(self, cell: Cell, leaf: Leaf) -> Reader:
        """`_with_unit` for the usual case: one amount, one unit, both at hand."""
        assert cell.unit is not None
        first_unit, first_amount = cell.unit.places[0].path.first, cell.places[0].path.first
        decode = self._amount(cell, leaf)
        return lambda node, run: decode(first_amount(node), first_unit(node), run)

    def _amount(self, cell: Cell, leaf: Leaf) -> Callable[[Raw, Raw, Run], Any]:
        """From an amount and its unit to a model value."""
        assert cell.unit is not None
        absent, clear, word, uri = self._format.absent, self._format.clear, cell.unit.word, cell.uri
        at, field, row = cell.places[0].word.text, leaf.name, str(leaf.mark)
        text = self._format.text(cell.places[0].path.wire_type)[0]

        def decode(raw: Raw, unit: Raw, run: Run) -> Any:
            if raw == absent:
                return UNSET
            if raw == clear:
                return self._cleared(cell, leaf, run)
            unit = ("" if uri else word) if unit in (absent, clear) else text(unit)
            try:
                return codecs.uri_of(text(raw), unit) if uri else times.to_minutes(str(raw), unit)
            except Refused as refused:
                run.refuse(refused, at=at, field=field, row=row)
                return UNSET

        return decode

    def _phone(self, cell: Cell) -> Reader:
        """A telephone number in parts (XTN.5 to XTN.7): ``+1 330 5550142``."""
        parts = tuple((self._first(place, cell), place.outer) for place in cell.places)
        text = self._format.text(cell.places[-1].path.wire_type)[0]
        absent, clear = self._format.absent, self._format.clear

        def read(node: Node, run: Run) -> Any:
            found = [first(run.root if outer else node) for first, outer in parts]
            if found[-1] in (absent, clear):
                return UNSET
            words = [text(raw) if raw not in (absent, clear) else "" for raw in found]
            if len(words) == 3 and words[0] and not words[0].startswith("+"):
                words[0] = f"+{words[0]}"
            return " ".join(word for word in words if word)

        return read

    def _cleared(self, cell: Cell, leaf: Leaf, run: Run) -> Any:
        if cell.on_null == "clear":
            return None
        if cell.on_null == "error":
            run.report(NULL_REFUSED, at=cell.places[0].word.text, field=leaf.name, row=str(leaf.mark))
        return UNSET

    # -- values ---------------------------------------------------------------------------------------------

    def _decode(self, cell: Cell, place: Fetch, leaf: Leaf) -> Decode:
        """From what a path yields to a model value."""
        if leaf.field.kind == STRUCT and cell.codec is None:
            return self._composite(cell, place, leaf)
        codec = self._planner.codec_at(cell, place, leaf.field)
        parse = codec.parse
        assert parse is not None
        absent, clear = self._format.absent, self._format.clear
        at, field, row = place.word.text, leaf.name, str(leaf.mark)
        translate = self._translate(cell, leaf, at) if cell.vocab is not None else None
        uri = cell.uri
        partial = place.path.partial

        quick = self._quick(cell, leaf) if self._recorder is None else {}

        def decode(raw: Raw, run: Run) -> Any:
            if raw == absent:
                return UNSET
            if quick and raw in quick:
                return quick[raw]
            if raw == clear:
                if partial:
                    run.report(NULL_COMPONENT, at=at, field=field, row=row)
                return self._cleared(cell, leaf, run)
            try:
                value = parse(raw, run)
            except Refused as refused:
                run.refuse(refused, at=at, field=field, row=row)
                return UNSET
            if run.noted:
                run.flush(at=at, field=field, row=row)
            if uri:
                return codecs.uri_of(value, "")
            return value if translate is None else translate(value, run)

        return decode

    @staticmethod
    def _quick(cell: Cell, leaf: Leaf) -> dict[Any, Any]:
        """Codes whose wire text is the code itself: translated without further ado."""
        if cell.vocab is None or cell.codec is None:
            return {}
        enum = leaf.field.enum
        return {code: enum(row.canonical) if enum is not None else row.canonical
                for code, row in cell.vocab.inward.items() if code.isalnum()}

    def _composite(self, cell: Cell, place: Fetch, leaf: Leaf) -> Decode:
        plan = cell.others.get(place.path.wire_type, cell.composite)
        assert plan is not None
        open_ = self._format.open
        absent, clear = self._format.absent, self._format.clear
        recorder = self._recorder
        cleared = self._cleared_item(plan) if plan.constants else None
        translate = self._concept(cell, leaf, place.word.text) if cell.vocab is not None else None

        def clearing(run: Run) -> Any:
            value = self._cleared(cell, leaf, run)
            return cleared if value is None and cleared is not None else value

        if recorder is None and translate is None and not _demanding(plan):
            opened = self._within(lambda: self.struct(plan, opening=Opening(open_, absent, clear, clearing)))
            return _remembering(opened) if plan.struct in RECURRING and isinstance(absent, str) else opened
        build = self._within(lambda: self.struct(plan))

        def decode(raw: Raw, run: Run) -> Any:
            if raw == absent:
                return UNSET
            if raw == clear:
                return clearing(run)
            node = open_(raw)
            if recorder is not None:
                place_ = recorder.place
                recorder.settle(node)
            try:
                value = build(node, run)
            except Missing as missing:
                run.findings.append(missing.finding)
                return UNSET
            if recorder is not None:
                recorder.place = place_
            return value if translate is None or value is UNSET else translate(value, run)

        recurring = recorder is None and plan.struct in RECURRING and isinstance(absent, str)
        return _remembering(decode) if recurring else decode

    @staticmethod
    def _cleared_item(plan: Plan) -> Any:
        """``identifiers(type=PLAC)`` is `""`: that item is cleared, the others of the list stay."""
        values = {slot.name: None for slot in plan.slots.values()
                  if not slot.field.many and slot.name not in model.required(plan.struct)}
        return plan.struct(**{**values, **dict(plan.constants)})

    def _translate(self, cell: Cell, leaf: Leaf, at: str) -> Callable[[Any, Run], Any]:
        vocab = cell.vocab
        assert vocab is not None
        field = leaf.field
        rows = {code: (field.enum(row.canonical) if field.kind == ENUM and field.enum else row.canonical, row)
                for code, row in vocab.inward.items()}
        fallback = self._unmapped(cell, leaf, at, vocab)
        recorder = self._recorder

        def translate(code: str, run: Run) -> Any:
            hit = rows.get(code)
            if hit is None:
                return fallback(code, run)
            if recorder is not None:
                recorder.code_row = str(hit[1].mark)
            return hit[0]

        return translate

    def _concept(self, cell: Cell, leaf: Leaf, at: str) -> Callable[[Any, Run], Any]:
        """A concept keeps the code as sent and gets the translated one beside it."""
        vocab = cell.vocab
        assert vocab is not None
        system = UNSET if vocab.canonical == "text" else vocab.canonical
        rows = {code: (Coding(code=row.canonical, system=system, display=row.display or UNSET, role="translated"), row)
                for code, row in vocab.inward.items()}
        fallback = self._unmapped(cell, leaf, at, vocab)
        recorder = self._recorder

        def translate(concept: CodeableConcept, run: Run) -> Any:
            coding = concept.coding or ()
            code = next((each.code for each in coding if each.role == "source"), coding[0].code if coding else None)
            if not code:
                return concept
            hit = rows.get(code)
            if hit is None:
                return fallback(concept, run)
            if recorder is not None:
                for name in ("code", "system", "display", "role"):
                    if getattr(hit[0], name) is not UNSET:
                        recorder.lineage.append(Lineage(f"coding({len(coding)}).{name}", recorder.place, str(leaf.mark),
                                                        str(hit[1].mark)))
            return msgspec.structs.replace(concept, coding=(*coding, hit[0]))

        return translate

    @staticmethod
    def _unmapped(cell: Cell, leaf: Leaf, at: str, vocab: Vocab) -> Callable[[Any, Run], Any]:
        if cell.unmapped == "pass":
            return lambda value, run: value
        if cell.unmapped == "skip":
            skipped = finding(UNMAPPED, at=at, field=leaf.name, row=str(leaf.mark), severity=Severity.INFO,
                              detail=f"a code that {vocab.name} does not have was left out", hint="")

            def skip(_value: Any, run: Run) -> Any:
                run.findings.append(skipped)
                return UNSET

            return skip
        severity = Severity.FATAL if cell.unmapped == "park" else Severity.ERROR
        found: Finding = finding(UNMAPPED, at=at, field=leaf.name, row=str(leaf.mark), severity=severity,
                                 detail=f"a code that {vocab.name} does not have",
                                 hint=f"add it to the code table {vocab.name} ({vocab.mark.file}), then replay")

        def refuse(_value: Any, run: Run) -> Any:
            run.findings.append(found)
            return UNSET

        return refuse

    # -- fetching -------------------------------------------------------------------------------------------

    def _first(self, place: Fetch, cell: Cell | None) -> Callable[[Node], Raw]:
        if self._recorder is None:
            return place.path.first
        reads: Callable[[Node], Raw] = self._recorder.first(place.path, whole=_whole(cell))
        return reads

    def _every(self, place: Fetch, cell: Cell | None, *, settle: bool = False) -> Callable[[Node], Iterable[Raw]]:
        if self._recorder is None:
            return place.path.every
        reads: Callable[[Node], Iterable[Raw]] = self._recorder.every(place.path, whole=_whole(cell), settle=settle)
        return reads

    def when(self, condition: Condition | None) -> Callable[[Node, Run], bool] | None:
        """A condition on the input, or None."""
        if condition is None:
            return None
        first, outer = self._first(condition.place, None), condition.place.outer
        absent, clear = self._format.absent, self._format.clear
        verb, values = condition.verb, frozenset(condition.values)
        positive = verb in ("=", "in")
        text = self._format.text(condition.place.path.wire_type)[0]

        def holds(node: Node, run: Run) -> bool:
            raw = first(run.root if outer else node)
            there = raw not in (absent, clear)
            if verb == "present":
                return there
            if verb == "absent":
                return not there
            return ((text(raw) if there and condition.place.path.kind == "leaf" else raw) in values) is positive

        return holds


def _guards(slot: Slot) -> tuple[Cells, ...]:
    """Where everything lies that can fill a field; empty where that cannot be told, or where a field comes from
    nothing (a default) or its absence says something (required)."""
    found: list[Cells] = []
    for source in (slot.source, *(item.source for item in slot.items.values())):
        if source is None:
            continue
        if isinstance(source, Each):
            return ()
        if isinstance(source, Plan):
            for inner in source.slots.values():
                guards = _guards(inner)
                if not guards:
                    return ()
                found += guards
            continue
        for cell in source.cells:
            if cell.reads:
                guards = _guarded(cell)
                if not guards:
                    return ()
                found += guards
    unique = {(cells.key, cells.position): cells for cells in found}
    return tuple(unique.values()) if len(unique) <= _MOST_GUARDS else ()


def _guarded(cell: Cell) -> tuple[Cells, ...]:
    """`_guards` of one cell."""
    found: list[Cells] = []
    if cell.default is UNSET and cell.required == "no":
        for place in cell.places:
            if place.outer or place.path.cells is None:
                return ()
            found.append(place.path.cells)
    return tuple(found)


def _demanding(plan: Plan) -> bool:
    """Whether reading it may find that something required is not there."""
    if _needed(plan):
        return True
    for slot in plan.slots.values():
        for source in (slot.source, *(item.source for item in slot.items.values())):
            if isinstance(source, Leaf):
                if any(cell.required != "no" for cell in source.cells):
                    return True
            elif isinstance(source, Plan):
                if _demanding(source):
                    return True
            elif source is not None:
                return True
    return False


def _remembering(decode: Decode) -> Decode:
    """`decode` with a memory: only for values that came without a remark and owe nothing to the zone."""
    known: dict[Any, Any] = {}

    def remembered(raw: Raw, run: Run) -> Any:
        hit = known.get(raw)
        if hit is not None:
            return hit
        said, zoned = len(run.findings), run.zone_used
        value = decode(raw, run)
        if len(run.findings) == said and run.zone_used == zoned:
            if len(known) >= REMEMBERED:
                known.clear()
            known[raw] = value
        return value

    return remembered


def _needed(plan: Plan) -> tuple[str, ...]:
    """Fields that rows must give, since the struct cannot be made without them."""
    return tuple(name for name in model.required(plan.struct) if name not in dict(plan.constants))


def _whole(cell: Cell | None) -> bool:
    return cell is not None and cell.codec is not None and cell.codec.whole


def _fallbacks(readers: tuple[Reader, ...]) -> Reader:
    def read(node: Node, run: Run) -> Any:
        for reader in readers:
            value = reader(node, run)
            if value is not UNSET:
                return value
        return UNSET
    return read


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other)


def _agree(one: Any, other: Any, same: Callable[[Any, Any], bool]) -> bool:
    if one is UNSET or one is None or other is None:
        return one is other or one is UNSET
    return same(one, other)


def _override(values: dict[str, Any], run: Run, recorder: Recorder | None) -> None:
    for name, value in run.overrides.items():
        there = values.get(name, UNSET)
        if there is not UNSET and there != value:
            run.report(CONFLICT, at="", field=name, row="", detail="the event says something else; the event wins")
        values[name] = value
        if recorder is not None:
            recorder.lineage[:] = [entry for entry in recorder.lineage if entry.field != name]
            recorder.lineage.append(_rule(name))


def _rule(name: str) -> Lineage:
    return Lineage(name, "", "", "", "rule")


def _constant(name: str, plan: Plan) -> Lineage:
    return Lineage(name, "", str(plan.selected_at or plan.mark), "", "row")


def _compare_duration(values: dict[str, Any], run: Run, recorder: Recorder | None) -> None:
    minutes = codecs.minutes_between(values["start"], values["end"])
    if minutes is not None and minutes != values["duration"]:
        run.report(CONFLICT, at="", field="duration", row="", detail="duration is not the time from start to end")
        values["duration"] = minutes
        if recorder is not None:
            recorder.lineage[:] = [entry for entry in recorder.lineage if entry.field != "duration"]
            recorder.lineage.append(_rule("duration"))
