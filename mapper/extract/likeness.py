"""Whether a document came before: the same again, or the same with a page that changed (A1.7).

Two scans or two faxes of one sheet differ in thousands of dots and in few bits of their perceptual hash; two filled-in
copies of one form also look alike. So alike pages are the same only where what was read from them is the same, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from canonical.phi import Value

#: Share of bits in which two faxes of one sheet may differ.
ALIKE: Final = 0.2
#: Fields that name what a document is about: where both have one, it must be the same.
NAMING: Final = ("identifiers.value", "patient.identifiers.value", "patient.birth_date", "coverages.member_id")


class Print(Value, frozen=True, kw_only=True):
    """What of a document is compared."""

    key: str
    """How it is referred to: the value of its ``SHA256`` identifier."""
    hashes: tuple[str, ...]
    """Perceptual, one a page; empty where the picture is not known."""
    template: str = ""
    fields: Mapping[str, str]
    """Canonical field without brackets -> value."""


class Likeness(StrEnum):
    """What one document is to another."""

    OTHER = "other"
    DUPLICATE = "duplicate"
    REVISION = "revision"


def alike(one: str, other: str) -> bool:
    """Whether two perceptual hashes (hexadecimal, the same length) are of one sheet."""
    if not one or len(one) != len(other):
        return False
    return (int(one, 16) ^ int(other, 16)).bit_count() <= ALIKE * len(one) * 4


def compared(new: Print, old: Print) -> Likeness:
    """What `new` is to `old`.

    The same bytes are a duplicate. So are pages that all look alike with the same fields on them. What names the same
    referral (number, record number, birth date, member id) and says something else, or has other pages, is a revision.
    """
    if new.key == old.key:
        return Likeness.DUPLICATE
    if new.template != old.template:
        return Likeness.OTHER
    named = [name for name in NAMING if name in new.fields and name in old.fields]
    same = sum(new.fields[name] == old.fields[name] for name in named)
    if not named or same < 2 or same < len(named) - 1:
        return Likeness.OTHER
    if "identifiers.value" in named and new.fields["identifiers.value"] != old.fields["identifiers.value"]:
        return Likeness.OTHER
    pages = len(new.hashes) == len(old.hashes) and all(alike(one, other) for one, other in
                                                       zip(new.hashes, old.hashes, strict=True))
    both = new.fields.keys() & old.fields.keys()
    differ = [name for name in both if new.fields[name] != old.fields[name]]
    added = new.fields.keys() ^ old.fields.keys()
    if pages and not differ and not added:
        return Likeness.DUPLICATE
    return Likeness.REVISION if differ or added or not pages else Likeness.DUPLICATE


def earlier(new: Print, known: Iterable[Print]) -> tuple[Likeness, Print | None]:
    """The document that `new` repeats or changes: a duplicate before a revision, the latest before older ones."""
    found: tuple[Likeness, Print | None] = (Likeness.OTHER, None)
    for old in known:
        likeness = compared(new, old)
        if likeness is Likeness.DUPLICATE:
            return likeness, old
        if likeness is Likeness.REVISION and found[1] is None:
            found = likeness, old
    return found
