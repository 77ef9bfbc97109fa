"""A site put together: configuration, tables, codecs and connectors, all checked, nothing started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from canonical.clock import SystemClock
from canonical.findings import Finding, Rejection, finding
from connectors.base import Accept, AckReport, Hear, Receiver, Sender
from connectors.fax.codec import PageCodec
from connectors.fax.documents import DocumentCodec, DocumentFormat
from connectors.fax.page_format import PageFormat
from connectors.fhir.format import fhir_format
from connectors.hl7v2.codec import Er7Codec
from connectors.hl7v2.format import Hl7Format
from connectors.hl7v2.validation import Validator
from connectors.inside import House, InsideSpec
from connectors.json_codec import JsonCodec
from connectors.json_format import JsonFormat
from connectors.registry import CONNECTORS
from connectors.x12.codec import X12Codec
from connectors.x12.format import X12Format
from connectors.x12.partner import Partner
from connectors.x12.reception import Reception
from mapper import document
from mapper.extract.known import Known
from mapper.format import Format
from mapper.library import Library, read_folder, revision_of
from router import site as site_config
from router.answers import Peeking
from router.scoring import NoShowRisk, Scorer
from router.site import Channel, Destination, Loaded, Site
from store.ledger import Numbers
from store.memory import MemoryLedger
from wiring import known as known_people
from wiring import partners, profiles
from wiring.answerer import Answerer, Books
from wiring.codes import NO_MAPPINGS, NO_SITE
from wiring.translator import SiteTranslator, overlay
from workflow.policy import Terms

SITE_FILE: Final = "site.yaml"


def formats() -> tuple[Format, ...]:
    """The format families there are."""
    return Hl7Format(), fhir_format(), JsonFormat(), PageFormat(), DocumentFormat(), X12Format()


def codecs() -> dict[str, Any]:
    """Codec of each format family (`mapper.format.Format.family`)."""
    return {"hl7v2": Er7Codec(), "fhir": JsonCodec("application/fhir+json"),
            "json": JsonCodec("application/json"), "page": PageCodec(), "document": DocumentCodec(), "x12": X12Codec()}


def scorers() -> dict[str, Scorer]:
    """The scorers there are, by name."""
    return {"no_show": NoShowRisk()}


class Assembly(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a site is made of."""

    folder: Path
    loaded: Loaded
    library: Library
    translator: SiteTranslator
    partners: Mapping[str, Partner]
    """By name."""
    validators: Mapping[str, Validator]
    """Of the profiles, by name."""
    known: Known
    """What values on pages are checked against."""
    known_files: Mapping[str, bytes]
    """The files it was read from, by the name that the configuration gives them."""
    files: Mapping[str, bytes]
    """Configuration and tables: what a revision consists of. Of the files of people it has the hash."""
    revision: str

    @property
    def site(self) -> Site:
        """The checked configuration."""
        return self.loaded.site

    def receivers(self, accept: Accept, report: AckReport, books: Books | None = None) -> dict[str, Receiver]:
        """One receiver a channel, not started.

        Args:
            books: the ledger, for channels that answer questions and those of trading partners; without, none is
                started.
        """
        made: dict[str, Receiver] = {}
        for name, channel in self.site.channels.items():
            answers = (Answerer(name, channel, self.library, books, SystemClock()).answer,) \
                if channel.answers and books is not None else ()
            spec = CONNECTORS[channel.connector, "in"]
            trading = (self.reception(name, books or MemoryLedger(partitions=1)),) if spec.trading else ()
            made[name] = spec.build(name, channel.settings, self._door(channel, accept), report, *answers, *trading)
        return made

    def reception(self, channel: str, numbers: Numbers) -> Reception:
        """Receives what partners send on a channel."""
        return Reception(partners.of_channel(self.site, channel, self.partners), partners.Counting(numbers))

    def _door(self, channel: Channel, accept: Accept) -> Accept:
        validator = self.validators.get(channel.profile)
        if validator is None or not validator.refuses:
            return accept
        return profiles.inspected(accept, validator, channel.charset)

    def senders(self, house: Callable[[str, Destination], House]) -> dict[str, Sender]:
        """One sender a destination, not started.

        Args:
            house: what a connector of the house itself is given, by name of the destination.
        """
        made: dict[str, Sender] = {}
        for name, destination in self.site.destinations.items():
            spec = CONNECTORS[destination.connector, "out"]
            more = (house(name, destination),) if isinstance(spec, InsideSpec) else ()
            made[name] = spec.build(name, destination.settings, *more)
        return made

    def peeking(self) -> dict[str, Peeking]:
        """Codec of each channel, for answers that come back in as messages."""
        known = codecs()
        return {name: known[family] for name, family in self._answering()}

    def hearing(self, numbers: Numbers) -> dict[str, Hear]:
        """Who receives the answers of trading partners, by channel."""
        return {name: self.reception(name, numbers).hear for name, family in self._answering() if family == "x12"}

    def _answering(self) -> list[tuple[str, str]]:
        """Channels that take answers, with their format family."""
        taking = {one.responses for one in self.site.destinations.values() if one.responses}
        families = {name: {self.library.mapping(table).format.family
                           for table in site_config.tables_of(self.site.channels[name].mapping)} for name in taking}
        return [(name, next(iter(family))) for name, family in families.items() if len(family) == 1]

    def downtime(self) -> dict[str, Callable[[int], int]]:
        """Until when partners are away as announced, by destination."""
        return {name: self.partners[one.partner].away_until for name, one in self.site.destinations.items() if one.partner}

    def terms(self) -> dict[str, Terms]:
        """How payers want to be asked, by destination."""
        return {name: Terms(search=tuple(tuple(option) for option in partner.search), own_numbers=partner.own_numbers,
                            days_ahead=partner.days_ahead)
                for name, one in self.site.destinations.items() if one.partner
                for partner in (self.partners[one.partner],)}

    def missing(self) -> list[Finding]:
        """What this machine lacks for some of the destinations; the site runs without."""
        found = []
        for name, destination in self.site.destinations.items():
            spec = CONNECTORS[destination.connector, "out"]
            if isinstance(spec, InsideSpec):
                found += [msgspec.structs.replace(one, row=str(self.loaded.marks[f"destinations.{name}"]))
                          for one in spec.missing(destination.settings)]
        return found


