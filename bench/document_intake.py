"""Intake of documents: pages a minute, memory, and what reading faxes costs the HL7 acknowledgements of the same engine.

``python -m bench.document_intake``. Faxes are generated referrals (`simulators.forms`), put into a folder of an embedded
site that has an MLLP channel as well. First the faxes alone, with one and two reading processes; then the HL7 load (closed
loop) in turns without faxes and with more faxes than can be read, so that a slow minute of the machine meets both.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bench.processes import BenchError, Engine, helper, load
from bench.report import ROOT, VAR, console, emit, machine, table
from simulators.forms.fax import Quality
from simulators.forms.form import make, tiff
from tests import services

FOLDER: Final = VAR / "bench" / "document_intake"
PAGES_SECONDS: Final = 600.0

_SITE: Final = """\
site: bench
mappings: {mappings}
channels:
  in:
    connector: mllp
    mapping: hl7v2/siu
    settings: {{host: 127.0.0.1, port: {port}}}
  faxes:
    connector: file
    mapping: {{DOCUMENT: document/received, PAGES: document/read}}
    settings: {{path: "{drop}", format: document, ready: rename, poll_s: 0.1}}
  pages: {{connector: answers, mapping: document/read}}
destinations:
  downstream:
    connector: mllp
    mapping: hl7v2/siu
    settings: {{host: 127.0.0.1, port: {mllp}, max_sessions: 8}}
    idempotent: yes
    max_in_flight: 8
    context: {{sending_application: DRAGOMAN, sending_facility: HUB, receiving_application: SINK, receiving_facility: BENCH,
               processing_id: P}}
  reader:
    connector: ocr
    mapping: document/stored
    responses: pages
    idempotent: yes
    max_in_flight: {readers}
    settings: {{max_sessions: {readers}}}
routes:
  - {{route: appointments, when: {{event: appointment.*}}, to: [downstream]}}
  - {{route: pictures are read, when: {{event: document.received}}, to: [reader]}}
