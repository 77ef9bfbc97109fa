"""Plans compiled for writing: closures from a canonical value into a draft of a wire value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

from canonical.findings import Finding, Severity, declare, finding
from canonical.model import CodeableConcept, Coding
from canonical.paths import Spot, verbatim
from mapper import codecs, document, model, times, unroll
from mapper.format import Format, Node, Raw
from mapper.model import INTEGER, STRUCT, TEXT
from mapper.plan import UNMAPPED, Cell, Condition, Each, Fetch, Item, Leaf, Plan, Planner, Slot
from mapper.reading import RECURRING, REMEMBERED
from mapper.recorder import Recorder
from mapper.run import REQUIRED, Run
from mapper.times import Refused
from mapper.unroll import Choice, Part, Simple, Unsaid
from mapper.vocab import Vocab

NO_CONTEXT = declare("map.no_context", Severity.FATAL, "a value that the table takes from the destination is not set",
                     "add it to the settings of the destination")
CANNOT_WRITE = declare("map.cannot_write", Severity.ERROR, "no cell of the row can say this value",
                       "add a code, or an alternative to the row")

#: The unit that amounts of time are written in.
MINUTES: Final = "min"

Writer: TypeAlias = Callable[[Any, Node, Run], None]
Try: TypeAlias = Callable[[Any, Node, Run], bool]
Encode: TypeAlias = Callable[[Any, Run], Raw]


class WriteCompiler:
    """Compiles the plans of one table for writing."""

    def __init__(self, planner: Planner, *, recorder: Recorder | None = None) -> None:
        self._planner = planner
        self._format: Format = planner.parts.format
        self._recorder = recorder
        self.demands: dict[str, Finding] = {}
        """What must be written (``required: yes`` outside of items): canonical path → finding if it was not."""

    # -- structs --------------------------------------------------------------------------------------------

    def struct(self, plan: Plan) -> Writer:
        """The writer of a struct's fields."""
        if self._recorder is None:
            return unroll.writer(self._parts(plan))
        fields: list[tuple[str, Writer, Writer | None]] = []
        late: list[tuple[str, Writer, Writer | None]] = []
        for slot in plan.slots.values():
            write_, always, conditional = self._slot(slot)
            if write_ is not None:
                (late if conditional else fields).append((slot.name, self._named(slot, write_), always))
        writers = (*fields, *late)
        constants = tuple(name for name, _ in plan.constants)
        recorder = self._recorder

        def write(value: Any, node: Node, run: Run) -> None:
            for name, write_part, always in writers:
                part = getattr(value, name)
                if part is not UNSET:
                    write_part(part, node, run)
                elif always is not None:
                    always(value, node, run)
            for name in constants:
                recorder.stack.append(f".{name}")
                recorder.wrote()
                recorder.stack.pop()

        return write

    def _parts(self, plan: Plan) -> list[Part]:
        """The fields with what can be written without a call; those with a condition last."""
        parts: list[Part] = []
        late: list[Part] = []
        for slot in plan.slots.values():
            if slot.field.many and (choices := self._choices(slot)):
                parts.append(Part(slot.name, choices, self._clears(slot)))
                continue
            write, always, conditional = self._slot(slot)
            if write is not None:
                leaf = slot.source
                simple = self._simple(leaf) if isinstance(leaf, Leaf) and not slot.field.many else None
                (late if conditional else parts).append(Part(slot.name, simple or write, otherwise=always))
        return [*parts, *late]

    def _choices(self, slot: Slot) -> tuple[Choice, ...]:
        """The rows of a list, where each item belongs to one of them whatever else is in the list; else none."""
        items = list(slot.items.items())
        selects = [item.select for _, item in items if item.select]
        positions = [item.index for _, item in items if item.index is not None]
        rest = [item for _, item in items if item.index is None and not item.select]
        fields = {tuple(name for name, _ in select) for select in selects}
        if (slot.field.struct is Coding or len(fields) > 1 or len(set(selects)) < len(selects) or len(rest) > 1
                or (positions and (selects or rest))):
            return ()
        choices = []
        for item in [*(item for _, item in sorted(items, key=lambda one: one[1].index or 0)
                       if item.index is not None), *(item for _, item in items if item.select), *rest]:
            write = self._item(item)
            if write is not None:
                otherwise = self._defaults(item.source) if isinstance(item.source, Plan) else None
                choices.append(Choice(write, item.index, item.select, _takes_all(item), otherwise))
        return tuple(choices)

    def _clears(self, slot: Slot) -> Callable[[Node, Run], None]:
        """What is written for a list that was cleared."""
        rest = any(item.index is None and not item.select and self._writes(item) for item in slot.items.values())
        clears = tuple(self._clear(cell) for item in slot.items.values() if isinstance(item.source, Leaf)
                       and (not item.select or not rest) for cell in item.source.cells if cell.writes)

        def clear(node: Node, run: Run) -> None:
            for each in clears:
                each(node, run)
            self._wrote()

        return clear

    @staticmethod
    def _writes(item: Item) -> bool:
        if isinstance(item.source, Leaf):
            return any(cell.writes for cell in item.source.cells)
        return not isinstance(item.source, Each) or item.source.only != "in"

    def _named(self, slot: Slot, writer: Writer) -> Writer:
        recorder, name = self._recorder, f".{slot.name}"
        if recorder is None:
            return writer

        def traced(value: Any, node: Node, run: Run) -> None:
            recorder.stack.append(name)
            writer(value, node, run)
            recorder.stack.pop()

        return traced

    def _slot(self, slot: Slot) -> tuple[Writer | None, Writer | None, bool]:
        """Writer, what to do where there is no value, and whether it has to come after the others."""
        if slot.field.kind == model.EXTENSIONS:
            return self._extensions(slot), None, False
        if slot.field.many:
            return self._list(slot), None, False
        if isinstance(slot.source, Plan):
            return self._beside(slot, self._nested(slot.source)), self._defaults(slot.source), False
        if slot.source is None:
            return None, None, False
        conditional = any(cell.when is not None for cell in slot.source.cells)
        return self._leaf(slot.source), self._otherwise(slot.source), conditional

    def _nested(self, plan: Plan) -> Writer:
        write = self.struct(plan)
        clears = tuple(self._clear(cell) for leaf in _leaves(plan) for cell in leaf.cells if cell.writes)

        def nested(value: Any, node: Node, run: Run) -> None:
            if value is not None:
                write(value, node, run)
                return
            for clear in clears:
                clear(node, run)
            self._wrote()

        return nested

    def _defaults(self, plan: Plan) -> Writer | None:
        """What is written of a part that canonical does not have: the defaults of its rows."""
        writers: list[Writer] = []
        for slot in plan.slots.values():
            for source in (slot.source, *(item.source for item in slot.items.values())):
                writer = (self._otherwise(source, derive=False) if isinstance(source, Leaf)
                          else self._defaults(source) if isinstance(source, Plan) else None)
                if writer is not None:
                    writers.append(writer)
        if not writers:
            return None

        def write(value: Any, node: Node, run: Run) -> None:
            for writer in writers:
                writer(value, node, run)

        return write

    def _beside(self, slot: Slot, writer: Writer) -> Writer:
        whole = self._leaf(slot.beside) if slot.beside is not None else None
        if whole is None:
            return writer

        def both(value: Any, node: Node, run: Run) -> None:
            writer(value, node, run)
            whole(value, node, run)

        return both

    def _extensions(self, slot: Slot) -> Writer:
        writers = {key: writer for key, item in slot.items.items()
                   if isinstance(item.source, Leaf) and (writer := self._leaf(item.source)) is not None}

        recorder = self._recorder

        def write(value: Any, node: Node, run: Run) -> None:
            for key, text in value.items():
                writer = writers.get(key)
                if writer is not None:
                    if recorder is not None:
                        recorder.stack.append(f"({key})")
                    writer(text, node, run)
                    if recorder is not None:
                        recorder.stack.pop()

        return write

    # -- lists ----------------------------------------------------------------------------------------------

    def _list(self, slot: Slot) -> Writer | None:
        indexed = {item.index: writer for item in slot.items.values()
                   if item.index is not None and (writer := self._item(item)) is not None}
        selected = tuple((item.select, _takes_all(item), writer) for item in slot.items.values()
                         if item.select and (writer := self._item(item)) is not None)
        rest = [(item, writer) for item in slot.items.values()
                if item.index is None and not item.select and (writer := self._item(item)) is not None]
        if not indexed and not selected and not rest:
            return None
        rest_all = bool(rest) and _takes_all(rest[0][0])
        rest_writer = rest[0][1] if rest else None
        clear = self._clears(slot)
        recorder = self._recorder
        codings = slot.field.struct is Coding

        def put(writer: Writer, index: int, item: Any, node: Node, run: Run) -> None:
            if recorder is not None:
                recorder.stack.append(f"({index})")
            writer(item, node, run)
            if recorder is not None:
                recorder.stack.pop()

        defaults = {key: default for key, item in slot.items.items() if isinstance(item.source, Plan)
                    and (default := self._defaults(item.source)) is not None}
        by_index = {item.index: defaults[key] for key, item in slot.items.items()
                    if item.index is not None and key in defaults}
        by_select = {item.select: defaults[key] for key, item in slot.items.items() if item.select and key in defaults}

        def write(value: Any, node: Node, run: Run) -> None:
            if value is None:
                clear(node, run)
                return
            done: set[int] = set()
            for index, writer in indexed.items():
                at = _coding_at(value, index, done) if codings else index
                if at is not None and at < len(value):
                    put(writer, at, value[at], node, run)
                    done.add(at)
                elif index in by_index:
                    by_index[index](value, node, run)
            for select, takes_all, writer in selected:
                hit = False
                for index, item in enumerate(value):
                    if index not in done and all(getattr(item, name) == wanted for name, wanted in select):
                        put(writer, index, item, node, run)
                        done.add(index)
                        hit = True
                        if not takes_all:
                            break
                if not hit and select in by_select:
                    by_select[select](value, node, run)
            if rest_writer is not None:
                for index, item in enumerate(value):
                    if index not in done:
                        if any(all(getattr(item, name) == wanted for name, wanted in select)
                               for select, _, _ in selected):
                            continue
                        put(rest_writer, index, item, node, run)
                        if not rest_all:
                            break

        return write

    def _item(self, item: Item) -> Writer | None:
        source = item.source
        if isinstance(source, Plan):
            return self.struct(source)
        if isinstance(source, Each):
            return self._each(source) if source.only != "in" else None
        return self._leaf(source)

    def _each(self, each: Each) -> Writer:
        child, outer = each.place.path.child, each.place.outer
        write = self.struct(each.plan)
        when = self._when(each.when)

        def item(value: Any, node: Node, run: Run) -> None:
            draft = child(run.root if outer else node)
            if when is not None:
                when(draft, run)
            write(value, draft, run)

        return item

    # -- rows -----------------------------------------------------------------------------------------------

    def _leaf(self, leaf: Leaf) -> Writer | None:
        cells = [cell for cell in leaf.cells if cell.writes]
        if not cells:
            return None
        attempts = [self._cell(cell, leaf) for cell in reversed(cells)]
        if len(cells) > 1:
            # A condition that is true already decides; otherwise the last cell that can say the value.
            attempts = [self._cell(cell, leaf, strictly=True) for cell in reversed(cells) if cell.when] + attempts
        if (simple := self._simple(leaf)) is not None:
            return unroll.row_writer(simple)
        recorder = self._recorder
        composite = leaf.field.kind == STRUCT and all(cell.codec is None for cell in cells)
        unsaid = finding(CANNOT_WRITE, field=leaf.name, row=str(leaf.mark))
        name = leaf.name
        demanded = any(cell.required == "yes" for cell in cells) and not leaf.in_item
        if demanded:
            at = " | ".join(place.word.text for cell in cells for place in cell.targets)
            self.demands[name] = finding(REQUIRED, at=at, field=name, row=str(leaf.mark))

        def write(value: Any, node: Node, run: Run) -> None:
            found = None
            for attempt in attempts:
                try:
                    if attempt(value, node, run):
                        if demanded and value is not None:
                            run.done.add(name)
                        if recorder is not None:
                            recorder.fired.add(str(leaf.mark))
                            if value is None or not composite:
                                recorder.wrote()
                        return
                except Unsaid as cannot:
                    found = cannot.finding
            if found is not None or len(attempts) > 1:
                run.findings.append(found or unsaid)

        return write

    def _simple(self, leaf: Leaf) -> Simple | None:
        """The usual row, one value at one place without conditions: nothing but the writing."""
        cells = [cell for cell in leaf.cells if cell.writes]
        if self._recorder is not None or len(cells) != 1:
            return None
        cell, format_ = cells[0], self._format
        if (cell.when is not None or (cell.required == "yes" and not leaf.in_item) or len(cell.targets) != 1
                or cell.targets[0].outer):
            return None
        place = cell.targets[0]
        beside: tuple[tuple[Raw, Callable[[Node, Raw], None], Spot], ...] = ()
        if cell.unit is not None and cell.unit.places:
            unit = cell.unit.places[-1]
            if cell.uri or unit.outer or unit.path.spot is None or place.path.spot is None:
                return None
            beside = ((MINUTES, unit.path.put, unit.path.spot),)
        simply = (cell.codec is not None and cell.codec.name == "text" and cell.vocab is None and cell.unit is None
                  and not cell.uri)
        wire_type = place.path.wire_type
        return Simple(self._encode(cell, place, leaf), self._put(place), format_.absent,
                      format_.clear if format_.can_clear else format_.absent, place.path.spot,
                      simply and format_.text(wire_type)[1] is verbatim, format_.marked(wire_type) if simply else None,
                      beside)

    def _cell(self, cell: Cell, leaf: Leaf, *, strictly: bool = False) -> Try:
        when = self._when(cell.when, strictly=strictly)
        puts = tuple((self._put(place), place.outer, self._encode(cell, place, leaf)) for place in cell.targets)
        clear, can_clear = self._format.clear, self._format.can_clear
        unit = self._unit(cell)
        # A condition that may be made true is so only for a value that can be said.
        first = cell.when is not None and cell.when.verb == "=" and not strictly

        def attempt(value: Any, node: Node, run: Run) -> bool:
            raws = [encode(value, run) for _, _, encode in puts] if first and value is not None else None
            if when is not None and not when(node, run):
                return False
            if value is None:
                if can_clear:
                    for put, outer, _ in puts:
                        put(run.root if outer else node, clear)
                return True
            for index, (put, outer, encode) in enumerate(puts):
                put(run.root if outer else node, raws[index] if raws is not None else encode(value, run))
            if unit is not None:
                unit(value, node, run)
            return True

        return attempt

    def _put(self, place: Fetch) -> Callable[[Node, Raw], None]:
        path = place.path
        return path.add if path.repeats else path.put

    def _clear(self, cell: Cell) -> Callable[[Node, Run], None]:
        puts = tuple((place.path.put, place.outer) for place in cell.targets)
        clear, can_clear = self._format.clear, self._format.can_clear

        def write(node: Node, run: Run) -> None:
            if can_clear:
                for put, outer in puts:
                    put(run.root if outer else node, clear)

        return write

    def _otherwise(self, leaf: Leaf, *, derive: bool = True) -> Writer | None:
        """What is written where canonical has nothing: a derived value, else the cell's default."""
        cell = next((cell for cell in leaf.cells if (derive and cell.derive) or cell.default_out is not None), None)
        if cell is None:
            return None
        write, text, row = self._leaf(leaf), cell.default_out, str(leaf.mark)
        rule = cell.derive if derive else ""
        puts = tuple((self._put(place), place.outer, self.constant(text, place, row, leaf.field.kind))
                     for place in cell.targets) if text is not None else ()
        # A default beside something needs it to be there: that it could be there is not enough.
        when = self._when(cell.when, strictly=cell.when is not None and cell.when.verb == "present")

        def otherwise(parent: Any, node: Node, run: Run) -> None:
            value = _derived(parent, rule, run) if rule else None
            if value is not None and write is not None:
                write(value, node, run)
            elif text is not None and (when is None or when(node, run)):
                run.done.add(leaf.name)
                for put, outer, raw in puts:
                    put(run.root if outer else node, raw(run))

        return otherwise

    def constant(self, text: str, place: Fetch, row: str, kind: str = TEXT) -> Callable[[Run], Raw]:
        """What ``constants`` and ``default_out`` write: text, or a context value (``$identity``)."""
        wire_type, absent = place.path.wire_type, self._format.absent
        encode = self._format.text(wire_type)[1] if place.path.kind == "leaf" else (lambda raw: raw)
        if kind == INTEGER and text.lstrip("-").isdecimal():
            number = self._format.number(wire_type)(int(text))
            return lambda run: number
        if not text.startswith("$") or text.startswith("$$"):
            try:
                fixed = encode(text.removeprefix("$"))
            except ValueError:
                raise document.fail(document.VALUE, place.word.mark, f"{place.word.text} is {wire_type}") from None
            return lambda run: fixed
        name = text[1:]
        instant = codecs.choose(wire_type, model.FieldType(model.INSTANT), codecs.TextCodec(str, encode)) \
            if name in ("now", "occurred_at") else None
        found = finding(NO_CONTEXT, at=place.word.text, row=row, detail=f"{name} is not set for this destination")

        def value(run: Run) -> Raw:
            given = run.values.get(name)
            if given is None:
                run.findings.append(found)
                return absent
            if not given:
                return absent
            return instant.write(given, run) if instant is not None and instant.write is not None else encode(given)

        return value

    def _unit(self, cell: Cell) -> Writer | None:
        if cell.unit is None or not cell.unit.places:
            return None
        puts = tuple((place.path.put, place.outer) for place in cell.unit.places[-1:])
        uri = cell.uri

        def write(value: Any, node: Node, run: Run) -> None:
            word = codecs.id_of(value)[1] if uri else MINUTES
            for put, outer in puts:
                put(run.root if outer else node, word)

        return write

    # -- values ---------------------------------------------------------------------------------------------

    def _encode(self, cell: Cell, place: Fetch, leaf: Leaf) -> Encode:
        at, field, row = place.word.text, leaf.name, str(leaf.mark)

        def unsaid(refused: Refused) -> Unsaid:
            return Unsaid(finding(refused.code, at=at, field=field, row=row, detail=refused.detail))

        if leaf.field.kind == STRUCT and cell.codec is None:
            return self._composite(cell, place, leaf)
        codec = self._planner.codec_at(cell, place, leaf.field)
        write = codec.write
        assert write is not None
        if cell.uri:
            return lambda value, run: write(codecs.id_of(value)[0], run)
        if cell.unit is not None:
            return self._amount(cell, place, unsaid)
        if cell.vocab is not None:
            return self._translated(cell, leaf, at, write)

        def encode(value: Any, run: Run) -> Raw:
            try:
                raw = write(value, run)
            except Refused as refused:
                raise unsaid(refused) from None
            if run.noted:
                run.flush(at=at, field=field, row=row)
            return raw

        return encode

    def _amount(self, cell: Cell, place: Fetch, unsaid: Callable[[Refused], Unsaid]) -> Encode:
        assert cell.unit is not None
        seconds = 60 if cell.unit.places else times.unit_seconds(cell.unit.word) or 60
        number = self._planner.parts.format.number(place.path.wire_type)

        def encode(value: Any, _run: Run) -> Raw:
            amount, rest = divmod(value * 60, seconds)
            if rest:
                raise unsaid(Refused(times.NOT_MINUTES))
            return number(amount)

        return encode

    def _translated(self, cell: Cell, leaf: Leaf, at: str, write: codecs.Write) -> Encode:
        vocab = cell.vocab
        assert vocab is not None
        codes = {code: row.source for code, row in vocab.outward.items()}
        passes = cell.unmapped == "pass"
        found = _no_code(vocab, leaf, at)

        def encode(value: Any, run: Run) -> Raw:
            code = codes.get(str(value))
            if code is None:
                if not passes:
                    raise Unsaid(found)
                code = str(value)
            return write(code, run)

        return encode

    def _composite(self, cell: Cell, place: Fetch, leaf: Leaf) -> Encode:
        plan = cell.others.get(place.path.wire_type, cell.composite)
        assert plan is not None
        new, close = partial(self._format.new, place.path.wire_type), self._format.close
        if self._recorder is None:
            write: Encode = unroll.writer(self._parts(plan), new=new, close=close)
        else:
            write = self._drafted(self.struct(plan), new)
        choose = self._concept(cell, leaf, place.word.text) if cell.vocab is not None else None
        encode = write if choose is None else lambda value, run: write(choose(value), run)

        recurring = self._recorder is None and plan.struct in RECURRING and isinstance(self._format.absent, str)
        return _remembering(encode) if recurring else encode

    def _drafted(self, write: Writer, new: Callable[[], Node]) -> Encode:
        close = self._format.close

        def encode(value: Any, run: Run) -> Raw:
            draft = new()
            write(value, draft, run)
            return close(draft)

        return encode

    @staticmethod
    def _concept(cell: Cell, leaf: Leaf, at: str) -> Callable[[CodeableConcept], CodeableConcept]:
        """The concept as the destination knows it: our code looked up backwards, else the code as it came."""
        vocab = cell.vocab
        assert vocab is not None
        passes = cell.unmapped == "pass"
        found = _no_code(vocab, leaf, at)

        def choose(concept: CodeableConcept) -> CodeableConcept:
            coding = concept.coding or ()
            source = next((each for each in coding if each.role == "source"), None)
            translated = next((each for each in coding if each.role == "translated"), None)
            if source is not None and source.code:
                row = vocab.inward.get(source.code)
                if row is not None and not row.only and (translated is None or row.canonical == translated.code):
                    return concept
            ours = translated or next((each for each in coding if each is not source), source)
            row = vocab.outward.get(ours.code) if ours is not None and ours.code else None
            if row is not None:
                said = Coding(code=row.source, system=vocab.source, display=row.display or UNSET, role="source")
                return msgspec.structs.replace(concept, coding=(
                    said, *(each for each in coding if each.role == "alternate")))
            if passes or not coding:
                return concept if source is not None or not coding else msgspec.structs.replace(concept, coding=(
                    msgspec.structs.replace(coding[0], role="source"), *coding[1:]))
            raise Unsaid(found)

        return choose

    # -- conditions -----------------------------------------------------------------------------------------

    def _when(self, condition: Condition | None, *, strictly: bool = False) -> Callable[[Node, Run], bool] | None:
        """On writing ``= A`` is made true where nothing is there yet, unless `strictly`."""
        if condition is None:
            return None
        path, outer = condition.place.path, condition.place.outer
        first, put = path.first, path.put
        absent, verb, values = self._format.absent, condition.verb, condition.values
        read, write = self._format.text(path.wire_type)

        def hold(node: Node, run: Run) -> bool:
            place = run.root if outer else node
            raw = first(place)
            if verb == "present":
                return bool(raw != absent) or not strictly
            if verb == "absent":
                return bool(raw == absent)
            if verb in ("!=", "not in"):
                return raw == absent or read(raw) not in values
            if raw == absent:
                if verb == "=" and not strictly:
                    put(place, write(values[0]))
                    return True
                return False
            return read(raw) in values

        return hold

    def _wrote(self) -> None:
        if self._recorder is not None:
            self._recorder.wrote()


