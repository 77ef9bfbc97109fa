"""What a payer's decision asks of people, given the visit it is for (W3, X38 to X46)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from canonical import history
from canonical.authorization import Authorization, AuthorizationStatus
from canonical.event import Event, Source, Version
from canonical.task import TaskStatus
from tests.workflow.cases import KEY, NOW, POLICY, at, case, coverage, entity, reasons, visit, wish, with_authorization
from workflow.authorization import overall
from workflow.case import Answered, Wish
from workflow.policy import Clock, Policy, RequestRule


def test_a_visit_that_needs_an_authorization_asks_for_one() -> None:
    command, = wish(case(visit(), coverage())).commands
    assert command.event == "authorization.submitted"
    asked = command.entity
    assert isinstance(asked, Authorization)
    assert (asked.status, asked.cause) == (AuthorizationStatus.SUBMITTED, "appointment:EHR|V1")
    assert [service.code for service in asked.services or ()] == [(visit().services or ())[0].code]


def test_a_move_needs_no_new_request_and_another_service_does() -> None:
    """X44: the day is not part of the question."""
    keys = [wish(case(of, coverage())).commands[0].subject_key for of in (
        visit(), visit("2027-04-01T09:00:00-05:00"), visit(services=[{"code": {"coding": [{"code": "70551"}]}}]))]
    assert keys[0] == keys[1] != keys[2]


def test_an_approval_that_covers_the_visit_closes_everything() -> None:
    """A3.1."""
    approved, _ = with_authorization(visit(), status="approved", number="A1", valid={
        "start": "2027-03-01", "end": "2027-03-31"})
    assert wish(approved).questions == []
    assert wish(approved).commands == []


@pytest.mark.parametrize(("day", "expected"), [
    ("2027-03-01T09:00:00-05:00", []), ("2027-03-31T23:00:00-05:00", []),
    ("2027-04-01T09:00:00-05:00", ["AUTHORIZATION:expiring"]), ("2027-02-28T09:00:00-05:00", ["AUTHORIZATION:expiring"])])
def test_the_validity_is_looked_at_again_whenever_the_visit_moves(day: str, expected: list[str]) -> None:
    """X44, A3.11."""
    of, _ = with_authorization(visit(day), status="approved", valid={"start": "2027-03-01", "end": "2027-03-31"})
    assert reasons(of) == expected
    assert all(question.blocks for question in wish(of).questions)


@pytest.mark.parametrize("status", ["partial", "modified"])
def test_less_than_planned_blocks_the_visit_side_by_side(status: str) -> None:
    """X39, A3.2: fewer units, another day, another provider, another place."""
    of, key = with_authorization(
        visit(location={"facility": "EAST"}, participants=[
            {"kind": "practitioner", "who": {"identifiers": [{"value": "1234567893"}]}}]),
        status=status, services=[{
            "quantity": "12", "certified_quantity": "8", "certified_period": {"start": "2027-01-01", "end": "2027-02-01"},
            "provider": {"identifiers": [{"value": "1999999984"}]}, "place": {"facility": "WEST"}}])
    question, = wish(of).questions
    assert (question.reason, question.blocks, question.subjects) == (f"AUTHORIZATION:{status}", True, (key,))
    assert [(one.field, one.ours, one.theirs) for one in question.differences] == [
        ("services(0).quantity", "12", "8"), ("services(0).date", "2027-03-10", "2027-01-01 to 2027-02-01"),
        ("services(0).provider", "1234567893", "1999999984"), ("services(0).place", "EAST", "WEST")]


def test_a_modification_that_still_fits_asks_nobody() -> None:
    """X39: only a mismatch with the appointment counts."""
    of, _ = with_authorization(visit(), status="modified", services=[{"quantity": "1", "certified_quantity": "1"}])
    assert reasons(of) == []


def test_a_denial_is_work_with_the_date_of_the_appeal_and_the_visit_stays() -> None:
    """X41, A3.3."""
    of, _ = with_authorization(visit(), status="denied", denial_reasons=["0F"], appeal_until="2026-12-24")
    asked = wish(of)
    question, = asked.questions
    assert (question.reason, question.due_at) == ("AUTHORIZATION:denied", at("2026-12-24T23:59:59+00:00"))
    assert "appeal" in question.actions
    assert asked.commands == []  # above all no cancellation


@pytest.mark.parametrize(("status", "expected"), [
    ("contact-payer", ["AUTHORIZATION:contact-payer"]),  # X43, A3.4
    ("not-required", []),  # X42, A3.5
    ("cancelled", []),  # A3.7
    ("expired", ["AUTHORIZATION:expiring"]),
    ("pended", [])])
def test_the_other_decisions(status: str, expected: list[str]) -> None:
    of, _ = with_authorization(visit(), status=status)
    assert reasons(of) == expected


def test_a_clock_that_runs_out_is_told_once_and_stands_still_while_documents_are_asked_of_us() -> None:
    """X46, A3.10."""
    due = "2026-11-25T08:00:00+00:00"
    of, key = with_authorization(visit(), status="pended", clocks=[{"rule": "CORE-2-days", "due_at": due}])
    waiting = wish(of)
    assert (waiting.questions, waiting.next_at) == ([], at(due))
    late = msgspec.structs.replace(of, now=at(due))
    assert reasons(late) == ["AUTHORIZATION:overdue:CORE-2-days"]
    assert [q.id(of.key) for q in wish(late).questions] == [
        q.id(of.key) for q in wish(msgspec.structs.replace(late, now=at(due) + 10**12)).questions]
    paused = dict(of.related)
    paused[key] = msgspec.structs.replace(paused[key], clocks=(), documents_requested=(
        entity(Authorization, documents_requested=[{"text": "notes"}]).documents_requested or ()))
    assert reasons(msgspec.structs.replace(late, related=paused)) == ["AUTHORIZATION:documents-requested"]


TWO_DAYS = Clock(rule="CORE", business_days=2)
WEEK = Clock(rule="CMS-0057-F", seconds=7 * 86_400)
AFTER = Clock(rule="CORE-documents", business_days=2, after_documents=True)


def clocked(now: str, *clocks: Clock, tasks: Mapping[str, Answered] | None = None, **fields: object) -> Wish:
    """What is asked for a pended request that left on a Thursday, at some moment."""
    of, _ = with_authorization(visit(), status="pended", sent_at="2026-11-26T08:00:00+00:00", **fields)
    policy = Policy(automatic=POLICY.automatic, requests=(
        RequestRule(name="ask", test=lambda _: True, request="authorization", clocks=clocks),))
    return wish(msgspec.structs.replace(of, now=at(now), tasks=tasks or {}), policy)


@pytest.mark.parametrize(("clock", "due"), [(TWO_DAYS, "2026-11-30T08:00:00+00:00"), (WEEK, "2026-12-03T08:00:00+00:00")])
def test_a_clock_runs_from_the_leaving_of_the_request_and_names_its_rule(clock: Clock, due: str) -> None:
    """X46: business days leave the weekend out."""
    waiting = clocked("2026-11-27T08:00:00+00:00", clock)
    assert (waiting.questions, waiting.next_at) == ([], at(due))
    question, = clocked(due, clock).questions
    assert question.reason == f"AUTHORIZATION:overdue:{clock.rule}"


def test_clocks_stand_still_while_we_owe_documents_and_another_begins_when_they_have_gone() -> None:
    """X40, X46, A3.10: two business days after their sending, and the others go on with what was left of them."""
    wanted = [{"coding": [{"code": "M1"}]}]
    owed, = clocked("2027-01-04T08:00:00+00:00", WEEK, AFTER, documents_requested=wanted).questions
    assert owed.reason == "AUTHORIZATION:documents-requested"
    sent = {owed.id(KEY): Answered(
        TaskStatus.DONE, "done", at("2026-11-27T08:00:00+00:00"), at("2026-12-04T08:00:00+00:00"))}
    waiting = clocked("2026-12-04T09:00:00+00:00", WEEK, AFTER, tasks=sent, documents_requested=wanted)
    assert (waiting.questions, waiting.next_at) == ([], at("2026-12-08T08:00:00+00:00"))
    late = clocked("2026-12-08T08:00:00+00:00", WEEK, AFTER, tasks=sent, documents_requested=wanted)
    assert [one.reason for one in late.questions] == ["AUTHORIZATION:overdue:CORE-documents"]
    assert late.next_at == at("2026-12-10T08:00:00+00:00"), "a week, and the week in which we owed them"


def test_before_it_has_left_no_clock_runs() -> None:
    """X46."""
    of, _ = with_authorization(visit(), status="pended")
    policy = Policy(automatic=POLICY.automatic, requests=(
        RequestRule(name="ask", test=lambda _: True, request="authorization", clocks=(TWO_DAYS,)),))
    assert wish(msgspec.structs.replace(of, now=at("2030-01-01T00:00:00+00:00")), policy).questions == []


@pytest.mark.parametrize(("status", "services", "expected"), [
    ("submitted", ["approved", "pended"], "pended"),  # A3.12: item 2 only
    ("approved", ["approved", "denied"], "partial"),
    ("approved", ["approved", "approved"], "approved"),
    ("submitted", ["approved"], "approved"),
    ("pended", ["approved", "contact-payer"], "contact-payer"),
    ("submitted", [], "submitted"),
    ("denied", ["pended"], "denied")])
def test_the_whole_is_the_worst_part_that_is_not_settled(status: str, services: list[str], expected: str) -> None:
    """X38."""
    told = entity(Authorization, status=status, services=[{"decision": one} for one in services])
    assert overall(told) == expected


def test_a_new_number_takes_the_place_of_the_one_before() -> None:
    """A3.9, X45; A3.8: the same said five times is one change."""
    def said(place: int, **fields: object) -> Event:
        return Event(id=f"m{place}.0", type="authorization.decided", subject_key="authorization:P|1",
                     version=Version(at=str(place), tie=f"m{place}"), entity=entity(Authorization, **fields),
                     source=Source(channel="x"), message_id=f"m{place}", occurred_at="", received_at=NOW, revision="")

    events = [said(1, number="A1", status="approved")] + [said(n, number="A2") for n in range(2, 7)]
    state = history.fold(reversed(events))
    assert isinstance(state, Authorization)
    assert (state.number, state.superseded_numbers, state.status) == ("A2", ("A1",), "approved")


def test_an_authorization_that_nobody_here_asked_for_is_judged_by_itself() -> None:
    """RPA, or a payer's notice about a request made elsewhere."""
    told = entity(Authorization, status="denied")
    assert reasons(case(told, key="authorization:PAYER|77")) == ["AUTHORIZATION:denied"]
    assert reasons(case(told, key="authorization:DRAGOMAN|77")) == ["ORPHAN:authorization"]
    caused = entity(Authorization, status="denied", cause="appointment:EHR|V1")
    asked = wish(case(caused, key="authorization:DRAGOMAN|77"))
    assert (asked.questions, asked.looks) == ([], ["appointment:EHR|V1"])


def test_without_a_registered_decision_a_person_approves_first() -> None:
    """Invariant 13."""
    policy = msgspec.structs.replace(POLICY, automatic=frozenset())
    of = case(visit(), coverage())
    asked = wish(of, policy)
    question, = asked.questions
    assert (question.reason, asked.commands) == ("APPROVAL:request-authorization", [])
    task = question.id(of.key)
    assert len(wish(case(visit(), coverage(), tasks={task: "approve"}), policy).commands) == 1
    rejected = wish(case(visit(), coverage(), tasks={task: "reject"}), policy)
    assert rejected.commands == []
