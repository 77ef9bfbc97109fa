"""Is the patient insured? One question to the payer, its answer, and what a person must do about it (X13 to X37)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from canonical import aaa
from canonical.aaa import Disposition
from canonical.coverage import (
    CheckStatus,
    Coverage,
    Difference,
    EligibilityCheck,
    EligibilityResult,
    EligibilityStatus,
    PayerError,
)
from canonical.eligibility import differences
from canonical.model import Patient, Reference
from canonical.presence import ABSENT
from workflow.case import Case, Command, Question, Unsent, Wish, identifier, key_of, number
from workflow.facts import (
    code_of,
    coverage_of,
    day_ends,
    insured_as,
    micros,
    named,
    over,
    patient_of,
    person,
    procedure_of,
    provider_of,
    service_date,
)
from workflow.policy import Policy, RequestRule, Terms

TYPE: Final = "eligibility"
#: Of tasks that are ours to mend: enrolment, configuration, what we send.
SETUP: Final = "payer-setup"
DECISION: Final = "request-eligibility"
#: Of keys: tables make the same of the entity's name.
KIND: Final = "eligibility"
_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_MINUTE: Final = 60 * _SECOND
#: Between looks at a question that is just leaving.
_SOON: Final = 5 * _SECOND
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
    """The question that the case needs answered now, with all that is known; None where nothing says who insures the
    patient."""
    coverage = coverage_of(case)
    if coverage is None:
        return None
    return EligibilityCheck(
        mode="real-time", patient=patient_of(case) or ABSENT, coverage=coverage, payer=coverage.payer,
        provider=provider_of(case), service_types=rule.service_types, procedure=procedure_of(case),
        service_date=service_date(case) or ABSENT, cause=case.key)


def searches(check: EligibilityCheck, terms: Terms) -> list[EligibilityCheck]:
    """The question by each way of finding a member that the payer allows and that we know enough for, best first (X21)."""
    coverage = insured_as(check.coverage or Coverage(), own_numbers=terms.own_numbers)
    check = msgspec.structs.replace(check, coverage=coverage)
    if not terms.search:
        return [check] if coverage.member_id else []
    found: list[EligibilityCheck] = []
    for option in terms.search:
        one = _narrowed(check, frozenset(option))
        if one is not None and question_of(one) not in {question_of(other) for other in found}:
            found.append(one)
    return found


def _narrowed(check: EligibilityCheck, option: frozenset[str]) -> EligibilityCheck | None:
    """The question with no more of the member than an option says (minimum necessary); None where a part of it is not
    known."""
    coverage, patient = check.coverage or Coverage(), check.patient or Patient()
    parts = {"member": coverage.member_id, "group": coverage.group, "name": patient.names, "birth_date": patient.birth_date,
             "sex": patient.sex}
    if not all(parts[name] for name in option):
        return None
    gone = {name: name not in option for name in parts}
    return msgspec.structs.replace(
        check,
        coverage=msgspec.structs.replace(
            coverage, member_id=ABSENT if gone["member"] else coverage.member_id,
            group=ABSENT if gone["group"] else coverage.group,
            identifiers=() if gone["member"] else coverage.identifiers),
        patient=msgspec.structs.replace(
            patient, identifiers=(), names=() if gone["name"] else patient.names,
            birth_date=ABSENT if gone["birth_date"] else patient.birth_date, sex=ABSENT if gone["sex"] else patient.sex))


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


def keys(case: Case, policy: Policy) -> Iterator[str]:
    """Keys of the checks that the case may have asked for."""
    for rule in policy.requests:
        if rule.request == TYPE and rule.test(case) and (whole := asked(case, rule)) is not None:
            for check in searches(whole, policy.terms(case, whole))[:2]:
                for one in (check, _today(check)):
                    yield from (check_key(case, one, attempt)[1] for attempt in range(rule.attempts))


def _today(check: EligibilityCheck) -> EligibilityCheck:
    """The same question without a day: the payer takes the day on which it is asked."""
    return msgspec.structs.replace(check, service_date=ABSENT)


def decide(case: Case, rule: RequestRule, policy: Policy, wish: Wish) -> tuple[str, ...]:
    """Add what an eligibility rule that holds asks for.

    Returns:
        Keys of the checks that the case rests on now: the last one asked, and those that led to it.
    """
    if over(case):
        return ()
    whole = asked(case, rule)
    terms = policy.terms(case, whole) if whole is not None else Terms()
    options = searches(whole, terms) if whole is not None else []
    if whole is None or not options:
        wish.questions.append(Question(type=TYPE, reason="ELIGIBILITY:no-coverage", playbook="eligibility"))
        return ()
    day = micros(whole.service_date)
    if terms.days_ahead and day and (begins := day - (terms.days_ahead + 1) * _DAY) > case.now:
        wish.remind(begins, case.now)  # X25: the payer does not look so far ahead; it is asked when it does
        return ()
    if day:
        wish.remind(day_ends(day), case.now)
    check, further, used = options[0], options[1:2], []
    while True:
        key, known = _pursued(case, rule, wish, check)
        used.append(key)
        if known is None or not known.result:
            return tuple(used)
        instead = _instead(check, further, known.result)
        if instead is None:
            _answered(wish, key, known.result, whole if len(used) > 1 else None)
            return tuple(used)
        check, further = instead


def _instead(check: EligibilityCheck, further: list[EligibilityCheck],
             result: EligibilityResult) -> tuple[EligibilityCheck, list[EligibilityCheck]] | None:
    """The question that is asked next, because the answer to this one says that another may help (X29), and the searches
    that are left; each kind of correction is made once."""
    errors = [error for error in result.errors or () if error.layer == "aaa"]
    if not errors or result.benefits or not aaa.may_ask_again(str(error.follow_up or "") for error in errors):
        return None
    match aaa.disposition(error.code for error in errors):
        case Disposition.SEARCH if further:
            return further[0] if check.service_date else _today(further[0]), []
        case Disposition.DATE if check.service_date:
            return _today(check), further
        case _:
            return None


def _pursued(case: Case, rule: RequestRule, wish: Wish, check: EligibilityCheck) -> tuple[str, EligibilityCheck | None]:
    """Ask, and ask again where the payer is away. The key of the last attempt, and its state where it has an answer that
    counts."""
    for attempt in range(rule.attempts):
        trace, key = check_key(case, check, attempt)
        known = case.related.get(key)
        if not isinstance(known, EligibilityCheck):
            _ask(case, rule, wish, check, trace, key, attempt)
            return key, None
        result = known.result or None
        if result is not None and result.status is not EligibilityStatus.PAYER_UNAVAILABLE:
            return key, known
        if result is None and known.status is CheckStatus.REJECTED:
            wish.questions.append(_question("ELIGIBILITY:rejected", key))
            return key, None
        if result is None and known.status is not CheckStatus.ERROR:
            if not known.sent_at:
                _unsent(case, rule, wish, key)
                return key, None
            since = micros(known.sent_at) + rule.deadline_s * _SECOND
            if case.now < since:
                wish.remind(since, case.now)
                return key, None
            if known.status is not CheckStatus.TIMED_OUT:
                wish.commands.append(Command(
                    event="eligibility.failed", subject_key=key, entity=EligibilityCheck(status=CheckStatus.TIMED_OUT),
                    effect=("timed-out", key), early=3))
        else:
            since = max(micros(result.answered_at), micros(known.sent_at)) if result is not None else micros(known.sent_at)
        follow_ups = [str(error.follow_up or "") for error in (result.errors or () if result is not None else ())]
        if attempt + 1 == rule.attempts or not aaa.may_ask_again(follow_ups):
            wish.questions.append(_question("ELIGIBILITY:payer-unavailable", key))
            return key, None
        wait_s = aaa.wait_s(follow_ups)
        at = since + (wait_s or rule.again_s * 2 ** attempt) * _SECOND
        if case.now < at:
            wish.remind(at, case.now)
            if wait_s:  # days: nobody should wait for that unawares
                wish.questions.append(_question("ELIGIBILITY:payer-unavailable", key))
            return key, None
    raise AssertionError("there is at least one attempt")


def _unsent(case: Case, rule: RequestRule, wish: Wish, key: str) -> None:
    """It has not left: the payer's time does not run, and after as long as it would have had, somebody is told why."""
    if (reason := unsent(case, rule, wish, case.unsent.get(key))) is not None:
        wish.questions.append(_question(f"ELIGIBILITY:{reason}", key, SETUP if reason == "destination-blocked" else TYPE))


