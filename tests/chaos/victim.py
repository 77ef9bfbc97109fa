"""A process to be killed: an engine on SQLite, fed by standard input, that delivers to files.

``python -m tests.chaos.victim DATABASE FOLDER``: every input line is ``KEY NUMBER``. When a message is accepted
it prints ``ack KEY NUMBER``; that line is the acknowledgement. The two destinations are files that outlive it:
``once`` is appended to at each delivery, ``twice`` too, but its reader counts an identity once (as an
idempotent peer does). ``settle`` asks it to say ``settled`` when only people could go on.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from connectors.base import Delivered, Dispatch, Outcome
from router.broker import Envelope
from router.broker_local import LocalBroker
from router.engine import Engine
from store.opening import open_ledger
from store.records import DeliveryState
from tests.router.world import JsonTranslator, TestClock, destination, site, submission

SITE = site(partitions=2, destinations={"twice": destination(idempotent=True), "once": destination()})


class File:
    """A peer that has its effect when the line is in the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None: ...

    async def send(self, dispatch: Dispatch) -> Outcome:
        line = json.dumps({"identity": dispatch.identity, **json.loads(dispatch.body.reveal())}) + "\n"
        with self._path.open("a") as file:
            file.write(line)
        return Delivered(code="AA")


def say(line: str) -> None:
    """To whoever started us, at once: what is not written before a kill was not said."""
    os.write(1, f"{line}\n".encode())


async def heard(envelope: Envelope) -> None:
    """Somebody is bound, so that events take the way through the outbox."""


async def main(database: str, folder: Path) -> None:
    ledger = open_ledger(database, partitions=2, outbox=True)
    await ledger.start()
    broker = LocalBroker()
    broker.subscribe(heard)
    peers = {name: File(folder / name) for name in SITE.destinations}
    engine = Engine(SITE, "rev", ledger, broker, JsonTranslator(), peers, {}, TestClock(),
                    f"victim:{os.getpid()}", lease_s=1.0, sweep_s=0.05)
    await engine.start({})
    say("ready")
    loop = asyncio.get_running_loop()

    async def take(line: str) -> None:
        key, number = line.split()
        sent = submission(visit=key, note=number, dedup=f"{key} {number}".encode())
        receipt = await engine.door.accept(sent)
        if receipt.positive:
            say(f"ack {key} {number}")

    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "settle":
            while True:
                counts = await ledger.counts()
                waiting = counts["messages"].get("received", 0) + counts["outbox"].get("unpublished", 0)
                heads: dict[tuple[str, str], DeliveryState] = {}
                for partition in range(SITE.partitions):
                    for one in await ledger.open_deliveries(partition):
                        heads.setdefault((one.destination, one.lane), one.state)
                if not waiting and set(heads.values()) <= {DeliveryState.PARKED}:
                    break
                await asyncio.sleep(0.02)
            say("settled")
        else:
            await take(line)
    await engine.stop(5.0)
    await ledger.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
