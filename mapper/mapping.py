"""One table, compiled: read, write, trace.

A `Mapping` is immutable and holds no state between messages. `Mapping.trace` compiles the same plan again with
a recorder; its values are those of `Mapping.read`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Mapping as ReadOnly
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import UNSET

from canonical.entities import AnyEntity
from canonical.event import Basis, Event, Source, Version
from canonical.findings import Finding, Rejection, Severity, declare, finding
from canonical.keys import kind_of
from canonical.model import Identifier
from canonical.paths import PathError
from canonical.phi import Value
from mapper import codecs, document, grammar, keys, model, times, unroll
from mapper.document import Mark, Node, Scalar, did_you_mean
from mapper.format import Format, Path, Shape, Wire
from mapper.format import Node as WireNode
from mapper.grammar import Table, Word
from mapper.model import INSTANT, TEXT, FieldType
from mapper.plan import UNKNOWN_FIELD, UNKNOWN_PATH, Fetch, Parts, Plan, Planner
from mapper.reading import ReadCompiler, Reader
from mapper.recorder import Lineage, Recorder
from mapper.run import Missing, Run
from mapper.times import Refused
from mapper.writing import WriteCompiler, Writer

UNKNOWN_EVENT = declare("map.unknown_event", Severity.FATAL, "the table does not say what this trigger means",
                        "add it under `events`, or write `ignore` for it")
NO_SUBJECT = declare("map.no_subject", Severity.FATAL, "nothing in the message says what it is about",
                     "see `subject` of the table: none of these fields is there")
NOTHING_READ = declare("map.nothing_read", Severity.FATAL, "no row of the table found anything",
                       "is this the right table for the channel?")
NO_VERSION = declare("map.no_version", Severity.WARNING, "nothing orders this event but its arrival",
                     "see `version` of the table; a time without offset needs a `zone`")
NO_TRIGGER = declare("map.no_trigger", Severity.FATAL, "the table has no trigger for this event",
                     "add it under `events`, or do not route such events here")
WRONG_ENTITY = declare("map.wrong_entity", Severity.FATAL, "the table writes another kind of entity",
                       "route this event elsewhere, or name another table for the destination")
NO_IDENTIFIER = declare("map.no_identifier", Severity.FATAL, "the resource has no identifier to be addressed by",
                        "see `conditional` of the table")
LEFT_OUT = declare("map.left_out", Severity.WARNING, "an entry of a bundle has no identifier and was left out",
                   "the rest is sent; find the number of the person or thing and send again")
NOT_READABLE = declare("map.write_only", Severity.FATAL, "the table has no events: it can only write",
                       "name another table for the channel")

#: Types of Bundle whose entries are requests (R4 bdl-3).
_DONE_BY_REQUEST: Final = frozenset({"transaction", "batch"})

#: Event types that begin the life of their subject (`default` and ``required: creating`` apply).
CREATING: Final = frozenset({"appointment.booked", "appointment.held", "appointment.snapshot", "slot.opened",
                             "slot.blocked", "slot.held", "patient.created"})


# -- what goes in and comes out -----------------------------------------------------------------------------


class ReadContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a table cannot know of a message."""

    message_id: str
    channel: str
    received_at: int
    """Microseconds since the epoch."""
    revision: str = ""
    """Of the library that reads, unless given."""
    known: Any = None
    """`mapper.extract.known.Known`: what values on pages can be checked against. Other tables have no use for it."""


class WriteContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a table cannot know of a delivery."""

    identity: str
    """``$identity``: MSH-10, idempotency key."""
    now: str
    """``$now``: ISO 8601 with offset. Give a time of the event, so that a repeated attempt has the same bytes."""
    values: ReadOnly[str, str] = {}
    """Settings of the destination: ``$receiving_application`` and the like."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one message says."""

    events: tuple[Event, ...] = ()
    """None if a finding is fatal, or if the table ignores the message."""
    findings: tuple[Finding, ...] = ()
    revision: str = ""

    @property
    def fatal(self) -> bool:
        """True where the message must be parked."""
        return any(found.severity is Severity.FATAL for found in self.findings)


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """What one event looks like to one destination."""

    wire: Wire
    findings: tuple[Finding, ...] = ()
    attributes: ReadOnly[str, str] = {}
    """For the transport: ``method``, ``path``, ``if_none_exist`` (FHIR)."""
    full_url: str = ""
    """FHIR: the name of the resource inside a bundle."""

    @property
    def fatal(self) -> bool:
        """True where it must not be sent."""
        return any(found.severity is Severity.FATAL for found in self.findings)


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A reading with the reasons."""

    reading: Reading
    lineage: tuple[tuple[Lineage, ...], ...]
    """For each event, each leaf."""
    unread: tuple[str, ...]
    """Places that hold something and that no row looked at (rule 6)."""
    undeclared: tuple[str, ...]
    """Those of `unread` that are not declared `lossy`."""
    silent: tuple[str, ...]
    """Rows (``file:line:column``) that gave nothing."""


class WriteTrace(msgspec.Struct, frozen=True, kw_only=True):
    """A writing with what was left behind."""

    writing: Writing
    unwritten: tuple[str, ...]
    """Canonical leaves that no row wrote."""


# -- header -------------------------------------------------------------------------------------------------


class EventSpec(msgspec.Struct, frozen=True):
    """One meaning of a trigger."""

    trigger: str
    type: str
    """Empty: declared and ignored."""
    overrides: ReadOnly[str, Any] = {}
    creates: bool = False
    when: Any = None
    mark: Mark | None = None


class EntrySpec(msgspec.Struct, frozen=True):
    """One entry of a bundle."""

    mapping: Mapping
    find: Callable[[Any], list[Any]] | None
    skip: bool = False
    """An entry without an identifier is left out, and the rest is sent."""


class _Header(msgspec.Struct):
    """The compiled header cells."""

    structure: str
    zone: ZoneInfo | None
    direction: str
    events: dict[str, list[EventSpec]]
    trigger: Fetch | None
    versions: tuple[tuple[Basis, Fetch], ...]
    occurred: tuple[Fetch, ...]
    source: dict[str, Fetch]
    constants: tuple[tuple[Fetch, str, Mark], ...]
    set_ids: tuple[str, ...]
    lossy: tuple[str, ...]
    each: Fetch | None
    conditional: Fetch | None
    request: str


class Mapping:
    """A compiled table. Made by `mapper.library.Library`."""

    def __init__(self, table: Table, parts: Parts, *, site: str, revision: str,
                 others: Callable[[Word], Mapping]) -> None:
        """Compile a table; `others` gives the mappings it names (``also``, ``entries``).

        Raises:
            canonical.findings.Rejection: everything that is wrong with it, located.
        """
        self.name = table.name
        self.site = site
        self.revision = revision
        self.table = table
        self._parts = parts
        self._planner = planner = Planner(parts, direction=_word(table, "direction") or "both")
        structure = document.scalar(table.header["format"], "format").text.partition("/")[2]
        self.struct = self._entity(table)
        try:
            shape = parts.format.message(structure, self._declared(table))
        except PathError as error:
            raise document.fail(UNKNOWN_PATH, table.header["format"].mark, str(error), error.hint) from None
        self.shape = shape
        """Where wire paths from the message are resolved."""
        self._header = self._read_header(table, shape, structure)
        scopes: tuple[Shape, ...] = (shape,)
        if self._header.each is not None:
            scopes = (self._header.each.path.inside(), shape)
        self.plan: Plan = planner.plan(self.struct, table.rows, scopes, "", table.mark)
        planner.complete(self.plan)
        kind = kind_of(self.struct.__name__)
        has_identifiers = "identifiers" in model.fields(self.struct)
        subject = table.header.get("subject", Scalar("identifiers()", table.mark) if has_identifiers else None)
        patient = table.header.get("patient")
        self._subject = keys.keys(planner, self.struct, document.scalar(subject, "subject"), kind) if subject \
            else (lambda _value: "")
        self._patient = keys.keys(planner, self.struct, document.scalar(patient, "patient"), "patient") if patient \
            else (lambda _value: "")
        self._also = tuple(self._other(word, others) for word in self._words(table, "also"))
        self._entries = self._read_entries(table, others)
        if planner.problems:
            raise Rejection(*planner.problems)
        clears = _word(table, "absent") == "clear"
        self._clears = clears
        self._read = self._compile_read(None) if self._header.direction != "out" else None
        self._demands: tuple[tuple[str, Finding], ...] = ()
        self._write = self._compile_write(None) if self._header.direction != "in" else None
        self._ordering = tuple((basis, fetch.path.first, self._instant(fetch))
                                for basis, fetch in self._header.versions)
        self._occurred = tuple(self._instant(fetch) for fetch in self._header.occurred)
        self._sender = tuple((name, self._plain(fetch)) for name, fetch in self._header.source.items())
        writer = WriteCompiler(planner)
        self._constants = unroll.constants([
            (writer.constant(text, fetch, str(mark)), fetch.path.put, fetch.path.spot)
            for fetch, text, mark in self._header.constants])
        if planner.problems:
            raise Rejection(*planner.problems)

    # -- compiling ------------------------------------------------------------------------------------------

    @property
    def format(self) -> Format:
        """The format adapter of the table."""
        return self._parts.format

    @property
    def structure(self) -> str:
        """Message structure or resource."""
        return self._header.structure

    @property
    def lossy(self) -> tuple[str, ...]:
        """Wire paths that need not survive a round trip, with those the set ids and constants cover."""
        return (*self._header.lossy, *self._header.set_ids, *(fetch.word.text for fetch, _, _ in
                                                              self._header.constants))

    @property
    def reads(self) -> bool:
        """Whether it can make events."""
        return self._read is not None and bool(self._header.events)

    @property
    def writes(self) -> bool:
        """Whether it can write."""
        return self._write is not None

    @property
    def rows(self) -> tuple[tuple[str, Mark], ...]:
        """Every row by full name."""
        return tuple(self._planner.marks)

    @property
    def triggers(self) -> ReadOnly[str, Sequence[EventSpec]]:
        """What each trigger means."""
        return self._header.events

    def _compile_read(self, recorder: Recorder | None) -> Reader:
        return ReadCompiler(self._planner, absent_clears=self._clears, recorder=recorder).entity(self.plan)

    def _compile_write(self, recorder: Recorder | None) -> Writer:
        compiler = WriteCompiler(self._planner, recorder=recorder)
        writer = compiler.struct(self.plan)
        self._demands = tuple(compiler.demands.items())
        return writer

    def _entity(self, table: Table) -> type[Value]:
        name = document.scalar(table.header["entity"], "entity")
        struct = model.structs().get(name.text)
        if struct is None:
            raise document.fail(UNKNOWN_FIELD, name.mark, f"there is no canonical type {name.text}",
                                did_you_mean(name.text, model.structs()))
        return struct

    def _declared(self, table: Table) -> ReadOnly[str, Any]:
        declared: dict[str, Any] = {}
        for key in ("segments", "types"):
            node = table.header.get(key)
            if node is not None:
                declared |= document.plain(document.mapping(node, node.mark, key))
        return declared

    def _words(self, table: Table, key: str) -> list[Word]:
        node = table.header.get(key)
        return [Word(each.text, each.mark) for each in document.scalars(node, key)] if node is not None else []

    def _other(self, word: Word, others: Callable[[Word], Mapping]) -> Mapping:
        return others(word)

    def _read_entries(self, table: Table, others: Callable[[Word], Mapping]) -> tuple[EntrySpec, ...]:
        node = table.header.get("entries")
        if node is None:
            return ()
        if not isinstance(node, document.Sequence):
            raise document.fail(document.VALUE, node.mark, "entries is a list")
        specs = []
        for item in node.items:
            entry = document.mapping(item, item.mark, "an entry")
            document.known_keys(entry, ("write", "from", "unaddressed", "note"), "an entry")
            write = entry.get("write")
            if write is None:
                raise document.fail(document.MISSING, entry.mark, "the key write is missing")
            name = document.scalar(write, "write")
            mapping = others(Word(name.text, name.mark))
            source = entry.get("from")
            find = None
            if source is not None:
                word = document.scalar(source, "from")
                find = keys.finder(self._planner, self.struct, Word(word.text, word.mark))
            unaddressed = entry.get("unaddressed")
            rule = document.scalar(unaddressed, "unaddressed").text if unaddressed is not None else "error"
            if unaddressed is not None and rule not in ("error", "skip"):
                raise document.fail(document.VALUE, unaddressed.mark, "unaddressed is error or skip")
            specs.append(EntrySpec(mapping, find, skip=rule == "skip"))
        return tuple(specs)

    def _read_header(self, table: Table, shape: Shape, structure: str) -> _Header:
        planner, header = self._planner, table.header
        self._defaults = defaults = self._parts.format.header(structure)
        text = FieldType(TEXT)

        def fetch(scalar: Scalar) -> Fetch:
            return planner.fetch(Word(scalar.text, scalar.mark), (shape,), text)

        def given(key: str) -> list[Fetch]:
            node = header.get(key)
            if node is not None:
                return [fetch(Scalar(word.text, word.mark)) for word in grammar.parts(document.scalar(node, key), "|")]
            return self._known(defaults.get(key, ""), shape, table.mark)

        trigger_node = header.get("trigger")
        trigger = fetch(document.scalar(trigger_node, "trigger")) if trigger_node is not None else next(
            iter(self._known(defaults.get("trigger", ""), shape, table.mark)), None)
        zone_name = header.get("zone")
        each = header.get("each")
        conditional = header.get("conditional")
        conditional_ = document.scalar(conditional, "conditional") if conditional is not None else None
        each_ = document.scalar(each, "each") if each is not None else None
        each_place = planner.fetch(Word(each_.text, each_.mark), (shape,)) if each_ is not None else None
        events = self._events(header.get("events"), (shape,) if each_place is None else (each_place.path.inside(), shape))
        if events and trigger is None:
            planner.problem(document.MISSING, table.header["events"].mark, "events need trigger: the path of their key")
        return _Header(
            structure=structure, zone=_zone(document.scalar(zone_name, "zone")) if zone_name is not None else None,
            direction=_choice(header, "direction", ("both", "in", "out"), "both"),
            events=events, trigger=trigger, versions=self._versions(header.get("version"), shape, table.mark),
            occurred=tuple(given("occurred")), source=self._source(header.get("source"), shape, table.mark),
            constants=self._read_constants(header.get("constants"), shape),
            set_ids=tuple(word.text for word in self._words(table, "set_ids")),
            lossy=tuple(word.text for word in self._words(table, "lossy")),
            each=each_place,
            conditional=planner.fetch(Word(conditional_.text, conditional_.mark), (shape,)) if conditional_ is not None
            else None,
            request=_choice(header, "request", ("update", "create"), "update"))

    def _known(self, text: str, shape: Shape, mark: Mark) -> list[Fetch]:
        """The paths of a default header cell that this structure has."""
        found = []
        for word in grammar.parts(Scalar(text, mark), "|") if text else ():
            try:
                found.append(self._planner.fetch(word, (shape,), FieldType(TEXT)))
            except Rejection:
                continue
        return found

    def _versions(self, node: Node | None, shape: Shape, mark: Mark) -> tuple[tuple[Basis, Fetch], ...]:
        if node is None:
            given = self._defaults.get("version", {})
            return tuple((Basis(basis), fetch) for basis, path in given.items()
                         for fetch in self._known(path, shape, mark))
        cells = document.mapping(node, mark, "version")
        known = [basis.value for basis in Basis if basis is not Basis.ARRIVAL]
        document.known_keys(cells, known, "version")
        found = []
        for basis in Basis:
            cell = cells.get(basis.value)
            if cell is not None:
                found += [(basis, self._planner.fetch(word, (shape,), FieldType(TEXT)))
                          for word in grammar.parts(document.scalar(cell, basis.value), "|")]
        return tuple(found)

    def _source(self, node: Node | None, shape: Shape, mark: Mark) -> dict[str, Fetch]:
        known = [field.name for field in msgspec.structs.fields(Source) if field.name != "channel"]
        if node is None:
            return {name: found[0] for name, path in self._defaults.get("source", {}).items()
                    if (found := self._known(path, shape, mark))}
        cells = document.mapping(node, mark, "source")
        document.known_keys(cells, known, "source")
        return {name: self._planner.fetch(Word(cell.text, cell.mark), (shape,), FieldType(TEXT))
                for name, entry in cells.entries.items() if (cell := document.scalar(entry.value, name))}

    def _read_constants(self, node: Node | None, shape: Shape) -> tuple[tuple[Fetch, str, Mark], ...]:
        if node is None:
            return ()
        found = []
        for key, entry in document.mapping(node, node.mark, "constants").entries.items():
            try:
                fetch = self._planner.fetch(Word(key, entry.key.mark), (shape,))
                found.append((fetch, document.scalar(entry.value, "a constant").text, entry.value.mark))
            except Rejection as rejection:
                self._planner.problems.extend(rejection.findings)
        return tuple(found)

    def _events(self, node: Node | None, scopes: tuple[Shape, ...]) -> dict[str, list[EventSpec]]:
        if node is None:
            return {}
        found: dict[str, list[EventSpec]] = {}
        for trigger, entry in document.mapping(node, node.mark, "events").entries.items():
            items = entry.value.items if isinstance(entry.value, document.Sequence) else (entry.value,)
            for item in items:
                try:
                    found.setdefault(trigger, []).append(self._event(trigger, item, scopes))
                except Rejection as rejection:
                    self._planner.problems.extend(rejection.findings)
        return found

    def _event(self, trigger: str, node: Node, scopes: tuple[Shape, ...]) -> EventSpec:
        if isinstance(node, Scalar):
            if node.text == "ignore":
                return EventSpec(trigger, "", mark=node.mark)
            return EventSpec(trigger, node.text, {}, node.text in CREATING, None, node.mark)
        cells = document.mapping(node, node.mark, "an event")
        document.known_keys(cells, ("event", "set", "creates", "when", "note"), "an event")
        name = cells.get("event")
        if name is None:
            raise document.fail(document.MISSING, cells.mark, "the key event is missing")
        kind = document.scalar(name, "event").text
        overrides = {}
        given = cells.get("set")
        for field, entry in document.mapping(given, cells.mark, "set").entries.items() if given is not None else ():
            try:
                type_ = model.field(self.struct, field)
            except model.UnknownField as unknown:
                raise document.fail(UNKNOWN_FIELD, entry.key.mark, str(unknown), unknown.hint) from None
            overrides[field] = self._planner.constant(type_, document.scalar(entry.value, "set").text, entry.value.mark)
        creates = cells.get("creates")
        when = cells.get("when")
        return EventSpec(trigger, kind, overrides,
                         document.boolean(creates, "creates") if creates is not None else kind in CREATING,
                         self._planner.condition(document.scalar(when, "when"), scopes) if when is not None else None,
                         cells.mark)

    # -- reading --------------------------------------------------------------------------------------------

    def read(self, wire: Wire, context: ReadContext) -> Reading:
        """What a message says. The same message and revision give the same events (house: raw is sufficient).

        Raises:
            canonical.findings.Rejection: the wire value is no message of this format.
        """
        session = _Session(context, context.revision or self.revision)
        self._run(wire, session, None)
        return session.reading()

    def trace(self, wire: Wire, context: ReadContext) -> Trace:
        """`read` again, with lineage of every leaf, unread input and rows that gave nothing.

        Raises:
            canonical.findings.Rejection: as `read`.
        """
        session = _Session(context, context.revision or self.revision)
        recorder = Recorder()
        tables: list[Mapping] = []
        self._run(wire, session, recorder, tables)
        unread = recorder.unread(self.format.leaves(wire, self.structure))
        lossy = tuple(path for mapping in (tables or [self]) for path in mapping.lossy)
        rows = [str(mark) for mapping in tables for _, mark in mapping.rows]
        return Trace(reading=session.reading(), lineage=tuple(session.lineage), unread=tuple(unread),
                     undeclared=tuple(place for place in unread if not covered(place, lossy)),
                     silent=tuple(dict.fromkeys(row for row in rows if row not in recorder.fired)))

    def _run(self, wire: Wire, session: _Session, recorder: Recorder | None,
             tables: list[Mapping] | None = None, root: WireNode = None, rooted: str = "") -> None:
        header = self._header
        if self._read is None or header.trigger is None or not header.events:
            session.findings.append(finding(NOT_READABLE, row=str(self.table.mark)))
            return
        structure = header.structure
        here = root if rooted == structure else self.format.root(wire, structure)
        trigger = header.trigger.path.first(here)
        specs = header.events.get(trigger) if isinstance(trigger, str) else None
        if specs is None:
            specs = header.events.get("*")
        if specs is None:
            session.findings.append(finding(UNKNOWN_EVENT, at=header.trigger.word.text,
                                            row=str(self.table.header["events"].mark)))
            specs = []
        read = None
        for spec in specs:
            if not spec.type:
                continue
            if read is None:
                read = self._read if recorder is None else self._compile_read(recorder)
                if tables is not None:
                    tables.append(self)
                if recorder is not None:
                    for fetch in self._looked_at():
                        recorder.look(fetch.path, here)
            nodes = [here]
            if header.each is not None:
                nodes = list(header.each.path.every(here) if recorder is None
                             else recorder.every(header.each.path, settle=True)(here))
            for node in nodes:
                self._event_of(spec, read, node, here, session, recorder)
        for other in self._also:
            other._run(wire, session, recorder, tables, here, structure)

    def _looked_at(self) -> list[Fetch]:
        """Every place that header cells read, or write with a constant."""
        header = self._header
        return [*([header.trigger] if header.trigger is not None else []), *(fetch for _, fetch in header.versions),
                *header.occurred, *header.source.values(), *(fetch for fetch, _, _ in header.constants)]

    def _event_of(self, spec: EventSpec, read: Reader, node: WireNode, root: WireNode, session: _Session,
                  recorder: Recorder | None) -> None:
        run = Run(root, self._header.zone)
        run.findings = session.findings
        run.creating = spec.creates
        run.overrides = spec.overrides
        if spec.when is not None:
            holds = ReadCompiler(self._planner, recorder=recorder).when(spec.when)
            if holds is not None and not holds(node, run):
                return
        if recorder is not None:
            recorder.lineage = []
        try:
            entity = read(node, run)
        except Missing as missing:
            session.findings.append(msgspec.structs.replace(missing.finding, severity=Severity.FATAL))
            return
        if entity is UNSET:
            session.findings.append(finding(NOTHING_READ, row=str(self.table.mark)))
            return
        key = self._subject(entity)
        if not key:
            session.findings.append(finding(NO_SUBJECT, row=str(self.table.header.get("subject", self.table).mark)))
            return
        context = session.context
        run.noted.clear()
        version = self._version(root, run, context)
        occurred = ""
        for instant in self._occurred:
            occurred = instant(root, run)
            if occurred:
                break
        source = Source(channel=context.channel, **{
            name: text for name, plain in self._sender if (text := plain(root))})
        if recorder is not None:
            session.lineage.append(tuple(recorder.lineage))
        session.events.append(Event(
            id=f"{context.message_id}.{len(session.events) + 1}", type=spec.type, subject_key=key, version=version,
            entity=entity, source=source, message_id=context.message_id,
            occurred_at=occurred or times.iso_of_micros(context.received_at),
            received_at=context.received_at, revision=session.revision, patient_key=self._patient(entity)))

    def _plain(self, fetch: Fetch) -> Callable[[WireNode], str]:
        """A header cell as text; ``SIU^S12`` where it is MSH-9."""
        first, text = fetch.path.first, self.format.text(fetch.path.wire_type)[0]
        absent, clear = self.format.absent, self.format.clear
        trigger = self._header.trigger
        event = trigger.path.first if trigger is not None and fetch.word.text == "MSH-9.1" else None

        def read(root: WireNode) -> str:
            raw = first(root)
            if raw in (absent, clear):
                return ""
            return f"{text(raw)}^{event(root)}" if event is not None else text(raw)

        return read

    def _instant(self, fetch: Fetch) -> Callable[[WireNode, Run], str]:
        """A header cell as an instant; empty where it is none."""
        first = fetch.path.first
        absent, clear = self.format.absent, self.format.clear
        codec = codecs.choose(fetch.path.wire_type, FieldType(INSTANT), codecs.TextCodec(str, str))
        parse = codec.parse if codec is not None else None

        def read(root: WireNode, run: Run) -> str:
            raw = first(root)
            if parse is None or raw in (absent, clear):
                return ""
            try:
                text: str = parse(raw, run)
            except Refused:
                text = ""
            run.noted.clear()
            return text

        return read

    def _version(self, root: WireNode, run: Run, context: ReadContext) -> Version:
        for basis, first, instant in self._ordering:
            if basis is Basis.SEQUENCE:
                raw = first(root)
                if isinstance(raw, str) and raw.isdecimal():
                    return Version(at=raw.zfill(20), tie=context.message_id, basis=basis)
                continue
            moment = instant(root, run)
            if moment:
                return Version(at=times.sortable(datetime.fromisoformat(moment)), tie=context.message_id, basis=basis)
        if self._ordering:
            run.report(NO_VERSION, at="", field="", row=str(self.table.mark))
        arrival = times.moment_of(times.iso_of_micros(context.received_at))
        assert arrival is not None
        return Version(at=times.sortable(arrival), tie=context.message_id, basis=Basis.ARRIVAL)

    def settings_of(self, wire: Wire) -> dict[str, str]:
        """What ``constants`` would need to be told to write this message again: each ``$name`` from its place."""
        root = self.format.root(wire, self.structure)
        found = {}
        for fetch, text, _ in self._header.constants:
            raw = fetch.path.first(root)
            if text.startswith("$") and isinstance(raw, str):
                found[text[1:]] = self.format.text(fetch.path.wire_type)[0](raw)
        return found

    # -- writing --------------------------------------------------------------------------------------------

    def write(self, said: Event | Value, context: WriteContext, *, state: AnyEntity | None = None) -> Writing:
        """What an event (or an entity alone) looks like to a destination. Same arguments, same result.

        Args:
            state: the present state of the subject, to be written instead of what the event says.
        """
        return self._written(said, context, state, None)

    def trace_write(self, said: Event | Value, context: WriteContext, *,
                    state: AnyEntity | None = None) -> WriteTrace:
        """`write` again, with the canonical leaves that no row wrote."""
        recorder = Recorder()
        writing = self._written(said, context, state, recorder)
        entity = state or (said.entity if isinstance(said, Event) else said)
        written = tuple(f"{place}{mark}" for place in recorder.written for mark in ".(")
        unwritten = tuple(leaf for leaf in leaves(entity)
                          if leaf not in recorder.written and not (written and leaf.startswith(written)))
        return WriteTrace(writing=writing, unwritten=unwritten)

    def _written(self, said: Event | Value, context: WriteContext, state: AnyEntity | None,
                 recorder: Recorder | None) -> Writing:
        event = said if isinstance(said, Event) else None
        entity: Any = state or (event.entity if event is not None else said)
        if not isinstance(entity, self.struct):
            return Writing(wire=None, findings=(finding(WRONG_ENTITY, row=str(self.table.mark), detail=(
                f"{type(entity).__name__} where {self.struct.__name__} is written")),))
        if self._entries:
            return self._bundle(event, entity, context, recorder)
        header, format_ = self._header, self.format
        draft = format_.draft(header.structure)
        run = Run(draft, header.zone, _values(event, context))
        run.entity = entity
        run.omit_offset = header.zone is not None and getattr(entity, "time_basis", "") == header.zone.key
        if event is not None and header.events and header.trigger is not None:
            self._put_trigger(event, header.trigger, draft, run)
        self._constants(draft, run)
        write = self._write if recorder is None or self._write is None else self._compile_write(recorder)
        if write is None:
            return Writing(wire=None, findings=(finding(NO_TRIGGER, row=str(self.table.mark)),))
        write(entity, draft, run)
        run.findings += [found for name, found in self._demands if name not in run.done]
        attributes, full_url = self._request(draft, run) if header.conditional is not None else ({}, "")
        wire = format_.finish(draft, header.structure, header.set_ids)
        return Writing(wire=wire, findings=tuple(run.findings), attributes=attributes, full_url=full_url)

    def _put_trigger(self, event: Event, trigger: Fetch, draft: WireNode, run: Run) -> None:
        fitting = [(code, spec) for code, specs in self._header.events.items() if code != "*"
                   for spec in specs if spec.type == event.type]
        if fitting:
            # Several triggers may mean one event and tell by `set` what kind: the one that says what the entity says.
            code = next((code for code, spec in fitting if len(fitting) > 1 and spec.overrides and all(
                getattr(run.entity, name) == value for name, value in spec.overrides.items())), fitting[0][0])
            trigger.path.put(draft, code)
            run.values = {**run.values, "trigger": code}
            return
        if trigger.path.first(draft) == self.format.absent:
            run.report(NO_TRIGGER, at=trigger.word.text, field="", row=str(self.table.mark),
                       detail=f"no trigger for {event.type}")

    def _request(self, draft: WireNode, run: Run) -> tuple[dict[str, str], str]:
        assert self._header.conditional is not None
        raw = self._header.conditional.path.first(draft)
        identifier = Identifier(value=raw.get("value", UNSET), system=raw.get("system", UNSET)) \
            if isinstance(raw, dict) else Identifier()
        resource = self._header.structure
        try:
            query, urn = codecs.query_of(resource, identifier), codecs.urn_of(resource, identifier)
        except Refused:
            run.report(NO_IDENTIFIER, at=self._header.conditional.word.text, field="", row=str(self.table.mark))
            return {}, ""
        if self._header.request == "create":
            return {"method": "POST", "path": resource, "if_none_exist": query.partition("?")[2]}, urn
        return {"method": "PUT", "path": query}, urn

    def _bundle(self, event: Event | None, entity: Any, context: WriteContext, recorder: Recorder | None) -> Writing:
        entries: dict[str, dict[str, Any]] = {}
        findings: list[Finding] = []
        kind = _word(self.table, "bundle") or "transaction"
        for number, spec in enumerate(self._entries):
            for part in spec.find(entity) if spec.find is not None else [entity]:
                one = spec.mapping._part(event, part, context)
                if spec.skip and any(found.code == NO_IDENTIFIER.name for found in one.findings):
                    findings.append(finding(LEFT_OUT, row=str(spec.mapping.table.mark), detail=spec.mapping.structure))
                    continue
                findings += one.findings
                name = one.full_url or f"urn:dragoman:{number}"
                if one.wire is None or name in entries:
                    continue
                request = {"method": one.attributes.get("method", "POST"),
                           "url": one.attributes.get("path", spec.mapping.structure)}
                if "if_none_exist" in one.attributes:
                    request["ifNoneExist"] = one.attributes["if_none_exist"]
                entries[name] = {**({"fullUrl": one.full_url} if one.full_url else {}), "resource": one.wire,
                                 **({"request": request} if kind in _DONE_BY_REQUEST else {})}
        if recorder is not None:
            self._trace_entries(event, entity, context, recorder)
        bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries.values())}
        run = Run(bundle, self._header.zone, _values(event, context))
        self._constants(bundle, run)
        operation = _word(self.table, "operation")
        return Writing(wire=self.format.finish(bundle, "Bundle", ()), findings=(*findings, *run.findings),
                       attributes={"method": "POST", "path": operation} if operation else {})

    def _part(self, event: Event | None, entity: Any, context: WriteContext) -> Writing:
        if event is not None and entity is event.entity:
            return self.write(event, context)
        run = self.write(entity, WriteContext(identity=context.identity, now=context.now,
                                              values={**_values(event, context), **context.values}))
        return run

    def _trace_entries(self, event: Event | None, entity: Any, context: WriteContext, recorder: Recorder) -> None:
        for spec in self._entries:
            if spec.find is None:
                inner = spec.mapping.trace_write(event if event is not None and entity is event.entity else entity,
                                                 context)
                recorder.written |= set(leaves(entity)) - set(inner.unwritten)


class _Session:
    """One message through its tables."""

    __slots__ = ("context", "events", "findings", "lineage", "revision")

    def __init__(self, context: ReadContext, revision: str) -> None:
        self.context = context
        self.revision = revision
        self.events: list[Event] = []
        self.findings: list[Finding] = []
        self.lineage: list[tuple[Lineage, ...]] = []

    def reading(self) -> Reading:
        """Events only where no finding is fatal."""
        fatal = any(found.severity is Severity.FATAL for found in self.findings)
        return Reading(events=() if fatal else tuple(self.events), findings=tuple(self.findings),
                       revision=self.revision)


def _values(event: Event | None, context: WriteContext) -> dict[str, str]:
    values = dict(context.values)
    values |= {"identity": context.identity, "now": context.now}
    if event is not None:
        values |= {"event_type": event.type, "event_id": event.id, "subject_key": event.subject_key,
                   "patient_key": event.patient_key, "occurred_at": event.occurred_at, "message_id": event.message_id}
    return values


def covered(place: str, patterns: Sequence[str]) -> bool:
    """Whether a concrete place is meant by one of `patterns`: the place itself or one above it; a pattern
    without groups and positions matches in any of them."""
    bare = _bare(place)
    for pattern in patterns:
        for candidate in (place, bare, bare.rpartition("/")[2]):
            text = pattern if candidate is place else _bare(pattern)
            if candidate == text or (candidate.startswith(text) and candidate[len(text)] in ".(/-"):
                return True
    return False


def _bare(place: str) -> str:
    out = []
    depth = 0
    for char in place:
        depth += char == "("
        if not depth:
            out.append(char)
        depth -= char == ")"
    return "".join(out)


def leaves(value: Any, at: str = "") -> list[str]:
    """Every stated leaf of a canonical value, as ``participants(0).who.display``."""
    if isinstance(value, Value):
        found = []
        for name in model.fields(type(value)):
            part = getattr(value, name)
            if part is not UNSET and part != () and part != {}:
                found += leaves(part, f"{at}.{name}" if at else name)
        return found
    if isinstance(value, tuple):
        return [leaf for index, part in enumerate(value) for leaf in leaves(part, f"{at}({index})")]
    if isinstance(value, dict):
        return [f"{at}({key})" for key in value]
    return [at]


def _zone(name: Scalar) -> ZoneInfo:
    try:
        return ZoneInfo(name.text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise document.fail(document.VALUE, name.mark, f"there is no time zone {name.text}",
                            "an IANA name such as America/Chicago") from None


def _word(table: Table, key: str) -> str:
    node = table.header.get(key)
    return document.scalar(node, key).text if node is not None else ""


def _choice(header: ReadOnly[str, Node], key: str, choices: tuple[str, ...], default: str) -> str:
    node = header.get(key)
    if node is None:
        return default
    text = document.scalar(node, key)
    if text.text not in choices:
        raise document.fail(document.VALUE, text.mark, f"{key} is one of {', '.join(choices)}")
    return text.text


__all__ = ["CREATING", "EventSpec", "Lineage", "Mapping", "Path", "ReadContext", "Reading", "Trace", "WriteContext",
           "WriteTrace", "Writing", "covered", "leaves"]
