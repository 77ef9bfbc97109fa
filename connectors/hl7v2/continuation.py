"""Messages that come in parts: DSC, MSH-14 and ADD (K01 to K04; v2.5.1 §2.10.2).

Every part is committed and acknowledged by itself, like any message, and kept for the record. When a set is complete,
in whatever order its parts came, the whole is submitted as a message of its own; until that is stored, the last
part is not acknowledged, so that a crash between the two costs nothing. A set that stays incomplete is parked: a
person must ask the sender.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from canonical.findings import Severity, declare, finding
from canonical.phi import Phi
from canonical.receipt import Receipt, Verdict
from connectors.base import Accept, Peek, Recall, Submission, Unavailable
from connectors.hl7v2.ack import answers
from connectors.hl7v2.header import Header, narrow, read_header
from connectors.hl7v2.peek import peek

FRAGMENT: Final = declare(
    "hl7.fragment", Severity.INFO,
    "A part of a longer message; the whole becomes an entry of its own when all parts are there",
    "Nothing to do.")
ORPHAN: Final = declare(
    "hl7.fragment_orphan", Severity.FATAL,
    "Some parts of a message came, and the others did not come in time",
    "Ask the sender for the missing parts, or for the whole again; then discard this entry.")
TOO_LARGE: Final = declare(
    "hl7.fragments_too_large", Severity.ERROR,
    "The parts of one message exceed the size limit together; this one was refused",
    "If the message is right, raise `continuation.max_bytes` of the channel and have all parts sent again.")

_KEPT_SETS: Final = 1000
"""Incomplete sets remembered; the oldest is forgotten, and its parts stay in the ledger."""


class Continuation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages that come in parts (DSC and MSH-14)."""

    join: Annotated[bool, Meta(description="Join the parts; false: each is a message of its own, for its mapping to make "
                                           "sense of.")] = True
    wait_s: Annotated[float, Meta(gt=0, description="A set that is not complete after so long is parked.")] = 3600.0
    max_bytes: Annotated[int, Meta(ge=1024, description="Bytes of all parts of a message together.")] = 67_108_864


class Fragment(NamedTuple):
    """One part. Pointers are compared as bytes."""

    stream: tuple[bytes, ...]
    """Who sends what with which delimiters: parts of different streams never belong together."""
    continues: bytes
    """MSH-14: the pointer with which the part before it ends; empty for the first."""
    continued: bytes
    """DSC-1: the pointer with which the next one begins; empty for the last."""


def fragment_of(raw: bytes) -> Fragment | None:
    """What `raw` (`narrow`) is a part of; None for a whole message.

    DSC-2 ``I`` (interactive continuation, K04) is no fragment: such a message is complete, and the receiver asks for
    the next one. ``F`` is; nothing is, too, but in an answer, where DSC meant the interactive kind before v2.4.
    """
    header = read_header(raw)
    if header is None:
        return None
    continues, separator = header.field(14).strip(), header.marks.field
    continued = b""
    at = raw.rfind(b"DSC" + separator, header.end)
    if at > 0 and raw[at - 1] in b"\r\n":
        fields = [*raw[at:].splitlines()[0].split(separator), b"", b""]
        style = fields[2].strip()
        if style == b"I" or (style != b"F" and answers(header, raw)):
            return None
        continued = fields[1].strip()
    if not continues and not continued:
        return None
    return Fragment((header.field(3), header.field(4), header.component(9, 1), separator, header.fields[1]),
                    continues, continued)


def joined(parts: Sequence[bytes]) -> bytes:
    """The whole of parts given in order: one MSH without MSH-14, no DSC, and each ADD segment appended to the segment
    that it continues, in mid-field if that is where it was broken off (K01)."""
    lines: list[bytes] = []
    for number, raw in enumerate(parts):
        header = read_header(raw)
        assert header is not None
        separator = header.marks.field
        body = [line for line in raw[header.end:].splitlines() if line.strip()]
        if number == 0:
            lines.append(_without_pointer(header, raw))
        for line in body:
            if line.startswith(b"DSC" + separator) or line == b"DSC":
                continue
            if line.startswith(b"ADD" + separator):
                lines[-1] += line[4:]
            elif line != b"ADD":
                lines.append(line)
    return b"\r".join((*lines, b""))


def _without_pointer(header: Header, raw: bytes) -> bytes:
    start = raw.rfind(b"MSH", 0, header.end)
    fields = raw[start:header.end].split(header.marks.field)
    if len(fields) > 13:
        fields[13] = b""
    return header.marks.field.join(fields)


class _Part(NamedTuple):
    fragment: Fragment
    raw: bytes
    message_id: str
    at: float
    peer: str


