"""What runs here: channels, destinations, routes, rules, scorers, read from ``config/site.yaml``.

Everything is checked before anything starts: unknown keys (with *did you mean*), wrong types, references to
what does not exist, conditions, settings of connectors. Each problem is one line with file, line and column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from canonical.findings import Finding, Rejection, Severity, declare
from connectors.base import ConnectorSpec
from mapper import document
from mapper.document import Mark
from router.conditions import BadCondition, Test, compile_all, compile_condition
from router.flow_config import (
    DECISIONS,
    TASK_TYPES,
    TASKS,
    WORKFLOW,
    DecisionType,
    Review,
    TaskHandling,
    WorkflowRule,
)
from router.retry import Policy

REFERENCE: Final = declare(
    "config.unknown_reference", Severity.FATAL, "The configuration names something that does not exist.",
    "Correct the name, or declare what it means.")
CONDITION: Final = declare(
    "config.bad_condition", Severity.FATAL, "A condition looks at no known fact or cannot be tested.",
    "Use a canonical field or an event fact, and one of the conditions of the reference.")
SHARED: Final = declare(
    "config.shared_resource", Severity.FATAL, "Two channels hold the same port or folder.",
    "Give each its own.")
CANNOT_ANSWER: Final = declare(
    "config.cannot_answer", Severity.FATAL, "This connector cannot answer questions on the connection that asks.",
    "Use one that can (mllp), or remove `answers` from the channel.")
RETENTION: Final = declare(
    "config.retention_too_short", Severity.WARNING, "Messages are forgotten before their sender stops sending them again.",
    "Raise `retention.days` to `resends_for_days` of the channel at least: a resend after that has its effect twice (D02).")
ACKNOWLEDGED_ONCE: Final = declare(
    "config.acknowledged_once", Severity.FATAL, "The peers of this connector acknowledge once, on the connection.",
    "Use one whose peers may say more in a message of their own (mllp), or remove `application_acks`.")
UNREACHED: Final = declare(
    "config.unreached", Severity.WARNING, "No route leads to this destination.",
    "Add a route, or remove the destination.")

RESERVED: Final = declare(
    "config.reserved_name", Severity.FATAL, "A channel has the name of one of our own.",
    "Call it something else: `workflow` and `tasks` are what rules and people say.")
RULE: Final = declare(
    "config.rule_without_effect", Severity.FATAL, "A workflow rule says neither what to ask nor what is to be done.",
    "Give it `request` or `task`, and not both.")
ASKED_FIRST: Final = declare(
    "config.asked_first", Severity.WARNING, "A person is asked before each request of this rule.",
    "Register the decision as automatic, if it may be made without a person: decisions: {request-eligibility: "
    "{automatic: yes}}.")

_Meta = msgspec.Meta
Names: TypeAlias = tuple[str, ...]
When: TypeAlias = dict[str, str]
Processing: TypeAlias = Literal["P", "T", "D"]
Tables: TypeAlias = str | dict[str, str]


def tables_of(mapping: Tables) -> tuple[str, ...]:
    """Every table that a channel or destination names."""
    return (mapping,) if isinstance(mapping, str) else tuple(mapping.values())


def table_for(mapping: Tables, kind: str) -> str:
    """The table for a message type or event type: that of the longest prefix; empty where none fits."""
    if isinstance(mapping, str):
        return mapping
    return mapping[max(fits, key=len)] if (fits := [p for p in mapping if kind.startswith(p)]) else ""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of the file."""


class Answering(_Part, frozen=True, kw_only=True):
    """How one kind of question is answered."""

    write: Annotated[str, _Meta(description="Mapping table that writes the answer: hl7v2/rsp_k22.")]
    read: Annotated[str, _Meta(
        description="Mapping table that reads the question. Empty: the one the channel reads it with.")] = ""


