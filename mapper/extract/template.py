"""Extraction templates as tables: ``form:`` documents, read with every fault located.

A template says how a form is recognised and, row by row, where each canonical field stands on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as ReadOnly
from typing import Final

import msgspec

from canonical.findings import Finding, Rejection, Severity, declare
from canonical.page import Box
from canonical.phi import Value
from mapper import document, grammar, model
from mapper.document import Entry, Mapping, Mark, Node, Scalar, did_you_mean, located
from mapper.extract.kinds import KINDS, Options
from mapper.extract.sheet import Phrase
from mapper.plan import UNKNOWN_FIELD
from mapper.vocab import UNKNOWN_VOCAB, Vocab

NO_PLACE: Final = declare("extract.no_place", Severity.FATAL, "the row does not say where its field stands",
                          "one of label, region, pattern, checkbox; column within a table; or nothing but type within each")
BAD_PATTERN: Final = declare("extract.bad_pattern", Severity.FATAL, "not a pattern that can be used",
                             "a regular expression of Python, no repetition within a repetition; one group is the value")
NO_MARK: Final = declare("extract.not_recognisable", Severity.FATAL, "nothing tells this form from others",
                         "recognise needs a title, anchors or a barcode")

HEADER: Final = ("form", "entity", "kind", "recognise", "set", "fields", "trust", "note")
RECOGNISE: Final = ("title", "anchors", "barcode", "need")
ROW: Final = ("label", "at", "reach", "region", "anchor", "pattern", "checkbox", "near", "type", "shape", "order", "list",
              "required", "column", "each", "fields", "note")
EACH: Final = ("table", "label", "at", "reach", "pattern", "most")
_PLACES: Final = ("label", "region", "pattern", "checkbox", "column")
#: How far below its label a value may stand, in shares of the page's height.
REACH: Final = 0.05
_MOST: Final = 20


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a row looks."""

    labels: tuple[Phrase, ...] = ()
    below: bool = False
    reach: float = REACH
    region: Box | None = None
    anchor: Phrase | None = None
    """The region is then counted from the upper left corner of this phrase."""
    pattern: re.Pattern[str] | None = None
    options: tuple[tuple[Phrase, str], ...] = ()
    """Of a checkbox group: text beside the box, value."""
    near: Phrase | None = None
    column: Phrase | None = None
    heads: tuple[Phrase, ...] = ()
    """Header cells of a table, for ``each``."""
    most: int = _MOST


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One row."""

    path: str
    """Canonical, in full; within ``each`` with ``()`` at the list."""
    kind: str
    options: Options
    place: Place
    required: bool
    blank: bool
    """It may be left blank: nothing there is no question."""
    mark: Mark
    leaf: type[Value] | None
    """Struct that the value becomes; None for text."""
    table: Vocab | None = None
    each: Place | None = None
    """Where the items of its list stand."""
    group: str = ""
    """The list it belongs to: ``diagnoses()``."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """One form."""

    name: str
    mark: Mark
    struct: type[Value]
    kind: str
    title: Phrase | None
    anchors: tuple[Phrase, ...]
    barcode: re.Pattern[str] | None
    need: int
    trust: float
    """Factor on every confidence: below 1 for guesses at forms nobody described."""
    constants: tuple[tuple[str, str], ...]
    fields: tuple[Field, ...]

    @property
    def labels(self) -> tuple[Phrase, ...]:
        """Every phrase of the form itself: where a value ends."""
        found: dict[str, Phrase] = {}
        for field in self.fields:
            for place in (field.place, *([field.each] if field.each else [])):
                for phrase in (*place.labels, *(one for one, _ in place.options), *place.heads,
                               *([place.near] if place.near else []), *([place.anchor] if place.anchor else [])):
                    found[phrase.plain] = phrase
        for phrase in (*self.anchors, *([self.title] if self.title else [])):
            found.setdefault(phrase.plain, phrase)
        return tuple(found.values())


def load(node: Node, vocabs: ReadOnly[str, Vocab]) -> Template:
    """Read and check a template.

    Raises:
        canonical.findings.Rejection: everything that is wrong with it, located.
    """
    return _Loader(document.mapping(node, node.mark, "a form"), vocabs).template()


class _Loader:
    def __init__(self, top: Mapping, vocabs: ReadOnly[str, Vocab]) -> None:
        self._top, self._vocabs = top, vocabs
        self._problems: list[Finding] = []

    def template(self) -> Template:
        """The checked form."""
        top = self._top
        document.known_keys(top, HEADER, "a form")
        missing = [located(document.MISSING, top.mark, f"the key {key} is missing")
                   for key in ("form", "entity", "fields") if key not in top.entries]
        if missing:
            raise Rejection(*missing)
        name = document.scalar(top.entries["form"].value, "form")
        entity = document.scalar(top.entries["entity"].value, "entity")
        struct = model.structs().get(entity.text)
        if struct is None:
            raise document.fail(UNKNOWN_FIELD, entity.mark, f"there is no canonical type {entity.text}",
                                did_you_mean(entity.text, model.structs()))
        title, anchors, barcode, need = self._recognise(top.get("recognise"))
        constants = self._constants(struct, top.get("set"))
        fields: list[Field] = []
        rows = document.mapping(top.entries["fields"].value, top.mark, "fields")
        for entry in rows.entries.values():
            self._try(lambda entry=entry: fields.extend(self._rows(struct, entry)))  # type: ignore[misc] # mypy infers no type for a default
        trust = self._number(top.get("trust"), 1.0)
        kind = top.get("kind")
        if self._problems:
            raise Rejection(*self._problems)
        return Template(name=name.text, mark=name.mark, struct=struct, title=title, anchors=anchors, barcode=barcode,
                        kind=document.scalar(kind, "kind").text if kind is not None else "referral", need=need,
                        trust=trust, constants=constants, fields=tuple(fields))

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Rejection as rejection:
            self._problems.extend(rejection.findings)

    def _recognise(self, node: Node | None) -> tuple[Phrase | None, tuple[Phrase, ...], re.Pattern[str] | None, int]:
        if node is None:
            return None, (), None, 0
        cells = document.mapping(node, node.mark, "recognise")
        document.known_keys(cells, RECOGNISE, "recognise")
        if not {"title", "anchors", "barcode"} & cells.entries.keys():
            raise document.fail(NO_MARK, cells.mark)
        title, anchors, barcode = cells.get("title"), cells.get("anchors"), cells.get("barcode")
        return (Phrase.of(document.scalar(title, "title").text) if title is not None else None,
                tuple(Phrase.of(word.text) for word in document.scalars(anchors, "anchors")) if anchors is not None else (),
                pattern(document.scalar(barcode, "barcode")) if barcode is not None else None,
                int(self._number(cells.get("need"), 2)))

    def _number(self, node: Node | None, default: float) -> float:
        if node is None:
            return default
        text = document.scalar(node, "a number")
        try:
            return float(text.text)
        except ValueError:
            raise document.fail(document.VALUE, text.mark, "expected a number") from None

    def _constants(self, struct: type[Value], node: Node | None) -> tuple[tuple[str, str], ...]:
        if node is None:
            return ()
        found = []
        for key, entry in document.mapping(node, node.mark, "set").entries.items():
            leaf_of(struct, entry.key)
            found.append((key, document.scalar(entry.value, key).text))
        return tuple(found)

    def _rows(self, struct: type[Value], entry: Entry) -> list[Field]:
        cell = document.mapping(entry.value, entry.key.mark, "a row") if not isinstance(entry.value, Scalar) else \
            Mapping({"label": Entry(Scalar("label", entry.value.mark), entry.value)}, entry.value.mark)
        document.known_keys(cell, ROW, "a row")
        if "each" not in cell.entries:
            if "fields" in cell.entries:
                raise document.fail(document.MISSING, cell.mark, "fields needs each")
            return [self._field(struct, entry.key, cell, None, "")]
        list_ = entry.key
        if not list_.text.endswith("()"):
            raise document.fail(document.VALUE, list_.mark, "a row with each names a list: diagnoses()")
        each = self._each(document.mapping(cell.entries["each"].value, cell.mark, "each"))
        inner = cell.get("fields")
        if inner is None:
            raise document.fail(document.MISSING, cell.mark, "each needs fields")
        found = []
        required = cell.get("required")
        for row in document.mapping(inner, cell.mark, "fields").entries.values():
            own = document.mapping(row.value, row.key.mark, "a row")
            document.known_keys(own, ROW, "a row")
            key = Scalar(f"{list_.text}.{row.key.text}", row.key.mark)
            if required is not None and "required" not in own.entries:
                own = Mapping({**own.entries, "required": cell.entries["required"]}, own.mark)
            found.append(self._field(struct, key, own, each, list_.text))
        return found

    def _each(self, cells: Mapping) -> Place:
        document.known_keys(cells, EACH, "each")
        table, label, pattern_ = cells.get("table"), cells.get("label"), cells.get("pattern")
        if sum(each is not None for each in (table, label)) + (pattern_ is not None and label is None) != 1:
            raise document.fail(NO_PLACE, cells.mark, "each says one of table, label, pattern")
        most = int(self._number(cells.get("most"), _MOST))
        if table is not None:
            return Place(heads=tuple(Phrase.of(word.text) for word in document.scalars(table, "table")), most=most)
        if label is not None:
            return msgspec.structs.replace(self._labelled(cells, label), most=most, pattern=pattern(
                document.scalar(pattern_, "pattern")) if pattern_ is not None else None)
        assert pattern_ is not None
        return Place(pattern=pattern(document.scalar(pattern_, "pattern")), most=most)

    def _labelled(self, cells: Mapping, label: Node) -> Place:
        at = cells.get("at")
        word = document.scalar(at, "at").text if at is not None else "right"
        if word not in ("right", "below"):
            raise document.fail(document.VALUE, (at or label).mark, "at is right or below")
        labels = grammar.parts(document.scalar(label, "label"), "|")
        return Place(labels=tuple(Phrase.of(each.text) for each in labels), below=word == "below",
                     reach=self._number(cells.get("reach"), REACH))

    def _field(self, struct: type[Value], key: Scalar, cell: Mapping, each: Place | None, group: str) -> Field:
        leaf = leaf_of(struct, key)
        given = [place for place in _PLACES if place in cell.entries]
        if len([place for place in given if place != "pattern"]) > 1 or (not given and each is None):
            raise document.fail(NO_PLACE, cell.mark)
        if each is not None and (set(given) - {"column"} or (not given and each.heads)):
            raise document.fail(NO_PLACE, cell.mark, "a field of a table says its column; of a list, nothing")
        kind = self._choice(cell, "type", KINDS, "text")
        list_ = cell.get("list")
        names: dict[str, str] = {}
        table = None
        if list_ is not None:
            word = document.scalar(list_, "list")
            table = self._vocabs.get(word.text)
            if table is None:
                raise document.fail(UNKNOWN_VOCAB, word.mark, f"there is no code table {word.text}",
                                    did_you_mean(word.text, self._vocabs))
            names = {source: row.canonical for source, row in table.inward.items()}
        elif kind == "listed":
            raise document.fail(document.MISSING, cell.mark, "type listed needs list: a code table")
        shape = cell.get("shape")
        order = self._choice(cell, "order", ("family-given", "given-family", "month-day", "day-month"), "family-given")
        required = cell.get("required")
        return Field(path=key.text, kind=kind, leaf=leaf, mark=key.mark, table=table, each=each, group=group,
                     required=required is not None and document.boolean(required, "required"),
                     blank=required is not None and not document.boolean(required, "required"),
                     place=self._place(cell), options=Options(
                         shape=pattern(document.scalar(shape, "shape")) if shape is not None else None,
                         given_first=order == "given-family", day_first=order == "day-month", names=names))

    def _choice(self, cell: Mapping, key: str, known: ReadOnly[str, object] | tuple[str, ...], default: str) -> str:
        node = cell.get(key)
        if node is None:
            return default
        word = document.scalar(node, key)
        if word.text not in known:
            raise document.fail(document.VALUE, word.mark, f"{key} is one of {', '.join(known)}",
                                did_you_mean(word.text, known))
        return word.text

    def _place(self, cell: Mapping) -> Place:
        pattern_ = cell.get("pattern")
        compiled = pattern(document.scalar(pattern_, "pattern")) if pattern_ is not None else None
        if (label := cell.get("label")) is not None:
            return msgspec.structs.replace(self._labelled(cell, label), pattern=compiled)
        anchor = cell.get("anchor")
        phrase = Phrase.of(document.scalar(anchor, "anchor").text) if anchor is not None else None
        if (region := cell.get("region")) is not None:
            return Place(region=self._box(document.scalar(region, "region"), relative=phrase is not None), anchor=phrase,
                         pattern=compiled)
        if (boxes := cell.get("checkbox")) is not None:
            options = tuple((Phrase.of(text), document.scalar(entry.value, text).text)
                            for text, entry in document.mapping(boxes, boxes.mark, "checkbox").entries.items())
            near = cell.get("near")
            return Place(options=options, reach=self._number(cell.get("reach"), REACH),
                         near=Phrase.of(document.scalar(near, "near").text) if near is not None else None)
        if (column := cell.get("column")) is not None:
            return Place(column=Phrase.of(document.scalar(column, "column").text))
        return Place(pattern=compiled)

    def _box(self, text: Scalar, *, relative: bool) -> Box:
        try:
            left, top, right, bottom = (float(word) for word in text.text.split())
        except ValueError:
            raise document.fail(document.VALUE, text.mark,
                                "a region is LEFT TOP RIGHT BOTTOM, in shares of the page") from None
        if not (left < right and top < bottom and (relative or (min(left, top) >= 0 and max(right, bottom) <= 1))):
            raise document.fail(document.VALUE, text.mark, "a region lies on the page: left before right, top before bottom")
        return Box(left, top, right, bottom)


def leaf_of(struct: type[Value], key: Scalar) -> type[Value] | None:
    """The struct that a canonical path ends at, None where it is text.

    Raises:
        canonical.findings.Rejection: the model has no such path, or it ends at a list.
    """
    current: type[Value] | None = struct
    kind: model.FieldType | None = None
    for step in grammar.steps(key):
        if current is None:
            raise document.fail(UNKNOWN_FIELD, key.mark, f"{key.text} goes too far")
        try:
            kind = model.field(current, step.name)
        except model.UnknownField as unknown:
            raise document.fail(UNKNOWN_FIELD, key.at(step.column), str(unknown), unknown.hint) from None
        if kind.many and step.argument is None:
            raise document.fail(UNKNOWN_FIELD, key.at(step.column), f"{step.name} is a list",
                                f"which one: {step.name}(0), {step.name}(type=…)")
        for name, _ in grammar.conditions(step.argument or "") or ():
            if kind.struct is not None and name not in model.fields(kind.struct):
                raise document.fail(UNKNOWN_FIELD, key.at(step.column), f"{kind.struct.__name__} has no field {name}",
                                    did_you_mean(name, model.fields(kind.struct)))
        current = kind.struct
    return current


def pattern(text: Scalar) -> re.Pattern[str]:
    """A regular expression that cannot take forever: no repetition within a repetition.

    Raises:
        canonical.findings.Rejection: located.
    """
    try:
        found = re.compile(text.text)
    except re.error as error:
        raise document.fail(BAD_PATTERN, text.mark, f"{error.msg} at position {error.pos}") from None
    if _NESTED.search(re.sub(r"\\.", "x", text.text)):
        raise document.fail(BAD_PATTERN, text.mark, "a repetition within a repetition")
    if found.groups > 1:
        raise document.fail(BAD_PATTERN, text.mark, "more than one group; write (?:…) for those that are not the value")
    return found


_NESTED: Final = re.compile(r"\([^()]*[*+}][^()]*\)[*+{]")
