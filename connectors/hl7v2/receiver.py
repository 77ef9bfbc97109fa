"""MLLP receiver: bytes to submissions, receipts to acknowledgements.

Frames of one connection may be stored side by side (so that their commits are grouped), but are submitted and
answered in the order they came (F02). Nothing that arrived is dropped unseen: a frame without a header, a
frame that is too large or was cut off is submitted as refused, and gets no positive answer (F07, F09, A06).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET

from canonical.findings import Finding, Severity, declare, finding
from canonical.phi import Phi
from canonical.receipt import Receipt
from connectors.base import Accept, AckReport, Answer, Recall, Submission, Unavailable
from connectors.hl7v2 import ack
from connectors.hl7v2.batch import BATCH, Part, Reply, Tally, is_batch, split_batch
from connectors.hl7v2.continuation import Joiner
from connectors.hl7v2.framing import COMMIT_ACK, COMMIT_NAK, Deframer, frame
from connectors.hl7v2.header import Header, narrow, read_header
from connectors.hl7v2.peek import peek_envelope, peek_with
from connectors.hl7v2.sequence import last_of, number_of, rule
from connectors.hl7v2.settings import AckMode, MllpIn
from connectors.hl7v2.sockets import keep_alive
from connectors.hl7v2.tls import Live, Watch

FRAME_TOO_LARGE: Final = declare(
    "mllp.frame_too_large", Severity.ERROR,
    "A frame exceeds the size limit; its beginning was kept and the connection was closed",
    "If the message is right, raise `max_bytes` of this channel and have it sent again.")
FRAME_INCOMPLETE: Final = declare(
    "mllp.frame_incomplete", Severity.ERROR,
    "The connection ended, or fell silent, inside a frame; what came was kept and not acknowledged",
    "Nothing to do if the sender repeats the message; else look at the network between.")
UNAVAILABLE: Final = declare(
    "mllp.unavailable", Severity.ERROR,
    "The message could not be stored, so the sender was told to try again",
    "Look at the database; nothing is lost if the sender repeats the message.")
NO_HEADER: Final = declare(
    "mllp.no_header", Severity.ERROR,
    "A frame without a readable MSH segment arrived; it was kept and cannot be answered",
    "Look at the stored bytes: which program writes to this port?")
NO_CONTROL_ID: Final = declare(
    "mllp.no_control_id", Severity.ERROR,
    "A message without control id (MSH-10) was refused: its answer could not be told from another's",
    "Have the sender fill MSH-10.")

_KEPT_OF_OVERSIZE: Final = 65536
_RECALLED: Final = 1000
"""Stored messages looked at for the last number: refused and repeated ones do not count."""
_OWED_NOTHING: Final = ""
_CONFIRMATIONS: Final = frozenset({COMMIT_ACK, COMMIT_NAK})


class _Slot:
    """The place of one frame in the queue of answers."""

    __slots__ = ("answer", "done", "owed")

    def __init__(self) -> None:
        self.done = False
        self.answer = b""
        """Framed bytes to write; empty where none are due."""
        self.owed: list[tuple[Receipt, str]] = []
        """What was stored, and the code of its acknowledgement: one, or those of a batch."""


class _Connection(asyncio.Protocol):
    """One peer."""

    __slots__ = ("_closing", "_deframer", "_frame_began", "_is_tls", "_last_heard", "_owner", "_paused", "_peer",
                 "_slots", "_transport", "_unreported", "_write_blocked")

    def __init__(self, owner: MllpReceiver) -> None:
        self._owner = owner
        self._deframer = Deframer(owner.settings.max_bytes, strict=owner.settings.strict_end)
        self._slots: deque[_Slot] = deque()
        self._unreported: list[_Slot] = []
        self._closing = self._is_tls = self._paused = self._write_blocked = False
        self._peer = ""
        self._transport: asyncio.Transport
        self._last_heard = owner.now()
        self._frame_began = 0.0

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._is_tls = transport.get_extra_info("ssl_object") is not None
        if not self._is_tls:
            # With limits of 0, pause_writing says exactly: not all of what was written has reached the socket.
            # TLS transports count their handshake too, and would pause before the first message.
            self._transport.set_write_buffer_limits(high=0)
        keep_alive(transport, self._owner.settings.keep_alive_s)
        address = transport.get_extra_info("peername")
        self._peer = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address or "")
        if not self._owner.admit(self):
            self._closing = True
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        deframer = self._deframer
        self._last_heard = now = self._owner.now()
        stray = deframer.stray
        contents = deframer.feed(data)
        for content in contents:
            self._take(content)
        if not deframer.in_frame:
            self._frame_began = 0.0
        elif contents or not self._frame_began:
            self._frame_began = now
        if deframer.stray != stray:
            self._owner.stray_bytes += deframer.stray - stray
        if deframer.oversize is not None:
            self._refuse_oversize(deframer.oversize)
        else:
            self._regulate()

    def eof_received(self) -> bool:
        self._closing = True
        self._keep_partial()
        # Half-close (F10): the peer still reads, so answers still go out. TLS connections cannot do that.
        return bool(self._slots) and not self._is_tls

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._keep_partial()
        self._report(delivered=False)
        self._owner.dismiss(self)

    def pause_writing(self) -> None:
        self._write_blocked = True
        self._regulate()

    def resume_writing(self) -> None:
        self._write_blocked = False
        self._report(delivered=True)
        self._regulate()

    def _regulate(self) -> None:
        """Read no faster than messages are stored and answers are taken."""
        full = self._write_blocked or len(self._slots) >= self._owner.settings.max_in_flight
        if full != self._paused and not self._transport.is_closing():
            self._paused = full
            if full:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # -- messages

    def _take(self, content: bytes) -> None:
        # F11: a keep-alive; there is nothing to keep. In release 2 a peer may confirm our acknowledgements (F16).
        if not content or content.isspace() or (content in _CONFIRMATIONS and self._owner.settings.commit_bytes):
            self._owner.empty_frames += 1
            return
        slot = _Slot()
        self._slots.append(slot)
        self._owner.run(self._store(content, slot), self)

    async def _store(self, content: bytes, slot: _Slot) -> None:
        raw = narrow(content)
        if is_batch(raw):
            await self._store_batch(content, slot)
        else:
            await self._store_one(content, raw, slot)
        slot.done = True
        self._flush()

    async def _store_one(self, content: bytes, raw: bytes, slot: _Slot) -> None:
        header = read_header(raw)
        if self._owner.settings.sequence and header is not None and not ack.answers(header, raw):
            await self._store_numbered(content, header, raw, slot)
            return
        try:
            receipt = await self._submit(content, header, raw)
        except Unavailable:
            self._answer_unavailable(header, raw, slot)
        else:
            self._answer(header, raw, slot, receipt)
            if self._owner.answer is not None and receipt.positive and header is not None:
                await self._reply(content, header, raw, slot, receipt)

    async def _reply(self, content: bytes, header: Header, raw: bytes, slot: _Slot, receipt: Receipt) -> None:
        """The answer to a question, in place of the acknowledgement; behind it where the sender asked for both (A02)."""
        owner = self._owner
        assert owner.answer is not None
        reply = await owner.answer(Submission(channel=owner.name, raw=Phi(content), peek=peek_with(header, raw),
                                              peer=self._peer), receipt)
        if reply is not None:
            both = slot.answer if ack.is_enhanced(header) else frame(COMMIT_ACK) if owner.settings.commit_bytes else b""
            slot.answer = both + frame(reply.reveal())

    async def _store_numbered(self, content: bytes, header: Header, raw: bytes, slot: _Slot) -> None:
        """One after another: whether a number is the next one depends on what became of the last (S03)."""
        owner = self._owner
        async with owner.numbering:
            ruling = rule(number_of(header), owner.last_number)
            try:
                receipt = await self._submit(content, header, raw, ruling.refusal, record=ruling.record)
            except Unavailable:
                self._answer_unavailable(header, raw, slot)
                return
            if receipt.positive:
                owner.last_number = ruling.last
        self._answer(header, raw, slot, receipt, ruling.tell)

    async def _submit(self, content: bytes, header: Header | None, raw: bytes, refusal: Finding | None = None,
                      parent_id: str = "", record: Finding | None = None) -> Receipt:
        """Raises `Unavailable`."""
        owner = self._owner
        peek = peek_with(header, raw)
        refusal = _refusal(header) or refusal
        if refusal is not None:
            peek = msgspec.structs.replace(peek, dedup=b"")
        return await owner.accept(Submission(channel=owner.name, raw=Phi(content), peek=peek, peer=self._peer,
                                             refusal=refusal, parent_id=parent_id, record=record))

    # -- batches

    async def _store_batch(self, content: bytes, slot: _Slot) -> None:
        """Each message is an entry of its own, with the envelope as its parent; one that fails stops no other (B05).

        The answer is one response batch (B04); messages that came one after another in one frame are answered so.
        """
        owner = self._owner
        parts = list(split_batch([content], max_bytes=len(content) + 1))
        tally = Tally()
        for part in parts:
            tally.take(part)
        problems = tally.end()
        refusal = problems[0] if problems and owner.settings.batch_counts == "reject" else None
        try:
            envelope = await self._store_envelope(content, parts, problems, refusal) if tally.has_envelope else None
        except Unavailable:
            envelope, parts = None, [part for part in parts if not part.is_message]
            slot.answer = frame(COMMIT_NAK) if owner.settings.commit_bytes else b""
            self._closing = True  # nothing is stored: the peer must come again with all of it
            return
        if envelope is not None:
            slot.owed.append((envelope, _OWED_NOTHING))
        answers = await self._store_parts(parts, refusal, envelope.message_id if envelope else "", slot)
        prefix = frame(COMMIT_ACK) if owner.settings.commit_bytes else b""
        if envelope is None:
            slot.answer = prefix + b"".join(frame(answer) for answer in answers if answer)
            return
        stamp = ack.stamp_of(envelope)
        reply = Reply(stamp.control_id, stamp.at)
        told = iter(answers)
        body = b"".join(reply.message(next(told)) if part.is_message else reply.part(part) for part in parts)
        slot.answer = prefix + frame(body + reply.end())

    async def _store_envelope(self, content: bytes, parts: Sequence[Part], problems: Sequence[Finding],
                              refusal: Finding | None) -> Receipt:
        raw = b"".join(part.raw for part in parts if not part.is_message)
        peek = peek_envelope(raw, content)
        if refusal is not None:
            peek = msgspec.structs.replace(peek, dedup=b"")
        elif problems:
            peek = msgspec.structs.replace(peek, findings=tuple(problems))
        return await self._owner.accept(Submission(
            channel=self._owner.name, raw=Phi(raw), peek=peek, peer=self._peer, refusal=refusal,
            record=finding(BATCH)))

    async def _store_parts(self, parts: Sequence[Part], refusal: Finding | None, parent_id: str,
                           slot: _Slot) -> list[bytes]:
        """The acknowledgement of each message, in order; empty where none is due."""
        messages = [part.raw for part in parts if part.is_message]
        answers: list[bytes] = []
        step = self._owner.settings.max_in_flight
        for first in range(0, len(messages), step):
            answers += await asyncio.gather(*[
                self._store_part(message, refusal, parent_id, slot) for message in messages[first:first + step]])
        return answers

    async def _store_part(self, content: bytes, refusal: Finding | None, parent_id: str, slot: _Slot) -> bytes:
        raw = narrow(content)
        header = read_header(raw)
        try:
            receipt = await self._submit(content, header, raw, refusal, parent_id)
        except Unavailable:
            enhanced, due = (False, False) if header is None else self._owner.manner(header, raw, positive=False)
            if header is None or not due:
                self._closing = True  # it cannot be told that this one is missing
                return b""
            return ack.negative(header, finding(UNAVAILABLE), self._owner.stamp(), enhanced=enhanced)
        answer, code = self._acknowledge(header, raw, receipt)
        slot.owed.append((receipt, code))
        return answer

    def _acknowledge(self, header: Header | None, raw: bytes, receipt: Receipt,
                     expected: int | None = None) -> tuple[bytes, str]:
        """(acknowledgement, its code); nothing where none is due."""
        if header is None:
            return b"", _OWED_NOTHING
        enhanced, due = self._owner.manner(header, raw, positive=receipt.positive)
        if not due:
            return b"", _OWED_NOTHING
        if receipt.positive:
            return ack.positive(receipt, header, enhanced=enhanced, expected=expected), "CA" if enhanced else "AA"
        reason = receipt.finding or finding(UNAVAILABLE)
        return (ack.negative(header, reason, ack.stamp_of(receipt), enhanced=enhanced, expected=expected),
                ack.code_for(reason, enhanced=enhanced))

    def _answer(self, header: Header | None, raw: bytes, slot: _Slot, receipt: Receipt,
                expected: int | None = None) -> None:
        prefix = frame(COMMIT_ACK) if self._owner.settings.commit_bytes else b""
        answer, code = self._acknowledge(header, raw, receipt, expected)
        slot.owed.append((receipt, code))
        slot.answer = prefix + frame(answer) if answer else prefix

    def _answer_unavailable(self, header: Header | None, raw: bytes, slot: _Slot) -> None:
        """Nothing was stored. Say so; where it cannot be said, only closing makes the sender notice."""
        owner = self._owner
        prefix = frame(COMMIT_NAK) if owner.settings.commit_bytes else b""
        enhanced, due = (False, False) if header is None else owner.manner(header, raw, positive=False)
        if header is not None and due:
            reason = finding(UNAVAILABLE)
            slot.answer = prefix + frame(ack.negative(header, reason, owner.stamp(), enhanced=enhanced))
        elif prefix:
            slot.answer = prefix
        else:
            self._closing = True

    def _flush(self) -> None:
        """Write the answers whose turn it is."""
        slots, transport = self._slots, self._transport
        ready: list[_Slot] = []
        while slots and slots[0].done:
            ready.append(slots.popleft())
        if ready:
            self._unreported += ready
            if transport.is_closing():
                self._report(delivered=False)
            else:
                if output := b"".join(slot.answer for slot in ready):
                    transport.write(output)
                if not self._write_blocked:
                    self._report(delivered=True)
        self._regulate()
        if self._closing and not slots:
            transport.close()

    def _report(self, *, delivered: bool) -> None:
        for slot in self._unreported:
            for receipt, code in slot.owed:
                # An answer that is not owed cannot be undelivered.
                self._owner.ack_report(receipt, code, delivered or not code)
        self._unreported.clear()

    # -- what goes wrong

    def _refuse_oversize(self, beginning: bytes) -> None:
        """F07: say so if the header can be read, and close."""
        self._closing = True
        slot = _Slot()
        self._slots.append(slot)
        self._owner.run(
            self._store_refused(beginning[:_KEPT_OF_OVERSIZE], finding(FRAME_TOO_LARGE), slot), self)

    def _keep_partial(self) -> None:
        """F09: the peer is gone in mid-frame. Keep what came where people can see it."""
        content = self._deframer.partial if self._deframer.in_frame else b""
        self._deframer = Deframer(self._owner.settings.max_bytes)
        if content.strip():
            self._owner.run(
                self._store_refused(content[:_KEPT_OF_OVERSIZE], finding(FRAME_INCOMPLETE), None), self)

    async def _store_refused(self, content: bytes, reason: Finding, slot: _Slot | None) -> None:
        # Not the whole message: it must neither be taken for it when that comes, nor hold up its lane.
        peek = msgspec.structs.replace(peek_with(None, content), findings=())
        raw = narrow(content)
        header = read_header(raw)
        if header is not None:
            whole = peek_with(header, raw)
            peek = msgspec.structs.replace(whole, dedup=b"", lanes=peek.lanes)
        receipt = None
        try:
            receipt = await self._owner.accept(Submission(
                channel=self._owner.name, raw=Phi(content), peek=peek, peer=self._peer, refusal=reason))
        except Unavailable:
            self._owner.unstored += 1
        if slot is None:
            return
        if receipt is not None and header is not None:
            self._answer(header, raw, slot, receipt)
        slot.done = True
        self._flush()

    def check(self, now: float) -> None:
        """Close what is silent, or too slow with a frame (F08)."""
        settings = self._owner.settings
        if self._paused or self._closing:  # then it is we who keep the peer waiting
            return
        slow = self._frame_began and now - self._frame_began > settings.frame_timeout_s
        silent = not self._slots and now - self._last_heard > settings.idle_timeout_s
        if slow or silent:
            self.close()

    def close(self) -> None:
        """Take nothing more; close when what has begun is answered."""
        self._closing = True
        self._keep_partial()
        if not self._slots:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()


def _refusal(header: Header | None) -> Finding | None:
    """Why a frame is not something that could be answered, if so. What this site takes is not decided here."""
    if header is None:
        return finding(NO_HEADER, at="byte 0")
    return None if header.field(10) else finding(NO_CONTROL_ID, at="MSH-10")


class MllpReceiver:
    """Listens on one port. See `connectors.base.Receiver`."""

    def __init__(self, name: str, settings: MllpIn, accept: Accept, ack_report: AckReport,
                 answer: Answer | None = None, *,
                 clock: Callable[[], int] = lambda: time.time_ns() // 1000,
                 new_id: Callable[[], str] = lambda: uuid.uuid4().hex[:20]) -> None:
        """`answer` is asked for the answer to every accepted message. `clock` gives microseconds since the epoch and
        `new_id` a control id, for the one answer that no receipt stands behind: that a message could not be stored."""
        self.name = name
        self.settings = settings
        self._joiner = Joiner(name, settings.continuation, accept)
        self.accept = self._joiner.accept
        self.ack_report = ack_report
        self.answer = answer
        self.stray_bytes = 0
        """Bytes outside frames, dropped (F03)."""
        self.empty_frames = 0
        """Frames without content, ignored (F11)."""
        self.refused_connections = 0
        """Connections over `max_connections`."""
        self.unstored = 0
        """Broken frames that could not be kept because the ledger was away."""
        self.numbering = asyncio.Lock()
        self.last_number: int | None = None
        """MSH-13 of the last message accepted, where the channel is numbered."""
        self._clock = clock
        self._new_id = new_id
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._watch: Watch | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopping = False

    @property
    def resources(self) -> Sequence[str]:
        """The port."""
        return (f"tcp:{self.settings.host}:{self.settings.port}",)

    @property
    def port(self) -> int:
        """The port listened on: the one chosen by the system where the settings say 0."""
        if self._server is None:
            return self.settings.port
        return int(self._server.sockets[0].getsockname()[1])

    async def resume(self, recall: Recall) -> None:
        """See `connectors.base.Resumes`."""
        await self._joiner.resume(recall)
        if self.settings.sequence:
            self.last_number = last_of(await recall("", 0, _RECALLED))

    async def start(self) -> None:
        """Listen. Raises OSError: port in use, no such address, certificate not readable."""
        settings = self.settings
        live = None if settings.tls is UNSET else Live(settings.tls)
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._server = await self._loop.create_server(
            lambda: _Connection(self), settings.host, settings.port, ssl=None if live is None else live.context,
            backlog=1024)
        if live is not None:
            self._watch = Watch(self.name, live)
            self._watch.start()
        self._sweep()

    async def stop(self, grace: float) -> None:
        """Stop listening, answer what has come, close."""
        self._stopping = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._watch is not None:
            self._watch.close()
        self._joiner.close()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        deadline = self._loop.time() + grace if self._server is not None else 0.0
        while self._tasks and (left := deadline - self._loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
        for connection in list(self._connections):
            connection.abort()
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            await self._server.wait_closed()
            await asyncio.sleep(0)  # sockets close in the next turn of the loop
            self._server = None

    # -- for connections

    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()

    def admit(self, connection: _Connection) -> bool:
        """Whether another connection may stay."""
        if self._stopping or len(self._connections) >= self.settings.max_connections:
            self.refused_connections += 1
            return False
        self._connections.add(connection)
        return True

    def dismiss(self, connection: _Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    def run(self, work: Coroutine[Any, Any, None], connection: _Connection) -> None:
        """Run in the background for a connection; `stop` waits for it."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ran, connection))

    def _ran(self, connection: _Connection, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A defect behind the door. Answers can no longer be given in order: the peer has to come again.
            self._loop.call_exception_handler({"message": "storing a message failed", "exception": error})
            connection.abort()

    def manner(self, header: Header, raw: bytes, *, positive: bool) -> tuple[bool, bool]:
        """(enhanced mode?, is an answer due?)"""
        if self.settings.ack_mode is AckMode.ORIGINAL:
            return False, not ack.answers(header, raw)
        return ack.is_enhanced(header), ack.is_due(header, raw, positive=positive)

    def stamp(self) -> ack.Stamp:
        """A stamp for an answer without receipt."""
        return ack.Stamp(self._new_id(), self._clock())

    def _sweep(self) -> None:
        now = self.now()
        for connection in list(self._connections):
            connection.check(now)
        pause = min(1.0, self.settings.frame_timeout_s / 4, self.settings.idle_timeout_s / 4)
        self._sweeper = self._loop.call_later(pause, self._sweep)