class Channel(_Part, frozen=True, kw_only=True):
    """One way in."""

    connector: Annotated[str, _Meta(description="Name of a receiving connector: mllp, file …")]
    mapping: Annotated[Tables, _Meta(
        description="Mapping table that reads its messages: hl7v2/siu; or one a prefix of the message type: "
                    "{SIU: hl7v2/siu, ADT: hl7v2/adt}")]
    settings: Annotated[Any, _Meta(description="Settings of the connector; see its page.")] = msgspec.field(
        default_factory=dict)
    site: Annotated[str, _Meta(description="Overlay of the mapping: a folder of mappings/sites")] = ""
    charset: Annotated[str, _Meta(description="Where the message does not say (C01).")] = ""
    profile: Annotated[str, _Meta(
        description="What its messages are validated against (HL7 v2): a file of mappings/profiles.")] = ""
    partner: Annotated[str, _Meta(
        description="The trading partner whose interchanges come in here (X12): a file of mappings/partners. Those of "
                    "destinations that name this channel under `responses` are taken, too.")] = ""
    order_by: Annotated[Literal["patient", "channel"], _Meta(
        description="What must stay in order: the messages of a patient, or all of the channel.")] = "patient"
    accepts: Annotated[Names, _Meta(
        description="Message types taken, as prefixes: SIU, ADT^A08. Empty: all.")] = ()
    processing_id: Annotated[Processing, _Meta(
        description="MSH-11 this channel is for; others are refused with 202 (A10).")] = "P"
    answers: Annotated[dict[str, Answering], _Meta(
        description="Message types, as prefixes, that are questions and answered on the connection that asked: "
                    "{QBP^Q22: {write: hl7v2/rsp_k22}}")] = {}
    answer_limit: Annotated[int, _Meta(
        ge=1, le=1000, description="Records in one answer, however many the question wants (RCP-2).")] = 50
    answer_deadline_s: Annotated[float, _Meta(
        gt=0, le=60, description="Seconds after which a question is refused as too broad.")] = 5.0
    wait_for_unknown_s: Annotated[int, _Meta(
        ge=0, le=3600, description="How long a change of an appointment nobody has booked here waits for its booking, "
                                   "and a merge for its survivor, in seconds. Then, or with 0 at once, it is created "
                                   "from what the message says (D05).")] = 0
    reused_control_id: Annotated[Literal["accept", "park"], _Meta(
        description="A control id that came before with other content (D01): process the message all the same, with "
                    "a warning, or park it.")] = "accept"
    resends_for_days: Annotated[float, _Meta(
        ge=0, description="How long its partner may send a message again, at the longest (D02); `retention` must not be "
                          "shorter. 0: nobody has said.")] = 0.0


class Destination(_Part, frozen=True, kw_only=True):
    """One way out."""

    connector: Annotated[str, _Meta(description="Name of a sending connector: mllp, fhir, http, file …")]
    mapping: Annotated[Tables, _Meta(
        description="Mapping table that writes its messages: fhir/appointment; or one a prefix of the event "
                    "type: {appointment: hl7v2/siu, patient: hl7v2/adt}")]
    settings: Annotated[Any, _Meta(description="Settings of the connector; see its page.")] = msgspec.field(
        default_factory=dict)
    site: Annotated[str, _Meta(description="Overlay of the mapping: a folder of mappings/sites")] = ""
    context: Annotated[dict[str, str], _Meta(
        description="Values for $NAME in the table: receiving_application …")] = {}
    partner: Annotated[str, _Meta(
        description="The trading partner (X12): a file of mappings/partners")] = ""
    content: Annotated[Literal["event", "state"], _Meta(
        description="event: what was said, one for one. state: the present state of the subject; waiting older "
                    "ones are replaced.")] = "event"
    idempotent: Annotated[bool, _Meta(
        description="It tells a repetition by its identity and has one effect. Only then is an attempt without "
                    "an answer repeated (invariant 6).")] = False
    accepts_stale: Annotated[bool, _Meta(
        description="Send events that were overtaken by newer ones, too (content: event).")] = False
    max_in_flight: Annotated[int, _Meta(ge=1, le=1000, description="Deliveries under way at once.")] = 1
    responses: Annotated[str, _Meta(
        description="Channel through which the peer's answers come back in as messages.")] = ""
    application_acks: Annotated[str, _Meta(
        description="Enhanced mode (HL7 v2): each message asks for two acknowledgements (MSH-15 AL, MSH-16 AL), that of "
                    "the commit on its connection, and that of the application, which comes as a message by this "
                    "channel and settles the delivery a second time.")] = ""
    retry: Policy = Policy()


class Route(_Part, frozen=True, kw_only=True):
    """Events that fulfil every condition go to these destinations."""

    route: Annotated[str, _Meta(description="Its name, as it is recorded.")]
    to: Annotated[Names, _Meta(min_length=1, description="Names of destinations.")]
    when: Annotated[When, _Meta(description="fact: condition; all must hold. Empty: always.")] = {}


