"""May the service be done? One living object from the request to the last word (X38 to X46, W3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from canonical import aaa
from canonical.aaa import Disposition
from canonical.authorization import Authorization, AuthorizationStatus, AuthorizedService
from canonical.coverage import Coverage, Difference
from canonical.model import Appointment, Date, Period, Reference
from canonical.presence import ABSENT
from canonical.referral import Referral
from workflow.case import Answered, Case, Command, Question, Wish, identifier, key_of, number
from workflow.eligibility import SETUP, setup, unsent
from workflow.facts import (
    business_days_after,
    code_of,
    coverage_of,
    insured_as,
    micros,
    named,
    patient_of,
    provider_of,
    service_date,
    services_of,
)
from workflow.policy import Clock, OfPayer, Policy, RequestRule
from workflow.waits import waits

TYPE: Final = "authorization"
DECISION: Final = "request-authorization"
Status = AuthorizationStatus
#: The overall decision is the worst one that is not settled (X38, A3.12).
_WORST: Final = (Status.DENIED, Status.CONTACT_PAYER, Status.PENDED, Status.PARTIAL, Status.MODIFIED,
                 Status.SUBMITTED, Status.REQUIRED)


def needed(case: Case, terms: OfPayer | None = None) -> Authorization | None:
    """The authorization that the case needs; None where nothing says who insures the patient."""
    coverage = coverage_of(case)
    if coverage is None or not coverage.member_id:
        return None
    services = tuple(AuthorizedService(sequence=place, code=service.code, quantity="1", unit="VS")
                     for place, service in enumerate(services_of(case), 1))
    entity = case.entity
    day = service_date(case)
    wanted = Authorization(
        status=Status.SUBMITTED, category="HS", action="initial", patient=patient_of(case) or ABSENT,
        coverage=coverage, payer=coverage.payer, requester=provider_of(case), services=services, cause=case.key,
        diagnoses=(entity.diagnoses or ()) if isinstance(entity, Appointment | Referral) else (),
        valid=Period(start=day, end=day) if day else ABSENT)
    own = terms is not None and terms(case, wanted).own_numbers
    return msgspec.structs.replace(wanted, coverage=insured_as(coverage, own_numbers=own))


def request_key(case: Case, wanted: Authorization) -> tuple[str, str]:
    """Trace number and key: made of the case, the member and the services. The day is not among them: a visit that
    moves within what was certified needs no new request, and one that moves out of it a person (X44)."""
    coverage = wanted.coverage or Coverage()
    trace = number(TYPE, case.key, named(wanted.payer or Reference()), coverage.member_id or "",
                   *sorted(code_of(service.code or None) for service in wanted.services or ()))
    return trace, key_of(TYPE, trace)


def keys(case: Case, rules: tuple[RequestRule, ...]) -> Iterator[str]:
    """Keys of the authorizations that the case may have asked for."""
    for rule in rules:
        if rule.request == TYPE and rule.test(case) and (wanted := needed(case)) is not None:
            yield request_key(case, wanted)[1]


def decide(case: Case, rule: RequestRule, policy: Policy, wish: Wish) -> None:
    """Add what an authorization rule that holds asks for."""
    wanted = needed(case, policy.terms)
    if wanted is None:
        wish.questions.append(Question(type=TYPE, reason="AUTHORIZATION:no-coverage", playbook="authorization"))
        return
    trace, key = request_key(case, wanted)
    if key not in case.related:
        wish.commands.append(Command(
            event="authorization.submitted", subject_key=key, decision=DECISION, effect=("asked", key), early=1,
            entity=msgspec.structs.replace(wanted, identifiers=(identifier(trace, "TRN"),))))
        return
    known = case.related[key]
    if isinstance(known, Authorization):
        if waits(known) and not known.sent_at:
            if (reason := unsent(case, rule, wish, case.unsent.get(key))) is not None:
                kind = SETUP if reason == "destination-blocked" else TYPE
                wish.questions.append(_question(f"AUTHORIZATION:{reason}", key, kind=kind))
            return
        judge(case, key, known, wish, rule.clocks)


def judge(case: Case, key: str, authorization: Authorization, wish: Wish, clocks: tuple[Clock, ...] = ()) -> None:
    """Add what one authorization asks of a person, given the visit it is for, and the time a payer has for it."""
    match overall(authorization):
        case Status.APPROVED:
            _validity(case, key, authorization, wish)
        case Status.PARTIAL | Status.MODIFIED as status:
            if differences := tuple(compared(case, authorization)):
                wish.questions.append(_question(
                    f"AUTHORIZATION:{status.value}", key, differences=differences, blocks=True,
                    facts=tuple(f"{one.field}={one.ours or ''}/{one.theirs or ''}" for one in differences)))
        case Status.DENIED:
            # The visit is not cancelled by itself: whether to appeal is for people (X41, A3.3).
            wish.questions.append(_question(
                "AUTHORIZATION:denied", key, due_at=micros(authorization.appeal_until),
                blocks=True, facts=tuple(map(str, authorization.denial_reasons or ())),
                actions=("appeal", "done", "reject")))
        case Status.CONTACT_PAYER:
            wish.questions.append(_question("AUTHORIZATION:contact-payer", key, blocks=True))
        case Status.EXPIRED:
            wish.questions.append(_question("AUTHORIZATION:expiring", key, blocks=True))
        case Status.SUBMITTED | Status.REQUIRED | None if errors := authorization.errors or ():
            # The request itself was refused (AAA, TA1, 999): nobody has decided anything.
            codes = sorted({error.code for error in errors})
            away = {aaa.of(code) for code in codes} == {Disposition.AGAIN}
            wish.questions.append(_question(
                "AUTHORIZATION:payer-unavailable" if away else "AUTHORIZATION:rejected", key, facts=tuple(codes),
                kind=SETUP if not away and setup(errors) else TYPE))
        case Status.SUBMITTED | Status.PENDED | Status.REQUIRED:
            _waiting(case, key, authorization, wish, clocks)
        case _:  # not required (X42), cancelled (A3.7), drafted: nothing to do
            pass


def overall(authorization: Authorization) -> AuthorizationStatus | None:
    """What all decisions come to."""
    decisions = {service.decision for service in authorization.services or () if service.decision}
    if isinstance(authorization.status, Status):
        if authorization.status in {Status.CANCELLED, Status.EXPIRED, Status.DENIED, Status.NOT_REQUIRED}:
            return authorization.status
        decisions.add(authorization.status)
    if Status.APPROVED in decisions:
        decisions -= {Status.SUBMITTED, Status.REQUIRED}
        if Status.DENIED in decisions:
            return Status.PARTIAL
    if decisions - {Status.SUBMITTED}:
        decisions -= {Status.SUBMITTED}
    return next((status for status in _WORST if status in decisions), next(iter(decisions), None))


def compared(case: Case, authorization: Authorization) -> Iterator[Difference]:
    """Where what was certified is less than what is planned (X39, A3.2): side by side."""
    day = service_date(case)
    for place, service in enumerate(authorization.services or ()):
        at = f"services({place})"
        if service.decision is Status.DENIED:
            yield Difference(field=f"{at}.decision", ours="planned", theirs="denied")
            continue
        if service.certified_quantity and _amount(service.certified_quantity) < _amount(service.quantity or "1"):
            yield Difference(field=f"{at}.quantity", ours=service.quantity or "1", theirs=service.certified_quantity)
        period = service.certified_period or authorization.valid
        if day and period and not covers(period, day):
            yield Difference(field=f"{at}.date", ours=str(day), theirs=_span(period))
        if service.provider and (mine := _providers(case)) and not _same(service.provider, mine):
            yield Difference(field=f"{at}.provider", ours=named(mine[0]), theirs=named(service.provider))
        if service.place and isinstance(case.entity, Appointment) and case.entity.location:
            ours, theirs = case.entity.location.facility, service.place.facility
            if ours and theirs and ours != theirs:
                yield Difference(field=f"{at}.place", ours=ours, theirs=theirs)
    if not authorization.services and day and authorization.valid and not covers(authorization.valid, day):
        yield Difference(field="date", ours=str(day), theirs=_span(authorization.valid))


def covers(period: Period, day: Date) -> bool:
    """True where a day lies in a period; an open end is open."""
    start, end = str(period.start or ""), str(period.end or "")
    return not ((start and str(day) < start[:10]) or (end and str(day) > end[:10]))


def _validity(case: Case, key: str, authorization: Authorization, wish: Wish) -> None:
    """Looked at again whenever the visit moves (X44, A3.11)."""
    differences = [one for one in compared(case, authorization) if one.field.endswith("date")]
    if differences:
        wish.questions.append(_question("AUTHORIZATION:expiring", key, differences=(differences[0],), blocks=True,
                                        facts=(f"{differences[0].ours}/{differences[0].theirs}",)))


def _waiting(case: Case, key: str, authorization: Authorization, wish: Wish, clocks: tuple[Clock, ...]) -> None:
    """Clocks: a breach is told once; only a request for documents to us stops them (X46, A3.10)."""
    requested = authorization.documents_requested or ()
    documents = _question("AUTHORIZATION:documents-requested", key, facts=tuple(map(code_of, requested)))
    asked = case.tasks.get(documents.id(case.key)) if requested else None
    if requested and not authorization.documents and not (asked is not None and asked.outcome == "done"):
        wish.questions.append(documents)
        return
    set_by_payer = [(clock.rule, micros(clock.due_at)) for clock in authorization.clocks or () if clock.paused is not True]
    for name, due_at in (*set_by_payer, *_due(micros(authorization.sent_at), asked, clocks)):
        if not due_at:
            continue
        if case.now < due_at:
            wish.remind(due_at, case.now)
        else:
            wish.questions.append(_question(f"AUTHORIZATION:overdue:{name}", key))


def _due(sent: int, asked: Answered | None, clocks: tuple[Clock, ...]) -> Iterator[tuple[str, int]]:
    """When the payer's time is up, by each rule of the site.

    Args:
        asked: the task that asked for documents; None where there was none.
    """
    paused = max(0, asked.ended - asked.since) if asked is not None else 0
    for clock in clocks:
        begin = (asked.ended if asked is not None else 0) if clock.after_documents else sent
        if begin:
            due = business_days_after(begin, clock.business_days) if clock.business_days else (
                begin + clock.seconds * 1_000_000)
            yield clock.rule, due if clock.after_documents else due + paused


def _question(reason: str, key: str, *, facts: tuple[str, ...] = (), due_at: int = 0, blocks: bool = False,
              differences: tuple[Difference, ...] = (), actions: tuple[str, ...] = ("done", "reject"),
              kind: str = TYPE) -> Question:
    return Question(type=kind, reason=reason, facts=(key, *facts), subjects=(key,), due_at=due_at, blocks=blocks,
                    differences=differences, actions=actions, playbook="authorization")


def _amount(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _span(period: Period) -> str:
    return f"{period.start or ''} to {period.end or ''}"


def _providers(case: Case) -> list[Reference]:
    if not isinstance(case.entity, Appointment):
        return []
    return [one.who for one in case.entity.participants or () if one.kind == "practitioner" and one.who]


def _same(theirs: Reference, ours: list[Reference]) -> bool:
    numbers = {i.value for i in theirs.identifiers or () if i.value}
    mine = {i.value for one in ours for i in one.identifiers or () if i.value}
    return not numbers or not mine or bool(numbers & mine)
