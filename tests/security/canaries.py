"""Canaries: patients who exist nowhere else, messages that carry them, and the search for them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from itertools import count
from typing import Final

#: What is looked for: parts that every canary's name, number, telephone, street, birthday and note is made of.
STEMS: Final = ("quokka", "zebulonia", "cnryx", "7430918", "axolotlgasse", "19310417", "1931-04-17", "narwhalnote")

_numbers = count(1)


def _encoded(stem: str) -> Iterator[bytes]:
    """A stem in hex, and in base64 at each of the three places where it may begin."""
    for form in {stem, stem.upper(), stem.capitalize()}:
        raw = form.encode()
        yield raw.hex().encode()
        for before in range(3):
            # Characters that share bits with a neighbour are left out at both ends.
            whole = (before + len(raw)) // 3 * 4
            yield b64encode(b"\0" * before + raw)[(before * 4 + 2) // 3:whole]


_PLAIN: Final = re.compile("|".join(map(re.escape, STEMS)).encode(), re.IGNORECASE)
#: Where a screen folds a line: white space, and the frames of tables.
_FOLDS: Final = re.compile("[\\s│┃|]+".encode())
_HIDDEN: Final = re.compile(b"|".join(re.escape(form) for stem in STEMS for form in _encoded(stem)))


def leaks(evidence: bytes | str) -> list[str]:
    """Every place of a canary, with what stands around it. A name folded over two lines is found, too."""
    raw = evidence.encode("utf-8", "surrogateescape") if isinstance(evidence, str) else evidence
    found = []
    for text in (raw, _FOLDS.sub(b"", raw)):
        for pattern in (_PLAIN, _HIDDEN):
            for hit in pattern.finditer(text):
                around = text[max(0, hit.start() - 60):hit.end() + 40]
                found.append(around.decode("utf-8", "replace"))
    return found


def message(tag: str, *, trigger: str = "SIU^S12", processing_id: str = "P", control_id: str = "",
            status: str = "CONF", start: str = "20260310143000-0400", name: str = "", more: str = "",
            number: int | None = None) -> bytes:
    """A booking of the patient ``Quokka<tag>``; scenarios know their patient by that name."""
    n = next(_numbers) if number is None else number
    return (
        f"MSH|^~\\&|MERCYSCHED|MERCY|DRAGOMAN|HUB|20260302080000-0500||{trigger}|{control_id or f'CID{n:04}'}|"
        f"{processing_id}|2.5.1\r"
        f"SCH|W-{n}^MERCYWEB|MA-{n}^MERCY^2.999.20.2^ISO|||||FOLLOWUP^Follow-up^HL70276|ECG^Electrocardiogram^MERCY"
        f"|30|min|||||||||||||||{status}\r"
        f"TQ1|1||||||{start}|20260310150000-0400\r"
        "NTE|1||narwhalnote about the patient\r"
        f"PID|1||CNRYX{n}^^^MERCY&2.999.20.1&ISO^MR||{name or f'Quokka{tag}'}^Zebulonia||19310417|F|||"
        f"7 Axolotlgasse^^Springfield^MA^01101||^PRN^PH^^1^413^7430918\r"
        f"{more}RGS|1\rAIL|1||HEART^1^^MERCY\r").encode()
