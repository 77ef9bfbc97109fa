"""What the ledger costs a message: ``python -m bench.ledger [sqlite|postgresql …] [--messages N]``.

Each message is appended, processed (one event, one state, two deliveries), put in flight (both deliveries), settled
and its acknowledgement noted: all that a message with two destinations asks of the ledger. `clients` of them are
on their way at a time, as many as there are connections, so the batches are what such a load makes them.

CPU is that of this process; for PostgreSQL that of the server's processes is shown beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import psycopg

from canonical.event import Event, Source, Version
from canonical.model import (
    Appointment,
    AppointmentStatus,
    HumanName,
    Identifier,
    Instant,
    Participant,
    ParticipantKind,
    Patient,
    Reference,
)
from canonical.phi import Phi
from store.ledger import Ledger
from store.opening import open_ledger
from store.partition import partition_of
from store.records import (
    AckOutcome,
    DeliveryState,
    Lease,
    MessageState,
    NewDelivery,
    NewMessage,
    Processed,
    Settlement,
    State,
)
from tests import services

PARTITIONS: Final = 16
STAGES: Final = ("append", "commit", "inflight", "settle")
RAW: Final = Phi(b"MSH|^~\\&|" + b"x" * 1490)


@contextmanager
def database(kind: str) -> Iterator[str]:
    """The address of an empty database that is gone afterwards."""
    if kind == "memory":
        yield "memory:"
    elif kind == "sqlite":
        # Beside the checkout, not in /tmp: that may be memory, where nothing is ever synced.
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
            yield f"sqlite:///{folder}/ledger.sqlite3"
    else:
        server, name = services.postgres(), f"dragoman_bench_{secrets.token_hex(4)}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            try:
                yield f"{server.rsplit('/', 1)[0]}/{name}"
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def appointment(number: int) -> Appointment:
    """About what a SIU^S12 says."""
    return Appointment(
        identifiers=(Identifier(value=f"A{number}", system="urn:oid:2.16.840.1", type="FILL"),
                     Identifier(value=f"P{number}", system="urn:oid:2.16.840.2", type="PLAC")),
        status=AppointmentStatus.BOOKED, start=Instant("2026-03-10T14:30:00-05:00"),
        end=Instant("2026-03-10T15:00:00-05:00"), duration=30,
        patient=Patient(identifiers=(Identifier(value=f"M{number}", assigner="MERCY", type="MR"),),
                        names=(HumanName(family="Doe", given=("Jane", "Q")),)),
        participants=tuple(Participant(kind=ParticipantKind.PRACTITIONER, who=Reference(
            identifiers=(Identifier(value=f"N{n}", type="NPI"),))) for n in range(2)))


def work(number: int, seq: int, lane: str) -> Processed:
    """What one message sets in motion."""
    message_id, entity = f"{number:026d}", appointment(number)
    event = Event(
        id=f"{message_id}.1", type="appointment.booked", subject_key=f"appointment:urn:oid:2.16.840.1|A{number}",
        version=Version(at=f"2026031014{number:012d}", tie=message_id), entity=entity,
        source=Source(channel="ehr", system="EHR", facility="MERCY", message_type="SIU^S12"),
        message_id=message_id, occurred_at="2026-03-10T14:30:00-05:00", received_at=number, revision="r" * 64,
        patient_key=lane)
    home = partition_of(lane, PARTITIONS)
    return Processed(
        message_seq=seq, message_id=message_id, state=MessageState.PROCESSED, at=number, revision="r" * 64,
        events=(event,),
        states=(State(subject_key=event.subject_key, version=event.version.at, event_id=event.id, entity=entity,
                      patient_key=lane),),
        deliveries=tuple(NewDelivery(
            id=f"{event.id}>{name}", message_seq=seq, event_id=event.id, destination=name, lane=lane,
            partition=home, due_at=number) for name in ("fhir", "erp")))


class Run:
    """One ledger under one load."""

    def __init__(self, ledger: Ledger, messages: int, clients: int) -> None:
        self._ledger, self._messages, self._clients = ledger, messages, clients
        self._leases: dict[int, Lease] = {}
        self._seqs: dict[str, int] = {}
        self.waits: dict[str, list[float]] = {stage: [] for stage in STAGES}

    async def run(self) -> None:
        """Send everything through."""
        for partition in range(PARTITIONS):
            lease = await self._ledger.acquire(partition, "bench", 0, 3600)
            assert lease is not None
            self._leases[partition] = lease
        for stage in (self._append, self._rest):
            numbers = iter(range(self._messages))
            await asyncio.gather(*(self._client(stage, numbers) for _ in range(self._clients)))
            if stage == self._append:
                for partition in range(PARTITIONS):
                    for message in await self._ledger.received(partition, 0, self._messages):
                        self._seqs[message.id] = message.seq

    @staticmethod
    async def _client(stage: object, numbers: Iterator[int]) -> None:
        for number in numbers:
            await stage(number)  # type: ignore[operator]  # one of the two coroutines below

    async def _append(self, number: int) -> None:
        start = time.perf_counter()
        receipt = await self._ledger.append(NewMessage(
            id=f"{number:026d}", channel="ehr", raw=RAW, received_at=number, control_id=f"C{number}",
            message_type="SIU^S12", sender="EHR|MERCY", lanes=(f"patient:MERCY|{number % 997}",),
            dedup=number.to_bytes(32), peer="127.0.0.1"))
        self.waits["append"].append(time.perf_counter() - start)
        self._ledger.note_ack(receipt.message_id, "AA", AckOutcome.DELIVERED)

    async def _rest(self, number: int) -> None:
        lane = f"patient:MERCY|{number % 997}"
        lease = self._leases[partition_of(lane, PARTITIONS)]
        done = work(number, self._seqs[f"{number:026d}"], lane)
        ids = [delivery.id for delivery in done.deliveries]
        clock = [time.perf_counter()]
        await self._ledger.commit(lease, [done])
        clock.append(time.perf_counter())
        await self._ledger.inflight(lease, ids, number)
        clock.append(time.perf_counter())
        await self._ledger.settle(lease, [Settlement(
            delivery_id=key, state=DeliveryState.DELIVERED, attempts=1, at=number, code="201") for key in ids])
        clock.append(time.perf_counter())
        for stage, before, after in zip(STAGES[1:], clock, clock[1:], strict=False):
            self.waits[stage].append(after - before)


def server_cpu() -> float:
    """CPU seconds of all PostgreSQL processes of this machine."""
    total = 0.0
    for process in psutil.process_iter(["name"]):
        try:
            if process.info["name"] == "postgres":
                used = process.cpu_times()
                total += used.user + used.system + used.children_user + used.children_system
        except psutil.NoSuchProcess:
            continue
    return total


async def measure(kind: str, messages: int, clients: int) -> str:
    """One line of the table."""
    with database(kind) as url:
        ledger = open_ledger(url, partitions=PARTITIONS, outbox=False)
        await ledger.start()
        run = Run(ledger, messages, clients)
        wall, cpu, served = time.perf_counter(), time.process_time(), server_cpu()
        await run.run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        served = server_cpu() - served if kind == "postgresql" else 0.0
        counts = await ledger.counts()
        assert counts["messages"] == {"processed": messages}, counts
        await ledger.stop()
    waits = " ".join(f"{_at(run.waits[stage], 0.5):6.2f}/{_at(run.waits[stage], 0.99):6.2f}" for stage in STAGES)
    return (f"{kind:10} {clients:8} {messages / wall:10.0f} {cpu / messages * 1e6:9.0f} "
            f"{served / messages * 1e6:10.0f}   {waits}")


def _at(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)] * 1e3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["memory", "sqlite", "postgresql"])
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 32, 128])
    arguments = parser.parse_args()
    print(f"{'database':10} {'clients':>8} {'messages/s':>10} {'CPU µs/m':>9} {'server µs':>10}   "
          "waits in ms, p50/p99: " + ", ".join(STAGES))
    for kind in arguments.kinds:
        for clients in arguments.clients:
            count = arguments.messages if clients > 1 else arguments.messages // 4
            print(asyncio.run(measure(kind, count, clients)), flush=True)


if __name__ == "__main__":
    main()
