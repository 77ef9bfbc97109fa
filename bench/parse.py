"""Parse one SIU^S12 and read ten of its fields: ours, `str.split`, `hl7`, `hl7apy`, and npm's parsers.

Every subject must return the same ten values before it is timed. `str.split` is the floor: the same ten values
with no message model at all, which breaks on the first message that declares other delimiters.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import hl7
import typer
from hl7apy.parser import parse_message

from bench import peers
from bench.message import EXPECTED, TEN, siu
from bench.report import best, console, emit, machine, micros, ratio, table
from connectors.hl7v2 import er7

OURS = "dragoman"
FLOOR = "str.split (floor)"


def subjects(raw: bytes) -> dict[str, Callable[[], tuple[str, ...]]]:
    """Each parser as a function that reads the ten fields of `raw`."""
    text = raw.decode()

    def ours() -> tuple[str, ...]:
        message = er7.parse(raw)
        delimiters = message.delimiters
        segments: dict[str, er7.Segment] = {}
        for segment in message.segments:
            segments.setdefault(segment.id, segment)
        return tuple(er7.components(segments[name].field(field), delimiters)[component - 1] if component
                     else segments[name].field(field) for name, field, component in TEN)

    def floor() -> tuple[str, ...]:
        rows = {line[:3]: line.split("|") for line in raw.decode().split("\r")}
        return tuple(rows[name][field - (name == "MSH")].split("^")[component - 1] if component
                     else rows[name][field - (name == "MSH")] for name, field, component in TEN)

    def python_hl7() -> tuple[str, ...]:
        message = hl7.parse(text)
        return tuple(str(message.extract_field(name, 1, field, 1, component) if component
                         else message.segment(name)[field]) for name, field, component in TEN)

    def hl7apy() -> tuple[str, ...]:
        message = parse_message(text, find_groups=False)
        read = []
        for name, field, component in TEN:
            found = getattr(getattr(message, name.lower()), f"{name.lower()}_{field}")[0]
            if component:
                found = getattr(found, f"{found.datatype}_{component}".lower())
            read.append(str(found.to_er7()))
        return tuple(read)

    return {OURS: ours, FLOOR: floor, "hl7 (Python)": python_hl7, "hl7apy (Python)": hl7apy}


def node(raw: bytes) -> dict[str, float]:
    """Microseconds of npm's parsers; empty where there is no Node."""
    folder = peers.npm()
    if folder is None:
        return {}
    work = {"raw": raw.decode(), "ten": TEN, "expected": EXPECTED, "folder": str(folder)}
    done = subprocess.run(["node", str(peers.HERE / "parse.mjs")], input=json.dumps(work), capture_output=True,
                          text=True, check=False)
    if done.returncode or done.stderr:
        console.print(f"[dim]{done.stderr.strip()[:400]}[/dim]")
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def measure() -> dict[str, Any]:
    """Run all and return ``{"bytes": …, "us": {name: microseconds}}``."""
    raw = siu()
    calls = subjects(raw)
    for name, call in calls.items():
        if (read := call()) != EXPECTED:
            sys.exit(f"{name} does not read the ten fields: {read}")
    return {"machine": machine(), "bytes": len(raw), "us": best(calls) | node(raw)}


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    ours = result["us"][OURS]
    rows = [[name, micros(us), f"{1e6 / us:,.0f}/s", ratio(us, ours)]
            for name, us in sorted(result["us"].items(), key=lambda item: item[1])]
    table(f"Parse and read ten fields of one SIU^S12 of {result['bytes']} bytes, one core",
          ["parser", "a message", "rate", "times ours"], rows)


def main(as_json: bool = typer.Option(False, "--json", help="JSON on standard output.")) -> None:
    """Parse and read ten fields, ours and others'."""
    result = measure()
    show(result)
    if as_json:
        emit(result)


if __name__ == "__main__":
    typer.run(main)
