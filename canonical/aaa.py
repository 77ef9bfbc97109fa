"""AAA: why a payer could not answer a question, and who can do what about it (X29).

Codes are those of X12 data elements 901 (AAA03, reason) and 889 (AAA04, follow-up); the words are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Disposition(StrEnum):
    """What is to be done."""

    SEARCH = "search"
    """Nobody, or several, fit what was sent: the next search option once, then registration."""
    REGISTRATION = "registration"
    """What we sent of the person is wrong: somebody compares it with the card."""
    AGAIN = "again"
    """The payer cannot answer now: asked again, as its follow-up allows."""
    DATE = "date"
    """Not for that day: asked once more without one, which means today."""
    PERSON_DATE = "person-date"
    """The day of the visit does not fit the person's own dates: registration."""
    SETUP = "setup"
    """Enrolment, provider or participant numbers: ours to mend, never asked again unchanged."""
    DATA = "data"
    """The request lacks something or says too much: ours to mend."""


#: AAA03: what to do, and what it means.
REASONS: Final[dict[str, tuple[Disposition, str]]] = {
    "04": (Disposition.DATA, "more asked for than is allowed"),
    "15": (Disposition.DATA, "required data are missing"),
    "33": (Disposition.DATA, "errors in what was sent"),
    "35": (Disposition.SETUP, "provider out of network"),
    "41": (Disposition.SETUP, "we are not authorised to ask"),
    "42": (Disposition.AGAIN, "payer cannot respond now"),
    "43": (Disposition.SETUP, "provider number wrong or missing"),
    "44": (Disposition.SETUP, "provider name wrong or missing"),
    "45": (Disposition.SETUP, "provider specialty wrong or missing"),
    "46": (Disposition.SETUP, "provider telephone wrong or missing"),
    "47": (Disposition.SETUP, "provider state wrong or missing"),
    "48": (Disposition.SETUP, "number of the referring provider wrong or missing"),
    "49": (Disposition.SETUP, "provider is not the primary care physician"),
    "50": (Disposition.SETUP, "provider may not ask"),
    "51": (Disposition.SETUP, "provider not on file"),
    "52": (Disposition.DATA, "day not within the provider's enrolment"),
    "56": (Disposition.DATE, "day not appropriate"),
    "57": (Disposition.DATE, "day of service wrong or missing"),
    "58": (Disposition.REGISTRATION, "birth date wrong or missing"),
    "60": (Disposition.PERSON_DATE, "born after the day of service"),
    "61": (Disposition.PERSON_DATE, "died before the day of service"),
    "62": (Disposition.DATE, "day not within the time that may be asked for"),
    "63": (Disposition.DATE, "day of service is in the future"),
    "64": (Disposition.REGISTRATION, "patient number wrong or missing"),
    "65": (Disposition.REGISTRATION, "patient name wrong or missing"),
    "66": (Disposition.REGISTRATION, "patient sex wrong or missing"),
    "67": (Disposition.SEARCH, "patient not found"),
    "68": (Disposition.SEARCH, "several patients have the number"),
    "71": (Disposition.REGISTRATION, "birth date is not the one on file"),
    "72": (Disposition.REGISTRATION, "member number wrong or missing"),
    "73": (Disposition.REGISTRATION, "member name wrong or missing"),
    "74": (Disposition.REGISTRATION, "member sex wrong or missing"),
    "75": (Disposition.SEARCH, "member not found"),
    "76": (Disposition.SEARCH, "several members have the number"),
    "77": (Disposition.REGISTRATION, "member found, patient not found under the member"),
    "78": (Disposition.REGISTRATION, "member not in the group or plan"),
    "79": (Disposition.SETUP, "participant number wrong"),
    "80": (Disposition.AGAIN, "no response: the payer's system ended the transaction"),
    "97": (Disposition.SETUP, "provider address wrong or missing"),
    "T4": (Disposition.DATA, "payer name or number missing"),
}
#: AAA04: what the payer says of asking again.
FOLLOW_UPS: Final[dict[str, str]] = {
    "C": "correct and ask again", "N": "do not ask again", "P": "ask again as it is", "R": "may be asked again",
    "S": "do not ask again: passed on to a third party", "W": "ask again in 30 days", "X": "ask again in 10 days",
    "Y": "do not ask again: the payer will answer by itself",
}
#: Codes of persons of whom the payer has several.
SEVERAL: Final = frozenset({"68", "76"})
_NOT_AGAIN: Final = frozenset("NSY")
_DAY_S: Final = 86_400


def of(code: str) -> Disposition:
    """What is to be done about a reason; one that nobody knows is ours to look at."""
    return REASONS[code][0] if code in REASONS else Disposition.DATA


def disposition(codes: Iterable[str]) -> Disposition:
    """What is to be done about all complaints of one answer: what can be mended soonest comes first."""
    found = {of(code) for code in codes}
    return next((one for one in Disposition if one in found), Disposition.DATA)


def may_ask_again(follow_ups: Iterable[str]) -> bool:
    """False where the payer does not want to be asked again by itself."""
    return not _NOT_AGAIN & set(follow_ups)


def wait_s(follow_ups: Iterable[str]) -> int:
    """Seconds the payer wants us to wait; 0 where it says nothing of it (W: 30 days, X: 10 days)."""
    said = set(follow_ups)
    return 30 * _DAY_S if "W" in said else 10 * _DAY_S if "X" in said else 0


def told(code: str, follow_up: str = "") -> str:
    """``75 member not found; correct and ask again``"""
    words = f"{code} {REASONS[code][1] if code in REASONS else 'unknown reason'}"
    return f"{words}; {FOLLOW_UPS[follow_up]}" if follow_up in FOLLOW_UPS else words
