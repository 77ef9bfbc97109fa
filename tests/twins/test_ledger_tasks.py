"""Cases to look at and tasks for people, on all three ledgers."""

from __future__ import annotations

import asyncio

import pytest

from canonical.model import Identifier
from canonical.phi import Phi
from canonical.task import TaskStatus, WorkTask
from store.ledger import LeaseLost, Ledger
from store.records import AuditEntry, Looked, NewMessage, NewTask, Processed, TaskQuery
from tests.store.messages import NOW, accepted, audit, lease, message, processed

CASE = "referral:CLINIC|R1"


def ours(key: str = "c1", lane: str = "eligibility:DRAGOMAN|T1") -> NewMessage:
    """A message of ours, with an identity made of what it is about."""
    return NewMessage(id=key, channel="workflow", raw=Phi(b"{}"), received_at=NOW, lanes=(lane,), dedup=key.encode())


def question(task_id: str = "T1", **fields: object) -> NewTask:
    given: dict[str, object] = {
        "id": task_id, "subject_key": CASE, "type": "review-field", "reason": "FIELD_CONFIDENCE:patient.birth_date",
        "queue": "referrals", "priority": 5, "created_at": NOW, "message_id": "m0001",
        "task": WorkTask(identifiers=(Identifier(value=task_id, type="TASK"),), actions=("correct", "confirm"))}
    return NewTask(**(given | fields))  # type: ignore[arg-type]  # the fields are those of NewTask


async def asked(ledger: Ledger, *tasks: NewTask, closed: tuple[str, ...] = (), **fields: object) -> None:
    await ledger.commit_looks(await lease(ledger), [
        Looked(subject_key=CASE, token="t", at=NOW + 5, opened=tasks, closed=closed, **fields)])  # type: ignore[arg-type]  # likewise


def by(actor: str, at: int = NOW + 100) -> AuditEntry:
    return AuditEntry(at=at, actor=actor, action="task.changed", subject="T1")


async def test_what_a_message_sets_in_motion_is_looked_at_once(ledger: Ledger) -> None:
    """A case touched by several messages is due once, and stays due where it is touched during the look."""
    mine = await lease(ledger)
    for number in (1, 2):
        stored = await accepted(ledger, number)
        await ledger.commit(mine, [processed(stored, looks=(CASE,))])
    look, = await ledger.due_looks(0, NOW + 1_000, 10)
    assert (look.subject_key, look.due_at) == (CASE, NOW)
    assert await ledger.due_looks(0, NOW - 1, 10) == []

    third = await accepted(ledger, 3)
    await ledger.commit(mine, [processed(third, looks=(CASE,))])
    await ledger.commit_looks(mine, [Looked(subject_key=CASE, token=look.token, at=NOW)])
    again, = await ledger.due_looks(0, NOW, 10)
    await ledger.commit_looks(mine, [Looked(subject_key=CASE, token=again.token, at=NOW)])
    assert await ledger.due_looks(0, NOW + 10**12, 10) == []


async def test_a_timer_is_a_look_that_comes_later(ledger: Ledger) -> None:
    mine = await lease(ledger)
    await ledger.commit(mine, [processed(await accepted(ledger, 1), looks=(CASE,))])
    look, = await ledger.due_looks(0, NOW, 10)
    await ledger.commit_looks(mine, [Looked(subject_key=CASE, token=look.token, at=NOW, next_at=NOW + 60)])
    assert await ledger.due_looks(0, NOW + 59, 10) == []
    assert [one.subject_key for one in await ledger.due_looks(0, NOW + 60, 10)] == [CASE]


async def test_a_look_may_ask_for_a_look_at_another_case(ledger: Ledger) -> None:
    await asked(ledger, looks=("appointment:A|1",))
    assert [one.subject_key for one in await ledger.due_looks(0, NOW + 5, 10)] == ["appointment:A|1"]


