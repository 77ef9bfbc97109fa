"""The lossless, lazy codec of X12: interchanges, segments, elements (X01, X10).

`parse` decodes once, cuts the text into segments once, and leaves every segment a string until an element is
asked for. Whatever was accepted comes out again byte for byte: delimiters, line ends after terminators, a byte
order mark, text before ISA, several interchanges with delimiters of their own.

Text of elements is raw: repetitions and components are cut by whoever knows that there are some. X12 has no
escapes; a value simply must not hold a delimiter (X08).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import msgspec

from canonical.findings import Rejection, finding
from connectors.x12.codes import NO_HEADER
from connectors.x12.delimiters import BLANKS, STANDARD, Delimiters, read_delimiters

#: Characters from ISA on that are looked at to find the delimiters.
_HEAD: Final = 8192
_MARK: Final = b"\xef\xbb\xbf"
_START: Final = re.compile(r"ISA(?=[^A-Za-z0-9 \t\r\n])")
_ENVELOPE: Final = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA", "TA1"})


class Segment(msgspec.Struct, eq=False, gc=False):
    """One segment. Created as text; cut when an element is read or written."""

    id: str
    """Identifier as written: ``NM1``."""
    _text: str | None
    _separator: str
    end: str = "~"
    """What followed it on the wire: terminator and line ends; empty for a last segment that was cut off."""
    _elements: list[str] | None = None

    @property
    def text(self) -> str:
        """As on the wire, without terminator."""
        text = self._text
        if text is None:
            text = self._text = self._separator.join(self.elements)
        return text

    @property
    def elements(self) -> list[str]:
        """The identifier, then the raw elements by number. Do not change: use `set`."""
        elements = self._elements
        if elements is None:
            text = self._text
            assert text is not None
            elements = self._elements = text.split(self._separator)
        return elements

    def element(self, n: int) -> str:
        """Raw text of element `n`, from 1; empty if absent."""
        elements = self._elements
        if elements is None:
            elements = self.elements
        return elements[n] if n < len(elements) else ""

    def set(self, n: int, text: str) -> None:
        """Write the raw text of element `n`: composites and repetitions joined. Empty elements at the end go.

        Raises:
            ValueError: element 0 is the identifier.
        """
        if n < 1:
            raise ValueError(f"{self.id}{n:02d} cannot be written")
        elements = self.elements
        if n >= len(elements):
            elements.extend([""] * (n + 1 - len(elements)))
        elements[n] = text
        if not text and self.id != "ISA":
            while len(elements) > 1 and not elements[-1]:
                elements.pop()
        self._text = None

    def __len__(self) -> int:
        """Number of the last element present."""
        return len(self.elements) - 1

    def __repr__(self) -> str:
        return f"Segment({self.id!r})"


class TransactionSet(msgspec.Struct, eq=False, gc=False):
    """ST to SE, with the headers of what it stands in."""

    interchange: Interchange
    group: Segment | None
    """Its GS; None where there is none."""
    segments: list[Segment]
    """ST first; SE last where it is there."""

    @property
    def id(self) -> str:
        """ST01: ``270``."""
        return self.segments[0].element(1)

    @property
    def control(self) -> str:
        """ST02."""
        return self.segments[0].element(2)

    @property
    def guide(self) -> str:
        """The implementation convention: ST03, else GS08 (4010 has no ST03)."""
        return self.segments[0].element(3) or (self.group.element(8) if self.group is not None else "")

    @property
    def closed(self) -> bool:
        """Whether the last segment is SE."""
        return self.segments[-1].id == "SE"


class Group(msgspec.Struct, eq=False, gc=False):
    """GS to GE."""

    header: Segment
    trailer: Segment | None
    sets: list[TransactionSet]


class Interchange(msgspec.Struct, eq=False, gc=False):
    """ISA to IEA. `segments` stand in wire order and may be edited in place."""

    segments: list[Segment]
    delimiters: Delimiters
    prefix: str = ""
    """What stood before ISA."""
    sound: bool = True
    """False where the delimiters had to be guessed."""

    @property
    def header(self) -> Segment:
        """ISA."""
        return self.segments[0]

    @property
    def control(self) -> str:
        """ISA13 without blanks."""
        return self.segments[0].element(13).strip()

    @property
    def sender(self) -> tuple[str, str]:
        """Qualifier and identification of the sender, trimmed (X06)."""
        return self.segments[0].element(5).strip(), self.segments[0].element(6).strip()

    @property
    def receiver(self) -> tuple[str, str]:
        """Qualifier and identification of the receiver, trimmed (X06)."""
        return self.segments[0].element(7).strip(), self.segments[0].element(8).strip()

    @property
    def trailer(self) -> Segment | None:
        """IEA."""
        for segment in reversed(self.segments):
            if segment.id == "IEA":
                return segment
        return None

    def groups(self) -> list[Group]:
        """The functional groups; a set outside of any group is in none of them."""
        return cut(self).groups

    def sets(self) -> list[TransactionSet]:
        """Every transaction set, in wire order."""
        return cut(self).sets

    def texts(self) -> Iterator[str]:
        """The pieces whose concatenation is the interchange."""
        yield self.prefix
        for segment in self.segments:
            yield segment.text
            yield segment.end


class Cut(msgspec.Struct, eq=False, gc=False):
    """An interchange taken apart."""

    groups: list[Group]
    sets: list[TransactionSet]
    acknowledgements: list[Segment]
    """TA1 segments."""
    loose: list[tuple[int, Segment]]
    """What stands in no set and is no part of the envelope, with its position in the interchange, from 1."""


def cut(interchange: Interchange) -> Cut:
    """Put the segments of an interchange into groups and sets. Computed anew at each call."""
    found = Cut([], [], [], [])
    group: Group | None = None
    inside: list[Segment] | None = None
    for number, segment in enumerate(interchange.segments, 1):
        name = segment.id
        if name not in _ENVELOPE:
            if inside is not None:
                inside.append(segment)
            else:
                found.loose.append((number, segment))
        elif name == "ST":
            inside = [segment]
            each = TransactionSet(interchange, group.header if group is not None else None, inside)
            found.sets.append(each)
            if group is not None:
                group.sets.append(each)
        elif name == "SE":
            if inside is None:
                found.loose.append((number, segment))
            else:
                inside.append(segment)
                inside = None
        elif name == "GS":
            inside = None
            group = Group(segment, None, [])
            found.groups.append(group)
        elif name == "GE":
            inside = None
            if group is None:
                found.loose.append((number, segment))
            else:
                group.trailer = segment
                group = None
        elif name == "TA1":
            if inside is not None:
                inside.append(segment)
            else:
                found.acknowledgements.append(segment)
        elif name == "IEA":
            inside, group = None, None
    return found


class Message(msgspec.Struct, eq=False, gc=False):
    """What came as one: usually one interchange with one transaction set; a file may hold several."""

    interchanges: list[Interchange]
    charset: str = "ascii"
    """Python's codec name."""
    mark: bytes = b""
    """The byte order mark."""

    def sets(self) -> list[TransactionSet]:
        """Every transaction set, in wire order."""
        return [each for interchange in self.interchanges for each in interchange.sets()]

    def emit(self) -> bytes:
        """The bytes: those that were parsed, where nothing was changed. A value written by us that the character
        set of the message cannot say makes it UTF-8 (which partners refuse: `characters` checks it before)."""
        text = "".join(piece for interchange in self.interchanges for piece in interchange.texts())
        try:
            return self.mark + text.encode(self.charset)
        except UnicodeEncodeError:
            return self.mark + text.encode("utf-8")

    def __repr__(self) -> str:
        return f"Message({len(self.interchanges)} interchanges)"