def _remembering(encode: Encode) -> Encode:
    """`encode` with a memory, for values that are written without a remark."""
    known: dict[Any, Raw] = {}

    def remembered(value: Any, run: Run) -> Raw:
        if run.omit_offset:
            return encode(value, run)
        raw = known.get(value)
        if raw is None:
            said = len(run.findings)
            raw = encode(value, run)
            if len(run.findings) == said:
                if len(known) >= REMEMBERED:
                    known.clear()
                known[value] = raw
        return raw

    return remembered


def _no_code(vocab: Vocab, leaf: Leaf, at: str) -> Any:
    return finding(UNMAPPED, at=at, field=leaf.name, row=str(leaf.mark),
                   detail=f"{vocab.name} has no code to send for this value",
                   hint=f"add it to the code table {vocab.name} ({vocab.mark.file})")


def _takes_all(item: Item) -> bool:
    """Whether the source can hold several items: `each`, or a path that repeats."""
    if isinstance(item.source, Each):
        return True
    return isinstance(item.source, Leaf) and any(place.path.repeats for cell in item.source.cells
                                                 for place in cell.targets)


def _leaves(plan: Plan) -> Iterable[Leaf]:
    for slot in plan.slots.values():
        for source in (slot.source, *(item.source for item in slot.items.values())):
            if isinstance(source, Leaf):
                yield source
            elif isinstance(source, Plan):
                yield from _leaves(source)


def _coding_at(codings: Any, index: int | None, done: set[int]) -> int | None:
    """Which coding is the sender's own (0) or alternate (1): by its role; without roles by position."""
    wanted = "source" if index == 0 else "alternate"
    for at, coding in enumerate(codings):
        if coding.role == wanted:
            return at
    for at, coding in enumerate(codings):
        if at not in done and (not coding.role or index == 0):
            return at
    return None


def _derived(parent: Any, rule: str, run: Run) -> Any:
    start, duration = parent.start, parent.duration
    if rule == "start_from_offset":
        origin = getattr(run.entity, "start", None)
        return codecs.shifted(origin, parent.offset) if origin and isinstance(parent.offset, int) else None
    end = parent.end
    if rule == "end_from_duration":
        return codecs.shifted(start, duration) if start and isinstance(duration, int) else None
    return codecs.minutes_between(start, end) if start and end else None
