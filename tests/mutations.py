"""Random edits of a message: what the fuzz tests of every format feed to it. The same chance makes the same edits."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest


def mutated(raw: bytes, chance: random.Random, other: bytes, tokens: Sequence[bytes], *, header: int,
            in_header: float) -> bytes:
    """One to eight edits at random places.

    Args:
        chance: what decides.
        other: another message, of which pieces are put in.
        tokens: what means something in the format.
        header: bytes of the header, on which everything else hangs.
        in_header: share of the edits that hit it.
    """
    data = bytearray(raw)
    for _ in range(chance.randint(1, 8)):
        reach = min(len(data), header) if chance.random() < in_header else len(data)
        at = chance.randrange(reach + 1)
        to = min(len(data), at + chance.choice((1, 1, 2, 5, 20, 200)))
        match chance.randrange(8):
            case 0:
                data[at:to] = b""
            case 1:
                data[at:at] = chance.choice(tokens)
            case 2:
                data[at:to] = chance.choice(tokens)
            case 3:
                data[at:to] = chance.randbytes(to - at)
            case 4:
                data[at:at] = data[at:to] * chance.choice((1, 3))
            case 5:
                del data[at:]
            case 6:
                start = chance.randrange(len(other) + 1)
                data[at:at] = other[start:start + 100]
            case _:
                if data:
                    data[at % len(data)] ^= 1 << chance.randrange(8)
    return bytes(data)


def with_samples(ours: list[tuple[str, bytes]], samples: Callable[[], Iterable[Path]],
                 largest: int) -> list[tuple[str, bytes]]:
    """Our own messages, and the beginnings of those of others where the samples are there."""
    try:
        return ours + [(path.name, raw[:largest]) for path in samples() if (raw := path.read_bytes()).strip()]
    except pytest.skip.Exception:  # no samples on this machine: ours alone still find something
        return ours
