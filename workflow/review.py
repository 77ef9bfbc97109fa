"""Fields read from a page: what cannot be trusted becomes a question (W1, A1.2, A1.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from canonical.document import Document, DocumentStatus, Extracted, PageBox
from canonical.keys import identifier_key
from canonical.presence import ABSENT
from canonical.referral import Referral, ReferralStatus
from canonical.task import TaskStatus
from workflow.case import Case, Command, Question, Wish
from workflow.likeness import compared
from workflow.policy import Policy, invalid

REVIEW: Final = "review-field"
SORT: Final = "sort-document"
#: What a person must see before anybody trusts it: a fax of several patients, pages that no form recognises (A1.6).
_SORTED: Final = {DocumentStatus.SPLIT: "split", DocumentStatus.REVIEW: "unknown-form"}
#: States that mean: it may be complete by now.
_OPEN: Final = frozenset({ReferralStatus.RECEIVED, ReferralStatus.INCOMPLETE})


def review(case: Case, policy: Policy, wish: Wish) -> None:
    """Add a question for each field that cannot be trusted or is not there; complete what has no question left."""
    entity = case.entity
    if isinstance(entity, Referral) and not (entity.status and entity.status.over):
        questions = [_anew(case, one) for one in (*_doubts(entity.evidence or (), policy), *_missing(entity))]
        wish.questions += questions
        if not questions and entity.status in _OPEN and (entity.evidence or entity.status is ReferralStatus.INCOMPLETE):
            wish.commands.append(Command(
                event="referral.completed", subject_key=case.key,
                entity=Referral(status=ReferralStatus.COMPLETE, missing=None),
                effect=("completed", case.key, case.event.id)))
    elif isinstance(entity, Document) and entity.duplicate_of:
        return  # it is linked to the first one, about which everything was asked (A1.7)
    elif isinstance(entity, Document) and entity.revision_of:
        _revision(case, entity, policy, wish)
    elif isinstance(entity, Document) and entity.status in _SORTED:
        wish.questions.append(Question(type=SORT, reason=f"DOCUMENT:{_SORTED[entity.status]}", playbook=SORT,
                                       actions=("done", "reject"),
                                       facts=(str(entity.sha256 or ""), str(entity.pages or ""))))
    elif isinstance(entity, Document) and entity.kind != "referral":  # that one is asked about as a referral
        wish.questions += [_anew(case, one) for one in _doubts(entity.fields or (), policy)]


def _revision(case: Case, entity: Document, policy: Policy, wish: Wish) -> None:
    """The referral has been revised already; somebody may have to tell whoever has acted on what it said before."""
    before = case.related.get(revised(entity))
    differences = compared(entity, before, policy.unsure)[1] if isinstance(before, Document) else ()
    wish.questions.append(Question(type=SORT, reason="DOCUMENT:revision", playbook="revision", actions=("done", "reject"),
                                   subjects=(revised(entity),), differences=differences,
                                   facts=(str(entity.revision_of.value) if entity.revision_of else "",)))


def revised(entity: Document) -> str:
    """Key of the document that this one revises; empty where it is none."""
    return identifier_key("document", entity.revision_of) if entity.revision_of else ""


def _anew(case: Case, question: Question) -> Question:
    """A question that was answered, but the page was read again since and the machine's value stands there once more:
    asked again, because the answer is not what counts now."""
    known = case.tasks.get(question.id(case.key))
    if known is None or known.status is not TaskStatus.DONE or known.outcome == "reject":
        return question
    return msgspec.structs.replace(question, facts=(*question.facts, case.event.id))


def _doubts(fields: tuple[Extracted, ...], policy: Policy) -> Iterator[Question]:
    for field in fields:
        if field.reviewed_by:
            continue
        if invalid(field):
            yield _question("FIELD_INVALID", field, ("correct", "reject"))
        elif policy.doubtful(field):
            # What could not be read at all cannot be confirmed.
            yield _question("FIELD_CONFIDENCE", field, ("correct", "confirm", "reject") if field.value else
                            ("correct", "reject"))


def _question(reason: str, field: Extracted, actions: tuple[str, ...]) -> Question:
    box = field.box
    place = msgspec.structs.astuple(box) if isinstance(box, PageBox) else ()
    return Question(type=REVIEW, reason=f"{reason}:{field.field}", evidence=(field,), actions=actions,
                    facts=(str(field.value or ""), str(field.raw or ""), *map(str, place)))


def _missing(referral: Referral) -> Iterator[Question]:
    known = {field.field for field in referral.evidence or ()}
    for name in referral.missing or ():
        if name not in known:
            field = Extracted(field=name, value=ABSENT)
            yield Question(type=REVIEW, reason=f"FIELD_MISSING:{name}", evidence=(field,),
                           actions=("correct", "reject"))
