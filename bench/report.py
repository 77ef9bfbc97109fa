"""Tables for people, JSON for machines, and the small arithmetic of timing."""

from __future__ import annotations

import os
import platform
import sys
import timeit
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT: Final = Path(__file__).parent.parent
#: What a run leaves behind (npm packages, profiles, ledgers): never committed, always safe to delete.
VAR: Final = ROOT / "var"

#: Progress and remarks go to standard error, so that ``--json`` can be piped.
console: Final = Console(stderr="--json" in sys.argv, width=None if sys.stdout.isatty() else 140)


def progress() -> Progress:
    """A bar that shows what is being measured; silent where nobody watches."""
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                    TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(),
            "load": round(os.getloadavg()[0], 2)}


def emit(result: Mapping[str, Any]) -> None:
    """Write a result as JSON to standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(result)).decode() + "\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
    """Print a table: first column left, figures right."""
    shown = Table(title=title, title_justify="left", caption=caption or None, caption_justify="left")
    for number, name in enumerate(columns):
        shown.add_column(name, justify="right" if number else "left")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def best(subjects: Mapping[str, Callable[[], object]], rounds: int = 5,
         seconds: float = 0.2) -> dict[str, float]:
    """Microseconds a call, the best of `rounds`. The rounds of all subjects interleave, so that a busy
    neighbour hits all alike."""
    timers, loops = {}, {}
    for name, call in subjects.items():
        timers[name] = timeit.Timer(call)
        once = max(timers[name].timeit(1), 1e-7)
        loops[name] = max(1, int(seconds / min(once, timers[name].timeit(1) or once)))
    found = dict.fromkeys(subjects, float("inf"))
    with progress() as bar:
        task = bar.add_task("measuring", total=rounds * len(subjects))
        for _ in range(rounds):
            for name, timer in timers.items():
                bar.update(task, description=name)
                found[name] = min(found[name], timer.timeit(loops[name]) / loops[name] * 1e6)
                bar.advance(task)
    return found


def micros(value: float) -> str:
    """A duration of one call: three figures are more than a shared machine can promise."""
    return f"{value:,.0f} µs" if value >= 100 else f"{value:.1f} µs"


def ratio(value: float, ours: float) -> str:
    """How many times ours a figure is."""
    return f"{value / ours:,.2f}" if value < 10 * ours else f"{value / ours:,.0f}"


def quantile(ordered: Sequence[float], q: float) -> float:
    """Nearest-rank quantile of a sorted sequence; 0 for an empty one."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))] if ordered else 0.0
