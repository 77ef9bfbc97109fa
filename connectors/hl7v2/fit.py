r"""Fitting a message to what a partner can take: its character set and its column widths (C04, L02).

What does not fit is refused, or made to fit and said: every place where something was lost is a finding of the
delivery, so that nobody has to find out from the partner's screens. Values never stand in a finding.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from canonical.findings import Finding, Rejection, Severity, declare, finding
from connectors.hl7v2.charsets import codec_of
from connectors.hl7v2.delimiters import NULL, Delimiters, components, repetitions, subcomponents
from connectors.hl7v2.er7 import CANNOT_ENCODE, HEADERS, Message
from connectors.hl7v2.escapes import CANNOT_ESCAPE, escape, unescape

SHORTENED: Final = declare(
    "hl7.shortened", Severity.WARNING,
    "A value was longer than this partner takes and was cut",
    "Nothing to do if the partner knows; else agree on a longer field, or change `lengths` of the destination.")
TOO_LONG: Final = declare(
    "hl7.too_long", Severity.FATAL,
    "A value is longer than this partner takes",
    "Shorten it at its source, raise `lengths` of the destination, or let it be cut (`too_long: truncate`).")
TRANSLITERATED: Final = declare(
    "hl7.transliterated", Severity.WARNING,
    "Characters that this partner's character set does not have were replaced by similar ones",
    "Nothing to do if the partner knows; else agree on UNICODE UTF-8.")
ESCAPED_CHARACTERS: Final = declare(
    "hl7.escaped_characters", Severity.INFO,
    r"Characters that this partner's character set does not have were written as \X..\ (their UTF-8 bytes)",
    "Nothing to do if the partner reads them; else choose `transliterate`.")

_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)(?:\.(\d+)(?:\.(\d+))?)?\Z")
#: What decomposition (NFKD) leaves as it is.
_SIMILAR: Final = str.maketrans({
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d",
    "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "–": "-", "—": "-", "‘": "'", "’": "'", "‚": ",",
    "“": '"', "”": '"', "„": '"', "€": "EUR", "•": "*", "×": "x", "«": '"', "»": '"'})
_UNKNOWN: Final = "?"


class Fit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a partner can take (HL7 v2 messages only)."""

    charset: Annotated[str, Meta(description="Character set written, and put into MSH-18: 8859/1, UNICODE UTF-8 …; "
                                             "default as the mapping says.")] = ""
    unencodable: Annotated[Literal["reject", "escape", "transliterate"], Meta(
        description="Characters that it does not have: 'reject' park the delivery; 'escape' write them as \\X..\\; "
                    "'transliterate' write similar ones. What was changed is a finding of the delivery.")] = "reject"
    lengths: Annotated[dict[str, int], Meta(
        description="Longest value a place may hold, in characters: {PID-5.1: 30, NTE-3: 200}. PID-3 is PID-3.1.")] = {}
    too_long: Annotated[Literal["truncate", "reject"], Meta(
        description="Longer values: 'truncate' cut them, with the truncation character where MSH-2 has one, and say so; "
                    "'reject' park the delivery.")] = "truncate"

    def __post_init__(self) -> None:
        if self.charset and not codec_of(self.charset):
            raise ValueError(f"there is no character set {self.charset}")
        for place, most in self.lengths.items():
            found = _PLACE.match(place)
            if found is None or found[2] == "0" or most < 1:
                raise ValueError(f"{place}: {most} is no length: write PID-5.1: 30")
            if found[1] == "MSH" and int(found[2]) < 3:
                raise ValueError(f"{place} belongs to the message")

    def apply(self, message: Message) -> tuple[bytes, tuple[Finding, ...]]:
        """The bytes for this partner, and what was lost on the way. `message` is changed.

        Raises:
            Rejection: something does not fit, and the settings say that it must.
        """
        lost = self._shorten(message) if self.lengths else []
        if self.charset:
            message.charset = codec_of(self.charset)
            header = message.first("MSH")
            if header is not None:
                header.set(18, self.charset)
        try:
            return message.emit(), tuple(lost)
        except Rejection:
            if self.unencodable == "reject":
                raise
        lost += self._encodable(message)
        return message.emit(), tuple(lost)

    # -- lengths

    def _shorten(self, message: Message) -> list[Finding]:
        lost: list[Finding] = []
        for place, most in self.lengths.items():
            found = _PLACE.match(place)
            assert found is not None
            number, comp, sub = int(found[2]), int(found[3] or 1), int(found[4] or 1)
            for segment in message.all(found[1]):
                raw = segment.field(number)
                if len(raw) <= most or raw == NULL:
                    continue
                cut: list[int] = []
                fitted = _each_part(raw, message.delimiters, comp, sub, partial(_cut, most, message.delimiters, cut))
                if cut:
                    if self.too_long == "reject":
                        raise Rejection(finding(TOO_LONG, at=place, detail=f"longer than {most} characters"))
                    segment.set(number, fitted)
                    lost.append(finding(SHORTENED, at=place, detail=f"cut to {most} characters; {sum(cut)} lost"))
        return lost

    # -- characters

    def _encodable(self, message: Message) -> list[Finding]:
        codec = message.charset or message.declared
        mark = message.delimiters.escape
        if self.unencodable == "escape" and not mark:
            raise Rejection(finding(CANNOT_ESCAPE))
        code = ESCAPED_CHARACTERS if self.unencodable == "escape" else TRANSLITERATED
        changed: Counter[str] = Counter()
        for segment in message.segments:
            if _fits(segment.text, codec):
                continue
            for number in range(3 if segment.id in HEADERS else 1, len(segment) + 1):
                raw = segment.field(number)
                if not _fits(raw, codec):
                    pieces = [one if _fits(one, codec) else self._instead(one, codec, message.delimiters) for one in raw]
                    changed[f"{segment.id}-{number}"] += sum(new != old for new, old in zip(pieces, raw, strict=True))
                    segment.set(number, "".join(pieces))
        return [finding(code, at=place, detail=f"{count} characters") for place, count in changed.items()]

    def _instead(self, character: str, codec: str, delimiters: Delimiters) -> str:
        if "\ud800" <= character <= "\udfff":  # a byte that was no character already: nobody can say what it means
            raise Rejection(finding(CANNOT_ENCODE))
        if self.unencodable == "escape":
            return f"{delimiters.escape}X{character.encode().hex().upper()}{delimiters.escape}"
        return transliterated(character, codec)


