"""The work of a translating process: letters in, letters out, on the site of ``bench.end_to_end``.

Every message is read, then written for both destinations, in batches as the engine makes them. Messages, patients
and deliveries are distinct. All that the process does is in the figures, but for what the pipe costs.
"""

from __future__ import annotations

import cProfile
import pstats
import time
import timeit
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO, Final, TypeVar, cast

import msgspec
import typer

from bench import site
from bench.message import siu
from bench.report import emit, machine, micros, table
from wiring.assembly import SITE_FILE, assemble
from wiring.bureau import clerk
from wiring.bureau.letters import (
    HEAD,
    Answer,
    Incoming,
    Letter,
    Opening,
    Outgoing,
    ReadDone,
    Request,
    ToRead,
    ToWrite,
    WriteDone,
    sealed,
)

#: Messages of a round. The best round counts, the first never does.
MESSAGES: Final = 400
ROUNDS: Final = 20
BATCH: Final = 8
DESTINATIONS: Final = ("downstream", "erp")
#: Letters that are decoded and encoded again, by themselves: those of a round.
SOME: Final = MESSAGES // BATCH * (1 + len(DESTINATIONS))
READ: Final = "read"
LETTERS: Final = "of which: letters decoded and encoded"
ALL: Final = "one message in, two out"

T = TypeVar("T")


def opening() -> Opening:
    """What a clerk of that site is started with."""
    with TemporaryDirectory() as name:
        site.write(Path(name), port=1, mllp=2, http=3, prefix="bench")
        assembly = assemble(Path(name))
        return Opening(str(Path(name) / SITE_FILE), assembly.files[SITE_FILE], dict(assembly.library.files))


class Engine:
    """The other end of the pipe: writes letters, takes answers, and looks at the clock in between."""

    def __init__(self, first: Opening, rounds: int = ROUNDS) -> None:
        self.used: dict[str, list[float]] = defaultdict(lambda: [0.0] * rounds)
        """CPU seconds, by what was asked for, of each round."""
        self.letters: list[tuple[bytes, Answer]] = []
        """Some of them, with their answers."""
        self._answer: Answer | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Answer)
        self._asked = self._ask(first, rounds * MESSAGES)
        self._frame = memoryview(b"")
        self._letter = b""
        self._kind = ""
        self._round = 0
        self._began = 0.0

    def _ask(self, first: Opening, messages: int) -> Iterator[tuple[str, Letter]]:
        yield "", first
        for start in range(0, messages, BATCH):
            self._round = start // MESSAGES
            yield READ, ToRead(start, [
                Incoming(f"m{n}", "in", "SIU^S12", 1_773_000_000_000_000 + n, "", siu(b"%d" % n, patient=n, visit=1))
                for n in range(start, min(start + BATCH, messages))])
            events = [event for result in self._results(ReadDone) for event in result.translation.events]
            for name in DESTINATIONS:
                yield f"written for {name}", ToWrite(start, [
                    Outgoing(f"{event.id}>{name}", name, event.id, None) for event in events])
                self._results(WriteDone)

    def _results(self, kind: type[T]) -> list[T]:
        assert self._answer is not None
        for result in self._answer.results:
            if not isinstance(result, kind):
                raise SystemExit(f"the benchmark is not translated: {result}")
        return cast("list[T]", self._answer.results)

    @property
    def pipes(self) -> tuple[BinaryIO, BinaryIO]:
        """What the clerk reads from and writes to: of both it uses what there is here."""
        return cast("BinaryIO", self), cast("BinaryIO", self)

    def read(self, count: int) -> bytes:
        """The next bytes of a letter; none when all is done."""
        if not self._frame:
            self._kind, letter = next(self._asked, ("", None))
            if letter is None:
                return b""
            self._frame = memoryview(sealed(self._encoder, letter))
            self._letter = bytes(self._frame[HEAD:])
            self._began = time.process_time()
        taken, self._frame = self._frame[:count], self._frame[count:]
        return bytes(taken)

    def write(self, frame: bytes) -> None:
        """Take an answer."""
        self.used[self._kind][self._round] += time.process_time() - self._began
        self._answer = self._decoder.decode(frame[HEAD:])
        if len(self.letters) < SOME:
            self.letters.append((self._letter, self._answer))

    def flush(self) -> None:
        """Nothing waits."""


def measure() -> dict[str, Any]:
    """Microseconds of CPU a message, by act."""
    engine = Engine(opening())
    clerk.main(*engine.pipes)
    decoder, encoder = msgspec.msgpack.Decoder(Request), msgspec.msgpack.Encoder()

    def letters() -> None:
        for letter, answer in engine.letters:
            decoder.decode(letter)
            sealed(encoder, answer)

    best = {name: min(rounds[1:]) for name, rounds in engine.used.items()}
    total = min(sum(rounds) for rounds in list(zip(*engine.used.values(), strict=True))[1:])
    used = {ALL: total, **best, LETTERS: min(timeit.repeat(letters, number=1, timer=time.process_time))}
    return {"machine": machine(), "us": {name: seconds / MESSAGES * 1e6 for name, seconds in used.items()}}


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    table("A translating process, CPU a message", ["", "a message"],
          [[name, micros(us)] for name, us in result["us"].items()])


def main(
    profile: Annotated[bool, typer.Option("--profile", help="Its costliest functions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """What one message costs a translating process."""
    result = measure()
    show(result)
    if profile:
        engine = Engine(opening())
        profiler = cProfile.Profile()
        profiler.runcall(clerk.main, *engine.pipes)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(60)
    if as_json:
        emit(result)


if __name__ == "__main__":
    typer.run(main)