def unsent(case: Case, rule: RequestRule, wish: Wish, known: Unsent | None) -> str | None:
    """Why a question has not left, once that is worth telling: ``payer-away``, ``destination-blocked``."""
    if known is None:
        return None
    at = known.since + rule.deadline_s * _SECOND
    if case.now < at or known.leaving:
        wish.remind(max(at, case.now + _SOON), case.now)
        return None
    wish.remind(case.now + _MINUTE, case.now)  # health changes without a word to us
    return "destination-blocked" if known.blocked else "payer-away"


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
    wish.commands.append(Command(
        event="eligibility.requested", subject_key=key, decision=DECISION, effect=("asked", key), early=1,
        entity=msgspec.structs.replace(
            numbered, status=CheckStatus.CREATED, submitter_reference=f"{trace[:16]}{attempt}")))


def _answered(wish: Wish, key: str, result: EligibilityResult, whole: EligibilityCheck | None) -> None:
    """What an answer asks of a person.

    Args:
        whole: all that is known, where another search found the member: whoever was found is compared with it.
    """
    if result.status and (reason := _REASONS.get(result.status)) is not None:
        rejected = result.status is EligibilityStatus.REJECTED
        wish.questions.append(_question(reason, key, SETUP if rejected and setup(result.errors or ()) else TYPE))
    unlike = tuple(_unlike(whole, result)) if whole is not None else result.differences or ()
    if unlike:
        # A steward decides whose word counts; nothing is overwritten by itself (X28). Found by less than all that we
        # know, it may be somebody else: then the visit does not go on before somebody has looked.
        wish.questions.append(Question(
            type="demographics", reason="DEMOGRAPHICS:payer-differs", subjects=(key,), playbook="demographics",
            differences=unlike, facts=tuple(_told(one) for one in unlike), blocks=whole is not None))
    if result.other_payers:
        wish.questions.append(Question(
            type=TYPE, reason="COVERAGE:other-payer", subjects=(key,), playbook="coordination-of-benefits",
            facts=tuple(named(payer) for payer in result.other_payers)))


