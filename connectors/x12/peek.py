"""What can be known of an X12 message at the door, without understanding it and without failing.

A message is looked at as the door gets it: an interchange with one transaction set (`stream.split` makes them
of a batch). Lanes keep the order of what belongs together: everything about one member at one payer.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from canonical.findings import Finding, Rejection, finding
from connectors.base import Peek
from connectors.x12.codes import CONTROL_NUMBER, NO_HEADER
from connectors.x12.delimiters import BLANKS, LONGEST_HEADER, Delimiters, read_delimiters
from connectors.x12.edi import decode

_START: Final = re.compile(rb"(?<![A-Za-z0-9])ISA(?=[^A-Za-z0-9 \t\r\n])")
#: The subscriber comes after payer and provider; a batch cut into sets has few names before.
_MOST_NAMES: Final = 20
_DIRECTED: Final = frozenset({"278"})
"""Sets whose request and response have the same ST01: BHT02 tells them apart."""


def peek(raw: bytes) -> Peek:
    """Peek at a message (see `connectors.base.Peek`). Never raises, whatever the bytes."""
    start = _START.search(raw)
    if start is None:
        return Peek(lanes=(own_lane(raw),), findings=(finding(NO_HEADER, at="byte 0"),))
    text, _ = decode(raw[start.start():])
    try:
        delimiters, _ = read_delimiters(text[:LONGEST_HEADER + 8192])
    except Rejection as rejection:
        return Peek(lanes=(own_lane(raw),), findings=rejection.findings)
    look = _Look(text, delimiters)
    isa, gs, st = look.header, look.named("GS"), look.named("ST")
    control = "/".join(part for part in (_at(isa, 13), _at(gs, 6), _at(st, 2)) if part)
    findings: tuple[Finding, ...] = ()
    if not _at(isa, 13):
        findings = (finding(CONTROL_NUMBER, at="ISA-13", detail="ISA13 is empty"),)
    kind = _at(st, 1)
    if not st and look.named("TA1"):
        kind = "TA1"
    elif kind in _DIRECTED:
        kind = f"{kind}^{_at(look.named('BHT'), 2)}".rstrip("^")
    return Peek(
        message_type=_clean(kind),
        control_id=_clean(control),
        sender=_clean(f"{_at(isa, 6)}|{_at(gs, 2)}"),
        lanes=look.lanes() or (own_lane(raw),),
        processing_id=_clean(_at(isa, 15)),
        version=_clean(_at(st, 3) or _at(gs, 8)),
        dedup=look.dedup() if _at(isa, 13) else b"",
        findings=findings,
    )


class _Look:
    """Finds segments by name without cutting the message up."""

    def __init__(self, text: str, delimiters: Delimiters) -> None:
        self._text, self._delimiters = text, delimiters
        self.header = text[:LONGEST_HEADER].split(delimiters.element, 16)[:17]
        self._pattern = re.compile(rf"{re.escape(delimiters.segment)}[{BLANKS}]*"
                                   rf"(GS|ST|BHT|TA1|NM1){re.escape(delimiters.element)}")
        self._first: dict[str, int] = {}
        self._names: list[list[str]] = []
        for match in self._pattern.finditer(text):
            if match[1] != "NM1":
                self._first.setdefault(match[1], match.start(1))
                continue
            self._names.append(self._elements(match.start(1)))
            if _at(self._names[-1], 1) == "IL" or len(self._names) == _MOST_NAMES:
                break

    def _elements(self, at: int) -> list[str]:
        end = self._text.find(self._delimiters.segment, at)
        return self._text[at:end if end >= 0 else len(self._text)].split(self._delimiters.element)

    def named(self, name: str) -> list[str]:
        """The elements of the first segment of that name."""
        at = self._first.get(name)
        return [] if at is None else self._elements(at)

    def lanes(self) -> tuple[str, ...]:
        """``member:PAYER|MEMBER``: the subscriber at the payer or UMO."""
        payer = next((_at(each, 9) for each in self._names if _at(each, 1) in ("PR", "X3")), "")
        member = next((_at(each, 9) for each in self._names if _at(each, 1) == "IL"), "")
        return (_clean(f"member:{payer}|{member}"),) if member else ()

    def dedup(self) -> bytes:
        """Who sent it under which number, and the content without the time (ISA09, ISA10, GS04, GS05)."""
        gs, st = self.named("GS"), self._first.get("ST", self._first.get("TA1", 0))
        said = (*self.header[5:9], *self.header[13:14], *gs[1:4], *gs[6:9])
        digest = hashlib.sha256("\x1f".join(said).encode("utf-8", "backslashreplace"))
        digest.update(self._text[st:].encode("utf-8", "backslashreplace"))
        return digest.digest()


def _at(elements: list[str], number: int) -> str:
    return elements[number].strip() if number < len(elements) else ""


def own_lane(raw: bytes) -> str:
    """The lane of a message that belongs to nobody known."""
    return "message:" + hashlib.sha256(raw).hexdigest()[:32]


def _clean(text: str) -> str:
    """Text that any database takes."""
    return text.replace("\0", "\\x00") if "\0" in text else text
