"""What a simulated EHR's sending came to."""

from __future__ import annotations

import msgspec


class Fed(msgspec.Struct, kw_only=True):
    """`ok`: every message was accepted."""

    ok: bool
    sent: int
    accepted: int
    refused: dict[str, int]
    """By MSA-1."""
    repeated: int
    """Times a message was sent again for want of an answer."""
    stray: int
    """Acknowledgements for something else."""
    given_up: list[str]
    """Control ids for which no answer came at all."""
