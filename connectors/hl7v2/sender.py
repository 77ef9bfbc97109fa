"""MLLP sender: one message a connection in flight, its answer found by control id.

What became of a message is one of four words (`connectors.base.Outcome`). The line between *retry* and
*unknown* is the first byte: before it left, nothing happened; after it, only an answer can tell (F14).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, cast

from msgspec import UNSET

from canonical.findings import Rejection, Severity, declare, finding
from canonical.phi import Phi
from canonical.query import Acknowledgement
from connectors.base import Delivered, Dispatch, Outcome, Rejected, Retry, Unknown
from connectors.hl7v2.ack import is_enhanced
from connectors.hl7v2.disposition import Answer, Disposition, disposition, read_answer
from connectors.hl7v2.er7 import Message, parse
from connectors.hl7v2.framing import COMMIT_ACK, COMMIT_NAK, Deframer, can_be_framed, frame
from connectors.hl7v2.header import Header, narrow, read_header
from connectors.hl7v2.sequence import START, Counter, numbered
from connectors.hl7v2.settings import MllpOut
from connectors.hl7v2.sockets import keep_alive
from connectors.hl7v2.tls import Live, Watch

UNREACHABLE: Final = declare(
    "mllp.unreachable", Severity.WARNING,
    "No connection to the peer could be opened; nothing was sent",
    "Is the peer running, and are host, port and certificates right?")
NO_ANSWER: Final = declare(
    "mllp.no_answer", Severity.ERROR,
    "The message was sent, but no acknowledgement of it came in time",
    "Ask the peer whether it has the message (by its control id), then repeat it or mark it as delivered.")
CONNECTION_LOST: Final = declare(
    "mllp.connection_lost", Severity.ERROR,
    "The connection ended after the message was sent and before its acknowledgement came",
    "Ask the peer whether it has the message (by its control id), then repeat it or mark it as delivered.")
UNCLEAR_ANSWER: Final = declare(
    "mllp.unclear_answer", Severity.ERROR,
    "The peer answered with an acknowledgement code that the standard does not have",
    "Ask the peer what it means and add a row to `dispositions`.")
REFUSED: Final = declare(
    "mllp.refused", Severity.ERROR,
    "The peer refused the message",
    "The answer kept with this attempt says why; mend the data or the code table and replay.")
REFUSED_ALL: Final = declare(
    "mllp.refused_all", Severity.ERROR,
    "The peer refuses such messages altogether: type, event, processing id or version is not supported",
    "Correct this destination's mapping (MSH-9, MSH-11, MSH-12) or the peer's configuration.")
TRY_AGAIN: Final = declare(
    "mllp.try_again", Severity.WARNING,
    "The peer could not take the message now",
    "Nothing to do unless it lasts: the message is sent again.")
DUPLICATE: Final = declare(
    "mllp.duplicate_key", Severity.ERROR,
    "The peer already holds something under this message's key, and it is not known to be this message",
    "Compare with what the peer holds; skip this delivery if it is the same.")
NOT_SENDABLE: Final = declare(
    "mllp.not_sendable", Severity.ERROR,
    "The message has no control id (MSH-10), or holds the bytes that end a frame",
    "Correct the mapping that wrote it.")

NO_LINK: Final = declare(
    "hl7.sequence_no_link", Severity.WARNING,
    "The peer did not say which sequence number it expects, so nothing was sent",
    "Does the peer speak the sequence number protocol? If not, switch `sequence` of the destination off.")

_REMEMBERED: Final = 1024
"""Deliveries whose outcome was unknown, remembered to recognise their duplicates."""


class _Lost(Exception):  # noqa: N818 - it says what happened
    """The connection ended before the answer came."""


class _Session(asyncio.Protocol):
    """One connection; at most one message waits for its answer."""

    def __init__(self, owner: MllpSender) -> None:
        self._owner = owner
        self._deframer = Deframer(owner.settings.max_ack_bytes, strict=False)
        self._awaited = b""
        self._more_to_come = True
        """Whether an HL7 acknowledgement follows the commit bytes."""
        self._answer: asyncio.Future[Message | bytes] | None = None
        self.transport: asyncio.Transport | None = None
        self.used_at = 0.0

    @property
    def usable(self) -> bool:
        """Whether a message can be sent."""
        return self.transport is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        keep_alive(transport, self._owner.settings.keep_alive_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_Lost())

    def data_received(self, data: bytes) -> None:
        for content in self._deframer.feed(data):
            self._read(content)
        if self._deframer.oversize is not None:
            self.close()

    def _read(self, content: bytes) -> None:
        """Match by control id and nothing else (F15); what was not asked for is counted and dropped (F17)."""
        answer = self._answer
        if answer is None or answer.done():
            self._owner.strange_answers += 1
        elif content in {COMMIT_ACK, COMMIT_NAK}:
            if self._owner.settings.commit_bytes and (content == COMMIT_NAK or not self._more_to_come):
                answer.set_result(content)
        else:
            message = _parsed(content)
            msa = message.first("MSA") if message is not None else None
            if message is None or msa is None or _bytes(msa.field(2), message) != self._awaited:
                self._owner.strange_answers += 1
            else:
                answer.set_result(message)

    async def exchange(self, body: bytes, header: Header) -> Message | bytes:
        """Send and wait. Raises `_Lost` when the connection ends first; waits without limit otherwise.

        Empty where the message asks for no accept acknowledgement (MSH-15 is NE, A02).
        """
        assert self.transport is not None
        self._awaited = header.field(10)
        self._more_to_come = not is_enhanced(header) or header.component(15, 1) in {b"AL", b"SU", b"ER"}
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self.transport.write(frame(body))
            if not self._more_to_come and not self._owner.settings.commit_bytes:
                return b""  # asked for no answer: there will be none
            return await self._answer
        finally:
            self._answer = None

    def close(self) -> None:
        """Close now; whatever comes late is not read any more."""
        if self.transport is not None:
            self.transport.abort()


class MllpSender:
    """Sends to one peer over up to ``max_sessions`` connections. See `connectors.base.Sender`."""

    def __init__(self, name: str, settings: MllpOut, *, jitter: Callable[[], float] = random.random) -> None:
        """`jitter` gives a number from 0 to 1 that spreads reconnection attempts."""
        self.name = name
        self.settings = settings
        self.strange_answers = 0
        """Answers that matched no message in flight: late ones, or a peer that mixes up control ids."""
        self._jitter = jitter
        self._free: asyncio.LifoQueue[_Session] = asyncio.LifoQueue()
        self._sessions: set[_Session] = set()
        self._under_way = 0
        self._drained = asyncio.Event()
        self._stopped = False
        self._live: Live | None = None
        self._watch: Watch | None = None
        self._failures = 0
        self._not_before = 0.0
        self._next_slot = 0.0
        self._counter = Counter()
        self._numbered_on: _Session | None = None
        self._links = 0
        self._unknown: OrderedDict[str, bytes] = OrderedDict()

    async def start(self) -> None:
        """Read certificates. Raises OSError where they cannot be read."""
        if self.settings.tls is not UNSET:
            self._live = Live(self.settings.tls)
            self._watch = Watch(self.name, self._live)
            self._watch.start()
        self._stopped = False
        self._sessions = {_Session(self) for _ in range(self.settings.max_sessions)}
        self._free = asyncio.LifoQueue()
        for session in self._sessions:
            self._free.put_nowait(session)

    async def stop(self, grace: float) -> None:
        """Wait for answers under way, then close: what has no answer by then is unknown."""
        self._stopped = True
        if self._watch is not None:
            self._watch.close()
        if self._under_way:
            self._drained.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), grace)
        for session in self._sessions:
            session.close()
        await asyncio.sleep(0)  # sockets close in the next turn of the loop

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Deliver once (see `connectors.base.Sender`)."""
        body = dispatch.body.reveal()
        header = read_header(narrow(body))
        if header is None or not header.field(10) or not can_be_framed(body):
            return Rejected("", finding(NOT_SENDABLE))
        self._under_way += 1
        try:
            await self._pace()
            outcome = await self._send(body, header, dispatch.identity)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._drained.set()
        self._remember(dispatch.identity, body, outcome)
        return outcome

    async def _send(self, body: bytes, header: Header, identity: str) -> Outcome:
        loop = asyncio.get_running_loop()
        session = await self._free.get()
        try:
            if session.usable and loop.time() - session.used_at > self.settings.idle_close_s:
                session.close()
            if not session.usable:
                self._sessions.discard(session)
                session = _Session(self)  # also where it cannot be connected: it takes the other's place
                self._sessions.add(session)
                if (away := await self._connect(session)) is not None:
                    return away
            if self.settings.sequence:
                return await self._send_numbered(session, body, header, identity)
            async with asyncio.timeout(self.settings.ack_timeout_s):
                answer = await session.exchange(body, header)
        except TimeoutError:
            if header.component(15, 1) == b"ER":  # an answer was asked for on error only: silence says yes (A02)
                return Delivered("unconfirmed")
            session.close()  # a late answer must not be read as another message's (F17)
            return Unknown(finding(NO_ANSWER), "timeout")
        except _Lost:
            return Unknown(finding(CONNECTION_LOST), "lost")
        except asyncio.CancelledError:
            session.close()
            raise
        finally:
            if not self.settings.keep_open:
                session.close()
            session.used_at = loop.time()
            self._free.put_nowait(session)
        return self._settled(answer, identity, body)

    def _settled(self, answer: Message | bytes, identity: str, body: bytes) -> Outcome:
        if isinstance(answer, bytes):
            if answer == COMMIT_NAK:
                return Retry("NAK", finding(TRY_AGAIN))
            return Delivered("ACK" if answer else "unconfirmed")
        return self._judge(answer, identity, body)

    async def _send_numbered(self, session: _Session, body: bytes, header: Header, identity: str) -> Outcome:
        """Send with MSH-13, after asking the peer which number it expects where that is open (S01, S03).

        Raises `_Lost` and TimeoutError like any exchange: then the peer is asked before this message is sent again.
        """
        counter = self._counter
        if session is not self._numbered_on:  # a connection begins with a start of the link
            counter.next, self._numbered_on = None, session
        if counter.next is None and (open_ := await self._ask(session, body, header)) is not None:
            return open_
        if counter.was_taken(identity):
            return Delivered("AA")
        number = counter.next
        assert number is not None
        try:
            async with asyncio.timeout(self.settings.ack_timeout_s):
                answer = await session.exchange(numbered(body, header, number), header)
        except BaseException:
            counter.lost(identity, number)
            raise
        if isinstance(answer, bytes):
            counter.next = None
            return self._settled(answer, identity, body)
        outcome = self._judge(answer, identity, body)
        if not counter.answered(number, accepted=isinstance(outcome, Delivered), expected=_expected(answer)):
            return Retry(outcome.code, finding(TRY_AGAIN), after=self.settings.reconnect_min_s)
        return outcome

    async def _ask(self, session: _Session, body: bytes, header: Header) -> Outcome | None:
        """Start the link; None when it is known which number comes next. Nothing of the message is sent yet."""
        self._links += 1
        control_id = hashlib.blake2b(header.field(10) + b"%d" % self._links, digest_size=10).hexdigest().encode()
        start = numbered(body, header, START, control_id)
        started = read_header(start)
        assert started is not None
        try:
            async with asyncio.timeout(self.settings.ack_timeout_s):
                answer = await session.exchange(start, started)
        except (TimeoutError, _Lost):
            session.close()
            return Retry("link", finding(NO_LINK), free=True)
        expected = None if isinstance(answer, bytes) else _expected(answer)
        if expected is None:
            return Retry("link", finding(NO_LINK))
        self._counter.told(expected)
        return None

    async def _connect(self, session: _Session) -> Retry | None:
        """Open the connection; or say that it must be tried later, without waiting here (F13)."""
        settings, loop = self.settings, asyncio.get_running_loop()
        wait = self._not_before - loop.time()
        if self._stopped or wait > 0:
            return Retry("away", finding(UNREACHABLE), after=max(wait, 0.0), free=True)
        name = None if settings.tls is UNSET else settings.tls.server_name or settings.host
        if self._live is not None:
            self._live.follow()  # what cannot be read is told by the watch
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await loop.create_connection(lambda: session, settings.host, settings.port,
                                             ssl=None if self._live is None else self._live.context, server_hostname=name)
        except OSError:  # refused, no route, no such name, certificate not accepted, timed out
            self._failures += 1
            pause = min(settings.reconnect_max_s, settings.reconnect_min_s * 2 ** min(self._failures - 1, 16))
            pause *= 0.5 + self._jitter() / 2
            self._not_before = loop.time() + pause
            return Retry("away", finding(UNREACHABLE), after=pause, free=True)
        self._failures = 0
        return None

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        slot = max(self._next_slot, loop.time())
        self._next_slot = slot + 1 / self.settings.max_rate_per_s
        if (wait := slot - loop.time()) > 0:
            await asyncio.sleep(wait)

    def conclude(self, said: Acknowledgement) -> Outcome:
        """See `connectors.base.Concludes`: the same table (A11) as for an answer on the connection."""
        error = next(iter(said.errors or ()), None)
        coding = (error.condition.coding if error is not None and error.condition else None) or ()
        answer = Answer(str(said.code or "").upper(), str(coding[0].code or "") if coding else "",
                        f"{said.text or ''} {(error.text if error is not None else None) or ''}")
        return self._outcome(answer, str(error.place or "") if error is not None else "")

    def _judge(self, message: Message, identity: str, body: bytes) -> Outcome:
        err = message.first("ERR")
        response = Phi(message.emit())
        outcome = self._outcome(read_answer(message), err.field(2) if err is not None else "",
                                message.delimiters.component, response)
        if isinstance(outcome, Rejected) and outcome.finding.code == DUPLICATE.name and self._unknown.get(
                identity) == hashlib.sha256(body).digest():
            outcome = Delivered(outcome.code)
        if isinstance(outcome, Delivered) and _says_more(message):
            return Delivered(outcome.code, response=response)
        return outcome

    def _outcome(self, answer: Answer, place: str, component: str = "^", response: Phi[bytes] | None = None) -> Outcome:
        code = f"{answer.code} {answer.condition}".strip()
        match disposition(answer, self.settings.dispositions):
            case Disposition.DELIVERED:
                return Delivered(code)
            case Disposition.RETRY:
                return Retry(code, finding(TRY_AGAIN), response=response)
            case Disposition.FIX_DATA:
                return Rejected(code, finding(REFUSED, detail=_where(place, component)), response=response)
            case Disposition.FIX_CONFIG:
                return Rejected(code, finding(REFUSED_ALL), channel_wide=True, response=response)
            case Disposition.DUPLICATE:
                return Rejected(code, finding(DUPLICATE), response=response)
            case Disposition.UNKNOWN:
                return Unknown(finding(UNCLEAR_ANSWER), code)

    def _remember(self, identity: str, body: bytes, outcome: Outcome) -> None:
        if isinstance(outcome, Unknown):
            self._unknown[identity] = hashlib.sha256(body).digest()
            if len(self._unknown) > _REMEMBERED:
                self._unknown.popitem(last=False)
        elif isinstance(outcome, Delivered | Rejected):
            self._unknown.pop(identity, None)


def _parsed(content: bytes) -> Message | None:
    try:
        return parse(content)
    except Rejection:
        return None


def _expected(message: Message) -> int | None:
    """MSA-4; None where it is no number."""
    msa = message.first("MSA")
    try:
        return int(msa.field(4)) if msa is not None else None
    except ValueError:
        return None


def _bytes(text: str, message: Message) -> bytes:
    return text.encode(message.charset or "ascii", "surrogateescape")


def _says_more(message: Message) -> bool:
    """Whether the answer is a message in its own right (SRR, RSP) and not a plain acknowledgement."""
    header = message.first("MSH")
    return header is not None and not header.field(9).startswith("ACK")


def _where(place: str, component: str) -> str:
    """The place the peer complains about (ERR-2), if it names one that is a place: never its words."""
    parts = place.split(component or "\0")
    segment, number = parts[0], parts[2] if len(parts) > 2 else ""
    if len(segment) == 3 and segment.isalnum() and segment.isupper() and len(number) < 4 and number.isdigit():
        return f"{REFUSED.summary}: {segment}-{number}"
    return ""
