"""A clinic that asks a payer, as an analyst writes it: HL7 v2 comes in by MLLP, X12 goes out in the CORE envelope, the
shipped tables in between, and a partner's profile that says how the payer wants it."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from canonical.coverage import EligibilityCheck
from router.engine import Role
from simulators.payer import Payer
from store.ledger import Ledger
from store.records import MessageQuery, MessageState, StoredTask, TaskQuery
from tests.hl7v2.mllp import raw_client
from wiring import database
from wiring.assembly import assemble
from wiring.running import running

T = TypeVar("T")
MAPPINGS = Path(__file__).parents[2] / "mappings"

PARTNER = """
partner: acme
sender: ZZ/ACME
receiver: ZZ/NORTHGATE
usage: T
upper: yes
trace_originator: 9NORTHGATE
"""

SITE = """
site: northgate
mappings: mappings
partitions: 2
channels:
  ehr:
    connector: mllp
    mapping: {BAR: hl7v2/bar, SIU: hl7v2/siu}
    settings: {port: MLLP}
  payer-answers:
    connector: answers
    mapping: {"271": x12/271, "278": x12/278_response}
  payer-files:
    connector: file
    mapping: {"271": x12/271, "278": x12/278_response}
    partner: acme
    settings: {path: "INBOX", format: x12, stable_s: 0, poll_s: 0.05}
destinations:
  payer:
    connector: core
    partner: acme
    mapping: {eligibility.requested: x12/270, authorization.submitted: x12/278_request}
    responses: payer-answers
    idempotent: yes
    settings: {url: "PAYER", sender_id: NORTHGATE, receiver_id: ACME, timeout_s: 2, retry_after_s: 0}
    retry: {first_s: 0.05, max_s: 0.1}
routes:
  - {route: questions, when: {event: "in (eligibility.requested, authorization.submitted)"}, to: [payer]}
workflow:
  - rule: booked visits are checked
    when: {entity: Appointment, status: booked}
    request: RULE
    service_types: ["98"]
    deadline_s: 3
    attempts: 1
tasks:
  eligibility: {queue: insurance, priority: 5}
decisions:
  request-eligibility: {automatic: yes}
  request-authorization: {automatic: yes}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def written(folder: Path, url: str, *, rule: str = "eligibility", site: str = SITE, partner: str = PARTNER) -> int:
    """Write the site; the port of its MLLP channel."""
    for part in ("hl7v2", "x12", "vocab"):
        shutil.copytree(MAPPINGS / part, folder / "mappings" / part, ignore=shutil.ignore_patterns("*.tests.yaml"))
    (folder / "mappings" / "partners").mkdir()
    (folder / "inbox").mkdir()
    (folder / "mappings" / "partners" / "acme.yaml").write_text(partner)
    port = free_port()
    (folder / "site.yaml").write_text(
        site.replace("MLLP", str(port)).replace("PAYER", url).replace("RULE", rule).replace("INBOX", str(folder / "inbox"))
)
    return port


def insured(number: int) -> bytes:
    """BAR^P01: the patient has an insurance."""
    return "\r".join((
        f"MSH|^~\\&|ADM|EAST|DRAGOMAN|HUB|20260310120000-0500||BAR^P01^BAR_P01|B-{number}|P|2.8.2",
        "EVN||20260310120000-0500", f"PID|1||{number}^^^MERCY^MR||ASHBY^NORA||19800229|F", "PV1|1|O",
        f"IN1|1|PPO|84261^^^^PI|ACME HEALTH||||G7||||||||||||||||||||||||||||W{number}", "")).encode()


def booked(number: int, day: str = "20270310") -> bytes:
    """SIU^S12: a visit of that patient."""
    return "\r".join((
        f"MSH|^~\\&|SCHED|MERCY|DRAGOMAN|HUB|20260311120000-0500||SIU^S12^SIU_S12|S-{number}-{day}|P|2.5.1",
        f"SCH||V{number}^MERCY|||||||30|min|^^^{day}090000-0500|||||||||||||||BOOKED",
        f"PID|1||{number}^^^MERCY^MR||ASHBY^NORA||19800229|F", "PV1|1|O", "RGS|1",
        f"AIS|1||70551^MRI BRAIN^C4|{day}090000-0500|||30|min",
        "AIP|1||1234567893^REYES^ANA^^^^^^NPI^^^^NPI", "")).encode()


