"""What a person's decision came to."""

from __future__ import annotations

import msgspec


class Decided(msgspec.Struct, kw_only=True):
    """How many of the named were in a state in which the decision could be carried out."""

    action: str
    asked: int
    done: int
    subjects: list[str]
    note: str = ""