def parse(raw: bytes, charset: str = "") -> Message:
    """Read a file or message. `charset` is the partner's, used where the bytes are not ASCII; without it UTF-8,
    and where the bytes are not that, ISO 8859-1.

    Raises:
        Rejection: ``x12.no_header``, ``x12.no_terminator``.
    """
    mark = _MARK if raw.startswith(_MARK) else b""
    text, codec = decode(raw[len(mark):], charset)
    start = find_header(text, 0)
    if start < 0:
        raise Rejection(finding(NO_HEADER, at="byte 0"))
    interchanges = []
    position = 0
    while start >= 0:
        prefix = text[position:start]
        delimiters, sound = read_delimiters(text[start:start + _HEAD])
        position, following = _end_of(text, start, delimiters)
        segments = _split(text[start:position], delimiters)
        interchanges.append(Interchange(segments, delimiters, prefix, sound))
        start = following
    return Message(interchanges, codec, mark)


def decode(raw: bytes, charset: str = "") -> tuple[str, str]:
    """Text and Python's codec name; every byte is kept."""
    for codec in ("ascii", charset, "utf-8"):
        if codec:
            try:
                text = raw.decode(codec)
            except (UnicodeDecodeError, LookupError):
                continue
            if codec == "ascii" or codec == "utf-8" or text.encode(codec) == raw:
                return text, codec
    return raw.decode("iso-8859-1"), "iso-8859-1"


