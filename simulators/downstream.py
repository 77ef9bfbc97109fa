"""A downstream HL7 v2 system: takes messages over MLLP, keeps them, answers, and misbehaves on request.

Idempotent on MSH-10: a message that comes again gets the same answer and has no second effect.

Fault kinds (`simulators.faults`): ``late[:s]``; ``silence`` and ``close``: no effect; ``lost``: effect, no
answer; ``wrong-id``: effect, an acknowledgement with another MSA-2; ``duplicate``: effect, two
acknowledgements; ``partial``: effect, half an acknowledgement, then the connection is closed; ``ae[:code]``,
``ar[:code]``: no effect, a negative acknowledgement with that ERR-3 (default 207).
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

from simulators.faults import Fault, Plan
from simulators.mllp import END, START, Frames, field, first, segments
from simulators.sink import Sink

HOST: Final = "127.0.0.1"


class DownstreamHl7:
    """``async with DownstreamHl7(port=0) as sim``: then ``sim.port``, ``sim.sink``, ``sim.plan``."""

    def __init__(self, port: int = 0, *, plan: Plan | None = None, keep: bool = True) -> None:
        self.port = port
        self.plan = plan or Plan()
        self.sink = Sink(keep=keep)
        self.connections = 0
        """Connections opened so far."""
        self._answers: dict[str, bytes] = {}
        self._lines: set[Frames] = set()

    async def __aenter__(self) -> DownstreamHl7:
        self._server = await asyncio.get_running_loop().create_server(self._line, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self._server.close()
        for line in list(self._lines):
            line.transport.abort()
        await self._server.wait_closed()

    def _line(self) -> Frames:
        self.connections += 1
        line = Frames(self._on_frame, self._lines.discard)
        self._lines.add(line)
        return line

    def _on_frame(self, line: Frames, frame: bytes) -> None:
        fault = self.plan.next()
        kind = fault.kind if fault else ""
        message = segments(frame)
        control_id = field(message[0], 10)
        if kind == "close":
            line.transport.close()
        elif kind in {"ae", "ar"}:
            assert fault is not None
            line.send(_acknowledgement(message[0], kind.upper(), control_id, fault.argument or "207"))
        elif kind != "silence":
            self._take(control_id, message, frame)
            self._answer(line, self._answers[control_id], fault)

    def _take(self, control_id: str, message: list[str], frame: bytes) -> None:
        again = control_id in self._answers
        self.sink.record(control_id, key_of(message), frame, effect=not again)
        if not again:
            self._answers[control_id] = _acknowledgement(message[0], "AA", control_id)

    @staticmethod
    def _answer(line: Frames, answer: bytes, fault: Fault | None) -> None:
        if fault is None:
            line.send(answer)
        elif fault.kind == "late":
            asyncio.get_running_loop().call_later(fault.seconds(1.0), line.send, answer)
        elif fault.kind == "wrong-id":
            line.send(answer.replace(b"\rMSA|AA|", b"\rMSA|AA|not-", 1))
        elif fault.kind == "duplicate":
            line.send(answer)
            line.send(answer)
        elif fault.kind == "partial":
            line.transport.write((START + answer + END)[:len(answer) // 2])
            line.transport.close()
        elif fault.kind != "lost":
            raise ValueError(f"a downstream HL7 system has no fault {fault.kind!r}")


def key_of(message: list[str]) -> str:
    """What a message is about: the patient (PID-3), or the filler number (SCH-2) where there is none."""
    return field(first(message, "PID"), 3) or field(first(message, "SCH"), 2)


def _acknowledgement(msh: str, code: str, control_id: str, error: str = "") -> bytes:
    trigger = field(msh, 9).split("^")[1:2]
    lines = [f"MSH|^~\\&|{field(msh, 5)}|{field(msh, 6)}|{field(msh, 3)}|{field(msh, 4)}|{field(msh, 7)}||"
             f"ACK{''.join('^' + t for t in trigger)}|A{control_id}|{field(msh, 11)}|{field(msh, 12)}",
             f"MSA|{code}|{control_id}"]
    if error:
        lines.append(f"ERR|||{error}^refused by the simulator^HL70357|E")
    return ("\r".join(lines) + "\r").encode()
