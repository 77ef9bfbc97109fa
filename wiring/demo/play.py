"""Two EHRs, three partners, faults on purpose; what failed, why, and the replay that mends it."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live

from console.exits import OK, PROBLEMS
from console.output import PIPE_WIDTH
from simulators.downstream import DownstreamHl7
from simulators.ehr import Sent, feed
from simulators.erp import Erp
from simulators.faults import Plan
from simulators.fhir_server import FhirServer
from store.ledger import Ledger
from store.records import DeliveryState
from wiring import database
from wiring.assembly import outline
from wiring.demo import script as scripts
from wiring.demo.picture import Flow, line, look, picture
from wiring.demo.process import EngineFailed, EngineProcess
from wiring.demo.stage import ROOT, Stage, build
from wiring.demo.verify import verify

PROTOCOLS: Final = {"scheduler": "FHIR R4", "harbor": "HL7 v2.3", "staffing": "JSON"}
WAIT_S: Final = 40.0
#: Messages a second of each EHR.
PER_SECOND: Final = 60.0


class Stuck(Exception):  # noqa: N818 - it says what happened
    """The demo did not get where it should; the text says where."""


class Play:
    """One performance. Everything it starts ends with it.

    The engine is a process of its own and every command is typed as a reader would type it; only the partners
    live in this process, so that they can be asked what arrived.
    """

    def __init__(self, stage: Stage, messages: int, screen: Console) -> None:
        self._stage = stage
        self._script = scripts.write(messages)
        self._screen = screen
        self._url = database.address(stage.config, {})
        self._fed: dict[str, list[str]] = {"mercy": [], "lakeside": []}

    async def run(self) -> bool:
        """True where everything arrived, in order, once."""
        ports = self._stage.ports
        async with AsyncExitStack() as partners:
            fhir = await partners.enter_async_context(
                FhirServer(ports["scheduler"], plan=Plan("503:1 for 2s", "429:1 for 3s")))
            harbor = await partners.enter_async_context(DownstreamHl7(ports["harbor"]))
            erp = await partners.enter_async_context(Erp(ports["staffing"]))
            engine = await self._start(partners)
            await self._traffic(engine)
            await self._mend(engine)
            good = await self._verdict(fhir, harbor, erp)
            await engine.stop()
        return good

    async def _traffic(self, engine: EngineProcess) -> None:
        ports = self._stage.ports
        self._title("1. Traffic")
        self._say(f"Dragoman runs as process {engine.pid}. Two EHRs send to ports {ports['mercy']} (HL7 v2.5.1) "
                  f"and {ports['lakeside']} (v2.3).\nThe FHIR scheduler answers 503 and 429 for a while, on purpose; "
                  "one booking has lost its SCH segment, one has a status that no code table knows.")
        await self._watch(self._feed_all)
        self._title("2. What failed, and why")
        await self._dragoman("parked", expect={OK, PROBLEMS})
        self._say("\nThe first of the two, whole:")
        await self._dragoman("show", self._script.unmapped.control_id)
        self._say("\nAnd a booking that the scheduler did not take at once:")
        await self._dragoman("show", await self._retried())

    async def _start(self, partners: AsyncExitStack) -> EngineProcess:
        ports = self._stage.ports
        engine = EngineProcess(self._stage.config, self._stage.log, [ports["mercy"], ports["lakeside"]],
                               environment={database.VARIABLE: self._url})
        await engine.start()
        partners.push_async_callback(engine.stop)
        return engine

    async def _mend(self, engine: EngineProcess) -> None:
        broken, unmapped = self._script.broken, self._script.unmapped
        self._title("3. Mending")
        table = self._stage.mappings / "sites" / "mercy" / "vocab" / "filler_status.yaml"
        head, codes, rows = table.read_text(encoding="utf-8").partition("codes:\n")
        table.write_text(f"{head}{codes}{scripts.NEW_ROW}{rows}", encoding="utf-8")
        self._say(f"The analyst adds the missing row to {_short(table)} and restarts the engine, which "
                  f"checks every table before it starts:\n{scripts.NEW_ROW.rstrip()}")
        await engine.stop()
        await engine.start()
        await self._dragoman("replay", "--channel", "mercy", "--code", "map.unmapped")
        await self._dragoman("replay", "--channel", "mercy", "--code", "map.unmapped", "--yes", "--reason",
                             f"{unmapped.control_id}: the status has a row now")
        self._say("\nThe booking without its SCH segment cannot be mended here: the EHR sends it once more, and the "
                  "broken one is given up.")
        await self._feed("mercy", [self._script.corrected])
        await self._dragoman("skip", broken.control_id, "--reason", "the EHR has sent a corrected booking")
        await self._watch(None)

    async def _verdict(self, fhir: FhirServer, harbor: DownstreamHl7, erp: Erp) -> bool:
        self._title("4. Counted at the partners")
        async with self._ledger() as ledger:
            acknowledged = [one for control_ids in self._fed.values() for one in control_ids]
            checks = await verify(ledger, acknowledged, fhir, harbor.sink, erp.sink)
        for check in checks:
            self._screen.print(f"{'✓' if check.holds else '✗'} {check.text}", style="green" if check.holds else "red",
                               markup=False)
        waiting = await self._dragoman("parked", expect={OK, PROBLEMS})
        audited = await self._dragoman("audit", "verify")
        return all(check.holds for check in checks) and waiting == audited == OK

    async def _retried(self) -> str:
        """A message whose delivery to the scheduler needed more than one attempt."""
        async with self._ledger() as ledger:
            for delivery in await ledger.find_deliveries(destination="scheduler",
                                                         state=DeliveryState.DELIVERED):
                if await ledger.attempts([delivery.id]):
                    return delivery.id.partition(".")[0]
        raise Stuck("the scheduler took everything at once, though it was told not to")

    def _ledger(self) -> AbstractAsyncContextManager[Ledger]:
        partitions = outline(self._stage.config).partitions
        return database.existing(self._stage.config, self._url, partitions=partitions, outbox=False)

    async def _feed_all(self) -> None:
        await asyncio.gather(self._feed("mercy", self._script.mercy), self._feed("lakeside", self._script.lakeside))

    async def _feed(self, name: str, messages: Sequence[Sent]) -> None:
        tally = await feed(messages, "127.0.0.1", self._stage.ports[name], connections=4, per_second=PER_SECOND)
        self._fed[name] += tally.acknowledged
        if tally.accepted != len(messages):
            raise Stuck(f"{name}: only {tally.accepted} of {len(messages)} messages were acknowledged with AA")

    async def _watch(self, work: Callable[[], Awaitable[None]] | None) -> None:
        """Show the flow until the work is done and nothing moves any more."""
        async with self._ledger() as ledger:
            task = asyncio.ensure_future(work()) if work is not None else None
            quiet = 0
            with Live(console=self._screen, auto_refresh=False, transient=False) as live:
                async with asyncio.timeout(WAIT_S):
                    for round_ in range(10_000):
                        flow = await look(ledger, self._fed)
                        self._show(live, flow, round_)
                        done = task is None or task.done()
                        quiet = quiet + 1 if done and self._quiet(flow) else 0
                        if quiet >= 2:
                            break
                        await asyncio.sleep(0.3)
            self._screen.print() if self._screen.is_terminal else self._say(line(flow))
            if task is not None:
                await task

    def _show(self, live: Live, flow: Flow, round_: int) -> None:
        if self._screen.is_terminal:
            live.update(picture(flow, PROTOCOLS), refresh=True)
        elif round_ % 5 == 0:
            self._say(line(flow))

    @staticmethod
    def _quiet(flow: Flow) -> bool:
        """Nothing moves but what waits behind a parked delivery of its lane."""
        if flow.settled:
            return True
        return bool(flow.deliveries) and all(
            not flow.count(name, DeliveryState.INFLIGHT)
            and (not flow.count(name, DeliveryState.PENDING) or flow.count(name, DeliveryState.PARKED))
            for name in flow.deliveries) and not flow.messages.get("received")

    async def _dragoman(self, *arguments: str, expect: frozenset[int] | set[int] = frozenset({OK})) -> int:
        """One command, as the reader would type it."""
        self._say(f"\n$ dragoman {shlex.join(arguments)}")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", *arguments, "--config", str(self._stage.config), cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env=self._environment())
        output, _ = await process.communicate()
        lines = output.decode(errors="replace").rstrip().splitlines()
        self._screen.out("\n".join(line.rstrip() for line in lines), highlight=False)
        assert process.returncode is not None
        if process.returncode not in expect:
            raise Stuck(f"dragoman {arguments[0]} ended with {process.returncode}")
        return process.returncode

    def _environment(self) -> dict[str, str]:
        width = self._screen.width if self._screen.is_terminal else PIPE_WIDTH
        return {**os.environ, database.VARIABLE: self._url, "COLUMNS": str(width)}

    def _title(self, text: str) -> None:
        self._screen.print(f"\n{text}", style="bold")

    def _say(self, text: str) -> None:
        self._screen.print(text, markup=False, soft_wrap=True)


async def play(messages: int, folder: Path | None = None) -> bool:
    """Play the demo on standard output. True where everything arrived, in order, once.

    Args:
        messages: of each EHR.
        folder: made anew for it; ``var/demo`` of the checkout where none is given.
    """
    screen = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    stage = build(folder.resolve() if folder else ROOT / "var" / "demo")
    try:
        good = await Play(stage, messages, screen).run()
    except (Stuck, EngineFailed, TimeoutError) as stuck:
        screen.print(f"\nThe demo got stuck: {stuck or 'nothing moved any more'}", style="red", markup=False)
        screen.print(f"The engine's log is {_short(stage.log)}", markup=False)
        return False
    screen.print("\nEverything arrived, in order and once. Nothing is left running; the ledger stays:" if good
                 else "\nNot everything is as it should be: see the lines marked ✗.", style="bold")
    config = _short(stage.config)
    for command, what in (
            (f"dragoman messages --config {config}", "what came, and what became of it"),
            (f"dragoman audit list --config {config}", "who did what, when and why"),
            ("dragoman explain siu --site mercy", "the table that read Mercy's bookings, every cell with its line"),
            ("dragoman run --config config/demo", "the same site for real; dragoman simulate plays its partners")):
        screen.print(f"  {command:60} {what}", markup=False, soft_wrap=True)
    return good


def _short(path: Path) -> Path:
    """As a reader in the checkout would write it."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