def find_header(text: str, start: int) -> int:
    """Where the first ISA at or after `start` begins, at the beginning of a line or of the text; -1."""
    for match in _START.finditer(text, start):
        before = text[max(match.start() - 1, start):match.start()]
        if not before or not before.isalnum():
            return match.start()
    return -1


@lru_cache(maxsize=64)
def _next_header(terminator: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(terminator)}[{BLANKS}]*(?=ISA[^\w\s])")


def _end_of(text: str, start: int, delimiters: Delimiters) -> tuple[int, int]:
    """Where the interchange that begins at `start` ends, and where the next one begins (-1: none)."""
    if text.find("ISA", start + 3) < 0:
        return len(text), -1
    for match in _next_header(delimiters.segment).finditer(text, start + 16):
        try:
            read_delimiters(text[match.end():match.end() + _HEAD])
        except Rejection:
            continue  # it stays a segment of this interchange: what came before it can be read all the same
        return match.end(), match.end()
    return len(text), -1


def _split(text: str, delimiters: Delimiters) -> list[Segment]:
    separator, terminator = delimiters.element, delimiters.segment
    for ending in (terminator, terminator + "\n", terminator + "\r\n"):
        # One kind of line end throughout, and nothing that begins with a blank: one look finds out.
        if text.endswith(ending):
            lines = text[:-len(ending)].split(ending)
            if min(lines) > "!" and (ending == terminator or text.count(terminator) == len(lines)):
                return [Segment(line.partition(separator)[0], line, separator, ending) for line in lines]
    segments: list[Segment] = []
    pieces = text.split(terminator)
    final = pieces.pop()
    for piece in pieces:
        stripped = piece.lstrip(BLANKS)
        if len(stripped) < len(piece) and segments:
            segments[-1].end += piece[:len(piece) - len(stripped)]
        if stripped:
            segments.append(Segment(stripped.partition(separator)[0], stripped, separator, terminator))
        else:
            segments[-1].end += terminator
    stripped = final.lstrip(BLANKS)
    if len(stripped) < len(final):
        segments[-1].end += final[:len(final) - len(stripped)]
    if stripped:
        segments.append(Segment(stripped.partition(separator)[0], stripped, separator, ""))
    return segments


def new_segment(name: str, *elements: str, delimiters: Delimiters = STANDARD, end: str = "") -> Segment:
    """A segment with elements; empty ones at the end are left out, as X12.6 demands."""
    values = [name, *elements]
    if name != "ISA":
        while len(values) > 1 and not values[-1]:
            values.pop()
    return Segment(name, None, delimiters.element, end or delimiters.segment, values)
