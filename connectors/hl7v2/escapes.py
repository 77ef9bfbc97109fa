r"""Escape sequences (v2.5.1 §2.7): one place that reads them and one that writes them.

Two laws hold, so that a value survives any number of hops (E08): ``unescape(escape(v)) == v`` for every value,
and what `unescape` leaves alone (``\.br\``, ``\H\``, ``\Zcust\``) is left alone by `escape` too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from canonical.findings import Rejection, Severity, declare, finding
from connectors.hl7v2.delimiters import STANDARD, Delimiters

CANNOT_ESCAPE: Final = declare(
    "hl7.cannot_escape", Severity.ERROR,
    "A value holds a delimiter, but these encoding characters have no escape character",
    "Use encoding characters with an escape character for this destination.")

_KEPT: Final = r"[HN]|\.(?:br|fi|nf|ce|(?:sp|in|ti|sk) ?[+-]?\d{0,3})|Z[A-Za-z0-9.+ -]{0,79}"
_NAME: Final = re.compile(r"[A-Z.][A-Za-z0-9.+ -]{0,79}\Z")
_SHIFT: Final = re.compile(r"[CM]((?:[0-9A-Fa-f]{2}){2,3})\Z")
_LAYOUT: Final = re.compile(r"\.(br|sp|sk|ce|in|ti|fi|nf) ?([+-]?\d{0,3})\Z")


def unescape(text: str, delimiters: Delimiters = STANDARD, *, charset: str = "utf-8",
             formatted: bool = False) -> str:
    r"""The value that escaped text stands for. Use it on the smallest part, after splitting (E09).

    ``\F\ \S\ \T\ \R\ \E\ \P\`` become the delimiters of *this* message (E01), ``\X..\`` bytes of `charset`
    (E02), ``\C..\`` and ``\M..\`` shifts are followed where they make sense (E03). Everything else stays as
    it is written (E06, E07), formatting and highlighting too (E04, E05) unless `formatted`: the FT data type,
    in which ``\.br\`` is a line feed.
    """
    mark = delimiters.escape
    if not mark or mark not in text:
        return text
    parts = text.split(mark)
    value, shifted = _read(parts, delimiters, charset, formatted, follow=True)
    if shifted:
        try:
            return value.encode("ascii").decode("iso2022_jp_2")
        except UnicodeError:
            value, _ = _read(parts, delimiters, charset, formatted, follow=False)
    return value


def _read(parts: list[str], delimiters: Delimiters, charset: str, formatted: bool, *,
          follow: bool) -> tuple[str, bool]:
    """The value of text split at its escape character; True if it now holds ISO 2022 shifts to be decoded."""
    mark = delimiters.escape
    out = [parts[0]]
    shifted = False
    position, last = 1, len(parts) - 1
    while position < last:  # parts[position] stands between two escape characters
        name = parts[position]
        value = _sequence(name, delimiters, charset, formatted)
        if value is None and follow and (shift := _SHIFT.match(name)):
            value, shifted = "\x1b" + bytes.fromhex(shift[1]).decode("latin-1"), True
        if value is not None:
            out += (value, parts[position + 1])
            position += 2
        elif _NAME.match(name):
            out += (mark, name, mark, parts[position + 1])
            position += 2
        else:  # cannot be a name: a lone escape character, and the next one may open a sequence
            out += (mark, name)
            position += 1
    if position == last:
        out += (mark, parts[last])
    return "".join(out), shifted


def _sequence(name: str, delimiters: Delimiters, charset: str, formatted: bool) -> str | None:
    match name:
        case "E":
            return delimiters.escape
        case "F":
            return delimiters.field
        case "S":
            return delimiters.component or None
        case "T":
            return delimiters.subcomponent or None
        case "R":
            return delimiters.repetition or None
        case "P":
            return delimiters.truncation or None
    if name.startswith("X") and len(name) > 1:
        try:
            return bytes.fromhex(name[1:]).decode(charset)
        except ValueError:
            return None
    return _layout(name) if formatted else None


def _layout(name: str) -> str | None:
    if name in {"H", "N"}:
        return ""
    command = _LAYOUT.match(name)
    if command is None:
        return None
    verb, count = command.groups()
    many = int(count) if count.lstrip("+-") else 1
    return {"br": "\n", "ce": "\n", "sp": "\n" * many, "sk": " " * many}.get(verb, "")


class _Rules:
    """What has to be escaped under one set of delimiters."""

    def __init__(self, delimiters: Delimiters) -> None:
        self.mark = mark = delimiters.escape
        self.truncation = delimiters.truncation
        self.names = {char: name for char, name in (
            (delimiters.field, "F"), (delimiters.component, "S"), (delimiters.subcomponent, "T"),
            (delimiters.repetition, "R"), (mark, "E")) if char}
        special = "".join(re.escape(char) for char in self.names)
        kept = f"{re.escape(mark)}(?:{_KEPT}){re.escape(mark)}" if mark else "(?!)"
        self.needed = re.compile(rf"[{special}\r\n\x0b\x1c]")
        self.pattern = re.compile(rf"({kept})|([\r\n]+)|([\x0b\x1c]+)|[{special}]")


@lru_cache(maxsize=256)
def _rules(delimiters: Delimiters) -> _Rules:
    return _Rules(delimiters)


def marked(delimiters: Delimiters = STANDARD) -> Callable[[str], re.Match[str] | None] | None:
    """Finds in a text what `escape` would change; None where only `escape` can tell."""
    rules = _rules(delimiters)
    return None if rules.truncation else rules.needed.search


def escape(text: str, delimiters: Delimiters = STANDARD, *, formatted: bool = False) -> str:
    r"""Text that stands for a value under these delimiters.

    Each special character is escaped once (E08). Line breaks and the MLLP framing bytes become ``\X..\``;
    line breaks become ``\.br\`` where `formatted`.

    Raises:
        Rejection: ``hl7.cannot_escape``: these delimiters have no escape character.
    """
    rules = _rules(delimiters)
    if rules.needed.search(text):
        mark, names = rules.mark, rules.names
        if not mark:
            raise Rejection(finding(CANNOT_ESCAPE))

        def one(match: re.Match[str]) -> str:
            kept, breaks, framing = match.groups()
            if kept:
                return kept
            if breaks and formatted:
                return f"{mark}.br{mark}" * len(breaks.replace("\r\n", "\n"))
            if breaks or framing:
                return f"{mark}X{match[0].encode('ascii').hex().upper()}{mark}"
            return mark + names[match[0]] + mark

        text = rules.pattern.sub(one, text)
    if rules.truncation and rules.mark and text.endswith(rules.truncation):
        text = f"{text[:-1]}{rules.mark}P{rules.mark}"
    return text
