"""A folder of tables as one immutable, content-addressed whole.

The revision is a hash over every file that can change a result: mapping tables, data types, code tables,
overlays; not the cases beside them. Old revisions are loaded from stored content, so everything can be
recomputed with the tables it was made with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Mapping as ReadOnly
from pathlib import Path
from typing import Final

import msgspec

from canonical.findings import Finding, Rejection, Severity, declare
from mapper import document, grammar, vocab
from mapper.document import Mark, Node, Scalar, did_you_mean, located
from mapper.extract import flat, intake, template, trust
from mapper.extract.intake import DocumentMapping
from mapper.extract.template import Template
from mapper.extract.trust import Calibration
from mapper.format import Format
from mapper.grammar import Table, Word
from mapper.mapping import Mapping
from mapper.plan import Parts
from mapper.vocab import Vocab

NOT_A_TABLE = declare("table.unknown_kind", Severity.FATAL, "the file is no table",
                      "the first key is mapping, form, type, vocab, calibration, profile, partner, or extends in a site's "
                      "folder")
WRONG_NAME = declare("table.wrong_name", Severity.FATAL, "the name in the table is not the name of the file",
                     "name the file after the table")
NO_TABLE = declare("table.no_such_table", Severity.FATAL, "there is no such mapping table", "see `dragoman explain`")
NO_FORMAT = declare("table.unknown_format", Severity.FATAL, "there is no such family of formats",
                    "the part of `format` before the slash is a family")
NO_SITE = declare("table.no_such_site", Severity.FATAL, "there is no such site",
                  "sites are the folders under mappings/sites")
CYCLE = declare("table.cycle", Severity.FATAL, "the tables name each other in a circle", "remove one `also` or `entries`")

_SUFFIX: Final = ".yaml"
_TESTS: Final = ".tests.yaml"
_SITES: Final = "sites/"


def relevant(path: str) -> bool:
    """Whether a file belongs to a revision."""
    return path.endswith(_SUFFIX) and not path.endswith(_TESTS) and "/samples/" not in f"/{path}"


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of a mappings folder that belong to a revision, by path with ``/``.

    Raises:
        OSError: the folder cannot be read.
    """
    if not folder.is_dir():
        raise NotADirectoryError(str(folder))
    return {path: file.read_bytes() for file in sorted(folder.rglob(f"*{_SUFFIX}"))
            if relevant(path := file.relative_to(folder).as_posix())}