def transliterated(character: str, codec: str) -> str:
    """The most similar characters that `codec` has; a question mark where there are none."""
    similar = character.translate(_SIMILAR)
    for form in (similar, "".join(one for one in unicodedata.normalize("NFKD", similar) if not unicodedata.combining(one))):
        if form and _fits(form, codec) and not set(form) & set("|^~\\&\r\n"):
            return form
    return _UNKNOWN


def _fits(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeError:
        return False
    return True


def _each_part(raw: str, delimiters: Delimiters, comp: int, sub: int, change: Callable[[str], str]) -> str:
    """A field with one component or subcomponent of each repetition changed."""
    found = repetitions(raw, delimiters)
    for index, repetition in enumerate(found):
        parts = components(repetition, delimiters)
        if comp > len(parts):
            continue
        subs = subcomponents(parts[comp - 1], delimiters)
        if sub > len(subs):
            continue
        subs[sub - 1] = change(subs[sub - 1])
        parts[comp - 1] = delimiters.subcomponent.join(subs)
        found[index] = delimiters.component.join(parts)
    return delimiters.repetition.join(found)


def _cut(most: int, delimiters: Delimiters, cut: list[int], part: str) -> str:
    """The part, cut to `most` characters of its value (not of its escapes); adds what is lost to `cut`."""
    if part == NULL:
        return part
    value = unescape(part, delimiters)
    if len(value) <= most:
        return part
    mark = delimiters.truncation
    kept = most - len(mark)
    cut.append(len(value) - kept)
    # The truncation character stands for itself only there, unescaped (v2.7 §2.5.5.2).
    return escape(value[:kept], delimiters) + mark
