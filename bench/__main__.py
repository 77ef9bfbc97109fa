"""All benchmarks in one run: ``make bench``."""

from __future__ import annotations

from typing import Annotated

import typer

from bench import end_to_end, mapping, parse, x12
from bench.processes import BenchError
from bench.report import console, emit, machine
from tests.services import ServiceMissing


def main(
    duration: Annotated[float, typer.Option(help="Seconds that are measured, an end-to-end run.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Parsing, mapping, X12, end to end (embedded and distributed, 1, 8 and 32 connections), and the peers."""
    here = machine()
    console.print(f"{here['cpu']}, {here['cores']} cores, Python {here['python']}, load {here['load']}")
    parsed = parse.measure()
    parse.show(parsed)
    mapped = mapping.measure()
    mapping.show(mapped)
    payers = x12.measure()
    x12.show(payers)
    try:
        ended = end_to_end.run(["embedded", "distributed"], [1, 8, 32], duration, 1.0, None, 2,
                               with_peers=True, profile=False)
    except (BenchError, ServiceMissing) as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from None
    end_to_end.show(ended)
    if as_json:
        emit({"parse": parsed, "mapping": mapped, "x12": payers, "end_to_end": ended})
    if any(run["faults"] for run in ended["runs"]):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
