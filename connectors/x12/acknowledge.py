"""TA1, 999 (and 997 for what comes in 4010): written from a verdict, and read back (X04, X07, X10, X11; spec 4.2).

Both ways are pure: the number and the time of the acknowledgement come in a `Stamp`. A TA1 stands between ISA and
the first GS (X12.5 §3.4). An interchange that was rejected is answered with its TA1 alone; acknowledgements are
never acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby
from typing import Final

import msgspec

from canonical.findings import Finding, finding
from connectors.x12.build import ONLY_SET, Party, Stamp, control_number, gs, interchange, isa, sequence
from connectors.x12.codes import ACKNOWLEDGED
from connectors.x12.delimiters import STANDARD, Delimiters, choose_delimiters
from connectors.x12.edi import Interchange, Message, Segment, TransactionSet, cut, new_segment
from connectors.x12.guide_codes import HAS_ELEMENT_ERRORS
from connectors.x12.judge import GroupVerdict, SetVerdict, Verdict
from connectors.x12.problem import Level, Problem

CONVENTION: Final = "005010X231A1"
ACKNOWLEDGEMENTS: Final = frozenset({"997", "999"})
#: How many codes IK5 and AK9 hold.
_CODES: Final = 5
#: Data element 447 has four characters: 2110C is told as 2110.
_LOOP: Final = 4


class Ta1(StrEnum):
    """When a TA1 is sent."""

    ASKED = "asked"
    """Where ISA14 asks for one, and always on rejection (the rule of X12.5)."""
    ALWAYS = "always"
    REJECTED = "rejected"
    NEVER = "never"


def acknowledge(verdict: Verdict, stamp: Stamp, *, ta1: Ta1 = Ta1.ASKED, implementation: bool = True,
                delimiters: Delimiters = STANDARD) -> Message | None:
    """The answer to an interchange, addressed back to its sender; None where nothing is owed.

    Args:
        verdict: of `judge`.
        stamp: number and time of the answer.
        ta1: the partner's policy for TA1.
        implementation: False where no 999 is wanted (real time: a good inquiry is answered by its 271).
        delimiters: preferred ones.
    """
    rejected = verdict.code == "R"
    wanted = {Ta1.ASKED: rejected or verdict.asked, Ta1.ALWAYS: True, Ta1.REJECTED: rejected, Ta1.NEVER: False}[ta1]
    groups = [] if rejected or not implementation else [
        group for group in verdict.groups if group.id != "FA"]
    if wanted and not rejected and verdict.groups and all(group.id == "FA" for group in verdict.groups):
        wanted = ta1 is Ta1.ALWAYS
    if not wanted and not groups:
        return None
    traces = (each.trace for group in groups for one in group.sets for each in one.problems)
    said = (*verdict.sender, *verdict.receiver, verdict.control, verdict.date, verdict.time)
    chosen = choose_delimiters([*said, *(text for group in groups for text in _texts(group)), *traces], delimiters)
    us = Party(_echo(verdict.receiver[1], 15), _echo(verdict.receiver[0], 2) or "ZZ")
    them = Party(_echo(verdict.sender[1], 15), _echo(verdict.sender[0], 2) or "ZZ")
    old = verdict.version == "00401"
    segments = [isa(us, them, stamp, chosen, usage=verdict.usage if verdict.usage in ("T", "P") else "T",
                    version="00401" if old else "00501")]
    if wanted:
        segments.append(new_segment("TA1", _echo(verdict.control, 9), _echo(verdict.date, 6), _echo(verdict.time, 4),
                                    verdict.code, verdict.note, delimiters=chosen))
    number = stamp.group or stamp.interchange
    for (sender, receiver, kind), same in groupby(groups, key=lambda group: (group.sender, group.receiver, _kind(group))):
        convention = CONVENTION if kind == "999" else "004010"
        segments.append(gs("FA", Party(us.id, us.qualifier, _echo(receiver, 15)),
                           Party(them.id, them.qualifier, _echo(sender, 15)), stamp, convention, number,
                           chosen))
        number += 1
        for position, group in enumerate(same, 1):
            segments.append(new_segment("ST", kind, f"{position:04d}", CONVENTION if kind == "999" else "",
                                        delimiters=chosen))
            segments += _group(group, chosen) if kind == "999" else _old_group(group, chosen)
    return Message([interchange(segments, chosen)])


def _echo(text: str, width: int) -> str:
    """Something of the sender's that we repeat: whatever came, our own interchange stays one."""
    return "".join(char if char.isprintable() else " " for char in text)[:width].strip()


