"""Mutated messages: whatever the bytes, nothing crashes, nothing hangs, and what can be read comes out as it went in.

A share runs with the suite; ``make fuzz`` runs 250 times as many (DRAGOMAN_FUZZ_ROUNDS). The seed of the mutations is
the number of the round, so that a failure can be had again: it names the round and the seed file.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from canonical.findings import Rejection, Severity, declare, finding
from canonical.receipt import ReceiptMint
from connectors.hl7v2 import ack
from connectors.hl7v2.batch import Reply, Tally, is_batch, split_batch
from connectors.hl7v2.codec import Er7Codec
from connectors.hl7v2.continuation import fragment_of, joined
from connectors.hl7v2.disposition import disposition, read_answer
from connectors.hl7v2.er7 import components, parse, repetitions, subcomponents, unescape
from connectors.hl7v2.fit import Fit
from connectors.hl7v2.format import reencoded
from connectors.hl7v2.framing import Deframer, frame
from connectors.hl7v2.header import narrow, read_header
from connectors.hl7v2.peek import peek
from connectors.hl7v2.structure import groups
from tests.hl7v2.messages import merge, sample_files, siu
from tests.mutations import mutated, with_samples

ROUNDS: Final = int(os.environ.get("DRAGOMAN_FUZZ_ROUNDS", "1"))
EACH: Final = 1_000
"""Mutated messages a round."""
LARGEST: Final = 6_000
"""Bytes of a seed: mutations of its beginning find as much, and more of them fit into a minute."""
SLOW_S: Final = 30.0
"""What no message of this size takes on any machine, however busy: a loop without end, an expression that explodes."""
TOKENS: Final = (
    b"|", b"^", b"~", b"\\", b"&", b"#", b"\r", b"\n", b"\r\n", b"\x0b", b"\x1c", b"\x1c\r", b"\x00", b"\x1b$B", b"\x1b(B",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\xc3\x28", b'""', b"MSH", b"\rMSH|^~\\&|", b"\rZZZ|1", b"MSA|AA|", b"\\X0D\\",
    b"\\XZZ\\", b"\\C2842\\", b"\\M242842\\", b"\\.br\\", b"\\E\\E\\", b"\\F", b"UNICODE UTF-16", b"\rDSC|X|F\r",
    b"\rADD|more\r", b"\rBTS|9\r", b"FHS|^~\\&", b"8859/1", b"ISO IR87", b"-1", b"9" * 40, b" ", b"\t")
CODEC: Final = Er7Codec()
FIT: Final = Fit(unencodable="transliterate", charset="8859/1", lengths={"PID-5.1": 5, "PID-3.4.2": 3, "OBX-5": 10})
REFUSED: Final = finding(declare("test.fuzz", Severity.ERROR, "test: refused", "none"), at="MSH-9")


def seeds() -> list[tuple[str, bytes]]:
    """Messages of others where they are, and our own."""
    ours = [("siu", siu()), ("merge", merge()), ("latin", siu(charset="8859/1").replace(b"Eve", b"Ev\xe9")),
            ("odd", b"MSH#!@%*#A!1#M\xfcnster###20260310##ADT!A08#X|1#P#2.7######8859/1\rPID#1##A!b*\rZZZ#1\r")]
    return with_samples(ours, sample_files, LARGEST)


def exercise(raw: bytes) -> str:
    """Everything that the wire half does with a message. Returns what became of it."""
    peeked = peek(raw)
    assert peeked.lanes
    for text in (peeked.message_type, peeked.control_id, peeked.sender, *peeked.lanes, peeked.charset):
        text.encode()  # any database takes it
    narrowed = narrow(raw)
    header = read_header(narrowed)
    if header is not None:
        receipt = ReceiptMint().issue("m", "c", 1_773_144_900_000_000)
        for enhanced in (False, True):
            for answer in (ack.positive(receipt, header, enhanced=enhanced),
                           ack.negative(header, REFUSED, ack.stamp_of(receipt), enhanced=enhanced)):
                assert answer.startswith(b"MSH")
                # MSA-2 is MSH-10 to the last byte: the sender finds its message by it.
                separator = header.marks.field
                assert separator.join((b"\rMSA", answer.split(b"\rMSA" + separator)[1][:2], header.field(10))) in answer
        ack.is_due(header, narrowed, positive=True)
    parts = list(split_batch([raw[:100], raw[100:]]))
    assert b"".join(part.raw for part in parts) == raw
    is_batch(narrowed)
    if fragment_of(narrowed) is not None:
        joined([narrowed, narrowed])
    tally, reply = Tally(), Reply("R", 0)
    for piece in parts:
        tally.take(piece)
        if not piece.is_message:
            reply.part(piece)
    tally.end()
    reply.end()
    framed = frame(raw)
    Deframer(len(framed)).feed(framed)
    assert Deframer(len(framed), strict=False).feed(framed)[:1] or not raw or b"\x1c" in raw
    try:
        message = parse(raw)
    except Rejection as rejection:
        return rejection.findings[0].code
    assert message.emit() == raw, "emit(parse(x)) == x (P13)"
    delimiters = message.delimiters
    for segment in message.segments:
        for number in range(1, min(len(segment), 60) + 1):
            for repetition in repetitions(segment.field(number), delimiters)[:5]:
                for component in components(repetition, delimiters)[:8]:
                    for part in subcomponents(component, delimiters)[:4]:
                        unescape(part, delimiters, formatted=True)
    assert message.emit() == raw, "also after its fields were read"
    found = CODEC.remarks(message)
    groups(message, notes=[])
    disposition(read_answer(message))
    reencoded(message)
    try:  # last, because it changes the message
        FIT.apply(message)
    except Rejection as rejection:
        if rejection.findings[0].code not in {"hl7.cannot_encode", "hl7.cannot_escape"}:
            raise
    return "odd" if found else "read"


def messages(number: int) -> Iterator[tuple[str, bytes]]:
    """The messages of a round, with the name of their seed."""
    chance = random.Random(number)
    sown = seeds()
    for _ in range(EACH):
        name, raw = chance.choice(sown)
        yield name, mutated(raw, chance, chance.choice(sown)[1], TOKENS, header=120, in_header=0.5)


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_no_mutated_message_crashes_hangs_or_changes(tmp_path: Path) -> None:
    """P13, F06, C03, C04, A05, A06, B01, B02, E07, K01, L02: peek, acknowledge, cut, join, parse, read, group, write,
    fit."""
    outcomes: dict[str, int] = {}
    for number in range(ROUNDS):
        for index, (name, raw) in enumerate(messages(number)):
            began = time.perf_counter()
            try:
                outcome = exercise(raw)
            except Exception as error:  # whatever it is, it must say which message it was
                (tmp_path / "message").write_bytes(raw)
                error.add_note(f"round {number}, message {index}, seed {name}: kept as {tmp_path / 'message'}")
                raise
            assert time.perf_counter() - began < SLOW_S, f"round {number}, message {index}, seed {name} hangs"
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert sum(outcomes.values()) == ROUNDS * EACH
    assert set(outcomes) <= {"read", "odd", "hl7.no_header"}
    assert outcomes["read"] + outcomes["odd"] > ROUNDS * EACH / 4, "mutations that leave no message find nothing"
    sys.stdout.write(f"{sum(outcomes.values()):,} mutated messages: {outcomes}\n")
