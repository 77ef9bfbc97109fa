"""test, try, explain: the analyst's own loop over tables. Values are shown: the analyst owns the file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from canonical.findings import Finding
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, UserError, finish
from console.output import Output, fault_line
from mapper import cases
from mapper.explain import explain as explained
from mapper.library import Library
from mapper.mapping import ReadContext, WriteContext
from mapper.recorder import Lineage
from wiring.assembly import SITE_FILE, codecs, mappings_of, tables
from wiring.translator import overlay


class Tried(msgspec.Struct, kw_only=True):
    """What a message would become."""

    events: list[dict[str, Any]]
    lineage: list[Lineage]
    unread: list[str]
    findings: list[Finding]
    sent: list[str]


def folder_of(config: Path) -> Path:
    """The mappings folder of a site. Raises UserError where there is no site."""
    file = config / SITE_FILE
    if not file.is_file():
        raise UserError(f"{file}: no such file", "--config names the folder of a site")
    return config / mappings_of(file.read_bytes(), str(file))


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def test(only: Annotated[str, typer.Argument(metavar="[FILTER]", help="Part of a file's name.")] = "",
             config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
        """Run the cases beside the tables. Exit code 1 where one fails."""
        folder = folder_of(config)
        library = tables(folder)
        suites = [cases.run_file(library, folder, path) for path in cases.files(folder) if only in str(path)]
        if not suites:
            raise UserError(f"no cases match {only}", "cases are the *.tests.yaml beside the tables")
        results = [result for suite in suites for result in suite.results]
        failed = [result for result in results if result.mismatches]
        found = [finding for suite in suites for finding in suite.problems]
        lines = [fault_line(finding) for finding in found]
        lines += [f"FAILED {result.row} {result.name}\n    {mismatch.row} {mismatch.what}: expected {mismatch.expected}, "
              f"got {mismatch.actual}"
                  for result in failed for mismatch in result.mismatches]
        lines.append(f"{len(results) - len(failed)} passed, {len(failed)} failed")
        Output(as_json).show(suites, lambda _: Text("\n".join(lines)))
        finish(PROBLEMS if failed or found else OK)

    @app.command(name="try")
    def try_(mapping: Annotated[str, typer.Argument(help="hl7v2/siu; the family may be left out.")],
             message: Annotated[Path, typer.Argument(help="A file with one message.")],
             site: Annotated[str, typer.Option(help="Overlay.")] = "",
             to: Annotated[str, typer.Option(help="Also write it with this table: fhir/scheduling.")] = "",
             config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
        """Show what a message would become: event, lineage of every leaf, unread input, findings."""
        library = tables(folder_of(config))
        try:
            raw = message.read_bytes()
        except OSError as error:
            raise UserError(f"{message}: {error.strerror}") from None
        tried = _try(library, _named(library, mapping), raw, overlay(library, site), to)
        Output(as_json).show(tried, _screen)
        finish(PROBLEMS if not tried.events else OK)

    @app.command()
    def explain(mapping: Annotated[str, typer.Argument(help="hl7v2/siu; the family may be left out.")],
                site: Annotated[str, typer.Option(help="Overlay.")] = "",
                config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
        """Show the flat table, standard and overlay, with the file and line of every cell."""
        library = tables(folder_of(config))
        view = explained(library.table(_named(library, mapping), overlay(library, site)))
        grid = Table(box=None, pad_edge=False)
        for heading in ("canonical", "cell", "value", "where"):
            grid.add_column(heading, overflow="fold")
        for row in view.rows:
            for number, cell in enumerate(row.cells):
                grid.add_row("" if number else Text(row.field), Text(cell.key), Text(cell.text),
                             Text(f"{cell.file}:{cell.line}"))
        Output(as_json).show(view, lambda _: grid)


def _named(library: Library, name: str) -> str:
    """The full name of a table: ``siu`` is ``hl7v2/siu`` where only one table ends so."""
    fits = [each for each in library.names if each == name or each.endswith(f"/{name}")]
    return fits[0] if len(fits) == 1 else name


def _try(library: Library, name: str, raw: bytes, site: str, to: str) -> Tried:
    mapping = library.mapping(name, site)
    codec = codecs()[mapping.format.family]
    trace = mapping.trace(codec.decode(raw), ReadContext(message_id="try", channel="try", received_at=0))
    sent = []
    if to:
        target = library.mapping(_named(library, to), "")
        for event in trace.reading.events:
            writing = target.write(event, WriteContext(identity="TRY", now=event.occurred_at))
            out: bytes = codecs()[target.format.family].encode(writing.wire)
            sent.append(out.decode(errors="replace").replace("\r", "\n"))
    return Tried(events=[msgspec.to_builtins(event) for event in trace.reading.events],
                 lineage=[leaf for leaves in trace.lineage for leaf in leaves], unread=list(trace.unread),
                 findings=list(trace.reading.findings), sent=sent)


def _screen(tried: Tried) -> Text:
    parts = [msgspec.json.format(msgspec.json.encode(event), indent=2).decode() for event in tried.events]
    parts += [f"{leaf.field:44} <- {leaf.source or leaf.how:36} {leaf.row} {leaf.code_row}".rstrip()
              for leaf in tried.lineage]
    if tried.unread:
        parts.append(f"unread: {', '.join(tried.unread)}")
    parts += [fault_line(found) for found in tried.findings]
    parts += ["would be sent:", *tried.sent] if tried.sent else []
    return Text("\n".join(parts))
