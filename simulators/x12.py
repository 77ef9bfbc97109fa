"""Just enough X12 for a simulated payer: read a request, write answers. Written apart from the engine's own codec,
so that the two check each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One transaction set of an interchange, with its envelope."""

    isa: list[str]
    gs: list[str]
    segments: list[list[str]]
    """ST to SE, each as its elements, the identifier first."""

    @property
    def set_id(self) -> str:
        return self.segments[0][1]

    def all(self, name: str, *start: str) -> Iterator[list[str]]:
        """Segments of that name whose first elements are `start`."""
        for segment in self.segments:
            if segment[0] == name and segment[1:1 + len(start)] == list(start):
                yield segment

    def value(self, name: str, number: int, *start: str) -> str:
        """An element of the first such segment; empty without one."""
        return next((s[number] for s in self.all(name, *start) if len(s) > number), "")


def requests(body: bytes) -> list[Request]:
    """The transaction sets of a file, in order. Raises ValueError where there is no ISA."""
    found: list[Request] = []
    text = body.decode("latin-1")
    isa: list[str] = []
    gs: list[str] = []
    begin = text.index("ISA")
    element, terminator = text[begin + 3], text[begin + 105]
    inside: list[list[str]] = []
    for piece in text[begin:].split(terminator):
        parts = piece.strip().split(element)
        if parts[0] == "ISA":
            isa = parts
        elif parts[0] == "GS":
            gs = parts
        elif parts[0] == "ST":
            inside = [parts]
        elif inside:
            inside.append(parts)
            if parts[0] == "SE":
                found.append(Request(isa, gs, inside))
                inside = []
    return found


class Writer:
    """Writes interchanges to whoever asked; its numbers go up and never repeat."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def answer(self, request: Request, function: str, guide: str, sets: Iterable[tuple[str, list[str]]]) -> bytes:
        """An interchange with these sets: (ST01, segments between ST and SE, without terminators)."""
        control = next(self._numbers)
        now = datetime.now(UTC)
        body: list[str] = []
        count = 0
        for set_id, segments in sets:
            count += 1
            body += [f"ST*{set_id}*{count:04d}*{guide}", *segments, f"SE*{len(segments) + 2}*{count:04d}"]
        lines = [self._isa(request, control, now),
                 f"GS*{function}*{request.gs[3]}*{request.gs[2]}*{now:%Y%m%d}*{now:%H%M}*{control}*X*{guide}",
                 *body, f"GE*{count}*{control}", f"IEA*1*{control:09d}"]
        return ("~".join(lines) + "~").encode("latin-1")

    def ta1(self, request: Request, note: str) -> bytes:
        """An interchange acknowledgement: rejected with that note code, or accepted with ``000``."""
        control, now = next(self._numbers), datetime.now(UTC)
        said = "A" if note == "000" else "R"
        return "~".join((self._isa(request, control, now),
                         f"TA1*{request.isa[13]}*{request.isa[9]}*{request.isa[10]}*{said}*{note}",
                         f"IEA*0*{control:09d}", "")).encode("latin-1")

    def ack999(self, asked: list[Request], *, rejected: bool) -> bytes:
        """A 999 for the first group of `asked`."""
        first = asked[0]
        segments = [f"AK1*{first.gs[1]}*{first.gs[6]}*{first.gs[8]}"]
        for each in asked:
            segments.append(f"AK2*{each.set_id}*{each.segments[0][2]}*{first.gs[8]}")
            if rejected:
                segments += ["IK3*NM1*8**8", "IK4*9*67*1", "IK5*R*5"]
            else:
                segments.append("IK5*A")
        taken = 0 if rejected else len(asked)
        segments.append(f"AK9*{'R' if rejected else 'A'}*{len(asked)}*{len(asked)}*{taken}")
        return self.answer(first, "FA", "005010X231A1", [("999", segments)])

    @staticmethod
    def _isa(request: Request, control: int, now: datetime) -> str:
        isa = request.isa
        return (f"ISA*00*{'':10}*00*{'':10}*{isa[7]}*{isa[8]:15}*{isa[5]}*{isa[6]:15}*{now:%y%m%d}*{now:%H%M}*^*00501*"
                f"{control:09d}*0*{isa[15]}*:")


#: What EB01 says of a whole plan.
ACTIVE: Final = "1"
INACTIVE: Final = "6"