class Rule(_Part, frozen=True, kw_only=True):
    """Triage: what to think of an event. Every rule that holds adds its share."""

    rule: Annotated[str, _Meta(description="Its name, as it is recorded.")]
    when: Annotated[When, _Meta(description="fact: condition; all must hold. Empty: always.")] = {}
    priority: Annotated[int, _Meta(ge=0, le=9, description="The highest one wins.")] = 0
    queue: Annotated[str, _Meta(description="Work queue; the first one wins.")] = ""
    tags: Annotated[Names, _Meta(description="All are kept.")] = ()
    to: Annotated[Names, _Meta(description="Further destinations.")] = ()
    keep_from: Annotated[Names, _Meta(description="Destinations that must not get it.")] = ()


class ScorerEntry(_Part, frozen=True, kw_only=True):
    """A scorer, how long it may take, and what counts when it does not answer."""

    default: Annotated[str, _Meta(description="The answer when there is none in time: a number or a label.")]
    deadline_ms: Annotated[int, _Meta(ge=1, le=10_000)] = 50
    events: Annotated[Names, _Meta(description="Event types it is asked about. Empty: all.")] = ()

    @property
    def answer(self) -> float | str:
        """The default, as a number where it is one."""
        try:
            return float(self.default)
        except ValueError:
            return self.default


class Broker(_Part, frozen=True, kw_only=True):
    """RabbitMQ, where DRAGOMAN_BROKER names one."""

    prefix: Annotated[str, _Meta(
        pattern="^[a-z][a-z0-9_-]*$", description="Of queues and exchanges.")] = "dragoman"
    events: Annotated[Literal["reference", "full"], _Meta(
        description="What subscribers get: a reference without PHI, or the whole event.")] = "reference"


class Retention(_Part, frozen=True, kw_only=True):
    """How long finished messages are kept."""

    days: Annotated[int, _Meta(ge=1, description="Not shorter than a partner may retry (D02).")] = 90


class Documents(_Part, frozen=True, kw_only=True):
    """What values read from pages are checked against."""

    payers: Annotated[dict[str, str], _Meta(
        description="Payer, as the code table `payer` calls it: pattern of its member ids.")] = {}
    providers: Annotated[str, _Meta(description="File of the providers, relative to this one.")] = ""
    patients: Annotated[str, _Meta(description="File of the patients, relative to this one.")] = ""


