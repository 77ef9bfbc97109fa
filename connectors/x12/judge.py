"""The verdict over an interchange: what TA1 and 999 have to say, before anything is said (X02 to X07, X10).

Pure. `judge` takes a whole interchange; `Judge` takes it piece by piece, so that a batch of any size needs the
memory of its verdicts only.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from canonical.findings import Code, Finding
from connectors.x12 import codes
from connectors.x12.delimiters import Delimiters
from connectors.x12.edi import Interchange as Whole
from connectors.x12.edi import Segment, TransactionSet, cut, parse
from connectors.x12.elements import is_date, is_time
from connectors.x12.guide import base, find, guide, names
from connectors.x12.guide_codes import NO_GUIDE
from connectors.x12.loops import walk
from connectors.x12.problem import Level, Problem, problem
from connectors.x12.profile import ANYBODY, Profile
from connectors.x12.stream import Kind, Piece
from connectors.x12.validate import validate

ISA_WIDTHS: Final = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1)
_QUALIFIERS: Final = frozenset({"01", "14", "20", "27", "28", "29", "30", "33", "ZZ"})
#: Problems of one set that are kept; a set with more has another trouble.
_MOST: Final = 500
#: GS01 of sets that have no guide here.
_GROUPS: Final = {
    "834": "BE", "835": "HP", "837": "HC", "820": "RA", "275": "PI", "997": "FA", "999": "FA", "277": "HN", "850": "PO",
    "810": "IN", "840": "RQ", "855": "PR", "856": "SH"}


class SetVerdict(msgspec.Struct, frozen=True):
    """One transaction set."""

    id: str
    """ST01 (AK201)."""
    control: str
    """ST02 (AK202)."""
    convention: str
    """ST03 (AK203)."""
    problems: tuple[Problem, ...] = ()

    @property
    def code(self) -> str:
        """IK501: A accepted, E accepted with errors, R rejected."""
        return _code(self.problems)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """As findings."""
        return tuple(each.finding for each in self.problems)


class GroupVerdict(msgspec.Struct, frozen=True):
    """One functional group."""

    id: str
    """GS01 (AK101)."""
    control: str
    """GS06 (AK102)."""
    version: str
    """GS08 (AK103)."""
    sender: str
    """GS02"""
    receiver: str
    """GS03"""
    announced: str
    """GE01 as it came (AK902); empty where there is no GE."""
    sets: tuple[SetVerdict, ...] = ()
    problems: tuple[Problem, ...] = ()
    all_or_nothing: bool = False
    """The partner's policy: one bad set rejects the group (X10)."""

    @property
    def accepted(self) -> int:
        """AK904: sets that are accepted."""
        if _code(self.problems) == "R" or (self.all_or_nothing and any(each.code == "R" for each in self.sets)):
            return 0
        return sum(each.code != "R" for each in self.sets)

    @property
    def code(self) -> str:
        """AK901: A, E, P (some sets rejected) or R."""
        own = _code(self.problems)
        if own == "R" or (self.sets and not self.accepted):
            return "R"
        if self.accepted < len(self.sets):
            return "P"
        return "E" if own == "E" or any(each.code == "E" for each in self.sets) else "A"


