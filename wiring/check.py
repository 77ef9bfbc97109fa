"""Everything that can be wrong with a site and its tables, before anything runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from canonical.findings import Finding, Rejection, declared
from canonical.receipt import Receipt
from connectors.base import Submission
from connectors.hl7v2.charsets import codec_of
from connectors.hl7v2.tls import TlsClient, TlsServer, expiring
from mapper import document
from mapper.library import Library
from router import internal
from router.site import Channel, Destination, Site, shared_resources
from wiring.assembly import Assembly, assemble, outline, tables
from wiring.codes import CHARSET, NO_OVERLAY, SILENT_RULE


def check(folder: Path) -> tuple[Sequence[Finding], int, int]:
    """Findings about the configuration first, then about every table for every site; tables; sites.

    Raises:
        Rejection: there is no configuration or no folder of tables to check.
    """
    try:
        assembly = assemble(folder, compiled=False)
    except Rejection as rejection:
        library, found = tables(outline(folder).mappings), list(rejection.findings)
    else:
        library = assembly.library
        found = [*assembly.loaded.findings, *_shared(assembly), *_ends(assembly), *_silent(assembly),
                 *certificates(assembly.site, assembly.loaded.marks), *assembly.missing()]
    return list(dict.fromkeys([*found, *library.check()])), len(library.names), len(library.sites)


def _shared(assembly: Assembly) -> list[Finding]:
    """Ports and folders that two channels hold: told here, before the start refuses them."""
    async def never(_: Submission) -> Receipt:
        raise AssertionError("nothing is started")

    receivers = assembly.receivers(never, lambda *_: None)
    return shared_resources([(name, one.resources) for name, one in receivers.items()], assembly.loaded.marks)


def _ends(assembly: Assembly) -> Iterator[Finding]:
    """What a channel or destination names that is not there, although it would run."""
    site, marks, library = assembly.site, assembly.loaded.marks, assembly.library
    both: list[tuple[str, Mapping[str, Channel | Destination]]] = [
        ("channels", site.channels), ("destinations", site.destinations)]
    for kind, ends in both:
        for name, end in ends.items():
            if end.site and end.site not in library.sites:
                yield document.located(NO_OVERLAY, marks[f"{kind}.{name}"], f"mappings/sites has no {end.site}",
                                       document.did_you_mean(end.site, library.sites))
    for name, channel in site.channels.items():
        if channel.charset and not codec_of(channel.charset):
            yield document.located(CHARSET, marks[f"channels.{name}"],
                                   f"there is no character set {channel.charset}")


def certificates(site: Site, marks: Mapping[str, document.Mark]) -> Iterator[Finding]:
    """Our certificates that have expired or will soon (F18)."""
    both: list[tuple[str, Mapping[str, Channel | Destination]]] = [
        ("channels", site.channels), ("destinations", site.destinations)]
    for kind, ends in both:
        for name, end in ends.items():
            tls = getattr(end.settings, "tls", None)
            if isinstance(tls, TlsServer | TlsClient):
                for found in expiring(tls, time.time()):
                    yield document.located(declared()[found.code], marks[f"{kind}.{name}"], found.detail)


def _silent(assembly: Assembly) -> Iterator[Finding]:
    """Routes and rules that wait for an event that neither a table nor a rule makes."""
    made = _events(assembly.library) | internal.EVENTS
    names = sorted(made | {event.partition(".")[0] + "." for event in made})
    rows = [("routes", row.route, row.when) for row in assembly.site.routes]
    rows += [("triage", row.rule, row.when) for row in assembly.site.triage]
    rows += [("workflow", row.rule, row.when) for row in assembly.site.workflow]
    for kind, name, when in rows:
        for wanted in _wanted(when.get("event", ""), made):
            yield document.located(SILENT_RULE, assembly.loaded.marks[f"{kind}.{name}"],
                                   f"no table makes the event {wanted}", document.did_you_mean(wanted, names))


def _events(library: Library) -> set[str]:
    """Every event that some table makes, for some site."""
    made: set[str] = set()
    for name in library.names:
        for site in ("", *library.overlaid(name)):
            try:
                triggers = library.mapping(name, site).triggers
            except Rejection:  # told by the check of the table
                continue
            made.update(spec.type for specs in triggers.values() for spec in specs if spec.type)
    return made


def _wanted(condition: str, made: set[str]) -> Iterator[str]:
    """The events a condition names that are not among those made."""
    word, _, rest = condition.strip().partition(" ")
    if word == "starts":
        if not any(event.startswith(rest.strip()) for event in made):
            yield rest.strip()
    elif condition.strip() not in ("", "present", "absent"):
        names = rest.strip("() ").split(",") if word == "in" else [condition.strip().removeprefix("=")]
        yield from (name for name in map(str.strip, names) if name not in made)
