"""From a booking to a 278, to a decision, to what a person must do (W3, X38 to X43)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from canonical.authorization import Authorization
from canonical.clock import SystemClock
from connectors.x12.edi import parse
from connectors.x12.judge import judge
from router.desk import TaskDesk
from simulators.faults import Plan
from simulators.payer import Payer
from store.records import TaskQuery
from tests.payers.clinic import SITE, Clinic, booked, clinic, insured
from wiring.recheck import recheck


async def decided(site: Clinic) -> Authorization:
    """The authorization, once the payer has said something about it."""
    async def look() -> Authorization | None:
        states = await site.ledger.states({f"authorization:DRAGOMAN|{trace}" for trace in site.payer.cases})
        return next((state.entity for state in states.values() if isinstance(state.entity, Authorization)
                     and state.entity.status != "submitted"), None)

    found = await site.until(look)
    assert found is not None
    return found


async def test_a_certified_service_leaves_no_task_and_the_request_has_no_finding(tmp_path: Path) -> None:
    """X07, X19, X22, X38, A3.1."""
    async with Payer() as payer, clinic(tmp_path, payer, rule="authorization") as site:
        await site.books()
        said = await decided(site)
        assert (said.status, said.number) == ("approved", "AUTH000001")
        assert await site.reasons() == []
        assert await site.parked() == []
        sent, = payer.sink.arrivals
        verdict = judge(parse(sent.body).interchanges[0])
        assert verdict.problems == ()
        assert [each.problems for group in verdict.groups for each in group.sets] == [()]
        assert b"*9NORTHGATE~" in sent.body


@pytest.mark.parametrize(("code", "status", "reasons"), [
    ("A3", "denied", ["AUTHORIZATION:denied"]),
    ("CT", "contact-payer", ["AUTHORIZATION:contact-payer"]),
    ("NA", "not-required", []),
    ("C", "cancelled", []),
    ("A4", "pended", []),
    ("A4-documents", "pended", ["AUTHORIZATION:documents-requested"]),
    ("A6", "modified", []),
    ("A6-units", "modified", ["AUTHORIZATION:modified"]),
    ("A6-date", "modified", ["AUTHORIZATION:modified"]),
    ("A6-provider", "modified", ["AUTHORIZATION:modified"]),
    ("A2", "partial", []),
])
async def test_each_decision_asks_what_it_must(tmp_path: Path, code: str, status: str, reasons: list[str]) -> None:
    """X38 to X43, A3.2 to A3.5: a modification that fits the visit asks nobody (X39)."""
    async with Payer(plan=Plan(f"hcr:{code} always")) as payer, clinic(tmp_path, payer, rule="authorization") as site:
        await site.books()
        assert (await decided(site)).status == status
        for reason in reasons:
            await site.task(reason)
        assert await site.reasons() == reasons
        assert await site.parked() == []


async def test_a_pended_request_is_decided_later(tmp_path: Path) -> None:
    """X40, A3.1, A3.8: the decision comes by another way, twice, and is one change."""
    async with Payer(plan=Plan("hcr:A4 always")) as payer, clinic(tmp_path, payer, rule="authorization") as site:
        await site.books()
        assert (await decided(site)).status == "pended"
        trace, = payer.cases
        payer.decide(trace, "A1")
        await site.hears(payer.results[0], payer.results[0])

        async def approved() -> bool:
            return (await decided(site)).status == "approved"

        await site.until(approved)
        assert await site.reasons() == []
        assert await site.parked() == []
        assert payer.sink.count == 1


@pytest.mark.parametrize(("twist", "field", "ours", "theirs"), [
    ("units", "services(0).quantity", "1", "0.5"), ("date", "services(0).date", "2027-03-10", "2099-12-01 to 2099-12-31"),
    ("provider", "services(0).provider", "1234567893", "1999999984")])
async def test_what_was_certified_stands_beside_what_is_planned_and_blocks_the_visit(
        tmp_path: Path, twist: str, field: str, ours: str, theirs: str) -> None:
    """X39, A3.2."""
    async with Payer(plan=Plan(f"hcr:A6-{twist} always")) as payer, clinic(tmp_path, payer, rule="authorization") as site:
        await site.books()
        task = await site.task("AUTHORIZATION:modified")
        assert task.task.blocks is True
        assert [(one.field, one.ours, one.theirs) for one in task.task.differences or ()] == [(field, ours, theirs)]


async def test_of_two_services_one_is_certified_and_the_visit_is_held_for_the_other(tmp_path: Path) -> None:
    """X38, X39: each service keeps what was asked beside what was decided."""
    two = booked(1).replace(b"AIP|1||", b"AIS|2||70553^MRI BRAIN^C4|20270310090000-0500|||30|min\rAIP|1||")
    async with Payer(plan=Plan("hcr:A2 always")) as payer, clinic(tmp_path, payer, rule="authorization") as site:
        await site.tell(insured(1), two)
        task = await site.task("AUTHORIZATION:partial")
        assert [(one.field, one.theirs) for one in task.task.differences or ()] == [("services(1).decision", "denied")]
        said = await decided(site)
        assert [(one.sequence, one.quantity, one.decision) for one in said.services or ()] == [
            (1, "1", "approved"), (2, "1", "denied")]


async def test_the_certified_time_is_looked_at_whenever_the_visit_moves(tmp_path: Path) -> None:
    """X44, A3.11: out of it, to another day out of it, and back; the payer is not asked again."""
    async with Payer() as payer, clinic(tmp_path, payer, rule="authorization") as site:
        await site.books()
        await decided(site)
        await site.tell(moved("20270402", 1))
        first = await site.task("AUTHORIZATION:expiring")
        await site.tell(moved("20270410", 2))

        async def anew() -> bool:
            return any(t.reason == "AUTHORIZATION:expiring" and t.id != first.id
                       for t in await site.ledger.tasks(TaskQuery()))

        await site.until(anew)
        await site.tell(moved("20270315", 3))
        await site.until(site.nothing_to_do)
        assert payer.sink.count == 1


def moved(day: str, place: int) -> bytes:
    """SIU^S13: the visit moves."""
    return booked(1, day).replace(b"SIU^S12", b"SIU^S13").replace(b"20260311120000", f"2026031212000{place}".encode())


async def test_documents_are_asked_for_sent_and_the_case_is_decided(tmp_path: Path) -> None:
    """X40, X46, A3.10: the payer's clock begins when they have gone, carries its rule, and ends with the decision."""
    clocks = SITE.replace("attempts: 1", "attempts: 1\n    clocks: {CORE-documents: {hours: 0.0003, after: documents}}")
    async with Payer(plan=Plan("hcr:A4-documents always")) as payer, clinic(
            tmp_path, payer, rule="authorization", site=clocks) as site:
        await site.books()
        task = await site.task("AUTHORIZATION:documents-requested")
        await asyncio.sleep(1.5)
        assert await site.reasons() == ["AUTHORIZATION:documents-requested"], "no clock runs while we owe them"
        await TaskDesk(site.ledger, recheck, SystemClock()).finish(task, "ada", "done", "faxed")
        await site.task("AUTHORIZATION:overdue:CORE-documents")
        trace, = payer.cases
        payer.decide(trace, "A1")
        await site.hears(payer.results[0])
        await site.until(site.nothing_to_do)
        assert (await decided(site)).status == "approved"