def _kind(group: GroupVerdict) -> str:
    """A group of 4010 is answered by a 997; what came later by a 999."""
    return "997" if group.version.startswith("004") else "999"


def _old_group(group: GroupVerdict, delimiters: Delimiters) -> Iterator[Segment]:
    """A 997 of 4010. There are no guides of 4010 here, so only the envelope can be wrong: no AK3."""
    for segment in _group(group, delimiters):
        if segment.id in ("AK1", "AK2"):
            yield new_segment(*segment.elements[:3], delimiters=delimiters)
        elif segment.id == "IK5":
            yield new_segment("AK5", *segment.elements[1:], delimiters=delimiters)
        else:
            yield segment


def _texts(group: GroupVerdict) -> Iterator[str]:
    yield from (group.id, group.control, group.version, group.sender, group.receiver)
    for each in group.sets:
        yield from (each.id, each.control, each.convention)
        yield from (problem.segment for problem in each.problems)


def _group(group: GroupVerdict, delimiters: Delimiters) -> Iterator[Segment]:
    """AK1 to AK9 (005010X231A1)."""
    def segment(name: str, *elements: str) -> Segment:
        return new_segment(name, *elements, delimiters=delimiters)

    yield segment("AK1", _echo(group.id, 2), _echo(group.control, 9), _echo(group.version, 12))
    whole = group.code == "R"
    for each in group.sets:
        yield segment("AK2", _echo(each.id, 3), _echo(each.control, 9), _echo(each.convention, 35))
        yield from _errors(each, delimiters)
        notes = _notes(each.problems, Level.SET)
        inner = [problem for problem in each.problems if problem.note and problem.level in (Level.SEGMENT, Level.ELEMENT)]
        if inner:
            notes.append("I5" if all(problem.note.startswith("I") for problem in inner) else "5")
        code = "R" if whole else each.code
        yield segment("IK5", code, *notes[:_CODES])
    announced = group.announced if group.announced.isdecimal() and len(group.announced) <= 6 else str(len(group.sets))
    yield segment("AK9", group.code, announced, str(len(group.sets)), str(group.accepted),
                  *_notes(group.problems, Level.GROUP)[:_CODES])


def _notes(problems: Iterable[Problem], level: Level) -> list[str]:
    return list(dict.fromkeys(problem.note for problem in problems if problem.level is level and problem.note))


def _errors(verdict: SetVerdict, delimiters: Delimiters) -> Iterator[Segment]:
    """IK3, CTX and IK4 for each segment in error."""
    def segment(name: str, *elements: str) -> Segment:
        return new_segment(name, *elements, delimiters=delimiters)

    inner = [each for each in verdict.problems if each.note and each.level in (Level.SEGMENT, Level.ELEMENT)]
    component = delimiters.component

    def place(problem: Problem) -> tuple[int, str, str]:
        return problem.position, problem.segment, problem.loop

    for (position, name, loop), same in groupby(sorted(inner, key=place), key=place):
        problems = list(same)
        elements = [each for each in problems if each.level is Level.ELEMENT]
        for note in _notes(problems, Level.SEGMENT) or [HAS_ELEMENT_ERRORS]:
            yield segment("IK3", _echo(name, 3), str(position), loop[:_LOOP], note)
            if problems[0].trace:
                yield segment("CTX", f"TRN02{component}{_echo(problems[0].trace, 35)}")
        if elements and _notes(problems, Level.SEGMENT):
            yield segment("IK3", _echo(name, 3), str(position), loop[:_LOOP], HAS_ELEMENT_ERRORS)
        for each in elements:
            where = [str(each.element)]
            if each.component or each.repetition:
                where.append(str(each.component) if each.component else "")
            if each.repetition:
                where.append(str(each.repetition))
            yield segment("IK4", component.join(where), each.reference if each.reference.isdecimal() else "", each.note)


