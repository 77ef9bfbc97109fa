"""The pictures in the README: real screens of a real run, as SVG. ``python -m bench.pictures`` draws them anew.

The demo's site runs with its partners, one destination fails for a while, two messages are broken; then the
commands a support person would type are rendered by the same views and screens as on a terminal.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType
from rich.terminal_theme import MONOKAI

from app import WiredHouse
from canonical.clock import SystemClock
from console.screens import journey as journey_screen
from console.screens import parked as parked_screen
from console.views.journey import journey
from console.views.messages import message_list
from console.views.parked import parked_view
from simulators.downstream import DownstreamHl7
from simulators.ehr import Sent, feed
from simulators.erp import Erp
from simulators.faults import Plan
from simulators.fhir_server import FhirServer
from store.ledger import Ledger
from store.records import Message, MessageQuery, MessageState
from wiring import database
from wiring.demo import script
from wiring.demo.picture import Flow, look, picture
from wiring.demo.play import PROTOCOLS
from wiring.demo.process import EngineProcess
from wiring.demo.stage import ROOT, Stage, build

FOLDER: Final = ROOT / "docs" / "img"
#: Columns of a picture, and messages of each EHR.
WIDTH: Final = 118
MESSAGES: Final = 60
LIMIT_S: Final = 60.0
_FONT: Final = re.compile(r"@font-face \{[^}]*\}")


def draw(name: str, title: str, screen: RenderableType) -> str:
    """One screen as SVG that asks no other host for anything: fonts are those of the reader."""
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, highlight=False, emoji=False,
                          force_terminal=True, color_system="truecolor")
        console.print(screen)
    text = _FONT.sub("", console.export_svg(title=title, theme=MONOKAI, unique_id=f"dragoman-{name}"))
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"


def _keep(name: str, title: str, screen: RenderableType) -> None:
    (FOLDER / f"{name}.svg").write_text(draw(name, title, screen), encoding="utf-8")


async def _play(stage: Stage, ledger: Ledger, told: script.Script) -> Flow:
    """Feed both EHRs until nothing moves; the flow as it was while a destination was failing."""
    async def from_(name: str, messages: Sequence[Sent]) -> None:
        await feed(messages, "127.0.0.1", stage.ports[name], connections=4, per_second=30.0)

    feeding = asyncio.gather(from_("mercy", told.mercy), from_("lakeside", told.lakeside))
    fed = {name: [message.control_id for message in messages]
           for name, messages in (("mercy", told.mercy), ("lakeside", told.lakeside))}
    failing: Flow | None = None
    async with asyncio.timeout(LIMIT_S):
        while True:
            flow = await look(ledger, fed)
            if flow.trouble and flow.messages.get("parked"):
                failing = flow
            if feeding.done() and flow.settled:
                break
            await asyncio.sleep(0.2)
    await feeding
    return failing or flow


async def _retried(ledger: Ledger) -> Message:
    """A message that a destination did not take at once; the one with most to show."""
    found: list[tuple[int, Message]] = []
    for one in await ledger.find(MessageQuery(destination="scheduler", limit=1000)):
        deliveries = await ledger.deliveries([one.seq])
        if len(await ledger.attempts([each.id for each in deliveries])) > 1:
            found.append((len(deliveries), one))
    return max(found, key=lambda each: each[0])[1]


async def _screens(stage: Stage, ledger: Ledger, told: script.Script, flow: Flow) -> None:
    _keep("flow", "dragoman demo", picture(flow, PROTOCOLS))
    held = await message_list(ledger, MessageQuery(state=MessageState.RECEIVED, limit=1000), held_only=True)
    _keep("parked", "dragoman parked", parked_screen.parked(await parked_view(ledger, len(held.messages))))
    now, explainer = SystemClock().now(), WiredHouse().explainer(stage.config)
    for name, message in (("show", await _retried(ledger)),
                          ("show-parked", await ledger.message(told.unmapped.control_id))):
        assert message is not None
        view = await journey(ledger, message, explainer, now, reveal=False)
        _keep(name, f"dragoman show {message.control_id}", journey_screen.journey(view))


async def main() -> None:
    """Play, look, draw."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        stage = build(Path(folder))
        told = script.write(MESSAGES)
        url = database.address(stage.config, {})
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(FhirServer(stage.ports["scheduler"], plan=Plan("503:1 for 2s")))
            await stack.enter_async_context(DownstreamHl7(stage.ports["harbor"]))
            await stack.enter_async_context(Erp(stage.ports["staffing"]))
            engine = EngineProcess(stage.config, stage.log, [stage.ports["mercy"], stage.ports["lakeside"]],
                                   environment={database.VARIABLE: url})
            await engine.start()
            stack.push_async_callback(engine.stop)
            ledger = await stack.enter_async_context(
                database.existing(stage.config, url, partitions=16, outbox=False))
            await _screens(stage, ledger, told, await _play(stage, ledger, told))


if __name__ == "__main__":
    asyncio.run(main())