def setup(errors: tuple[PayerError, ...]) -> bool:
    """True where what was refused is ours to mend: not a matter of this visit, and the next would be refused likewise."""
    layers = {error.layer for error in errors}
    return bool(layers - {"aaa", "delivery.unwritable"}) or (
        "aaa" in layers and aaa.disposition(error.code for error in errors) is Disposition.SETUP)


def _unlike(whole: EligibilityCheck, result: EligibilityResult) -> Iterator[Difference]:
    mine, theirs = whole.coverage or Coverage(), result.coverage or Coverage()
    if mine.member_id and theirs.member_id and mine.member_id != theirs.member_id:
        yield Difference(field="coverage.member_id", ours=mine.member_id, theirs=theirs.member_id)
    if whole.patient and result.patient:
        yield from differences(whole.patient, result.patient)


def close(case: Case, rests_on: frozenset[str], wish: Wish) -> None:
    """End the checks of a case that nothing rests on any more: the visit is cancelled or over, or asks something else now.

    What is closed may yet be answered (A1.4): the answer is kept, and the check is closed again."""
    for key, check in case.related_of(EligibilityCheck):
        if check.cause == case.key and key not in rests_on:
            ended(key, check, wish)


def ended(key: str, check: EligibilityCheck, wish: Wish) -> None:
    """End one check."""
    if check.status is not CheckStatus.CLOSED:
        result = check.result or None
        wish.commands.append(Command(
            event="eligibility.closed", subject_key=key, entity=EligibilityCheck(status=CheckStatus.CLOSED),
            effect=("closed", key, str((result.answered_at if result is not None else "") or ""))))


def _question(reason: str, key: str, kind: str = TYPE) -> Question:
    return Question(type=kind, reason=reason, facts=(key,), subjects=(key,), playbook="eligibility")


def _told(difference: Difference) -> str:
    return f"{difference.field}={difference.theirs or ''}"
