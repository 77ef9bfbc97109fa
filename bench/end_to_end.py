"""One message in over MLLP, two out (HL7 v2 over MLLP, JSON over HTTP), every one durable; closed loop.

The engine runs as its users run it (``dragoman run``): *embedded* is one process on SQLite, *distributed* an
intake process and workers on PostgreSQL and RabbitMQ. Load and sinks are processes on the same cores, so the
figures include them. After each run the count must come out: every acknowledged appointment is at both sinks,
with one effect each, in order per patient; otherwise the exit code is 1.

``--peers`` puts the same load on MLLP servers that store nothing and deliver nothing.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import pika
import psycopg
import typer

from bench import peers, site
from bench.processes import START_SECONDS, BenchError, Engine, helper, load
from bench.report import VAR, console, emit, machine, table
from bench.sampling import spy, top
from store.opening import POSTGRES_PARTITIONS
from tests import services

FOLDER: Final = VAR / "bench"
STALL_SECONDS: Final = 20.0
#: What must be 0 at both sinks for a run to count.
FAULTS: Final = ("missing", "second_effects", "disordered", "unknown", "unacknowledged")


@contextmanager
def backing(mode: str, folder: Path, prefix: str) -> Iterator[dict[str, str]]:
    """Environment that names the database and the broker of a run; both are gone afterwards."""
    if mode == "embedded":
        yield {"DRAGOMAN_DATABASE": f"sqlite:///{folder / 'ledger.sqlite3'}"}
        return
    server, name = services.postgres(), f"dragoman_bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    try:
        yield {"DRAGOMAN_DATABASE": f"{server.rpartition('/')[0]}/{name}",
               "DRAGOMAN_BROKER": services.rabbitmq()}
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'drop database "{name}" with (force)')
        _forget(services.rabbitmq(), prefix)


def _forget(broker: str, prefix: str) -> None:
    """Delete what the engine declared (router/broker_rabbitmq.py names it)."""
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        channel = connection.channel()
        channel.queue_delete(f"{prefix}.workers")
        for partition in range(POSTGRES_PARTITIONS):
            channel.queue_delete(f"{prefix}.partition.{partition}")
        channel.exchange_delete(f"{prefix}.events")
        channel.exchange_delete(f"{prefix}.pressure")


def commands(mode: str, config: Path, workers: int) -> dict[str, list[str]]:
    """What to start, by name."""
    run = [sys.executable, "-m", "app", "run", "--config", str(config)]
    if mode == "embedded":
        return {"engine": run}
    return {"intake": [*run, "--role", "intake"],
            **{f"worker {n + 1}": [*run, "--role", "worker"] for n in range(workers)}}


def measure(mode: str, connections: int, seconds: float, warmup: float, messages: int | None, workers: int,
            profile: bool) -> dict[str, Any]:
    """One run on a fresh engine: load, drain, count."""
    folder = FOLDER / f"{mode}-{connections}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    acknowledged = folder / "acknowledged"
    with ExitStack() as stack:
        prefix = f"bench-{secrets.token_hex(4)}"
        environment = stack.enter_context(backing(mode, folder, prefix))
        sinks = stack.enter_context(helper(sys.executable, "-m", "bench.sinks"))
        port = services.free_port()
        # Distributed workers fill the cores by themselves; embedded needs a second process to use the second core.
        site.write(folder / "config", port=port, prefix=prefix, translators=int(mode == "embedded"), **sinks.ready)
        engine = Engine(commands(mode, folder / "config", workers), {**os.environ, **environment},
                        folder / "engine.log")
        stack.callback(engine.stop)
        engine.await_port(port)
        if mode == "distributed":
            await_workers(environment["DRAGOMAN_DATABASE"], workers)
        profiles = [stack.enter_context(spy(name, pid, folder, seconds + warmup))
                    for name, pid in engine.pids.items() if profile]
        engine.begin()
        began = time.time()
        sent = load(port, connections, seconds, warmup, messages=messages, acknowledged=acknowledged)
        ended = time.time()
        backlog = sent["acknowledged"] - min(sinks.ask("count").values())
        drain(engine, sinks, sent["acknowledged"])
        verdict = sinks.ask(f"verdict {acknowledged}")
        used = engine.used()
    faults = {f"{name}.{fault}": verdict[name][fault] for name in ("mllp", "http") for fault in FAULTS
              if verdict[name][fault]}
    faults |= {name: sent[name] for name in ("refused", "lost") if sent[name]}
    return {
        "mode": mode, "connections": connections, "workers": workers if mode == "distributed" else 0,
        "acknowledged": sent["acknowledged"], "rate": sent["rate"], "p50_ms": sent["p50_ms"],
        "p99_ms": sent["p99_ms"], "max_ms": sent["max_ms"], "backlog": backlog,
        "drain_s": max(verdict["last"] - ended, 0.0),
        "delivered_rate": sent["acknowledged"] / max(verdict["last"] - began, 1e-9),
        "repeated": verdict["mllp"]["repeated"] + verdict["http"]["repeated"],
        "cpu_us": {name: round(seconds / max(sent["acknowledged"], 1) * 1e6) for name, seconds in (
            used["cpu_s"] | {"load": sent["cpu_s"], "sinks": verdict["cpu_s"]}).items()},
        "memory_mib": used["memory_mib"], "faults": faults, "profile": [top(path) for path in profiles],
    }


def await_workers(database: str, workers: int) -> None:
    """Wait until every partition is held and every worker that can have one has one: a start is no load.

    Raises:
        BenchError: it takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    with psycopg.connect(database, autocommit=True) as connection:
        while time.monotonic() < deadline:
            owners = [str(row[0]).rpartition("/")[0] for row in connection.execute("select owner from leases")]
            if len(owners) == POSTGRES_PARTITIONS and len(set(owners)) == min(workers, POSTGRES_PARTITIONS):
                return
            time.sleep(0.1)
    raise BenchError(f"the workers did not share the partitions within {START_SECONDS:.0f} s")