class Verdict(msgspec.Struct, frozen=True):
    """One interchange."""

    sender: tuple[str, str]
    """ISA05 and ISA06."""
    receiver: tuple[str, str]
    control: str
    """ISA13"""
    date: str
    time: str
    asked: bool
    """ISA14: the sender wants a TA1 (X04)."""
    usage: str
    version: str = ""
    """ISA12"""
    groups: tuple[GroupVerdict, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def code(self) -> str:
        """TA104."""
        return _code(self.problems)

    @property
    def note(self) -> str:
        """TA105: why; 000 where nothing is wrong."""
        noted = [each for each in self.problems if each.note]
        for each in noted:
            if each.counts:
                return each.note
        return noted[0].note if noted else "000"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, the envelope's first."""
        return tuple(each.finding for each in (
            *self.problems, *(each for group in self.groups for each in group.problems),
            *(each for group in self.groups for one in group.sets for each in one.problems)))


def _code(problems: Iterable[Problem]) -> str:
    code = "A"
    for each in problems:
        if each.counts:
            return "R"
        if each.note:
            code = "E"
    return code


def judge(interchange: Whole, profile: Profile = ANYBODY, *, duplicate: bool = False, guides: bool = True) -> Verdict:
    """The verdict over a whole interchange.

    Args:
        interchange: as parsed.
        profile: what was agreed with the partner.
        duplicate: its control number was used before for another content (X07).
        guides: False to judge the envelope alone, and not what stands in the sets.
    """
    court = Judge(profile, guides=guides)
    court.begin(interchange.header, interchange.delimiters, sound=interchange.sound, duplicate=duplicate)
    parts = cut(interchange)
    if interchange.prefix.strip(" \t\r\n\x00\ufeff"):
        court.note(codes.BEFORE_HEADER, "", "byte 0")
    for position, segment in parts.loose:
        court.stray(segment, position)
    for group in parts.groups:
        court.group(group.header)
        for each in group.sets:
            court.set(each)
        court.end_group(group.trailer)
    for each in parts.sets:
        if each.group is None:
            court.stray(each.segments[0], 0)
    return court.end(interchange.trailer, acknowledgements=bool(parts.acknowledgements))


def judge_pieces(pieces: Iterable[Piece], profile: Profile = ANYBODY, *, duplicate: bool = False,
                 ) -> Iterable[tuple[Piece, SetVerdict | None, Verdict | None]]:
    """The pieces of a file with the verdict over each set, and at its last piece the one over each interchange.

    For a batch: a set is judged, and can be passed on, before the next one is read.
    """
    court: Judge | None = None
    acknowledgements = False
    last: Piece | None = None
    for piece in pieces:
        if piece.kind is Kind.INTERCHANGE:
            if court is not None and last is not None:
                yield last, None, court.end(None, acknowledgements=acknowledgements)
                last = None
            whole = parse(piece.raw).interchanges[0]
            court, acknowledgements = Judge(profile), False
            court.begin(whole.header, whole.delimiters, sound=whole.sound, duplicate=duplicate)
            for segment in whole.segments[1:]:
                court.stray(segment, 0)
        elif court is not None and piece.kind is Kind.SET:
            each = next(iter(parse(piece.alone()).sets()), None)
            if each is None:  # delimiters in two encodings: this part cannot be told apart by those of the header
                court.note(codes.OUTSIDE, "024", "text")
                yield piece, None, None
                continue
            if not piece.group:
                court.stray(each.segments[0], 0)
            yield piece, court.set(each) if piece.group else None, None
            continue
        elif court is not None:
            segments = parse(piece.interchange + piece.raw).interchanges[0].segments[1:]
            first = segments[0] if segments else None
            if first is not None and piece.kind is Kind.GROUP:
                court.group(first)
            elif piece.kind is Kind.GROUP_END:
                court.end_group(first)
            elif piece.kind is Kind.ACKNOWLEDGEMENT:
                acknowledgements = True
            elif piece.kind is Kind.INTERCHANGE_END:
                yield piece, None, court.end(first, acknowledgements=acknowledgements)
                court = last = None
                continue
            for segment in segments[1:]:
                court.stray(segment, 0)
        if last is not None:
            yield last, None, None
        last = piece
    if court is not None and last is not None:
        yield last, None, court.end(None, acknowledgements=acknowledgements)


class Judge:
    """Hears an interchange in wire order: `begin`, then `group`, `set` …, `end_group` …, and `end`."""

    def __init__(self, profile: Profile, *, guides: bool = True) -> None:
        self._profile = profile
        self._guides = guides
        self._problems: list[Problem] = []
        self._groups: list[GroupVerdict] = []
        self._numbers: set[str] = set()
        self._open: _OpenGroup | None = None

    def note(self, code: Code, note: str, at: str, detail: str = "") -> None:
        """A problem of the interchange itself; `note` is TA105."""
        self._problems.append(problem(code, Level.INTERCHANGE, note, self._profile, at=at, detail=detail))

    def begin(self, header: Segment, delimiters: Delimiters, *, sound: bool, duplicate: bool) -> None:
        """ISA."""
        profile = self._profile
        self._header = header
        values = [header.element(number) for number in range(17)]
        if not sound:
            self.note(codes.DELIMITERS, "", "ISA-16" if not delimiters.component else "ISA-11")
        for number, width in enumerate(ISA_WIDTHS, 1):
            if len(values[number]) != width and not (number == 16 and not sound):
                self.note(codes.HEADER_WIDTH, "", f"ISA-{number:02d}", f"{len(values[number])} characters, {width} expected")
                break
        self._check(values[1].strip().isalnum(), "010", "ISA-01")
        self._check(values[3].strip().isalnum(), "012", "ISA-03")
        self._check(values[5].strip() in _QUALIFIERS, "005", "ISA-05")
        self._check(bool(values[6].strip()), "006", "ISA-06")
        self._check(values[7].strip() in _QUALIFIERS, "007", "ISA-07")
        self._check(bool(values[8].strip()), "008", "ISA-08")
        self._check(_agreed(values[5], values[6], profile.sender), "006", "ISA-06", "not the sender that was agreed")
        self._check(_agreed(values[7], values[8], profile.receiver), "009", "ISA-08", "not the receiver of this endpoint")
        self._check(len(values[9]) == 6 and is_date(values[9]), "014", "ISA-09")
        self._check(is_time(values[10]), "015", "ISA-10")
        self._check(not profile.versions or values[12] in profile.versions, "017", "ISA-12", "not a version that was agreed")
        self._check(values[14] in ("0", "1"), "019", "ISA-14")
        self._check(values[15] in ("T", "P", "I"), "020", "ISA-15")
        control = values[13].strip()
        if len(control) != 9 or not control.isdecimal():
            self.note(codes.CONTROL_NUMBER, "018", "ISA-13", "not nine digits")
        if profile.usage and values[15] in ("T", "P") and values[15] != profile.usage:
            self.note(codes.USAGE, "020", "ISA-15")
        if duplicate:
            self.note(codes.DUPLICATE, "025", "ISA-13")

    def _check(self, good: bool, note: str, at: str, detail: str = "") -> None:
        if not good:
            self.note(codes.HEADER_VALUE, note, at, detail)

    def stray(self, segment: Segment, position: int) -> None:
        """A segment that stands in no set."""
        name = segment.id if len(segment.id) <= 3 and segment.id.isalnum() else "text"
        self.note(codes.OUTSIDE, "024", f"segment {position} {name}" if position else name)

    def group(self, header: Segment) -> None:
        """GS."""
        self.end_group(None)
        self._open = _OpenGroup(header, self._profile)
        control = header.element(6).strip()
        if not control.isdecimal() or len(control) > 9:
            self._open.note(codes.CONTROL_NUMBER, "6", "GS-06")
        elif control in self._numbers:
            self._open.note(codes.CONTROL_NUMBER, "19", "GS-06", "the same number twice")
        self._numbers.add(control)

    def set(self, each: TransactionSet) -> SetVerdict:
        """ST to SE."""
        found = self._problems_of(each)
        verdict = SetVerdict(each.id, each.control, each.segments[0].element(3), tuple(found))
        if self._open is not None:
            self._open.sets.append(verdict)
        return verdict

    def _problems_of(self, each: TransactionSet) -> list[Problem]:
        profile, header = self._profile, each.segments[0]
        found: list[Problem] = []

        def note(code: Code, number: str, at: str, detail: str = "") -> None:
            found.append(problem(code, Level.SET, number, profile, at=at, detail=detail))

        control = each.control
        if not 4 <= len(control) <= 9 or not control.isalnum():
            note(codes.CONTROL_NUMBER, "7", "ST-02")
        elif self._open is not None and control in self._open.numbers:
            note(codes.CONTROL_NUMBER, "23", "ST-02", "the same number twice")
        if self._open is not None:
            self._open.numbers.add(control)
        length = len(each.segments)
        if not each.closed:
            note(codes.NO_TRAILER, "2", "SE")
        else:
            trailer = each.segments[-1]
            if trailer.element(2).strip() != control.strip():
                note(codes.CONTROL_MISMATCH, "3", f"SE-02 (segment {length})")
            announced = trailer.element(1).strip()
            if not announced.isdecimal() or int(announced) != length:
                note(codes.COUNT, "4", f"SE-01 (segment {length})",
                     f"{announced} segments announced, {length} found" if announced.isdecimal() else "no number")
        if len(each.id) != 3 or not each.id.isalnum():
            note(codes.GROUP_MISMATCH, "6", "ST-01")
        convention, version = header.element(3), each.group.element(8) if each.group is not None else ""
        if convention and version and base(convention) != base(version) and "X" in version:
            note(codes.GROUP_MISMATCH, "19", "ST-03", "not what GS08 says")
        expected = _group_of(each.id)
        if each.group is not None and expected and each.group.element(1) != expected:
            note(codes.GROUP_MISMATCH, "6", "ST-01", f"a {each.id} stands in a group {expected}")
        if not self._guides:
            return found
        purpose = each.segments[1].element(2) if length > 1 else ""
        known = find(each.id, each.guide, purpose)
        if known is None:
            found.append(problem(NO_GUIDE, Level.SET, "", profile, at="ST-01"))
            return found
        return found + validate(each, walk(each, known), profile)[:_MOST]

    def end_group(self, trailer: Segment | None) -> None:
        """GE; None where it is missing."""
        group = self._open
        if group is None:
            return
        self._open = None
        if trailer is None:
            group.note(codes.NO_TRAILER, "3", "GE")
        else:
            if trailer.element(2).strip() != group.header.element(6).strip():
                group.note(codes.CONTROL_MISMATCH, "4", "GE-02")
            announced = trailer.element(1).strip()
            if not announced.isdecimal() or int(announced) != len(group.sets):
                group.note(codes.COUNT, "5", "GE-01", f"{len(group.sets)} transaction sets found")
        self._groups.append(group.verdict(trailer))

    def end(self, trailer: Segment | None, *, acknowledgements: bool = False) -> Verdict:
        """IEA; None where it is missing."""
        self.end_group(None)
        header = self._header
        if trailer is None:
            self.note(codes.NO_TRAILER, "023", "IEA")
        else:
            if trailer.element(2).strip() != header.element(13).strip():
                self.note(codes.CONTROL_MISMATCH, "001", "IEA-02")
            announced = trailer.element(1).strip()
            if not announced.isdecimal() or int(announced) != len(self._groups):
                self.note(codes.COUNT, "021", "IEA-01", f"{len(self._groups)} functional groups found")
            elif not self._groups and not acknowledgements:
                self.note(codes.OUTSIDE, "022", "IEA", "no functional group")
        return Verdict(
            (header.element(5).strip(), header.element(6).strip()),
            (header.element(7).strip(), header.element(8).strip()), header.element(13).strip(), header.element(9),
            header.element(10), header.element(14) == "1", header.element(15).strip(), header.element(12).strip(),
            tuple(self._groups), tuple(self._problems))


class _OpenGroup:
    def __init__(self, header: Segment, profile: Profile) -> None:
        self.header, self._profile = header, profile
        self.sets: list[SetVerdict] = []
        self.numbers: set[str] = set()
        self._problems: list[Problem] = []

    def note(self, code: Code, number: str, at: str, detail: str = "") -> None:
        self._problems.append(problem(code, Level.GROUP, number, self._profile, at=at, detail=detail))

    def verdict(self, trailer: Segment | None) -> GroupVerdict:
        header = self.header
        return GroupVerdict(
            header.element(1), header.element(6).strip(), header.element(8).strip(), header.element(2).strip(),
            header.element(3).strip(), trailer.element(1).strip() if trailer is not None else "", tuple(self.sets),
            tuple(self._problems), self._profile.reject == "group")


def _agreed(qualifier: str, identifier: str, agreed: str) -> bool:
    return not agreed or f"{qualifier.strip()}/{identifier.strip()}" == agreed


@lru_cache(maxsize=256)
def _group_of(kind: str) -> str:
    for name in names():
        each = guide(name)
        if each is not None and each.set == kind:
            return each.group
    return _GROUPS.get(kind, "")
