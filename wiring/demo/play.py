"""demo: two EHRs, three partners, two faults; what failed, why, and the replay that mends it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live

from console.exits import OK, PROBLEMS
from console.frame import finish
from simulators.downstream import DownstreamHl7
from simulators.ehr import feed
from simulators.erp import Erp
from simulators.faults import Plan
from simulators.fhir_server import FhirServer
from store.records import DeliveryState
from wiring import database
from wiring.demo import script as scripts
from wiring.demo.picture import Flow, line, look, picture
from wiring.demo.process import EngineFailed, EngineProcess
from wiring.demo.stage import ROOT, Stage, build

PROTOCOLS: Final = {"scheduler": "FHIR R4", "harbor": "HL7 v2.3", "staffing": "JSON"}
WAIT_S: Final = 40.0
#: Lines shown of a command's screen.
LINES: Final = 30


class Stuck(Exception):  # noqa: N818 - it says what happened
    """The demo did not get where it should; the text says where."""


class Play:
    """One performance. Everything it starts ends with it."""

    def __init__(self, stage: Stage, messages: int, screen: Console) -> None:
        self._stage = stage
        self._script = scripts.write(messages)
        self._screen = screen
        self._environment = {database.VARIABLE: f"sqlite:///{stage.folder / 'ledger.sqlite3'}"}
        self._acknowledged = {"mercy": 0, "lakeside": 0}
        self._settled = False

    async def run(self) -> bool:
        """True where everything arrived, in order, once."""
        ports = self._stage.ports
        async with AsyncExitStack() as partners:
            fhir = await partners.enter_async_context(
                FhirServer(ports["scheduler"], plan=Plan("503:1 for 3s", "429:1 for 5s")))
            harbor = await partners.enter_async_context(DownstreamHl7(ports["harbor"]))
            erp = await partners.enter_async_context(Erp(ports["staffing"]))
            engine = await self._start(partners)
            self._say(f"Dragoman runs (pid {engine.pid}): HL7 v2 in on ports {ports['mercy']} and "
                      f"{ports['lakeside']}. The FHIR scheduler answers 503 and 429 for a while, on purpose.")
            await self._watch(self._feed_all)
            self._say("\nTwo messages went wrong on purpose. What waits for a person, and why:")
            await self._dragoman("parked", expect={OK, PROBLEMS})
            await self._dragoman("show", self._script.unmapped.control_id)
            await self._mend(engine)
            self._say("\nWhat is left waiting:")
            waiting = await self._dragoman("parked", expect={OK, PROBLEMS})
            audited = await self._dragoman("audit", "verify")
            await engine.stop()
            repeated = [*fhir.sink.repeated(), *harbor.sink.repeated(), *erp.sink.repeated()]
            self._say(f"\nAt the partners: {fhir.sink.count} at the scheduler, {harbor.sink.count} at harbor, "
                      f"{erp.sink.count} at staffing; {len(repeated)} second effects.")
            return waiting == OK and audited == OK and not repeated

    async def _start(self, partners: AsyncExitStack) -> EngineProcess:
        ports = self._stage.ports
        engine = EngineProcess(self._stage.config, self._stage.log, [ports["mercy"], ports["lakeside"]],
                               environment=self._environment)
        await engine.start()
        partners.push_async_callback(engine.stop)
        return engine

    async def _mend(self, engine: EngineProcess) -> None:
        broken, unmapped = self._script.broken, self._script.unmapped
        self._say("\nThe analyst adds the missing row to Mercy's code table and restarts the engine with it:\n"
                  f"{scripts.NEW_ROW}")
        table = self._stage.mappings / "sites" / "mercy" / "vocab" / "filler_status.yaml"
        text = table.read_text(encoding="utf-8").rstrip("\n")
        head, codes, rows = text.partition("codes:\n")
        table.write_text(f"{head}{codes}{scripts.NEW_ROW}{rows}\n", encoding="utf-8")
        await engine.stop()
        await engine.start()
        self._say("A dry run of the replay, then the replay:")
        await self._dragoman("replay", unmapped.control_id)
        await self._dragoman("replay", unmapped.control_id, "--yes", "--reason", "status TENT has a row now")
        self._say("\nThe booking without its SCH segment is given up; its EHR has sent a corrected one:")
        await self._dragoman("skip", broken.control_id, "--reason", "the EHR sends a corrected booking")
        tally = await feed([self._script.corrected], "127.0.0.1", self._stage.ports["mercy"])
        self._acknowledged["mercy"] += tally.accepted
        await self._watch(None)

    async def _feed_all(self) -> None:
        ports, script = self._stage.ports, self._script
        tallies = await asyncio.gather(
            feed(script.mercy, "127.0.0.1", ports["mercy"], connections=4, per_second=60),
            feed(script.lakeside, "127.0.0.1", ports["lakeside"], connections=4, per_second=60))
        for name, tally in zip(self._acknowledged, tallies, strict=True):
            self._acknowledged[name] += tally.accepted
            if tally.given_up:
                raise Stuck(f"{name}: {len(tally.given_up)} messages were not acknowledged")

    async def _watch(self, work: Callable[[], Awaitable[None]] | None) -> None:
        """Show the flow until the work is done and nothing moves any more."""
        url = self._environment[database.VARIABLE]
        async with database.existing(self._stage.config, url, partitions=16, outbox=False) as ledger:
            task = asyncio.ensure_future(work()) if work is not None else None
            quiet = 0
            with Live(console=self._screen, auto_refresh=False, transient=False) as live:
                async with asyncio.timeout(WAIT_S):
                    for round_ in range(10_000):
                        flow = await look(ledger, self._acknowledged)
                        self._show(live, flow, round_)
                        done = task is None or task.done()
                        quiet = quiet + 1 if done and self._quiet(flow) else 0
                        if quiet >= 3:
                            break
                        await asyncio.sleep(0.4)
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
        self._say(f"\n$ dragoman {' '.join(arguments)}")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", *arguments, "--config", str(self._stage.config), cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, env=self._all_environment())
        output, _ = await process.communicate()
        lines = output.decode(errors="replace").rstrip().splitlines()
        self._screen.out("\n".join(lines[:LINES]), highlight=False)
        if len(lines) > LINES:
            self._say(f"… {len(lines) - LINES} lines more")
        assert process.returncode is not None
        if process.returncode not in expect:
            raise Stuck(f"dragoman {arguments[0]} ended with {process.returncode}")
        return process.returncode

    def _all_environment(self) -> dict[str, str]:
        return {**os.environ, **self._environment, "COLUMNS": "160"}

    def _say(self, text: str) -> None:
        self._screen.print(text, markup=False, soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def demo(messages: Annotated[int, typer.Option(min=40, max=5000, help="Of each EHR.")] = 150) -> None:
        """Play the main job on the embedded default: real protocols, simulated partners, faults on purpose."""
        screen = Console(highlight=False)
        play = Play(build(ROOT / "var" / "demo"), messages, screen)
        try:
            good = asyncio.run(play.run())
        except (Stuck, EngineFailed, TimeoutError) as stuck:
            screen.print(f"the demo got stuck: {stuck or 'nothing moved any more'}; see var/demo/engine.log",
                         markup=False)
            good = False
        screen.print("Everything arrived, in order and once." if good else "Not everything is as it should be.")
        screen.print("Next: dragoman check, dragoman show ID --config var/demo/config/demo, dragoman --help")
        finish(OK if good else PROBLEMS)
