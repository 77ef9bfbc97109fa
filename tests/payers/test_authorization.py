"""From a booking to a 278, to a decision, to what a person must do (W3, X38 to X43)."""

from __future__ import annotations

from pathlib import Path

import pytest

from canonical.authorization import Authorization
from connectors.x12.edi import parse
from connectors.x12.judge import judge
from simulators.faults import Plan
from simulators.payer import Payer
from tests.payers.clinic import Clinic, booked, clinic, insured


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
    ("A4", "pended", []),
])
async def test_each_decision_asks_what_it_must(tmp_path: Path, code: str, status: str, reasons: list[str]) -> None:
    """X40 to X43, A3.3 to A3.5."""
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
