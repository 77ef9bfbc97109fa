"""Is the patient insured? One question to the payer, its answer, and what a person must do about it (X13 to X37)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from canonical.coverage import (
    CheckStatus,
    Coverage,
    Difference,
    EligibilityCheck,
    EligibilityResult,
    EligibilityStatus,
)
from canonical.model import Instant, Reference
from canonical.presence import ABSENT
from workflow.case import Case, Command, Question, Wish, identifier, key_of, number
from workflow.facts import (
    code_of,
    coverage_of,
    micros,
    named,
    patient_of,
    person,
    procedure_of,
    provider_of,
    service_date,
)
from workflow.policy import RequestRule

TYPE: Final = "eligibility"
DECISION: Final = "request-eligibility"
#: Of keys: tables make the same of the entity's name.
KIND: Final = "eligibility"
_SECOND: Final = 1_000_000
#: What an answer that is no *active* asks of a person: four failures, four reasons (A1.4), and the two in between.
_REASONS: Final = {
    EligibilityStatus.INACTIVE: "ELIGIBILITY:inactive",
    EligibilityStatus.NOT_FOUND: "ELIGIBILITY:not-found",
    EligibilityStatus.AMBIGUOUS: "ELIGIBILITY:ambiguous",
    EligibilityStatus.PAYER_UNAVAILABLE: "ELIGIBILITY:payer-unavailable",
    EligibilityStatus.REJECTED: "ELIGIBILITY:rejected",
    EligibilityStatus.PARTIAL: "ELIGIBILITY:partial",
}


def asked(case: Case, rule: RequestRule) -> EligibilityCheck | None:
    """The question that the case needs answered now; None where nothing says who insures the patient."""
    coverage = coverage_of(case)
    if coverage is None or not coverage.member_id:
        return None
    return EligibilityCheck(
        mode="real-time", patient=patient_of(case) or ABSENT, coverage=coverage, payer=coverage.payer,
        provider=provider_of(case), service_types=rule.service_types, procedure=procedure_of(case),
        service_date=service_date(case) or ABSENT, cause=case.key)


def question_of(check: EligibilityCheck) -> str:
    """What is asked, whoever asks it: same member, payer, services and day are the same question (X26)."""
    coverage = check.coverage or Coverage()
    payer = check.payer or Reference()
    return number("question", named(payer), coverage.member_id or "", coverage.group or "",
                  *(check.service_types or ()), code_of(check.procedure or None), check.service_date or "",
                  person(check.patient or None))


def check_key(case: Case, check: EligibilityCheck, attempt: int) -> tuple[str, str]:
    """Trace number and key of one attempt to ask: made of the case and of the facts that matter, so that asking
    again for the same is the same question (D06)."""
    trace = number(TYPE, case.key, question_of(check), attempt)
    return trace, key_of(KIND, trace)


def keys(case: Case, rules: tuple[RequestRule, ...]) -> Iterator[str]:
    """Keys of the checks that the case may have asked for."""
    for rule in rules:
        if rule.request == TYPE and rule.test(case) and (check := asked(case, rule)) is not None:
            yield from (check_key(case, check, attempt)[1] for attempt in range(rule.attempts))


def decide(case: Case, rule: RequestRule, wish: Wish) -> None:
    """Add what an eligibility rule that holds asks for."""
    check = asked(case, rule)
    if check is None:
        wish.questions.append(Question(type=TYPE, reason="ELIGIBILITY:no-coverage", playbook="eligibility"))
        return
    last: tuple[str, EligibilityCheck] | None = None
    at = case.now
    for attempt in range(rule.attempts):
        trace, key = check_key(case, check, attempt)
        known = case.related.get(key)
        if not isinstance(known, EligibilityCheck):
            _ask(case, rule, wish, check, trace, key, attempt)
            return
        if known.result and known.result.status is not EligibilityStatus.PAYER_UNAVAILABLE:
            _answered(case, wish, key, known.result)
            return
        if not known.result and known.status is CheckStatus.REJECTED:
            wish.questions.append(_question("ELIGIBILITY:rejected", key))
            return
        ends = micros(known.deadline)
        if not known.result and known.status is not CheckStatus.ERROR:
            if case.now < ends:
                wish.remind(ends, case.now)
                if last is not None:
                    wish.questions.append(_question("ELIGIBILITY:payer-unavailable", last[0]))
                return
            if known.status is not CheckStatus.TIMED_OUT:
                wish.commands.append(Command(
                    event="eligibility.failed", subject_key=key, entity=EligibilityCheck(status=CheckStatus.TIMED_OUT),
                    effect=("timed-out", key), first=True))
        last = key, known
        at = ends + rule.again_s * _SECOND * 2 ** attempt
        if attempt + 1 < rule.attempts and case.now < at:
            wish.remind(at, case.now)
            break
    if last is not None:
        wish.questions.append(_question("ELIGIBILITY:payer-unavailable", last[0]))


def _ask(case: Case, rule: RequestRule, wish: Wish, check: EligibilityCheck, trace: str, key: str,
         attempt: int) -> None:
    """Use an answer that is there already (X26), else ask."""
    numbered = msgspec.structs.replace(check, identifiers=(identifier(trace, "TRN"),))
    question = question_of(check)
    for _, other in case.related_of(EligibilityCheck):
        result = other.result
        if result and result.status is EligibilityStatus.ACTIVE and question_of(other) == question:
            since = micros(result.answered_at)
            until = micros(result.expires_at) or since + rule.cache_s * _SECOND
            if since and case.now < until:
                reused = msgspec.structs.replace(result, cached=True)
                wish.commands.append(Command(
                    event="eligibility.answered", subject_key=key,
                    entity=msgspec.structs.replace(numbered, status=CheckStatus.ANSWERED, result=reused),
                    effect=("asked", key)))
                return
    deadline = datetime.fromtimestamp((case.now + rule.deadline_s * _SECOND) / 1e6, UTC)
    wish.commands.append(Command(
        event="eligibility.requested", subject_key=key, decision=DECISION, effect=("asked", key), first=True,
        entity=msgspec.structs.replace(
            numbered, status=CheckStatus.CREATED, submitter_reference=f"{trace[:16]}{attempt}",
            deadline=Instant(deadline.isoformat(timespec="seconds")))))


def _answered(case: Case, wish: Wish, key: str, result: EligibilityResult) -> None:
    if result.status and (reason := _REASONS.get(result.status)) is not None:
        wish.questions.append(_question(reason, key))
    if result.differences:
        # A steward decides whose word counts; nothing is overwritten by itself (X28).
        wish.questions.append(Question(
            type="demographics", reason="DEMOGRAPHICS:payer-differs", subjects=(key,), playbook="demographics",
            differences=result.differences, facts=tuple(_told(one) for one in result.differences)))
    if result.other_payers:
        wish.questions.append(Question(
            type=TYPE, reason="COVERAGE:other-payer", subjects=(key,), playbook="coordination-of-benefits",
            facts=tuple(named(payer) for payer in result.other_payers)))


def _question(reason: str, key: str) -> Question:
    return Question(type=TYPE, reason=reason, facts=(key,), subjects=(key,), playbook="eligibility")


def _told(difference: Difference) -> str:
    return f"{difference.field}={difference.theirs or ''}"