class Clinic:
    """The running site."""

    def __init__(self, port: int, payer: Payer, ledger: Ledger, inbox: Path) -> None:
        self.port, self.payer, self.ledger, self.inbox = port, payer, ledger, inbox
        self._heard = 0

    async def hears(self, *answers: bytes) -> None:
        """The payer says something by another way than it was asked: a file in a drop folder."""
        for answer in answers:
            self._heard += 1
            part = self.inbox / f"{self._heard}.part"
            part.write_bytes(answer)
            part.rename(self.inbox / f"{self._heard}.x12")

    async def nothing_to_do(self) -> bool:
        """No task is open."""
        return not await self.reasons()

    async def tell(self, *messages: bytes) -> None:
        """The EHR says something, and it is acknowledged."""
        async with raw_client(self.port) as client:
            for message in messages:
                await client.send(message)
                answer = await client.answer()
                assert b"MSA|AA|" in answer or b"MSA|CA|" in answer, answer

    async def books(self, number: int = 1, day: str = "20270310") -> None:
        """An insured patient has a visit."""
        await self.tell(insured(number), booked(number, day))

    async def until(self, what: Callable[[], Awaitable[T]], timeout: float = 20.0) -> T:
        """The first answer that is one."""
        async with asyncio.timeout(timeout):
            while not (found := await what()):
                await asyncio.sleep(0.02)
        return found

    async def task(self, reason: str) -> StoredTask:
        """The task with that reason, once there is one."""
        async def look() -> StoredTask | None:
            return next((t for t in await self.ledger.tasks(TaskQuery()) if t.reason == reason), None)

        found = await self.until(look)
        assert found is not None
        return found

    async def reasons(self) -> list[str]:
        """Of the open tasks."""
        return sorted(task.reason for task in await self.ledger.tasks(TaskQuery()))

    async def checks(self) -> list[EligibilityCheck]:
        """Every question there is."""
        states = await self.ledger.states({f"eligibility:DRAGOMAN|{trace}" for trace in self.payer.sink.all_keys()})
        return [state.entity for state in states.values() if isinstance(state.entity, EligibilityCheck)]

    async def answered(self, status: str) -> EligibilityCheck:
        """The question, once its answer comes to that."""
        async def look() -> EligibilityCheck | None:
            return next((one for one in await self.checks() if one.result and one.result.status == status), None)

        found = await self.until(look)
        assert found is not None
        return found

    async def parked(self) -> list[str]:
        """What could not be processed: message types with their findings. Empty is good."""
        return [f"{one.message_type} {[found.code for found in one.findings]}"
                for one in await self.ledger.find(MessageQuery(state=MessageState.PARKED))]


@asynccontextmanager
async def clinic(folder: Path, payer: Payer, *, rule: str = "eligibility", site: str = SITE,
                 partner: str = PARTNER, environment: Mapping[str, str] | None = None) -> AsyncIterator[Clinic]:
    """The site, running in this process on the shipped default: SQLite."""
    port = written(folder, payer.url, rule=rule, site=site, partner=partner)
    async with reopened(folder, payer, port, environment=environment) as it:
        yield it


@asynccontextmanager
async def reopened(folder: Path, payer: Payer, port: int, *,
                   environment: Mapping[str, str] | None = None) -> AsyncIterator[Clinic]:
    """The site as it was left."""
    assembly = assemble(folder)
    assert [found.code for found in assembly.loaded.findings] == []
    environment = environment or {}
    async with running(assembly, Role.ALL, environment), database.existing(
            folder, database.address(folder, environment), partitions=2, outbox=False) as ledger:
        yield Clinic(port, payer, ledger, folder / "inbox")
