"""dragoman tasks: what waits for people, on one screen, answered with one command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from canonical.clock import SystemClock
from canonical.document import Extracted, PageBox, Validation, Verdict
from canonical.event import Event, Source, Version
from canonical.model import Patient
from canonical.presence import ABSENT
from canonical.referral import Referral
from canonical.task import WorkTask
from console.house import TaskShop
from router.desk import TaskDesk
from store.records import Looked, MessageState, NewTask, Processed, State
from tests.console.world import CANARY, T0, World
from wiring.recheck import recheck

CASE = f"referral:CLINIC|{CANARY}"
FIELD = Extracted(field="patient.birth_date", value=f"1980-{CANARY}", raw=CANARY, confidence=412, template="north:12",
                  box=PageBox(page=2, left=100, top=200, width=300, height=40),
                  validations=(Validation(validator="date", verdict=Verdict.UNKNOWN),))


class TaskWorld(World):
    """The small world, with a referral and three questions about it."""

    def __init__(self) -> None:
        super().__init__()
        asyncio.run(self._ask())

    async def _ask(self) -> None:
        message = await self.ledger.message("m4")
        assert message is not None
        lease = await self.ledger.acquire(message.partition, "test", T0, 60)
        assert lease is not None
        entity = Referral(patient=Patient(birth_date=ABSENT), evidence=(FIELD,))
        event = Event(id="m4.0", type="referral.received", subject_key=CASE, version=Version(at="1", tie="m4"),
                      entity=entity, source=Source(channel="fax"), message_id="m4", occurred_at="", received_at=T0,
                      revision="r")
        await self.ledger.commit(lease, [Processed(
            message_seq=message.seq, message_id="m4", state=MessageState.PROCESSED, at=T0, events=(event,),
            states=(State(subject_key=CASE, version="1", event_id="m4.0", entity=entity),))])
        await self.ledger.commit_looks(lease, [Looked(subject_key=CASE, token="", at=T0, opened=(
            self._new("aa11", "FIELD_CONFIDENCE:patient.birth_date", "referrals", 3, ("correct", "confirm", "reject")),
            self._new("bb22", "ELIGIBILITY:inactive", "insurance", 7, ("done", "reject"), due_at=T0),
            self._new("cc33", "APPROVAL:request-eligibility", "approval", 0, ("approve", "reject"))))])

    @staticmethod
    def _new(task_id: str, reason: str, queue: str, priority: int, actions: tuple[str, ...], due_at: int = 0) -> NewTask:
        kind = "review-field" if reason.startswith("FIELD") else "eligibility"
        return NewTask(id=task_id, subject_key=CASE, type=kind, reason=reason, queue=queue, priority=priority,
                       created_at=T0, due_at=due_at, message_id="m4", task=WorkTask(
                           subjects=(CASE, "eligibility:DRAGOMAN|77"), actions=actions, playbook="eligibility",
                           evidence=(FIELD,) if kind == "review-field" else ()))

    @asynccontextmanager
    async def tasks(self, config: Path) -> AsyncIterator[TaskShop]:
        yield TaskShop(ledger=self.ledger, tasks=TaskDesk(self.ledger, recheck, SystemClock()))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("LOGNAME", "ada")
    return TaskWorld()


Run = Callable[..., Any]


def test_the_most_urgent_comes_first_and_the_exit_code_says_that_something_waits(dragoman: Run) -> None:
    said = dragoman("tasks", "list", "--json")
    assert said.code == 1
    assert [(t["id"], t["overdue"]) for t in said.json["tasks"]] == [("bb22", True), ("aa11", False), ("cc33", False)]
    assert said.json["queues"] == {"approval": 1, "insurance": 1, "referrals": 1}
    screen = dragoman("tasks", "list", "--queue", "insurance").out
    assert "ELIGIBILITY:inactive" in screen
    assert "overdue" in screen
    assert "aa11" not in screen
    assert dragoman("tasks", "list", "--reason", "FIELD_", "--json").json["tasks"][0]["id"] == "aa11"
    empty = dragoman("tasks", "list", "--closed")
    assert empty.code == 0


def test_one_task_shows_its_evidence_and_what_may_be_typed_without_a_value(dragoman: Run) -> None:
    """Z10: masked; the place on the page is no patient data."""
    said = dragoman("tasks", "show", "aa")
    assert said.code == 0
    assert CANARY not in said.out
    for word in ("FIELD_CONFIDENCE:patient.birth_date", "page 2", "41 %", "dragoman tasks correct aa11", "north:12",
                 "dragoman show m4", "eligibility:DRAGOMAN|77"):
        assert word in said.out, word
    evidence, = dragoman("tasks", "show", "aa11", "--json").json["evidence"]
    assert evidence["box"] == [100, 200, 300, 40]


def test_revealing_asks_why_and_is_audited(dragoman: Run, world: World) -> None:
    assert dragoman("tasks", "show", "aa11", "--reveal").code == 2
    assert CANARY in dragoman("tasks", "show", "aa11", "--reveal", "--reason", "reading the page").out
    assert dragoman("audit", "list", "--action", "task.viewed", "--json").json["entries"][0]["reason"] == "reading the page"


def test_a_task_is_claimed_given_back_and_corrected(dragoman: Run) -> None:
    assert dragoman("tasks", "claim", "aa11", "--json").json["task"]["assignee"] == "ada"
    assert [t["id"] for t in dragoman("tasks", "list", "--mine", "--json").json["tasks"]] == ["aa11"]
    assert dragoman("tasks", "release", "aa11", "--json").json["task"]["status"] == "ready"
    refused = dragoman("tasks", "correct", "aa11", "--value", "3020-01-01")
    assert (refused.code, "date" in refused.err, "3020" in refused.err) == (2, True, False)
    done = dragoman("tasks", "correct", "aa11", "--value", "1980-01-20", "--note", "page 2")
    assert done.code == 0
    assert "correct by ada" in done.out
    again = dragoman("tasks", "confirm", "aa11")
    assert (again.code, "it is closed" in again.err) == (2, True)
    assert dragoman("audit", "verify").code == 0
    actions = [entry["action"] for entry in dragoman("audit", "list", "--action", "task.", "--json").json["entries"]]
    assert actions == ["task.claimed", "task.released", "task.correct"]
    assert dragoman("messages", "--channel", "tasks", "--json").json["messages"][0]["type"] == "task.completed"


@pytest.mark.parametrize(("task", "answer"), [("bb22", "done"), ("bb22", "reject"), ("cc33", "approve")])
def test_other_answers(dragoman: Run, task: str, answer: str) -> None:
    said = dragoman("tasks", answer, task, "--note", "telephoned", "--json")
    assert (said.code, said.json["outcome"], said.json["completed_by"]) == (0, answer, "ada")


def test_an_answer_that_the_task_does_not_take_names_those_that_it_does(dragoman: Run) -> None:
    said = dragoman("tasks", "approve", "bb22")
    assert said.code == 2
    assert "done, reject" in said.err
    assert "task.not_an_answer" in said.err
    assert dragoman("tasks", "show", "zz").code == 2


def test_what_people_found_is_counted_against_what_was_promised(dragoman: Run) -> None:
    """Calibration: a confirmed value was right, a corrected one was not."""
    assert "no field" in dragoman("tasks", "judged").out
    dragoman("tasks", "confirm", "aa11")
    said = dragoman("tasks", "judged", "--json").json
    assert [(one["field"], one["confidence"], one["right"], one["by"]) for one in said["judged"]] == [
        ("patient.birth_date", 412, True, "ada")]
    assert said["bands"] == {"0.4-0.5": [1, 1]}
    assert CANARY not in dragoman("tasks", "judged").out


def test_a_message_shows_the_tasks_that_came_of_it(dragoman: Run) -> None:
    said = dragoman("show", "m4")
    assert "dragoman tasks show aa11" in said.out
    assert [task["id"] for task in dragoman("show", "m4", "--json").json["tasks"]] == ["aa11", "bb22", "cc33"]