# -- reading ------------------------------------------------------------------------------------------------


class Disposition(StrEnum):
    """What an acknowledgement means for what we sent (X11)."""

    ACCEPTED = "accepted"
    WITH_ERRORS = "accepted_with_errors"
    """Continue, and let somebody look."""
    REJECTED = "rejected"
    """Never retried unchanged: a person must mend data or configuration."""


_DISPOSITIONS: Final = {"A": Disposition.ACCEPTED, "E": Disposition.WITH_ERRORS}


def disposition(code: str) -> Disposition:
    """Of TA104, IK501, AK501 or AK901. P is no answer for a set: look at its own code. M, W, X are rejections for
    security's sake; what is no code at all is taken as a rejection, since nobody said yes."""
    return _DISPOSITIONS.get(code, Disposition.REJECTED)


class InterchangeReply(msgspec.Struct, frozen=True):
    """A TA1."""

    control: str
    """ISA13 of what it answers."""
    date: str
    time: str
    code: str
    note: str

    @property
    def disposition(self) -> Disposition:
        """For the whole interchange."""
        return disposition(self.code)


class ElementError(msgspec.Struct, frozen=True):
    """An IK4 or AK4, without the copy of the bad value."""

    element: int
    component: int
    repetition: int
    reference: str
    note: str


class SegmentError(msgspec.Struct, frozen=True):
    """An IK3 or AK3."""

    segment: str
    position: int
    loop: str
    note: str
    elements: tuple[ElementError, ...] = ()
    context: tuple[str, ...] = ()
    """What CTX says: ``TRN02:…``."""


class SetReply(msgspec.Struct, frozen=True):
    """AK2 to IK5 (or AK5)."""

    id: str
    control: str
    """ST02 of what it answers: the key (X11)."""
    code: str
    notes: tuple[str, ...] = ()
    errors: tuple[SegmentError, ...] = ()

    @property
    def disposition(self) -> Disposition:
        """For this set."""
        return disposition(self.code)


class GroupReply(msgspec.Struct, frozen=True):
    """A 999 or 997."""

    id: str
    control: str
    """GS06 of what it answers."""
    code: str
    announced: str = ""
    received: str = ""
    accepted: str = ""
    notes: tuple[str, ...] = ()
    sets: tuple[SetReply, ...] = ()

    def of(self, control: str) -> Disposition:
        """What became of the set ST02 `control`. One that the acknowledgement does not name shares the fate of its
        group; of a group accepted in part (P) the unnamed ones were accepted."""
        for each in self.sets:
            if each.control == control:
                return each.disposition
        return Disposition.ACCEPTED if self.code == "P" else disposition(self.code)


def replies(message: Message) -> list[InterchangeReply | GroupReply]:
    """The acknowledgements in a message: TA1 first, then 999 and 997 in wire order."""
    return [reply for each in message.interchanges for reply in _replies(each)]


def _replies(each: Interchange) -> list[InterchangeReply | GroupReply]:
    parts = cut(each)
    return [*(InterchangeReply(segment.element(1).strip(), segment.element(2), segment.element(3), segment.element(4),
                               segment.element(5)) for segment in parts.acknowledgements),
            *(_reply(one) for one in parts.sets if one.id in ACKNOWLEDGEMENTS)]


