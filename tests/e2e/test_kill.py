"""kill -9 of the whole engine under load, then count (invariants 1, 2, 4, 5, 7, 8)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice

import pika
import psycopg
import pytest

from simulators.ehr import Ehr, Tally, feed
from tests.e2e.harness import Partners, engine, everything_arrived, ledger, settled
from wiring import database
from wiring.demo.process import EngineProcess
from wiring.demo.stage import Stage
from wiring.running import BROKER_VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Of each EHR.
COUNT = 200


@asynccontextmanager
async def load(stage: Stage) -> AsyncIterator[asyncio.Future[list[Tally]]]:
    """Both EHRs, sending; they send again what is not acknowledged, for as long as an engine takes to start."""
    feeds = asyncio.gather(*[
        feed(islice(Ehr(style, seed=seed).histories(wave=40), COUNT), "127.0.0.1", stage.ports[style],
             connections=8, per_second=80, attempts=200, timeout_s=5)
        for style, seed in (("mercy", 31), ("lakeside", 32))])
    try:
        yield feeds
    finally:
        feeds.cancel()


async def count(stage: Stage, partners: Partners, tallies: list[Tally], url: str = "") -> None:
    acknowledged = [one for tally in tallies for one in tally.acknowledged]
    assert [(tally.accepted, tally.given_up) for tally in tallies] == [(COUNT, [])] * 2
    async with ledger(stage, url) as opened:
        await settled(opened, len(set(acknowledged)))
        await everything_arrived(opened, acknowledged, partners)
        assert sum((await opened.counts())["messages"].values()) == len(set(acknowledged)), "no message twice"
        assert (await opened.verify_audit())[1] is None


async def test_an_engine_killed_under_load_loses_nothing_and_repeats_nothing(stage: Stage) -> None:
    async with Partners(stage) as partners, engine(stage) as process, load(stage) as feeds:
        for _ in range(2):
            await asyncio.sleep(1.5)
            await process.kill()
            await process.start()
        await count(stage, partners, await feeds)


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[str]:
    """A database of its own."""
    name = f"dragoman_e2e_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    yield f"{postgres_url.rpartition('/')[0]}/{name}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def prefix(rabbitmq_url: str) -> Iterator[str]:
    """Queues of its own."""
    name = f"e2e-{secrets.token_hex(4)}"
    yield name
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url))
    channel = connection.channel()
    for queue in (f"{name}.workers", *[f"{name}.partition.{number}" for number in range(16)]):
        channel.queue_delete(queue)
    channel.exchange_delete(f"{name}.events")
    channel.exchange_delete(f"{name}.pressure")
    connection.close()


@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_workers_and_intake_killed_under_load_lose_nothing(
        stage: Stage, postgres: str, prefix: str, rabbitmq_url: str) -> None:
    """The same on PostgreSQL and RabbitMQ, with one intake and two workers."""
    site = stage.config / "site.yaml"
    site.write_text(f"{site.read_text(encoding='utf-8')}\nbroker: {{prefix: {prefix}}}\n", encoding="utf-8")
    settings = {database.VARIABLE: postgres, BROKER_VARIABLE: rabbitmq_url}

    def worker() -> EngineProcess:
        return EngineProcess(stage.config, stage.log, [], arguments=["--role", "worker"], environment=settings)

    workers = [worker(), worker()]
    async with Partners(stage) as partners, engine(stage, "--role", "intake", more=settings) as intake:
        try:
            for one in workers:
                await one.start()
            async with load(stage) as feeds:
                await asyncio.sleep(4)
                await workers[0].kill()
                await asyncio.sleep(1)
                await intake.kill()
                await intake.start()
                await workers[0].start()
                await count(stage, partners, await feeds, postgres)
        finally:
            for one in workers:
                await one.stop()
