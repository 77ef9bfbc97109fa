"""What an X12 answer in a real-time envelope comes to: far enough to tell a refusal from an answer (spec 4.2).

TA1 R and 999 R are refusals of what we sent: the delivery is rejected and never repeated unchanged (X11). An
AAA is an answer to the question, and so is a 271 about a member who is not there: the delivery succeeded, and
what was said is for the mapping of the channel that takes the answers.
"""

from __future__ import annotations

from typing import Final

import msgspec

from canonical.findings import Rejection
from connectors.x12.edi import cut, parse

_ACKNOWLEDGEMENTS: Final = frozenset({"999", "997"})
#: AK901 or TA104 of what was taken, if with errors.
_TAKEN: Final = frozenset({"A", "E"})


class Verdict(msgspec.Struct, frozen=True):
    """What kind of answer it is."""

    layer: str
    """``ta1``, ``999``, ``set`` (a business answer), or empty where there is no answer at all."""
    accepted: bool
    code: str = ""
    """TA105 of a refused interchange, AK901 of a refused group; else the id of the set: ``271``."""


def verdict(payload: bytes) -> Verdict:
    """The weightiest thing that an answer says. Never fails.

    A business answer counts more than an acknowledgement beside it: it is what was asked for.
    """
    try:
        parts = [cut(interchange) for interchange in parse(payload).interchanges]
    except Rejection:
        return Verdict("", accepted=False)
    sets = [each for part in parts for each in part.sets]
    for each in sets:
        if each.id not in _ACKNOWLEDGEMENTS:
            return Verdict("set", accepted=True, code=_short(each.id))
    groups = [segment.element(1) for each in sets for segment in each.segments if segment.id == "AK9"]
    if groups:
        refused = next((code for code in groups if code not in _TAKEN), "")
        return Verdict("999", accepted=not refused, code=_short(refused or groups[0]))
    for segment in (segment for part in parts for segment in part.acknowledgements):
        taken = segment.element(4) in _TAKEN
        return Verdict("ta1", accepted=taken, code=_short(segment.element(4 if taken else 5)))
    return Verdict("", accepted=False)


def _short(code: str) -> str:
    """A code that may be shown: letters and digits, at most three of them."""
    return code if code.isalnum() and len(code) <= 3 else "?"