def drain(engine: Engine, sinks: Any, expected: int) -> None:
    """Wait until both sinks have all of it, or nothing has come for a while."""
    seen, moved = -1, time.monotonic()
    while True:
        engine.watch()
        count = min(sinks.ask("count").values())
        if count >= expected:
            return
        if count != seen:
            seen, moved = count, time.monotonic()
        elif time.monotonic() - moved > STALL_SECONDS:
            return
        time.sleep(0.1)


def peer_rates(connections: int, seconds: float) -> dict[str, float]:
    """Messages a second of MLLP servers that acknowledge from memory, the floor of Python among them."""
    subjects = {"this benchmark's own sink (floor)": [sys.executable, "-m", "bench.sinks"],
                "hl7 (Python)": [sys.executable, "-m", "bench.peers.mllp_hl7"]}
    folder = peers.npm()
    if folder is not None:
        subjects |= {f"{name} (Node)": ["node", str(peers.HERE / "mllp.mjs"), name, str(folder)]
                     for name in ("simple-hl7", "@medplum/hl7")}
    rates = {}
    for name, command in subjects.items():
        with helper(*command) as server:
            port = server.ready.get("port") or server.ready["mllp"]
            rates[name] = load(port, connections, seconds, 0.5)["rate"]
    return rates


def _row(run: dict[str, Any]) -> list[str]:
    return [
        run["mode"] + (f", {run['workers']} workers" if run["workers"] else ""), str(run["connections"]),
        f"{run['rate']:,.0f}/s", f"{run['p50_ms']:.1f} ms", f"{run['p99_ms']:.1f} ms",
        f"{run['backlog']:,}", f"{run['drain_s']:.1f} s", f"{run['delivered_rate']:,.0f}/s",
        f"{run['memory_mib']} MiB",
        "\n".join(f"{name} {us:,.0f} µs" for name, us in run["cpu_us"].items()),
        "[red]" + ", ".join(f"{name} {n}" for name, n in run["faults"].items()) + "[/red]" if run["faults"]
        else "[green]accounted for[/green]"]


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    table("One in, two out, durable; closed loop",
          ["engine", "connections", "acknowledged", "p50", "p99", "backlog", "drained in",
           "delivered to both", "memory", "CPU a message", "all"], [_row(run) for run in result["runs"]],
          "accounted for: each acknowledged message is at both sinks, with one effect each, in order per patient.\n"
          "CPU a message: user and system, of each process; where neighbours are loud it tells more than a rate.")
    if result["peers"]:
        table("MLLP servers that acknowledge from memory, 32 connections", ["server", "acknowledged"],
              [[name, f"{rate:,.0f}/s"] for name, rate in sorted(result["peers"].items(), key=lambda i: -i[1])])
    for run in result["runs"]:
        for profile in run["profile"]:
            for kind, meaning in (("own", "of themselves"), ("whole", "with all they call")):
                table(f"{run['mode']}, {run['connections']} connections: functions {meaning}",
                      ["function", "share"], [[name, f"{share:.1%}"] for name, share in profile[kind]],
                      profile["file"])


def run(modes: list[str], connections: list[int], seconds: float, warmup: float, messages: int | None,
        workers: int, with_peers: bool, profile: bool) -> dict[str, Any]:
    """All runs."""
    result: dict[str, Any] = {"machine": machine(), "runs": [], "peers": {}}
    for mode in modes:
        for count in connections:
            with console.status(f"{mode}, {count} connections"):
                result["runs"].append(measure(mode, count, seconds, warmup, messages, workers, profile))
    if with_peers:
        with console.status("peers"):
            result["peers"] = peer_rates(32, min(seconds, 3.0))
    return result


def main(
    mode: Annotated[list[str], typer.Option(help="embedded, distributed; may be repeated.")] = [  # noqa: B006 - typer copies it
        "embedded", "distributed"],
    connections: Annotated[list[int], typer.Option(help="May be repeated.")] = [1, 8, 32],  # noqa: B006 - typer copies it
    duration: Annotated[float, typer.Option(help="Seconds that are measured, a run.")] = 10.0,
    warmup: Annotated[float, typer.Option(help="Seconds before them.")] = 4.0,
    messages: Annotated[int | None, typer.Option(help="Stop a run after so many messages.")] = None,
    workers: Annotated[int, typer.Option(help="Worker processes of the distributed engine.")] = 2,
    with_peers: Annotated[bool, typer.Option("--peers", help="MLLP servers of others, same load.")] = False,
    profile: Annotated[bool, typer.Option("--py-spy", help="Where the engine's time goes; slows it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """One in, two out, durable: rates, latencies, and the count."""
    try:
        result = run(mode, connections, duration, warmup, messages, workers, with_peers, profile)
    except (BenchError, services.ServiceMissing) as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from None
    show(result)
    if as_json:
        emit(result)
    if any(one["faults"] for one in result["runs"]):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
