"""A partner asks by FHIR, the payer answers over X12: one question, one 270, one CoverageEligibilityResponse (spec 4.7)."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.fhir.validate import validate
from connectors.x12.edi import parse
from connectors.x12.judge import judge
from router.engine import Role
from simulators.faults import Plan
from simulators.fhir_server import FhirServer
from simulators.payer import Payer
from store.ledger import Ledger
from store.records import MessageQuery, MessageState, TaskQuery
from tests.payers.clinic import MAPPINGS, PARTNER, free_port
from wiring import database
from wiring.assembly import assemble
from wiring.running import running

SITE = """
site: exchange
mappings: mappings
partitions: 2
channels:
  partner:
    connector: http
    mapping: fhir/coverage_eligibility_request
    settings: {port: PORT, path: /fhir}
  payer-answers:
    connector: answers
    mapping: {"271": x12/271}
destinations:
  payer:
    connector: core
    partner: acme
    mapping: {eligibility.requested: x12/270}
    responses: payer-answers
    idempotent: yes
    settings: {url: "PAYER", sender_id: NORTHGATE, receiver_id: ACME, timeout_s: 2, retry_after_s: 0}
    retry: {first_s: 0.05, max_s: 0.1}
  partner-ehr:
    connector: fhir
    mapping: fhir/coverage_eligibility_response
    content: state
    settings: {url: "FHIR"}
routes:
  - {route: questions, when: {event: eligibility.requested}, to: [payer, partner-ehr]}
  - {route: answers, when: {event: "in (eligibility.answered, eligibility.failed)"}, to: [partner-ehr]}
"""
QUESTION = json.loads((MAPPINGS / "fhir" / "samples" / "coverage_eligibility_request.json").read_text(encoding="utf-8"))


def asked(number: str = "Q-7") -> bytes:
    """What the partner sends: its question with patient, coverage and both sides in one Bundle."""
    bundle = json.loads(json.dumps(QUESTION))
    bundle["entry"][0]["resource"]["identifier"][0]["value"] = number
    return json.dumps(bundle).encode()


class Exchange:
    """The running site, and both it speaks to."""

    def __init__(self, port: int, fhir: FhirServer, ledger: Ledger) -> None:
        self.port, self.fhir, self.ledger = port, fhir, ledger

    async def ask(self, body: bytes, key: str = "1") -> int:
        """The partner posts a question; the status it gets.

        Args:
            key: by which a repetition of the request is recognised.
        """
        async with aiohttp.ClientSession() as session, session.post(
                f"http://127.0.0.1:{self.port}/fhir", data=body,
                headers={"Content-Type": "application/fhir+json", "Idempotency-Key": key}) as reply:
            return reply.status

    def answers(self) -> list[dict[str, Any]]:
        """What the partner's server holds."""
        return self.fhir.resources("CoverageEligibilityResponse")

    async def answered(self, outcome: str) -> dict[str, Any]:
        """The answer, once it has that outcome."""
        async with asyncio.timeout(20):
            while not (found := [one for one in self.answers() if one["outcome"] == outcome]):
                await asyncio.sleep(0.02)
        return found[0]


@asynccontextmanager
async def exchange(folder: Path, payer: Payer) -> AsyncIterator[Exchange]:
    for part in ("fhir", "x12", "vocab"):
        shutil.copytree(MAPPINGS / part, folder / "mappings" / part,
                        ignore=shutil.ignore_patterns("*.tests.yaml", "samples"))
    (folder / "mappings" / "partners").mkdir()
    (folder / "mappings" / "partners" / "acme.yaml").write_text(PARTNER)
    port = free_port()
    async with FhirServer() as fhir:
        (folder / "site.yaml").write_text(
            SITE.replace("PORT", str(port)).replace("PAYER", payer.url).replace("FHIR", fhir.url))
        assembly = assemble(folder)
        assert [str(found) for found in assembly.loaded.findings] == []
        async with running(assembly, Role.ALL, {}), database.existing(
                folder, database.address(folder, {}), partitions=2, outbox=False) as ledger:
            yield Exchange(port, fhir, ledger)


async def test_a_partner_that_asks_by_fhir_is_answered_with_what_the_payer_said_over_x12(tmp_path: Path) -> None:
    """4.7: the 270 is good by the guide, the answer is valid R4, names the partner's question, and leaves no task."""
    async with Payer() as payer, exchange(tmp_path, payer) as site:
        assert await site.ask(asked()) in (200, 202)
        answer = await site.answered("complete")
        sent, = payer.sink.arrivals
        verdict = judge(parse(sent.body).interchanges[0])
        assert [each.problems for group in verdict.groups for each in group.sets] == [()]
        assert b"NM1*IL*1*ASHBY*NORA****MI*M123~" in sent.body
        assert answer["request"]["identifier"]["value"] == "Q-7"
        assert answer["request"]["identifier"]["system"] == "https://ehr.example/eligibility"
        assert answer["insurance"][0]["inforce"] is True
        assert answer["patient"]["identifier"]["value"] == "R100"
        assert [str(found) for found in validate(json.dumps(answer).encode())] == []
        assert len(site.answers()) == 1
        assert await site.ledger.find(MessageQuery(state=MessageState.PARKED)) == []
        assert [task.reason for task in await site.ledger.tasks(TaskQuery())] == []


async def test_the_same_question_again_is_no_second_inquiry(tmp_path: Path) -> None:
    """Invariant 7: a repeated request has no new effect."""
    async with Payer() as payer, exchange(tmp_path, payer) as site:
        for _ in range(2):
            assert await site.ask(asked()) in (200, 202)
        await site.answered("complete")
        await asyncio.sleep(0.3)
        assert payer.sink.count == 1
        assert len(site.answers()) == 1


async def test_each_question_has_an_answer_of_its_own(tmp_path: Path) -> None:
    """X22, X27: the trace is made of the partner's number."""
    async with Payer() as payer, exchange(tmp_path, payer) as site:
        for number in ("Q-7", "Q-8"):
            assert await site.ask(asked(number), key=number) in (200, 202)
        async with asyncio.timeout(20):
            while [one["outcome"] for one in site.answers()] != ["complete", "complete"]:
                await asyncio.sleep(0.02)
        assert {one["request"]["identifier"]["value"] for one in site.answers()} == {"Q-7", "Q-8"}
        assert payer.sink.count == 2


@pytest.mark.parametrize(("fault", "code"), [("aaa:75", "75"), ("aaa:42", "42"), ("reject", "R")])
async def test_whatever_layer_refuses_the_partner_is_told_with_the_raw_code(tmp_path: Path, fault: str, code: str) -> None:
    """X29, X11: AAA is an answer, a 999 is none; both are an error to whoever asked."""
    async with Payer(plan=Plan(f"{fault} always")) as payer, exchange(tmp_path, payer) as site:
        await site.ask(asked())
        answer = await site.answered("error")
        assert [one["code"]["coding"][0]["code"] for one in answer["error"]] == [code]
        assert answer["request"]["identifier"]["value"] == "Q-7"
        assert [str(found) for found in validate(json.dumps(answer).encode())] == []


async def test_a_payer_that_is_silent_leaves_the_question_queued(tmp_path: Path) -> None:
    """4.7: no answer is no error; the partner knows that it is under way."""
    async with Payer(plan=Plan("later always")) as payer, exchange(tmp_path, payer) as site:
        await site.ask(asked())
        answer = await site.answered("queued")
        assert "error" not in answer
        assert [str(found) for found in validate(json.dumps(answer).encode())] == []
