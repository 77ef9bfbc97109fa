"""check, test, try, explain: the analyst's own loop over tables. No engine and no ledger is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import track

from canonical.findings import Rejection
from console import person
from console.commands import sheets
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, UserError, finish
from console.house import House
from console.output import Output
from console.screens import tables as screens
from console.views import tables as views
from console.views.findings import finding_views
from mapper import cases
from mapper.document import did_you_mean
from mapper.explain import explain as explained
from mapper.mapping import ReadContext, Trace, WriteContext

Table = Annotated[str, typer.Argument(metavar="MAPPING", help="hl7v2/siu, or siu where that is clear.")]
Overlay = Annotated[str, typer.Option("--site", help="With the overlay of this site: mercy.")]


def register(app: typer.Typer, house: House) -> None:
    """Add the commands."""

    @app.command()
    def check(
        folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="As --config.")] = None,
        config: Config = DEFAULT_CONFIG,
        strict: Annotated[bool, typer.Option("--strict", help="Warnings count, too.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Check the site's configuration and every table of its mappings folder. Exit code 1 for problems."""
        findings, tables, sites = house.check(folder or config)
        view = views.checked(findings, tables, sites, strict=strict)
        Output(as_json).show(view, screens.checked)
        finish(OK if view.ok else PROBLEMS)

    @app.command()
    def test(
        only: Annotated[str, typer.Argument(metavar="[FILTER]", help="Part of a file's name: siu, mercy.")] = "",
        config: Config = DEFAULT_CONFIG,
        as_json: AsJson = False,
    ) -> None:
        """Run the cases that stand beside the tables (*.tests.yaml). Exit code 1 where one fails."""
        bench = house.workbench(config)
        files = [path for path in cases.files(bench.folder)
                 if only in path.relative_to(bench.folder).as_posix()]
        if not files:
            raise UserError(f"no cases match {only or 'anything'}", f"cases are *.tests.yaml below {bench.folder}")
        output = Output(as_json)
        running = track(files, "testing", console=output.errors, transient=True,
                        disable=not output.errors.is_terminal)
        view = views.tested([cases.run_file(bench.library, bench.folder, path, bench.partners) for path in running])
        output.show(view, screens.tested)
        finish(OK if view.ok else PROBLEMS)

    @app.command(name="try")
    def try_(
        mapping: Table,
        message: Annotated[Path, typer.Argument(metavar="FILE", help="A file with one message.")],
        site: Overlay = "",
        to: Annotated[str, typer.Option(help="Also show what would be sent: a destination of the site (harbor), "
                                             "or a table (fhir/scheduling).")] = "",
        mask: Annotated[bool, typer.Option("--mask", help="Mask values, as for a message of a patient.")] = False,
        html: Annotated[Path | None, typer.Option("--html", metavar="OUT", help="For a table of documents: also write the "
                                                  "pages with the boxes of the fields, values masked.")] = None,
        picture: Annotated[Path | None, typer.Option("--picture", metavar="IMAGE", help="PNG or JPEG that the page was read "
                                                     "from, drawn into --html; needs --reveal.")] = None,
        reveal: Annotated[bool, typer.Option("--reveal", help="Values in --html, too: who has that file has them.")] = False,
        config: Config = DEFAULT_CONFIG,
        as_json: AsJson = False,
    ) -> None:
        """Show what a message would become: events, lineage of every leaf, unread input, findings.

        Values are shown: the file is yours. Exit code 1 where the message would be parked.
        """
        bench = house.workbench(config)
        try:
            raw = message.read_bytes()
        except OSError as error:
            raise UserError(f"{message}: {error.strerror}") from None
        if not raw.strip():
            raise UserError(f"{message}: the file is empty")
        name = full_name(bench, mapping)
        view = _tried(bench, name, raw, site, to, mask=mask)
        if html is not None or picture is not None or reveal:
            sheets.write(bench, name, raw, html, picture, reveal=reveal and not mask)
        Output(as_json).show(view, screens.tried)
        finish(OK if view.ok else PROBLEMS)

    @app.command()
    def explain(mapping: Table, site: Overlay = "", config: Config = DEFAULT_CONFIG,
                as_json: AsJson = False) -> None:
        """Show the flat table, standard and overlay together, with the file and line of every cell."""
        bench = house.workbench(config)
        flat = bench.library.table(full_name(bench, mapping), known_site(bench, site))
        Output(as_json).show(explained(flat), screens.explained)


def full_name(bench: views.Workbench, name: str) -> str:
    """The full name of a table: ``siu`` is ``hl7v2/siu`` where only one table ends so.

    Raises:
        UserError: there is none, or there are several.
    """
    names: tuple[str, ...] = bench.library.names
    fits = [name] if name in names else [each for each in names if each.rpartition("/")[2] == name]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UserError(f"{name}: several tables are called so", ", ".join(fits))
    raise UserError(f"{name}: no such table", did_you_mean(name, names) or "")


def known_site(bench: views.Workbench, site: str) -> str:
    """The overlay of a site. Raises UserError where there is no such site."""
    if site and site not in bench.library.sites:
        raise UserError(f"--site {site}: no such site", did_you_mean(site, bench.library.sites) or "")
    return site


def _tried(bench: views.Workbench, name: str, raw: bytes, site: str, to: str, *, mask: bool) -> views.Tried:
    mapping = bench.library.mapping(name, known_site(bench, site))
    if not mapping.reads:
        raise UserError(f"{name}: this table does not read messages", "dragoman explain shows its `events`")
    context = ReadContext(message_id="try", channel="try", received_at=person.now(), known=bench.known)
    try:
        trace: Trace = mapping.trace(bench.decode(mapping.format.family, raw), context)
    except Rejection as rejection:
        return views.Tried(ok=False, mapping=name, site=site, revision=bench.library.revision, events=[],
                           unread=[], findings=finding_views(rejection.findings), sent=[])
    return views.Tried(
        ok=not trace.reading.fatal, mapping=name, site=site, revision=bench.library.revision,
        events=views.tried_events(trace, mask=mask), unread=list(trace.undeclared),
        findings=finding_views(trace.reading.findings), sent=_sent(bench, trace, to, mask=mask) if to else [])


def _sent(bench: views.Workbench, trace: Trace, to: str, *, mask: bool) -> list[views.WouldSend]:
    target = bench.destinations.get(to)
    if target is None:
        known = [*bench.destinations, *bench.library.names]
        if to not in known and not any(name.endswith(f"/{to}") for name in known):
            raise UserError(f"--to {to}: neither a destination nor a table", did_you_mean(to, known) or "")
        table = full_name(bench, to)
        target = views.Target(table=lambda _: table)
    return [_written(bench, target, event, mask=mask) for event in trace.reading.events
            if target.table(event.type)]


def _written(bench: views.Workbench, target: views.Target, event: Any, *, mask: bool) -> views.WouldSend:
    table = target.table(event.type)
    mapping = bench.library.mapping(table, bench.overlay(target.site))
    context = WriteContext(identity="TRY", now=event.occurred_at, values=target.values)
    try:
        trace = mapping.trace_write(event, context)
    except Rejection as rejection:
        return views.WouldSend(event=event.type, table=table, body="", attributes={}, unwritten=[],
                               findings=finding_views(rejection.findings))
    body = bench.encode(mapping.format.family, trace.writing.wire)
    return views.WouldSend(
        event=event.type, table=table, attributes={} if mask else dict(trace.writing.attributes),
        body="" if mask else body.decode("utf-8", "replace").replace("\r", "\n"),
        findings=finding_views(trace.writing.findings), unwritten=list(trace.unwritten))