class Said(msgspec.Struct, frozen=True):
    """What an acknowledgement says of one interchange of ours."""

    sequence: str
    """Where it got its number (`connectors.x12.build.sequence`)."""
    number: int
    disposition: Disposition
    whole: bool
    """True for a TA1: of the interchange; else of the set in it."""
    code: str
    """TA105, or IK501 (AK901 where the set is not named); empty where it is no code."""


def verdicts(message: Message) -> list[Said]:
    """What acknowledgements say of our interchanges, each of which holds one group with one set (`ONLY_SET`): so ISA13
    and GS06 are one number, by which the interchange is found (X11). What it says of other sets is none of ours."""
    found = []
    for each in message.interchanges:
        us, them = (f"{each.header.element(n).strip()}/{each.header.element(n + 1).strip()}" for n in (7, 5))
        for reply in _replies(each):
            number = _number(reply.control)
            if isinstance(reply, InterchangeReply):
                found.append(Said(sequence(us, them), number, reply.disposition, True, _code(reply.note)))
            else:
                own = next((one.code for one in reply.sets if one.control == ONLY_SET), reply.code)
                found.append(Said(sequence(us, them), number, reply.of(ONLY_SET), False, _code(own)))
    return found


def _code(text: str) -> str:
    """A code that may be shown."""
    return text if text.isalnum() and len(text) <= 3 else ""


def told(message: Message) -> tuple[Finding, ...]:
    """What acknowledgements say, one finding each: codes and places, never a value."""
    return tuple(finding(ACKNOWLEDGED, detail=_told(each)) for each in replies(message))


def _told(reply: InterchangeReply | GroupReply) -> str:
    if isinstance(reply, InterchangeReply):
        return f"TA1 {_echo(reply.code, 1)} {_echo(reply.note, 3)}"
    places = [f"{_echo(error.segment, 3)} (segment {error.position}{', loop ' if error.loop else ''}{_echo(error.loop, 6)}) "
              f"{_echo(error.note, 3)}" + "".join(f", element {one.element}: {_echo(one.note, 3)}" for one in error.elements)
              for each in reply.sets for error in each.errors]
    return "; ".join([f"999 {_echo(reply.code, 1)}", *places])


def _reply(each: TransactionSet) -> GroupReply:
    mark = each.interchange.delimiters.component
    head, tail = ["", "", ""], [""] * 10
    sets: list[SetReply] = []
    errors: list[SegmentError] = []
    elements: list[ElementError] = []
    contexts: list[str] = []
    opened = ("", "")
    place: tuple[str, int, str, str] | None = None

    def close() -> None:
        nonlocal place
        if place is not None:
            errors.append(SegmentError(*place, tuple(elements), tuple(contexts)))
            elements.clear()
            contexts.clear()
            place = None

    for segment in each.segments:
        values = [segment.element(number) for number in range(10)]
        name = segment.id
        if name == "AK1":
            head = values[1:4]
        elif name == "AK2":
            opened = (values[1], values[2])
            errors.clear()
        elif name in ("IK3", "AK3"):
            close()
            place = (values[1], _number(values[2]), values[3], values[4])
        elif name == "CTX" and not elements:
            contexts.append(values[1])
        elif name in ("IK4", "AK4"):
            where = [*(values[1].split(mark) if mark else [values[1]]), "", "", ""]
            elements.append(ElementError(_number(where[0]), _number(where[1]), _number(where[2]), values[2], values[3]))
        elif name in ("IK5", "AK5"):
            close()
            sets.append(SetReply(*opened, values[1], tuple(filter(None, values[2:7])), tuple(errors)))
        elif name == "AK9":
            tail = values
    return GroupReply(head[0], head[1], tail[1], tail[2], tail[3], tail[4], tuple(filter(None, tail[5:10])), tuple(sets))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


__all__ = [
    "Disposition", "ElementError", "GroupReply", "InterchangeReply", "Said", "SegmentError", "SetReply", "Ta1",
    "acknowledge", "control_number", "disposition", "replies", "told", "verdicts",
]
