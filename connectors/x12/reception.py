"""What came from a trading partner in one payload: judged by what was agreed, cut, acknowledged (X02 to X07, X10).

An interchange that is rejected as a whole (wrong sender, test data in production, its number used before for another
content …) is nothing to go by: its messages are parked for a person, each in a lane of its own, so that they hold up
nobody. What the partner's profile tolerates is a finding, and the message goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from canonical.findings import Rejection
from connectors.base import Arrival, Numbering
from connectors.x12.acknowledge import Ta1, acknowledge, verdicts
from connectors.x12.build import Stamp, sequence
from connectors.x12.edi import Interchange, Message, parse
from connectors.x12.judge import Verdict, judge
from connectors.x12.partner import Partner
from connectors.x12.peek import own_lane, peek
from connectors.x12.profile import ANYBODY, Profile
from connectors.x12.stream import split

#: Findings of an interchange that each of its messages carries.
_MOST: Final = 20
#: Bytes above which judging is not done on the loop that owes acknowledgements.
_LARGE: Final = 32 * 1024


class Reception:
    """Receives for one channel.

    Args:
        partners: whose interchanges come in there; none: anybody's.
        numbers: the ledger's.
        now: time in seconds since the epoch.
    """

    def __init__(self, partners: Sequence[Partner], numbers: Numbering, now: Callable[[], float] = time.time) -> None:
        self._partners = {partner.sender: partner for partner in partners}
        self._numbers = numbers
        self._now = now

    async def hear(self, payload: bytes) -> Sequence[Arrival]:
        """The messages of a payload, one for each transaction set (`connectors.base.Hear`).

        Raises:
            Unavailable: a control number cannot be looked up.
        """
        try:
            message = await _aside(parse, payload)
        except Rejection:
            return (Arrival(payload, peek(payload)),)  # whatever it is: stored, visible, parked with its findings
        found: list[Arrival] = []
        for each in message.interchanges:
            duplicate = await self._claimed(each, _digest(each))
            profile = self._profile(each)
            verdict = judge(each, profile, duplicate=duplicate, guides=False)
            arrivals = _arrivals(Message([each], message.charset).emit(), verdict)
            if verdict.code != "R":
                await self._note(Message([each], message.charset))
            if profile.usage:  # ISA15 has been compared with what was agreed, which goes before the channel's own
                arrivals = [msgspec.structs.replace(one, peek=msgspec.structs.replace(one.peek, processing_id=""))
                            for one in arrivals]
            found += arrivals
        return found

    async def acknowledge(self, payload: bytes) -> bytes:
        """TA1 and 999 for all interchanges of a payload; empty where nothing is owed, or where it is no X12.

        Their numbers are of the sequence in which the questions to this partner are numbered, too (X02, X07); a payload
        that comes again has the same.

        Raises:
            Unavailable: a number cannot be had.
        """
        try:
            message = await _aside(parse, payload)
        except Rejection:
            return b""
        said = []
        for each in message.interchanges:
            digest = _digest(each)
            duplicate, profile = await self._claimed(each, digest), self._profile(each)
            verdict = await asyncio.to_thread(judge, each, profile, duplicate=duplicate)
            if acknowledge(verdict, _stamp(1, self._now()), ta1=Ta1.REJECTED) is None:
                continue  # nothing is owed, and no number is used up
            us, them = _ends(each)
            number = await self._numbers.number(sequence(us, them), f"ack:{digest}", int(self._now() * 1e6))
            answer = acknowledge(verdict, _stamp(number, self._now()), ta1=Ta1.REJECTED)
            if answer is not None:
                said.append(answer.emit())
        return b"".join(said)

    async def _note(self, message: Message) -> None:
        """Remember which of our interchanges have been acknowledged, with whatever word (X14)."""
        for said in verdicts(message):
            await self._numbers.claim(acknowledged(said.sequence), said.number, said.disposition.value,
                                      int(self._now() * 1e6))

    def _profile(self, each: Interchange) -> Profile:
        """What was agreed with its sender; with a stranger, what was agreed with the partner whose channel it came in."""
        if not self._partners:
            return ANYBODY
        return self._partners.get(_ends(each)[1]) or next(iter(self._partners.values()))

    async def _claimed(self, each: Interchange, digest: str) -> bool:
        """Whether its control number was used before for another content (X07, note 025)."""
        control = each.header.element(13).strip()
        if not (control.isascii() and control.isdecimal() and len(control) <= 9):
            return False  # told by the judge
        us, them = _ends(each)
        return digest != await self._numbers.claim(f"x12:in:{them}:{us}", int(control), digest, int(self._now() * 1e6))


def acknowledged(numbering: str) -> str:
    """Where numbers of ours that a partner has acknowledged are claimed: by its word."""
    return f"{numbering}:acknowledged"


async def _aside(work: Callable[[bytes], Message], payload: bytes) -> Message:
    return work(payload) if len(payload) < _LARGE else await asyncio.to_thread(work, payload)


def _ends(each: Interchange) -> tuple[str, str]:
    """We and the partner: receiver and sender of what came."""
    us, them = (f"{each.header.element(n).strip()}/{each.header.element(n + 1).strip()}" for n in (7, 5))
    return us, them


def _digest(each: Interchange) -> str:
    """The content without its envelope and times: the same in an interchange that is sent again, when it is sent again."""
    digest = hashlib.sha256()
    for segment in each.segments:
        if segment.id == "ISA":
            continue
        said = segment.elements
        if segment.id == "GS":
            said = [*said[:4], *said[6:]]
        digest.update("\x1f".join((*said, "\x1e")).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _stamp(number: int, at: float) -> Stamp:
    moment = datetime.fromtimestamp(at, UTC)
    return Stamp(interchange=number, date=f"{moment:%Y%m%d}", time=f"{moment:%H%M}")


def _arrivals(raw: bytes, verdict: Verdict) -> list[Arrival]:
    """The messages of one interchange. Of one that holds a single set, the bytes as they came."""
    messages = [raw] if sum(len(group.sets) for group in verdict.groups) <= 1 else list(split([raw]))
    park = next((problem.finding for problem in verdict.problems if problem.counts), None)
    noted = [problem.finding for problem in verdict.problems if problem.finding is not park]
    noted += [problem.finding for group in verdict.groups for problem in group.problems]
    found = []
    for one in messages:
        seen = peek(one)
        seen = msgspec.structs.replace(seen, findings=(*seen.findings, *noted[:_MOST]),
                                       lanes=seen.lanes if park is None else (own_lane(one),))
        found.append(Arrival(one, seen, park))
    return found
