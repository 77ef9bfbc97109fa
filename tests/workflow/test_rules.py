"""Rules of a site: what is told when they are wrong, and the small deciders."""

from __future__ import annotations

import msgspec
import pytest

from canonical.coverage import EligibilityCheck
from canonical.document import Document
from canonical.findings import Rejection
from canonical.model import Appointment
from router.site import load
from tests.workflow.cases import KEY, NOW, POLICY, case, coverage, entity, reasons, visit, wish
from workflow.decide import decide
from workflow.eligibility import asked, check_key
from workflow.policy import Handling, Policy, RequestRule, TaskRule

BASE = "site: s\nchannels: {}\n"


def told(text: str) -> list[tuple[str, str]]:
    """(code, detail) of what is wrong with a site."""
    try:
        return [(f.code, f.detail) for f in load((BASE + text).encode(), "site.yaml", connectors={}, mappings=()).findings]
    except Rejection as rejection:
        return [(f.code, f.detail) for f in rejection.findings]


@pytest.mark.parametrize(("text", "code", "detail"), [
    ("workflow: [{rule: a}]", "config.rule_without_effect", ""),
    ("workflow: [{rule: a, request: eligibility, task: {type: b}}]", "config.rule_without_effect", ""),
    ("workflow: [{rule: a, when: {statis: booked}, task: {type: b}}]", "config.bad_condition", "statis"),
    ("workflow: [{rule: a, when: {score.no_show: above 1}, task: {type: b}}]", "config.bad_condition", "no scorer"),
    ("tasks: {nothing: {queue: q}}", "config.unknown_reference", "type of task"),
    ("decisions: {nothing: {automatic: yes}}", "config.unknown_reference", "type of decision"),
    ("workflow: [{rule: a, request: eligibility}]", "config.asked_first", ""),
    ("workflow: [{rule: a, requests: eligibility}]", "document.unknown_key", "requests")])
def test_what_is_wrong_with_a_rule_is_told_with_its_place(text: str, code: str, detail: str) -> None:
    found = told(text)
    assert [one for one in found if one[0] == code and detail in one[1]], found


def test_a_channel_may_not_have_one_of_our_names() -> None:
    with pytest.raises(Rejection) as rejection:
        load(b"site: s\nchannels: {tasks: {connector: x, mapping: y}}\n", "site.yaml", connectors={}, mappings=())
    assert "config.reserved_name" in {found.code for found in rejection.value.findings}


def test_a_task_of_a_rule_has_its_queue_priority_and_date() -> None:
    rule = TaskRule(name="call", test=lambda _: True, type="call-patient", reason="SHORT", priority=6, due_s=3600)
    policy = Policy(tasks=(rule,), handling={"call-patient": Handling(queue="desk", playbook="calls")})
    question, = wish(case(visit()), policy).questions
    assert (question.queue, question.priority, question.due_at, question.playbook) == (
        "desk", 6, NOW + 3600 * 1_000_000, "calls")
    moved, = wish(case(visit("2027-05-01T09:00:00-05:00")), policy).questions
    assert moved.id(KEY) != question.id(KEY)  # another visit time is another call


def test_two_visits_that_a_merge_put_at_one_time_are_one_question() -> None:
    """A4.2: asked once, by whichever of them comes first; gone when one of them is moved."""
    def booked(number: str, other: str) -> Appointment:
        return visit(identifiers=[{"value": number, "type": "FILL"}],
                     conflicts=[{"identifiers": [{"value": other, "type": "FILL"}]}] if other else [])

    both = {"appointment:E|1": booked("1", "2"), "appointment:E|2": booked("2", "1")}
    policy = Policy()
    assert reasons(case(both["appointment:E|1"], both, key="appointment:E|1"), policy) == ["MERGE:double-booking"]
    assert reasons(case(both["appointment:E|2"], both, key="appointment:E|2"), policy) == []
    moved = both | {"appointment:E|1": booked("1", "")}
    assert reasons(case(moved["appointment:E|1"], moved, key="appointment:E|1"), policy) == []


def test_an_answer_is_used_again_until_it_has_expired() -> None:
    """X26: by the payer's own date, else by the site's patience; never one that was not *active*."""
    rule = RequestRule(name="r", test=lambda _: True, request="eligibility", cache_s=3600)
    policy = Policy(requests=(rule,), automatic=POLICY.automatic)
    first = case(visit(), coverage())
    question = asked(first, rule)
    assert question is not None
    other = case(visit(identifiers=[{"value": "V2", "type": "FILL"}]), key="appointment:EHR|V2")

    def said(now: int, **result: object) -> str:
        answered = msgspec.structs.replace(question, status="answered", result=entity(
            EligibilityCheck, result=result).result)
        related = {**coverage(), check_key(first, question, 0)[1]: answered}
        return wish(msgspec.structs.replace(other, now=now, related=related), policy).commands[0].event

    since = {"status": "active", "answered_at": "2026-11-24T08:00:00+00:00"}
    assert said(NOW + 3_599_000_000, **since) == "eligibility.answered"
    assert said(NOW + 3_600_000_000, **since) == "eligibility.requested"
    assert said(NOW, **since, expires_at="2026-11-24T07:59:00+00:00") == "eligibility.requested"
    assert said(NOW, **{**since, "status": "inactive"}) == "eligibility.requested"
    assert said(NOW, status="active") == "eligibility.requested"


def test_the_facts_that_matter_make_another_question_and_others_do_not() -> None:
    rule = RequestRule(name="r", test=lambda _: True, request="eligibility")

    def key(of: Appointment, **more: object) -> str:
        given = {"coverage:P|W1": msgspec.structs.replace(coverage()["coverage:P|W1"], **more)}
        the_case = case(of, given)
        check = asked(the_case, rule)
        assert check is not None
        return check_key(the_case, check, 0)[1]

    base = key(visit())
    assert key(visit(comments=["x"], priority="urgent")) == base
    assert key(visit("2027-03-10T15:00:00-05:00")) == base
    assert len({base, key(visit("2027-03-11T09:00:00-05:00")), key(visit(), member_id="W2"), key(visit(), group="G"),
                key(visit(services=[{"code": {"coding": [{"code": "70551"}]}}]))}) == 5


def test_a_fax_of_several_patients_and_an_unknown_page_are_for_a_person() -> None:
    """A1.6: out of the box, by no rule of the site; the same fax asks once, and what was filed asks nothing."""
    def said(status: str) -> list[tuple[str, str, str]]:
        document = entity(Document, identifiers=[{"value": "ab12", "type": "SHA256"}], status=status, kind="fax", pages=2)
        found = decide(case(document, key="document:dragoman|ab12"), Policy())
        return [(one.type, one.reason, one.queue) for one in found.questions]

    assert said("split") == [("sort-document", "DOCUMENT:split", "sort-document")]
    assert said("review") == [("sort-document", "DOCUMENT:unknown-form", "sort-document")]
    assert said("extracted") == []
