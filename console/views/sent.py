"""What a peer answered to messages that an analyst sent by hand. The answers are shown as they came: the file
and the peer are the analyst's own."""

from __future__ import annotations

import msgspec


class Complaint(msgspec.Struct, kw_only=True):
    """One ERR segment."""

    code: str
    meaning: str
    location: str = ""
    text: str = ""


class Answer(msgspec.Struct, kw_only=True):
    """One acknowledgement."""

    number: int
    """Place of the message in the file, from 1."""
    control_id: str
    code: str
    """MSA-1; empty where no answer came."""
    meaning: str
    took_s: float
    text: str = ""
    """MSA-3."""
    complaints: list[Complaint] = []
    raw: str = ""


class Sent(msgspec.Struct, kw_only=True):
    """The whole exchange. `ok`: every message was accepted."""

    ok: bool
    peer: str
    answers: list[Answer]