class Outline(msgspec.Struct, frozen=True):
    """What can be said of a site without its tables: enough to open its ledger."""

    mappings: Path
    partitions: int


def outline(folder: Path) -> Outline:
    """Read the little that commands need to look into a ledger. Raises Rejection."""
    tree = document.parse(_source(folder), str(folder / SITE_FILE))
    top = document.mapping(tree, document.Mark(str(folder / SITE_FILE), 1, 1), "a site")
    defaults = {field.name: field.default for field in msgspec.structs.fields(Site)}

    def text(key: str) -> str:
        node = top.get(key)
        return document.scalar(node, key).text if node is not None else str(defaults[key])

    partitions = text("partitions")
    return Outline(folder / text("mappings"), int(partitions) if partitions.isdigit() else 1)


def _source(folder: Path) -> bytes:
    try:
        return (folder / SITE_FILE).read_bytes()
    except OSError:
        raise Rejection(finding(NO_SITE, row=str(folder), detail=f"no {SITE_FILE} in this folder")) from None


def tables(folder: Path) -> Library:
    """The library of a mappings folder. Raises Rejection where there is none."""
    try:
        return Library(read_folder(folder), formats())
    except OSError:
        raise Rejection(finding(NO_MAPPINGS, row=str(folder))) from None


def assemble(folder: Path, *, compiled: bool = True) -> Assembly:
    """Read and check a site.

    Args:
        folder: with ``site.yaml``.
        compiled: compile every table the site names, so that a faulty one stops the start and not the first
            message. Without, tables are compiled when first needed.

    Raises:
        Rejection: everything that is wrong with it, each located.
    """
    source = _source(folder)
    return _assembly(folder, source, tables(outline(folder).mappings), compiled=compiled)


def assembled(file: str, source: bytes, files: Mapping[str, bytes], known_files: Mapping[str, bytes]) -> Assembly:
    """A site from content that has been checked before (see `assemble`)."""
    return _assembly(Path(file).parent, source, Library(files, formats()), known_files, compiled=True)


def _assembly(folder: Path, source: bytes, library: Library, known_files: Mapping[str, bytes] | None = None, *,
              compiled: bool) -> Assembly:
    loaded = site_config.load(source, str(folder / SITE_FILE), connectors=CONNECTORS, mappings=library.names,
                              scorers=scorers())
    problems = [*library.problems, *(_used(loaded.site, library) if compiled else ()),
                *profiles.unfit(loaded.site, loaded.marks, library.profiles),
                *partners.unfit(loaded.site, loaded.marks, library.partners)]
    if problems:
        raise Rejection(*problems)
    validators = profiles.validators(library.profiles)
    documents, marks = loaded.site.documents, loaded.marks
    if known_files is None:
        known_files = known_people.read_files(documents, folder, marks)
    known = known_people.known(documents, known_files, marks)
    trading = partners.partners(library.partners)
    files = {**library.files, SITE_FILE: source, **known_people.digests(known_files)}
    return Assembly(folder=folder, loaded=loaded, library=library, files=files, revision=revision_of(files),
                    validators=validators, partners=trading, known=known, known_files=known_files,
                    translator=SiteTranslator(loaded.site, library, codecs(), validators, trading, known))


def _used(site: Site, library: Library) -> list[Finding]:
    """What is wrong with any table the site names."""
    problems: list[Finding] = []
    ends: list[Channel | Destination] = [*site.channels.values(), *site.destinations.values()]
    for end in ends:
        answers = end.answers.values() if isinstance(end, Channel) else ()
        for name in (*site_config.tables_of(end.mapping), *(each for one in answers for each in (one.write, one.read)
                                                            if each)):
            try:
                library.mapping(name, overlay(library, end.site))
            except Rejection as rejection:
                problems.extend(rejection.findings)
    return list(dict.fromkeys(problems))
