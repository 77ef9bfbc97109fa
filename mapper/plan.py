"""Plans: a table's rows arranged as the canonical struct they fill, every cell understood and checked.

One plan serves both directions: `mapper.reading` and `mapper.writing` each turn it into closures. Whatever is
wrong with a table is found here, as located findings, all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as ReadOnly
from typing import Any, Final, Literal

import msgspec

from canonical.findings import Code, Finding, Rejection, Severity, declare
from canonical.model import CodeableConcept
from canonical.paths import PathError
from canonical.phi import Value
from mapper import codecs, document, grammar, model, times
from mapper.codecs import Codec, TextCodec
from mapper.document import Mapping, Mark, Node, Scalar, did_you_mean, located
from mapper.format import Format, Path, Shape
from mapper.grammar import Row, Table, When, Word
from mapper.model import ENUM, EXTENSIONS, INTEGER, STRUCT, TEXT, FieldType, UnknownField
from mapper.vocab import UNKNOWN_VOCAB, Vocab

UNKNOWN_FIELD = declare("table.unknown_field", Severity.FATAL, "the canonical model has no such field",
                        "see docs/canonical.md")
UNKNOWN_PATH = declare("table.unknown_path", Severity.FATAL, "the format has no such path",
                       "see Wire paths in docs/mapping-language.md")
TWICE = declare("table.mapped_twice", Severity.FATAL, "two rows fill the same field",
                "use `A | B` for one fact at two places, or a list of cells for fallbacks")
NO_CODEC = declare("table.no_codec", Severity.FATAL, "the two types do not fit",
                   "choose another field, give the row `as`, or write a data-type table for the pair")
NOT_ALLOWED = declare("table.not_allowed", Severity.FATAL, "a cell that does not fit this row",
                      "see Rows in docs/mapping-language.md")
INCOMPLETE = declare("table.incomplete", Severity.FATAL, "an item cannot be made without this field",
                     "set it in the selector (`contacts(role=placer)`) or add a row for it")
UNMAPPED = declare("map.unmapped", Severity.ERROR, "a code that the code table does not have",
                   "add a row to the code table named here, then replay")

_ROLES: Final = {0: "source", 1: "alternate"}
_MAX_PROMOTIONS: Final = 3


class Fetch(msgspec.Struct, frozen=True):
    """A resolved path and where it starts."""

    path: Path
    outer: bool
    """True where it starts from the message, although the row stands under `each`."""
    word: Word


class Unit(msgspec.Struct, frozen=True):
    """A ``unit`` cell."""

    places: tuple[Fetch, ...]
    word: str
    """For *no unit given*; ``s`` unless the cell says otherwise."""


class Condition(msgspec.Struct, frozen=True):
    """A resolved ``when`` cell."""

    place: Fetch
    verb: str
    values: tuple[str, ...]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell, everything in it resolved."""

    mark: Mark
    places: tuple[Fetch, ...]
    targets: tuple[Fetch, ...]
    codec: Codec | None = None
    """For a leaf."""
    composite: Plan | None = None
    """For a composite read by a data-type table (for the wire type of the first place)."""
    others: dict[str, Plan] = {}
    """The plans of further places with other wire types."""
    vocab: Vocab | None = None
    unmapped: str = "error"
    uri: bool = False
    phone: bool = False
    """The places are parts of one telephone number, the last one the number itself."""
    unit: Unit | None = None
    default: Any = msgspec.UNSET
    default_out: str | None = None
    derive: str = ""
    required: Literal["no", "yes", "creating"] = "no"
    when: Condition | None = None
    only: str = ""
    on_null: str = "clear"

    @property
    def reads(self) -> bool:
        """Whether it takes part in reading."""
        return self.only != "out"

    @property
    def writes(self) -> bool:
        """Whether it takes part in writing."""
        return self.only != "in"


class Leaf(msgspec.Struct, frozen=True):
    """A row: one canonical value by one or more alternative cells."""

    name: str
    """Canonical path for people: ``participants(kind=practitioner).who``."""
    field: FieldType
    mark: Mark
    cells: tuple[Cell, ...]
    in_item: bool = False
    """True for a part of an item or of a composite: what is missing there concerns the item only."""


