"""Mapping one appointment: SIU to canonical, canonical to SIU, FHIR and ERP JSON, with the shipped tables.

Each call takes the next of many distinct messages. ``--profile`` shows the functions in which the time goes.
"""

from __future__ import annotations

import cProfile
import itertools
import pstats
from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from bench.message import siu
from bench.report import ROOT, best, emit, machine, micros, table
from canonical.event import Event
from mapper.mapping import ReadContext, WriteContext
from wiring.assembly import codecs, tables

MESSAGES: Final = 2000
READ: Final = "hl7v2/siu"
#: Label: table that writes.
WRITE: Final = {"canonical to SIU^S12 (2.5.1)": "hl7v2/siu",
                "canonical to FHIR transaction": "fhir/scheduling",
                "canonical to ERP JSON": "erp/staffing_demand"}
WHOLE: Final = "SIU^S12 to canonical, from bytes"
DECODE: Final = "of which: bytes to ER7 tree"
CONTEXT: Final = {"sending_application": "DRAGOMAN", "sending_facility": "HUB", "processing_id": "P",
                  "receiving_application": "SINK", "receiving_facility": "BENCH"}


def subjects() -> dict[str, Callable[[], object]]:
    """What is timed, each on the next message or event."""
    library, known = tables(ROOT / "mappings"), codecs()
    read = library.mapping(READ)
    er7 = known["hl7v2"]
    raws = [siu(b"%d" % n, patient=n, visit=1) for n in range(MESSAGES)]

    def canonical(number: int, raw: bytes) -> Event:
        reading = read.read(er7.decode(raw), ReadContext(message_id=f"m{number}", channel="in",
                                                         received_at=1_773_000_000_000_000))
        if reading.fatal or len(reading.events) != 1:
            raise SystemExit(f"{READ} does not read its benchmark: {reading.findings}")
        return reading.events[0]

    events = [canonical(number, raw) for number, raw in enumerate(raws)]
    numbered = itertools.cycle(enumerate(raws))
    calls: dict[str, Callable[[], object]] = {
        WHOLE: lambda: canonical(*next(numbered)),
        DECODE: lambda: er7.decode(next(numbered)[1]),
    }
    for label, name in WRITE.items():
        calls[label] = _writer(library.mapping(name), known, itertools.cycle(events))
        calls[label]()
    return calls


def _writer(mapping: Any, known: dict[str, Any], events: Any) -> Callable[[], object]:
    codec = known[mapping.format.family]
    context = WriteContext(identity="0123456789abcdef0123", now="2026-03-09T13:30:15+00:00", values=CONTEXT)

    def write() -> bytes:
        writing = mapping.write(next(events), context)
        if writing.fatal:
            raise SystemExit(f"it cannot be written: {writing.findings}")
        return bytes(codec.encode(writing.wire))

    return write


def measure() -> dict[str, Any]:
    """Microseconds by act."""
    return {"machine": machine(), "us": best(subjects())}


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    table("Mapping one appointment, one core", ["", "a message", "rate"],
          [[name, micros(us), f"{1e6 / us:,.0f}/s"] for name, us in result["us"].items()])


def profile(name: str, call: Callable[[], object], count: int = 15) -> None:
    """Print the functions with the largest time of their own."""
    for _ in range(200):
        call()
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(MESSAGES):
        call()
    profiler.disable()
    stats = pstats.Stats(profiler)
    entries = sorted(stats.stats.items(), key=lambda item: -item[1][2])[:count]  # type: ignore[attr-defined] # typeshed leaves it out
    total = stats.total_tt  # type: ignore[attr-defined] # typeshed leaves it out
    table(f"{name}: where {micros(total / MESSAGES * 1e6)} go (profiled, so slower; read the shares)",
          ["function", "calls a message", "own", "with calls"],
          [[f"{function} ({file.removeprefix(str(ROOT) + '/')}:{line})", f"{calls / MESSAGES:.1f}",
            f"{own / total:.1%}", f"{whole / total:.1%}"]
           for (file, line, function), (_, calls, own, whole, _) in entries])


def main(
    with_profile: Annotated[bool, typer.Option("--profile", help="The fifteen costliest functions of each.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Map one appointment in and out."""
    result = measure()
    show(result)
    if with_profile:
        for name, call in subjects().items():
            profile(name, call)
    if as_json:
        emit(result)


if __name__ == "__main__":
    typer.run(main)
