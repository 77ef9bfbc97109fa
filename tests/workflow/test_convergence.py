"""Any order, any repetition, any crash: the same tasks, and each question once (D06, D07, A6.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canonical import failpoints
from router.flow_config import TaskSpec, WorkflowRule
from store.ledger import Ledger
from store.opening import open_ledger
from tests.workflow.clinic import AUTHORIZED, CHECKED, MEMBER, Clinic, Payer, clinic_site, visit

CALL = WorkflowRule(rule="cancelled visits are called", when={"entity": "Appointment", "status": "cancelled"},
                    task=TaskSpec(type="call-patient"))
SITE = clinic_site(CHECKED, AUTHORIZED, CALL)
#: One visit's story: what the EHR says, each at its own time.
STORY: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("appointment.booked", visit(), 1),
    ("appointment.modified", visit(comments=["bring the scans"]), 2),
    ("appointment.rescheduled", visit("2027-03-10T11:00:00-05:00"), 3),
    ("appointment.modified", visit("2027-03-10T11:00:00-05:00", priority="urgent"), 4))


def inactive_and_denied(asked: dict[str, Any]) -> dict[str, Any]:
    """What this payer says to everything."""
    if asked["event"] == "eligibility.requested":
        return {"event": "eligibility.answered", "subject": asked["subject"], "entity": {
            "entity": "EligibilityCheck", "status": "answered", "result": {"status": "inactive"}}}
    return {"event": "authorization.decided", "subject": asked["subject"], "entity": {
        "entity": "Authorization", "status": "denied"}}


async def told(clinic: Clinic, places: list[int]) -> None:
    """Tell parts of the story in this order, then wait."""
    clinic.payer.answer = inactive_and_denied
    for place in places:
        event, entity, at = STORY[place]
        await clinic.tell(event, entity, at=at)
    await clinic.insured()
    await clinic.quiet()


@given(places=st.lists(st.integers(0, len(STORY) - 1), min_size=0, max_size=8), order=st.permutations(range(len(STORY))))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_order_and_any_repetition_comes_to_the_same(places: list[int], order: list[int]) -> None:
    """Each part of the story at least once, in any order, with any repetitions between."""
    async def play() -> tuple[list[str], list[str], set[str]]:
        async with Clinic(SITE) as clinic:
            await told(clinic, [*places, *order])
            return clinic.payer.questions, await clinic.reasons(), {task.id for task in await clinic.open_tasks()}

    questions, reasons, ids = asyncio.run(play())
    assert len(questions) == len(set(questions)) == 2
    assert reasons == ["AUTHORIZATION:denied", "ELIGIBILITY:inactive"]
    assert ids == _EXPECTED.setdefault("ids", ids)
    assert set(questions) == _EXPECTED.setdefault("questions", set(questions))


_EXPECTED: dict[str, set[str]] = {}


@given(order=st.permutations(range(3)))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_cancelled_visit_has_the_tasks_of_a_cancelled_one_however_late_the_booking_comes(order: list[int]) -> None:
    """A2.3, A3.7: nobody is asked to do anything about its insurance."""
    story = [("appointment.booked", visit(), 1), ("appointment.rescheduled", visit("2027-04-01T09:00:00-05:00"), 2),
             ("appointment.cancelled", {"entity": "Appointment"}, 3)]

    async def play() -> tuple[list[str], list[str]]:
        async with Clinic(SITE) as clinic:
            clinic.payer.answer = inactive_and_denied
            await clinic.insured()
            for place in order:
                event, entity, at = story[place]
                await clinic.tell(event, entity, at=at)
            await clinic.quiet()
            return await clinic.reasons(), clinic.payer.questions

    reasons, questions = asyncio.run(play())
    assert reasons == ["RULE:cancelled visits are called"]
    assert len(questions) == len(set(questions))


@contextmanager
def ledger_at(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    if kind == "postgres":
        from tests.store.databases import postgres_database

        with postgres_database(request.getfixturevalue("postgres_url")) as url:
            yield open_ledger(url, partitions=4, outbox=False)
    else:
        yield open_ledger("memory:" if kind == "memory" else f"sqlite:///{folder / 'l.db'}", partitions=4, outbox=False)


@pytest.mark.parametrize(("name", "kind"), [
    *((name, "sqlite") for name in ("flow.before_commit", "flow.after_commit", "pump.before_commit",
                                    "pump.after_commit", "deliver.before_send", "deliver.after_send")),
    ("flow.before_commit", "memory"),
    pytest.param("flow.after_commit", "postgres", marks=pytest.mark.postgres)])
async def test_a_failure_at_any_boundary_asks_nothing_twice(name: str, kind: str, tmp_path: Path,
                                                            request: pytest.FixtureRequest) -> None:
    """The same on all three ledgers; an idempotent payer gets a repetition under the same identity (invariant 8)."""
    with ledger_at(kind, tmp_path, request) as ledger:
        await ledger.start()
        payer = Payer()
        try:
            with failpoints.armed(name, "raise", 2):
                async with Clinic(SITE, ledger=ledger, payer=payer, owner="first") as clinic:
                    payer.answer = inactive_and_denied
                    await clinic.tell("coverage.updated", MEMBER, subject="coverage:PAYER1|W123")
                    await clinic.tell("appointment.booked", visit())
                    await asyncio.sleep(0.15)
            async with Clinic(SITE, ledger=ledger, payer=payer, owner="second") as clinic:
                clinic.clock.skew = 11_000_000  # longer than a lease
                await clinic.quiet()
                assert len(payer.questions) == len(set(payer.questions)) == 2
                assert await clinic.reasons() == ["AUTHORIZATION:denied", "ELIGIBILITY:inactive"]
        finally:
            await ledger.stop()


async def test_replayed_messages_ask_nothing_again() -> None:
    """A6.6: a message that was parked and is processed again after others had their effect."""
    async with Clinic(SITE) as clinic:
        await told(clinic, [0])
        before = list(clinic.payer.questions)
        await told(clinic, [0, 1, 0])
        assert clinic.payer.questions == before
