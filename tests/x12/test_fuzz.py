"""Mutated interchanges: whatever the bytes, nothing crashes, nothing hangs, and what can be read comes out as it went in.

A share runs with the suite; ``make fuzz`` runs 250 times as many (DRAGOMAN_FUZZ_ROUNDS). The seed of the mutations is the
number of the round: a failure names the round and the seed file.
"""

from __future__ import annotations

import os
import random
import sys
import time
from contextlib import suppress
from typing import Final

import pytest

from canonical.findings import Rejection
from connectors.x12.acknowledge import Ta1, acknowledge, replies
from connectors.x12.build import Stamp, seal
from connectors.x12.edi import parse
from connectors.x12.format import X12Format
from connectors.x12.guide import guide, names
from connectors.x12.judge import judge, judge_pieces
from connectors.x12.loops import places, walk
from connectors.x12.peek import peek
from connectors.x12.stream import pieces
from tests.mutations import mutated, with_samples
from tests.x12.messages import answer, inquiry, sample_files

ROUNDS: Final = int(os.environ.get("DRAGOMAN_FUZZ_ROUNDS", "1"))
EACH: Final = 400
"""Mutated interchanges a round: 100,000 in ``make fuzz``."""
LARGEST: Final = 3_000
SLOW_S: Final = 30.0
"""What no message of this size takes on any machine, however busy: a loop without end, an expression that explodes."""
STAMP: Final = Stamp(interchange=1, date="20260310", time="1200")
FORM: Final = X12Format()
TOKENS: Final = (
    b"*", b"~", b"\x1d", b":", b"^", b"|", b">", b"\n", b"\r\n", b"~~", b"~\n~", b"\x00", b"\xff", b"\xef\xbb\xbf",
    b"\xc2\xa7", b"~ISA*", b"ISA|00|", b"~GS*HS*", b"~GE*1*1", b"~IEA*1*", b"~ST*270*0001", b"~SE*1*0001", b"~HL*1**20*1",
    b"~HL*3*9*22", b"~LS*2120", b"~LE*2120", b"~TA1*000000001*260310*1147*A*000", b"~EB*1**30^1", b"~AK1*HS*1", b"~IK5*R*5",
    b"-1", b"9" * 40, b" ", b"RD8*20260101-20250101", b"D8*20261399", b"*" * 30, b":" * 12, b"^" * 12)


def seeds() -> list[tuple[str, bytes]]:
    """Messages of others where they are, and our own."""
    ours = [("inquiry", inquiry()), ("answer", answer())]
    return with_samples(ours, sample_files, LARGEST)


def exercise(raw: bytes) -> str:
    """Everything that can be done with an interchange. Returns what became of it."""
    peeked = peek(raw)
    assert peeked.lanes
    for text in (peeked.message_type, peeked.control_id, peeked.sender, *peeked.lanes):
        text.encode()  # any database takes it
    try:
        found = list(pieces([raw[:150], raw[150:400], raw[400:]]))
        assert b"".join(piece.raw for piece in found) == raw
        for _ in judge_pieces(found):
            pass
    except Rejection:
        pass
    try:
        message = parse(raw)
    except Rejection:
        return "rejected"
    assert message.emit() == raw
    for interchange in message.interchanges:
        verdict = judge(interchange)
        for problem in verdict.findings:
            str(problem)
        said = acknowledge(verdict, STAMP, ta1=Ta1.ALWAYS)
        if said is not None:
            again = parse(said.emit())
            assert replies(again)
            assert judge(again.interchanges[0]).control == "000000001"
    for each in message.sets()[:3]:
        name = next((name for name in names() if (one := guide(name)) is not None and one.set == each.id), "271")
        tree = walk(each, guide(name))
        assert sorted(number for loop, _ in places(tree.root) for number in loop.numbers) == list(
            range(1, len(each.segments) + 1))
        with suppress(Rejection):
            FORM.leaves(message, name)
    replies(message)
    seal(message, STAMP).emit()
    return "read"


@pytest.mark.timeout(max(120, ROUNDS * 60))
def test_mutated_interchanges_are_read_or_rejected_and_never_crash_or_hang() -> None:
    """X01, X10: what parses comes out byte for byte, and is judged, answered, walked and sealed without a crash."""
    files = seeds()
    outcomes: dict[str, int] = {}
    slowest = 0.0
    for number in range(ROUNDS):
        chance = random.Random(number)
        for _ in range(EACH):
            name, seed = chance.choice(files)
            raw = mutated(seed, chance, chance.choice(files)[1], TOKENS, header=240, in_header=0.2)
            start = time.perf_counter()
            try:
                outcome = exercise(raw)
            except Exception as error:  # whatever it is, it must say which message it was
                raise AssertionError(f"round {number}, seed {name}: {type(error).__name__}\n{raw!r}") from error
            took = time.perf_counter() - start
            assert took < SLOW_S, f"round {number}, seed {name}: {took:.1f} s"
            slowest = max(slowest, took)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert min(outcomes.get(each, 0) for each in ("read", "rejected")) > EACH // 50
    sys.stdout.write(f"x12: {outcomes} in {ROUNDS} rounds, slowest {slowest:.3f} s\n")