class Site(_Part, frozen=True, kw_only=True):
    """The whole file."""

    site: Annotated[str, _Meta(description="Name of this installation.")]
    channels: dict[str, Channel]
    destinations: dict[str, Destination] = {}
    routes: tuple[Route, ...] = ()
    triage: tuple[Rule, ...] = ()
    scorers: dict[str, ScorerEntry] = {}
    mappings: Annotated[str, _Meta(description="Folder of the tables, relative to this file.")] = "../mappings"
    partitions: Annotated[int, _Meta(
        ge=0, le=1024, description="Fixed when the ledger is made. 0: as the ledger was made; a new one of SQLite has 4, "
                                   "of PostgreSQL 16.")] = 0
    translators: Annotated[int, _Meta(
        ge=0, le=64, description="Processes that translate beside the engine's own; 0: it does so itself.")] = 0
    metrics_port: Annotated[int, _Meta(
        ge=0, le=65535, description="Prometheus metrics on this port of loopback; 0: none.")] = 0
    workflow: tuple[WorkflowRule, ...] = ()
    tasks: dict[str, TaskHandling] = {}
    review: Review = Review()
    decisions: dict[str, DecisionType] = {}
    documents: Documents = Documents()
    broker: Broker = Broker()
    retention: Retention = Retention()


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A checked site, with what only the file knows."""

    site: Site
    marks: Mapping[str, Mark]
    """Where things are written: ``channels.mercy``, ``channels.mercy.settings``, ``routes.all`` …"""
    findings: tuple[Finding, ...] = ()
    """Warnings: it runs, but somebody should look."""


def load(source: bytes, file: str, *, connectors: Mapping[tuple[str, str], ConnectorSpec[Any]],
         mappings: Collection[str], scorers: Collection[str] = ()) -> Loaded:
    """Read and check a site.

    Args:
        source: content of the file.
        file: its name, for positions.
        connectors: specs by (name, direction).
        mappings: names of the tables there are.
        scorers: names of the scorers there are.

    Raises:
        Rejection: every problem found, each located.
    """
    tree = document.parse(source, file)
    site = _typed(tree)
    check = _Check(tree, site, connectors, mappings, scorers)
    return check.run()


def _typed(tree: document.Node) -> Site:
    """The file as a struct. Named parts are converted one by one first: of a value deep in the whole, msgspec
    cannot say under which name it stands."""
    problems: list[Finding] = []
    for section, kind in _SECTIONS.items():
        named = tree.get(section) if isinstance(tree, document.Mapping) else None
        for entry in named.entries.values() if isinstance(named, document.Mapping) else ():
            try:
                document.to_struct(entry.value, kind)
            except Rejection as rejection:
                problems += rejection.findings
    try:
        site = document.to_struct(tree, Site)
    except Rejection as rejection:
        seen = {found.row for found in problems}
        rest = [found for found in rejection.findings if found.row not in seen
                and not (problems and found.code == document.VALUE.name)]
        raise Rejection(*problems, *rest) from None
    return site


_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "channels": Channel, "destinations": Destination, "scorers": ScorerEntry, "tasks": TaskHandling,
    "decisions": DecisionType}


def shared_resources(held: Iterable[tuple[str, Collection[str]]], marks: Mapping[str, Mark]) -> list[Finding]:
    """Findings for resources that two channels hold: (channel, its receiver's ``resources``) each."""
    owners: dict[str, str] = {}
    found = []
    for channel, resources in held:
        for resource in resources:
            first = owners.setdefault(resource, channel)
            if first != channel:
                found.append(document.located(SHARED, marks[f"channels.{channel}"],
                                              f"{resource} belongs to channel {first} already"))
    return found


class _Check:
    def __init__(self, tree: document.Node, site: Site,
                 connectors: Mapping[tuple[str, str], ConnectorSpec[Any]], mappings: Collection[str],
                 scorers: Collection[str]) -> None:
        self._tree = tree
        self._site = site
        self._connectors = connectors
        self._mappings = mappings
        self._scorers = scorers
        self._problems: list[Finding] = []
        self._warnings: list[Finding] = []
        self._marks: dict[str, Mark] = {}

    def run(self) -> Loaded:
        site = self._site
        channels = {name: self._channel(name, one) for name, one in site.channels.items()}
        destinations = {name: self._destination(name, one) for name, one in site.destinations.items()}
        reached: set[str] = set()
        for kind, rows, key in (("routes", site.routes, "route"), ("triage", site.triage, "rule")):
            self._rules(kind, rows, key, reached)
        self._workflow(site)
        for place in (("providers",), ("patients",), *(("payers", payer) for payer in site.documents.payers)):
            self._mark(("documents", *place), on_key=place[0] == "payers")
        for name in site.scorers:
            self._known(("scorers", name), name, self._scorers, "scorer", on_key=True)
        self._warnings += [document.located(UNREACHED, self._marks[f"destinations.{name}"])
                           for name in site.destinations if name not in reached]
        if self._problems:
            raise Rejection(*self._problems)
        return Loaded(site=msgspec.structs.replace(site, channels=channels, destinations=destinations),
                      marks=self._marks, findings=tuple(self._warnings))

    def _channel(self, name: str, channel: Channel) -> Channel:
        place = ("channels", name)
        mark = self._mark(place)
        if name in {WORKFLOW, TASKS}:
            self._problems.append(document.located(RESERVED, mark))
        self._tables(place, channel.mapping)
        for kind, one in channel.answers.items():
            for key, table in (("write", one.write), ("read", one.read)):
                if table:
                    self._known((*place, "answers", kind, key), table, self._mappings, "mapping")
        if channel.resends_for_days > self._site.retention.days:
            self._warnings.append(document.located(
                RETENTION, mark, f"{self._site.retention.days} days, and resends come for {channel.resends_for_days:g}"))
        spec = self._connectors.get((channel.connector, "in"))
        if channel.answers and spec is not None and not spec.answers:
            self._problems.append(document.located(CANNOT_ANSWER, self._mark((*place, "answers"))))
        return msgspec.structs.replace(channel, settings=self._settings(place, channel.connector, "in"))

    def _destination(self, name: str, destination: Destination) -> Destination:
        place = ("destinations", name)
        self._mark(place)
        self._tables(place, destination.mapping)
        if destination.responses:
            self._known((*place, "responses"), destination.responses, self._site.channels, "channel")
        if destination.application_acks:
            self._twice(place, destination)
        settings = self._settings(place, destination.connector, "out")
        return msgspec.structs.replace(destination, settings=settings)

    def _twice(self, place: tuple[str, ...], destination: Destination) -> None:
        """Whether acknowledgements can come as messages, and are read where they come."""
        here = (*place, "application_acks")
        spec = self._connectors.get((destination.connector, "out"))
        if spec is not None and not spec.concludes:
            self._problems.append(document.located(ACKNOWLEDGED_ONCE, self._mark(here)))
        elif self._known(here, destination.application_acks, self._site.channels, "channel") and not table_for(
                self._site.channels[destination.application_acks].mapping, "ACK"):
            self._problems.append(document.located(
                REFERENCE, self._mark(here), f"channel {destination.application_acks} has no table for ACK"))

    def _tables(self, place: tuple[str, ...], mapping: Tables) -> None:
        if isinstance(mapping, str):
            self._known((*place, "mapping"), mapping, self._mappings, "mapping")
            return
        for prefix, name in mapping.items():
            self._known((*place, "mapping", prefix), name, self._mappings, "mapping")

    def _settings(self, place: tuple[str, ...], connector: str, direction: str) -> Any:
        names = [name for name, way in self._connectors if way == direction]
        if not self._known((*place, "connector"), connector, names, f"connector ({direction})"):
            return None
        spec = self._connectors[connector, direction]
        node = self._node((*place, "settings"))
        if node is None:
            node = document.Mapping({}, self._mark(place))
        self._marks[".".join((*place, "settings"))] = node.mark
        try:
            return document.to_struct(node, spec.settings)
        except Rejection as rejection:
            self._problems += rejection.findings
            return None

    def _rules(self, kind: str, rows: Iterable[Route | Rule], key: str, reached: set[str]) -> None:
        for index, row in enumerate(rows):
            place = (kind, str(index))
            self._marks[f"{kind}.{getattr(row, key)}"] = self._mark(place)
            reached.update(row.to)
            for field in ("to", "keep_from"):
                for position, name in enumerate(getattr(row, field, ())):
                    self._known((*place, field, str(position)), name, self._site.destinations, "destination")
            self._conditions(place, row.when, self._site.scorers)

    def _conditions(self, place: tuple[str, ...], when: When, scorers: Collection[str]) -> None:
        for fact, condition in when.items():
            try:
                compile_condition(fact, condition, scorers)
            except BadCondition as bad:
                mark = self._mark((*place, "when", fact), on_key=bad.about_fact)
                hint = document.did_you_mean(fact if bad.about_fact else condition, bad.known)
                self._problems.append(document.located(CONDITION, mark, str(bad), hint))

    def _workflow(self, site: Site) -> None:
        """Rules about what is set in motion: conditions without scores, which nobody asks for then."""
        types = {*TASK_TYPES, *(rule.task.type for rule in site.workflow if rule.task is not None)}
        for index, rule in enumerate(site.workflow):
            place = ("workflow", str(index))
            self._marks[f"workflow.{rule.rule}"] = mark = self._mark(place)
            self._conditions(place, rule.when, ())
            if bool(rule.request) == (rule.task is not None):
                self._problems.append(document.located(RULE, mark))
            decision = site.decisions.get(f"request-{rule.request}")
            if rule.request and not (decision is not None and decision.automatic):
                self._warnings.append(document.located(ASKED_FIRST, mark))
        for name in site.tasks:
            self._known(("tasks", name), name, types, "type of task", on_key=True)
        for name in site.decisions:
            self._known(("decisions", name), name, DECISIONS, "type of decision", on_key=True)

    def _known(self, place: tuple[str, ...], name: str, known: Collection[str], what: str, *,
               on_key: bool = False) -> bool:
        if name in known:
            return True
        self._problems.append(document.located(
            REFERENCE, self._mark(place, on_key=on_key), f"there is no {what} {name}",
            document.did_you_mean(name, known)))
        return False

    def _node(self, place: tuple[str, ...]) -> document.Node | None:
        node: document.Node | None = self._tree
        for step in place:
            if isinstance(node, document.Mapping):
                node = node.get(step)
            elif isinstance(node, document.Sequence):
                node = node.items[int(step)]
            else:
                return None
        return node

    def _mark(self, place: tuple[str, ...], *, on_key: bool = True) -> Mark:
        parent = self._node(place[:-1])
        if on_key and isinstance(parent, document.Mapping) and place[-1] in parent.entries:
            mark = parent.entries[place[-1]].key.mark
        else:
            node = self._node(place)
            mark = (node or parent or self._tree).mark
        self._marks.setdefault(".".join(place), mark)
        return mark


def compile_when(when: When, scorers: Collection[str]) -> Test:
    """The conditions of a rule as one test. The site has been checked: nothing can be wrong."""
    return compile_all([compile_condition(fact, condition, scorers) for fact, condition in when.items()])
