"""The broker and the database restart under load, one intake and two workers keep their promises (1, 4, 7, 8).

The servers are ours alone (`tests.services.disposable`), so that a restart disturbs nobody else's test.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from pathlib import Path

import psycopg
import pytest

from simulators.ehr import Ehr, Tally, feed
from store.ledger import Ledger
from tests import services
from tests.e2e.harness import Partners, engine, everything_arrived, ledger, settled, until
from tests.services import PostgresServer, RabbitServer, Server
from wiring import database
from wiring.demo.process import EngineProcess
from wiring.demo.stage import Stage, build
from wiring.running import BROKER_VARIABLE

pytestmark = [
    pytest.mark.slow, pytest.mark.postgres, pytest.mark.rabbitmq, pytest.mark.timeout(600),
    pytest.mark.skipif(services.postgres_program("initdb") is None, reason="no PostgreSQL programs to restart"),
    pytest.mark.skipif(services.rabbitmq_program() is None, reason="no RabbitMQ programs to restart"),
]

#: ``make chaos`` raises it: so many times as many restarts, under as much more load.
ROUNDS = int(os.environ.get("DRAGOMAN_CHAOS_ROUNDS", "1"))
#: Of each EHR, a round: sending goes on for longer than a round's restarts take.
COUNT = 180
PER_SECOND = 25


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with services.disposable(PostgresServer) as server:
        yield server


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[Server]:
    with services.disposable(RabbitServer) as server:
        yield server


@asynccontextmanager
async def distributed(stage: Stage, settings: dict[str, str]) -> AsyncIterator[list[EngineProcess]]:
    """One intake and two workers."""
    workers = [EngineProcess(stage.config, stage.log, [], arguments=["--role", "worker"], environment=settings)
               for _ in range(2)]
    async with AsyncExitStack() as stack:
        intake = await stack.enter_async_context(engine(stage, "--role", "intake", more=settings))
        for worker in workers:
            stack.push_async_callback(worker.stop)
            await worker.start()
        # A worker listens nowhere: its log says that it has started, and is not away with the database.
        await until(lambda: stage.log.read_text(encoding="utf-8").count('"event": "running"') == 1 + len(workers))
        yield [intake, *workers]


async def sent_while(stage: Stage, disturbances: Sequence[Callable[[], None]], seed: int) -> list[Tally]:
    """Both EHRs send; what is not acknowledged they send again. The disturbances come in the thick of it."""
    feeds = asyncio.gather(*[
        feed(islice(Ehr(style, seed=seed).histories(wave=40), COUNT * ROUNDS), "127.0.0.1", stage.ports[style],
             connections=8, per_second=PER_SECOND, attempts=400, timeout_s=5)
        for style in ("mercy", "lakeside")])
    try:
        for disturb in [*disturbances] * ROUNDS:
            await asyncio.sleep(1.5)
            assert not feeds.done(), "everything was sent before the restart"
            await asyncio.to_thread(disturb)
        return await feeds
    finally:
        feeds.cancel()


def again(server: Server, end: Callable[[], None]) -> Callable[[], None]:
    """End a server in a certain way and start it."""
    def disturb() -> None:
        end()
        server.start()

    return disturb


@pytest.mark.parametrize("which", ["rabbitmq", "postgres"])
async def test_a_server_that_restarts_under_load_costs_no_message_and_no_order(
        which: str, tmp_path: Path, postgres: Server, rabbitmq: Server) -> None:
    """Acknowledged is accounted for, in order per key, one effect each. The database stops once in good order,
    and once as in a power cut."""
    ways = {"rabbitmq": [again(rabbitmq, rabbitmq.stop)],
            "postgres": [again(postgres, postgres.stop), again(postgres, postgres.kill)]}
    stage = build(tmp_path / "stage")
    site = stage.config / "site.yaml"
    site.write_text(f"{site.read_text(encoding='utf-8')}\nbroker: {{prefix: {which}-restarts}}\n", encoding="utf-8")
    url = await asyncio.to_thread(new_database, postgres.url, which)
    settings = {database.VARIABLE: url, BROKER_VARIABLE: rabbitmq.url}
    async with Partners(stage) as partners, distributed(stage, settings):
        tallies = await sent_while(stage, ways[which], seed=len(which))
        acknowledged = [one for tally in tallies for one in tally.acknowledged]
        assert [(tally.accepted, tally.given_up) for tally in tallies] == [(COUNT * ROUNDS, [])] * 2
        async with ledger(stage, url) as opened:
            await settled(opened, len(set(acknowledged)))
            await everything_arrived(opened, acknowledged, partners)
            counts = await opened.counts()
            assert sum(counts["messages"].values()) == len(set(acknowledged)), "a resend became a second message"
            await until(lambda: published(opened))  # the outbox rings later, but it rings
            assert (await opened.verify_audit())[1] is None


async def published(opened: Ledger) -> bool:
    """Every event has reached the broker."""
    return not (await opened.counts())["outbox"].get("unpublished")


def new_database(server: str, name: str) -> str:
    """A database on a server that is gone after the tests."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "restarts_{name}"')
    return f"{server.rpartition('/')[0]}/restarts_{name}"
