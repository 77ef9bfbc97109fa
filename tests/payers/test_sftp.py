"""A payer that is reached by SFTP alone: questions are dropped in batches, answers lie in its outbox (X11, X14, X17)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from simulators.faults import Fault
from simulators.payer import Payer
from store.records import MessageQuery, MessageState
from tests.payers.clinic import SITE, Clinic, booked, clinic, insured, reopened, written
from tests.payers.test_kill import dies
from tests.sftp.server import Server
from wiring import database

#: The same site; what differs is how the payer is reached. The partner's file is the same for both ways.
SERVER = '{host: 127.0.0.1, port: PORT, user: clinic, key: "KEY", known_hosts: "KNOWN", '
DESTINATION = SITE.index("  payer:\n")
RETRY = SITE.index("    retry:")
BY_SFTP = (SITE[:DESTINATION] + '''  payer:
    connector: sftp
    partner: acme
    mapping: {eligibility.requested: x12/270, authorization.submitted: x12/278_request}
    idempotent: yes
    max_in_flight: 99
    settings: ''' + SERVER + 'path: inbound, prefix: "270_", collect_s: 0.3}\n' + SITE[RETRY:]).replace(
        "  payer-answers:\n    connector: answers\n", "  payer-answers:\n    connector: sftp\n    partner: acme\n"
        "    settings: " + SERVER + 'path: outbound, format: x12, stable_s: 0, poll_s: 0.05}\n').replace(
        "deadline_s: 3", "deadline_s: 600")


@asynccontextmanager
async def payer_by_sftp(folder: Path, *, opens: asyncio.Event | None = None) -> AsyncIterator[tuple[Server, Payer, str]]:
    """A payer that looks into its inbound folder, takes each file, and puts acknowledgements and answers into the other;
    not before it opens."""
    (folder / "server").mkdir()
    server = Server(folder / "server")
    acceptor = await server.start()
    inbound, outbound = server.files / "inbound", server.files / "outbound"
    inbound.mkdir()
    outbound.mkdir()
    async with Payer() as payer:
        names = count(1)

        async def work() -> None:
            if opens is not None:
                await opens.wait()
            while True:
                for path in sorted(inbound.glob("270_*.x12")):
                    content = path.read_bytes()
                    path.unlink()
                    payer.sink.record(path.name, "", content, effect=True)
                    payer.take(content, payer.fault)
                for said in (*payer.receipts, *([b"".join(payer.results)] if payer.results else ())):
                    part = outbound / f".{next(names)}.part"
                    part.write_bytes(said)
                    part.rename(outbound / f"{next(names):04d}.x12")
                payer.receipts, payer.results = [], []
                await asyncio.sleep(0.02)

        working = asyncio.create_task(work())
        site = BY_SFTP.replace("PORT", str(server.port)).replace("KEY", str(server.key)).replace("KNOWN", str(server.known))
        try:
            yield server, payer, site
        finally:
            working.cancel()
    acceptor.close()
    await acceptor.wait_closed()


async def answered(site: Clinic, traces: list[str], count: int) -> bool:
    states = await site.ledger.states({f"eligibility:DRAGOMAN|{trace}" for trace in traces})
    return sum(1 for state in states.values() if getattr(state.entity, "result", None)) == count


def traces(payer: Payer) -> list[str]:
    return [part.split(b"*")[2].decode() for one in payer.sink.arrivals for part in one.body.split(b"~")
            if part.startswith(b"TRN*1*")]


async def test_questions_leave_in_one_file_and_the_batch_of_answers_finds_each(tmp_path: Path) -> None:
    """X14, X27: three bookings, one file; their 999 and a batch of 271 are taken from the outbox; nobody has a task."""
    async with payer_by_sftp(tmp_path) as (server, payer, text), clinic(tmp_path, payer, site=text) as site:
        for number in (1, 2, 3):
            await site.books(number)
        await site.until(lambda: answered(site, traces(payer), 3))
        assert len(payer.sink.arrivals) <= 2, "collected"
        assert await site.reasons() == []
        assert await site.parked() == []
        kinds = [one.message_type for one in await site.ledger.find(MessageQuery(channel="payer-answers"))]
        assert sorted(kinds) == ["271", "271", "271", "999", "999", "999"]
        outbound = server.files / "outbound"
        await site.until(lambda: nothing_left(outbound))


async def nothing_left(folder: Path) -> bool:
    return not list(folder.glob("*.x12"))


async def test_a_refusal_from_the_outbox_settles_the_question_after_a_restart(tmp_path: Path) -> None:
    """X11: the 999 comes when the engine that sent the question is gone."""
    async with payer_by_sftp(tmp_path) as (server, payer, text):
        payer.fault = Fault("reject")
        outbound = server.files / "outbound"
        async with clinic(tmp_path, payer, site=text.replace("path: outbound", "path: elsewhere")) as site:
            await site.books(1)
            await site.until(lambda: nothing_asked(payer))
        file = tmp_path / "site.yaml"
        file.write_text(file.read_text().replace("path: elsewhere", "path: outbound"))
        assert list(outbound.glob("*.x12"))
        async with reopened(tmp_path, payer, site.port) as site:
            await site.task("ELIGIBILITY:rejected")
            assert payer.sink.count == 1
            said, = await site.ledger.find(MessageQuery(channel="payer-answers"))
            assert said.state is MessageState.PROCESSED
            assert "delivery.refused_later" in [found.code for found in said.findings]


async def nothing_asked(payer: Payer) -> bool:
    await asyncio.sleep(0.1)
    return bool(payer.sink.count)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_process_killed_after_the_drop_asks_nothing_twice(tmp_path: Path) -> None:
    """Invariants 5, 6 and 8, X07: the file lies there when the next process comes; it is recognised, and what it holds does
    not leave again, whatever leaves with it."""
    opens = asyncio.Event()
    async with payer_by_sftp(tmp_path, opens=opens) as (server, payer, text):
        port = written(tmp_path, payer.url, site=text)
        database.prepare(database.address(tmp_path, {}))
        everything = [message for number in (1, 2, 3) for message in (insured(number), booked(number))]
        await dies(tmp_path, port, "deliver.after_send=kill@1", everything)
        inbound = server.files / "inbound"
        assert list(inbound.glob("270_*.x12"))
        async with reopened(tmp_path, payer, port) as site:
            await site.tell(*everything, insured(4), booked(4))

            async def all_dropped() -> bool:
                return sum(path.read_bytes().count(b"ST*270") for path in inbound.glob("270_*.x12")) >= 4

            await site.until(all_dropped)
            opens.set()
            await site.until(lambda: answered(site, traces(payer), 4))
            assert await site.reasons() == []
            assert await site.parked() == []
        assert len(traces(payer)) == len(set(traces(payer))) == 4
        controls = [part[-9:] for one in payer.sink.arrivals for part in one.body.split(b"~") if part.startswith(b"IEA*")]
        assert sorted(controls) == [b"%09d" % number for number in (1, 2, 3, 4)]