class Each(msgspec.Struct, frozen=True):
    """An ``each`` row."""

    name: str
    mark: Mark
    place: Fetch
    when: Condition | None
    plan: Plan
    only: str


class Item(msgspec.Struct):
    """What fills a list."""

    index: int | None
    select: tuple[tuple[str, Any], ...]
    """Fields and the values they have in this item."""
    source: Leaf | Each | Plan
    mark: Mark


class Slot(msgspec.Struct):
    """One field of a struct and what fills it."""

    name: str
    field: FieldType
    source: Leaf | Plan | None = None
    items: dict[str, Item] = {}
    beside: Leaf | None = None
    """A row that writes the field as a whole, beside the rows of its parts (``only: out``)."""


class Plan(msgspec.Struct):
    """A struct and what fills its fields."""

    struct: type[Value]
    name: str
    mark: Mark
    slots: dict[str, Slot] = {}
    constants: tuple[tuple[str, Any], ...] = ()
    selected_at: Mark | None = None
    """The row whose selector gives the constants, where it is not the one at `mark`."""


class Parts(msgspec.Struct, frozen=True):
    """What a table may refer to."""

    format: Format
    vocabs: ReadOnly[str, Vocab]
    types: ReadOnly[tuple[str, str], Table]
    """Data-type tables of the family by (wire type, name of canonical struct)."""
    faulty: frozenset[str] = frozenset()
    """Code tables that are there but cannot be used."""


def _role(plan: Plan, name: str, index: int | None) -> tuple[tuple[str, Any], ...]:
    """The first coding of a concept is the sender's own, the second the sender's alternate."""
    if plan.struct is CodeableConcept and name == "coding" and index in _ROLES:
        return (("role", _ROLES[index]),)
    return ()


