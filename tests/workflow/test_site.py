"""A site as an analyst writes it: tables, routes and rules in YAML, a payer behind HTTP, everything wired for real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from canonical.clock import SystemClock
from console.house import TaskShop
from router.desk import TaskDesk
from router.engine import Role
from store.ledger import Ledger
from store.records import MessageQuery, StoredTask, TaskQuery
from tests.workflow.test_review_flow import recheck
from wiring import database
from wiring.assembly import assemble
from wiring.running import running

TABLES = {
    "clinic/referral": """
mapping: clinic/referral
format: json/referral
entity: Referral
direction: in
trigger: kind
events: {referral: referral.received}
subject: identifiers(type=PLAC)
patient: patient.identifiers(type=MR)
lossy: [kind]
fields:
  identifiers(type=PLAC).value: {path: number, required: yes}
  patient.identifiers(type=MR).value: chart
  patient.birth_date: born
  status: status
  coverages(0).member_id: member
  coverages(0).payer.display: payer
  missing(): missing(*)
""",
    "payer/check": """
mapping: payer/check
format: json/check
entity: EligibilityCheck
direction: out
fields:
  identifiers(type=TRN).value: {path: trace, required: yes}
  coverage.member_id: {path: member, required: yes}
  payer.display: payer
  patient.birth_date: born
  service_types(): services(*)
""",
    "payer/answer": """
mapping: payer/answer
format: json/answer
entity: EligibilityCheck
direction: in
trigger: kind
events: {answer: {event: eligibility.answered, creates: yes}}
subject: identifiers(type=TRN)
lossy: [kind]
fields:
  identifiers(type=TRN).value: {path: trace, required: yes}
  identifiers(type=TRN).assigner: {path: by, default: DRAGOMAN}
  status: {path: state, default: answered}
  result.status: {path: result, required: yes}
"""}

SITE = """
site: clinic
mappings: tables
partitions: 4
channels:
  faxes: {connector: file, mapping: clinic/referral, settings: {path: inbox, format: any, stable_s: 0, poll_s: 0.05}}
  payer-answers: {connector: answers, mapping: payer/answer}
destinations:
  payer:
    connector: http
    mapping: {eligibility.requested: payer/check}
    responses: payer-answers
    idempotent: yes
    settings: {url: "http://127.0.0.1:PORT/check", keep_response: yes}
    retry: {first_s: 0.05, max_s: 0.1}
routes:
  - {route: questions, when: {event: eligibility.requested}, to: [payer]}
workflow:
  - rule: complete referrals are checked
    when: {entity: Referral, status: complete}
    request: eligibility
    service_types: ["98"]
tasks:
  eligibility: {queue: insurance, priority: 5}
  review-field: {queue: referrals}
decisions:
  request-eligibility: {automatic: yes}
"""


class HttpPayer:
    """Answers each question once it feels like it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.identities: list[str] = []
        self.busy = 0
        self.result = "inactive"

    async def check(self, request: web.Request) -> web.Response:
        if self.busy:
            self.busy -= 1
            return web.Response(status=503)
        question = await request.json()
        if (identity := request.headers["Idempotency-Key"]) not in self.identities:
            self.identities.append(identity)
            self.asked.append(question)
        return web.json_response({"kind": "answer", "trace": question["trace"], "result": self.result})


@pytest.fixture
async def payer() -> AsyncIterator[tuple[HttpPayer, int]]:
    one = HttpPayer()
    app = web.Application()
    app.router.add_post("/check", one.check)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield one, runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
def folder(tmp_path: Path, payer: tuple[HttpPayer, int]) -> Path:
    for name, text in TABLES.items():
        file = tmp_path / "tables" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "inbox").mkdir()
    text = SITE.replace("PORT", str(payer[1])).replace("path: inbox", f"path: {tmp_path / 'inbox'}")
    (tmp_path / "site.yaml").write_text(text)
    return tmp_path


async def until(what: Callable[[], Any], timeout: float = 20.0) -> Any:
    async with asyncio.timeout(timeout):
        while not (found := await what()):
            await asyncio.sleep(0.02)
    return found


async def waiting(ledger: Ledger, reason: str) -> StoredTask:
    async def look() -> StoredTask | None:
        return next((t for t in await ledger.tasks(TaskQuery()) if t.reason == reason), None)

    found: StoredTask = await until(look)
    return found


async def test_from_a_fax_with_a_gap_to_a_correction_to_a_question_to_a_task(
        folder: Path, payer: tuple[HttpPayer, int]) -> None:
    """A1.2, A1.4: the command line writes into the ledger beside the engine, as it does in life."""
    assembly = assemble(folder)
    assert [found.code for found in assembly.loaded.findings] == []
    payer[0].busy = 2
    url = database.address(folder, {})
    async with running(assembly, Role.ALL, {}):
        (folder / "inbox" / "r1.json").write_text(json.dumps({
            "kind": "referral", "number": "R1", "chart": "C7", "status": "incomplete", "member": "W1", "payer": "ACME",
            "missing": ["patient.birth_date"]}))
        async with database.existing(folder, url, partitions=4, outbox=False) as ledger:
            task = await waiting(ledger, "FIELD_MISSING:patient.birth_date")
            assert task.queue == "referrals"
            assert payer[0].asked == []
            shop = TaskShop(ledger=ledger, tasks=TaskDesk(ledger, recheck, SystemClock()))
            await shop.tasks.correct(task, "ada", "1980-01-20")
            inactive = await waiting(ledger, "ELIGIBILITY:inactive")
            assert (inactive.queue, inactive.subject_key) == ("insurance", "referral:|R1")
            question, = payer[0].asked
            assert (question["member"], question["born"], question["services"]) == ("W1", "1980-01-20", ["98"])
            answer, = await ledger.find(MessageQuery(channel="payer-answers"))
            asked, = [m for m in await ledger.find(MessageQuery(channel="workflow"))
                      if m.message_type == "eligibility.requested"]
            assert (answer.parent_id, answer.lanes) == (asked.id, asked.lanes)

    async with running(assembly, Role.ALL, {}):  # everything is still there, and nothing happens again
        await asyncio.sleep(0.3)
    assert len(payer[0].asked) == 1


