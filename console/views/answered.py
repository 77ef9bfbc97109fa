"""Acknowledgements that came as messages, each with the delivery it names."""

from __future__ import annotations

import msgspec

from router.identity import Answered


class AnsweredView(msgspec.Struct, kw_only=True):
    """One acknowledgement."""

    code: str
    refused: bool
    delivery: str = ""
    """Id of the delivery; empty where none was found."""
    message: str = ""
    """The message that set it in motion."""
    destination: str = ""
    state: str = ""
    errors: list[str] = []
    """Condition and place of each complaint, never its words: they may name somebody."""


def answered_view(one: Answered) -> AnsweredView:
    """For people."""
    delivery = one.delivery
    return AnsweredView(
        code=str(one.acknowledgement.code or ""), refused=one.refused,
        errors=[f"{_code(error.condition)} at {error.place or 'no place'}" for error in one.acknowledgement.errors or ()],
        delivery=delivery.id if delivery else "", message=delivery.event_id.rpartition(".")[0] if delivery else "",
        destination=delivery.destination if delivery else "", state=delivery.state.value if delivery else "")


def _code(concept: object) -> str:
    coding = getattr(concept, "coding", None) or ()
    return next((each.code for each in coding if each.code), "no code")
