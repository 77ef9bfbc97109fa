"""Interchanges written by us: envelope, counts, widths, delimiters (X01, X02, X06, X07, X08)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from canonical.findings import Rejection, finding
from connectors.x12.codes import CHARACTER
from connectors.x12.delimiters import FIRST_WITH_REPETITION, STANDARD, Delimiters, choose_delimiters
from connectors.x12.edi import Interchange, Message, Segment, new_segment
from connectors.x12.elements import fits
from connectors.x12.profile import Profile

#: Control numbers on the wire have nine digits; the ledger's go on for ever.
CYCLE: Final = 999_999_999
#: ST02 of the first set of a group; what we ask, one question a delivery, has no other.
ONLY_SET: Final = "0001"


class Party(msgspec.Struct, frozen=True):
    """One side of an exchange."""

    id: str
    """ISA06 or ISA08."""
    qualifier: str = "ZZ"
    application: str = ""
    """GS02 or GS03; empty: as `id`."""


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What makes one interchange different from the next. Numbers come from the ledger, the time from the clock."""

    interchange: int
    """ISA13, from 1; written modulo `CYCLE`."""
    group: int = 0
    """GS06 of the first group, from 1; 0: as the interchange. Further groups count on."""
    date: str
    """``CCYYMMDD``"""
    time: str
    """``HHMM``"""


def control_number(number: int, width: int = 0) -> str:
    """A number of the ledger as it is written: ``1`` to ``999999999``, then from 1 again."""
    return str((number - 1) % CYCLE + 1).zfill(width)


def sequence(us: str, them: str) -> str:
    """The ledger's sequence of what we send: one a pair of sender and receiver (X02), each as ``ZZ/CLINIC``."""
    return f"x12:ISA:{us}:{them}"


def isa(sender: Party, receiver: Party, stamp: Stamp, delimiters: Delimiters = STANDARD, *, usage: str = "T",
        acknowledge: bool = False, version: str = "00501") -> Segment:
    """An ISA padded to its widths (X01, X06). Before 00402 there is no repetition separator: ISA11 says U."""
    repetition = delimiters.repetition if version >= FIRST_WITH_REPETITION else ""
    return new_segment(
        "ISA", "00", " " * 10, "00", " " * 10, sender.qualifier.ljust(2), sender.id.ljust(15),
        receiver.qualifier.ljust(2), receiver.id.ljust(15), stamp.date[2:], stamp.time[:4],
        repetition or "U", version, control_number(stamp.interchange, 9), "1" if acknowledge else "0",
        usage or "T", delimiters.component or ":", delimiters=delimiters)


def gs(kind: str, sender: Party, receiver: Party, stamp: Stamp, convention: str, number: int,
       delimiters: Delimiters = STANDARD) -> Segment:
    """A GS; `number` is GS06."""
    return new_segment("GS", kind, sender.application or sender.id, receiver.application or receiver.id, stamp.date,
                       stamp.time, control_number(number), "X", convention, delimiters=delimiters)


def interchange(segments: Iterable[Segment], delimiters: Delimiters = STANDARD) -> Interchange:
    """An interchange of segments whose trailers may be missing or wrong: `count` has been applied."""
    found = Interchange(list(segments), delimiters)
    count(found)
    return found


def count(found: Interchange) -> None:
    """Write what can be computed: trailers that are missing, SE01, GE01, IEA01, and the control numbers in them."""
    delimiters = found.delimiters
    out: list[Segment] = []
    header: Segment | None = None
    group: Segment | None = None
    start = sets = groups = 0

    def close_set() -> None:
        nonlocal header, sets
        if header is not None:
            out.append(new_segment("SE", str(len(out) - start + 1), header.element(2), delimiters=delimiters))
            header, sets = None, sets + 1

    def close_group() -> None:
        nonlocal group, groups
        close_set()
        if group is not None:
            out.append(new_segment("GE", str(sets), group.element(6), delimiters=delimiters))
            group, groups = None, groups + 1

    for segment in found.segments:
        if segment.id == "SE":
            close_set()
        elif segment.id == "GE":
            close_group()
        elif segment.id != "IEA":
            if segment.id == "ST":
                close_set()
                header, start = segment, len(out)
            elif segment.id == "GS":
                close_group()
                group, sets = segment, 0
            out.append(segment)
    close_group()
    out.append(new_segment("IEA", str(groups), found.header.element(13), delimiters=delimiters))
    found.segments[:] = out


