"""What a negative acknowledgement means for the message that was sent (A11): a table, and who reads it."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from connectors.hl7v2.er7 import Message


class Disposition(StrEnum):
    """What to do."""

    DELIVERED = "delivered"
    """The peer has it."""
    FIX_DATA = "fix-data"
    """Park: a person must mend the message, a code table or the peer's master data."""
    FIX_CONFIG = "fix-config"
    """Stop the destination: every message would be refused."""
    RETRY = "retry"
    """Try again later."""
    DUPLICATE = "duplicate"
    """Delivered, if these very bytes were sent before without an answer; else as ``fix-data``."""
    UNKNOWN = "unknown"
    """It cannot be told what the peer did."""


class DispositionRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. A cell that is not given matches everything. The first row that matches counts."""

    disposition: Annotated[Disposition, Meta(description="What to do.")]
    codes: Annotated[frozenset[str], Meta(description="Acknowledgement codes (MSA-1).")] = frozenset()
    conditions: Annotated[frozenset[str], Meta(
        description="Error codes: ERR-3, ERR-1.4 or MSA-6; 'none' for no code.")] = frozenset()
    text: Annotated[str, Meta(description="Regular expression found in MSA-3 or ERR-8, any case.")] = ""

    def matches(self, answer: Answer) -> bool:
        """Whether the row is about such an answer."""
        return ((not self.codes or answer.code in self.codes)
                and (not self.conditions or (answer.condition or "none") in self.conditions)
                and (not self.text or _pattern(self.text).search(answer.text) is not None))

    def __post_init__(self) -> None:
        if self.text:
            _pattern(self.text)


class Answer(NamedTuple):
    """What an acknowledgement says."""

    code: str
    """MSA-1"""
    condition: str
    """Error code of table 0357 or the peer's own; empty if none is given."""
    text: str
    """What the peer says in words. May hold PHI: never into a finding."""


_ERRORS: Final = frozenset({"AE", "CE"})
_REJECTS: Final = frozenset({"AR", "CR"})


def _row(codes: frozenset[str], conditions: tuple[str, ...], what: Disposition) -> DispositionRule:
    return DispositionRule(codes=codes, conditions=frozenset(conditions), disposition=what)


#: A11. A partner's own rows come before these.
DEFAULT_RULES: Final = (
    _row(frozenset({"AA", "CA"}), (), Disposition.DELIVERED),
    _row(_ERRORS | _REJECTS, ("205",), Disposition.DUPLICATE),
    _row(_ERRORS | _REJECTS, ("204", "206", "207"), Disposition.RETRY),
    _row(_ERRORS | _REJECTS, ("200", "201", "202", "203"), Disposition.FIX_CONFIG),
    _row(_REJECTS, ("none",), Disposition.RETRY),
    _row(_ERRORS | _REJECTS, (), Disposition.FIX_DATA),
    DispositionRule(disposition=Disposition.UNKNOWN),
)


def disposition(answer: Answer, rules: tuple[DispositionRule, ...] = ()) -> Disposition:
    """The disposition of an answer: the partner's `rules` first, then A11."""
    return next(rule.disposition for rule in (*rules, *DEFAULT_RULES) if rule.matches(answer))


def read_answer(message: Message) -> Answer:
    """What an acknowledgement says, of any version: ERR-3, else ERR-1.4 (before 2.5), else MSA-6."""
    d = message.delimiters
    msa, err = message.first("MSA"), message.first("ERR")

    def part(text: str, *separators: str) -> str:
        for separator in separators:
            text = text.split(separator, 1)[0] if separator else text
        return text.strip()

    condition = text = ""
    if err is not None:
        condition = part(err.field(3), d.repetition, d.component)
        if not condition:
            location = part(err.field(1), d.repetition).split(d.component or "\0")
            condition = part(location[3], d.subcomponent) if len(location) > 3 else ""
        text = err.field(8)
    if msa is None:
        return Answer("", condition, text)
    return Answer(msa.field(1).strip().upper(), condition or part(msa.field(6), d.component),
                  f"{msa.field(3)} {text}")


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