class _Set:
    """Parts that belong together, as far as they are here."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.lock = asyncio.Lock()
        self.told = False
        self.done = False

    @property
    def size(self) -> int:
        return sum(len(part.raw) for part in self.parts)

    @property
    def since(self) -> float:
        return min(part.at for part in self.parts)

    def belongs(self, fragment: Fragment) -> bool:
        """Whether it continues one of these, or is continued by one."""
        return any(part.fragment.stream == fragment.stream and (
            (fragment.continues and part.fragment.continued == fragment.continues)
            or (fragment.continued and part.fragment.continues == fragment.continued)) for part in self.parts)

    def in_order(self) -> list[_Part] | None:
        """All parts from first to last; None while one is missing."""
        by_pointer = {part.fragment.continues: part for part in self.parts}
        chain = [by_pointer[b""]] if b"" in by_pointer else []
        while chain and chain[-1].fragment.continued:
            following = by_pointer.get(chain[-1].fragment.continued)
            if following is None or following in chain:
                return None
            chain.append(following)
        return chain or None


class Joiner:
    """Stands before the one door and joins what comes in parts.

    Args:
        channel: its name.
        settings: how long to wait, and for how much.
        accept: the one door.
        now: seconds since the epoch.
    """

    def __init__(self, channel: str, settings: Continuation, accept: Accept, *,
                 now: Callable[[], float] = time.time) -> None:
        self._channel, self._settings, self._door, self._now = channel, settings, accept, now
        self._sets: list[_Set] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, submission: Submission) -> Receipt:
        """`connectors.base.Accept`: parts are kept; the last one is answered when the whole is stored, too."""
        if submission.refusal is not None or submission.record is not None or not self._settings.join:
            return await self._door(submission)
        content = submission.raw.reveal()
        if b"DSC" not in content and not _may_continue(content):
            return await self._door(submission)
        raw = narrow(content)
        fragment = fragment_of(raw)
        if fragment is None:
            return await self._door(submission)
        return await self._part(submission, fragment, raw)

    async def _part(self, submission: Submission, fragment: Fragment, raw: bytes) -> Receipt:
        before = self._find(fragment)
        if sum(one.size for one in before) + len(raw) > self._settings.max_bytes:
            return await self._door(msgspec.structs.replace(
                submission, refusal=finding(TOO_LARGE, at="DSC"),
                peek=msgspec.structs.replace(submission.peek, dedup=b"")))
        # Not in the lane of its patient: it is not processed, and must hold nobody up.
        receipt = await self._door(msgspec.structs.replace(
            submission, record=finding(FRAGMENT),
            peek=msgspec.structs.replace(submission.peek, lanes=(f"part:{_digest(raw)[:32]}",),
                                         dedup=submission.peek.dedup or hashlib.sha256(b"part\r" + raw).digest())))
        if receipt.positive:
            known = next((one for one in self._sets if any(
                part.message_id == receipt.message_id for part in one.parts)), None)
            if known is None and receipt.verdict is Verdict.DUPLICATE:
                return receipt  # joined long ago
            await self._complete(known or self._keep(
                _Part(fragment, raw, receipt.message_id, self._now(), submission.peer)))
        return receipt

    def _find(self, fragment: Fragment) -> list[_Set]:
        return [one for one in self._sets if one.belongs(fragment)]

    def _keep(self, part: _Part) -> _Set:
        found = self._find(part.fragment)
        into = found[0] if found else _Set()
        for other in found[1:]:  # the missing link between two sets
            into.parts += other.parts
            into.told = into.told or other.told
            self._sets.remove(other)
        if not found:
            self._sets.append(into)
            del self._sets[:-_KEPT_SETS]
        into.parts.append(part)
        self._look_later()
        return into

    async def _complete(self, one: _Set) -> None:
        """Submit the whole, if it is there. Raises `Unavailable`: the set stays, and the part comes again."""
        async with one.lock:
            chain = one.in_order()
            if chain is None or one.done:
                return
            whole = joined([part.raw for part in chain])
            await self._door(Submission(
                channel=self._channel, raw=Phi(whole), peer=chain[0].peer, parent_id=chain[0].message_id,
                peek=msgspec.structs.replace(peek(whole), dedup=hashlib.sha256(b"joined\r" + whole).digest())))
            one.done = True
            self._sets.remove(one)

    # -- time

    async def resume(self, recall: Recall) -> None:
        """Take up the sets that a stopped process left. Wholes that are stored already are recognised."""
        if not self._settings.join:
            return
        since = self._now() - 2 * self._settings.wait_s
        for kept in reversed(await recall(FRAGMENT.name, int(since * 1_000_000), _KEPT_SETS)):
            raw = narrow(kept.raw.reveal())
            if (fragment := fragment_of(raw)) is not None:
                self._keep(_Part(fragment, raw, kept.message_id, kept.received_at / 1_000_000, ""))
        for one in list(self._sets):
            await self._complete(one)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._tasks:
            task.cancel()

    def _look_later(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(30.0, self._settings.wait_s / 4), self._look)

    def _look(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self.alert())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if any(not one.told for one in self._sets):
            self._look_later()

    async def alert(self) -> None:
        """Park what is overdue (K02). It may still be completed; then the whole is taken all the same."""
        for one in list(self._sets):
            if one.told or self._now() - one.since < self._settings.wait_s:
                continue
            ids = "\r".join(sorted(part.message_id for part in one.parts))
            try:
                await self._door(Submission(
                    channel=self._channel, raw=Phi(b"".join(part.raw for part in one.parts)),
                    peer=one.parts[0].peer, parent_id=one.parts[0].message_id,
                    peek=Peek(message_type="", lanes=(f"part:{_digest(ids.encode())[:32]}",),
                              control_id=peek(one.parts[0].raw).control_id,
                              dedup=hashlib.sha256(b"orphan\r" + ids.encode()).digest()),
                    park=finding(ORPHAN, detail=f"{len(one.parts)} parts came")))
            except Unavailable:
                self._look_later()
                return
            one.told = True


def _may_continue(content: bytes) -> bool:
    """Whether MSH-14 could be valued: a cheap look before a thorough one."""
    if not content.startswith(b"MSH|"):
        return True
    fields = content[:content.find(b"\r")].split(b"|", 14)
    return len(fields) > 13 and bool(fields[13].strip())


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
