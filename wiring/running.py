"""A site as a process: everything opened in order, run until a signal, closed in the opposite order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from canonical.clock import SystemClock
from canonical.findings import Rejection, finding
from connectors.base import Resumes
from mapper.document import located
from router.broker import Broker
from router.broker_local import LocalBroker
from router.engine import Engine, Role
from store.ledger import Ledger
from wiring import database
from wiring.application_acks import acknowledgers
from wiring.assembly import SITE_FILE, Assembly, assemble, scorers
from wiring.bureau.letters import Opening
from wiring.bureau.pool import Pool
from wiring.codes import BROKER, DISTRIBUTED, METRICS_PORT
from wiring.collector import spare_the_collector
from wiring.hours import Hours, Watch
from wiring.house import Doors, Inside
from wiring.metrics import HOST, MetricsServer
from wiring.partners import finish
from wiring.recall import recall

BROKER_VARIABLE: Final = "DRAGOMAN_BROKER"
#: Seconds that work under way may take when the process is asked to stop.
GRACE_S: Final = 10.0


def broker_of(prefix: str, partitions: int, owner: str, environment: Mapping[str, str]) -> Broker:
    """RabbitMQ where the variable names one, else doorbells within the process.

    Raises:
        Rejection: the address is of no known kind.
    """
    url = environment.get(BROKER_VARIABLE, "")
    if not url:
        return LocalBroker()
    if not url.startswith(("amqp://", "amqps://")):
        raise Rejection(finding(BROKER, row=BROKER_VARIABLE, detail="not an AMQP address"))
    from router.broker_rabbitmq import RabbitBroker  # pika is only needed where there is a broker

    return RabbitBroker(url, prefix=prefix, partitions=partitions, owner=owner)


def check_role(role: Role, environment: Mapping[str, str]) -> None:
    """A role of its own only makes sense between several processes.

    Raises:
        Rejection: there is no broker.
    """
    if role is not Role.ALL and not environment.get(BROKER_VARIABLE):
        raise Rejection(finding(DISTRIBUTED, row=f"--role {role.value}",
                                detail=f"{BROKER_VARIABLE} is not set"))


@asynccontextmanager
async def running(assembly: Assembly, role: Role, environment: Mapping[str, str]) -> AsyncIterator[Engine]:
    """The site, started; stopped when the block ends.

    Raises:
        Rejection: something cannot be had; nothing stays started.
    """
    check_role(role, environment)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    url = database.address(assembly.folder, environment)
    database.prepare(url)
    async with AsyncExitStack() as stack:
        ledger: Ledger = await database.start(url, partitions=assembly.site.partitions,
                                              outbox=BROKER_VARIABLE in environment)
        stack.push_async_callback(ledger.stop)
        broker = broker_of(assembly.site.broker.prefix, ledger.partitions, owner, environment)
        # Messages are marked with the tables that read them, decisions with tables and rules together.
        await ledger.keep_revision(assembly.library.revision, assembly.library.files)
        await ledger.keep_revision(assembly.revision, assembly.files)
        doors = Doors()
        senders = assembly.senders(lambda name, destination: Inside(
            ledger, name, destination.responses, doors)) if role.works else {}
        engine = Engine(assembly.site, assembly.revision, ledger, broker, assembly.translator, senders,
                        scorers(), SystemClock(), owner, role=role, marks=assembly.loaded.marks,
                        bureau=await _bureau(stack, assembly, role), peeking=assembly.peeking(),
                        hearing=assembly.hearing(ledger), finish=finish, downtime=assembly.downtime(),
                        terms=assembly.terms())
        doors.opened(engine.door.accept)
        receivers = assembly.receivers(engine.door.accept, engine.door.report, ledger) if role.takes else {}
        for name, receiver in receivers.items():
            if isinstance(receiver, Resumes):
                await receiver.resume(recall(ledger, name))
        await _metrics(stack, assembly, ledger)
        await engine.start(receivers)
        for name, receiver in receivers.items():
            for resource in receiver.resources:
                structlog.get_logger().info("listening", channel=name, resource=resource)
        stack.push_async_callback(engine.stop, GRACE_S)
        if role.works:
            watch = Watch(Hours(assembly.site, assembly.partners, ledger), SystemClock(), lambda: engine.worker.held)
            await watch.start()
            stack.push_async_callback(watch.stop, GRACE_S)
            for one in acknowledgers(assembly.site.channels, ledger, SystemClock(), lambda: engine.worker.held):
                await one.start()
                stack.push_async_callback(one.stop, GRACE_S)
        yield engine


async def _bureau(stack: AsyncExitStack, assembly: Assembly, role: Role) -> Pool | None:
    """Translating processes, where the site asks for them; None: the engine translates by itself."""
    if not (role.works and assembly.site.translators):
        return None
    opening = Opening(str(assembly.folder / SITE_FILE), assembly.files[SITE_FILE], dict(assembly.library.files),
                      dict(assembly.known_files))
    pool = Pool(opening, assembly.site.translators)
    stack.push_async_callback(pool.stop)
    await pool.start()
    return pool


async def _metrics(stack: AsyncExitStack, assembly: Assembly, ledger: Ledger) -> None:
    port = assembly.site.metrics_port
    if not port:
        return
    server = MetricsServer(ledger, port)
    try:
        await server.start()
    except OSError as error:
        what = f"tcp:{HOST}:{port}: {error.strerror or type(error).__name__}"
        raise Rejection(located(METRICS_PORT, assembly.loaded.marks["metrics_port"], what)) from None
    stack.push_async_callback(server.stop)


async def serve(assembly: Assembly, role: Role, environment: Mapping[str, str] = os.environ) -> None:
    """Run until SIGTERM or SIGINT, then stop in good order."""
    log = structlog.get_logger()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(assembly, role, environment):
        spare_the_collector()
        log.info("running", site=assembly.site.site, role=role.value, revision=assembly.revision[:12],
                 pid=os.getpid())
        await stopping.wait()
        log.info("stopping", site=assembly.site.site, role=role.value)
    log.info("stopped", site=assembly.site.site, role=role.value)


def run(folder: Path, role: Role, environment: Mapping[str, str] = os.environ) -> None:
    """A whole process: check everything, then serve on the fastest loop there is.

    Raises:
        Rejection: something is wrong; nothing was started.
    """
    check_role(role, environment)
    assembly = assemble(folder)
    for found in (*assembly.loaded.findings, *assembly.missing()):
        structlog.get_logger().warning("configuration", code=found.code, row=found.row, hint=found.hint)
    try:
        import uvloop
    except ImportError:  # not on this platform
        asyncio.run(serve(assembly, role, environment))
    else:
        uvloop.run(serve(assembly, role, environment))