async def test_a_command_is_stored_once_however_often_it_is_given(ledger: Ledger) -> None:
    """D06: by a message or by a look, in one batch or in two."""
    mine = await lease(ledger)
    await ledger.commit(mine, [processed(await accepted(ledger, 1), messages=(ours(),)),
                               processed(await accepted(ledger, 2), messages=(ours(),))])
    await asked(ledger, messages=(ours(), ours("c2")))
    await asked(ledger, messages=(ours("c2"),))
    assert [m.id for m in await ledger.received(0, 0, 10)] == ["c1", "c2"]
    stored = await ledger.message("c1")
    assert stored is not None
    assert (stored.lanes, stored.channel, stored.raw.reveal()) == (("eligibility:DRAGOMAN|T1",), "workflow", b"{}")


async def test_a_message_that_is_not_processed_any_more_sets_nothing_in_motion(ledger: Ledger) -> None:
    mine = await lease(ledger)
    stored = await accepted(ledger, 1)
    await ledger.commit(mine, [processed(stored)])
    await ledger.commit(mine, [processed(stored, messages=(ours(),), looks=(CASE,))])
    assert await ledger.received(0, 0, 10) == []
    assert await ledger.due_looks(0, NOW + 10, 10) == []


async def test_who_lost_the_lease_changes_no_case(ledger: Ledger) -> None:
    """Invariant 5."""
    mine = await lease(ledger)
    assert await ledger.acquire(0, "other", NOW + 10**9, 60) is not None
    with pytest.raises(LeaseLost):
        await ledger.commit_looks(mine, [Looked(subject_key=CASE, token="t", at=NOW, opened=(question(),))])
    assert await ledger.tasks(TaskQuery()) == []


async def test_the_same_question_is_one_task(ledger: Ledger) -> None:
    for _ in range(2):
        await asked(ledger, question(), question())
    task, = await ledger.tasks(TaskQuery())
    assert (task.id, task.status, task.reason, task.subject_key, task.open) == (
        "T1", TaskStatus.READY, "FIELD_CONFIDENCE:patient.birth_date", CASE, True)
    assert task.task == question().task
    assert await ledger.tasks_of([CASE, "other"]) == [task]
    assert await ledger.tasks_of(["other"]) == []


async def test_a_task_whose_reason_went_away_closes_and_opens_again_but_an_answered_one_does_not(
        ledger: Ledger) -> None:
    """A3.1."""
    await asked(ledger, question())
    await asked(ledger, closed=("T1",))
    closed, = await ledger.tasks(TaskQuery(closed=True))
    assert (closed.status, closed.outcome, closed.open) == (TaskStatus.CANCELLED, "resolved", False)
    await asked(ledger, question())
    assert [t.status for t in await ledger.tasks(TaskQuery())] == [TaskStatus.READY]

    assert await ledger.finish_task("T1", "ada", "done", "seen", ours(), by("ada"))
    await asked(ledger, question(), closed=("T1",))
    done, = await ledger.tasks_of([CASE])
    assert (done.status, done.outcome, done.completed_by, done.note.reveal()) == (
        TaskStatus.DONE, "done", "ada", "seen")
    assert await ledger.tasks(TaskQuery()) == []


async def test_two_people_cannot_claim_one_task(ledger: Ledger) -> None:
    await asked(ledger, question())
    people = [f"person{n}" for n in range(20)]
    took = await asyncio.gather(*[ledger.claim_task("T1", who, NOW + 10**9, by(who)) for who in people])
    assert sum(took) == 1
    task = await ledger.task("T1")
    assert task is not None
    assert (task.status, task.assignee) == (TaskStatus.CLAIMED, people[took.index(True)])
    assert [entry.actor async for _, entry, _ in ledger.audit_trail()] == [task.assignee]


async def test_a_claim_is_given_back_or_runs_out(ledger: Ledger) -> None:
    await asked(ledger, question())
    assert await ledger.claim_task("T1", "ada", NOW + 1_000, by("ada"))
    assert await ledger.claim_task("T1", "ada", NOW + 2_000, by("ada"))  # prolonged
    assert not await ledger.release_task("T1", "bob", by("bob"))
    assert not await ledger.claim_task("T1", "bob", NOW + 9_000, by("bob", NOW + 1_999))
    assert await ledger.claim_task("T1", "bob", NOW + 9_000, by("bob", NOW + 2_000))
    assert await ledger.release_task("T1", "bob", by("bob"))
    task = await ledger.task("T1")
    assert task is not None
    assert (task.status, task.assignee, task.claimed_until) == (TaskStatus.READY, "", 0)
    assert not await ledger.release_task("T1", "bob", by("bob"))


