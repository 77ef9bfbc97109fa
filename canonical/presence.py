"""Three-valued presence: a value, cleared, or not stated.

HL7 v2.5.1 §2.5.3 gives a field three conditions: populated, null (``""``: the sender wants the receiver to
clear what it holds) and not populated (leave alone). Canonical values keep all three from wire to wire:

* a value;
* `CLEAR` (``None`` in Python, ``null`` in JSON): the sender wrote ``""``;
* `ABSENT` (``msgspec.UNSET`` in Python, a missing key in JSON): the sender said nothing.

The JSON form is therefore an RFC 7396 merge patch, which is just what a scheduling message is.
"""

from __future__ import annotations

from typing import Final, TypeAlias, TypeVar

from msgspec import UNSET, UnsetType

T = TypeVar("T")

#: The sender asked for the value to be removed.
CLEAR: Final = None
#: The sender said nothing about the value. Falsy, as `CLEAR` is; tell them apart with ``is``.
ABSENT: Final = UNSET

Tri: TypeAlias = T | UnsetType | None

__all__ = ["ABSENT", "CLEAR", "Tri", "UnsetType"]