broker: {{prefix: {prefix}}}
partitions: 16
translators: 1
"""


class Place:
    """A running site."""

    def __init__(self, engine: Engine, drop: Path, ledger: Path, port: int) -> None:
        self.engine = engine
        self.port = port
        self._drop = drop
        self._ledger = ledger

    def put(self, faxes: Sequence[bytes], name: str) -> None:
        """Have faxes come in."""
        for number, fax in enumerate(faxes):
            hidden = self._drop / f".{name}-{number}"
            hidden.write_bytes(fax)
            hidden.rename(self._drop / f"{name}-{number}.tif")

    def read(self) -> int:
        """Documents whose pages are stored."""
        with sqlite3.connect(f"file:{self._ledger}?mode=ro", uri=True) as ledger:
            return int(ledger.execute("select count(*) from messages where channel = 'pages'").fetchone()[0])


@contextmanager
def site(readers: int) -> Iterator[Place]:
    """An embedded engine on a ledger of its own, with a sink for what it sends."""
    folder = FOLDER / secrets.token_hex(4)
    drop, config = folder / "in", folder / "config"
    for each in (drop, config):
        each.mkdir(parents=True)
    port = services.free_port()
    ledger = folder / "ledger.sqlite3"
    try:
        with helper(sys.executable, "-m", "bench.sinks") as sinks:
            (config / "site.yaml").write_text(_SITE.format(
                mappings=ROOT / "mappings", port=port, drop=drop, mllp=sinks.ready["mllp"], readers=readers,
                prefix=f"bench-{folder.name}"))
            engine = Engine({"engine": [sys.executable, "-m", "app", "run", "--config", str(config)]},
                            {**os.environ, "DRAGOMAN_DATABASE": f"sqlite:///{ledger}"}, FOLDER / "engine.log")
            try:
                engine.await_port(port)
                engine.begin()
                yield Place(engine, drop, ledger, port)
            finally:
                engine.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def generated(count: int, quality: Quality) -> list[tuple[bytes, int]]:
    """(TIFF, pages) of different faxes."""
    made = [make(9000 + seed, quality)[0] for seed in range(count)]
    return [(tiff(pages), len(pages)) for pages in made]


def alone(faxes: Sequence[tuple[bytes, int]], readers: int) -> dict[str, Any]:
    """Pages a minute, and peak memory of the engine with all that it starts."""
    with site(readers) as place:
        began = time.monotonic()
        place.put([raw for raw, _ in faxes], "alone")
        while place.read() < len(faxes):
            place.engine.watch()
            if time.monotonic() - began > PAGES_SECONDS:
                raise BenchError("the faxes were not read in time")
            time.sleep(0.1)
        seconds = time.monotonic() - began
        used = place.engine.used()
    pages = sum(count for _, count in faxes)
    return {"readers": readers, "pages": pages, "seconds": seconds, "pages_a_minute": pages / seconds * 60,
            "memory_mib": used["memory_mib"]}


def beside(faxes: Sequence[tuple[bytes, int]], readers: int, connections: int, seconds: float, turns: int) -> dict[str, Any]:
    """The HL7 load in turns without and with faxes, each on a site of its own."""
    runs: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for turn in range(turns):
        for busy in ((False, True) if turn % 2 == 0 else (True, False)):
            with site(readers) as place:
                if busy:
                    place.put([raw for raw, _ in faxes], "beside")
                runs[busy].append(load(place.port, connections, seconds, 3.0) | {"documents": place.read() if busy else 0})
                if busy and runs[busy][-1]["documents"] >= len(faxes):
                    raise BenchError("the faxes were read before the load ended: give more with --faxes")
    rows = {busy: {key: statistics.median(run[key] for run in found) for key in ("rate", "p50_ms", "p99_ms", "documents")}
            for busy, found in runs.items()}
    return {"readers": readers, "connections": connections, "without": rows[False], "with": rows[True],
            "rate_lost": 1 - rows[True]["rate"] / rows[False]["rate"],
            "p50_more": rows[True]["p50_ms"] / rows[False]["p50_ms"] - 1}


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    table("Faxes alone", ["reading processes", "pages", "pages a minute", "peak memory"],
          [[str(one["readers"]), str(one["pages"]), f"{one['pages_a_minute']:.0f}", f"{one['memory_mib']} MiB"]
           for one in result["alone"]], "memory: engine, translator and reading processes together")
    table("HL7 acknowledgements beside faxes", ["readers", "faxes", "rate", "p50", "p99", "read meanwhile", "slower"],
          [[str(one["readers"]), name, f"{one[name]['rate']:,.0f}/s", f"{one[name]['p50_ms']:.1f} ms",
            f"{one[name]['p99_ms']:.1f} ms", f"{one[name]['documents']:.0f}",
            f"{one['rate_lost']:.0%}" if name == "with" else ""]
           for one in result["beside"] for name in ("without", "with")], "closed loop; medians of the turns")


def main(
    faxes: Annotated[int, typer.Option(help="Faxes that come in.")] = 24,
    quality: Annotated[Quality, typer.Option()] = Quality.STANDARD,
    readers: Annotated[list[int], typer.Option(help="Reading processes; repeatable.")] = [1, 2],  # noqa: B006 - typer copies it
    connections: Annotated[int, typer.Option(help="Of the HL7 load.")] = 8,
    seconds: Annotated[float, typer.Option(help="That are measured, a turn.")] = 8.0,
    turns: Annotated[int, typer.Option(help="Without and with faxes, so often.")] = 3,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Pages a minute, memory, and the HL7 acknowledgements beside."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    here = machine()
    console.print(f"{here['cpu']}, {here['cores']} cores, Python {here['python']}, load {here['load']}")
    made = generated(faxes, quality)
    try:
        result = {"machine": here, "alone": [alone(made, one) for one in readers],
                  "beside": [beside(made, one, connections, seconds, turns) for one in readers]}
    except (BenchError, services.ServiceMissing) as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from None
    show(result)
    if as_json:
        emit(result)


if __name__ == "__main__":
    typer.run(main)