class Planner:
    """Builds plans; collects everything that is wrong in `problems`."""

    def __init__(self, parts: Parts, *, direction: str = "both") -> None:
        self.parts = parts
        self.problems: list[Finding] = []
        self.direction = direction
        self.marks: list[tuple[str, Mark]] = []
        """Every row by full name, for the report of rows that never fire."""
        self._open: list[tuple[str, str]] = []
        self._depth = 0

    def problem(self, code: Code, mark: Mark, detail: str, hint: str | None = None) -> None:
        """Note a problem and go on."""
        self.problems.append(located(code, mark, detail, hint))

    # -- structs --------------------------------------------------------------------------------------------

    def plan(self, struct: type[Value], rows: ReadOnly[str, Row], scopes: tuple[Shape, ...], prefix: str,
             mark: Mark) -> Plan:
        """The plan of a struct filled by `rows`; paths are looked up in `scopes`, innermost first."""
        plan = Plan(struct, prefix, mark, {})
        for row in rows.values():
            try:
                self._insert(plan, row, scopes, prefix)
            except UnknownField as unknown:
                self.problem(UNKNOWN_FIELD, row.key.mark, str(unknown), unknown.hint)
            except Rejection as rejection:
                self.problems.extend(rejection.findings)
        return plan

    def complete(self, plan: Plan, known: Iterable[str] = ()) -> None:
        """Check that every struct the plan makes has its required fields."""
        there = {*known, *plan.slots, *(name for name, _ in plan.constants)}
        for name in model.required(plan.struct):
            if name not in there:
                self.problem(INCOMPLETE, plan.mark, f"{plan.struct.__name__} needs {name}")

    def _insert(self, plan: Plan, row: Row, scopes: tuple[Shape, ...], prefix: str) -> None:
        steps = grammar.steps(row.key)
        for number, step in enumerate(steps):
            field = model.field(plan.struct, step.name)
            last = number == len(steps) - 1
            slot = plan.slots.setdefault(step.name, Slot(step.name, field, None, {}))
            mark = row.key.at(step.column)
            name = f"{prefix}.{row.key.text}" if prefix else row.key.text
            if field.kind == EXTENSIONS:
                if not last or not step.argument:
                    raise document.fail(grammar.BAD_PATH, mark, "extensions are named: extensions(ZAP-2)")
                self._once(slot, step.argument, mark)
                leaf = self._leaf(row, FieldType(TEXT), scopes, name)
                slot.items[step.argument] = Item(None, (), leaf, mark)
                return
            if not field.many:
                if step.argument is not None:
                    raise document.fail(grammar.BAD_PATH, mark, f"{step.name} is one value, not a list")
                if last:
                    if row.rows:
                        raise document.fail(NOT_ALLOWED, mark, "each fills a list")
                    self._whole(slot, self._leaf(row, field, scopes, name), mark)
                    return
                plan = self._into(slot, field, mark, name)
                continue
            if step.argument is None:
                raise document.fail(grammar.BAD_PATH, mark, f"{step.name} is a list",
                                    f"write {step.name}() for its items, or {step.name}(0) for the first")
            index, select = self.selector(step.argument, field, mark)
            if last:
                self._once(slot, step.argument, mark)
                source = (self._each(row, field, scopes, name, select) if _is_each(row)
                          else self._leaf(row, msgspec.structs.replace(field, many=False), scopes, name, select))
                slot.items[step.argument] = Item(index, select, source, mark)
                return
            item = slot.items.get(step.argument)
            if item is None:
                if field.struct is None:
                    raise document.fail(UNKNOWN_FIELD, mark, f"{step.name} has no parts")
                inner = Plan(field.struct, name.rpartition(".")[0], mark, {}, select or _role(plan, step.name, index))
                item = slot.items[step.argument] = Item(index, select, inner, mark)
            if not isinstance(item.source, Plan):
                raise document.fail(TWICE, mark, "the item is filled as a whole by another row")
            plan = item.source

    @staticmethod
    def _whole(slot: Slot, leaf: Leaf, mark: Mark) -> None:
        if slot.source is None:
            slot.source = leaf
        elif isinstance(slot.source, Plan) and slot.beside is None and not any(cell.reads for cell in leaf.cells):
            slot.beside = leaf
        else:
            raise document.fail(TWICE, mark, f"{slot.name} is filled by another row already")

    def _once(self, slot: Slot, argument: str, mark: Mark) -> None:
        if argument in slot.items:
            raise document.fail(TWICE, mark, f"{slot.name}({argument}) is filled by another row already")

    def _into(self, slot: Slot, field: FieldType, mark: Mark, name: str) -> Plan:
        if field.struct is None:
            raise document.fail(UNKNOWN_FIELD, mark, f"{slot.name} has no parts")
        if isinstance(slot.source, Leaf) and not any(cell.reads for cell in slot.source.cells):
            slot.beside, slot.source = slot.source, None
        if slot.source is None:
            slot.source = Plan(field.struct, name, mark, {})
        if not isinstance(slot.source, Plan):
            raise document.fail(TWICE, mark, f"{slot.name} is filled as a whole by another row")
        return slot.source

    def selector(self, argument: str, field: FieldType,
                 mark: Mark) -> tuple[int | None, tuple[tuple[str, Any], ...]]:
        """What the brackets of a list say: a position, or fields and their values; neither means all."""
        text = argument.strip()
        if not text:
            return None, ()
        if text.isdecimal() and text.isascii():
            return int(text), ()
        pairs = grammar.conditions(text)
        if pairs is None or field.struct is None:
            raise document.fail(grammar.BAD_PATH, mark, "brackets hold nothing, a position or field=value")
        return None, tuple((name, self.constant(model.field(field.struct, name), value, mark))
                           for name, value in pairs)

    def constant(self, field: FieldType, text: str, mark: Mark) -> Any:
        """The model value a table writes as text. Raises Rejection where it is none."""
        if field.kind == ENUM and field.enum is not None:
            try:
                return field.enum(text)
            except ValueError:
                known = [member.value for member in field.enum]
                raise document.fail(document.VALUE, mark, f"not a code of {field.name}",
                                    did_you_mean(text, known)) from None
        if field.kind == TEXT:
            return text
        if field.kind == INTEGER and text.lstrip("-").isdecimal():
            return int(text)
        if field.kind == model.BOOLEAN and text in ("yes", "no", "true", "false"):
            return text in ("yes", "true")
        raise document.fail(document.VALUE, mark, f"a {field.name} cannot be written in a table")

    # -- rows -----------------------------------------------------------------------------------------------

    def _each(self, row: Row, field: FieldType, scopes: tuple[Shape, ...], name: str,
              select: tuple[tuple[str, Any], ...]) -> Each:
        cell = row.cells[0]
        self.marks.append((name, row.key.mark))
        for key in cell.entries:
            if key not in ("each", "when", "only", "note"):
                raise document.fail(NOT_ALLOWED, cell.entries[key].key.mark, f"{key} does not go with each")
        if field.struct is None:
            raise document.fail(NOT_ALLOWED, row.key.mark, "each fills a list of structs")
        value = document.scalar(cell.entries["each"].value, "each")
        place = self.fetch(Word(value.text, value.mark), scopes)
        if not place.path.container:
            raise document.fail(NOT_ALLOWED, value.mark, "each names a group, a segment or an object")
        inner = (place.path.inside(), scopes[-1]) if len(scopes) > 0 else (place.path.inside(),)
        self._depth += 1
        plan = self.plan(field.struct, row.rows, inner, name, row.key.mark)
        self._depth -= 1
        plan.constants = select
        self.complete(plan)
        condition = cell.get("when")
        return Each(name, row.key.mark, place,
                    self.condition(document.scalar(condition, "when"), inner) if condition else None, plan,
                    _text(cell, "only"))

    def _leaf(self, row: Row, field: FieldType, scopes: tuple[Shape, ...], name: str,
              select: tuple[tuple[str, Any], ...] = ()) -> Leaf:
        self.marks.append((name, row.key.mark))
        if _is_each(row):
            raise document.fail(NOT_ALLOWED, row.key.mark, "each fills a list")
        return Leaf(name, field, row.key.mark,
                    tuple(self._cell(cell, field, scopes, name, select) for cell in row.cells), self._depth > 0)

    def _cell(self, cell: Mapping, field: FieldType, scopes: tuple[Shape, ...], name: str,
              select: tuple[tuple[str, Any], ...]) -> Cell:
        path = cell.get("path")
        if path is None:
            raise document.fail(document.MISSING, cell.mark, "the key path is missing")
        scalar = document.scalar(path, "path")
        as_ = cell.get("as")
        codec_name = document.scalar(as_, "as").text if as_ is not None else ""
        read_as = None if codec_name == "text" else field
        places = tuple(self.fetch(word, scopes, read_as)
                       for word in grammar.parts(scalar, "&" if codec_name == "phone" else "|"))
        write = cell.get("write")
        targets = places[-1:] if write is None else tuple(
            self.fetch(word, scopes, read_as) for each in document.scalars(write, "write")
            for word in grammar.parts(each, "&"))
        for place in (*places, *targets):
            if place.path.kind == "container":
                raise document.fail(NOT_ALLOWED, place.word.mark, f"{place.word.text} is not a value",
                                    "name a field in it, or use each and fields")
        only = _text(cell, "only")
        vocab = self._vocab(cell, field)
        condition = cell.get("when")
        required = _text(cell, "required") or "no"
        common: dict[str, Any] = {
            "mark": cell.mark, "places": places, "targets": targets, "vocab": vocab, "only": only,
            "unmapped": _text(cell, "unmapped") or "error", "required": required,
            "on_null": _text(cell, "on_null") or "clear", "derive": _text(cell, "derive"),
            "when": self.condition(document.scalar(condition, "when"), scopes) if condition else None,
            "default_out": _text(cell, "default_out") if "default_out" in cell.entries else None,
        }
        default = cell.get("default")
        if default is not None:
            common["default"] = self.constant(field, document.scalar(default, "default").text, default.mark)
        if common["unmapped"] != "error" and vocab is None:
            raise document.fail(NOT_ALLOWED, cell.entries["unmapped"].key.mark, "unmapped goes with map")
        if common["unmapped"] == "pass" and field.kind == ENUM:
            raise document.fail(NOT_ALLOWED, cell.entries["unmapped"].value.mark,
                                f"a code that is no {field.name} cannot pass", "use error or park")
        unit = cell.get("unit")
        if codec_name == "phone":
            if field.kind != TEXT or only != "in":
                raise document.fail(NOT_ALLOWED, cell.mark, "phone joins parts to a text and needs only: in")
            return Cell(**common, phone=True, codec=codecs.as_text(self._text_codec(places[0].path.wire_type)))
        if as_ is not None and codec_name == "uri":
            if field.kind != TEXT:
                raise document.fail(NO_CODEC, as_.mark, f"uri is text, {name} is {field.name}")
            return Cell(**common, uri=True, codec=codecs.as_text(self._text_codec(places[0].path.wire_type)),
                        unit=self._unit(document.scalar(unit, "unit"), scopes) if unit else None)
        if unit is not None:
            if field.kind != INTEGER:
                raise document.fail(NOT_ALLOWED, unit.mark, "unit goes with a duration, or with as: uri")
            return Cell(**common, codec=codecs.as_text(self._text_codec(places[0].path.wire_type)),
                        unit=self._unit(document.scalar(unit, "unit"), scopes))
        if as_ is not None:
            return Cell(**common, codec=self._named(document.scalar(as_, "as"), field, places[0], only))
        return self._typed(common, places, targets, field, vocab, name, select)

    def _typed(self, common: dict[str, Any], places: tuple[Fetch, ...], targets: tuple[Fetch, ...],
               field: FieldType, vocab: Vocab | None, name: str, select: tuple[tuple[str, Any], ...]) -> Cell:
        if field.kind == STRUCT:
            plans: dict[str, Plan] = {}
            for place in (*places, *targets):
                wire_type = place.path.wire_type
                if wire_type not in plans:
                    plans[wire_type] = self.datatype(wire_type, field, name, place.word.mark, select)
            first = plans.pop(places[0].path.wire_type)
            return Cell(**common, composite=first, others=plans)
        text = self._text_codec(places[0].path.wire_type)
        if vocab is not None:
            return Cell(**common, codec=codecs.as_text(text))
        for place in (*places, *targets):
            wire_type = place.path.wire_type
            if codecs.choose(wire_type, field, self._text_codec(wire_type)) is None:
                raise document.fail(NO_CODEC, place.word.mark, f"{place.word.text} is {wire_type}, {name} is "
                                                               f"{field.name}")
        return Cell(**common, codec=codecs.choose(places[0].path.wire_type, field, text))

    def codec_at(self, cell: Cell, place: Fetch, field: FieldType) -> Codec:
        """The codec of one of several places: their wire types may differ (TQ1-7 and SCH-11.4)."""
        assert cell.codec is not None
        if place.path.wire_type == cell.places[0].path.wire_type or cell.codec.name in codecs.NAMES:
            return cell.codec
        text = self._text_codec(place.path.wire_type)
        if cell.vocab is not None or cell.unit is not None or cell.uri:
            return codecs.as_text(text)
        return codecs.choose(place.path.wire_type, field, text) or cell.codec

    def datatype(self, wire_type: str, field: FieldType, name: str, mark: Mark,
                 select: tuple[tuple[str, Any], ...] = ()) -> Plan:
        """The plan of a composite, by its data-type table. Raises Rejection where there is none."""
        assert field.struct is not None
        key = (wire_type, field.struct.__name__)
        table = self.parts.types.get(key)
        if table is None:
            known = sorted(name for type_, name in self.parts.types if type_ == wire_type)
            raise document.fail(NO_CODEC, mark, f"there is no data-type table for {wire_type or 'this'} ↔ "
                                                f"{field.struct.__name__}",
                                f"{wire_type} has tables for {', '.join(known)}" if known else None)
        if key in self._open:
            raise document.fail(NO_CODEC, mark, f"the data-type table of {wire_type} uses itself")
        self._open.append(key)
        self._depth += 1
        try:
            shape = self.parts.format.datatype(wire_type)
            plan = self.plan(field.struct, table.rows, (shape,), name, table.mark)
            plan.constants = select
            plan.selected_at = mark
            self.complete(plan)
            return plan
        except PathError as error:
            raise document.fail(UNKNOWN_PATH, mark, str(error), error.hint) from None
        finally:
            self._depth -= 1
            self._open.pop()

    def _named(self, as_: Scalar, field: FieldType, place: Fetch, only: str) -> Codec:
        name, _, argument = as_.text.partition("(")
        if name not in codecs.NAMES:
            raise document.fail(document.VALUE, as_.mark, f"there is no codec {name}",
                                did_you_mean(name, codecs.NAMES))
        codec = codecs.named(name, argument.rstrip(")").strip(), place.path.wire_type, field,
                             self._text_codec(place.path.wire_type))
        if codec is None:
            raise document.fail(NO_CODEC, as_.mark, f"the codec {name} does not fit {field.name}")
        if codec.parse is None and only != "out" and self.direction != "out":
            raise document.fail(NOT_ALLOWED, as_.mark, f"{name} has no way back", "add only: out")
        if codec.write is None and only != "in" and self.direction != "in":
            raise document.fail(NOT_ALLOWED, as_.mark, f"{name} can only be read", "add only: in")
        return codec

    def _text_codec(self, wire_type: str) -> TextCodec:
        parse, write = self.parts.format.text(wire_type)
        return TextCodec(parse, write)

    def _vocab(self, cell: Mapping, field: FieldType) -> Vocab | None:
        value = cell.get("map")
        if value is None:
            return None
        name = document.scalar(value, "map")
        vocab = self.parts.vocabs.get(name.text)
        if vocab is None and name.text in self.parts.faulty:
            raise document.fail(UNKNOWN_VOCAB, name.mark, f"the code table {name.text} has errors of its own",
                                "mend it first: they are listed with its file")
        if vocab is None:
            raise document.fail(UNKNOWN_VOCAB, name.mark, f"there is no code table {name.text}",
                                did_you_mean(name.text, self.parts.vocabs))
        if field.kind == ENUM and vocab.canonical != field.name:
            raise document.fail(NO_CODEC, name.mark, f"{name.text} translates to {vocab.canonical}, not to "
                                                     f"{field.name}")
        if field.kind not in (ENUM, TEXT) and not (field.kind == STRUCT and field.struct is CodeableConcept):
            raise document.fail(NOT_ALLOWED, name.mark, f"map translates codes, not {field.name}")
        return vocab

    # -- paths ----------------------------------------------------------------------------------------------

    def fetch(self, word: Word, scopes: tuple[Shape, ...], field: FieldType | None = None) -> Fetch:
        """Resolve a path: in the innermost scope, else in the message. A composite read as a plain value
        means its first component.

        Raises:
            canonical.findings.Rejection: `UNKNOWN_PATH`, located to the character.
        """
        error: PathError | None = None
        for number, scope in enumerate(scopes):
            try:
                path = scope.path(word.text)
            except PathError as refused:
                error = error or refused
                continue
            if field is not None and field.kind != STRUCT:
                path = self._promoted(path, scope)
            return Fetch(path, number > 0, word)
        assert error is not None
        mark = Mark(word.mark.file, word.mark.line, word.mark.column + error.column)
        raise document.fail(UNKNOWN_PATH, mark, str(error), error.hint)

    def _promoted(self, path: Path, scope: Shape) -> Path:
        for _ in range(_MAX_PROMOTIONS):
            if path.kind != "composite":
                break
            try:
                path = scope.path(f"{path.text}.1")
            except PathError:
                break
            path.partial = False  # the value is all the row knows of the field
        return path

    def condition(self, value: Scalar, scopes: tuple[Shape, ...]) -> Condition:
        """Resolve a ``when`` cell."""
        when: When = grammar.when(value)
        return Condition(self.fetch(when.path, scopes, FieldType(TEXT)), when.verb, when.values)

    def _unit(self, value: Scalar, scopes: tuple[Shape, ...]) -> Unit:
        words = grammar.parts(value, "|")
        default = "s"
        if times.unit_seconds(words[-1].text) is not None:
            default = words.pop().text
        return Unit(tuple(self.fetch(word, scopes, FieldType(TEXT)) for word in words), default)


def _is_each(row: Row) -> bool:
    return "each" in row.cells[0].entries


def _text(cell: Mapping, key: str) -> str:
    value: Node | None = cell.get(key)
    return document.scalar(value, key).text if value is not None else ""


