"""The part of ``site.yaml`` that says what events set in motion (`router.site` checks it)."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

_Meta = msgspec.Meta
Names: TypeAlias = tuple[str, ...]

#: Channels of our own: what rules say, what people say (`router.internal`).
WORKFLOW: Final = "workflow"
TASKS: Final = "tasks"
#: Types of decisions that rules come to (invariant 13).
DECISIONS: Final = ("request-eligibility", "request-authorization")
#: Types of tasks that are there without a rule of the site's own.
TASK_TYPES: Final = ("review-field", "eligibility", "authorization", "demographics", "orphan-answer", "merge-conflict",
                     "approval", "sort-document", "payer-setup")
#: What a person may answer.
ACTIONS: Final = ("done", "reject", "confirm", "correct", "approve", "appeal", "match")


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part."""


class TaskSpec(_Part, frozen=True, kw_only=True):
    """A task that a rule asks for."""

    type: Annotated[str, _Meta(pattern="^[a-z][a-z0-9-]*$", description="Kind of work.")]
    reason: Annotated[str, _Meta(description="What people see and filter by. Default: RULE: and the rule's name.")] = ""
    queue: Annotated[str, _Meta(description="Who does it. Default: as `tasks` says for the type.")] = ""
    priority: Annotated[int, _Meta(ge=0, le=9, description="9 is the most urgent.")] = 0
    due_h: Annotated[float, _Meta(ge=0, description="Hours after the last event; 0: whenever there is time.")] = 0.0
    playbook: Annotated[str, _Meta(description="Page that says what to do.")] = ""
    actions: Annotated[tuple[Literal["done", "reject", "confirm"], ...], _Meta(
        min_length=1, description="What may be answered.")] = ("done", "reject")
    blocks: Annotated[bool, _Meta(description="The case must not go on before it is answered.")] = False


class ClockSpec(_Part, frozen=True, kw_only=True):
    """How long a payer may take: hours, or business days."""

    hours: Annotated[float, _Meta(ge=0, le=8_784, description="Hours, on every day of the week.")] = 0.0
    business_days: Annotated[int, _Meta(ge=0, le=60, description="Instead: days that are neither Saturday nor Sunday.")] = 0
    after: Annotated[Literal["request", "documents"], _Meta(
        description="Counted from the leaving of the request, or from our sending of the documents asked for.")] = "request"

    def __post_init__(self) -> None:
        if bool(self.hours) == bool(self.business_days):
            raise ValueError("a clock has hours or business_days")


class WorkflowRule(_Part, frozen=True, kw_only=True):
    """While the conditions hold, the payer has been asked, or somebody has a task."""

    rule: Annotated[str, _Meta(description="Its name, as it is recorded.")]
    when: Annotated[dict[str, str], _Meta(description="fact: condition; all must hold.")] = {}
    request: Annotated[Literal["", "eligibility", "authorization"], _Meta(description="What the payer is asked.")] = ""
    task: TaskSpec | None = None
    service_types: Annotated[Names, _Meta(min_length=1, description="EQ01 of an eligibility request (X24).")] = ("30",)
    deadline_s: Annotated[int, _Meta(ge=1, le=604_800, description=(
        "After a question has left: then the payer has not answered (X13). After it was asked: then somebody is told that "
        "it has not left."))] = 60
    attempts: Annotated[int, _Meta(ge=1, le=8, description="How often a payer that is away is asked in all.")] = 3
    again_s: Annotated[int, _Meta(ge=1, le=86_400, description="Between two of them; doubled each time.")] = 300
    cache_h: Annotated[float, _Meta(ge=0, description="An answer to the same question is used again (X26).")] = 24.0
    clocks: Annotated[dict[str, ClockSpec], _Meta(
        description="By the name of the rule that sets them: how long a payer may take over an authorization (X46).")] = {}


class TaskHandling(_Part, frozen=True, kw_only=True):
    """Who gets the tasks of one type, and how soon."""

    queue: Annotated[str, _Meta(description="Work queue.")]
    priority: Annotated[int, _Meta(ge=0, le=9, description="9 is the most urgent.")] = 0
    due_h: Annotated[float, _Meta(ge=0, description="Hours after the last event; 0: whenever there is time.")] = 0.0
    playbook: Annotated[str, _Meta(description="Page that says what to do, where the task names none.")] = ""


class Review(_Part, frozen=True, kw_only=True):
    """Which fields read from a page are asked about."""

    threshold: Annotated[float, _Meta(ge=0, le=1, description="Confidence below which a person looks.")] = 0.9
    fields: Annotated[dict[str, float], _Meta(description="The same for single fields.")] = {}


class DecisionType(_Part, frozen=True, kw_only=True):
    """A type of decision (invariant 13)."""

    automatic: Annotated[bool, _Meta(description="It may be made without a person.")] = False
