"""Where a running process spends its time, seen from outside by py-spy."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_ROOM: Final = re.compile(r"\((?:connectors|mapper|router|store|wiring|canonical)/")


@contextmanager
def spy(name: str, pid: int, folder: Path, seconds: float) -> Iterator[Path]:
    """Sample a process with py-spy; the file holds collapsed stacks (speedscope and flamegraph.pl read it)."""
    path = folder / f"profile-{name.replace(' ', '-')}.txt"
    command = [str(Path(sys.executable).parent / "py-spy"), "record", "--nonblocking", "--function", "--format", "raw",
               "--rate", "200", "--duration", str(max(1, round(seconds))), "--output", str(path),
               "--pid", str(pid)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield path
    finally:
        process.wait(timeout=30)


def top(path: Path, count: int = 15) -> dict[str, Any]:
    """Where a profile spent its samples: functions by their own share, and ours by that of all they call."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in path.read_text().splitlines() if path.exists() else ():
        stack, _, samples = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(samples)
        for frame in set(frames):
            whole[frame] += int(samples)
    total = max(own.total(), 1)
    ours = [name for name, _ in whole.most_common() if _ROOM.search(name)][:count]
    return {"file": str(path),
            "own": [(name, round(samples / total, 3)) for name, samples in own.most_common(count)],
            "whole": [(name, round(whole[name] / total, 3)) for name in ours]}