def revision_of(files: ReadOnly[str, bytes]) -> str:
    """Content hash of a set of files."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path}\0{hashlib.sha256(files[path]).hexdigest()}\n".encode())
    return total.hexdigest()


class Overlay(msgspec.Struct, frozen=True):
    """One overlay document."""

    site: str
    base: Scalar
    node: Node


class Library:
    """All tables of one revision. Mappings are compiled when first asked for and kept."""

    def __init__(self, files: ReadOnly[str, bytes], formats: Iterable[Format]) -> None:
        """Read the tables; nothing is compiled yet.

        Args:
            files: path → content, as `read_folder` gives them.
            formats: the adapters; the key is their ``family``.
        """
        self.files = {path: content for path, content in files.items() if relevant(path)}
        self.revision = revision_of(self.files)
        self.problems: list[Finding] = []
        """What is wrong with files as such; `check` adds what is wrong with each table."""
        self._formats = {each.family: each for each in formats}
        self._nodes: dict[str, Node] = {}
        self._forms: dict[str, Node] = {}
        self._calibrations: dict[str, Node] = {}
        self._types: dict[str, Node] = {}
        self._vocab_nodes: dict[str, Node] = {}
        self._overlays: dict[tuple[str, str], Overlay] = {}
        self.profiles: dict[str, Node] = {}
        """What partners agreed to send, by name: for the connector of the format to understand."""
        self.partners: dict[str, Node] = {}
        """Trading partners, by name: likewise."""
        self._compiled: dict[tuple[str, str], Mapping] = {}
        self._parts: dict[tuple[str, str], Parts] = {}
        self._open: list[tuple[str, str]] = []
        for path, content in sorted(self.files.items()):
            try:
                self._take(path, document.parse(content, path))
            except Rejection as rejection:
                self.problems.extend(rejection.findings)
        self.vocabs: dict[str, Vocab] = {}
        for name, node in self._vocab_nodes.items():
            try:
                self.vocabs[name] = vocab.load(node, self._vocab_nodes)
            except Rejection as rejection:
                self.problems.extend(rejection.findings)

    @classmethod
    def load(cls, folder: Path, formats: Iterable[Format]) -> Library:
        """The library of a folder. Raises OSError."""
        return cls(read_folder(folder), formats)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all mapping tables."""
        return tuple(sorted((*self._nodes, *self._forms)))

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of all sites that have overlays."""
        return tuple(sorted({site for site, _ in self._overlays}))

    def overlaid(self, name: str) -> tuple[str, ...]:
        """Sites that have an overlay of their own for a table."""
        return tuple(sorted(site for site, base in self._overlays if base == name))

    # -- reading files --------------------------------------------------------------------------------------

    def _take(self, path: str, node: Node) -> None:
        top = document.mapping(node, node.mark, "a table")
        site = path.split("/")[1] if path.startswith(_SITES) and path.count("/") > 1 else ""
        stem = path.removesuffix(_SUFFIX)
        if "mapping" in top.entries and not site:
            self._named(self._nodes, top, "mapping", stem)
        elif "form" in top.entries and not site:
            self._named(self._forms, top, "form", stem)
        elif "calibration" in top.entries and not site:
            self._named(self._calibrations, top, "calibration", stem)
        elif "type" in top.entries and not site:
            self._types[stem] = top
        elif "vocab" in top.entries:
            expected = stem.removeprefix("vocab/")
            if site:
                expected = stem.removeprefix(f"{_SITES}{site}/vocab/")
                expected = f"{site}/{expected}"
            self._named(self._vocab_nodes, top, "vocab", expected)
        elif "profile" in top.entries and not site:
            self._named(self.profiles, top, "profile", stem.removeprefix("profiles/"))
        elif "partner" in top.entries and not site:
            self._named(self.partners, top, "partner", stem.removeprefix("partners/"))
        elif "extends" in top.entries and site:
            base = document.scalar(top.entries["extends"].value, "extends")
            self._overlays[site, base.text] = Overlay(site, base, top)
        else:
            raise document.fail(NOT_A_TABLE, top.mark)

    @staticmethod
    def _named(into: dict[str, Node], top: document.Mapping, key: str, expected: str) -> None:
        name = document.scalar(top.entries[key].value, key)
        if name.text != expected:
            raise document.fail(WRONG_NAME, name.mark, f"{name.text} in a file that should hold {expected}")
        into[name.text] = top

    # -- compiling ------------------------------------------------------------------------------------------

    def mapping(self, name: str, site: str = "", *, word: Word | None = None) -> Mapping:
        """The compiled table, with the overlay of `site` where it has one.

        Raises:
            canonical.findings.Rejection: there is no such table or site, or the table has errors.
        """
        key = (name, site)
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = self._compile(name, site, word)
        return found

    def _compile(self, name: str, site: str, word: Word | None) -> Mapping:
        mark = word.mark if word is not None else Mark("", 0, 0)
        if site and site not in self.sites:
            raise document.fail(NO_SITE, mark, f"there is no site {site}", did_you_mean(site, self.sites))
        if (name, site) in self._open:
            raise document.fail(CYCLE, mark, f"{name} uses itself")
        if self._of_documents(name):
            return self._documents(name)
        table = self.table(name, site, mark)
        format_ = document.scalar(table.header["format"], "format")
        family = format_.text.partition("/")[0]
        if family not in self._formats:
            raise document.fail(NO_FORMAT, format_.mark, f"there is no family {family}",
                                did_you_mean(family, self._formats))
        self._open.append((name, site))
        try:
            return Mapping(table, self._parts_of(family, site), site=site, revision=self.revision,
                           others=lambda other: self.mapping(other.text, site, word=other))
        finally:
            self._open.pop()

    def _of_documents(self, name: str) -> bool:
        node = self._nodes.get(name)
        return name in self._forms or (isinstance(node, document.Mapping) and "forms" in node.entries)

    def _documents(self, name: str) -> DocumentMapping:
        """A table of documents; a form by its own name is one that knows this form only."""
        calibration, otherwise = Calibration(), None
        if name in self._forms:
            forms = [self.form(Scalar(name, self._forms[name].mark))]
            table = flat.of_form(self._forms[name])
            family = Scalar("page/PageDocument", table.mark)
        else:
            top = intake.header(self._nodes[name])
            forms = [self.form(word) for word in document.scalars(top.entries["forms"].value, "forms")]
            if (other := top.get("otherwise")) is not None:
                otherwise = self.form(document.scalar(other, "otherwise"))
            if (curves := top.get("calibration")) is not None:
                calibration = self.calibration(document.scalar(curves, "calibration"))
            table = flat.of_documents(top)
            family = document.scalar(top.entries["format"].value, "format")
        format_ = self._formats.get(family.text.partition("/")[0])
        if format_ is None:
            raise document.fail(NO_FORMAT, family.mark, f"there is no family {family.text}",
                                did_you_mean(family.text, self._formats))
        return DocumentMapping(table, format_, forms=forms, otherwise=otherwise, calibration=calibration,
                               revision=self.revision)

    def form(self, word: Scalar) -> Template:
        """The checked form of that name. Raises Rejection."""
        node = self._forms.get(word.text)
        if node is None:
            raise document.fail(NO_TABLE, word.mark, f"there is no form {word.text}", did_you_mean(word.text, self._forms))
        return template.load(node, self.vocabs)

    def calibration(self, word: Scalar) -> Calibration:
        """The curves of that name. Raises Rejection."""
        node = self._calibrations.get(word.text)
        if node is None:
            raise document.fail(NO_TABLE, word.mark, f"there is no calibration {word.text}",
                                did_you_mean(word.text, self._calibrations))
        return trust.load(node)

    def table(self, name: str, site: str = "", mark: Mark | None = None) -> Table:
        """The flat table: standard and overlay. Raises Rejection."""
        if self._of_documents(name):
            return flat.of_form(self._forms[name]) if name in self._forms else flat.of_documents(
                document.mapping(self._nodes[name], self._nodes[name].mark, "a table"))
        node = self._nodes.get(name)
        if node is None:
            raise document.fail(NO_TABLE, mark or Mark("", 0, 0), f"there is no table {name}",
                                did_you_mean(name, self._nodes))
        return self._overlaid(grammar.table(node, kind="mapping"), name, site)

    def _overlaid(self, table: Table, name: str, site: str) -> Table:
        overlay = self._overlays.get((site, name)) if site else None
        return grammar.overlay(table, overlay.node) if overlay is not None else table

    def _parts_of(self, family: str, site: str) -> Parts:
        key = (family, site)
        if key not in self._parts:
            types: dict[tuple[str, str], Table] = {}
            problems: list[Finding] = []
            for name, node in self._types.items():
                try:
                    self._add_type(types, family, name, node, site)
                except Rejection as rejection:
                    problems.extend(rejection.findings)
            if problems:
                raise Rejection(*problems)
            self._parts[key] = Parts(self._formats[family], self.vocabs, types,
                                     frozenset(self._vocab_nodes) - frozenset(self.vocabs))
        return self._parts[key]

    def _add_type(self, types: dict[tuple[str, str], Table], family: str, name: str, node: Node, site: str) -> None:
        table = self._overlaid(grammar.table(node, kind="type"), name, site)
        top = document.mapping(node, node.mark, "a table")
        entity = document.scalar(table.header["entity"], "entity").text
        for word in document.scalars(top.entries["type"].value, "type"):
            word_family, slash, wire_type = word.text.partition("/")
            if not slash or word_family not in self._formats:
                raise document.fail(NO_FORMAT, word.mark, f"{word.text} is not FAMILY/TYPE",
                                    did_you_mean(word_family, self._formats))
            if word_family == family:
                if (wire_type, entity) in types:
                    raise document.fail(WRONG_NAME, word.mark, f"there is a table for {wire_type} ↔ {entity} already")
                types[wire_type, entity] = table

    # -- checking -------------------------------------------------------------------------------------------

    def check(self) -> list[Finding]:
        """Everything that is wrong with any table, for every site; warnings too. Empty where all is well."""
        found = list(self.problems)
        for name in self.names:
            for site in ("", *self.sites):
                if site and not self._touched(name, site):
                    continue
                try:
                    self.mapping(name, site)
                except Rejection as rejection:
                    found.extend(rejection.findings)
        for (site, base), overlay in self._overlays.items():
            if base not in self._nodes and base not in self._types:
                found.append(located(NO_TABLE, overlay.base.mark, f"{site} extends {base}, which is not there",
                                     did_you_mean(base, [*self._nodes, *self._types])))
        for each in self.vocabs.values():
            found.extend(vocab.advice(each))
        return list(dict.fromkeys(found))

    def _touched(self, name: str, site: str) -> bool:
        return (site, name) in self._overlays or any(
            each == site and base in self._types for each, base in self._overlays)