@pytest.mark.parametrize(("fault", "reason"), [
    ("reject", "AUTHORIZATION:rejected"), ("ta1:025", "AUTHORIZATION:rejected"), ("aaa:15", "AUTHORIZATION:rejected"),
    ("aaa:42", "AUTHORIZATION:payer-unavailable")])
async def test_a_refused_request_is_for_people(tmp_path: Path, fault: str, reason: str) -> None:
    """X11, X29: nobody has decided anything, and it is not sent again unchanged."""
    async with Payer(plan=Plan(f"{fault} always")) as payer, clinic(tmp_path, payer, rule="authorization") as site:
        await site.books()
        await site.task(reason)
        assert await site.reasons() == [reason]
        assert await site.parked() == []
        assert payer.sink.count == 1


async def test_what_the_guide_does_not_allow_does_not_leave(tmp_path: Path) -> None:
    """X11: a visit without a provider makes a request that any payer would refuse: the delivery waits with the reasons,
    and the desk is told."""
    async with Payer() as payer, clinic(tmp_path, payer, rule="authorization") as site:
        await site.tell(insured(1), booked(1).replace(b"AIP|1||1234567893^REYES^ANA^^^^^^NPI^^^^NPI", b"NTE|1||none"))
        await site.task("AUTHORIZATION:rejected")
        assert payer.sink.count == 0