def seal(message: Message, stamp: Stamp) -> Message:
    """Give a message that a mapping wrote its numbers and its time: ISA09, ISA10, ISA13, GS04 to GS06, ST02, counts,
    and BHT04 and BHT05, when the set was made.

    The same message and stamp give the same bytes: a repeated attempt repeats the interchange (X07).
    """
    number = stamp.group or stamp.interchange
    for each in message.interchanges:
        header = each.header
        header.set(9, stamp.date[2:])
        header.set(10, stamp.time[:4])
        header.set(13, control_number(stamp.interchange, 9))
        sets = 0
        for segment in each.segments:
            if segment.id == "GS":
                segment.set(4, stamp.date)
                segment.set(5, stamp.time)
                segment.set(6, control_number(number))
                number, sets = number + 1, 0
            elif segment.id == "ST":
                sets += 1
                segment.set(2, f"{sets:04d}")
            elif segment.id == "BHT":
                segment.set(4, stamp.date)
                segment.set(5, stamp.time[:4])
        count(each)
    return message


def conform(message: Message, profile: Profile) -> Message:
    """The message as the partner wants it written (X08, X09): capital letters where the profile says so, its delimiters
    where they do not occur in the data, ISA15.

    Raises:
        Rejection: ``x12.character`` with every place that the agreed character set cannot say, or
            ``x12.delimiter_in_data``.
    """
    for each in message.interchanges:
        old = each.delimiters
        wrong = []
        for number, segment in enumerate(each.segments[1:], 2):
            values = segment.elements
            if profile.upper and segment.text != (raised := segment.text.upper()):
                values = raised.split(old.element)
                each.segments[number - 1] = Segment(segment.id, None, old.element, segment.end, values)
            for position, value in enumerate(values[1:], 1):
                if not all(fits(part, profile.characters) for part in _parts(value, old)):
                    wrong.append(finding(CHARACTER, at=f"{segment.id}-{position:02d} (segment {number})",
                                         detail=profile.characters))
        if wrong:
            raise Rejection(*wrong)
        data = (part for segment in each.segments[1:] for part in _values(segment, old))
        new = choose_delimiters(data, profile.delimiters, free=profile.free_delimiters)
        if new != old:
            each.segments[:] = [translated(segment, old, new) for segment in each.segments]
            each.delimiters = new
        if profile.usage:
            each.header.set(15, profile.usage)
    return message


def batch(messages: Sequence[Message]) -> Message:
    """One interchange of many: the sets of all messages in one group for each kind, under the first one's headers.

    All must have been written for the same partner. `seal` numbers it.
    """
    first = messages[0].interchanges[0]
    delimiters = choose_delimiters(
        (value for message in messages for each in message.sets() for segment in each.segments
         for value in _values(segment, each.interchange.delimiters)), first.delimiters)
    groups: dict[tuple[str, str], list[Segment]] = {}
    for message in messages:
        for each in message.sets():
            if each.group is not None:
                key = (each.group.element(1), each.group.element(8))
                into = groups.setdefault(key, [translated(each.group, each.interchange.delimiters, delimiters)])
                into += [translated(segment, each.interchange.delimiters, delimiters) for segment in each.segments]
    header = translated(first.header, first.delimiters, delimiters)
    return Message([interchange([header, *(segment for group in groups.values() for segment in group)], delimiters)],
                   messages[0].charset)


def _parts(value: str, delimiters: Delimiters) -> list[str]:
    """The data in an element: what stands between repetition and component separators."""
    found = [value]
    for mark in (delimiters.repetition, delimiters.component):
        if mark and mark in value:
            found = [part for each in found for part in each.split(mark)]
    return found


def _values(segment: Segment, delimiters: Delimiters) -> Iterator[str]:
    return (part for value in segment.elements[1:] for part in _parts(value, delimiters))


def translated(segment: Segment, old: Delimiters, new: Delimiters) -> Segment:
    """The same segment with other delimiters."""
    if segment.id == "ISA":
        values = list(segment.elements)
        values[11], values[16] = new.repetition or "U", new.component or ":"
        return Segment("ISA", None, new.element, new.segment, values)
    values = segment.elements
    if (old.repetition, old.component) != (new.repetition, new.component):
        values = [new.repetition.join(new.component.join(repetition.split(old.component) if old.component else [repetition])
                                      for repetition in (value.split(old.repetition) if old.repetition else [value]))
                  for value in values]
    return Segment(segment.id, None, new.element, new.segment, list(values))
