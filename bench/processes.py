"""The processes of a run: started here, measured from outside, ended here and nowhere else."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from bench.report import ROOT

START_SECONDS = 30.0


class BenchError(Exception):
    """A process did not do what the run needs; the text says which and why."""


def load(port: int, connections: int, seconds: float, warmup: float, *, messages: int | None = None,
         acknowledged: Path | None = None) -> dict[str, Any]:
    """Run the load generator to its end and return its summary."""
    command = [sys.executable, "-m", "bench.load", str(port), "--connections", str(connections),
               "--seconds", str(seconds), "--warmup", str(warmup)]
    command += [] if messages is None else ["--messages", str(messages)]
    command += [] if acknowledged is None else ["--acknowledged", str(acknowledged)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False,
                          timeout=seconds + warmup + 60)
    if done.returncode:
        raise BenchError(f"the load generator failed: {done.stderr.strip()[-2000:]}")
    return dict(json.loads(done.stdout))


class Helper:
    """A child that prints one JSON line when it is ready and ends with its standard input."""

    def __init__(self, command: Sequence[str]) -> None:
        self._name = " ".join(command[1:])
        self._process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)
        self.ready = self._answer()

    def ask(self, question: str) -> dict[str, Any]:
        """One question, one JSON answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"{self._name} ended")
        return dict(json.loads(line))

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=10)


@contextlib.contextmanager
def helper(*command: str) -> Iterator[Helper]:
    """A helper for the time of a block."""
    process = Helper(command)
    try:
        yield process
    finally:
        process.close()


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Engine:
    """The processes of one Dragoman, and what they use."""

    def __init__(self, commands: Mapping[str, Sequence[str]], environment: Mapping[str, str],
                 log: Path) -> None:
        self._log = log
        self._peak = 0
        with log.open("w") as output:
            self._processes = {
                name: psutil.Popen(command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=subprocess.STDOUT)
                for name, command in commands.items()}
        self._cpu_before: dict[str, float] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: process.pid for name, process in self._processes.items()}

    def await_port(self, port: int) -> None:
        """Wait until the engine listens."""
        until = time.monotonic() + START_SECONDS
        while True:
            self.check()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if time.monotonic() > until:
                raise BenchError(f"the engine does not listen; its log: {self._log}")
            time.sleep(0.1)

    def check(self) -> None:
        """Raise where a process has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                tail = self._log.read_text()[-2000:]
                raise BenchError(f"{name} ended with code {process.returncode}:\n{tail}")

    def begin(self) -> None:
        """Start counting: what starting up cost is left out."""
        self._cpu_before = self._cpu()
        self.watch()

    def watch(self) -> None:
        """Look at the memory; call it often."""
        self.check()
        self._peak = max(self._peak, sum(process.memory_info().rss for process in self._family()))

    def used(self) -> dict[str, Any]:
        """CPU seconds by process since `begin`, peak memory of all together in MiB."""
        now = self._cpu()
        return {"cpu_s": {name: round(now[name] - self._cpu_before.get(name, 0.0), 2) for name in now},
                "memory_mib": round(self._peak / 2**20)}

    def _cpu(self) -> dict[str, float]:
        """CPU seconds of each process, and of what each has started besides (its translators)."""
        spent = {}
        for name, process in self._processes.items():
            spent[name] = _seconds(process)
            if children := process.children(recursive=True):
                spent[f"{name}'s translators"] = sum(map(_seconds, children))
        return spent

    def _family(self) -> list[psutil.Process]:
        return [one for process in self._processes.values()
                for one in (process, *process.children(recursive=True))]

    def stop(self) -> None:
        """Ask all to stop; insist after a while."""
        running = [process for process in self._processes.values() if process.poll() is None]
        for process in running:
            process.terminate()
        for stubborn in psutil.wait_procs(running, timeout=20)[1]:
            stubborn.kill()
            stubborn.wait()
