"""Delimiters of a message, and the parts of a field (P01, P06, P07)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

#: A field (or component) that says: clear what you hold (v2.5.1 §2.5.3).
NULL: Final = '""'



class Delimiters(msgspec.Struct, frozen=True):
    """The delimiters of one message (MSH-1, MSH-2). An empty one does not exist in this message."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""
    encoding: str = "^~\\&"
    """MSH-2 as written."""


STANDARD: Final = Delimiters()
_ROLES: Final = ("component", "repetition", "escape", "subcomponent", "truncation")
_USUAL: Final = {"^": "component", "~": "repetition", "\\": "escape", "&": "subcomponent", "#": "truncation"}


@lru_cache(maxsize=256)
def delimiters_of(separator: str, encoding: str) -> tuple[Delimiters, bool]:
    r"""The delimiters that MSH-1 and MSH-2 declare, and whether MSH-2 is well formed (P01).

    ``^~&`` has no escape character; three other characters are component, repetition, subcomponent. A doubled
    character (``^~\\&``, an over-escaped message) counts once; what cannot be delimiters means the standard.
    """
    chars = encoding
    sound = 1 <= len(chars) <= 5 and len(set(chars)) == len(chars) and separator not in chars
    if not chars or any(c.isalnum() or c.isspace() for c in chars[:5]):
        return Delimiters(separator, encoding=encoding), False
    if not sound:
        chars = re.sub(r"(.)\1+", r"\1", chars)
    if len(chars) == 3:
        if all(c in _USUAL for c in chars):
            roles = [_USUAL[c] for c in chars]
            sound = sound and chars == "^~&"
        else:
            roles = ["component", "repetition", "subcomponent"]
    else:
        roles = list(_ROLES)
    found = dict.fromkeys(_ROLES, "")
    for role, char in zip(roles, chars, strict=False):
        if char not in found.values() and char != separator:
            found[role] = char
    return Delimiters(separator, encoding=encoding, **found), sound


def repetitions(text: str, delimiters: Delimiters = STANDARD) -> list[str]:
    """The repetitions of a field, blank ones kept in place (P06)."""
    return text.split(delimiters.repetition) if delimiters.repetition else [text]


def components(text: str, delimiters: Delimiters = STANDARD) -> list[str]:
    """The components of one repetition (P07)."""
    return text.split(delimiters.component) if delimiters.component else [text]


def subcomponents(text: str, delimiters: Delimiters = STANDARD) -> list[str]:
    """The subcomponents of one component (P07)."""
    return text.split(delimiters.subcomponent) if delimiters.subcomponent else [text]


def is_truncated(text: str, delimiters: Delimiters) -> bool:
    """True where the value ends with the truncation character: it is not the whole value (v2.7, L01)."""
    return bool(delimiters.truncation) and text.endswith(delimiters.truncation)