async def test_an_answer_is_stored_with_the_message_that_tells_the_engine_or_not_at_all(ledger: Ledger) -> None:
    await asked(ledger, question())
    assert await ledger.claim_task("T1", "ada", NOW + 10**9, by("ada"))
    assert not await ledger.finish_task("T1", "bob", "correct", "", ours(), by("bob"))
    assert await ledger.received(0, 0, 10) == []
    assert await ledger.finish_task("T1", "ada", "correct", "", ours(), by("ada"))
    assert not await ledger.finish_task("T1", "ada", "reject", "", ours("c2"), by("ada"))
    assert [m.id for m in await ledger.received(0, 0, 10)] == ["c1"]
    assert [entry.actor async for _, entry, _ in ledger.audit_trail()] == ["ada", "ada"]
    assert not await ledger.claim_task("T1", "ada", NOW + 10**9, by("ada"))


async def test_two_answers_at_the_same_moment_are_one(ledger: Ledger) -> None:
    await asked(ledger, question())
    told = await asyncio.gather(*[ledger.finish_task("T1", f"p{n}", "confirm", "", ours(f"c{n}"), by(f"p{n}"))
                                  for n in range(10)])
    assert sum(told) == 1
    assert [m.id for m in await ledger.received(0, 0, 20)] == [f"c{told.index(True)}"]


async def test_tasks_are_found_by_each_filter_the_most_urgent_first(ledger: Ledger) -> None:
    await asked(ledger, question("A", priority=1, due_at=NOW + 10), question("B", priority=9),
                question("C", priority=1, queue="payers", type="eligibility", reason="ELIGIBILITY:inactive"),
                question("D", priority=1, due_at=NOW + 5, subject_key="referral:CLINIC|R2"))
    await ledger.claim_task("A", "ada", NOW + 10**9, audit())

    async def found(**fields: object) -> list[str]:
        return [t.id for t in await ledger.tasks(TaskQuery(**fields))]  # type: ignore[arg-type]  # one of many

    assert await found() == ["B", "D", "A", "C"]
    assert await found(limit=2) == ["B", "D"]
    assert await found(queue="payers") == ["C"]
    assert await found(type="eligibility") == ["C"]
    assert await found(reason="FIELD_CONFIDENCE:") == ["B", "D", "A"]
    assert await found(assignee="ada") == ["A"]
    assert await found(status=TaskStatus.READY) == ["B", "D", "C"]
    assert await found(subject_key=CASE) == ["B", "A", "C"]
    assert await ledger.task_counts() == {
        ("referrals", "claimed"): 1, ("referrals", "ready"): 2, ("payers", "ready"): 1}
    assert await found(closed=True) == []


async def test_a_task_is_found_by_unique_prefix(ledger: Ledger) -> None:
    await asked(ledger, question("ab1"), question("ab2"), question("c3"))

    async def found(key: str) -> str:
        one = await ledger.task(key)
        return one.id if one else ""

    assert [await found(key) for key in ("ab1", "ab", "c", "", "é", "x")] == ["ab1", "", "c3", "", "", ""]


async def test_closed_tasks_are_forgotten_with_the_messages_of_their_time(ledger: Ledger) -> None:
    await asked(ledger, question("A"), question("B"))
    await ledger.finish_task("A", "ada", "done", "", ours(), by("ada", NOW + 50))
    stored = await accepted(ledger, 9)
    await ledger.commit(await lease(ledger), [
        Processed(message_seq=stored.seq, message_id=stored.id, state=message(1).state.PROCESSED, at=NOW)])
    await ledger.purge(NOW + 50, 10)
    assert len(await ledger.tasks_of([CASE])) == 2
    second = await accepted(ledger, 10)
    await ledger.commit(await lease(ledger), [
        Processed(message_seq=second.seq, message_id=second.id, state=message(1).state.PROCESSED, at=NOW)])
    await ledger.purge(NOW + 51, 10)
    assert [t.id for t in await ledger.tasks_of([CASE])] == ["B"]
