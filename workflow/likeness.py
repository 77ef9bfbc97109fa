"""Whether a document came before: the same again, or the same with something that changed (A1.7).

Two scans of one sheet differ in thousands of dots, and OCR reads them a little differently; two forms of different
patients look alike (5 to 7 % of the bits of their perceptual hashes differ, where two poor scans of one sheet differ in up
to 18 %). So what was read decides, and the picture only where nothing is read from a page. A value that cannot be trusted
tells of a change only where it is another one altogether.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import combinations
from typing import Final

from canonical.coverage import Difference
from canonical.document import Document, Extracted
from canonical.presence import ABSENT
from workflow.case import number

#: Share of bits in which two faxes of one sheet may differ.
ALIKE: Final = 0.2
#: Likeness of two texts from which they may be two readings of one.
NEAR: Final = 0.6
NUMBER: Final = "identifiers.value"
#: Fields that name what a document is about: two at least must be the same.
NAMING: Final = (NUMBER, "patient.identifiers.value", "patient.birth_date", "coverages.member_id")
#: Where the sender gave no number: another date or specialty makes it another referral.
TERMS: Final = ("effective_at", "specialty")

Doubtful = Callable[[Extracted], bool]


class Likeness(StrEnum):
    """What one document is to another."""

    OTHER = "other"
    DUPLICATE = "duplicate"
    REVISION = "revision"


class _Same(StrEnum):
    """What two readings of one field tell."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


def number_of(document: Document) -> str:
    """The document's number: the value of its identifier of type ``SHA256``."""
    return next((str(each.value) for each in document.identifiers or () if each.type == "SHA256"), "")


def marks(document: Document) -> tuple[str, ...]:
    """What documents that are alike have in common: one at least of these is the same. Hashes; they say nothing."""
    named = [f"{name}={_plain(field.value)}" for name, field in _naming(document).items() if field.value]
    pairs = (number("alike", document.template, *pair) for pair in combinations(named, 2))
    return tuple(sorted({number("bytes", number_of(document)), *pairs}))


def compared(new: Document, old: Document, doubtful: Doubtful) -> tuple[Likeness, tuple[Difference, ...]]:
    """What `new` is to `old`, and what changed.

    Args:
        doubtful: whether a field is not trusted.
    """
    if number_of(new) == number_of(old):
        return Likeness.DUPLICATE, ()
    if new.template != old.template or not _one_matter(new, old, doubtful):
        return Likeness.OTHER, ()
    changed = (*_changed(new, old, doubtful), *_pages(new, old))
    return (Likeness.REVISION if changed else Likeness.DUPLICATE), changed


def _one_matter(new: Document, old: Document, doubtful: Doubtful) -> bool:
    """Whether both are about one referral."""
    ours, theirs = _naming(old), _naming(new)
    told = {name: _same(ours[name], theirs[name], doubtful) for name in NAMING if name in ours and name in theirs}
    verdicts = list(told.values())
    if verdicts.count(_Same.YES) < 2 or verdicts.count(_Same.NO) > 1 or told.get(NUMBER) is _Same.NO:
        return False
    if told.get(NUMBER) is _Same.YES:
        return True
    first, second = _by_bare(old), _by_bare(new)
    return all(_same(first[name], second[name], doubtful) is not _Same.NO
               for name in TERMS if name in first and name in second)


def _changed(new: Document, old: Document, doubtful: Doubtful) -> Iterator[Difference]:
    before = {field.field: field for field in old.fields or ()}
    after = {field.field: field for field in new.fields or ()}
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if one is not None and other is not None:
            if _same(one, other, doubtful) is _Same.NO:
                yield Difference(field=name, ours=one.value, theirs=other.value)
        elif (there := one or other) is not None and there.value and not doubtful(there):
            yield Difference(field=name, ours=one.value if one else ABSENT, theirs=other.value if other else ABSENT)


def _pages(new: Document, old: Document) -> Iterator[Difference]:
    """Pages behind the first, from which nothing is read, by their pictures; where one has none, they cannot tell."""
    if new.pages != old.pages:
        yield Difference(field="pages", ours=str(old.pages or 0), theirs=str(new.pages or 0))
        return
    hashes = list(zip(old.perceptual_hash or (), new.perceptual_hash or (), strict=False))
    for place, (one, other) in enumerate(hashes[1:], 2):
        if not alike(one, other):
            yield Difference(field=f"page {place}")


def alike(one: str, other: str) -> bool:
    """Whether two perceptual hashes (hexadecimal, the same length) may be of one sheet."""
    if not one or len(one) != len(other):
        return False
    return (int(one, 16) ^ int(other, 16)).bit_count() <= ALIKE * len(one) * 4


def _same(one: Extracted, other: Extracted, doubtful: Doubtful) -> _Same:
    first, second = _plain(one.value), _plain(other.value)
    if first == second:
        return _Same.YES if first else _Same.UNCLEAR
    if not second:  # what could not be read this time may stand there all the same
        return _Same.UNCLEAR
    if not first:
        return _Same.UNCLEAR if doubtful(other) or _near(_plain(one.raw), second) else _Same.NO
    unsure = doubtful(one) or doubtful(other)
    return _Same.UNCLEAR if unsure and _near(first, second) else _Same.NO


def _near(one: str, other: str) -> bool:
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= NEAR


def _naming(document: Document) -> dict[str, Extracted]:
    known = _by_bare(document)
    return {name: known[name] for name in NAMING if name in known}


def _by_bare(document: Document) -> dict[str, Extracted]:
    """Fields by their path without brackets, the first of each."""
    found: dict[str, Extracted] = {}
    for field in document.fields or ():
        found.setdefault(re.sub(r"\([^()]*\)", "", field.field), field)
    return found


def _plain(value: object) -> str:
    """Letters and digits: how a value is written is no difference."""
    return re.sub(r"\W", "", value).upper() if isinstance(value, str) else ""
